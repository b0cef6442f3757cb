package flows

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Counterexample is one call that breaks a property: how it starts, how each
// line ends, and the line where it goes wrong, which is the last step.
type Counterexample struct {
	Flow   string // the root
	Action string // console and job flows: what they were started for
	Steps  []CallStep
	Start  Facts

	early bool // it leaves a loop before its count is used up
}

// CallStep is one line of a counter-example and how it ends. The Way of the
// last step is empty.
type CallStep struct {
	Line *Line
	Way  string  // an outcome, then or else, a key, good or bad, answered, nobody, enters, hangs_up
	Leg  LegSlot // the leg it is played on
	// Value is what the caller gives to an ask, as canonical text.
	Value string
	// Record is what identify finds: canonical text by field.
	Record map[string]string

	placed bool // on a leg that we placed
	noLeg  bool
}

// counterexample writes down how a state came about.
func (w *walk) counterexample(last *walkState) *Counterexample {
	var states []*walkState
	for st := last; st != nil; st = st.from {
		states = append(states, st)
	}
	slices.Reverse(states)
	c := &Counterexample{Flow: w.root.Name, Action: w.given}
	placed := w.root.Starts == StartsJob
	for i, st := range states {
		step := CallStep{Line: st.at, Leg: st.stack.slot, noLeg: st.noLeg}
		step.placed = placed || st.stack.slot > 0 || rootOf(st.stack).call != nil
		if i+1 < len(states) {
			step.Way = states[i+1].way
		}
		if step.Way == OK.String() {
			switch st.at.Verb {
			case Ask:
				step.Value = w.askedValue(st.at, states[i+1:])
			case Identify:
				step.Record = w.recordOf(states[i+1:])
			}
		}
		c.Steps = append(c.Steps, step)
	}
	c.Start = w.startFacts(states)
	c.early = c.leavesEarly()
	return c
}

func rootOf(f *frameNode) *frameNode {
	for f.below != nil {
		f = f.below
	}
	return f
}

// cellAfter is the first cell that a name is seen in.
func (w *walk) cellAfter(key string, states []*walkState, until func(*Line) bool) (any, bool) {
	i, ok := w.names.index[key]
	if !ok || w.names.list[i].got {
		return nil, false
	}
	for _, st := range states {
		for _, cells := range []string{st.cells, st.chose} {
			if cells[i] != 0 {
				return w.names.list[i].cells[cells[i]-1], true
			}
		}
		if until(st.at) {
			break
		}
	}
	return nil, false
}

// constants are what a name is compared with.
func (w *walk) constants(key string) []any {
	if i, ok := w.names.index[key]; ok {
		return w.names.list[i].cells
	}
	return nil
}

func (w *walk) value(t policy.Type, key string, states []*walkState, until func(*Line) bool) string {
	if v, ok := w.cellAfter(key, states, until); ok {
		return canonicalCell(t, v, w.p.pol.BaseCurrency(), w.constants(key))
	}
	return fitting(t)
}

func (w *walk) askedValue(l *Line, states []*walkState) string {
	if l.Into.Type.Secret {
		return SecretValue
	}
	key := l.Into.Full
	if l.Into.Kind == NameVar {
		key = nameKey(l.Flow(), key)
	}
	return w.value(l.Into.Type, key, states, func(at *Line) bool { return at.Verb == Ask && at.Into.Full == l.Into.Full })
}

func (w *walk) recordOf(states []*walkState) map[string]string {
	out := map[string]string{}
	kind, _ := w.p.pol.Kind(w.subject())
	for _, f := range kind.Fields {
		out[f.Name] = w.value(f.Type, string(kind.Name)+"."+f.Name, states, func(at *Line) bool { return at.Verb == Identify })
	}
	return out
}

// startFacts is the world in which the call begins.
func (w *walk) startFacts(states []*walkState) Facts {
	f := Facts{Start: w.root.Starts, Call: newWorld().Call}
	never := func(*Line) bool { return false }
	text := func(name, usual string) string {
		if v, ok := w.cellAfter("call."+name, states, never); ok {
			return fmt.Sprint(v)
		}
		return usual
	}
	f.Call.Attestation = text("attestation", f.Call.Attestation)
	f.Call.NumberShown = text("number_shown", f.Call.NumberShown)
	f.Call.Direction = ringfence.Direction(text("direction", string(f.Call.Direction)))
	f.Call.Weekday = text("weekday", f.Call.Weekday)
	if v, ok := w.cellAfter("call.hour", states, never); ok {
		f.Call.Hour = int(v.(int64))
	}
	if v, ok := w.cellAfter("call.open", states, never); ok {
		f.Call.Open = v.(bool)
	}
	if f.Start != StartsConsole && f.Start != StartsJob {
		return f
	}
	f.Subject, f.Action = w.subject(), w.given
	f.Record = w.recordOf(states)
	if a := w.action(w.given); a != nil {
		f.Payload = map[string]string{}
		for _, field := range a.Carries {
			key := a.Name + "." + field.Name
			f.Payload[field.Name] = w.value(field.Type, key, states, func(at *Line) bool { return at.Verb == Identify || at.Verb == Ask && at.Into.Full == key })
		}
	}
	if w.root.Starts == StartsConsole {
		for _, fact := range w.gots {
			if fact != ringfence.FactIdentified && w.u.got(states[0].have).Has(fact) {
				f.Have = append(f.Have, Proved{Fact: fact})
			}
		}
	}
	return f
}

// leavesEarly reports whether the call takes the then of a counted edge before
// it has gone back so often.
func (c *Counterexample) leavesEarly() bool {
	counts := map[*Target]int{}
	for i := 0; i+1 < len(c.Steps); i++ {
		t := c.Steps[i].target()
		if t == nil || t.Scene == nil || t.Scene.Index > c.Steps[i].Line.Scene.Index {
			continue
		}
		if next := c.Steps[i+1].Line; next.Scene == t.Scene && next.Index == 0 {
			counts[t]++
		} else if counts[t] < t.AtMost {
			return true
		}
		if counts[t] > t.AtMost {
			return true
		}
	}
	return false
}

// target is the edge that a step takes; nil when it is the next line or leads
// into another flow.
func (s CallStep) target() *Target {
	l := s.Line
	if l.Verb == Go || l.Verb == If && s.Way == wayThen {
		return l.Go
	}
	if l.Verb == Choose {
		if i := slices.Index(keyNames[:], s.Way); i >= 0 {
			return l.Keys[i]
		}
	}
	if o, ok := ParseOutcome(s.Way); ok && l.Verb != Return && l.Verb != HangUp {
		return l.Edge(o)
	}
	return nil
}

// List writes the steps one a line, with their places.
func (c *Counterexample) List() string {
	var out strings.Builder
	for _, s := range c.Steps {
		way := ""
		if s.Way != "" && s.Way != OK.String() {
			way = " -> " + s.Way
		}
		fmt.Fprintf(&out, "%s  %s%s\n", s.Line.Pos, strings.ToUpper(s.Line.Verb.String())+strings.TrimPrefix(lineWords(s.Line), s.Line.Verb.String()), way)
	}
	return out.String()
}

// Play renders the call as a play with two voices.
func (c *Counterexample) Play() string {
	p := &playwright{}
	p.scene(c.opening())
	placed := false
	for i, s := range c.Steps {
		if s.placed != placed && !s.noLeg {
			placed = s.placed
			if placed {
				p.scene("on the number on file")
			} else {
				p.scene("back on the caller's line")
			}
		}
		p.step(s, i == len(c.Steps)-1)
	}
	return p.out.String()
}

func (c *Counterexample) opening() string {
	what := map[Starting]string{StartsInbound: "somebody calls", StartsConsole: "an agent starts " + c.Flow + " on a live call", StartsJob: "we were asked to call"}[c.Start.Start]
	if c.Action != "" {
		what += " for " + c.Action
		var fields []string
		for _, k := range keysOf(c.Start.Payload) {
			fields = append(fields, k+" "+c.Start.Payload[k])
		}
		if len(fields) > 0 {
			what += " (" + strings.Join(fields, ", ") + ")"
		}
	}
	for _, h := range c.Start.Have {
		what += ", " + string(h.Fact) + " was proved before"
	}
	return what
}

type playwright struct{ out strings.Builder }

func (p *playwright) scene(text string)  { fmt.Fprintf(&p.out, "        -- %s --\n", text) }
func (p *playwright) line(text string)   { fmt.Fprintf(&p.out, "LINE:   %s\n", text) }
func (p *playwright) caller(text string) { fmt.Fprintf(&p.out, "CALLER: %s\n", text) }

// step plays one line: what is heard, and what the person does.
func (p *playwright) step(s CallStep, last bool) {
	l := s.Line
	if s.noLeg {
		return
	}
	if l.Text != nil && l.Verb != Alert && l.Verb != Tell {
		p.line(l.Text.Source)
	}
	if last {
		p.line("(" + lineWords(l) + ")   <== " + l.Pos.String())
		return
	}
	switch l.Verb {
	case Tell:
		p.line("(whispers to the clerk: " + l.Text.Source + ")")
	case Alert:
		p.line("(raises an alarm: " + l.Text.Source + ")")
	case Check:
		p.line("(looks at the " + l.Arg + ": " + s.Way + ")")
	case If:
		p.line("(is it so that " + l.Cond.String() + "? " + map[string]string{wayThen: "yes", wayElse: "no"}[s.Way] + ")")
	case Identify:
		p.line("(looks the " + l.Arg + " up)")
	case Approve, Release, Connect:
		p.line("(" + lineWords(l) + ": " + s.Way + ")")
	case Ask, Choose, Verify, Confirm, Reach, Callback:
		p.caller(s.acts())
	}
	if s.Way == wayHangsUp && l.Verb != Ask && l.Verb != Choose && l.Verb != Verify && l.Verb != Confirm && l.Verb != Reach {
		p.caller("(hangs up)")
	}
}

// acts says what the person does so that the line ends so.
func (s CallStep) acts() string {
	switch s.Way {
	case Wrong.String():
		return "(keys something else, each time)"
	case Silent.String():
		return "(says and keys nothing)"
	case Missing.String():
		return "(has no " + s.Line.Arg + ")"
	case Down.String():
		return "(waits: it does not work)"
	case Busy.String(), Diverted.String():
		return "(the number on file is " + s.Way + ")"
	case wayAnswers:
		return "(the number on file is rung, and answers)"
	case wayNobody:
		return "(nobody answers on the number on file)"
	case wayHangsUp:
		return "(hangs up)"
	case Refused.String():
		if s.Line.Verb == Confirm {
			return "2"
		}
		return "* (did not ask for this)"
	}
	switch s.Line.Verb {
	case Ask:
		if keys, ok := keysOfValue(s.Line.Into.Type, s.Value); ok {
			return keys
		}
		return s.Value
	case Choose:
		return s.Way
	case Confirm:
		return "(the yes-key)"
	case Reach:
		return "(the two fresh digits and the code)"
	case Verify:
		if s.Line.Arg == "passkey" {
			return "(opens the link, keys the code, approves with the passkey)"
		}
		return "(the right " + s.Line.Arg + ")"
	}
	return "(" + s.Way + ")"
}
