package web

import (
	"context"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// draftLife is how long a proposal waits for its second signature.
const draftLife = 7 * 24 * time.Hour

// slowSignature tells why as many signatures as are needed are not enough.
const slowSignature = "A signature does not count yet: roles and passkeys of new staff count after their waiting time. Somebody else may sign."

// proposal is a row that waits for signatures, kept under the time it was made.
type proposal interface{ made() time.Time }

// waiting reads a proposal; one past its life is not there.
func waiting[T proposal](ctx context.Context, tx ledger.Tx, kind ledger.Kind, id string) (d T, version int64, err error) {
	if d, version, err = ledger.Read[T](ctx, tx, kind, id); err == nil && tx.Now().Sub(d.made()) > draftLife {
		err = ledger.ErrNotFound
	}
	return d, version, err
}

// eachWaiting calls f with the proposals of a kind that are not past their life.
func eachWaiting[T proposal](ctx context.Context, tx ledger.Tx, kind ledger.Kind, most int, f func(id string, d T)) error {
	rows, err := tx.List(ctx, kind, ledger.Query{Limit: most})
	for i := 0; err == nil && i < len(rows); i++ {
		var d T
		if d, _, err = waiting[T](ctx, tx, kind, rows[i].ID); err == nil {
			f(rows[i].ID, d)
		} else if errors.Is(err, ledger.ErrNotFound) {
			err = nil
		}
	}
	return err
}

// keep writes a proposal over the version that was read; 0 is none.
func keep[T proposal](ctx context.Context, tx ledger.Tx, kind ledger.Kind, id string, version int64, d T) error {
	return ledger.Write(ctx, tx, &ledger.Record{Kind: kind, ID: id, Version: version, Sort: d.made().UnixNano()}, d)
}

// keepAnew writes a proposal in the place of an earlier one and its signatures.
func keepAnew[T proposal](ctx context.Context, tx ledger.Tx, kind ledger.Kind, id string, d T) error {
	old, err := tx.Get(ctx, kind, id)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	return keep(ctx, tx, kind, id, old.Version, d)
}

// dropProposal deletes a proposal.
func dropProposal(ctx context.Context, tx ledger.Tx, kind ledger.Kind, id string) error {
	rec, err := tx.Get(ctx, kind, id)
	if err != nil {
		return err
	}
	return tx.Delete(ctx, kind, id, rec.Version)
}

// sweepProposals drops the proposals past their life, at most most of them, and
// returns how many wait.
func sweepProposals(ctx context.Context, tx ledger.Tx, kind ledger.Kind, most int, drop func(id string) error) (int, error) {
	rows, err := tx.List(ctx, kind, ledger.Query{Limit: most})
	left := len(rows)
	for i := 0; err == nil && i < len(rows); i++ {
		if tx.Now().UnixNano()-rows[i].Sort > int64(draftLife) {
			err = drop(rows[i].ID)
			left--
		}
	}
	return left, err
}

// signers names who signed, and tells whether one of them did.
func signers(sigs []gate.Signature, names map[ringfence.PersonID]string, one ringfence.PersonID) (who []string, mine bool) {
	who = []string{}
	for _, sig := range sigs {
		who, mine = append(who, names[sig.Person]), mine || sig.Person == one
	}
	return who, mine
}
