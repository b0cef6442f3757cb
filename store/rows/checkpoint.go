package rows

import (
	"context"
	"errors"

	"github.com/ringfence/ringfence/ledger"
)

// errForeign is returned for a transaction of another store.
var errForeign = errors.New("rows: not a transaction of this store")

// SaveCheckpoint keeps a signed checkpoint beside the log of the transaction.
func SaveCheckpoint(ctx context.Context, tx ledger.Tx, size int64, note []byte) error {
	t, ok := tx.(*Tx)
	if !ok {
		return errForeign
	}
	if err := t.usable(true); err != nil {
		return err
	}
	if err := t.cfg.DB.Exec(ctx, Any, `INSERT INTO checkpoints (tenant_id, size, note) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, t.cfg.Tenant, size, note); err != nil {
		return t.broke("checkpoint", err)
	}
	return nil
}

// Checkpoint returns the newest signed checkpoint, nil when there is none.
func Checkpoint(ctx context.Context, tx ledger.Tx) (note []byte, err error) {
	t, ok := tx.(*Tx)
	if !ok {
		return nil, errForeign
	}
	err = t.ask(ctx, always, `SELECT note FROM checkpoints WHERE tenant_id = ? ORDER BY size DESC LIMIT 1`, func(s Scanner) error { return s.Scan(&note) }, t.cfg.Tenant)
	if err != nil {
		return nil, t.broke("checkpoint", err)
	}
	return note, nil
}
