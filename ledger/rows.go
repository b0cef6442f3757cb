package ledger

import (
	"context"
	"encoding/json"
	"fmt"
)

// Read decodes the record of kind and id into a T and returns its version.
// It returns ErrNotFound and ErrTampered as Get does.
func Read[T any](ctx context.Context, tx Tx, kind Kind, id string) (T, int64, error) {
	var row T
	rec, err := tx.Get(ctx, kind, id)
	if err != nil {
		return row, 0, err
	}
	row, err = Decode[T](rec)
	return row, rec.Version, err
}

// Decode reads the body of a record.
func Decode[T any](rec Record) (row T, err error) {
	if err := json.Unmarshal(rec.Body, &row); err != nil {
		return row, fmt.Errorf("%s %s: %v", rec.Kind, rec.ID, err)
	}
	return row, nil
}

// Write encodes row as the body of r and puts it; r carries kind, id, version
// and keys, and has the new version afterwards.
func Write(ctx context.Context, tx Tx, r *Record, row any) error {
	body, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("%s %s: %v", r.Kind, r.ID, err)
	}
	r.Body = body
	return tx.Put(ctx, r)
}
