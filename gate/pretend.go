package gate

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Pretend judges an action of a subject who does not exist, with the work that
// one who does would cost, and keeps nothing. It returns the release that Open
// would return of somebody who has proved nothing, or what Open would say of
// the request itself. before is what was made up for the same nobody, which
// counts as what is stored would.
func (g *Gate) Pretend(ctx context.Context, tenant ringfence.TenantID, q OpenRequest, before ...Release) (Release, Verdict, error) {
	r, err := g.newRow(ctx, tenant, q, false)
	if err != nil {
		return Release{}, Verdict{}, err
	}
	var signals []ringfence.Signal
	if g.cfg.Signals != nil {
		signals = g.cfg.Signals(ctx, r.Release)
	}
	var out Release
	var v Verdict
	err = g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		one := r
		t := &turn{g: g, ctx: ctx, tx: tx, r: &one, now: tx.Now(), signals: signals, also: before}
		v, err = t.pretend()
		out = one.public()
		return err
	})
	return out, v, err
}

func (t *turn) pretend() (Verdict, error) {
	r := t.r
	r.Version, r.State = 1, StatePendingEvidence
	r.RequestedAt, r.ChangedAt, r.ExpiresAt = t.now, t.now, t.now.Add(pendingLife)
	c := Case{AskedBy: r.AskedBy, Active: true, Ask: policy.Case{Action: r.Type, Release: r.ID, Digest: r.Digest, Traversal: r.Traversal,
		Subject: r.Proves, Kind: r.Kind, Fields: r.Fields, Signals: t.mergeSignals()}}
	if t.g.cfg.Frozen != nil {
		c.Frozen = t.g.cfg.Frozen(r.Tenant)
	}
	p := t.pinned()
	if a, ok := p.Action(r.Type); ok {
		c.Payee = payeeOf(a, r.Fields)
		if a.Class >= ringfence.C5 {
			r.ExpiresAt = t.now.Add(papersLife)
		}
		if err := t.sums(&c, p, a); err != nil {
			return Verdict{}, err
		}
	}
	if err := t.risks(&c, nil); err != nil {
		return Verdict{}, err
	}
	v := Decide(p, c, t.now)
	v.Decision = StepUp // whatever is proved, it is never allowed
	t.remember(v)
	return v, nil
}
