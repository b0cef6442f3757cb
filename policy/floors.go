package policy

import (
	"time"

	"github.com/ringfence/ringfence"
)

// floor is one set of a class's row in docs/threat-model.md, "Classes": any
// one of the row's sets is enough, and no policy may ask for less.
type floor struct {
	facts        FactSet
	approvals    int  // different approvers, when approved is among the facts
	counterparty bool // only for subjects that cannot hold an authenticator with us
	first        bool // only for an action that adds a first authenticator to a subject who has none
	simSwapNo    bool // otp counts only with a SIM-swap signal of no
	otherContact bool // otp and callback on two different contact points
	hold         time.Duration
}

const (
	day = 24 * time.Hour
	// holdUnknown is the least hold of a C4 action while SIM swap or
	// diversion is unknown and no colleague approved.
	holdUnknown = 24 * time.Hour
	// numberAge is how long a number is on file before a call-back to it
	// counts for C4.
	numberAge = 30 * day
	// passkeyMemory is how long a passkey that a subject had forbids weaker
	// ways for C4 (invariant 29); the gate fills Case.HadPasskey by it.
	passkeyMemory = 30 * day
	// proofedAge is how old an identity proofing may be.
	proofedAge = 24 * time.Hour
)

// PasskeyMemory is how long after its removal a subject's passkey still
// forbids weaker ways for C4 (invariant 29).
const PasskeyMemory = passkeyMemory

var proofedFloor = floor{facts: NewFactSet(ringfence.FactProofed, ringfence.FactApproved), approvals: 2, hold: 72 * time.Hour}

// floors is the table of classes. The proofed row stands under every class,
// because more proof never hurts.
var floors = map[ringfence.Class][]floor{
	ringfence.C0: {{}},
	ringfence.C1: {
		{facts: NewFactSet(ringfence.FactAttested, ringfence.FactKnownNumber, ringfence.FactPIN)},
		{facts: NewFactSet(ringfence.FactOTP)},
		{facts: NewFactSet(ringfence.FactTOTP)},
		{facts: NewFactSet(ringfence.FactPasskey)},
		{facts: NewFactSet(ringfence.FactCallback)},
		proofedFloor,
	},
	ringfence.C2: {
		{facts: NewFactSet(ringfence.FactPasskey)},
		{facts: NewFactSet(ringfence.FactTOTP)},
		{facts: NewFactSet(ringfence.FactOTP), simSwapNo: true},
		{facts: NewFactSet(ringfence.FactCallback)},
		proofedFloor,
	},
	ringfence.C3: {
		{facts: NewFactSet(ringfence.FactPasskey)},
		{facts: NewFactSet(ringfence.FactTOTP, ringfence.FactCallback)},
		{facts: NewFactSet(ringfence.FactOTP, ringfence.FactCallback), otherContact: true},
		{facts: NewFactSet(ringfence.FactCallback, ringfence.FactApproved), approvals: 1},
		proofedFloor,
	},
	ringfence.C4: {
		{facts: NewFactSet(ringfence.FactPasskey, ringfence.FactCallback, ringfence.FactPIN), hold: 12 * time.Hour},
		{facts: NewFactSet(ringfence.FactPasskey, ringfence.FactApproved), approvals: 1, hold: 12 * time.Hour},
		{facts: NewFactSet(ringfence.FactTOTP, ringfence.FactCallback, ringfence.FactApproved), approvals: 1, hold: 12 * time.Hour},
		{facts: NewFactSet(ringfence.FactCallback, ringfence.FactApproved), approvals: 2, counterparty: true, hold: 24 * time.Hour},
		{facts: NewFactSet(ringfence.FactCallback, ringfence.FactApproved), approvals: 1, first: true, hold: 12 * time.Hour},
		proofedFloor,
	},
	ringfence.C5: {proofedFloor},
}

// classDefaults are the figures of a class that need no line in the policy.
type classDefaults struct {
	fresh, maxFresh time.Duration
	lanes           int
	age             time.Duration // cooling-off of contact points and authenticators
	hold            time.Duration
}

func defaultsOf(c ringfence.Class) classDefaults {
	switch c {
	case ringfence.C0: // nothing is asked, so nothing rides on a lane
		return classDefaults{fresh: 30 * time.Minute, maxFresh: time.Hour}
	case ringfence.C1:
		return classDefaults{fresh: 30 * time.Minute, maxFresh: time.Hour, lanes: 1}
	case ringfence.C2:
		return classDefaults{fresh: 15 * time.Minute, maxFresh: time.Hour, lanes: 1}
	case ringfence.C3:
		return classDefaults{fresh: 5 * time.Minute, maxFresh: 20 * time.Minute, lanes: 1, age: 24 * time.Hour}
	case ringfence.C4:
		return classDefaults{fresh: 15 * time.Minute, maxFresh: 20 * time.Minute, lanes: 2, age: 72 * time.Hour, hold: 12 * time.Hour}
	default:
		return classDefaults{fresh: 15 * time.Minute, maxFresh: 20 * time.Minute, lanes: 2, age: 72 * time.Hour, hold: 72 * time.Hour}
	}
}

// Lanes. Independence counts, not labels.
const (
	LaneMemory    = "memory"
	LaneHandset   = "handset"
	LaneColleague = "colleague"
	// LanePapers is what witnesses or a provider saw: neither memory nor handset
	// of the claimant, nor any of the colleagues who approve.
	LanePapers = "papers"
)

// laneOf returns the lane a fact rides on when nothing better is known; ""
// for signals, claims and the read-back, which ride on none of their own.
func laneOf(f ringfence.Fact) string {
	switch f {
	case ringfence.FactPIN:
		return LaneMemory
	case ringfence.FactOTP, ringfence.FactTOTP, ringfence.FactPasskey, ringfence.FactCallback:
		return LaneHandset
	case ringfence.FactApproved:
		return LaneColleague
	case ringfence.FactProofed:
		return LanePapers
	default:
		return ""
	}
}

// LanesOf counts the different lanes that a set of facts rides on when
// nothing is known to live elsewhere; the prover uses it for P6.
func LanesOf(s FactSet) int {
	var seen [4]bool
	for _, f := range ringfence.Facts {
		if !s.Has(f) {
			continue
		}
		switch laneOf(f) {
		case LaneMemory:
			seen[0] = true
		case LaneHandset:
			seen[1] = true
		case LaneColleague:
			seen[2] = true
		case LanePapers:
			seen[3] = true
		}
	}
	n := 0
	for _, yes := range seen {
		if yes {
			n++
		}
	}
	return n
}

// presents are the facts one of which must be among the proofs of every C3+
// way, because only they put every material field before the person
// (invariant 31).
var presents = NewFactSet(ringfence.FactPasskey, ringfence.FactConfirmed, ringfence.FactProofed)

// admits reports whether the static side of some set of the class's row is in
// s. approvals is how many different approvers the policy asks for.
func admits(class ringfence.Class, whose rows, s FactSet, approvals int) bool {
	for _, f := range floors[class] {
		if !whose.has(f) {
			continue
		}
		if s.Contains(f.facts) && (!f.facts.Has(ringfence.FactApproved) || approvals >= f.approvals) {
			return true
		}
	}
	return false
}

// approversOf is the least count of approvers of a class's row.
func approversOf(class ringfence.Class, counterparty bool) int {
	if class >= ringfence.C5 || class == ringfence.C4 && counterparty {
		return 2
	}
	return 1
}

// floorWays returns the fact sets of those rows of a class that ok lets
// pass, each with a fact that presents the action when the class is C3 or
// above.
func floorWays(class ringfence.Class, ok func(floor) bool) []FactSet {
	var out []FactSet
	for _, f := range floors[class] {
		if !ok(f) {
			continue
		}
		s := f.facts
		if class >= ringfence.C3 && s&presents == 0 {
			s = s.With(ringfence.FactConfirmed)
		}
		out = append(out, s)
	}
	return minimal(out)
}

// rows says which of the rows that are not for everybody an action may use.
type rows struct {
	counterparty bool // it is about one
	first        bool // it adds a first authenticator
}

func (r rows) has(f floor) bool { return (r.counterparty || !f.counterparty) && (r.first || !f.first) }

// rowsFor lets pass the rows of an action.
func rowsFor(r rows) func(floor) bool { return r.has }
