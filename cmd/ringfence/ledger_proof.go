package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/sqlite"
)

// openLog opens a data folder, or an exported log, without any key.
func openLog(path string, tenant ringfence.TenantID) (ledger.Source, func() error, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		audit, err := sqlite.OpenAudit(path)
		if err != nil {
			return nil, nil, err
		}
		return audit.Log(tenant), audit.Close, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b, err := ledger.ReadBundle(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if b.Tenant != tenant {
		return nil, nil, fmt.Errorf("%s is the log of tenant %s: say --tenant %s", path, b.Tenant, b.Tenant)
	}
	return b, func() error { return nil }, nil
}

// ledgerExportCmd writes a log into one file.
type ledgerExportCmd struct {
	Dir    string `arg:"" help:"Data folder." type:"existingdir"`
	File   string `arg:"" help:"Where to; - for standard output."`
	Tenant string `default:"default" help:"Tenant."`
}

// Run exports.
func (c *ledgerExportCmd) Run(ctx context.Context) (err error) {
	src, done, err := openLog(c.Dir, ringfence.TenantID(c.Tenant))
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	defer func() { err = errors.Join(err, done()) }()
	if c.File == "-" {
		return ledger.Export(ctx, ringfence.TenantID(c.Tenant), src, os.Stdout)
	}
	f, err := os.OpenFile(c.File, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	return errors.Join(ledger.Export(ctx, ringfence.TenantID(c.Tenant), src, f), f.Sync(), f.Close())
}

// ledgerProveCmd makes or checks the proof of one entry. Exit 0: proved, or
// the proof holds; 1: it does not; 2: misused.
type ledgerProveCmd struct {
	From    string `arg:"" optional:"" help:"Data folder, or an exported log." type:"path"`
	Index   int64  `default:"-1" help:"Which entry; or name its release." placeholder:"N"`
	Release string `help:"Prove every entry of a release." placeholder:"ID"`
	Key     string `help:"Verifier key, or a file with it. Default: from the folder's own keys." placeholder:"KEY"`
	Name    string `default:"ringfence" help:"ledger.name of the configuration, when the key comes from the folder."`
	Check   string `type:"existingfile" help:"Check this proof instead; needs --key." placeholder:"FILE"`
	Tenant  string `default:"default" help:"Tenant."`
}

// provenEntry is an entry with its proof, as it is printed: one JSON line.
type provenEntry struct {
	Entry json.RawMessage `json:"entry"` // exact bytes
	Proof string          `json:"proof"` // C2SP tlog-proof
}

// Run proves, or checks.
func (c *ledgerProveCmd) Run(ctx context.Context) error {
	if c.Check != "" {
		return c.check()
	}
	if c.From == "" || (c.Index < 0) == (c.Release == "") {
		return &exitError{code: 2, text: "want a data folder or an exported log, and --index N or --release ID"}
	}
	out, err := c.prove(ctx)
	if err != nil {
		return &exitError{code: 1, text: err.Error()}
	}
	for _, p := range out {
		line, err := json.Marshal(p)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

func (c *ledgerProveCmd) prove(ctx context.Context) (out []provenEntry, err error) {
	src, done, err := openLog(c.From, ringfence.TenantID(c.Tenant))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	hashes, size, err := ledger.Rebuild(ctx, src)
	if err != nil {
		return nil, err
	}
	head, checkpoint, err := c.newest(ctx, src, hashes)
	if err != nil {
		return nil, err
	}
	for from := int64(0); from < size; {
		page, err := src.Stored(ctx, from, 1000)
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			from = s.Index + 1
			if !c.wants(s) {
				continue
			}
			p, err := ledger.Prove(hashes, s.Index, head, checkpoint)
			if err != nil {
				return nil, err
			}
			out = append(out, provenEntry{Entry: s.Leaf, Proof: string(p.Text())})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no such entry among %d", size)
	}
	return out, nil
}

func (c *ledgerProveCmd) wants(s ledger.Stored) bool {
	if c.Release == "" {
		return s.Index == c.Index
	}
	var e ledger.Entry
	return json.Unmarshal(s.Leaf, &e) == nil && string(e.Release) == c.Release
}

// newest is the greatest checkpoint of the log's key that the log agrees with.
func (c *ledgerProveCmd) newest(ctx context.Context, src ledger.Source, hashes ledger.Hashes) (ledger.Head, []byte, error) {
	v, err := logVerifier(c.Key, c.From, c.Name, ringfence.TenantID(c.Tenant))
	if err != nil {
		return ledger.Head{}, nil, err
	}
	notes, err := src.Checkpoints(ctx)
	if err != nil {
		return ledger.Head{}, nil, err
	}
	for _, msg := range slices.Backward(notes) {
		head, err := ledger.OpenCheckpoint(msg, v)
		if err != nil || head.Size == 0 {
			continue
		}
		if root, err := tlog.TreeHash(head.Size, hashes); err == nil && root == head.Root {
			return head, msg, nil
		}
	}
	return ledger.Head{}, nil, errors.New("no checkpoint that this key signed agrees with the log: verify it first")
}

// check checks the lines that Run printed.
func (c *ledgerProveCmd) check() error {
	if c.Key == "" {
		return &exitError{code: 2, text: "--check needs --key: a proof that brings its own key proves nothing"}
	}
	v, err := logVerifier(c.Key, "", c.Name, ringfence.TenantID(c.Tenant))
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	raw, err := os.ReadFile(c.Check)
	if err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	n := 0
	for line := range bytes.Lines(raw) {
		var p provenEntry
		if err := json.Unmarshal(line, &p); err != nil {
			return &exitError{code: 2, text: fmt.Sprintf("line %d is none that ledger prove prints", n+1)}
		}
		proof, err := ledger.ReadProof([]byte(p.Proof))
		if err != nil {
			return &exitError{code: 1, text: err.Error()}
		}
		head, err := proof.Check(p.Entry, v)
		if err != nil {
			return &exitError{code: 1, text: fmt.Sprintf("line %d: %v", n+1, err)}
		}
		n++
		fmt.Printf("entry %d stands in the log of %d entries that %s signed\n", proof.Index, head.Size, v.Name())
	}
	if n == 0 {
		return &exitError{code: 2, text: "the file is empty"}
	}
	return nil
}
