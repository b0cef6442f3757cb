package verify

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// endEvent is the ledger's word for a final state.
func endEvent(s State) Event {
	switch s {
	case StateDuress:
		return "challenge.satisfied" // invariant 26
	default:
		return Event("challenge." + string(s))
	}
}

// endInto moves an open r to a final state with its entry, its alarm and its
// wake-up.
func (v *Verifier) endInto(ctx context.Context, tx Tx, r *row, version int64, s State, why string) error {
	r.State, r.Why, r.EndedAt, r.Private = s, why, tx.Now(), nil
	if err := entry(ctx, tx, *r, endEvent(s), nil); err != nil {
		return err
	}
	switch s {
	case StateRejected:
		if err := giveBack(ctx, tx, *r); err != nil {
			return err
		}
		if err := raise(ctx, tx, *r, AlarmRejected); err != nil {
			return err
		}
	case StateDiverted:
		if err := raise(ctx, tx, *r, AlarmDiverted); err != nil {
			return err
		}
	}
	res := r.result(r.standing())
	res.At = r.EndedAt
	v.wake(tx, res)
	return saveRow(ctx, tx, *r, version)
}

func (v *Verifier) end(ctx context.Context, tx Tx, r row, version int64, s State, why string) error {
	return v.endInto(ctx, tx, &r, version, s, why)
}

func (v *Verifier) wake(tx Tx, res Result) { tx.OnCommit(func() { v.watchers.tell(res) }) }

// over reports whether r is final, and makes it expired when its time has
// come.
func (v *Verifier) over(ctx context.Context, tx Tx, r *row, version int64) (bool, error) {
	if r.State.Final() {
		return true, nil
	}
	if tx.Now().Before(r.ExpiresAt) {
		return false, nil
	}
	return true, v.endInto(ctx, tx, r, version, StateExpired, "")
}

// finish ends an open challenge from outside; a final one stays as it is.
func (v *Verifier) finish(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, s State, why string) (Result, error) {
	var res Result
	err := v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		r, version, err := loadRow(ctx, tx, id)
		if err != nil {
			return err
		}
		if !r.State.Final() {
			if err := v.endInto(ctx, tx, &r, version, s, why); err != nil {
				return err
			}
		}
		res = r.result(r.standing())
		res.At = r.EndedAt
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

// Cancel ends a challenge that nobody waits for any more. why is one word for
// the record.
func (v *Verifier) Cancel(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, why string) (Result, error) {
	return v.finish(ctx, tenant, id, StateCancelled, why)
}

// Expire ends a challenge whose wait in the flow is over before its life is.
func (v *Verifier) Expire(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) (Result, error) {
	return v.finish(ctx, tenant, id, StateExpired, "")
}

// Undeliverable ends a challenge whose leg could not be placed or was not
// answered.
func (v *Verifier) Undeliverable(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, why string) (Result, error) {
	return v.finish(ctx, tenant, id, StateUndeliverable, why)
}

// Diverted ends a challenge whose leg went elsewhere (invariant 17), and
// raises the alarm that holds its release.
func (v *Verifier) Diverted(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) (Result, error) {
	return v.finish(ctx, tenant, id, StateDiverted, "")
}

// Reject ends a challenge because the person reached said that it was not
// them. Also a challenge that is satisfied already can be rejected: its alarm
// is raised, and whichever of reject and redeem commits first wins.
func (v *Verifier) Reject(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) (Result, error) {
	var res Result
	err := v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		r, version, err := loadRow(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case r.State == StateRejected || r.State == StateDuress || r.State == StateDiverted || r.Why == whyCloned: // alarm raised already
		case r.State.Final():
			if err := v.late(ctx, tx, r); err != nil {
				return err
			}
		default:
			if err := v.endInto(ctx, tx, &r, version, StateRejected, ""); err != nil {
				return err
			}
		}
		res = r.result(OutcomeRejected)
		res.At = tx.Now()
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

// late raises the alarm of a reject that came after the end, once.
func (v *Verifier) late(ctx context.Context, tx Tx, r row) error {
	_, version, err := load[Alarm](ctx, tx, KindAlarm, string(r.ID))
	if err != nil || version != 0 {
		return err
	}
	if err := entry(ctx, tx, r, "challenge.rejected", nil); err != nil {
		return err
	}
	return raise(ctx, tx, r, AlarmRejected)
}

// Lookup reads a challenge. It returns ErrNotFound for one that is not there
// or is another tenant's.
func (v *Verifier) Lookup(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) (Challenge, error) {
	var r row
	err := v.cfg.Store.View(ctx, tenant, func(tx Tx) (err error) {
		r, _, err = loadRow(ctx, tx, id)
		return err
	})
	if err != nil {
		return Challenge{}, err
	}
	return r.public(), nil
}

// FindLink finds the open challenge behind the SHA-256 of a link token. It
// spends nothing.
func (v *Verifier) FindLink(ctx context.Context, tenant ringfence.TenantID, hash string) (Challenge, error) {
	var r row
	err := v.cfg.Store.View(ctx, tenant, func(tx Tx) error {
		recs, err := tx.List(ctx, KindChallenge, Query{Key: "link", Value: hash, Limit: 2})
		if err != nil {
			return err
		}
		if len(recs) != 1 {
			return ErrNotFound
		}
		return json.Unmarshal(recs[0].Body, &r)
	})
	if err != nil {
		return Challenge{}, err
	}
	return r.public(), nil
}

// CancelAll ends every open challenge of a traversal, as its end does.
func (v *Verifier) CancelAll(ctx context.Context, tenant ringfence.TenantID, traversal ringfence.TraversalID) error {
	return v.sweep(ctx, tenant, Query{Key: "traversal", Value: string(traversal)}, StateCancelled, whyLeft)
}

// Any reports whether a traversal has had a challenge, open or not: whether
// CancelAll can have anything to do. It asks in the caller's transaction.
func Any(ctx context.Context, tx Tx, traversal ringfence.TraversalID) (bool, error) {
	recs, err := tx.List(ctx, KindChallenge, Query{Key: "traversal", Value: string(traversal), Limit: 1})
	return len(recs) > 0, err
}

// CancelRelease ends every open challenge of a release that is no longer open.
func (v *Verifier) CancelRelease(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) error {
	return v.sweep(ctx, tenant, Query{Key: "release", Value: string(release)}, StateCancelled, whyRelease)
}

// Tick ends the challenges whose life is over; call it every few seconds.
// Answers are judged by their own time in any case.
func (v *Verifier) Tick(ctx context.Context, tenant ringfence.TenantID) error {
	return v.sweep(ctx, tenant, Query{Key: "open", Value: "yes"}, StateExpired, "")
}

func (v *Verifier) sweep(ctx context.Context, tenant ringfence.TenantID, q Query, s State, why string) error {
	due := func(r row, tx Tx) bool {
		return !r.State.Final() && (s != StateExpired || !tx.Now().Before(r.ExpiresAt))
	}
	var ids []ringfence.ChallengeID
	err := v.cfg.Store.View(ctx, tenant, func(tx Tx) error {
		if s == StateExpired {
			q.To = tx.Now().UnixNano() + 1
		}
		ids = nil
		rows, err := ledger.Rows[row](ctx, tx, KindChallenge, q)
		for _, r := range rows {
			if due(r, tx) {
				ids = append(ids, r.ID)
			}
		}
		return err
	})
	for some := range slices.Chunk(ids, sweepPage) {
		if err == nil {
			err = v.cfg.Store.Update(ctx, tenant, func(tx Tx) error { return v.endEach(ctx, tx, some, due, s, why) })
		}
	}
	return err
}

// sweepPage is how many challenges end in one transaction.
const sweepPage = 200

func (v *Verifier) endEach(ctx context.Context, tx Tx, ids []ringfence.ChallengeID, due func(row, Tx) bool, s State, why string) error {
	for _, id := range ids {
		r, version, err := loadRow(ctx, tx, id)
		if err != nil {
			return err
		}
		if due(r, tx) {
			if err := v.endInto(ctx, tx, &r, version, s, why); err != nil {
				return err
			}
		}
	}
	return nil
}
