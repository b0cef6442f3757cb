package flows

import (
	"slices"

	"github.com/ringfence/ringfence/policy"
)

// linker resolves what one file says about another, and judges each line
// against the grammar: L1–L9. Everything here is about one line and its edges;
// what needs every path is the prover's.
type linker struct {
	flows map[string]*Flow
	pol   *policy.Policy
	d     *diags
}

func (k *linker) link(order []*Flow) {
	for _, f := range order {
		k.flowHead(f)
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				l.place = Place{Flow: f.Name, Scene: s.Name, Line: l.Index}
				l.words = lineWords(l)
				if l.Text != nil {
					l.words = l.Text.Source
				}
				k.callee(l)
			}
		}
	}
	k.recursion(order)
	for _, f := range order {
		for _, s := range f.Scenes {
			for i, l := range s.Lines {
				k.edges(l)
				k.meaning(l)
				if ends(l) && i+1 < len(s.Lines) {
					k.d.add(s.Lines[i+1].Pos, "L3", "put it before, or into a scene of its own", "nothing comes here: %s above ends the scene", l.Verb)
				}
			}
			k.sceneEnd(s)
		}
		for _, v := range f.Vars {
			if !v.read {
				k.d.warn(v.Pos, "W1", "take it out", "nothing reads the variable %s", v.Name)
			}
		}
	}
	for _, f := range order {
		if f.Starts == StartsCallback && !k.called(order, f) {
			k.d.warn(f.Pos, "W1", "with: "+f.Name+" in some callback line", "no flow calls %s", f.Name)
		}
	}
}

// ends reports whether nothing can follow the line in its scene.
func ends(l *Line) bool { return verbs[l.Verb].ends || l.Verb == Callback && l.HangUp }

func (k *linker) sceneEnd(s *Scene) {
	if len(s.Lines) == 0 {
		return // reported by the parser, or every line was bad
	}
	last := s.Lines[len(s.Lines)-1]
	if !ends(last) {
		k.d.add(last.Pos, "L3", "- hangup", "the scene %s just stops here: end it with go, choose, connect, return, hangup or a callback that hangs up", s.Name)
	}
}

func (k *linker) flowHead(f *Flow) {
	if f.Subject == Given != slices.Contains(f.Actions, Given) && (f.Subject == Given || len(f.Actions) > 0) {
		k.d.add(f.Pos, "L9", "subject: given, actions: [given]", "given stands for the subject and the action together, or for neither")
	}
	if f.Subject == Given && f.Starts != StartsConsole && f.Starts != StartsCallback {
		k.d.add(f.nodes.subject, "L9", "", "given is for console flows and the flows they call")
	}
	if f.Subject == "" && (f.Starts == StartsJob || len(f.Actions) > 0) {
		k.d.add(f.Pos, "L9", "subject: "+oneOf(kindWords(k.pol)), "the flow does not say whom it is about")
	}
	for i, name := range f.Actions {
		if a, ok := k.pol.Action(name); ok && f.Subject != Given && a.About != f.Subject {
			k.d.add(f.actionPos[i], "L8", "subject: "+string(a.About), "%s is about a %s, the flow about %s", name, a.About, orNobody(f.Subject))
		}
	}
	for o := Wrong; o < outcomeCount; o++ {
		if t := f.otherwise[o]; t != nil {
			k.scenesOf(f, t)
		}
	}
	for _, lang := range append([]string{f.Language}, f.Translations...) {
		if _, ok := EngineText(notRight, lang); !ok && lang != "" {
			k.d.warn(f.Pos, "W1", "", "the engine's own sentences are not there in %s: they are spoken in English", lang)
		}
	}
}

// scenesOf finds the scenes a target names.
func (k *linker) scenesOf(f *Flow, t *Target) {
	find := func(name string) *Scene {
		if s := f.scenes[name]; s != nil {
			return s
		}
		k.d.add(t.Pos, "L1", meant(name, keysOf(f.scenes)), "there is no scene %s in this flow", clip(name))
		return nil
	}
	if t.Scene == nil {
		t.Scene = find(t.name)
	}
	if t.then != "" && t.Then == nil {
		t.Then = find(t.then)
	}
	if t.AtMost > 0 && t.counter == 0 {
		f.counters++
		t.counter = f.counters // from 1: 0 means none
	}
}

// edge judges one edge of a line: only an edge with a counter runs back.
func (k *linker) edge(l *Line, t *Target, what string, shared bool) {
	if t == nil {
		return
	}
	from := l.Scene
	if !shared {
		k.scenesOf(from.flow, t)
	}
	if t.Scene == nil {
		return
	}
	pos := t.Pos
	if shared {
		pos = l.Pos
	}
	back := t.Scene.Index <= from.Index
	bounded := "{ go: " + t.Scene.Name + ", at_most: 3, then: goodbye }"
	if l.Verb == Go {
		bounded = "at_most: 3 and then: a later scene"
	}
	switch {
	case back && shared && t.AtMost == 0:
		k.d.add(pos, "L2", what+": a later scene", "%s leads back to %s by otherwise: handle it on this line", what, t.Scene.Name)
	case back && t.AtMost == 0:
		k.d.add(pos, "L2", bounded, "%s stands above or here: an edge that runs back needs at_most and then", t.Scene.Name)
	case back && t.Then == nil && t.then == "":
		k.d.add(pos, "L2", bounded, "where does it go after at_most times? then is missing")
	case back && t.Then != nil && t.Then.Index <= from.Index:
		k.d.add(pos, "L2", "then: a later scene", "then must lead down the page, and %s does not", t.Then.Name)
	case !back && !shared && t.AtMost > 0:
		k.d.add(pos, "L2", "take at_most and then out", "%s stands further down: only an edge that runs back is counted", t.Scene.Name)
	}
}

func (k *linker) edges(l *Line) {
	f := l.Scene.flow
	k.edge(l, l.Go, "it", false)
	for i, t := range l.Keys {
		k.edge(l, t, keyNames[i], false)
	}
	possible := l.Outcomes()
	for o := Wrong; o < outcomeCount; o++ {
		if l.own[o] {
			if !slices.Contains(possible, o) {
				k.d.add(l.Pos, "L5", "take "+o.String()+" out", "%s never ends as %s, only as %s", lineWords(l), o, outcomeWords(possible))
				continue
			}
			k.edge(l, l.edges[o], o.String(), false)
			continue
		}
		if !slices.Contains(possible, o) {
			continue
		}
		if t := f.otherwise[o]; t != nil && !optional(l.Verb, o) {
			l.edges[o], f.usedOther[o] = t, true
			k.edge(l, t, o.String(), true)
		} else if !optional(l.Verb, o) {
			k.d.add(l.Pos, "L5", o.String()+": scene", "%s may end as %s, and nothing says what then", lineWords(l), o)
		}
	}
}

func outcomeWords(list []Outcome) string {
	var out []string
	for _, o := range list {
		out = append(out, o.String())
	}
	if len(out) == 0 {
		return "ok"
	}
	return oneOf(out)
}

// lineWords names a line in a message: verify pin, connect customer_service.
func lineWords(l *Line) string {
	switch l.Verb {
	case Verify, Check, Confirm, Release, Connect, Approve, Run, Identify:
		return l.Verb.String() + " " + clip(l.Arg)
	}
	return l.Verb.String()
}

// callee finds the flow that run or callback names.
func (k *linker) callee(l *Line) {
	f := l.Scene.flow
	switch l.Verb {
	case Run:
		l.With = k.flows[l.Arg]
		if l.Arg == "" {
			return
		}
		if l.With == nil {
			k.d.add(l.ArgAt, "L1", meant(l.Arg, keysOf(k.flows)), "there is no flow %s", clip(l.Arg))
		} else if l.With.Starts != f.Starts {
			k.d.add(l.ArgAt, "L9", "starts: "+string(f.Starts)+" in "+l.Arg, "%s starts by %s and cannot be run from a flow that starts by %s", l.Arg, l.With.Starts, f.Starts)
		}
	case Callback:
		if l.with == "" {
			return
		}
		l.With = k.flows[l.with]
		if l.With == nil {
			k.d.add(l.Pos, "L1", meant(l.with, keysOf(k.flows)), "there is no flow %s", clip(l.with))
		} else if l.With.Starts != StartsCallback {
			k.d.add(l.Pos, "L9", "starts: callback in "+l.with, "%s starts by %s: a callback needs a flow that starts by callback", l.with, l.With.Starts)
		}
	}
	if l.With == nil {
		return
	}
	if l.With.Subject != f.Subject && l.With.Subject != Given {
		k.d.add(l.Pos, "L8", "", "this flow is about %s, %s about %s", orNobody(f.Subject), l.With.Name, orNobody(l.With.Subject))
	}
	if l.With.Subject == Given && f.Subject != Given && f.Starts != StartsConsole {
		k.d.add(l.Pos, "L9", "", "%s is about given: only console flows can call it", l.With.Name)
	}
}

func orNobody[T ~string](s T) string {
	if s == "" {
		return "nobody"
	}
	return "a " + string(s)
}

func (k *linker) called(order []*Flow, f *Flow) bool {
	for _, g := range order {
		for _, s := range g.Scenes {
			for _, l := range s.Lines {
				if l.With == f {
					return true
				}
			}
		}
	}
	return false
}

// recursion refuses flows that can call themselves: the depth of a call is
// bounded by the graph of its flows, and that graph must not run in a circle.
func (k *linker) recursion(order []*Flow) {
	state := map[*Flow]int{} // 1 on the way, 2 done
	var visit func(f *Flow)
	visit = func(f *Flow) {
		state[f] = 1
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				switch {
				case l.With == nil:
				case state[l.With] == 1:
					k.d.add(l.Pos, "L9", "take it out", "%s calls %s, which comes back to it: a call would not end", f.Name, l.With.Name)
					l.With = nil
				case state[l.With] == 0:
					visit(l.With)
				}
			}
		}
		state[f] = 2
	}
	for _, f := range order {
		if state[f] == 0 {
			visit(f)
		}
	}
}

// returnsOutcome reports whether the flow, as a sub-flow, can come back with o.
func (f *Flow) returnsOutcome(o Outcome) bool { return o < outcomeCount && f.returns[o] }
