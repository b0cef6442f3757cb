package gate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Lookup reads a release.
func (g *Gate) Lookup(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID) (Release, error) {
	var r row
	err := g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		r, _, err = ledger.Read[row](ctx, tx, KindRelease, string(id))
		return err
	})
	return r.public(), err
}

// Filter selects releases; set at most one of Traversal, Subject, State and
// Executor. Executor lists what is ready for an executor to fetch a permit.
type Filter struct {
	Traversal ringfence.TraversalID
	Subject   ringfence.SubjectID
	State     State
	Executor  string
	Limit     int // of List: 0 means 200; at most 1,000
	After     *Release
}

// List lists a page of releases, newest first; of an executor what has waited
// longest, so that more than a page of it is served in turn.
func (g *Gate) List(ctx context.Context, tenant ringfence.TenantID, f Filter) (out []Release, err error) {
	q := f.query()
	q.Limit = f.Limit
	err = g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		rows, err := list[row](ctx, tx, KindRelease, q)
		out = publicOf(rows)
		return err
	})
	return out, err
}

// All lists every release that f selects, in the order of List, whatever its
// Limit.
func (g *Gate) All(ctx context.Context, tenant ringfence.TenantID, f Filter) (out []Release, err error) {
	err = g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		rows, err := ledger.Rows[row](ctx, tx, KindRelease, f.query())
		out = publicOf(rows)
		return err
	})
	return out, err
}

func publicOf(rows []row) []Release {
	out := make([]Release, len(rows))
	for i, r := range rows {
		out[i] = r.public()
	}
	return out
}

func (f Filter) query() ledger.Query {
	q := ledger.Query{Desc: true}
	switch {
	case f.Traversal != "":
		q.Key, q.Value = "traversal", string(f.Traversal)
	case f.Subject != "":
		q.Key, q.Value = "subject", string(f.Subject)
	case f.State != "":
		q.Key, q.Value = "state", string(f.State)
	case f.Executor != "":
		q.Key, q.Value = "ready", f.Executor
		q.Desc = false // whatever else comes meanwhile
	}
	if f.After != nil {
		q.After, q.AfterID = f.After.RequestedAt.UnixNano(), string(f.After.ID)
	}
	return q
}

// Evaluate says how a release stands now. It changes nothing.
func (g *Gate) Evaluate(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID) (Release, Verdict, error) {
	signals, err := g.signals(ctx, tenant, id)
	if err != nil {
		return Release{}, Verdict{}, err
	}
	var r row
	var v Verdict
	err = g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		if r, _, err = ledger.Read[row](ctx, tx, KindRelease, string(id)); err != nil {
			return err
		}
		t := &turn{g: g, ctx: ctx, tx: tx, r: &r, now: tx.Now(), signals: signals}
		if !r.State.BeforeRedeemed() {
			v = t.judged()
			return nil
		}
		c, err := t.gather()
		if err != nil {
			return err
		}
		alarms, err := t.alarmRows()
		for _, a := range alarms {
			c.Held = c.Held || a.Kind != alarmDuress && !slices.Contains(r.Handled, string(a.Challenge))
		}
		v = Decide(t.pinned(), c, t.now)
		return err
	})
	return r.public(), v, err
}

// Release asks that the action be done, and moves it as far as it can go: to
// pending_approval when colleagues are missing, to cooling, to ready. It is
// not an error when the verdict refuses or steps up; asking again is harmless.
func (g *Gate) Release(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor) (Release, Verdict, error) {
	return g.ask(ctx, tenant, id, by, true)
}

// AskApproval asks colleagues before release is asked for: it freezes the
// evidence when nothing of it is missing.
func (g *Gate) AskApproval(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor) (Release, Verdict, error) {
	return g.ask(ctx, tenant, id, by, false)
}

func (g *Gate) ask(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor, release bool) (Release, Verdict, error) {
	if by.Zero() {
		return Release{}, Verdict{}, ErrForbidden
	}
	var v Verdict
	r, err := g.changeJudging(ctx, tenant, id, func(t *turn) (err error) {
		switch t.r.State {
		case StatePendingEvidence, StatePendingApproval, StateCooling:
			if release && t.r.AskedAt.IsZero() {
				t.r.AskedAt = t.now
			}
			v, err = t.advance(by, !release)
			return err
		case StateHeld, StateReady:
			v, err = t.decide()
			return err
		default:
			v = t.judged()
			return nil
		}
	})
	return r, v, err
}

// judged is the verdict on a release that is not judged any more: as it was
// when it went, for what it did may count against it now.
func (t *turn) judged() Verdict {
	v := Verdict{Class: t.r.Class, Reasons: t.r.Reasons, Approvals: t.r.Approvals, Waivers: t.r.Waivers, Next: t.r.Why}
	switch t.r.State {
	case StateRedeemed, StateExecuted, StateExecFailed, StateExecUnknown, StateReconciled:
		v.Decision = Allow
	}
	return v
}

// Cancel ends a release that nobody wants any more.
func (g *Gate) Cancel(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor, why string) (Release, error) {
	return g.end(ctx, tenant, id, StateCancelled, by, why)
}

// Invalidate ends a release because its action or subject changed: what was
// proved for it counts for nothing any more (invariant 8).
func (g *Gate) Invalidate(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor, why string) (Release, error) {
	return g.end(ctx, tenant, id, StateInvalidated, by, why)
}

func (g *Gate) end(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, to State, by Actor, why string) (Release, error) {
	if by.Zero() {
		return Release{}, ErrForbidden
	}
	return g.change(ctx, tenant, id, func(t *turn) error {
		if t.r.State == to {
			return nil
		}
		return t.move(to, by, why)
	})
}

// Attach gives a release that was opened without a call the traversal of the
// job that rings for it, so that what is keyed there counts. A release that
// has a traversal keeps it: ErrConflict.
func (g *Gate) Attach(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, traversal ringfence.TraversalID, by Actor) (Release, error) {
	if by.Zero() || traversal == "" {
		return Release{}, ErrForbidden
	}
	return g.change(ctx, tenant, id, func(t *turn) error {
		if t.r.Traversal == traversal {
			return nil
		}
		if t.r.Traversal != "" || t.r.State != StatePendingEvidence {
			return ErrConflict
		}
		t.r.Traversal = traversal
		_, err := t.entry("release.evaluated", by, map[string]string{"attached": string(traversal)})
		return err
	})
}

// Any reports whether a release was opened on a traversal, however it stands
// now: whether TraversalEnded can have anything to do. It asks in the caller's
// transaction.
func Any(ctx context.Context, tx ledger.Tx, traversal ringfence.TraversalID) (bool, error) {
	recs, err := tx.List(ctx, KindRelease, ledger.Query{Key: "traversal", Value: string(traversal), Limit: 1})
	return len(recs) > 0, err
}

// TraversalEnded cancels what was still waiting for evidence on a traversal,
// except actions that outlive their call. From pending_approval on a release
// lives on.
func (g *Gate) TraversalEnded(ctx context.Context, tenant ringfence.TenantID, traversal ringfence.TraversalID) error {
	open, err := g.All(ctx, tenant, Filter{Traversal: traversal})
	var errs []error
	for _, r := range open {
		p := g.cfg.Policies.ByHash(tenant, r.Policy)
		a, ok := p.Action(r.Type)
		if r.State != StatePendingEvidence || ok && a.OutlivesCall {
			continue
		}
		_, err := g.change(ctx, tenant, r.ID, func(t *turn) error {
			if t.r.State != StatePendingEvidence {
				return nil
			}
			return t.move(StateCancelled, Actor{Flow: "traversal"}, "the call ended before it was proved")
		})
		errs = append(errs, err)
	}
	return errors.Join(append(errs, err)...)
}

// Reject is "I did not ask for this", by whoever was reached: the release is
// held, and an alarm raised. Once it is redeemed it is ErrConflict, the alarm is
// raised all the same, and the account paid never becomes a known payee. Saying
// it again raises no further alarm, so that nobody drowns the one that counts.
func (g *Gate) Reject(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor) (Release, error) {
	late := false
	r, err := g.change(ctx, tenant, id, func(t *turn) error {
		late = !t.r.State.BeforeRedeemed()
		said := slices.ContainsFunc(t.r.Holds, func(h Hold) bool { return h.Why == alarmRejected && h.Lifted.IsZero() })
		if said && !late || t.r.Disowned && late {
			return nil
		}
		if _, err := t.entry("alert.raised", by, map[string]string{"alarm": alarmRejected, "state": string(t.r.State)}); err != nil {
			return err
		}
		if !late {
			return t.hold(alarmRejected, by, time.Time{})
		}
		t.r.Disowned = true
		return t.disown(by)
	})
	if err == nil && late {
		err = ErrConflict
	}
	return r, err
}

// disown disputes the account that was paid although the subject did not ask.
func (t *turn) disown(by Actor) error {
	a, ok := t.pinned().Action(t.r.Type)
	if !ok || t.r.spent().IsZero() {
		return nil
	}
	account := payeeOf(a, t.r.Fields)
	if account == "" {
		return nil
	}
	dispute := func(t *turn) error { return disputePayee(t.ctx, t.tx, t.r.Release, account, by) }
	if t.r.Stood == "" {
		return dispute(t)
	}
	_, err := t.only(dispute) // where it shows that it was paid, it shows that it is disputed
	return errors.Join(err, dispute(t))
}

// Lock holds every open release of a subject for 24 hours, as `alert … lock:
// subject` asks. It locks no method and no other call.
func (g *Gate) Lock(ctx context.Context, tenant ringfence.TenantID, subject ringfence.SubjectID, by Actor) error {
	open, err := g.All(ctx, tenant, Filter{Subject: subject})
	errs := []error{err}
	for _, r := range open {
		if !r.State.BeforeRedeemed() {
			continue
		}
		_, err := g.change(ctx, tenant, r.ID, func(t *turn) error {
			if !t.r.State.BeforeRedeemed() {
				return nil
			}
			return t.hold("locked", by, t.now.Add(lockLife))
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Hold stops one release until a person with role risk lifts it.
func (g *Gate) Hold(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor) (Release, error) {
	return g.change(ctx, tenant, id, func(t *turn) error {
		if by.Zero() {
			return ErrForbidden
		}
		if !t.r.State.BeforeRedeemed() {
			return ErrConflict
		}
		return t.hold("risk", by, time.Time{})
	})
}

// Lift lifts every hold but duress after a human review, by a person with
// role risk who took no part. says is what they found; it stands in the log
// only. The release goes back to gathering proof.
func (g *Gate) Lift(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by ringfence.PersonID, says string) (Release, error) {
	return g.changeJudging(ctx, tenant, id, func(t *turn) error {
		if err := t.reviewer(by); err != nil {
			return err
		}
		if t.r.State.Final() {
			return ErrConflict
		}
		t.says = says
		t.r.Bad = nil // the reviewer has seen the signals
		for i := range t.r.Holds {
			h := &t.r.Holds[i]
			if h.Why == alarmDuress || !h.Lifted.IsZero() {
				continue
			}
			h.Lifted, h.Lifter = t.now, Actor{Person: by}
			if err := t.lifted(*h); err != nil {
				return err
			}
		}
		t.says = "" // what follows is not the reviewer's
		return t.resume(Actor{Flow: "review"})
	})
}

func (t *turn) lifted(h Hold) error {
	_, err := t.tx.Append(t.ctx, ledger.Entry{Event: "hold.lifted", Subject: t.r.Subject, Release: t.r.ID,
		Person: h.Lifter.Person, Object: string(h.ID), Data: t.said(map[string]string{"why": h.Why})})
	return err
}

// resume leads a held release whose holds are over back to where it gathers
// proof; approvals and evidence that were frozen still count, within their
// time.
func (t *turn) resume(by Actor) error {
	if t.r.State != StateHeld || t.held() {
		return nil
	}
	to := StatePendingEvidence
	if !t.r.EvidenceHash.Zero() && t.r.HeldFrom != StatePendingEvidence {
		to = StatePendingApproval
	}
	t.r.ExpiresAt = t.now.Add(pendingLife)
	if err := t.move(to, by, "reviewed"); err != nil {
		return err
	}
	_, err := t.advance(by, false)
	return err
}

// Deny ends a held release after a human review, and one under duress wherever
// it seems to stand: then the appearance ends too. says is what they found; it
// stands in the log only, and of duress where only risk and supervisors read.
func (g *Gate) Deny(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by ringfence.PersonID, says string) (Release, error) {
	return g.change(ctx, tenant, id, func(t *turn) error {
		if err := t.reviewer(by); err != nil {
			return err
		}
		t.says = says
		if t.r.Duress && t.r.State != StateHeld {
			if t.unmask(); t.r.State.Final() {
				return nil
			}
			if err := t.move(StateHeld, Actor{Person: by}, alarmDuress); err != nil {
				return err
			}
		}
		if t.r.Duress {
			t.says = "" // anybody may read how it ended
		}
		return t.move(StateDenied, Actor{Person: by}, "denied after review")
	})
}

// reviewer admits an active person with role risk who took no part.
func (t *turn) reviewer(by ringfence.PersonID) error {
	p, _, err := ledger.Read[ringfence.Person](t.ctx, t.tx, ledger.KindPerson, string(by))
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	took, err2 := t.tookPart(by)
	switch {
	case err2 != nil:
		return err2
	case err != nil || !p.Has(ringfence.RoleRisk, t.now) || took:
		return ErrForbidden
	default:
		return nil
	}
}

// Duress lists the releases held for duress, with the state in which they stand
// in truth, for roles risk and supervisor; anybody else gets ErrForbidden.
func (g *Gate) Duress(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID) ([]Release, error) {
	var out []Release
	err := g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(by))
		if err != nil || !p.Has(ringfence.RoleRisk, tx.Now()) && !p.Has(ringfence.RoleSupervisor, tx.Now()) {
			return ErrForbidden
		}
		rows, err := ledger.Rows[row](ctx, tx, KindRelease, ledger.Query{Key: "duress", Value: "yes", Desc: true})
		out = nil
		for _, r := range rows {
			out = append(out, r.truth())
		}
		return err
	})
	return out, err
}

// Tick moves what time moves: cooling to ready, permits that lapsed, holds
// that ended, releases past their time. Call it every second; it is harmless
// to call it from several nodes.
func (g *Gate) Tick(ctx context.Context, tenant ringfence.TenantID) error {
	var errs []error
	for _, s := range []State{StateCooling, StatePermitted, StateReady, StatePendingEvidence, StatePendingApproval, StateHeld} {
		due, err := g.due(ctx, tenant, s)
		errs = append(errs, err)
		for _, id := range due {
			_, err := g.changeJudging(ctx, tenant, id, func(t *turn) error { return t.tick() })
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, g.seemTick(ctx, tenant))...)
}

// due lists the releases of a state for which time may have something to do.
func (g *Gate) due(ctx context.Context, tenant ringfence.TenantID, s State) (ids []ringfence.ReleaseID, err error) {
	err = g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		ids = nil
		rows, err := ledger.Rows[row](ctx, tx, KindRelease, ledger.Query{Key: "state", Value: string(s)})
		for _, r := range rows {
			t := &turn{r: &r, now: tx.Now()}
			if t.over() || s == StateCooling && !t.now.Before(r.HoldUntil) || s == StatePermitted && t.lapsed() ||
				s == StateHeld && !t.held() || r.performable() {
				ids = append(ids, r.ID)
			}
		}
		return err
	})
	return ids, err
}

func (t *turn) over() bool { return !t.now.Before(t.r.ExpiresAt) && t.r.State != StatePermitted }

func (t *turn) lapsed() bool { return !t.now.Before(t.r.PermitUntil) }

func (t *turn) tick() error {
	by := Actor{Flow: "time"}
	switch {
	case !t.r.State.BeforeRedeemed():
		return nil
	case t.r.State == StatePermitted:
		return t.lapse(by)
	case t.over():
		return t.move(StateExpired, by, "its time is over")
	case t.r.State == StateCooling && !t.now.Before(t.r.HoldUntil):
		_, err := t.advance(by, false)
		return err
	case t.r.State == StateHeld:
		return t.resume(by)
	case t.r.performable():
		_, err := t.perform(nil)
		return err
	default:
		return nil
	}
}

// lapse leads a permit that nobody redeemed back to ready, three times at
// most and until the release expires.
func (t *turn) lapse(by Actor) error {
	if !t.lapsed() {
		return nil
	}
	if err := t.move(StateReady, by, "the permit was not redeemed in time"); err != nil {
		return err
	}
	if t.r.Permits > permitTries || t.over() {
		return t.move(StateExpired, by, "no permit was redeemed in time")
	}
	return nil
}
