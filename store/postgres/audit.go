package postgres

import (
	"context"

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
