package gate

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Guard says what may be spoken on one leg and where it may be connected. The
// zero Guard allows nothing.
type Guard struct {
	policies []*policy.Policy // each of them has to hold; none allows nothing
	low      policy.FactSet   // what counts below C2
	high     policy.FactSet   // what counts from C2 on: a text message only without a SIM swap
	other    policy.FactSet   // what was proved only for another release: not for fields of this one
	action   string
}

// GuardRequest names the leg that would hear, and about whom.
type GuardRequest struct {
	Traversal ringfence.TraversalID
	Leg       ringfence.LegID
	Subject   ringfence.SubjectID
	// Release, when set, is the action whose fields may be spoken too.
	Release ringfence.ReleaseID
	// SIMSwap is what is known of the number on file.
	SIMSwap ringfence.Tri
}

// guardAge is how old a proof may be to let something be spoken.
const guardAge = 15 * time.Minute

// Guard gathers what was proved on exactly this leg (invariant 34) about this
// subject.
func (g *Gate) Guard(ctx context.Context, tenant ringfence.TenantID, q GuardRequest) (Guard, error) {
	out := Guard{}
	policies := g.demanded(tenant)
	if policies[0] == nil || q.Traversal == "" || q.Leg == "" || q.Subject == "" {
		out.policies = policies
		return out, nil
	}
	err := g.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		out = Guard{policies: policies}
		rows, err := ledger.Rows[ringfence.Evidence](ctx, tx, ledger.KindEvidence,
			ledger.Query{Key: "traversal", Value: string(q.Traversal), Desc: true})
		if err != nil {
			return err
		}
		if q.Release != "" {
			r, _, err := ledger.Read[row](ctx, tx, KindRelease, string(q.Release))
			if err != nil {
				return err
			}
			if r.Proves == q.Subject && r.Traversal == q.Traversal {
				out.action = r.Type
			}
		}
		points, err := ledger.Rows[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, bySubject(q.Subject))
		if err != nil {
			return err
		}
		auths, err := ledger.Rows[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, bySubject(q.Subject))
		if err != nil {
			return err
		}
		gone, err := readVoids(ctx, tx, q.Traversal)
		if err != nil {
			return err
		}
		out.low = policy.NewFactSet(ringfence.FactIdentified)
		own := out.low
		for _, e := range rows {
			age := tx.Now().Sub(e.At)
			if e.Subject != q.Subject || e.Leg != q.Leg || e.Traversal != q.Traversal || age < 0 || age > guardAge || gone.void(e) || revoked(e, auths) ||
				e.Fact == ringfence.FactKnownNumber && !oldEnough(points, e.ContactPoint, tx.Now()) {
				continue
			}
			out.low = out.low.With(e.Fact)
			if e.Release == "" || e.Release == q.Release {
				own = own.With(e.Fact)
			}
		}
		out.other = out.low.Minus(own)
		out.high = out.low
		if q.SIMSwap != ringfence.No {
			out.high = out.high.Minus(policy.NewFactSet(ringfence.FactOTP))
		}
		return nil
	})
	return out, err
}

func oldEnough(points []ringfence.ContactPoint, id ringfence.ContactPointID, now time.Time) bool {
	return slices.ContainsFunc(points, func(p ringfence.ContactPoint) bool {
		return p.ID == id && p.Status == ringfence.StatusActive && !p.ChangedAt.IsZero() && now.Sub(p.ChangedAt) >= staffWait
	})
}

// MaySpeak reports whether a field, "customer.balance" or "payment.payee", may
// be spoken on the leg. Fields of an action need the guard to be made for a
// release of that action.
func (g Guard) MaySpeak(field string) bool {
	return g.all(func(p *policy.Policy) bool { return g.maySpeak(p, field) })
}

func (g Guard) maySpeak(p *policy.Policy, field string) bool {
	guard, ok := p.Spoken(field)
	if !ok {
		return false
	}
	owner, _, _ := strings.Cut(field, ".")
	facts := g.facts(guard.Class)
	if _, isAction := p.Action(owner); isAction {
		if owner != g.action {
			return false
		}
		facts = facts.Minus(g.other)
	}
	return guard.Holds(facts)
}

// MayConnect reports whether the leg may be connected to a queue.
func (g Guard) MayConnect(queue string) bool {
	return g.all(func(p *policy.Policy) bool {
		guard, ok := p.Queue(queue)
		return ok && guard.Holds(g.facts(guard.Class))
	})
}

// all reports whether something holds for every policy; for none it does not.
func (g Guard) all(holds func(*policy.Policy) bool) bool {
	for _, p := range g.policies {
		if !holds(p) {
			return false
		}
	}
	return len(g.policies) > 0
}

// Facts lists what counts on the leg.
func (g Guard) Facts() []ringfence.Fact { return g.low.Facts() }

func (g Guard) facts(c ringfence.Class) policy.FactSet {
	if c.Effective() >= ringfence.C2 {
		return g.high
	}
	return g.low
}
