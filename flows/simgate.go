package flows

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// gate judges a release with the policy, as the gate does: with real proofs,
// each of a good age.
func (m *Simulator) gate(e Effect) Outcome {
	switch m.world.Gate {
	case "denied":
		return Denied
	case "later":
		return Later
	case "down":
		return Down
	}
	if slices.Contains(m.world.Down, "gate") {
		return Down
	}
	r := m.releases[e.Action]
	if r == nil {
		return Denied
	}
	answer := m.bundle.pol.Evaluate(m.policyCase(e.Action))
	switch {
	case answer.Satisfied && answer.Hold > 0 && m.world.Gate != "no_hold":
		r.hold = answer.Hold
		m.accepted = append(m.accepted, e.Action)
		return Later
	case answer.Satisfied:
		m.accepted = append(m.accepted, e.Action)
		m.released = append(m.released, e.Action)
		return OK
	case answer.EvidenceComplete:
		return Later
	}
	m.trace(e.On, "the policy misses %v: %v", answer.Missing, answer.Reasons)
	return Denied
}

var strengths = map[ringfence.Fact]ringfence.Strength{
	ringfence.FactPIN: ringfence.StrengthKnowledge, ringfence.FactOTP: ringfence.StrengthPSTN,
	ringfence.FactTOTP: ringfence.StrengthPossess, ringfence.FactPasskey: ringfence.StrengthPasskey,
	ringfence.FactCallback: ringfence.StrengthCallback, ringfence.FactProofed: ringfence.StrengthProofed,
}

func (m *Simulator) policyCase(action string) policy.Case {
	const year = 365 * 24 * time.Hour
	epoch := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	digest := ringfence.Digest{1}
	c := policy.Case{Action: action, Release: "rel_sim", Digest: digest, Traversal: "trv_sim", Subject: "sub_sim", Kind: m.world.Kind,
		Fields: map[string]string{}, HadPasskey: m.world.Passkey,
		HasAuthenticator: m.world.PIN != "" || m.world.TOTP || m.world.Passkey, Now: epoch.Add(m.now),
		Signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
	if a, ok := m.bundle.pol.Action(action); ok {
		c.Kind = a.About
		for _, f := range a.Carries {
			c.Fields[f.Name] = m.state.Payload[action+"."+f.Name]
		}
	}
	for i, p := range m.evidence {
		ev := ringfence.Evidence{ID: ringfence.EvidenceID(fmt.Sprintf("evd_%d", i)), Subject: c.Subject, Fact: p.fact, Strength: strengths[p.fact],
			Traversal: c.Traversal, At: epoch.Add(p.at), ContactPoint: "cpt_sim", Authenticator: "aut_sim"}
		if p.fact.Bound() {
			if p.action != action {
				continue
			}
			ev.Release, ev.Digest = c.Release, digest
			ev.Presented = p.fact == ringfence.FactPasskey || p.fact == ringfence.FactConfirmed && (p.leg > 0 || m.state.NewLeg || m.flow.Starts == StartsJob)
		}
		c.Proofs = append(c.Proofs, policy.Proof{Evidence: ev, ContactAge: year, AuthenticatorAge: year})
	}
	if r := m.releases[action]; r != nil {
		a, _ := m.bundle.pol.Action(action)
		for i := range r.approvals {
			c.Approvals = append(c.Approvals, policy.Approval{ID: ringfence.ApprovalID(fmt.Sprintf("apr_%d", i)),
				Person: ringfence.PersonID(fmt.Sprintf("per_%d", i)), Groups: []string{a.Approvals.Group}})
		}
	}
	return c
}
