package verify

import (
	"time"

	"github.com/ringfence/ringfence"
)

// Outcome is what came of a submission or of a whole challenge. The empty
// value is no outcome; only OutcomeSatisfied is good.
type Outcome string

// The outcomes.
const (
	OutcomeOpen          Outcome = "open"      // still waiting: an event on the way, seen by Watch only
	OutcomeSatisfied     Outcome = "satisfied" // Evidence is set
	OutcomeWrong         Outcome = "wrong"     // not right; TriesLeft says how many more
	OutcomeFailed        Outcome = "failed"    // not right, and no try left
	OutcomeExpired       Outcome = "expired"
	OutcomeCancelled     Outcome = "cancelled"
	OutcomeSuperseded    Outcome = "superseded"
	OutcomeUndeliverable Outcome = "undeliverable"
	OutcomeMissing       Outcome = "missing" // the subject has no such authenticator
	OutcomeDiverted      Outcome = "diverted"
	OutcomeRejected      Outcome = "rejected"
	// OutcomeClosed answers a submission that came after the end of a
	// satisfied challenge, before it was presented, or on another leg. It was
	// neither counted nor compared.
	OutcomeClosed Outcome = "closed"
)

// Flow returns the flow language's word for the outcome:
// ok, wrong, silent, down, missing, refused, diverted; "" while open.
func (o Outcome) Flow() string {
	switch o {
	case OutcomeSatisfied:
		return "ok"
	case OutcomeWrong, OutcomeFailed:
		return "wrong"
	case OutcomeMissing:
		return "missing"
	case OutcomeRejected:
		return "refused"
	case OutcomeDiverted:
		return "diverted"
	case OutcomeUndeliverable:
		return "down"
	case OutcomeOpen:
		return ""
	default: // expired, cancelled, superseded, closed and anything unknown
		return "silent"
	}
}

// Answer is what somebody keyed or sent.
type Answer struct {
	// Leg is the leg that carried it; empty for the passkey page.
	Leg ringfence.LegID
	// Value is digits as keyed, or the body of an assertion. Submit does not
	// keep it.
	Value ringfence.Secret
	// Early reports that digits arrived before what they must repeat was
	// spoken: the try is counted and void (invariant 16).
	Early bool
}

// Result is where a challenge stands after an event.
type Result struct {
	Challenge ringfence.ChallengeID
	Outcome   Outcome
	State     State // duress reads as satisfied
	TriesLeft int
	Evidence  *ringfence.Evidence // set exactly when Outcome is OutcomeSatisfied by this call
	// MustChange reports that a first, random PIN was keyed and is to be
	// changed before it counts for more than reaching the change.
	MustChange bool
	Successor  ringfence.ChallengeID // of a superseded challenge
	At         time.Time
}

// Satisfied reports whether the proof was given.
func (r Result) Satisfied() bool { return r.Outcome == OutcomeSatisfied }

// Signature is what a person's own passkey signed: SHA-256 of a message, with
// user verification. It holds everything that an auditor needs to check it
// again, and no secret.
type Signature struct {
	Person        ringfence.PersonID        `json:"person"`
	Authenticator ringfence.AuthenticatorID `json:"authenticator"`
	Purpose       string                    `json:"purpose"` // login, approval, bundle, …
	Message       [32]byte                  `json:"message"` // what was to be signed
	// Random and Message make the WebAuthn challenge: Random ‖
	// SHA-256(Random ‖ Message).
	Random            []byte    `json:"random"`
	Credential        []byte    `json:"credential"` // credential id
	PublicKey         []byte    `json:"public_key"` // COSE_Key
	ClientDataJSON    []byte    `json:"client_data"`
	AuthenticatorData []byte    `json:"authenticator_data"`
	Signature         []byte    `json:"signature"`
	At                time.Time `json:"at"`
}
