package flows

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Test writes a finding's counter-example as a flow test, which plays the call
// in the simulator and expects that nothing is released by it. An error says
// why the worlds of flow tests cannot hold it.
func (f Finding) Test(b *Bundle) (string, error) {
	if f.Call == nil {
		return "", fmt.Errorf("%s has no call to save", f.Code)
	}
	w := &testWriter{b: b, call: f.Call, world: map[string]string{}, groups: map[string]map[string]string{}, beats: map[string][]Beat{},
		vars: map[string]string{}, payload: map[string]string{}, leg: []string{"call"}}
	if err := w.write(); err != nil {
		return "", fmt.Errorf("%s: %v", f.Diagnostic.String(), err)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# %s\ntest: %s\nflow: %s\nworld:\n", f.Diagnostic.String(), quote(f.Code+" "+f.Message), f.Call.Flow)
	for _, k := range keysOf(w.world) {
		fmt.Fprintf(&out, "  %s: %s\n", k, w.world[k])
	}
	for _, g := range keysOf(w.groups) {
		var pairs []string
		keys := keysOf(w.groups[g])
		slices.SortStableFunc(keys, func(a, b string) int { return attestationFirst(a) - attestationFirst(b) })
		for _, k := range keys {
			pairs = append(pairs, k+": "+quote(w.groups[g][k]))
		}
		fmt.Fprintf(&out, "  %s: { %s }\n", g, strings.Join(pairs, ", "))
	}
	for _, leg := range w.order {
		fmt.Fprintf(&out, "%s:\n", leg)
		for _, beat := range w.beats[leg] {
			out.WriteString(beat.yaml())
		}
	}
	out.WriteString("expect:\n  accepted: []\n")
	return out.String(), nil
}

// attestationFirst: whether the number is on file is read after it.
func attestationFirst(key string) int {
	if key == "attestation" {
		return 0
	}
	return 1
}

type testWriter struct {
	b       *Bundle
	call    *Counterexample
	world   map[string]string
	groups  map[string]map[string]string
	beats   map[string][]Beat
	order   []string
	leg     []string // names of the legs, the inner ones last
	vars    map[string]string
	payload map[string]string
	kind    string
	down    []string
}

// set gives something of the world a value, unless it has another.
func (w *testWriter) set(group, key, value string) error {
	if w.groups[group] == nil {
		w.groups[group] = map[string]string{}
	}
	if old, ok := w.groups[group][key]; ok && old != value {
		return fmt.Errorf("%s would have to be %s and %s in one call", key, old, value)
	}
	w.groups[group][key] = value
	return nil
}

func (w *testWriter) plain(key, value string) error {
	if old, ok := w.world[key]; ok && old != value {
		return fmt.Errorf("%s would have to be %s and %s in one call", key, old, value)
	}
	w.world[key] = value
	return nil
}

func (w *testWriter) write() error {
	c := w.call
	if err := w.start(); err != nil {
		return err
	}
	for i, s := range c.Steps {
		if i == len(c.Steps)-1 {
			break
		}
		if s.noLeg {
			continue
		}
		if err := w.step(s); err != nil {
			return fmt.Errorf("%s: %v", s.Line.Pos, err)
		}
		if back := len(w.leg) - 1; c.Steps[i+1].Leg < s.Leg && back > 0 {
			w.leg = w.leg[:back]
		}
	}
	if len(w.order) == 0 {
		w.order, w.beats["call"] = []string{"call"}, nil
		w.beats["call"] = []Beat{{Silence: 1e9}}
	}
	return nil
}

func (w *testWriter) start() error {
	c := w.call
	f, _ := w.b.Flow(c.Flow)
	w.kind = string(f.Subject)
	if a, ok := w.b.pol.Action(c.Action); ok {
		w.kind = string(a.About)
		if err := w.plain("action", c.Action); err != nil {
			return err
		}
		for _, field := range a.Carries {
			if v := c.Start.Payload[field.Name]; v != "" {
				w.payload[a.Name+"."+field.Name] = v
				if err := w.set("payload", field.Name, v); err != nil {
					return err
				}
			}
		}
	}
	usual := newWorld().Call
	for key, v := range map[string][2]string{"number_shown": {c.Start.Call.NumberShown, usual.NumberShown}, "weekday": {c.Start.Call.Weekday, usual.Weekday},
		"hour": {fmt.Sprint(c.Start.Call.Hour), fmt.Sprint(usual.Hour)}, "open": {fmt.Sprint(c.Start.Call.Open), fmt.Sprint(usual.Open)},
		"attestation": {c.Start.Call.Attestation, usual.Attestation}} {
		if v[0] != v[1] {
			if err := w.set("call", key, v[0]); err != nil {
				return err
			}
		}
	}
	var have []string
	for _, p := range c.Start.Have {
		have = append(have, string(p.Fact))
	}
	if len(have) > 0 {
		w.world["have"] = "[" + strings.Join(have, ", ") + "]"
	}
	return w.record(c.Start.Record)
}

func (w *testWriter) record(values map[string]string) error {
	for _, k := range keysOf(values) {
		if err := w.set(w.kind, k, values[k]); err != nil {
			return err
		}
	}
	return nil
}

// beat lets the person on the current leg do something once they have heard
// the line's text.
func (w *testWriter) beat(t *Text, times int, b Beat) {
	leg := w.leg[len(w.leg)-1]
	if t != nil {
		b.Hears = hearsOf(t)
	}
	if !slices.Contains(w.order, leg) {
		w.order = append(w.order, leg)
	}
	for range times {
		w.beats[leg] = append(w.beats[leg], b)
	}
}

// hearsOf picks the words by which a test knows a text.
func hearsOf(t *Text) string {
	best := ""
	for _, p := range t.Pieces {
		if fixed := landmark(p.Fixed); len(fixed) > len(best) {
			best = fixed
		}
	}
	return best
}

func (w *testWriter) fails(what string) error {
	if !slices.Contains(w.down, what) {
		w.down = append(w.down, what)
	}
	w.world["down"] = "[" + strings.Join(w.down, ", ") + "]"
	return nil
}

var errNotInTests = fmt.Errorf("flow tests have no word for this")

func (w *testWriter) step(s CallStep) error {
	l := s.Line
	o, _ := ParseOutcome(s.Way)
	if s.Way == wayHangsUp {
		w.beat(l.Text, 1, Beat{HangsUp: true})
		return nil
	}
	switch l.Verb {
	case Ask:
		return w.ask(s, o)
	case Choose:
		switch o {
		case Silent:
		case Wrong:
			w.beat(l.Text, l.Tries, Beat{Keys: string(wrongKey(l))})
		default:
			w.beat(l.Text, 1, Beat{Keys: s.Way})
		}
	case Check:
		return w.check(l, s.Way)
	case Identify:
		if l.ByVar != nil {
			s.Record[l.By] = w.vars[l.ByVar.Name]
		}
		return w.record(s.Record)
	case Verify:
		return w.verify(l, o)
	case Confirm:
		t := l.Text
		if l.For == Given {
			t = l.Flow().givenTexts[w.call.Action]
		}
		w.answer(t, o, "yes", "no")
	case Reach:
		if o == Wrong {
			w.beat(l.Text, l.Tries, Beat{Keys: "000000"})
			return nil
		}
		w.answer(l.Text, o, "the fresh digits and the code", "star")
	case Callback:
		return w.callback(s, o)
	case Approve:
		return w.approve(l, o)
	case Release:
		if o == OK {
			return w.plain("gate", "no_hold")
		}
		return w.plain("gate", s.Way)
	case Connect:
		return w.set("queues", l.Arg, s.Way)
	}
	return nil
}

// answer is what a person keys for ok and refused; silence is doing nothing.
func (w *testWriter) answer(t *Text, o Outcome, yes, no string) {
	switch o {
	case OK:
		w.beat(t, 1, Beat{Keys: yes})
	case Refused:
		w.beat(t, 1, Beat{Keys: no})
	}
}

func (w *testWriter) ask(s CallStep, o Outcome) error {
	l := s.Line
	switch o {
	case Silent:
	case Wrong:
		w.beat(l.Text, l.Tries, Beat{Keys: "#"})
	default:
		value := s.Value
		if l.Into.Type.Secret {
			value = fitting(l.Into.Type)
		}
		keys, ok := keysOfValue(l.Into.Type, value)
		if !ok {
			return fmt.Errorf("%q cannot be keyed", value)
		}
		if _, most := entryBounds(l.Into.Type); len(keys) < most {
			keys += "#"
		}
		w.beat(l.Text, 1, Beat{Keys: keys})
		w.vars[l.Into.Full], w.payload[l.Into.Full] = value, value
	}
	return nil
}

func (w *testWriter) check(l *Line, way string) error {
	if l.fact() == ringfence.FactAttested {
		if way == wayGood {
			return w.set("call", "attestation", "A")
		}
		if a := w.groups["call"]["attestation"]; a != "" && a != "A" {
			return nil
		}
		return w.set("call", "attestation", "C")
	}
	if way == wayGood {
		if err := w.set("call", "attestation", "A"); err != nil {
			return err
		}
		return w.set("call", "number", "yes")
	}
	return w.set("call", "number", "no")
}

func (w *testWriter) verify(l *Line, o Outcome) error {
	page := l.Arg == "passkey"
	switch o {
	case OK, Wrong, Refused:
		word := map[Outcome]string{OK: "approves", Wrong: "wrong", Refused: "refuses"}[o]
		switch {
		case page:
			w.beat(l.Text, 1, Beat{Page: word})
		case o == OK:
			w.beat(l.Text, 1, Beat{Keys: "the code"})
		case o == Wrong:
			w.beat(l.Text, l.Tries, Beat{Keys: "a wrong code"})
		default:
			w.beat(l.Text, 1, Beat{Rejects: l.Arg})
		}
	case Missing:
		if l.Arg == "otp" {
			return w.set(w.kind, string(ToMobile), "none")
		}
		return w.set(w.kind, l.Arg, "none")
	case Down:
		return w.fails(l.Arg)
	}
	if o == OK && (l.Arg == "totp" || page) {
		return w.set(w.kind, l.Arg, "set")
	}
	return nil
}

func (w *testWriter) callback(s CallStep, o Outcome) error {
	l := s.Line
	to := string(l.To)
	switch s.Way {
	case wayAnswers:
		if err := w.set(w.kind, to, "answers"); err != nil {
			return err
		}
		name := "callback to " + to
		if l.HangUp {
			w.leg = []string{name}
		} else {
			w.leg = append(w.leg, name)
		}
		return nil
	case wayNobody:
		return w.set(w.kind, to, "silent")
	}
	switch o {
	case Busy:
		if !l.HangUp {
			return w.set("call", "from", to)
		}
		return w.set(w.kind, to, "busy")
	case Silent, Diverted:
		return w.set(w.kind, to, s.Way)
	case Down:
		return w.fails("callback")
	}
	return errNotInTests
}

func (w *testWriter) approve(l *Line, o Outcome) error {
	action := l.For
	if action == Given {
		action = w.call.Action
	}
	a, ok := w.b.pol.Action(action)
	if !ok {
		return errNotInTests
	}
	group := a.Approvals.Group
	switch o {
	case OK:
		w.beat(nil, w.approvers(a), Beat{Approves: group})
	case Refused:
		w.beat(nil, 1, Beat{Refuses: group})
	case Down:
		return w.fails("approve")
	}
	return nil
}

// approvers is how many colleagues the policy asks for in this call.
func (w *testWriter) approvers(a *policy.Action) int {
	n := max(1, a.Approvals.Count)
	for _, e := range a.Extra {
		yes, err := e.When.Eval(func(name string) any { return w.payload[name] })
		if err != nil || yes {
			n = max(n, e.Approvals.Count)
		}
	}
	return n
}
