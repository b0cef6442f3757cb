package runner

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// sameKeys is how many calls whose references are keyed alike are looked at.
const sameKeys = 16

// Confirmed is a call that WE placed, as it is confirmed to whoever was rung. The
// zero value confirms nothing.
type Confirmed struct {
	At     time.Time // when it was placed
	Action string    // the type of action it was about; empty = none
	Ours   bool
}

// Confirm tells whoever was rung that a call was ours: one that WE placed, to a
// number with these last four digits, which goes on still or ended within 15
// minutes. A wrong reference and a wrong number are answered alike.
func (r *Runner) Confirm(ctx context.Context, tenant ringfence.TenantID, reference, tail string) (at time.Time, ours bool, err error) {
	p, err := r.confirm(ctx, tenant, ledger.Query{Key: "reference", Value: reference, Limit: 1}, tail)
	return p.At, p.Ours, err
}

// ConfirmKeyed is Confirm for a reference keyed on a telephone; see
// ringfence.Keypad. Of calls with the same keys and the same last four digits
// it confirms the newest: each of them was ours.
func (r *Runner) ConfirmKeyed(ctx context.Context, tenant ringfence.TenantID, keys, tail string) (Confirmed, error) {
	return r.confirm(ctx, tenant, ledger.Query{Key: "keypad", Value: keys, Limit: sameKeys}, tail)
}

func (r *Runner) confirm(ctx context.Context, tenant ringfence.TenantID, q ledger.Query, tail string) (p Confirmed, err error) {
	if q.Value == "" || len(tail) != 4 {
		return Confirmed{}, nil
	}
	err = r.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		p, q.Desc, q.From = Confirmed{}, true, tx.Now().Add(-referenceLife).UnixNano()
		recs, err := tx.List(ctx, kindReference, q)
		if err != nil {
			return err
		}
		for _, rec := range recs {
			row, _, err := ledger.Read[storedReference](ctx, tx, kindReference, rec.ID)
			if err != nil {
				return err
			}
			if !p.Ours && row.confirms(tail, tx.Now()) {
				p = Confirmed{At: row.At, Action: row.Action, Ours: true}
			}
		}
		return nil
	})
	if err != nil {
		return Confirmed{}, err
	}
	return p, nil
}

// confirms reports whether the call is confirmed now to who knows tail.
func (s storedReference) confirms(tail string, now time.Time) bool {
	until := s.Ended.Add(confirmLife)
	if s.Ended.IsZero() { // it goes on, here or on another node, or its node died
		until = s.At.Add(30*time.Minute + confirmLife)
	}
	return subtle.ConstantTimeCompare([]byte(tail), []byte(s.Tail)) == 1 && now.Before(until)
}
