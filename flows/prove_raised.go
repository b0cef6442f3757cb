package flows

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// RaisedGap is a release that no call can make once something known only at run
// time has raised its class: the caller is then told that it is not done. That
// is no fault, but ops should know.
type RaisedGap struct {
	File   string          `json:"file"`
	Line   int             `json:"line"`
	Action string          `json:"action"`
	Class  ringfence.Class `json:"class"` // the class it would be raised to
	Lacks  string          `json:"lacks"` // what even the best caller has not
}

// String returns file:line, the action and what is lacking.
func (g RaisedGap) String() string {
	return fmt.Sprintf("%s:%d no call releases %s once it is raised to %s: even the best lacks %s", g.File, g.Line, g.Action, g.Class, g.Lacks)
}

// Raised lists the releases with no path for the class above their own. It
// explores the best callers instead of the least convincing. Extras are left
// out: they depend on values, not on the flow.
func Raised(b *Bundle) []RaisedGap {
	if b == nil || b.pol == nil {
		return nil
	}
	type place struct {
		line   *Line
		action string
	}
	open := map[place]RaisedGap{}
	closed := map[place]bool{}
	p := newProof(b)
	for _, r := range p.roots() {
		w := newWalk(p, r.flow, r.given)
		w.most, w.limit = true, min(maxStates, 4*maxStates-p.states)
		w.released = func(l *Line, a *policy.Action, have policy.FactSet) {
			class := a.Class.Effective() + 1
			at := place{l, a.Name}
			if class > ringfence.C5 || closed[at] {
				return
			}
			lacks, ok := wayList(a.Ways(class)).missing(have)
			if ok {
				closed[at] = true
				delete(open, at)
				return
			}
			if old, known := open[at]; !known || len(lacks) < len(old.Lacks) {
				open[at] = RaisedGap{File: l.Pos.File, Line: l.Pos.Line, Action: a.Name, Class: class, Lacks: lacks}
			}
		}
		w.run()
		p.states += w.states
	}
	var out []RaisedGap
	for _, g := range open {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b RaisedGap) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Action, b.Action))
	})
	return out
}
