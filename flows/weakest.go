package flows

import (
	"cmp"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Weakest is the least convincing caller who comes to a release of an action:
// what they have proved, and the call by which they came. Nothing is wrong with
// it as long as the policy says that this is enough; it is what a reviewer
// should look at first.
type Weakest struct {
	Pos                     // of the release
	Flow   string           // the flow it stands in
	Action string           //
	Class  ringfence.Class  // of the action
	Proofs []ringfence.Fact // without identified
	Lanes  int              // how many different lanes they ride on
	Call   *Counterexample  // from the start of the call to the release
}

type releasePlace struct {
	line   *Line
	action string
}

// arrival is a caller at a release. The call is written down only for those
// that are kept.
type arrival struct {
	w    *walk
	st   *walkState
	a    *policy.Action
	have policy.FactSet
}

// arrives keeps the caller with the fewest proofs, on the fewest lanes.
func (p *proof) arrives(now arrival) {
	at := releasePlace{now.st.at, now.a.Name}
	old, ok := p.arrivals[at]
	if !ok || cmp.Or(cmp.Compare(now.have.Len(), old.have.Len()), cmp.Compare(policy.LanesOf(now.have), policy.LanesOf(old.have))) < 0 {
		p.arrivals[at] = now
	}
}

func (p *proof) weakest() []Weakest {
	var out []Weakest
	for at, one := range p.arrivals {
		proofs := slices.DeleteFunc(one.have.Facts(), func(f ringfence.Fact) bool { return f == ringfence.FactIdentified })
		out = append(out, Weakest{Pos: at.line.Pos, Flow: at.line.Flow().Name, Action: at.action, Class: one.a.Class.Effective(),
			Proofs: proofs, Lanes: policy.LanesOf(one.have), Call: one.w.counterexample(one.st)})
	}
	slices.SortFunc(out, func(a, b Weakest) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return out
}
