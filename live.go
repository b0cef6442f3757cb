package ringfence

import "time"

// LiveCall is what the console may show of one traversal now. It carries no
// secret, and of contact points at most the last two digits; record fields
// stand in it only after the policy's speak guard let them pass.
type LiveCall struct {
	Tenant    TenantID    `json:"-"`
	Traversal TraversalID `json:"traversal"`
	Version   int64       `json:"version"` // grows with every change; a reader drops an older one
	Reference string      `json:"reference"`
	Direction Direction   `json:"direction"`
	Began     time.Time   `json:"began"`
	State     string      `json:"state"`          // in_flow, queued, ringing, talking, step_up, suspended, ended
	Since     time.Time   `json:"since,omitzero"` // when State was entered
	Line      string      `json:"line"`
	Queue     string      `json:"queue,omitempty"`
	Owner     PersonID    `json:"owner,omitempty"`
	Epoch     int64       `json:"epoch"`
	// Ringing are those whose telephones ring for the call now. Until one of
	// them answers, the call is nobody's and none of them may see it.
	Ringing []PersonID `json:"-"`

	Caller      string `json:"caller"` // the presented number in full, as text of a stranger
	CallerName  string `json:"caller_name,omitempty"`
	Attest      Attest `json:"attest"`
	StirOK      Tri    `json:"stir"`
	StirSays    string `json:"stir_says"` // plain sentence, with what it does not prove
	NumberShown string `json:"number_shown"`

	Claim       string      `json:"claim,omitempty"` // "claims to be …"
	Subject     SubjectID   `json:"subject,omitempty"`
	SubjectKind SubjectKind `json:"subject_kind,omitempty"`
	// Named is what somebody who is not on file was named by; nil for who is.
	Named map[string]string `json:"-"`

	Evidence []LiveEvidence `json:"evidence"`
	Releases []LiveRelease  `json:"releases"`
	Flow     string         `json:"flow,omitempty"`
	Playing  string         `json:"playing,omitempty"` // the flow line being played, in words, never digits
	Outcome  string         `json:"outcome,omitempty"` // of the last console step-up
	SayNow   string         `json:"say_now,omitempty"` // what the flow told the clerk
	Alert    string         `json:"alert,omitempty"`
	// Supervised is listen, whisper or barge while a supervisor is in the call
	// and the agent is to know.
	Supervised string      `json:"supervised,omitempty"`
	Timeline   []LiveEvent `json:"timeline"`
}

// LiveEvidence is one line of the evidence panel.
type LiveEvidence struct {
	Fact    Fact      `json:"fact"`
	Says    string    `json:"says"` // what it proves, and of which leg
	Good    Tri       `json:"good"`
	At      time.Time `json:"at,omitzero"`
	Release ReleaseID `json:"release,omitempty"`
	Source  string    `json:"source,omitempty"`
}

// LiveRelease is one action of the call with the reason why it is not done.
type LiveRelease struct {
	ID       ReleaseID         `json:"id"`
	Type     string            `json:"type"`
	Says     string            `json:"says"`
	Class    Class             `json:"class"`
	State    string            `json:"state"`
	Fields   map[string]string `json:"fields,omitempty"`
	Digest   Digest            `json:"digest"`
	Decision string            `json:"decision"` // refuse, step_up, allow
	Why      string            `json:"why"`      // one sentence, with the fastest way on
	Missing  []Fact            `json:"missing,omitempty"`
	Risks    []string          `json:"risks,omitempty"` // what looks odd, each one sentence
	Flags    []string          `json:"flags,omitempty"` // what to look at in the fields, e.g. mixed alphabets
	Until    time.Time         `json:"until,omitzero"`
}

// LiveEvent is one line of the timeline; Text holds no secret.
type LiveEvent struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	Bad  bool      `json:"bad,omitempty"`
	// Minor is a step on the way, which a console shows on demand.
	Minor bool `json:"minor,omitempty"`
}
