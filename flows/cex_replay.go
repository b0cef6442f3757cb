package flows

import (
	"fmt"
	"slices"
)

// Replay drives the engine along the call and returns where it has come to. An
// error says where the engine goes another way, which means that prover and
// engine disagree.
func (c *Counterexample) Replay(b *Bundle) (Place, error) {
	s, effects, err := Start(b, c.Flow, c.Start)
	if err != nil {
		return Place{}, err
	}
	r := &replay{s: s, b: b}
	r.saw(effects)
	for i, step := range c.Steps {
		if i >= len(r.path) {
			return r.here(), fmt.Errorf("%s: the engine has not come to step %d, %s", step.Line.Pos, i+1, lineWords(step.Line))
		}
		if r.path[i] != step.Line.Place() {
			return r.path[i], fmt.Errorf("%s: the engine is at %v instead, step %d", step.Line.Pos, r.path[i], i+1)
		}
		if i == len(c.Steps)-1 {
			return r.path[i], nil
		}
		if i+1 == len(r.path) {
			r.perform(step)
		}
	}
	return r.here(), nil
}

type replay struct {
	s    *State
	b    *Bundle
	path []Place
	also func(Input, []Effect) // sees every step too; nil = nobody
}

func (r *replay) here() Place {
	if len(r.path) == 0 {
		return Place{}
	}
	return r.path[len(r.path)-1]
}

func (r *replay) saw(effects []Effect) {
	for _, e := range effects {
		if e.Kind == EffLine {
			r.path = append(r.path, e.At)
		}
	}
}

func (r *replay) input(in Input) {
	effects := Step(r.b, r.s, in)
	r.saw(effects)
	if r.also != nil {
		r.also(in, effects)
	}
}

func (r *replay) outcome(in Input) {
	in.Kind, in.Ref = InOutcome, r.s.Wait.Ref
	r.input(in)
}

// perform lets the line the engine waits at end as the step says.
func (r *replay) perform(step CallStep) {
	if step.Way == wayHangsUp {
		r.input(Input{Kind: InHungUp, On: r.s.slot()})
		return
	}
	l := step.Line
	o, isOutcome := ParseOutcome(step.Way)
	switch l.Verb {
	case Say:
		r.input(Input{Kind: InPlayed, Ref: r.s.Wait.Play})
	case Ask:
		r.ask(step, o)
	case Choose:
		if !isOutcome {
			r.input(Input{Kind: InDigit, On: r.s.slot(), Digit: step.Way[0]})
			return
		}
		r.tries(func() {
			if o == Wrong {
				r.input(Input{Kind: InDigit, On: r.s.slot(), Digit: wrongKey(l)})
				return
			}
			r.silence()
		})
	case Check:
		r.outcome(Input{Outcome: OK, Good: step.Way == wayGood})
	case Identify:
		r.outcome(Input{Outcome: o, Record: step.Record})
	case Callback:
		r.callback(step, o)
	case Verify, Confirm, Reach:
		if o == OK || o == Wrong || o == Silent || o == Refused {
			r.input(Input{Kind: InReady, Ref: r.s.Wait.Ref})
		}
		if o == Silent && l.Verb == Confirm {
			r.tries(func() { r.outcome(Input{Outcome: Silent}) })
			return
		}
		r.outcome(Input{Outcome: o})
	default:
		r.outcome(Input{Outcome: o})
	}
}

// wrongKey is a key that a choose does not offer.
func wrongKey(l *Line) byte {
	if i := slices.Index(l.Keys[:], nil); i >= 0 {
		return keyNames[i][0]
	}
	return '#'
}

// tries does it again until the engine has left the line.
func (r *replay) tries(do func()) {
	for before := len(r.path); len(r.path) == before && !r.s.Ended; {
		at := r.s.Wait
		do()
		if r.s.Wait.Tries == at.Tries && r.s.Wait.Phase == at.Phase && r.s.Wait.Ref == at.Ref {
			return
		}
	}
}

// silence waits until a prompt is over and nothing was keyed.
func (r *replay) silence() {
	r.input(Input{Kind: InPlayed, Ref: r.s.Wait.Play})
	r.input(Input{Kind: InTimer, Ref: r.s.Wait.Timer})
}

func (r *replay) ask(step CallStep, o Outcome) {
	l := step.Line
	if l.Into.Type.Secret {
		r.tries(func() { r.outcome(Input{Outcome: o}) })
		return
	}
	switch o {
	case Wrong:
		r.tries(func() { r.input(Input{Kind: InDigit, On: r.s.slot(), Digit: '#'}) })
	case Silent:
		r.tries(r.silence)
	default:
		keys, _ := keysOfValue(l.Into.Type, step.Value)
		before := len(r.path)
		for i := range len(keys) {
			r.input(Input{Kind: InDigit, On: r.s.slot(), Digit: keys[i]})
		}
		if len(r.path) == before && !r.s.Ended {
			r.input(Input{Kind: InDigit, On: r.s.slot(), Digit: '#'})
		}
	}
}

func (r *replay) callback(step CallStep, o Outcome) {
	if step.Way != wayAnswers && step.Way != wayNobody {
		r.outcome(Input{Outcome: o})
		return
	}
	r.input(Input{Kind: InReady, Ref: r.s.Wait.Ref})
	r.input(Input{Kind: InPlayed, Ref: r.s.Wait.Play})
	if step.Way == wayNobody {
		r.input(Input{Kind: InOutcome, Ref: r.s.Wait.Dial, Outcome: Silent})
		return
	}
	r.input(Input{Kind: InAnswered, Ref: r.s.Wait.Dial})
}
