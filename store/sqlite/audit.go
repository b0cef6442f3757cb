package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
)

// SaveCheckpoint keeps a signed checkpoint of a tenant's log beside it.
func (s *Store) SaveCheckpoint(ctx context.Context, tenant ringfence.TenantID, size int64, note []byte) error {
	return s.Update(ctx, tenant, func(t ledger.Tx) error { return rows.SaveCheckpoint(ctx, t, size, note) })
}

// Checkpoint returns the newest signed checkpoint kept for a tenant's log, nil
// when there is none.
func (s *Store) Checkpoint(ctx context.Context, tenant ringfence.TenantID) (note []byte, err error) {
	err = s.View(ctx, tenant, func(t ledger.Tx) (err error) {
		note, err = rows.Checkpoint(ctx, t)
		return err
	})
	return note, err
}

// Audit reads the logs of a copied data folder without any key and without
// changing a byte of it.
type Audit struct{ db *sql.DB }

// OpenAudit opens the database of a data folder for reading. It fails when
// there is none.
func OpenAudit(dir string) (*Audit, error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no ledger in %s: %w", dir, err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	return &Audit{db: db}, nil
}

// Close closes the file.
func (a *Audit) Close() error { return a.db.Close() }

// tenants goes from one tenant to the next by the index, past the entries.
const tenants = `WITH RECURSIVE
  e (id) AS (SELECT MIN(tenant_id) FROM entries UNION ALL SELECT (SELECT MIN(tenant_id) FROM entries WHERE tenant_id > e.id) FROM e WHERE e.id IS NOT NULL),
  c (id) AS (SELECT MIN(tenant_id) FROM checkpoints UNION ALL SELECT (SELECT MIN(tenant_id) FROM checkpoints WHERE tenant_id > c.id) FROM c WHERE c.id IS NOT NULL)
SELECT id FROM e WHERE id IS NOT NULL UNION SELECT id FROM c WHERE id IS NOT NULL ORDER BY 1`

// Tenants lists the tenants that have a log.
func (a *Audit) Tenants(ctx context.Context) ([]ringfence.TenantID, error) {
	found, err := a.db.QueryContext(ctx, tenants)
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	defer found.Close()
	var out []ringfence.TenantID
	err = rows.Each(found, func(r rows.Scanner) error {
		var id ringfence.TenantID
		err := r.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}

// Log returns one tenant's log as it lies there.
func (a *Audit) Log(tenant ringfence.TenantID) ledger.Source { return auditLog{a.db, tenant} }

type auditLog struct {
	db     *sql.DB
	tenant ringfence.TenantID
}

func (l auditLog) Stored(ctx context.Context, from int64, limit int) ([]ledger.Stored, error) {
	found, err := l.db.QueryContext(ctx, `SELECT place, leaf FROM entries WHERE tenant_id = ? AND place >= ? ORDER BY place LIMIT ?`, l.tenant, from, limit)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var out []ledger.Stored
	err = rows.Each(found, func(r rows.Scanner) error {
		var s ledger.Stored
		err := r.Scan(&s.Index, &s.Leaf)
		out = append(out, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, l.hashes(ctx, out)
}

// hashes reads the leaf hashes kept beside entries; a missing or short one
// stays zero, which no leaf has.
func (l auditLog) hashes(ctx context.Context, of []ledger.Stored) error {
	if len(of) == 0 {
		return nil
	}
	kept := map[int64]tlog.Hash{}
	// A row holds at most the 64 hashes of one entry, and an entry has two on
	// average; a gap that somebody made must not read the whole ledger.
	from, to := tlog.StoredHashIndex(0, of[0].Index)-64, tlog.StoredHashIndex(0, of[len(of)-1].Index)
	found, err := l.db.QueryContext(ctx, `SELECT place, hash FROM hashes WHERE tenant_id = ? AND place BETWEEN ? AND ? ORDER BY place LIMIT ?`, l.tenant, from, to, 2*len(of)+128)
	if err != nil {
		return err
	}
	defer found.Close()
	err = rows.Each(found, func(r rows.Scanner) error {
		var first int64
		var row []byte
		if err := r.Scan(&first, &row); err != nil {
			return err
		}
		for i := first; ; i++ {
			h, ok := rows.PickHash(first, row, i)
			if !ok {
				return nil
			}
			kept[i] = h
		}
	})
	for i := range of {
		of[i].Hash = kept[tlog.StoredHashIndex(0, of[i].Index)]
	}
	return err
}

func (l auditLog) Checkpoints(ctx context.Context) ([][]byte, error) {
	found, err := l.db.QueryContext(ctx, `SELECT note FROM checkpoints WHERE tenant_id = ? ORDER BY size`, l.tenant)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var out [][]byte
	err = rows.Each(found, func(r rows.Scanner) error {
		var msg []byte
		err := r.Scan(&msg)
		out = append(out, msg)
		return err
	})
	return out, err
}
