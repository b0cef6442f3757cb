package verify

import (
	"context"
	"errors"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// errReplayed aborts a satisfaction whose authenticator moved on meanwhile.
var errReplayed = errors.New("verify: step or counter was used meanwhile")

// Submit judges one answer: it durably counts the try, then compares, then
// makes the challenge satisfied, each step once (invariants 4 and 5). Answers
// to a challenge that is not presented, is over, or belongs to another leg are
// neither counted nor compared.
func (v *Verifier) Submit(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, answer Answer) (Result, error) {
	t, done, err := v.count(ctx, tenant, id, answer)
	if err != nil {
		return Result{}, err
	}
	if done != nil {
		return *done, nil
	}
	verdict, err := v.methods[t.row.Method].Check(ctx, t.attempt)
	if err != nil {
		return Result{}, err // the try stays counted
	}
	if answer.Early || t.row.Decoy || t.locked {
		verdict = Verdict{} // whatever a decoy's method found
	}
	// The answer is in: the client going away must not undo what it proved.
	ctx = context.WithoutCancel(ctx)
	res, err := v.judge(ctx, tenant, t, verdict)
	if errors.Is(err, errReplayed) {
		return v.judge(ctx, tenant, t, Verdict{})
	}
	return res, err
}

// try is a counted try on its way to be compared.
type try struct {
	row     row
	attempt Attempt
	booked  []ringfence.Authenticator
	locked  bool
}

// count is the first bracket of Submit: one transaction that counts the try in
// chain, lock and authenticators. done is set when there is nothing to compare.
func (v *Verifier) count(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, answer Answer) (t try, done *Result, err error) {
	err = v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		t, done = try{}, nil
		r, version, err := loadRow(ctx, tx, id)
		if err != nil {
			return err
		}
		stop := func(o Outcome) error {
			res := r.result(o)
			done = &res
			return nil
		}
		over, err := v.over(ctx, tx, &r, version)
		switch {
		case err != nil:
			return err
		case over && r.standing() == OutcomeSatisfied:
			return stop(OutcomeClosed)
		case over:
			return stop(r.standing())
		case r.Leg != "" && answer.Leg != r.Leg,
			r.State != StatePresented && !(answer.Early && r.State == StateIssued):
			return stop(OutcomeClosed)
		}
		spec := v.methods[r.Method].Spec()
		d, err := v.draft(ctx, tx, r)
		if err != nil {
			return err
		}
		if c, _, err := load[chain](ctx, tx, KindChain, r.Chain); err != nil || c.Tries >= r.Max {
			if err != nil {
				return err
			}
			return stop(OutcomeFailed)
		}
		if err := v.countChain(ctx, tx, &r); err != nil {
			return err
		}
		if !spec.Uncounted {
			if t.locked, err = countFailure(ctx, tx, r); err != nil {
				return err
			}
		}
		if sprayable(r, spec) {
			all, err := sprayed(ctx, tx)
			if err != nil {
				return err
			}
			t.locked = t.locked || all
		}
		if !t.locked && spec.Authenticator != "" && len(d.Authenticators) == 0 {
			if err := bookNobody(ctx, tx, r); err != nil {
				return err
			}
		} else if !t.locked {
			if t.booked, err = bookAuthenticators(ctx, tx, r, d.Authenticators); err != nil {
				return err
			}
		}
		t.row = r
		t.attempt = Attempt{Challenge: r.public(), Private: r.Private, Authenticators: t.booked, Answer: answer, Now: tx.Now()}
		return saveRow(ctx, tx, r, version)
	})
	if err != nil {
		return try{}, nil, err
	}
	return t, done, nil
}

// countChain counts one try of r and its chain, with its entry.
func (v *Verifier) countChain(ctx context.Context, tx Tx, r *row) error {
	c, version, err := load[chain](ctx, tx, KindChain, r.Chain)
	if err != nil {
		return err
	}
	c.Tries++
	r.Tries = c.Tries
	r.Counted++
	if err := save(ctx, tx, KindChain, r.Chain, version, keyOf(*r), c); err != nil {
		return err
	}
	return entry(ctx, tx, *r, "challenge.tried", nil)
}

// judge is the second bracket of Submit.
func (v *Verifier) judge(ctx context.Context, tenant ringfence.TenantID, t try, verdict Verdict) (Result, error) {
	var res Result
	err := v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		r, version, err := loadRow(ctx, tx, t.row.ID)
		if err != nil {
			return err
		}
		if r.State.Final() {
			res = r.result(r.standing())
			if res.Outcome == OutcomeSatisfied {
				res.Outcome = OutcomeClosed // somebody else's answer, not this one
			}
			return nil
		}
		r.Judged++
		if verdict, err = ofThisParty(ctx, tx, r, verdict); err != nil {
			return err
		}
		if verdict.OK && !verdict.Cloned {
			res, err = v.satisfy(ctx, tx, r, version, t, verdict)
			return err
		}
		if verdict.Cloned {
			return v.cloned(ctx, tx, r, version, verdict.Authenticator, &res)
		}
		c, _, err := load[chain](ctx, tx, KindChain, r.Chain)
		if err != nil {
			return err
		}
		r.Tries = c.Tries
		if sprayable(r, v.methods[r.Method].Spec()) {
			if err := v.noteSpray(ctx, tx, r); err != nil {
				return err
			}
		}
		if c.Tries >= r.Max && r.Judged >= r.Counted {
			if err := v.endInto(ctx, tx, &r, version, StateFailed, whyTries); err != nil {
				return err
			}
			res = r.result(OutcomeFailed)
			return nil
		}
		res = r.result(OutcomeWrong)
		res.At = tx.Now()
		v.wake(tx, res)
		return saveRow(ctx, tx, r, version)
	})
	if err != nil {
		return Result{}, err // nothing of it is durable: not finding out means no
	}
	return res, nil
}

// ofThisParty makes an answer about a leg wrong when the leg went to somebody
// else after it was asked for: nobody knows who keyed it.
func ofThisParty(ctx context.Context, tx Tx, r row, verdict Verdict) (Verdict, error) {
	if r.Leg == "" || r.Method.Bound() {
		return verdict, nil
	}
	gone, version, err := load[ledger.LegVoid](ctx, tx, ledger.KindLegVoid, string(r.Leg))
	if err != nil || version == 0 || r.CreatedAt.After(gone.At) {
		return verdict, err
	}
	return Verdict{}, nil
}

// satisfy moves r to its good end with everything that belongs to it.
func (v *Verifier) satisfy(ctx context.Context, tx Tx, r row, version int64, t try, verdict Verdict) (Result, error) {
	spec := v.methods[r.Method].Spec()
	if spec.Authenticator != "" && verdict.Authenticator == "" {
		return Result{}, errors.New("verify: " + string(r.Method) + " is right, but names no authenticator")
	}
	for _, a := range t.booked { // the failure that was booked in advance
		if err := setAuthenticator(ctx, tx, a.ID, func(a *ringfence.Authenticator) { a.Failures-- }); err != nil {
			return Result{}, err
		}
	}
	if err := advance(ctx, tx, r, verdict); err != nil {
		return Result{}, err
	}
	if !spec.Uncounted {
		if err := clearLock(ctx, tx, r); err != nil {
			return Result{}, err
		}
	}
	e := ringfence.Evidence{ID: evidenceID(r.ID), Tenant: r.Tenant, Subject: r.Subject, Fact: spec.Fact, Strength: spec.Strength,
		Challenge: r.ID, Authenticator: verdict.Authenticator, ContactPoint: r.ContactPoint, Traversal: r.Traversal, Leg: r.Leg,
		Release: r.Release, Digest: r.Digest, Presented: spec.Presents && !r.Digest.Zero(), At: tx.Now()}
	if e.Leg == "" && !spec.OffLeg {
		e.Leg = t.attempt.Answer.Leg // the leg that keyed it (invariant 34)
	}
	if r.Presents != nil {
		e.Presented = *r.Presents && !r.Digest.Zero()
	}
	hash, err := writeEvidence(ctx, tx, e)
	if err != nil {
		return Result{}, err
	}
	r.State, r.EndedAt, r.Evidence, r.Private = StateSatisfied, tx.Now(), e.ID, nil
	if err := entry(ctx, tx, r, "challenge.satisfied", map[string]string{"evidence": string(e.ID), "evidence_sha256": hash}); err != nil {
		return Result{}, err
	}
	if verdict.Duress {
		r.State = StateDuress
		if err := raise(ctx, tx, r, AlarmDuress); err != nil {
			return Result{}, err
		}
	}
	if c, cv, err := load[chain](ctx, tx, KindChain, r.Chain); err != nil {
		return Result{}, err
	} else if err := save(ctx, tx, KindChain, r.Chain, cv, keyOf(r), chain{Current: c.Current}); err != nil {
		return Result{}, err
	}
	res := r.result(OutcomeSatisfied)
	res.Evidence, res.MustChange, res.At = &e, verdict.MustChange, e.At
	v.wake(tx, res)
	return res, saveRow(ctx, tx, r, version)
}

// advance moves the authenticator's newest step or counter on, never back
// (invariant 6). It must still be active.
func advance(ctx context.Context, tx Tx, r row, verdict Verdict) error {
	if verdict.Authenticator == "" {
		return nil
	}
	var refused bool
	err := setAuthenticator(ctx, tx, verdict.Authenticator, func(a *ringfence.Authenticator) {
		refused = a.Subject != r.Subject || a.Status != ringfence.StatusActive ||
			verdict.Step != 0 && verdict.Step <= a.LastStep ||
			(verdict.SignCount != 0 || a.SignCount != 0) && verdict.SignCount <= a.SignCount && a.Type == ringfence.AuthPasskey
		a.LastStep = max(a.LastStep, verdict.Step)
		a.SignCount = max(a.SignCount, verdict.SignCount)
		if verdict.Secret != nil {
			a.Secret = verdict.Secret
		}
	})
	if refused {
		return errReplayed
	}
	return err
}

// cloned ends r, suspends the authenticator whose counter went back, and
// raises an alarm.
func (v *Verifier) cloned(ctx context.Context, tx Tx, r row, version int64, id ringfence.AuthenticatorID, res *Result) error {
	if err := setAuthenticator(ctx, tx, id, func(a *ringfence.Authenticator) { a.Status = ringfence.StatusSuspended }); err != nil {
		return err
	}
	if err := entry(ctx, tx, r, "authenticator.suspended", map[string]string{"authenticator": string(id)}); err != nil {
		return err
	}
	if err := raise(ctx, tx, r, AlarmCloned); err != nil {
		return err
	}
	if err := v.endInto(ctx, tx, &r, version, StateFailed, whyCloned); err != nil {
		return err
	}
	*res = r.result(OutcomeFailed)
	return nil
}
