package flows

import "github.com/ringfence/ringfence"

// Starting is how a flow begins. The empty value begins nothing.
type Starting string

// The ways to start.
const (
	StartsInbound  Starting = "inbound"  // a call arrives
	StartsConsole  Starting = "console"  // an agent presses a button on a live call
	StartsJob      Starting = "job"      // the API asks for an outbound call
	StartsCallback Starting = "callback" // only from another flow's callback line
)

// Place is a line of a flow.
type Place struct {
	Flow  string `json:"flow"`
	Scene string `json:"scene"`
	Line  int    `json:"line"` // counted from 0 inside the scene
}

// Proved is a fact, and the action it was proved for ("" = none).
type Proved struct {
	Fact   ringfence.Fact `json:"fact"`
	Action string         `json:"action,omitempty"`
}

// CallFacts is what a flow may know of the call itself, as call.*.
type CallFacts struct {
	Attestation string              `json:"attestation"`  // A, B, C, none, failed
	NumberShown string              `json:"number_shown"` // yes, withheld, ours, impossible
	Direction   ringfence.Direction `json:"direction"`
	Hour        int                 `json:"hour"`    // 0–23 in the line's zone
	Weekday     string              `json:"weekday"` // monday … sunday
	Open        bool                `json:"open"`    // the line's calendar says open
}

// Facts is what a flow starts with.
type Facts struct {
	Start Starting // must be what the flow says in starts:
	Call  CallFacts
	// Language wins over the flow's own where the flow has that translation.
	Language string
	// Subject is the identified kind of console and job flows; Record its
	// fields as canonical text.
	Subject ringfence.SubjectKind
	Record  map[string]string
	// Action and Payload are the release that a console or job flow was
	// started with: it is open already, and is what given stands for.
	Action  string
	Payload map[string]string // canonical text by field name
	// Have are facts proved on this traversal already and still fresh.
	Have []Proved
}
