package flows

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// speaks judges a text: P2, that each field may be spoken on this leg, and P4,
// that every name has a value.
func (w *walk) speaks(st *walkState, t *Text) {
	if t == nil || st.at.Verb == Alert || len(t.Names) == 0 {
		return
	}
	pos := t.Pos
	if st.at.For == Given && st.at.Verb == Confirm {
		pos = st.at.Pos
	}
	have := w.u.spoken(st.have, st.stack.slot)
	for _, field := range t.Fields {
		g, ok := w.p.pol.Spoken(field)
		switch {
		case !ok:
			w.p.find(w, st, "P2", pos, "speak: "+field+": [ … ] in the policy", "{%s} is spoken, and the policy lets nobody hear it", field)
		case !g.Holds(have):
			w.p.find(w, st, "P2", pos, "", "{%s} is spoken on this leg without: %s", field, lacks(g, have))
		}
	}
	for _, n := range t.Names {
		if n.Kind == NameCall || w.assigned(st.have, nameKey(st.at.Flow(), n.Full), n.Owner, n.Kind != NameVar) {
			continue
		}
		w.p.find(w, st, "P4", pos, "", "{%s} may still be empty when it is spoken", n.Full)
	}
}

// lacks says which lines of a guard do not hold.
func lacks(g *policy.Guard, have policy.FactSet) string {
	var out []string
	for _, n := range g.Needs {
		if !n.Holds(have) {
			out = append(out, n.String())
		}
	}
	return strings.Join(out, ", ")
}

func (w *walk) judgeConnect(st *walkState, slot LegSlot) {
	l := st.at
	have := w.u.spoken(st.have, slot)
	if g, ok := w.p.pol.Queue(l.Arg); ok && !g.Holds(have) {
		w.p.find(w, st, "P3", l.Pos, "", "connects to %s without on this leg: %s", l.Arg, lacks(g, have))
	}
}

// filledIn is P4 of an action: a person cannot approve, confirm or prove what is
// not complete.
func (w *walk) filledIn(st *walkState, action string, pos Pos) {
	a, ok := w.p.pol.Action(action)
	if !ok {
		if st.at.For == Given {
			w.p.find(w, st, "P4", pos, "", "there may be no action that given stands for")
		}
		return
	}
	for _, f := range a.Carries {
		if !st.have.has(w.u.set(a.Name + "." + f.Name)) {
			w.p.find(w, st, "P4", pos, "", "{%s.%s} may still be empty at %s", a.Name, f.Name, lineWords(st.at))
			return
		}
	}
}

// judgeRelease is P1, P4, P6 and the release's part of P10.
func (w *walk) judgeRelease(st *walkState) {
	l := st.at
	a := w.action(l.For)
	if a == nil {
		w.p.find(w, st, "P4", l.Pos, "", "there may be no action that given stands for")
		return
	}
	w.p.releases(a.Name)
	have := w.u.counts(st.have, a)
	if w.released != nil {
		w.released(l, a, have)
		return
	}
	w.p.arrives(arrival{w, st, a, have})
	w.filledIn(st, a.Name, l.Pos)
	if !have.Has(ringfence.FactIdentified) {
		w.p.find(w, st, "P1", l.Pos, "", "releases %s without: identified", a.Name)
		return
	}
	strict := w.passkeyOnly(st, a)
	enough := true
	var seen []string
	w.combine(st, w.extraNames(a), func(cells string) bool {
		on := w.extrasOn(a, st, cells)
		key := fmt.Sprint(on)
		if slices.Contains(seen, key) {
			return true
		}
		seen = append(seen, key)
		if missing, ok := w.p.ways(a, on, strict).missing(have); !ok {
			at := *st
			at.cells = cells
			w.p.find(w, &at, "P1", l.Pos, "", "releases %s without: %s%s", a.Name, missing, w.because(a, on, have, strict, st, cells))
			enough = false
		}
		return enough
	})
	if enough {
		w.judgeHow(st, a, have)
	}
}

// passkeyOnly reports whether the subject may have a passkey, so that for C4
// only ways with it count: no weaker way opens beside a stronger one.
func (w *walk) passkeyOnly(st *walkState, a *policy.Action) bool {
	kind, _ := w.p.pol.Kind(a.About)
	return a.Class.Effective() >= ringfence.C4 && !kind.Counterparty && !st.have.has(w.u.bit(factBit{kind: bitKeyless}))
}

func (w *walk) extraNames(a *policy.Action) []string {
	var out []string
	for _, e := range a.Extra {
		if e.When != nil {
			out = append(out, e.When.Names()...)
		}
	}
	return out
}

// extrasOn lists which extras apply to a value of the given cells.
func (w *walk) extrasOn(a *policy.Action, st *walkState, cells string) []int {
	var on []int
	for i, e := range a.Extra {
		yes, err := e.When.Eval(func(name string) any { return w.valueOf(nil, st.have, 0, cells, name) })
		if err != nil || yes {
			on = append(on, i)
		}
	}
	return on
}

// because names the condition, or the passkey, that asks for more.
func (w *walk) because(a *policy.Action, on []int, have policy.FactSet, strict bool, st *walkState, cells string) string {
	if strict {
		if _, ok := w.p.ways(a, on, false).missing(have); ok {
			return " (because a " + string(a.About) + " who has a passkey must use it)"
		}
	}
	if _, ok := w.p.ways(a, nil, strict).missing(have); !ok || len(on) == 0 {
		return ""
	}
	var out []string
	for _, i := range on {
		out = append(out, a.Extra[i].When.String())
	}
	return " (because " + strings.Join(out, " and ") + ")"
}

// judgeHow is P6 and P10: over how many lanes the proofs came, who heard what
// they approved, and whether the colleague saw all of it.
func (w *walk) judgeHow(st *walkState, a *policy.Action, have policy.FactSet) {
	l := st.at
	if n := policy.LanesOf(have); n < a.Lanes {
		w.p.find(w, st, "P6", l.Pos, "", "releases %s on proofs of %d lane, and the policy wants %d different ones", a.Name, n, a.Lanes)
	}
	if a.Class.Effective() >= ringfence.C3 && !have.Has(ringfence.FactPasskey) && !have.Has(ringfence.FactProofed) &&
		!st.have.has(w.u.bit(factBit{kind: bitHeard, action: a.Name})) {
		w.p.find(w, st, "P10", l.Pos, "", "releases %s, which nobody confirmed on the number on file or by passkey", a.Name)
	}
	if !have.Has(ringfence.FactApproved) || st.have.has(w.u.bit(factBit{kind: bitClean, action: a.Name})) {
		return
	}
	strict := w.passkeyOnly(st, a)
	if _, ok := w.p.ways(a, w.extrasOn(a, st, st.cells), strict).missing(have.Minus(policy.NewFactSet(ringfence.FactApproved))); ok {
		return // enough without the colleague
	}
	late := l
	clean := w.u.bit(factBit{kind: bitClean, action: a.Name})
	for s := st; s.from != nil; s = s.from {
		if s.from.have.has(clean) && !s.have.has(clean) {
			late = s.from.at
			break
		}
	}
	w.p.find(w, st, "P10", late.Pos, "put it before approve", "%s is proved after the colleague agreed to %s: they have not seen it", late.provesWhat(), a.Name)
}

// provesWhat names what a line proves.
func (l *Line) provesWhat() string {
	switch l.Verb {
	case Confirm:
		return string(ringfence.FactConfirmed)
	case Reach:
		return string(ringfence.FactCallback)
	case Verify, Check:
		return string(l.fact())
	}
	return "something"
}

// wayList are the least sets of facts that are enough.
type wayList []policy.FactSet

// missing returns what the nearest ways still lack; true when one lacks nothing.
func (ws wayList) missing(have policy.FactSet) (string, bool) {
	least := -1
	var near []string
	for _, way := range ws {
		m := way.Minus(have)
		if m == 0 {
			return "", true
		}
		n := m.Len()
		if m.Has(ringfence.FactProofed) {
			n += 100 // nobody is proofed on a call
		}
		if least < 0 || n < least {
			least, near = n, nil
		}
		if n == least && !slices.Contains(near, m.String()) {
			near = append(near, m.String())
		}
	}
	if len(near) == 0 {
		return "a way that the policy accepts", false
	}
	return oneOf(near), false
}
