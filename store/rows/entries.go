package rows

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence/ledger"
)

// Size implements ledger.LogReader.
func (t *Tx) Size(ctx context.Context) (int64, error) {
	if err := t.usable(false); err != nil {
		return 0, err
	}
	err := t.edge(ctx)
	return max(t.size, 0), err
}

// The insertions of one row, of which a commit has many.
const (
	InsertEntry  = `INSERT INTO entries (tenant_id, place, leaf, event, traversal, release, subject) VALUES (?, ?, ?, ?, ?, ?, ?)`
	InsertHashes = `INSERT INTO hashes (tenant_id, place, hash) VALUES (?, ?, ?)`
	InsertKey    = `INSERT INTO record_keys (tenant_id, kind, blind, sort, id) VALUES (?, ?, ?, ?, ?)`
	InsertRecord = `INSERT INTO records (tenant_id, kind, id, version, subject, sort, sealed) VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING`
)

// Append implements ledger.Appender.
func (t *Tx) Append(ctx context.Context, e ledger.Entry) (int64, error) {
	if err := t.usable(true); err != nil {
		return 0, err
	}
	if !e.Event.Valid() {
		return 0, fmt.Errorf("append: %q is no event of the ledger", e.Event)
	}
	size, err := t.Size(ctx)
	if err != nil {
		return 0, err
	}
	e.Index, e.Tenant = size, t.cfg.Tenant
	if e.At.IsZero() {
		e.At = t.cfg.Now
	}
	leaf, err := e.Leaf()
	if err != nil {
		return 0, fmt.Errorf("append: %v", err)
	}
	hashes, err := tlog.StoredHashes(size, leaf, t)
	if err != nil {
		return 0, t.broke("append", err)
	}
	if err := t.cfg.DB.Exec(ctx, 1, InsertEntry,
		t.cfg.Tenant, size, leaf, e.Event, e.Traversal, e.Release, e.Subject); err != nil {
		return 0, t.broke("append", err)
	}
	if t.wrote != nil {
		t.wrote.appended(e)
	}
	if err := t.putHashes(ctx, tlog.StoredHashIndex(0, size), hashes); err != nil {
		return 0, t.broke("append", err)
	}
	t.size = size + 1
	return size, nil
}

// Entries implements ledger.LogReader.
func (t *Tx) Entries(ctx context.Context, q ledger.EntryQuery) ([]ledger.Entry, error) {
	if err := t.usable(false); err != nil {
		return nil, err
	}
	limit, err := page(q.Limit)
	if err != nil {
		return nil, err
	}
	query, args := `SELECT leaf FROM entries WHERE tenant_id = ?`, []any{t.cfg.Tenant}
	touched := func(f *Flight) bool { return f.place >= 0 }
	for _, by := range [...]struct{ column, value string }{
		{"traversal", string(q.Traversal)}, {"release", string(q.Release)}, {"subject", string(q.Subject)}, {"event", string(q.Event)},
	} {
		if by.value != "" {
			// The second half is what the index of the column is made of: a planner
			// that does not know the value would read the whole ledger.
			query += ` AND ` + by.column + ` = ? AND ` + by.column + ` <> ''`
			args = append(args, by.value)
			touched = func(f *Flight) bool { return f.about[by.value] }
			break
		}
	}
	switch {
	case !q.Desc:
		query += ` AND place >= ? ORDER BY place LIMIT ?`
		args = append(args, q.From)
	case q.From > 0:
		query += ` AND place <= ? ORDER BY place DESC LIMIT ?`
		args = append(args, q.From)
	default:
		query += ` ORDER BY place DESC LIMIT ?`
	}
	var out []ledger.Entry
	err = t.ask(ctx, touched, query, func(s Scanner) error {
		var leaf []byte
		if err := s.Scan(&leaf); err != nil {
			return err
		}
		var e ledger.Entry
		if err := json.Unmarshal(leaf, &e); err != nil {
			return ledger.ErrTampered
		}
		out = append(out, e)
		return nil
	}, append(args, limit)...)
	if err != nil {
		return nil, t.broke("entries", err)
	}
	return out, nil
}
