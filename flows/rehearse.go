package flows

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// Bounds of one rehearsal.
const (
	maxMoves = 300
	maxSteps = 3000
)

// Rehearsal is a flow played in a made-up world up to where a person may act
// again. It has no side effects: the same moves always give the same rehearsal.
type Rehearsal struct {
	Steps []Happening
	// Leg is who may act now: "call", or "callback to mobile".
	Leg string
	// Options are moves that make sense now, the right one first.
	Options []string
	Ended   bool
	Ends    string // how, as expect: ends: of a test has it
	// Note says why the last move did nothing; empty when it did something.
	Note string
	// Test is what was played, as a flow test.
	Test string
}

// Happening is one thing that happens.
type Happening struct {
	At   time.Duration // virtual, from the start
	Leg  string        // "" = none
	What string
	Pos  // of the line that is played; zero before the first
	// Values are what the flow knows from here on; nil when nothing changed.
	Values []Value
}

// Value is a name that a flow knows, with its value as people read it.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Rehearse plays a flow in the world of settings (as NewSession takes them) and
// lets people do moves (as Session.Play reads them), each as soon as somebody
// may act. An error says what is wrong with flow or settings.
func Rehearse(b *Bundle, flow string, settings, moves []string) (*Rehearsal, error) {
	s, err := NewSession(b, flow, settings, io.Discard)
	if err != nil {
		return nil, err
	}
	r := &player{s: s, out: &Rehearsal{Steps: []Happening{}, Options: []string{}}}
	trace := s.m.Trace
	s.m.Trace = func(at time.Duration, leg, what string) {
		trace(at, leg, what)
		r.step(at, leg, what)
	}
	s.m.watch = func(e Effect) {
		if e.Kind == EffLine {
			r.enter(e.At)
		}
	}
	if err := s.m.start(); err != nil {
		return nil, err
	}
	r.play(moves[:min(len(moves), maxMoves)])
	return r.out, nil
}

type player struct {
	s     *Session
	out   *Rehearsal
	at    Pos
	known []Value
}

func (r *player) play(moves []string) {
	s := r.s
	s.run()
	for _, move := range moves {
		if s.m.ended() {
			break
		}
		var note strings.Builder
		s.out = &note
		leg, move := s.m.legs[s.at], strings.TrimSpace(move)
		r.acts(leg, move)
		quit := s.do(leg, move)
		r.out.Note = strings.TrimSpace(note.String())
		if quit {
			break
		}
		// Who waits for a page or a colleague may still act after a silence.
		if !strings.HasPrefix(move, "/wait") || s.m.ended() || s.m.approving == nil && s.m.state.Wait.Phase != waitPage {
			s.run()
		}
	}
	r.out.Ended, r.out.Ends, r.out.Test = s.m.ended(), s.m.ends, s.Test("what this shows")
	if leg := s.m.legs[s.at]; leg != nil && !r.out.Ended {
		r.out.Leg, r.out.Options = leg.name, s.m.options()
	}
}

func (r *player) enter(p Place) {
	f, ok := r.s.m.bundle.Flow(p.Flow)
	if !ok {
		return
	}
	if scene := f.scenes[p.Scene]; scene != nil && p.Line < len(scene.Lines) {
		r.at = scene.Lines[p.Line].Pos
		r.step(r.s.m.now, "", "")
	}
}

// acts notes what a person does; keys on a private leg are not shown.
func (r *player) acts(leg *simLeg, move string) {
	verb, arg, _ := strings.Cut(move, " ")
	switch {
	case verb == "/wait":
		r.step(r.s.m.now, leg.name, "is silent for "+arg)
	case verb == "/page":
		r.step(r.s.m.now, leg.name, "page: "+arg)
	case verb == "/approve", verb == "/refuse":
		r.step(r.s.m.now, "", "a colleague "+verb[1:]+"s")
	case move != "" && verb[0] != '/':
		r.step(r.s.m.now, leg.name, "keys: "+shownKeys(leg, move))
	}
}

// step notes what happens, with the values if they are not the ones before.
// A line that only begins leaves nothing but its values.
func (r *player) step(at time.Duration, leg, what string) {
	if len(r.out.Steps) >= maxSteps {
		return
	}
	one := Happening{At: at, Leg: leg, What: what, Pos: r.at}
	if now := r.s.m.values(); !slices.Equal(now, r.known) {
		r.known, one.Values = now, now
	}
	if what != "" || one.Values != nil {
		r.out.Steps = append(r.out.Steps, one)
	}
}

// values lists what the flow knows: what was proved, variables, the action's
// fields, the record. Nothing secret stands in a State.
func (m *Simulator) values() []Value {
	out := []Value{}
	if m.state == nil {
		return out
	}
	var proved []string
	for _, p := range m.state.Proofs {
		word := string(p.Fact)
		if p.Action != "" {
			word += " for " + p.Action
		}
		if !slices.Contains(proved, word) {
			proved = append(proved, word)
		}
	}
	if len(proved) > 0 {
		out = append(out, Value{"proved", strings.Join(proved, ", ")})
	}
	for _, f := range m.state.Frames {
		flow, ok := m.bundle.Flow(f.Flow)
		if !ok {
			continue
		}
		for _, v := range flow.Vars {
			if v.index < len(f.Vars) && f.Vars[v.index] != "" {
				out = append(out, Value{v.Name, f.Vars[v.index]})
			}
		}
	}
	for _, k := range keysOf(m.state.Payload) {
		out = append(out, Value{k, m.state.Payload[k]})
	}
	for _, k := range keysOf(m.state.Record) {
		out = append(out, Value{string(m.state.Subject) + "." + k, m.state.Record[k]})
	}
	return out
}

// options are moves that lead on from here.
func (m *Simulator) options() []string {
	out := []string{}
	if m.approving != nil {
		out = append(out, "/approve", "/refuse")
	}
	l := m.state.line()
	switch m.state.Wait.Phase {
	case waitPrompt, waitKeys:
		out = append(out, l.keyOptions()...)
	case waitSecret:
		switch l.Verb {
		case Confirm:
			out = append(out, "yes", "no")
		case Reach:
			out = append(out, "the fresh digits and the code", "star")
		case Ask:
			out = append(out, l.keyOptions()...)
		default:
			out = append(out, "the code", "a wrong code")
		}
	case waitPage:
		out = append(out, "/page approves", "/page refuses", "/page wrong")
	}
	for _, ch := range m.challenges {
		if ch.open && ch.effect.Kind == EffVerify && ch.effect.Method == ringfence.FactPasskey && !slices.Contains(out, "/page approves") {
			out = append(out, "/page approves", "/page refuses", "/page wrong")
		}
	}
	return append(out, "", "/hang", "/moved")
}

func (l *Line) keyOptions() []string {
	var out []string
	if l.Verb == Choose {
		for _, i := range keyOrder {
			if l.Keys[i] != nil {
				out = append(out, keyNames[i])
			}
		}
		return out
	}
	if keys, ok := keysOfValue(l.Into.Type, sample(l.Into.Type)); ok && keys != "" {
		if _, most := entryBounds(l.Into.Type); len(keys) < most || most == 0 {
			keys += "#"
		}
		out = append(out, keys)
	}
	return out
}
