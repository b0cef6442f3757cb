package gate

import (
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Risk is one passive observation about a release, in a sentence for staff. It
// satisfies nothing and lowers nothing: a policy may ask for its good value
// (`signals:`), and a bad one only ever adds (invariants 9 and 10).
type Risk struct {
	Name  string        `json:"name"`
	Value ringfence.Tri `json:"value"` // Odd reads it; ringfence.GoodSignal says which one is good
	Says  string        `json:"says"`
	// Source and At say who found it out and when; empty = our own records.
	Source string    `json:"source,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Odd reports whether the observation is a sign of fraud, and not merely known or
// unknown.
func (r Risk) Odd() bool {
	return r.Value != ringfence.Unknown && r.Value != ringfence.GoodSignal(r.Name)
}

// The numbers of what looks odd.
const (
	velocityCount = 5 // releases of one subject in sumWindow, this one included
	refusalCount  = 3 // refused, rejected or failed proofs of one subject in sumWindow
	changeMemory  = 30 * 24 * time.Hour
	officeOpens   = 7 // o'clock in the policy's zone, Monday to Friday
	officeCloses  = 20
	riskRows      = 50 // more are odd enough
)

// risks explains what is known about a release and adds to its signals what
// the gate's own records say.
func (t *turn) risks(c *Case, points []ringfence.ContactPoint) error {
	own := []Risk{t.newPayee(*c), t.outOfHours(), t.changedContact(points)}
	recs, err := t.tx.List(t.ctx, KindRelease, ledger.Query{Key: "subject", Value: string(t.r.Subject), Limit: riskRows, Desc: true,
		From: t.now.Add(-sumWindow).UnixNano()})
	if err != nil {
		return err
	}
	recent, err := t.others(nil, recs)
	if err != nil {
		return err
	}
	for _, r := range t.also {
		recent = append(recent, row{Release: r})
	}
	own = append(own, velocity(recent), refusals(*c, recent))
	for _, r := range own {
		c.Ask.Signals[r.Name] = r.Value
	}
	c.Risks = append(c.Risks, t.told(c.Ask.Signals)...)
	for _, r := range own {
		if r.Value == ringfence.Yes {
			c.Risks = append(c.Risks, r)
		}
	}
	return nil
}

func yesIf(b bool) ringfence.Tri {
	if b {
		return ringfence.Yes
	}
	return ringfence.No
}

func (t *turn) newPayee(c Case) Risk {
	return Risk{Name: "new_payee", Value: yesIf(c.Payee != "" && !c.Known), Says: "This account was never paid for this subject, or not long enough ago."}
}

// outOfHours is judged by the time of the request, in the policy's zone.
func (t *turn) outOfHours() Risk {
	r := Risk{Name: "out_of_hours", Says: "This was asked for at night or at the weekend."}
	if p := t.pinned(); p != nil && p.Timezone() != nil {
		at := t.r.RequestedAt.In(p.Timezone())
		weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday
		r.Value = yesIf(weekend || at.Hour() < officeOpens || at.Hour() >= officeCloses)
	}
	return r
}

func (t *turn) changedContact(points []ringfence.ContactPoint) Risk {
	r := Risk{Name: "contact_changed", Value: ringfence.No}
	for _, p := range points {
		at := p.ChangedAt
		if p.RemovedAt.After(at) {
			at = p.RemovedAt
		}
		if age := t.now.Sub(at); at.IsZero() || age < changeMemory {
			r.Value = ringfence.Yes
			r.Says = fmt.Sprintf("A number or address of the subject was changed %d days ago.", max(0, int(age.Hours()/24)))
		}
	}
	return r
}

func velocity(recent []row) Risk {
	n := len(recent) + 1
	return Risk{Name: "velocity", Value: yesIf(n >= velocityCount), Says: fmt.Sprintf("%d actions were asked for about this subject within a day.", n)}
}

// refusals counts what went wrong about the subject in a day: somebody said it
// was not them, or a release was refused or held. Duress is not told.
func refusals(c Case, recent []row) Risk {
	n := c.Rejects
	for _, r := range recent {
		if r.State == StateDenied || r.State == StateHeld {
			n++
		}
	}
	return Risk{Name: "refusals", Value: yesIf(n >= refusalCount), Says: fmt.Sprintf("%d requests about this subject were refused, rejected or stopped within a day.", n)}
}

// Dispute marks the account that a release paid, or would pay, as one that the
// subject disputes: from now on it is a new payee for ever. Stopping takes one
// person with role supervisor or risk, or the subject's own channel.
func (g *Gate) Dispute(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor) error {
	if by.Zero() {
		return ErrForbidden
	}
	return g.desk(ctx, tenant, func(d desk) error {
		r, _, err := ledger.Read[row](ctx, d.tx, KindRelease, string(id))
		if err != nil {
			return err
		}
		account := ""
		if a, ok := g.cfg.Policies.ByHash(tenant, r.Policy).Action(r.Type); ok {
			account = payeeOf(a, r.Fields)
		}
		if account == "" {
			return &InvalidError{Field: "release", Says: "pays nobody"}
		}
		return disputePayee(ctx, d.tx, r.Release, account, by)
	})
}

// disputePayee marks an account as disputed by the subject of a release, once.
func disputePayee(ctx context.Context, tx ledger.Tx, r Release, account string, by Actor) error {
	id := payeeID(r.Subject, account)
	p, version, err := ledger.Read[Payee](ctx, tx, KindPayee, id)
	switch {
	case missing(err):
		p = Payee{Subject: r.Subject, Account: account, Source: string(r.ID)}
	case err != nil:
		return err
	case p.Disputed:
		return nil
	}
	p.Disputed = true
	if err := putPayee(ctx, tx, p, version); err != nil {
		return err
	}
	_, err = tx.Append(ctx, ledger.Entry{Event: "reference.changed", Subject: r.Subject, Release: r.ID, Person: by.Person, Client: by.Client,
		Object: id, Data: map[string]string{"what": "payee disputed", "flow": by.Flow}})
	return err
}

// WithdrawAsk takes the question to colleagues back when whoever asked it waits
// no longer. A release that was asked for goes on waiting for them.
func (g *Gate) WithdrawAsk(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, by Actor) (Release, error) {
	if by.Zero() {
		return Release{}, ErrForbidden
	}
	return g.change(ctx, tenant, id, func(t *turn) error {
		if t.r.State != StatePendingApproval || !t.r.AskedAt.IsZero() {
			return nil
		}
		if err := t.withdrawGiven(by); err != nil {
			return err
		}
		if _, err := t.entry("approval.withdrawn", by, map[string]string{"why": "nobody waits for it any more"}); err != nil {
			return err
		}
		return t.move(StatePendingEvidence, by, "the question to colleagues was taken back")
	})
}

// withdrawGiven ends the approvals that were given before the question went.
func (t *turn) withdrawGiven(by Actor) error {
	for rec, err := range ledger.All(t.ctx, t.tx, KindApproval, ledger.Query{Key: "release", Value: string(t.r.ID)}) {
		if err != nil {
			return err
		}
		a, version, err := ledger.Read[Approval](t.ctx, t.tx, KindApproval, rec.ID)
		if err != nil {
			return err
		}
		if !a.Withdrawn.IsZero() {
			continue
		}
		a.Withdrawn = t.now
		if err := t.putApproval(a, version); err != nil {
			return err
		}
	}
	return nil
}
