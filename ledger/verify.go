package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
)

// Stored is one entry as it lies in a store: its place, its bytes and the
// leaf hash kept beside them.
type Stored struct {
	Index int64
	Leaf  []byte
	Hash  tlog.Hash
}

// Source is a tenant's log as it lies in a store, read without any key.
type Source interface {
	// Stored returns up to limit entries in order of their place, from a place on.
	Stored(ctx context.Context, from int64, limit int) ([]Stored, error)
	// Checkpoints returns the signed checkpoints kept beside the log, oldest first.
	Checkpoints(ctx context.Context) ([][]byte, error)
}

// Finding is one thing wrong with a log, and where.
type Finding struct {
	Index int64  `json:"index"` // the place; for a cut tail the first entry missing
	What  string `json:"what"`  // edited, missing, moved, inserted, rewritten, cut, forked, checkpoint
	Says  string `json:"says"`
}

// Report is the outcome of Verify. A log without findings is what its signer
// wrote, as far as the newest checkpoint reaches.
type Report struct {
	Tenant      ringfence.TenantID `json:"tenant"`
	Size        int64              `json:"size"`
	Root        string             `json:"root"`
	Checkpoints int                `json:"checkpoints"` // how many were verified, outside ones included
	Covered     int64              `json:"covered"`     // size of the newest checkpoint that agrees
	Findings    []Finding          `json:"findings"`
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Findings) == 0 }

const (
	verifyPage  = 1000
	maxFindings = 100
)

// Verify reads a whole log and compares it with itself, with the checkpoints
// kept beside it and with those kept outside. An edit, a deletion, an
// insertion or a swap is found by itself, with its place; a cut tail or a
// rollback only against a checkpoint kept outside, for the checkpoints beside
// the log are cut with it. Whoever holds the signing key can write a log anew:
// only outside checkpoints tell.
func Verify(ctx context.Context, tenant ringfence.TenantID, src Source, v note.Verifier, outside [][]byte) (Report, error) {
	a := audit{report: Report{Tenant: tenant}, heads: map[int64][]signedHead{}}
	inside, err := src.Checkpoints(ctx)
	if err != nil {
		return a.report, fmt.Errorf("read checkpoints: %w", err)
	}
	a.open(inside, v, "kept beside the log")
	a.open(outside, v, "kept outside")
	for from := int64(0); ; {
		page, err := src.Stored(ctx, from, verifyPage)
		if err != nil {
			return a.report, fmt.Errorf("read entries from %d: %w", from, err)
		}
		for _, s := range page {
			a.entry(s)
		}
		if len(page) < verifyPage {
			break
		}
		next := page[len(page)-1].Index + 1
		if a.back || next <= from { // pages of a forged log that might never end
			a.find(next-1, "moved", "the entries up to %d are not in order: what follows is not read", next-1)
			break
		}
		from = next
	}
	a.finish()
	return a.report, nil
}

type signedHead struct {
	Head
	where string
}

// audit walks a log once, keeping only the right edge of the tree.
type audit struct {
	report Report
	next   int64 // the place expected next
	back   bool  // an entry stood behind a greater place
	edge   []edgeHash
	heads  map[int64][]signedHead
}

type edgeHash struct {
	size int64
	hash tlog.Hash
}

func (a *audit) find(index int64, what, format string, args ...any) {
	if len(a.report.Findings) < maxFindings {
		a.report.Findings = append(a.report.Findings, Finding{Index: index, What: what, Says: fmt.Sprintf(format, args...)})
	}
}

func (a *audit) open(msgs [][]byte, v note.Verifier, where string) {
	for i, msg := range msgs {
		head, err := OpenCheckpoint(msg, v)
		if err != nil {
			a.find(-1, "checkpoint", "checkpoint %d %s does not verify: %v", i, where, err)
			continue
		}
		a.heads[head.Size] = append(a.heads[head.Size], signedHead{head, where})
	}
}

func (a *audit) entry(s Stored) {
	for ; a.next < s.Index && len(a.report.Findings) < maxFindings; a.next++ {
		a.find(a.next, "missing", "entry %d is not there", a.next)
	}
	a.back = a.back || s.Index < a.next
	a.next = s.Index + 1
	leaf := tlog.RecordHash(s.Leaf)
	var e Entry
	switch err := json.Unmarshal(s.Leaf, &e); {
	case err != nil:
		a.find(s.Index, "edited", "entry %d is not an entry any more: %v", s.Index, err)
	case e.Index != s.Index:
		a.find(s.Index, "moved", "at place %d stands entry %d", s.Index, e.Index)
	case e.Tenant != a.report.Tenant:
		a.find(s.Index, "moved", "entry %d belongs to another tenant", s.Index)
	case leaf != s.Hash:
		a.find(s.Index, "edited", "entry %d (%s) is not what was written: its hash differs", s.Index, e.Event)
	case !e.Event.Valid():
		a.find(s.Index, "inserted", "entry %d tells %q, which no ledger writes", s.Index, e.Event)
	}
	a.push(leaf)
	a.compare()
}

// push adds a leaf to the right edge (RFC 6962, section 2.1).
func (a *audit) push(h tlog.Hash) {
	a.report.Size++
	top := edgeHash{1, h}
	for n := len(a.edge); n > 0 && a.edge[n-1].size == top.size; n-- {
		top = edgeHash{2 * top.size, tlog.NodeHash(a.edge[n-1].hash, top.hash)}
		a.edge = a.edge[:n-1]
	}
	a.edge = append(a.edge, top)
}

func (a *audit) root() tlog.Hash {
	if len(a.edge) == 0 {
		return tlog.Hash{}
	}
	h := a.edge[len(a.edge)-1].hash
	for i := len(a.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(a.edge[i].hash, h)
	}
	return h
}

// compare holds the tree so far against the checkpoints of its size.
func (a *audit) compare() {
	for _, head := range a.heads[a.report.Size] {
		a.report.Checkpoints++
		if head.Root == a.root() {
			a.report.Covered = max(a.report.Covered, head.Size)
			continue
		}
		a.find(a.report.Covered, "rewritten",
			"the first %d entries are not those that were signed (checkpoint %s); what changed stands at %d to %d",
			head.Size, head.where, a.report.Covered, head.Size-1)
	}
	delete(a.heads, a.report.Size)
}

func (a *audit) finish() {
	root := a.root()
	a.report.Root = root.String()
	for size, heads := range a.heads {
		if size == 0 {
			continue
		}
		for _, head := range heads {
			a.find(a.report.Size, "cut", "the log ends after %d entries, but %d were signed (checkpoint %s): the tail was cut, or the store rolled back",
				a.report.Size, size, head.where)
		}
	}
}
