package sqlite

import (
	"context"
	"database/sql"
	"errors"
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

// Tenants lists the tenants that have a log.
func (a *Audit) Tenants(ctx context.Context) ([]ringfence.TenantID, error) {
	found, err := a.db.QueryContext(ctx, `SELECT DISTINCT tenant_id FROM entries UNION SELECT DISTINCT tenant_id FROM checkpoints ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	defer found.Close()
	var out []ringfence.TenantID
	for found.Next() {
		var id ringfence.TenantID
		if err := found.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, found.Err()
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
	for found.Next() {
		var s ledger.Stored
		if err := found.Scan(&s.Index, &s.Leaf); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	for i := range out {
		if err := l.hash(ctx, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hash reads the leaf hash kept beside an entry; a missing or short one stays
// zero, which no leaf has.
func (l auditLog) hash(ctx context.Context, s *ledger.Stored) error {
	var raw []byte
	err := l.db.QueryRowContext(ctx, `SELECT hash FROM hashes WHERE tenant_id = ? AND place = ?`, l.tenant, tlog.StoredHashIndex(0, s.Index)).Scan(&raw)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case len(raw) == tlog.HashSize:
		s.Hash = tlog.Hash(raw)
	}
	return nil
}

func (l auditLog) Checkpoints(ctx context.Context) ([][]byte, error) {
	found, err := l.db.QueryContext(ctx, `SELECT note FROM checkpoints WHERE tenant_id = ? ORDER BY size`, l.tenant)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var out [][]byte
	for found.Next() {
		var msg []byte
		if err := found.Scan(&msg); err != nil {
			return nil, err
		}
		out = append(out, msg)
	}
	return out, found.Err()
}
