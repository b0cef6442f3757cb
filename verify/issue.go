package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Issued is what came of issuing a challenge.
type Issued struct {
	Challenge Challenge
	// Tell is to be spoken on the caller's leg, once, and kept nowhere.
	Tell []ringfence.SpeechPart
}

// Format prints an Issued without what it tells.
func (i Issued) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%s %s, %d parts told}", i.Challenge.ID, i.Challenge.State, len(i.Tell))
}

// LogValue keeps what an Issued tells out of structured logs.
func (i Issued) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(i)) }

// Issue hands a created challenge over: the method chooses its codes, the
// intent is made durable, and only then does a message leave. A crash in
// between leaves an issued challenge that nobody can answer. It is done once;
// a second call changes nothing and tells nothing.
func (v *Verifier) Issue(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) (Issued, error) {
	var r row
	var out Issue
	var send bool
	err := v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		var version int64
		var err error
		out, send = Issue{}, false
		r, version, err = loadRow(ctx, tx, id)
		if err != nil || r.State != StateCreated {
			return err
		}
		d, err := v.draft(ctx, tx, r)
		if err != nil {
			return err
		}
		if m, ok := v.methods[r.Method].(Issuer); ok {
			if out, err = m.Prepare(d); err != nil {
				return err
			}
		}
		send = len(out.Message.Text) > 0
		out.Message.Tenant, out.Message.To, out.Message.Ref = tenant, d.Contact.Value, string(id)
		r.Private, r.Link, r.Presents = d.Private, d.Link, d.presents
		r.State, r.IssuedAt = StateIssued, tx.Now()
		r.ExpiresAt = tx.Now().Add(r.Life)
		v.wake(tx, r.result(OutcomeOpen))
		if err := entry(ctx, tx, r, "challenge.issued", nil); err != nil {
			return err
		}
		return saveRow(ctx, tx, r, version)
	})
	if err != nil {
		return Issued{}, err
	}
	if send {
		if r, err = v.send(ctx, r, out.Message); err != nil {
			return Issued{}, err
		}
	}
	return Issued{Challenge: r.public(), Tell: out.Tell}, nil
}

// send carries the message and books what became of it. A decoy waits as long
// as a real message lately took.
func (v *Verifier) send(ctx context.Context, r row, m Message) (row, error) {
	receipt := Receipt{Delivery: DeliveryAccepted}
	if r.Decoy {
		v.pace.wait(ctx)
	} else {
		receipt = v.deliver(ctx, m)
	}
	Wipe(m.Text)
	var after row
	err := v.cfg.Store.Update(context.WithoutCancel(ctx), r.Tenant, func(tx Tx) error {
		var version int64
		var err error
		after, version, err = loadRow(ctx, tx, r.ID)
		if err != nil || after.State != StateIssued {
			return err
		}
		after.Receipt = &receipt
		if receipt.Delivery == DeliveryRefused {
			after.Why = whyCarrier
			return v.endInto(ctx, tx, &after, version, StateUndeliverable, whyCarrier)
		}
		if v.methods[r.Method].Spec().PresentOnSend {
			if err := v.present(ctx, tx, &after); err != nil {
				return err
			}
		}
		return saveRow(ctx, tx, after, version)
	})
	return after, err
}

// deliver never fails: an error of the carrier means that nothing was sent.
func (v *Verifier) deliver(ctx context.Context, m Message) Receipt {
	if v.cfg.Deliver == nil {
		return Receipt{Delivery: DeliveryRefused, Detail: "no carrier"}
	}
	began := time.Now()
	receipt, err := v.cfg.Deliver.Deliver(ctx, m)
	v.pace.note(time.Since(began))
	if err != nil {
		v.cfg.Log.WarnContext(ctx, "message not sent", "ref", m.Ref, "channel", string(m.Channel), "error", err.Error())
		return Receipt{Delivery: DeliveryRefused}
	}
	if receipt.Delivery == "" {
		receipt.Delivery = DeliveryAmbiguous
	}
	return receipt
}

// Present records that what the challenge asks was played or shown in full;
// from here on answers count. Only an open challenge moves: created (for
// methods that send nothing) or issued.
func (v *Verifier) Present(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID) (Challenge, error) {
	var r row
	err := v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		var version int64
		var err error
		if r, version, err = loadRow(ctx, tx, id); err != nil {
			return err
		}
		if _, issues := v.methods[r.Method].(Issuer); r.State == StateCreated && issues {
			return fmt.Errorf("verify: %s is presented before it was issued", id)
		}
		if r.State != StateIssued && r.State != StateCreated {
			return nil
		}
		if r.State == StateCreated {
			r.IssuedAt, r.ExpiresAt = tx.Now(), tx.Now().Add(r.Life)
			if err := entry(ctx, tx, r, "challenge.issued", nil); err != nil {
				return err
			}
		}
		if err := v.present(ctx, tx, &r); err != nil {
			return err
		}
		return saveRow(ctx, tx, r, version)
	})
	if err != nil {
		return Challenge{}, err
	}
	return r.public(), nil
}

func (v *Verifier) present(ctx context.Context, tx Tx, r *row) error {
	r.State, r.PresentedAt = StatePresented, tx.Now()
	v.wake(tx, r.result(OutcomeOpen))
	return entry(ctx, tx, *r, "challenge.presented", nil)
}

// Change runs f over an open challenge of one of the methods in a transaction
// and keeps what it did to Private and Link, its Present, CountTry and End. It
// is for methods only. f may run more than once. A challenge that is final or
// out of time is not shown to f; the result says so.
func (v *Verifier) Change(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, f func(*Draft) error) (Challenge, Result, error) {
	var r row
	var res Result
	err := v.cfg.Store.Update(ctx, tenant, func(tx Tx) error {
		var version int64
		var err error
		if r, version, err = loadRow(ctx, tx, id); err != nil {
			return err
		}
		if done, err := v.over(ctx, tx, &r, version); done || err != nil {
			if res = r.result(r.standing()); res.Outcome == OutcomeSatisfied {
				res.Outcome = OutcomeClosed // by an earlier answer, not by this one
			}
			return err
		}
		d, err := v.draft(ctx, tx, r)
		if err != nil {
			return err
		}
		if err := f(d); err != nil {
			return err
		}
		r.Private, r.Link, r.Leg = d.Private, d.Link, d.Leg
		if d.presents != nil {
			r.Presents = d.presents
		}
		if err := v.apply(ctx, tx, &r, version, d); err != nil {
			return err
		}
		res = r.result(r.standing())
		return nil
	})
	if err != nil {
		return Challenge{}, Result{}, err
	}
	return r.public(), res, nil
}

// apply books what a method did to its draft.
func (v *Verifier) apply(ctx context.Context, tx Tx, r *row, version int64, d *Draft) error {
	if d.counted {
		if err := v.countChain(ctx, tx, r); err != nil {
			return err
		}
		r.Judged++ // whoever counts by CountTry has judged already
	}
	switch {
	case d.next.Final() && d.next != "":
		return v.endInto(ctx, tx, r, version, d.next, d.why)
	case d.counted && r.Tries >= r.Max && r.Judged >= r.Counted:
		return v.endInto(ctx, tx, r, version, StateFailed, whyTries)
	case d.next == StatePresented && r.State == StateIssued:
		if err := v.present(ctx, tx, r); err != nil {
			return err
		}
	}
	return saveRow(ctx, tx, *r, version)
}

// draft gathers what a method may see of its challenge.
func (v *Verifier) draft(ctx context.Context, tx Tx, r row) (*Draft, error) {
	d := &Draft{Challenge: r.public(), Private: r.Private, Link: r.Link, Now: tx.Now()}
	d.proved = func(fact ringfence.Fact) (bool, error) { return proved(ctx, tx, r, fact) }
	var list []ringfence.Authenticator
	s := v.methods[r.Method].Spec()
	if s.Authenticator != "" { // for nobody as for somebody
		var err error
		if list, err = Authenticators(ctx, tx, r.Subject); err != nil {
			return nil, err
		}
	}
	if r.Decoy {
		return d, nil
	}
	d.Authenticators = active(list, s.Authenticator)
	if r.ContactPoint != "" {
		p, _, err := ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, string(r.ContactPoint))
		if err != nil {
			return nil, err
		}
		if p.Subject != r.Subject || p.Status != ringfence.StatusActive {
			return nil, errors.New("verify: the contact point is no longer the subject's")
		}
		d.Contact = p
	}
	return d, nil
}

// proved looks for Evidence of fact on r's own leg and for r's own action.
func proved(ctx context.Context, tx Tx, r row, fact ringfence.Fact) (bool, error) {
	if r.Traversal == "" || r.Leg == "" || r.Decoy {
		return false, nil
	}
	for rec, err := range ledger.All(ctx, tx, ledger.KindEvidence, Query{Key: "traversal", Value: string(r.Traversal)}) {
		if err != nil {
			return false, err
		}
		e, err := ledger.Decode[ringfence.Evidence](rec)
		if err != nil {
			return false, err
		}
		if e.Fact == fact && e.Subject == r.Subject && e.Leg == r.Leg && e.Release == r.Release && e.Digest == r.Digest {
			return true, nil
		}
	}
	return false, nil
}

// pace remembers how long messages lately took, so that a decoy takes as long.
type pace struct {
	mu   sync.Mutex
	last [16]time.Duration // guarded by mu
	n    int               // guarded by mu
}

func (p *pace) note(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.n%len(p.last)] = d
	p.n++
}

func (p *pace) wait(ctx context.Context) {
	p.mu.Lock()
	d := 250 * time.Millisecond // nothing was sent yet: what a provider commonly takes
	if p.n > 0 {
		d = p.last[mathrand.IntN(min(p.n, len(p.last)))]
	}
	p.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
