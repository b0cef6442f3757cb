package gate

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Case is everything that a verdict depends on, gathered in one transaction.
// The zero Case refuses.
type Case struct {
	// Ask is what the policy judges: action, proofs, approvals, signals, sums.
	// Its Class and Now are set by Decide.
	Ask policy.Case
	// Payee is the account paid to, "" for none; Known reports that it is a
	// known payee by our own records.
	Payee string
	Known bool
	// AskedBy raises the class by one step for e-mail and letter.
	AskedBy AskedBy
	// Acts reports that somebody acts for the subject; Mandated that a mandate
	// covers it.
	Acts, Mandated bool
	// OtherTeam reports that one of those who approved is of another team than
	// whoever opened the action; C5 needs one.
	OtherTeam bool
	// Active reports that the subject is active and its contact points are as
	// they were when the action was opened.
	Active bool
	// Held reports a hold that nobody lifted, or an alarm not yet looked at.
	Held bool
	// Rejects counts the alarms "it was not me" about the subject in 24 hours.
	Rejects int
	// Risks are what looks odd, in sentences. They decide nothing here: what a
	// policy asks of them stands among the signals.
	Risks []Risk
	// Frozen is why nothing of C2 and above may go now, or "".
	Frozen policy.Reason
}

// Decide judges a case by a policy at now. It is pure; a nil policy and the
// zero Case refuse.
func Decide(p *policy.Policy, c Case, now time.Time) Verdict {
	c.Ask.Now = now
	c.Ask.Class = classOf(p, c)
	c.Ask.FirstPayment = c.Payee != "" && !c.Known && c.inPerson()
	a := p.Evaluate(c.Ask)
	v := Verdict{Reasons: a.Reasons, Missing: a.Missing, Ways: a.Ways, Class: a.Class, Approvals: a.Approvals,
		EvidenceComplete: a.EvidenceComplete, Hold: a.Hold, Used: a.Used, Risks: c.Risks}
	for _, w := range a.Waivers {
		v.Waivers = append(v.Waivers, w.Rule+" waived to "+w.Value+" until "+w.Until.Format(time.DateOnly)+": "+w.Reason)
	}
	if v.Class >= ringfence.C5 && !c.OtherTeam && !slices.Contains(v.Missing, ringfence.FactApproved) {
		v.Missing = append(slices.Clone(v.Missing), ringfence.FactApproved)
	}
	var stops []policy.Reason
	if !c.Active {
		stops = append(stops, policy.ReasonWrongSubject)
	}
	if c.Acts && !c.Mandated {
		stops = append(stops, policy.ReasonMandate)
	}
	if c.Held || c.Rejects >= 2 {
		stops = append(stops, policy.ReasonHeld)
	}
	if c.Frozen != "" && v.Class >= ringfence.C2 {
		stops = append(stops, c.Frozen)
	}
	v.Reasons = append(stops, v.Reasons...)
	switch {
	case len(stops) > 0 || slices.ContainsFunc(v.Reasons, final):
		v.Decision, v.EvidenceComplete = Refuse, false
	case a.Satisfied && len(v.Reasons) == 0 && len(v.Missing) == 0:
		v.Decision = Allow
	case len(v.Missing) > 0:
		v.Decision = StepUp
	default:
		v.Decision = Refuse
	}
	v.Next = sentence(v)
	return v
}

// inPerson reports that the person themselves asked: on the call that the release
// was opened on, or as whoever opened it says. What nobody says is not known.
func (c Case) inPerson() bool {
	switch c.AskedBy {
	case AskedPhone, AskedPerson:
		return true
	default:
		return c.AskedBy == AskedUnsaid && c.Ask.Traversal != ""
	}
}

// final reports reasons that no proof mends.
func final(r policy.Reason) bool {
	switch r {
	case policy.ReasonMissing, policy.ReasonStale, policy.ReasonRaised, policy.ReasonWrongAction, policy.ReasonWrongSubject,
		policy.ReasonContactTooNew, policy.ReasonAuthenticatorTooNew:
		return false
	default:
		return true
	}
}

// classOf raises the policy's own class by what only the gate's records know;
// it never lowers it.
func classOf(p *policy.Policy, c Case) ringfence.Class {
	a, ok := p.Action(c.Ask.Action)
	if !ok {
		return ringfence.C5
	}
	class := a.Class.Effective()
	if c.AskedBy == AskedEmail || c.AskedBy == AskedLetter {
		class = min(class+1, ringfence.C5)
	}
	if c.Payee != "" && !c.Known {
		class = max(class, ringfence.C4)
	}
	return class
}
