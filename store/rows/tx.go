package rows

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
)

// Config is what a transaction stands on.
type Config struct {
	DB     DB
	Keys   *Keys
	Tenant ringfence.TenantID
	Now    time.Time
	// Recent is what the writer remembers, who excludes all others while it
	// writes. A View gets one of its own.
	Recent *Recent
	// ReadOnly refuses to write.
	ReadOnly bool
	// Hopeful says that the store runs everything again, without it, if a change
	// turns out not to be possible: then no answer is waited for, neither to the
	// insertion of a record that may be there nor at the end of a transaction.
	Hopeful bool
	// Ahead is set for a transaction that runs before those it follows are
	// committed; nil means that DB answers for them too.
	Ahead *Ahead
}

// Tx is one transaction; it implements ledger.Tx. A failed statement makes it
// fail as a whole, also when the callback overlooks the error.
type Tx struct {
	cfg   Config
	ctx   context.Context // for ReadHashes, whose interface takes none; ends with the callback
	over  bool
	err   error
	after []func()
	gone  map[place]bool // asked for and not there
	// touched and listed are what Recent may have wrong if it fails.
	touched []place
	listed  []keyPlace
	raised  []*ledger.Record // whose version Put has raised
	size    int64            // of the log, with what was appended here; -1 = not asked yet
	turn    int64            // of the keys; known when size is
	fresh   map[int64]tlog.Hash
	boxes   map[owner]*seal.Box // opened or made here
	wrote   *Flight             // nil unless it runs ahead
}

type place struct {
	kind ledger.Kind
	id   string
}

// Begin returns a transaction for Run.
func Begin(ctx context.Context, cfg Config) *Tx {
	t := &Tx{cfg: cfg, ctx: ctx, size: -1, gone: map[place]bool{}, fresh: map[int64]tlog.Hash{}, boxes: map[owner]*seal.Box{}}
	if cfg.Ahead != nil {
		t.wrote = NewFlight()
	}
	return t
}

// Run runs f, and what f put off. Its error means that nothing of the
// transaction may be kept. A panic of f is its error: a writer serves
// everybody and must not die of one.
func (t *Tx) Run(f func(ledger.Tx) error) error {
	err := t.safely(f)
	if err == nil && t.err == nil && !t.cfg.ReadOnly && !t.cfg.Hopeful {
		if err := t.cfg.DB.Flush(t.ctx); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if err == nil {
		err = t.err
	}
	return err
}

func (t *Tx) safely(f func(ledger.Tx) error) (err error) {
	defer func() {
		t.over = true
		switch p := recover(); p {
		case nil:
		case errLater:
			t.err, err = errLater, errLater
		default:
			err = fmt.Errorf("transaction panicked: %v", ringfence.Panicked(p))
		}
	}()
	return f(t)
}

// Broken reports whether the store failed, as against f having said no.
func (t *Tx) Broken() bool { return t.err != nil }

// Committed runs what OnCommit registered, on the goroutine of the caller.
func (t *Tx) Committed() {
	for _, f := range t.after {
		f()
	}
}

// Now implements ledger.Tx.
func (t *Tx) Now() time.Time { return t.cfg.Now }

// OnCommit implements ledger.Tx.
func (t *Tx) OnCommit(f func()) { t.after = append(t.after, f) }

// usable refuses writes in a View and any use after the callback returned.
func (t *Tx) usable(write bool) error {
	switch {
	case t.over:
		return errors.New("transaction used after its end")
	case write && t.cfg.ReadOnly:
		return ledger.ErrReadOnly
	default:
		return nil
	}
}

// broke remembers a failure of the store, as against an answer.
func (t *Tx) broke(what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if t.err == nil {
		t.err = err
	}
	return err
}

func (t *Tx) row(kind ledger.Kind, id string, version int64) seal.Row {
	return seal.Row{Tenant: string(t.cfg.Tenant), Kind: string(kind), ID: id, Version: version}
}

// isText reports whether every database takes s as text. An id that comes
// from outside and is none names no row.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

const readRecord = `SELECT version, subject, sort, sealed FROM records WHERE tenant_id = ? AND kind = ? AND id = ?`

// Get implements ledger.Records.
func (t *Tx) Get(ctx context.Context, kind ledger.Kind, id string) (ledger.Record, error) {
	if err := t.usable(false); err != nil {
		return ledger.Record{}, err
	}
	if !isText(id) {
		return ledger.Record{}, ledger.ErrNotFound
	}
	if known, ok := t.recent(kind, id); ok {
		return known, nil
	}
	r, found := sealedRecord{Record: ledger.Record{Kind: kind, ID: id}}, false
	at := place{kind, id}
	err := t.ask(ctx, func(f *Flight) bool { return f.records[at] }, readRecord, func(s Scanner) error {
		found = true
		return s.Scan(&r.Version, &r.Subject, &r.Sort, &r.sealed)
	}, t.cfg.Tenant, kind, id)
	if err != nil {
		return ledger.Record{}, t.broke("get", err)
	}
	if !found {
		t.gone[at] = true
		return ledger.Record{}, ledger.ErrNotFound
	}
	return t.open(ctx, r)
}

func (t *Tx) open(ctx context.Context, r sealedRecord) (ledger.Record, error) {
	box, err := t.box(ctx, r.Subject, false)
	if err != nil {
		return ledger.Record{}, err
	}
	c, err := openContent(box, r, t.row(r.Kind, r.ID, r.Version))
	if err != nil {
		return ledger.Record{}, err
	}
	r.Body, r.Keys = c.body, c.keys
	t.keep(r.Record)
	return r.Record, nil
}

// recent is what the writer remembers of a record; a View asks the database.
func (t *Tx) recent(kind ledger.Kind, id string) (ledger.Record, bool) {
	if t.cfg.ReadOnly || t.edge(t.ctx) != nil {
		return ledger.Record{}, false
	}
	return t.cfg.Recent.record(place{kind, id})
}

func (t *Tx) keep(r ledger.Record) {
	if !t.cfg.ReadOnly {
		t.cfg.Recent.keep(place{r.Kind, r.ID}, r)
	}
}
