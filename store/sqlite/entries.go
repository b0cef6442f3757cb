package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence/ledger"
)

func (t *tx) Size(ctx context.Context) (int64, error) {
	if err := t.usable(false); err != nil {
		return 0, err
	}
	if t.recent != nil {
		if size, ok := t.recent.sizes[t.tenant]; ok {
			return size, nil
		}
	}
	stmt, err := t.conn.prepare(ctx, `SELECT COALESCE(MAX(place) + 1, 0) FROM entries WHERE tenant_id = ?`)
	if err != nil {
		return 0, t.broke("size", err)
	}
	var size int64
	if err := stmt.QueryRowContext(ctx, t.tenant).Scan(&size); err != nil {
		return 0, t.broke("size", err)
	}
	return size, nil
}

func (t *tx) Append(ctx context.Context, e ledger.Entry) (int64, error) {
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
	e.Index, e.Tenant = size, t.tenant
	if e.At.IsZero() {
		e.At = t.now
	}
	leaf, err := e.Leaf()
	if err != nil {
		return 0, fmt.Errorf("append: %v", err)
	}
	hashes, err := tlog.StoredHashes(size, leaf, t)
	if err != nil {
		return 0, t.broke("append", err)
	}
	if err := t.conn.exec(ctx, `INSERT INTO entries (tenant_id, place, leaf, event, traversal, release, subject) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		t.tenant, size, leaf, e.Event, e.Traversal, e.Release, e.Subject); err != nil {
		return 0, t.broke("append", err)
	}
	first := tlog.StoredHashIndex(0, size)
	for i, h := range hashes {
		if err := t.conn.exec(ctx, `INSERT INTO hashes (tenant_id, place, hash) VALUES (?, ?, ?)`, t.tenant, first+int64(i), h[:]); err != nil {
			return 0, t.broke("append", err)
		}
		t.recent.keepHash(t.tenant, first+int64(i), h)
	}
	t.recent.sizes[t.tenant] = size + 1
	return size, nil
}

func (t *tx) Entries(ctx context.Context, q ledger.EntryQuery) ([]ledger.Entry, error) {
	if err := t.usable(false); err != nil {
		return nil, err
	}
	limit, err := page(q.Limit)
	if err != nil {
		return nil, err
	}
	query, args := `SELECT leaf FROM entries WHERE tenant_id = ?`, []any{t.tenant}
	for _, by := range [...]struct{ column, value string }{
		{"traversal", string(q.Traversal)}, {"release", string(q.Release)}, {"subject", string(q.Subject)}, {"event", string(q.Event)},
	} {
		if by.value != "" {
			query += ` AND ` + by.column + ` = ?`
			args = append(args, by.value)
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
	stmt, err := t.conn.prepare(ctx, query)
	if err != nil {
		return nil, t.broke("entries", err)
	}
	rows, err := stmt.QueryContext(ctx, append(args, limit)...)
	if err != nil {
		return nil, t.broke("entries", err)
	}
	defer rows.Close()
	var out []ledger.Entry
	for rows.Next() {
		var leaf []byte
		if err := rows.Scan(&leaf); err != nil {
			return nil, t.broke("entries", err)
		}
		var e ledger.Entry
		if err := json.Unmarshal(leaf, &e); err != nil {
			return nil, ledger.ErrTampered
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, t.broke("entries", err)
	}
	return out, nil
}
