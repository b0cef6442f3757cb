package verify

import (
	"time"

	"github.com/ringfence/ringfence"
)

// State is where a challenge stands. The empty value is no state and is
// treated as final and not satisfied. States are stored and never renamed.
type State string

// The states. Those after StatePresented are final.
const (
	StateCreated       State = "created"       // durable; nothing has left yet
	StateIssued        State = "issued"        // handed to the provider, leg placed, link sent; also when the provider's answer was ambiguous
	StatePresented     State = "presented"     // what it asks was played or shown in full: answers count from here on
	StateSatisfied     State = "satisfied"     // exactly one Evidence row was written with this state
	StateFailed        State = "failed"        // no try left
	StateExpired       State = "expired"       // its life is over
	StateCancelled     State = "cancelled"     // nobody waits for it any more
	StateSuperseded    State = "superseded"    // a newer challenge of its chain took its place
	StateUndeliverable State = "undeliverable" // refused by provider, quota or prefix; or no such contact point
	StateDiverted      State = "diverted"      // the leg went elsewhere: never counts
	StateRejected      State = "rejected"      // "it was not me"
	StateDuress        State = "duress"        // seen by nobody but the gate and roles risk and supervisor; a Challenge shows satisfied
)

// Final reports whether no further move is possible. Anything that is not one
// of the three open states is final.
func (s State) Final() bool {
	return s != StateCreated && s != StateIssued && s != StatePresented
}

// Tier is how far the caller had got when the challenge was made. Failures
// count in their tier; the zero value is the lowest. Tiers are stored and
// never reordered.
type Tier uint8

// The tiers.
const (
	T0 Tier = 0 // unattested
	T1 Tier = 1 // attested, number on file, no sign of diversion
	T2 Tier = 2 // a passkey or TOTP was proved
)

// Field is one material field of an action as it is shown or spoken, whole.
type Field struct {
	Name  string          `json:"name"`
	As    ringfence.SayAs `json:"as,omitempty"`
	Value string          `json:"value"`
}

// Request asks for a challenge. The method is chosen by policy and flow, the
// contact point by the gate; neither ever by the person who answers.
type Request struct {
	Traversal ringfence.TraversalID
	// Leg, when set, is the only leg on which an answer counts (invariant 34).
	Leg ringfence.LegID
	// Subject is whom the proof is about; empty, or one that Identify made up,
	// makes a decoy.
	Subject ringfence.SubjectID
	Method  ringfence.Fact
	Tier    Tier
	// Release and Digest bind the proof to one action. Both or neither.
	Release ringfence.ReleaseID
	Digest  ringfence.Digest
	// Says and Fields are the action in words and its fields whole, as the page,
	// the message or the read-back presents them.
	Says   string
	Fields []Field
	// ContactPoint is the id of the number or address on file to be used; empty
	// lets To choose the subject's oldest active one of that type (any telephone
	// when To is empty too). Methods that send nothing ignore both.
	ContactPoint ringfence.ContactPointID
	To           ringfence.ContactType
	// NotYounger is the least age of the contact point and of the authenticator
	// since they were last changed or bound. Zero asks for none here; the gate
	// judges ages in any case.
	NotYounger time.Duration
	// Tries bounds answers over the whole chain. Zero means 3; at most 5 (PSD2
	// RTS, Article 4(3)(b)).
	Tries int
	// Life is how long answers count after issue. Zero means the method's own;
	// more than the method's bound is an error.
	Life time.Duration
	// By is the member of staff who asked, counted against their quota.
	By       ringfence.PersonID
	Language string // BCP 47; empty means "en"
}

// Challenge is one request for proof, as everybody but its method sees it. It
// holds no code.
type Challenge struct {
	ID        ringfence.ChallengeID `json:"id"`
	Tenant    ringfence.TenantID    `json:"tenant"`
	Method    ringfence.Fact        `json:"method"`
	State     State                 `json:"state"`
	Why       string                `json:"why,omitempty"` // one word for the console: quota, prefix, missing, tries, …
	Subject   ringfence.SubjectID   `json:"subject,omitempty"`
	Tier      Tier                  `json:"tier"`
	Traversal ringfence.TraversalID `json:"traversal,omitempty"`
	Leg       ringfence.LegID       `json:"leg,omitempty"`
	Release   ringfence.ReleaseID   `json:"release,omitempty"`
	Digest    ringfence.Digest      `json:"digest"`
	Says      string                `json:"says,omitempty"`
	Fields    []Field               `json:"fields,omitempty"`

	ContactPoint ringfence.ContactPointID `json:"contact_point,omitempty"`
	By           ringfence.PersonID       `json:"by,omitempty"`
	Language     string                   `json:"language,omitempty"`

	Tries int `json:"tries"` // counted over the whole chain
	Max   int `json:"max"`

	CreatedAt   time.Time     `json:"created_at"`
	IssuedAt    time.Time     `json:"issued_at,omitzero"`
	PresentedAt time.Time     `json:"presented_at,omitzero"`
	EndedAt     time.Time     `json:"ended_at,omitzero"`
	ExpiresAt   time.Time     `json:"expires_at"`
	Life        time.Duration `json:"life"`
	// RetryAfter is when a request refused for quota may be made again.
	RetryAfter time.Time `json:"retry_after,omitzero"`

	Evidence  ringfence.EvidenceID  `json:"evidence,omitempty"`
	Successor ringfence.ChallengeID `json:"successor,omitempty"`
	// Decoy reports that nobody is to be rung or written to. It is for whoever
	// places the leg, and is never shown, spoken, logged or branched on
	// otherwise (invariant 23).
	Decoy bool `json:"decoy,omitempty"`
}
