package sqlite

import (
	"context"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Bounds of what is remembered; at the bound everything is forgotten, which
// costs reading it again.
const (
	maxRecentRecords = 20_000
	maxRecentHashes  = 10_000
)

// recent is what the writer remembers of the file, so that it does not read
// and open again what it has just written or read. It is right only while
// nobody else writes: each batch asks the database first, and whatever a failed
// job touched is forgotten. Owned by the writer's goroutine.
type recent struct {
	seen    int64 // data_version of the database when the rest was right
	records map[recordPlace]ledger.Record
	sizes   map[ringfence.TenantID]int64
	hashes  map[hashPlace]tlog.Hash
	lists   map[keyPlace]keyed
}

type recordPlace struct {
	tenant ringfence.TenantID
	kind   ledger.Kind
	id     string
}

type hashPlace struct {
	tenant ringfence.TenantID
	at     int64
}

func (c *recent) forget() {
	c.records = map[recordPlace]ledger.Record{}
	c.forgetDerived()
}

// forgetDerived forgets what a failed job may have changed without our knowing
// where.
func (c *recent) forgetDerived() {
	c.lists = map[keyPlace]keyed{}
	c.sizes = map[ringfence.TenantID]int64{}
	c.hashes = map[hashPlace]tlog.Hash{}
}

// check forgets everything when another connection has changed the file since.
// It is called inside the transaction whose reads it covers.
func (c *recent) check(ctx context.Context, db *conn) error {
	stmt, err := db.prepare(ctx, "PRAGMA data_version")
	if err != nil {
		return err
	}
	var now int64
	if err := stmt.QueryRowContext(ctx).Scan(&now); err != nil {
		return err
	}
	if now != c.seen || c.records == nil {
		c.forget()
		c.seen = now
	}
	return nil
}

// undo forgets what a failed job may have changed.
func (c *recent) undo(touched []recordPlace) {
	for _, p := range touched {
		delete(c.records, p)
	}
	c.forgetDerived()
}

func (c *recent) record(p recordPlace) (ledger.Record, bool) {
	if c == nil {
		return ledger.Record{}, false
	}
	r, ok := c.records[p]
	if ok {
		r.Keys = maps.Clone(r.Keys)
		r.Body = slices.Clone(r.Body)
	}
	return r, ok
}

func (c *recent) keep(p recordPlace, r ledger.Record) {
	if c == nil {
		return
	}
	if len(c.records) >= maxRecentRecords {
		clear(c.records)
	}
	r.Keys = maps.Clone(r.Keys)
	r.Body = slices.Clone(r.Body)
	c.records[p] = r
}

func (c *recent) drop(p recordPlace) {
	if c != nil {
		delete(c.records, p)
	}
}

func (c *recent) keepHash(tenant ringfence.TenantID, at int64, h tlog.Hash) {
	if c == nil {
		return
	}
	if len(c.hashes) >= maxRecentHashes {
		clear(c.hashes)
	}
	c.hashes[hashPlace{tenant, at}] = h
}
