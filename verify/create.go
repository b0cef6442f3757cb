package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Create makes a challenge durable, supersedes the one before it in its chain
// and takes its quota, all in one transaction; nothing has left the house when
// it returns. What cannot be asked comes back as a final challenge, not as an
// error: undeliverable (missing, quota, prefix, young) or failed (tries). An
// error means a request that no caller of ours should make, or a store that
// could not find out.
func (v *Verifier) Create(ctx context.Context, tenant ringfence.TenantID, q Request) (Challenge, error) {
	m, life, err := v.check(q)
	if err != nil {
		return Challenge{}, err
	}
	id := ringfence.NewID[ringfence.ChallengeID](ringfence.PrefixChallenge)
	var r row
	err = v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		r, err = v.create(ctx, tx, tenant, id, q, m.Spec(), life)
		return err
	})
	if err != nil {
		return Challenge{}, err
	}
	return r.public(), nil
}

func (v *Verifier) check(q Request) (Method, time.Duration, error) {
	m := v.methods[q.Method]
	switch {
	case m == nil:
		return nil, 0, fmt.Errorf("verify: no method %q", q.Method)
	case q.Tries < 0 || q.Tries > MaxTries:
		return nil, 0, fmt.Errorf("verify: %d tries is not within 0 to %d", q.Tries, MaxTries)
	case (q.Release == "") != q.Digest.Zero():
		return nil, 0, fmt.Errorf("verify: a proof is bound to a release and its digest, or to neither")
	case q.Tier > T2:
		return nil, 0, fmt.Errorf("verify: no tier %d", q.Tier)
	}
	life, err := lives(m.Spec(), q.Life)
	return m, life, err
}

func (v *Verifier) create(ctx context.Context, tx Tx, tenant ringfence.TenantID, id ringfence.ChallengeID, q Request, s Spec, life time.Duration) (row, error) {
	now := tx.Now()
	r := row{Challenge: Challenge{ID: id, Tenant: tenant, Method: q.Method, State: StateCreated,
		Subject: q.Subject, Tier: q.Tier, Traversal: q.Traversal, Leg: q.Leg, Says: q.Says, Fields: slices.Clone(q.Fields),
		By: q.By, Language: q.Language, Max: q.Tries, Life: life, CreatedAt: now, ExpiresAt: now.Add(life)}}
	if s.Fact.Bound() { // a leg fact carries no digest (invariant 7)
		r.Release, r.Digest = q.Release, q.Digest
	}
	if s.OffLeg {
		r.Leg = ""
	}
	if r.Max == 0 {
		r.Max = DefaultTries
	}
	r.Chain = chainKey(id, q)
	contact, err := v.resolve(ctx, tx, &r, q, s)
	if err != nil {
		return row{}, err
	}
	c, version, err := load[chain](ctx, tx, KindChain, r.Chain)
	if err != nil {
		return row{}, err
	}
	r.Tries = c.Tries
	switch {
	case r.State.Final():
	case c.Tries >= r.Max:
		r.State, r.Why = StateFailed, whyTries
	case s.Contact != nil:
		if r.RetryAfter, err = v.take(ctx, tx, &r, s, contact); err != nil {
			return row{}, err
		}
		if !r.RetryAfter.IsZero() {
			r.State, r.Why = StateUndeliverable, whyQuota
		}
	}
	if !r.State.Final() { // only what can be asked takes the place of what is being asked
		if err := v.supersede(ctx, tx, c.Current, id); err != nil {
			return row{}, err
		}
		c.Current = id
		if err := save(ctx, tx, KindChain, r.Chain, version, keyOf(r), c); err != nil {
			return row{}, err
		}
	}
	if err := entry(ctx, tx, r, "challenge.created", nil); err != nil {
		return row{}, err
	}
	if r.State.Final() {
		r.EndedAt = now
		if err := entry(ctx, tx, r, endEvent(r.State), nil); err != nil {
			return row{}, err
		}
	}
	return r, saveRow(ctx, tx, r, 0)
}

// resolve finds whether the subject exists and what the method needs of it,
// and makes the challenge a decoy or final accordingly.
func (v *Verifier) resolve(ctx context.Context, tx Tx, r *row, q Request, s Spec) (ringfence.ContactPoint, error) {
	var none ringfence.ContactPoint
	subject, _, err := load[ringfence.Subject](ctx, tx, ledger.KindSubject, string(q.Subject))
	if err != nil {
		return none, err
	}
	// The same reads are made for nobody as for somebody.
	have, err := Authenticators(ctx, tx, q.Subject)
	if err != nil {
		return none, err
	}
	points, err := ContactPoints(ctx, tx, q.Subject)
	if err != nil {
		return none, err
	}
	if q.Subject == "" || subject.ID != q.Subject || subject.Status != ringfence.StatusActive {
		r.Decoy = true
		if !v.pretends(*r, s) {
			r.State, r.Why = StateUndeliverable, whyMissing
		}
		return none, nil
	}
	if s.Authenticator != "" && !s.Quiet {
		have = active(have, s.Authenticator)
		if len(have) == 0 {
			r.State, r.Why = StateUndeliverable, whyMissing
			return none, nil
		}
		if !slices.ContainsFunc(have, func(a ringfence.Authenticator) bool { return old(a.BoundAt, q.NotYounger, tx.Now()) }) {
			r.State, r.Why = StateUndeliverable, whyYoung
			return none, nil
		}
	}
	if s.Contact == nil {
		return none, nil
	}
	return v.choose(r, q, s, points, tx.Now()), nil
}

// choose picks the contact point: the one named, else the oldest of the type.
func (v *Verifier) choose(r *row, q Request, s Spec, points []ringfence.ContactPoint, now time.Time) ringfence.ContactPoint {
	why := whyMissing
	for _, p := range points {
		switch {
		case p.Status != ringfence.StatusActive || !p.RemovedAt.IsZero() || !slices.Contains(s.Contact, p.Type):
		case q.ContactPoint != "" && p.ID != q.ContactPoint:
		case q.ContactPoint == "" && q.To != "" && p.Type != q.To:
		case !old(p.ChangedAt, q.NotYounger, now):
			why = whyYoung
		case !v.allowed(p):
			why = whyPrefix
		default:
			r.ContactPoint = p.ID
			return p
		}
	}
	r.State, r.Why = StateUndeliverable, why
	return ringfence.ContactPoint{}
}

// Allowed reports whether a contact point may be rung or written to at all.
func (v *Verifier) Allowed(p ringfence.ContactPoint) bool { return v.allowed(p) }

// allowed reports whether a contact point may be rung or written to.
func (v *Verifier) allowed(p ringfence.ContactPoint) bool {
	if p.Type == ringfence.ContactEmail {
		return true
	}
	_, ok := v.prefix(p)
	return ok && len(p.Value) >= 7 && len(p.Value) <= 15 && AllDigits([]byte(p.Value), len(p.Value))
}

func old(since time.Time, least time.Duration, now time.Time) bool {
	return least <= 0 || !since.IsZero() && now.Sub(since) >= least
}

// pretends decides, always alike for one made-up subject and method, whether
// the decoy has what the method needs, so that neither having nor lacking it
// tells who is a customer.
func (v *Verifier) pretends(r row, s Spec) bool {
	if s.Quiet || s.Authenticator == "" && s.Contact == nil {
		return true
	}
	share, ok := v.cfg.DecoyShare[s.Fact]
	if !ok {
		share = 128
		if s.Authenticator == "" {
			share = 255
		}
	}
	return Keyed(v.cfg.Pepper, "pretend", []byte(r.Subject), []byte(s.Fact))[0] <= share
}

// supersede ends the open challenge before the new one of its chain.
func (v *Verifier) supersede(ctx context.Context, tx Tx, before, after ringfence.ChallengeID) error {
	if before == "" {
		return nil
	}
	r, version, err := load[row](ctx, tx, KindChallenge, string(before))
	if err != nil || version == 0 || r.State.Final() {
		return err
	}
	r.Successor = after
	return v.end(ctx, tx, r, version, StateSuperseded, "")
}
