package runner

import (
	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify"
)

// factSays tells the console what a proof proves, and no more.
func factSays(f ringfence.Fact) string {
	switch f {
	case ringfence.FactAttested:
		return "the carrier vouches for the number"
	case ringfence.FactKnownNumber:
		return "the number shown is one we hold for this person"
	case ringfence.FactPIN:
		return "the telephone PIN was keyed on this leg"
	case ringfence.FactOTP:
		return "a code sent to the phone on file was keyed (restricted: the telephone network can be diverted)"
	case ringfence.FactTOTP:
		return "a code of the authenticator app was keyed"
	case ringfence.FactPasskey:
		return "the passkey approved exactly this action on its own page"
	case ringfence.FactCallback:
		return "somebody at the number on file heard the request and keyed the code; it does not prove who is on the other line"
	case ringfence.FactConfirmed:
		return "the action was read back whole and confirmed"
	case ringfence.FactApproved:
		return "a colleague approved exactly this action"
	case ringfence.FactProofed:
		return "identity was proofed in person"
	default:
		return string(f)
	}
}

func outcomeSays(o verify.Outcome) string {
	switch o {
	case verify.OutcomeRejected:
		return "the person said that it was not them"
	case verify.OutcomeFailed, verify.OutcomeWrong:
		return "not right"
	case verify.OutcomeMissing:
		return "there is none"
	case verify.OutcomeDiverted:
		return "went to another number"
	case verify.OutcomeUndeliverable:
		return "could not be sent"
	default:
		return "no answer in time"
	}
}

func stateSays(s gate.State) string {
	switch s {
	case gate.StatePendingEvidence:
		return "waits for proof"
	case gate.StatePendingApproval:
		return "waits for a colleague"
	case gate.StateCooling:
		return "cools off"
	case gate.StateReady:
		return "is ready for its executor"
	case gate.StatePermitted:
		return "the executor holds a permit"
	case gate.StateRedeemed:
		return "the permit was redeemed"
	case gate.StateExecuted:
		return "done"
	case gate.StateExecFailed:
		return "the executor failed"
	case gate.StateExecUnknown:
		return "the executor does not know whether it is done"
	case gate.StateHeld:
		return "held"
	case gate.StateDenied:
		return "denied"
	case gate.StateCancelled:
		return "cancelled"
	case gate.StateExpired:
		return "expired"
	default:
		return string(s)
	}
}

// claimSays names a claim without showing a record: kind only, until the
// policy lets a field be shown.
func claimSays(s ringfence.Subject) string { return "a " + string(s.Kind) + " on file" }

// evidence puts one line into the evidence panel in place of an older one of
// the same fact and release.
func (t *traversal) evidence(ev ringfence.LiveEvidence) {
	t.note(ev.Says, ev.Good == ringfence.No)
	for i, old := range t.live.Evidence {
		if old.Fact == ev.Fact && old.Release == ev.Release {
			t.live.Evidence[i] = ev
			return
		}
	}
	t.live.Evidence = append(t.live.Evidence, ev)
}

// factSet is what counts for speech and queues on a leg: what was proved on
// this traversal, leg facts only on their own leg (invariant 34).
func (t *traversal) factSet(at flows.LegSlot) policy.FactSet {
	var set policy.FactSet
	if t.known {
		set = set.With(ringfence.FactIdentified)
	}
	s := t.slots[at]
	if s == nil || s.leg == nil {
		return set
	}
	for _, p := range t.onLeg {
		if p.leg == s.leg.ID() {
			set = set.With(p.fact)
		}
	}
	return set
}

func (t *traversal) language() string {
	if t.session != nil && t.session.state != nil && t.session.state.Language != "" {
		return t.session.state.Language
	}
	if t.line.Language != "" {
		return t.line.Language
	}
	return "en"
}

// lost reports that nobody ended the leg: it broke.
func lost(cause ringfence.EndCause) bool {
	return cause == ringfence.EndMedia || cause == ringfence.EndFailed || cause == ringfence.EndLimit
}

// goneSays is how a leg that was up ended, in words. Nobody hung up who only was
// not heard any more.
func goneSays(whose string, cause ringfence.EndCause) string {
	switch cause {
	case ringfence.EndMedia:
		return "no sound came from the " + whose + " any more"
	case ringfence.EndFailed:
		return "the " + whose + "'s telephone does not answer any more"
	case ringfence.EndLimit:
		return "the " + whose + "'s call was as long as a call may be"
	default:
		return "the " + whose + " hung up"
	}
}

// whose says who is at the far end of a leg in a slot.
func (t *traversal) whose(leg Leg) string {
	if leg == t.first {
		return "caller"
	}
	return "number on file"
}
