package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Decision is the answer of Decide. The zero value refuses.
type Decision uint8

// The decisions.
const (
	Refuse Decision = 0
	StepUp Decision = 1 // something that can still be got is missing
	Allow  Decision = 2
)

// String returns refuse, step_up or allow; anything unknown refuses.
func (d Decision) String() string {
	switch d {
	case StepUp:
		return "step_up"
	case Allow:
		return "allow"
	default:
		return "refuse"
	}
}

// MarshalText writes refuse, step_up or allow.
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Verdict says whether a release may go on, and if not, what would help.
type Verdict struct {
	Decision Decision           `json:"decision"`
	Reasons  []policy.Reason    `json:"reasons,omitempty"`
	Missing  []ringfence.Fact   `json:"missing,omitempty"` // of the fastest way on
	Ways     [][]ringfence.Fact `json:"ways,omitempty"`    // what is missing of each way, fastest first
	// EvidenceComplete: nothing but colleagues is missing.
	EvidenceComplete bool                   `json:"evidence_complete"`
	Class            ringfence.Class        `json:"class"`
	Approvals        policy.Approvals       `json:"approvals"`
	Hold             time.Duration          `json:"hold"`
	Used             []ringfence.EvidenceID `json:"used,omitempty"`
	Waivers          []string               `json:"waivers,omitempty"`
	// Risks explain what looks odd, each in a sentence for staff.
	Risks []Risk `json:"risks,omitempty"`
	// Next is one plain sentence with the fastest way on, for staff and
	// service accounts; never for the caller.
	Next string `json:"next"`
}

// factWords are the facts as staff say them.
var factWords = map[ringfence.Fact]string{
	ringfence.FactIdentified:  "who the caller claims to be",
	ringfence.FactAttested:    "a call that the carrier vouches for",
	ringfence.FactKnownNumber: "a call from the number on file",
	ringfence.FactPIN:         "the telephone PIN",
	ringfence.FactOTP:         "a code sent to the phone on file",
	ringfence.FactTOTP:        "a code from the authenticator app",
	ringfence.FactPasskey:     "the passkey, by a link that shows this action",
	ringfence.FactCallback:    "a call-back to the number on file",
	ringfence.FactConfirmed:   "the action read back and confirmed on the call-back",
	ringfence.FactProofed:     "identity proofed in person",
}

// sentences has one for each reason that proof does not help against.
var sentences = map[policy.Reason]string{
	policy.ReasonPolicy:       "The policy in force does not allow this action. Ask risk.",
	policy.ReasonHeld:         "This is held. Somebody with role risk has to look at it first.",
	policy.ReasonDuress:       "This is held for duress.",
	policy.ReasonCap:          "This goes over the amount allowed within the window. It can be asked again when the window has moved on.",
	policy.ReasonVelocity:     "This has been asked for too often within the window. It can be asked again when the window has moved on.",
	policy.ReasonMandate:      "The person acting holds no mandate for this action and amount. The company must give one first.",
	policy.ReasonRaised:       "A signal about the caller's number is bad. Prove again by a way that does not use that number, or ask risk.",
	policy.ReasonClock:        "The clock of this system is not trusted at the moment. Nothing is released until somebody with role risk confirms it.",
	policy.ReasonSelfApproval: "Whoever opened the action, or was on one of its calls, cannot approve it. Ask another colleague.",
	policy.ReasonWrongSubject: "The subject is not active, or has changed since the action was opened. Open it again.",
	policy.ReasonStore:        "The records cannot be read at the moment, so nothing is released. Try again.",
}

// qualifiers say why a missing proof that exists does not count.
var qualifiers = map[policy.Reason]string{
	policy.ReasonStale:               "what was proved is too old",
	policy.ReasonRaised:              "this one asks for more than usual",
	policy.ReasonWrongAction:         "what was proved was for another action or call",
	policy.ReasonWrongSubject:        "what was proved was about somebody else",
	policy.ReasonContactTooNew:       "the number or address was changed too lately to count",
	policy.ReasonAuthenticatorTooNew: "the PIN, app or passkey was set up too lately to count",
}

// sentence puts a verdict into one sentence.
func sentence(v Verdict) string {
	if v.Decision == Allow {
		if v.Hold > 0 {
			return fmt.Sprintf("Everything is proved. It goes after a cooling-off of %s.", policy.Duration(v.Hold))
		}
		return "Everything is proved. It can go."
	}
	for _, r := range v.Reasons {
		if s, ok := sentences[r]; ok && (v.Decision == Refuse || len(v.Missing) == 0) {
			return s
		}
	}
	if len(v.Missing) == 0 {
		return sentences[policy.ReasonPolicy]
	}
	s := "Still needed: " + needed(v.Missing, v.Approvals)
	for _, r := range v.Reasons {
		if q, ok := qualifiers[r]; ok {
			s += "; " + q
			break
		}
	}
	if len(v.Ways) > 1 && !slices.Contains(v.Ways[1], ringfence.FactProofed) {
		s += ". Or: " + needed(v.Ways[1], v.Approvals)
	}
	return s + "."
}

func needed(facts []ringfence.Fact, a policy.Approvals) string {
	var words []string
	for _, f := range facts {
		w := factWords[f]
		if f == ringfence.FactApproved {
			who := strings.ReplaceAll(a.Group, "_", " ")
			if who == "" {
				who = "the approving group"
			}
			w = "the approval of a colleague of " + who
			if a.Count > 1 {
				w = fmt.Sprintf("the approval of %d colleagues of %s", a.Count, who)
			}
		}
		if w == "" {
			w = string(f)
		}
		words = append(words, w)
	}
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}
