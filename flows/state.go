package flows

import "github.com/ringfence/ringfence"

// stateVersion is the version of State's JSON. A reader refuses any other.
const stateVersion = 1

// State is where one traversal stands in its flows. It belongs to one
// goroutine. Its JSON holds personal data (payload, record fields) but no
// secret: store it encrypted under the subject's key.
type State struct {
	Version  int     `json:"version"`
	Bundle   string  `json:"bundle"` // hash of the bundle, hexadecimal
	Ended    bool    `json:"ended,omitempty"`
	Language string  `json:"language"`
	Frames   []frame `json:"frames"`

	Subject ringfence.SubjectKind `json:"subject,omitempty"`
	Record  map[string]string     `json:"record,omitempty"`
	Payload map[string]string     `json:"payload,omitempty"` // by action.field
	Open    map[string]bool       `json:"open,omitempty"`    // actions with an open release
	Given   string                `json:"given,omitempty"`
	Call    CallFacts             `json:"call"`
}

type frame struct {
	Place Place `json:"place"`
}
