package ledgertest

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// ErrStumbled is what an operation of Stumbling fails with.
var ErrStumbled = errors.New("ledgertest: the store does not answer")

// Stumbling is a store that, before it runs a transaction, runs it once for each
// of its operations with an error from there, and wants each of these runs to
// end with an error: not finding out means no (invariant 21). A transaction may run
// more than once by the contract of ledger.Store. What tests write through the
// store itself is not disturbed: this stands between it and the room under test.
type Stumbling struct {
	ledger.Store
	T testing.TB // is told of transactions that went on
}

// Update implements ledger.Store.
func (s Stumbling) Update(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	return s.try(f, func(f func(ledger.Tx) error) error { return s.Store.Update(ctx, tenant, f) })
}

// View implements ledger.Store.
func (s Stumbling) View(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	return s.try(f, func(f func(ledger.Tx) error) error { return s.Store.View(ctx, tenant, f) })
}

func (s Stumbling) try(f func(ledger.Tx) error, run func(func(ledger.Tx) error) error) error {
	for at := 1; ; at++ {
		var tx *stumblingTx
		err := run(func(inner ledger.Tx) error {
			tx = &stumblingTx{Tx: inner, left: at}
			err := f(tx)
			if tx.failed != "" && err == nil {
				s.T.Errorf("operation %d (%s) failed and the transaction went on", at, tx.failed)
				return ErrStumbled
			}
			return err
		})
		if tx == nil || tx.failed == "" {
			return err
		}
	}
}

type stumblingTx struct {
	ledger.Tx
	left   int
	failed string
}

// falls tells whether this operation is the one that fails.
func (s *stumblingTx) falls(what string) error {
	if s.left--; s.left != 0 {
		return nil
	}
	s.failed = what
	return ErrStumbled
}

func (s *stumblingTx) Append(ctx context.Context, e ledger.Entry) (int64, error) {
	if err := s.falls("append " + string(e.Event)); err != nil {
		return 0, err
	}
	return s.Tx.Append(ctx, e)
}

func (s *stumblingTx) Get(ctx context.Context, kind ledger.Kind, id string) (ledger.Record, error) {
	if err := s.falls("get " + string(kind)); err != nil {
		return ledger.Record{}, err
	}
	return s.Tx.Get(ctx, kind, id)
}

func (s *stumblingTx) Put(ctx context.Context, r *ledger.Record) error {
	if err := s.falls("put " + string(r.Kind)); err != nil {
		return err
	}
	return s.Tx.Put(ctx, r)
}

func (s *stumblingTx) Delete(ctx context.Context, kind ledger.Kind, id string, version int64) error {
	if err := s.falls("delete " + string(kind)); err != nil {
		return err
	}
	return s.Tx.Delete(ctx, kind, id, version)
}

func (s *stumblingTx) List(ctx context.Context, kind ledger.Kind, q ledger.Query) ([]ledger.Record, error) {
	if err := s.falls("list " + string(kind)); err != nil {
		return nil, err
	}
	return s.Tx.List(ctx, kind, q)
}

func (s *stumblingTx) Size(ctx context.Context) (int64, error) {
	if err := s.falls("size"); err != nil {
		return 0, err
	}
	return s.Tx.Size(ctx)
}

func (s *stumblingTx) Entries(ctx context.Context, q ledger.EntryQuery) ([]ledger.Entry, error) {
	if err := s.falls("entries"); err != nil {
		return nil, err
	}
	return s.Tx.Entries(ctx, q)
}

func (s *stumblingTx) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	if err := s.falls("hashes"); err != nil {
		return nil, err
	}
	return s.Tx.ReadHashes(indexes)
}
