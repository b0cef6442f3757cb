package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
)

// Change is one difference between two policies that a caller can feel.
type Change struct {
	Looser bool   // something is enough now that was not; false = stricter
	Where  string // action, field or queue
	Says   string // "now enough: totp + callback + confirmed (payment.amount 9999)"
}

// String returns the change as `policy diff` prints it.
func (c Change) String() string {
	word := "STRICTER"
	if c.Looser {
		word = "LOOSER"
	}
	return word + " " + c.Where + ": " + c.Says
}

// Diff lists what became looser and what became stricter from one policy to
// another, looser first. Conditions are compared by plain enumeration over
// the cells that the constants of both policies cut. A nil policy allows
// nothing.
func Diff(old, new *Policy) []Change {
	if old == nil {
		old = &Policy{}
	}
	if new == nil {
		new = &Policy{}
	}
	d := differ{old: old, new: new}
	for _, name := range names(old.actions, new.actions, func(a *Action) string { return a.Name }) {
		before, _ := old.Action(name)
		after, _ := new.Action(name)
		d.action(name, before, after)
	}
	d.guards("may be spoken", old.spoken, new.spoken)
	d.guards("may be connected", old.queues, new.queues)
	d.figure("callback", "numbers_older_than", int64(old.callback.NumbersOlderThan), int64(new.callback.NumbersOlderThan), true, asDuration)
	for _, w := range new.waivers {
		if !hasWaiver(old.waivers, w) {
			d.add(true, or(w.Action, "every action"), fmt.Sprintf("%s waived to %s until %s: %s", w.Rule, w.Value, w.Until.Format("2006-01-02"), w.Reason))
		}
	}
	for _, w := range old.waivers {
		if !hasWaiver(new.waivers, w) {
			d.add(false, or(w.Action, "every action"), w.Rule+" is no longer waived")
		}
	}
	slices.SortStableFunc(d.out, func(a, b Change) int {
		switch {
		case a.Looser == b.Looser:
			return 0
		case a.Looser:
			return -1
		default:
			return 1
		}
	})
	return d.out
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func hasWaiver(ws []Waiver, w Waiver) bool {
	w.Line = 0
	return slices.ContainsFunc(ws, func(x Waiver) bool { x.Line = 0; return x == w })
}

// names lists the names of both, the old ones first.
func names[T any](a, b []T, name func(T) string) []string {
	var out []string
	for _, x := range append(slices.Clone(a), b...) {
		if !slices.Contains(out, name(x)) {
			out = append(out, name(x))
		}
	}
	return out
}

type differ struct {
	old, new *Policy
	out      []Change
}

func (d *differ) add(looser bool, where, says string) {
	d.out = append(d.out, Change{Looser: looser, Where: where, Says: says})
}

func asDuration(v int64) string { return Duration(duration(v)) }
func asNumber(v int64) string   { return fmt.Sprint(v) }

// figure compares one number of which more is stricter (or looser).
func (d *differ) figure(where, what string, old, new int64, moreIsStricter bool, show func(int64) string) {
	if old == new {
		return
	}
	d.add((new < old) == moreIsStricter, where, fmt.Sprintf("%s %s, was %s", what, show(new), show(old)))
}

func (d *differ) action(name string, old, new *Action) {
	switch {
	case old == nil:
		d.add(true, name, "now allowed at all")
		return
	case new == nil:
		d.add(false, name, "no longer allowed")
		return
	}
	d.figure(name, "class", int64(old.Class.Effective()), int64(new.Class.Effective()), true, func(v int64) string { return ringfence.Class(v).String() })
	d.figure(name, "fresh", int64(old.Fresh), int64(new.Fresh), false, asDuration)
	d.figure(name, "lanes", int64(old.Lanes), int64(new.Lanes), true, asNumber)
	d.figure(name, "hold", int64(old.Hold), int64(new.Hold), true, asDuration)
	d.figure(name, "approvers", int64(old.Approvals.Count), int64(new.Approvals.Count), true, asNumber)
	d.figure(name, "small_first", old.SmallFirst, new.SmallFirst, false, asNumber)
	d.figure(name, "numbers_older_than", int64(old.NumbersOlderThan), int64(new.NumbersOlderThan), true, asDuration)
	d.figure(name, "authenticators_older_than", int64(old.AuthenticatorsOlderThan), int64(new.AuthenticatorsOlderThan), true, asDuration)
	if old.Approvals.Group != new.Approvals.Group {
		d.add(true, name, fmt.Sprintf("approved by %s, was %s", or(new.Approvals.Group, "nobody"), or(old.Approvals.Group, "nobody")))
	}
	if old.OutlivesCall != new.OutlivesCall {
		d.add(new.OutlivesCall, name, fmt.Sprintf("outlives_call %t", new.OutlivesCall))
	}
	d.carries(name, old, new)
	d.signalRules(name, old, new)
	d.limitRules(name, old, new)
	d.ways(name, old, new)
}

func (d *differ) carries(name string, old, new *Action) {
	for _, f := range old.Carries {
		if t, ok := new.Field(f.Name); !ok || t.String() != f.Type.String() {
			d.add(true, name, fmt.Sprintf("field %s: %s is gone or of another type", f.Name, f.Type))
		}
	}
	for _, f := range new.Carries {
		if _, ok := old.Field(f.Name); !ok {
			d.add(true, name, fmt.Sprintf("new field %s: %s", f.Name, f.Type))
		}
	}
}

func (d *differ) signalRules(name string, old, new *Action) {
	for _, s := range old.Signals {
		if !slices.Contains(new.Signals, s) {
			d.add(true, name, fmt.Sprintf("signal %s: %s no longer asked", s.Name, s.Want))
		}
	}
	for _, s := range new.Signals {
		if !slices.Contains(old.Signals, s) {
			d.add(false, name, fmt.Sprintf("signal %s must be %s", s.Name, s.Want))
		}
	}
	if before, after := demandText(old.Unknown), demandText(new.Unknown); before != after {
		d.add(true, name, fmt.Sprintf("an unknown signal adds %s, was %s", after, before))
	}
}

func demandText(d Demand) string {
	var parts []string
	for _, n := range d.Needs {
		parts = append(parts, n.String())
	}
	if d.Approvals.Count > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s", d.Approvals.Count, d.Approvals.Group))
	}
	if d.Hold > 0 {
		parts = append(parts, "hold "+Duration(d.Hold))
	}
	return or(strings.Join(parts, ", "), "nothing")
}

func (d *differ) limitRules(name string, old, new *Action) {
	for _, l := range old.Limits {
		if !slices.Contains(new.Limits, l) {
			d.add(true, name, fmt.Sprintf("limit of %d (count %d) within %s is gone", l.Amount, l.Count, Duration(l.Within)))
		}
	}
	for _, l := range new.Limits {
		if !slices.Contains(old.Limits, l) {
			d.add(false, name, fmt.Sprintf("limit of %d (count %d) within %s", l.Amount, l.Count, Duration(l.Within)))
		}
	}
}

// ways compares, in every cell, which sets of proofs are enough, how many
// must agree and how long it holds.
func (d *differ) ways(name string, old, new *Action) {
	said := map[string]bool{}
	once := func(looser bool, says, cell string) {
		if said[says] {
			return
		}
		said[says] = true
		d.add(looser, name, says+cell)
	}
	for _, cell := range cellsOf(old, new) {
		before, after := extrasOn(old, cell), extrasOn(new, cell)
		was, is := old.Ways(old.Class, before...), new.Ways(new.Class, after...)
		where := cellText(cell)
		for _, w := range is {
			if !slices.ContainsFunc(was, w.Contains) {
				once(true, "now enough: "+w.String(), where)
			}
		}
		for _, w := range was {
			if !slices.ContainsFunc(is, w.Contains) {
				once(false, "no longer enough: "+w.String(), where)
			}
		}
		n1, h1 := extraFigures(old, before)
		n2, h2 := extraFigures(new, after)
		if n1 != n2 && (len(before) > 0 || len(after) > 0) {
			once(n2 < n1, fmt.Sprintf("%d approvers, was %d", n2, n1), where)
		}
		if h1 != h2 && (len(before) > 0 || len(after) > 0) {
			once(h2 < h1, fmt.Sprintf("hold %s, was %s", asDuration(h2), asDuration(h1)), where)
		}
	}
}

func extraFigures(a *Action, on []Extra) (count int, hold int64) {
	count, hold = a.Approvals.Count, int64(a.Hold)
	for _, e := range on {
		count, hold = max(count, e.Approvals.Count), max(hold, int64(e.Hold))
	}
	return count, hold
}

func extrasOn(a *Action, cell map[string]any) []Extra {
	var on []Extra
	for _, e := range a.Extra {
		if yes, err := e.When.Eval(func(n string) any { return cell[n] }); err != nil || yes {
			on = append(on, e)
		}
	}
	return on
}

func cellText(cell map[string]any) string {
	var parts []string
	for n, v := range cell {
		parts = append(parts, fmt.Sprintf("%s %v", n, v))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " (" + strings.Join(parts, ", ") + ")"
}

func (d *differ) guards(verb string, old, new []*Guard) {
	for _, name := range names(old, new, func(g *Guard) string { return g.Name }) {
		before, was := guardOf(old, name)
		after, is := guardOf(new, name)
		switch {
		case !was:
			d.add(true, name, "now "+verb)
		case !is:
			d.add(false, name, "no longer "+verb)
		default:
			d.figure(name, "class", int64(before.Class.Effective()), int64(after.Class.Effective()), true, func(v int64) string { return ringfence.Class(v).String() })
			w1, _ := expand(before.Needs)
			w2, _ := expand(after.Needs)
			for _, w := range w2 {
				if !slices.ContainsFunc(w1, w.Contains) {
					d.add(true, name, "now enough: "+w.String())
				}
			}
			for _, w := range w1 {
				if !slices.ContainsFunc(w2, w.Contains) {
					d.add(false, name, "no longer enough: "+w.String())
				}
			}
		}
	}
}
