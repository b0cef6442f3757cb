package flows

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// stateVersion is the version of State's JSON. A reader refuses any other.
const stateVersion = 1

// maxTypedAhead bounds the keys that wait for the next ask or choose.
const maxTypedAhead = 32

// State is where one traversal stands in its flows. It belongs to one
// goroutine. Its JSON holds personal data (payload, record fields) but no
// secret, and no key that was not yet used: store it encrypted under the
// subject's key.
type State struct {
	Version  int      `json:"version"`
	Bundle   string   `json:"bundle"` // hash of the bundle, hexadecimal
	Start    Starting `json:"start"`
	Ended    bool     `json:"ended,omitempty"`
	Language string   `json:"language"`
	Frames   []frame  `json:"frames"`
	Wait     wait     `json:"wait"`
	Seq      Ref      `json:"seq"`

	Subject ringfence.SubjectKind `json:"subject,omitempty"`
	Record  map[string]string     `json:"record,omitempty"`
	Payload map[string]string     `json:"payload,omitempty"` // by action.field
	Open    []string              `json:"open,omitempty"`    // actions with an open release
	Given   string                `json:"given,omitempty"`
	Call    CallFacts             `json:"call"`
	Proofs  []Proved              `json:"proofs,omitempty"`
	NoLeg   bool                  `json:"no_leg,omitempty"`  // after a call-back that nobody answered
	NewLeg  bool                  `json:"new_leg,omitempty"` // after a hang-up: slot 0 is the leg we placed

	b    *Bundle
	keys []byte // typed ahead
	out  []Effect
	// unsure stops a replay before a condition of which the recording does not
	// say how it comes out; nil on every call.
	unsure func(*Line) bool
}

// frame is one flow on the stack.
type frame struct {
	Flow   string    `json:"flow"`
	Scene  int       `json:"scene"`
	Line   int       `json:"line"`
	Kind   frameKind `json:"kind"`
	Slot   LegSlot   `json:"slot,omitempty"`
	Counts []uint8   `json:"counts,omitempty"`
	Vars   []string  `json:"vars,omitempty"`
	// Before is what was proved when a sub-flow was entered: what it adds
	// counts only when it returns ok.
	Before []Proved `json:"before,omitempty"`
	// Challenge and For are those of the callback line that rang.
	Challenge Ref    `json:"challenge,omitempty"`
	For       string `json:"for,omitempty"`

	flow *Flow
}

type frameKind uint8

// Stored: never reorder.
const (
	frameRoot frameKind = 0
	frameRun  frameKind = 1 // same leg
	frameHeld frameKind = 2 // a leg of its own, while the caller holds
)

type phase uint8

// Stored: never reorder.
const (
	waitNothing   phase = 0
	waitSpeech    phase = 1  // say
	waitPrompt    phase = 2  // ask, choose: the text plays
	waitKeys      phase = 3  // ask, choose: keys are awaited
	waitReady     phase = 4  // a challenge is being created
	waitSecret    phase = 5  // the runner collects
	waitPage      phase = 6  // a passkey page
	waitResult    phase = 7  // check, identify, approve, release, connect
	waitAnnounce  phase = 8  // callback: the carry code is spoken
	waitDial      phase = 9  // callback hold: it rings
	waitSuspended phase = 10 // callback hang_up
)

// wait is what the current line waits for.
type wait struct {
	Phase   phase  `json:"phase"`
	Ref     Ref    `json:"ref,omitempty"` // challenge, or the effect to be answered
	Dial    Ref    `json:"dial,omitempty"`
	Play    Ref    `json:"play,omitempty"`
	Timer   Ref    `json:"timer,omitempty"`
	Tries   int    `json:"tries,omitempty"`
	For     string `json:"for,omitempty"`
	Private bool   `json:"private,omitempty"`

	digits []byte
}

// Resume reads a stored State. It refuses another version, another bundle, and
// a place that the bundle does not have.
func Resume(b *Bundle, raw []byte) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("flow state: %v", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("flow state: version %d, this engine reads %d", s.Version, stateVersion)
	}
	if b == nil || s.Bundle != b.hex {
		return nil, fmt.Errorf("flow state: it belongs to bundle %s", clip(s.Bundle))
	}
	if len(s.Frames) == 0 && !s.Ended {
		return nil, fmt.Errorf("flow state: it stands nowhere")
	}
	for i := range s.Frames {
		fr := &s.Frames[i]
		f, ok := b.Flow(fr.Flow)
		if !ok || fr.Scene < 0 || fr.Scene >= len(f.Scenes) || fr.Line < 0 || fr.Line >= len(f.Scenes[fr.Scene].Lines) ||
			len(fr.Counts) != f.counters+1 || len(fr.Vars) != len(f.Vars) || fr.Kind > frameHeld || (fr.Kind == frameRoot) != (i == 0) {
			return nil, fmt.Errorf("flow state: no such place in flow %s", clip(fr.Flow))
		}
		fr.flow = f
		if i > 0 {
			under := &s.Frames[i-1]
			calls := under.flow.Scenes[under.Scene].Lines[under.Line]
			if calls.With != f || calls.HangUp || (calls.Verb == Callback) != (fr.Kind == frameHeld) {
				return nil, fmt.Errorf("flow state: no line of %s calls %s", under.Flow, fr.Flow)
			}
		}
	}
	if !s.Ended && !phaseFits(s.line(), s.Wait.Phase) {
		return nil, fmt.Errorf("flow state: a %s line does not wait so", s.line().Verb)
	}
	s.b = b
	return s, nil
}

// phaseFits reports whether a line can wait in a phase.
func phaseFits(l *Line, p phase) bool {
	switch p {
	case waitSpeech:
		return l.Verb == Say
	case waitPrompt, waitKeys:
		return l.Verb == Choose || l.Verb == Ask && !l.Into.Type.Secret
	case waitReady:
		return l.Verb == Verify || l.Verb == Confirm || l.Verb == Reach || l.Verb == Callback
	case waitSecret:
		return l.Verb == Verify && l.Arg != "passkey" || l.Verb == Confirm || l.Verb == Reach || l.Verb == Ask && l.Into.Type.Secret
	case waitPage:
		return l.Verb == Verify && l.Arg == "passkey"
	case waitResult:
		return l.Verb == Check || l.Verb == Identify || l.Verb == Approve || l.Verb == Release || l.Verb == Connect
	case waitAnnounce, waitDial:
		return l.Verb == Callback && (p == waitAnnounce || !l.HangUp)
	case waitSuspended:
		return l.Verb == Callback && l.HangUp
	}
	return false
}

// Here returns the line the State stands at.
func (s *State) Here() Place {
	if len(s.Frames) == 0 {
		return Place{}
	}
	return s.line().Place()
}

// Has reports whether a fact is proved, for any action.
func (s *State) Has(f ringfence.Fact) bool {
	return slices.ContainsFunc(s.Proofs, func(p Proved) bool { return p.Fact == f })
}

// Facts returns what is proved for an action: its own facts and those bound to
// none. For "" only those bound to none.
func (s *State) Facts(action string) policy.FactSet {
	var set policy.FactSet
	for _, p := range s.Proofs {
		if p.Action == "" || p.Action == action {
			set = set.With(p.Fact)
		}
	}
	return set
}

func (s *State) top() *frame { return &s.Frames[len(s.Frames)-1] }

func (s *State) line() *Line {
	fr := s.top()
	return fr.flow.Scenes[fr.Scene].Lines[fr.Line]
}

// slot is the leg the current flow runs on.
func (s *State) slot() LegSlot { return s.top().Slot }

func (s *State) prove(f ringfence.Fact, action string) {
	if p := (Proved{f, action}); !slices.Contains(s.Proofs, p) {
		s.Proofs = append(s.Proofs, p)
	}
}

// void takes proofs away, here and from what a return would bring back.
func (s *State) void(gone func(Proved) bool) {
	s.Proofs = slices.DeleteFunc(s.Proofs, gone)
	for i := range s.Frames {
		s.Frames[i].Before = slices.DeleteFunc(s.Frames[i].Before, gone)
	}
}

// legFact reports whether a fact belongs to a leg and goes with it.
func legFact(p Proved) bool {
	return p.Fact == ringfence.FactAttested || p.Fact == ringfence.FactKnownNumber || p.Fact == ringfence.FactPIN
}
