package flows

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// step leaves a line in every way that a call can leave it, and judges what it
// does on the way.
func (w *walk) step(st *walkState) {
	l := st.at
	w.p.visited(w, l)
	on := ended{w, st, OK.String()}
	if st.noLeg {
		if done := w.withoutLeg(st, on); done {
			return
		}
	}
	if held := st.stack.held(); held != nil {
		w.pop(st, held, Silent, wayHangsUp) // whoever was rung may hang up at any line
	}
	slot := st.stack.slot
	w.speaks(st, l.Text)
	switch l.Verb {
	case Say, Tell, Alert, Language:
		on.next(st.have)
	case Check:
		ended{w, st, wayBad}.next(st.have)
		have := w.gain(st.have, l.fact(), "", slot)
		if l.fact() == ringfence.FactKnownNumber {
			have = have.with(w.u.bit(factBit{kind: bitPerson}))
		}
		ended{w, st, wayGood}.next(have)
	case Ask:
		w.stepAsk(st)
	case Choose:
		for i, t := range l.Keys {
			w.follow(l, t, st, st, keyNames[i])
		}
		w.edges(st, nil)
	case Identify:
		w.stepIdentify(st)
	case Verify:
		w.stepVerify(st, slot)
	case Confirm:
		w.stepConfirm(st, slot)
	case Reach:
		action := w.calledFor(st.stack)
		have := w.gain(st.have, ringfence.FactCallback, action, slot)
		have = have.with(w.u.bit(factBit{kind: bitReach, slot: slot, action: action})).with(w.u.bit(factBit{kind: bitPerson}))
		on.next(have)
		w.edges(st, nil)
	case Callback:
		w.stepCallback(st, slot)
	case Approve:
		action := w.forAction(st)
		w.filledIn(st, action, l.Pos)
		have := st.have.with(w.u.proof(ringfence.FactApproved, action)).with(w.u.bit(factBit{kind: bitClean, action: action}))
		on.next(have)
		w.edges(st, nil)
	case If:
		w.stepIf(st)
	case Go:
		w.follow(l, l.Go, st, st, on.way)
	case Run:
		w.push(st, frameRun, slot, "", wayEnters)
	case Return:
		if st.stack.below != nil {
			w.pop(st, st.stack, l.Return, l.Return.String())
		}
	case Release:
		w.judgeRelease(st)
		on.next(st.have)
		w.edges(st, nil)
	case Connect:
		w.judgeConnect(st, slot)
		w.edges(st, nil)
	case HangUp:
		if held := st.stack.held(); held != nil {
			w.pop(st, held, Silent, on.way)
		}
	}
}

// Ways on that are no outcomes.
const (
	wayGood    = "good"     // check: proved
	wayBad     = "bad"      // check: not proved
	wayEnters  = "enters"   // run
	wayAnswers = "answered" // callback: the phone was taken
	wayNobody  = "nobody"   // callback hang_up: it never was
	wayHangsUp = "hangs_up" // whoever was rung hung up
	wayThen    = "then"
	wayElse    = "else"
)

// withoutLeg is what a line does after a call-back that nobody answered.
func (w *walk) withoutLeg(st *walkState, on ended) bool {
	switch st.at.Verb {
	case Alert, Tell, If, Go, Run, Return, HangUp:
		return false
	case Say, Language, Check:
		on.next(st.have)
	case Callback, Connect, Release:
		w.take(st.at, Down, st, st, Down.String())
	default:
		w.take(st.at, Silent, st, st, Silent.String())
	}
	return true
}

// gain adds a proof, for the release and for the leg. What comes after the
// colleague agreed is not what the colleague agreed to.
func (w *walk) gain(have bitset, f ringfence.Fact, action string, slot LegSlot) bitset {
	if have.has(w.u.proof(f, action)) {
		return have.with(w.u.onLeg(f, slot))
	}
	have = have.with(w.u.proof(f, action)).with(w.u.onLeg(f, slot))
	return w.u.keep(have, func(b factBit) bool {
		return b.kind != bitClean || f.Bound() && b.action != action || !w.p.asks(b.action, f)
	})
}

func (w *walk) stepAsk(st *walkState) {
	l := st.at
	next := *st
	key := l.Into.Full
	if l.Into.Kind == NamePayload {
		action := l.Into.Owner
		w.void(&next, func(b factBit) bool { return b.action != action })
	} else {
		key = nameKey(l.Flow(), key)
	}
	next.have = next.have.with(w.u.set(key))
	next.cells = w.unsplit(next.cells, key)
	w.add(l.Next(), &next, st, OK.String())
	w.edges(st, nil)
}

func (w *walk) stepIdentify(st *walkState) {
	l := st.at
	if l.ByVar != nil && !st.have.has(w.u.set(nameKey(l.Flow(), l.ByVar.Name))) {
		w.p.find(w, st, "P4", l.Pos, "", "{%s} may still be empty when the caller is looked up by it", l.ByVar.Name)
	}
	next := *st
	w.void(&next, func(b factBit) bool {
		return b.fact == ringfence.FactAttested || b.kind == bitSet && isVar(b.name)
	})
	for _, n := range w.names.list {
		if !isVar(n.key) && !strings.HasPrefix(n.key, "call.") {
			next.cells = w.unsplit(next.cells, n.key)
		}
	}
	next.have = next.have.with(w.u.proof(ringfence.FactIdentified, ""))
	w.add(l.Next(), &next, st, OK.String())
	if t := l.edges[NotFound]; t != nil {
		lost := next
		lost.have = lost.have.without(w.u.proof(ringfence.FactIdentified, ""))
		w.follow(l, t, &lost, st, NotFound.String())
	}
}

func (w *walk) stepVerify(st *walkState, slot LegSlot) {
	l := st.at
	action := w.forAction(st)
	if l.For != "" {
		w.filledIn(st, action, l.Pos)
	}
	have := w.gain(st.have, l.fact(), action, slot).with(w.u.bit(factBit{kind: bitPerson}))
	ended{w, st, OK.String()}.next(have)
	w.edges(st, func(o Outcome, have bitset) bitset {
		if o == Missing && l.Arg == "passkey" {
			have = have.with(w.u.bit(factBit{kind: bitKeyless}))
		}
		return have
	})
}

func (w *walk) stepConfirm(st *walkState, slot LegSlot) {
	l := st.at
	action := w.resolved(l.For)
	if l.For == Given {
		w.speaks(st, l.Flow().givenTexts[action])
	}
	w.filledIn(st, action, l.Pos)
	have := w.gain(st.have, ringfence.FactConfirmed, action, slot)
	if have.has(w.u.bit(factBit{kind: bitReach, slot: slot, action: action})) {
		have = have.with(w.u.bit(factBit{kind: bitHeard, action: action}))
	}
	ended{w, st, OK.String()}.next(have)
	w.edges(st, nil)
}

func (w *walk) stepCallback(st *walkState, slot LegSlot) {
	l := st.at
	action := w.forAction(st)
	if l.For != "" {
		w.filledIn(st, action, l.Pos)
	}
	w.edges(st, nil)
	if l.HangUp {
		w.switchLeg(st, action, false)
		w.switchLeg(st, action, true)
		return
	}
	if slot+1 >= maxHeld {
		w.gaveUp = true
		return
	}
	w.push(st, frameHeld, slot+1, action, wayAnswers)
}

// maxHeld bounds the legs that one call holds at the same time.
const maxHeld = 8

// forAction is the action a line is for, as the engine finds it.
func (w *walk) forAction(st *walkState) string {
	l := st.at
	switch {
	case l.Verb == Verify && l.Arg == "pin":
		return ""
	case l.For != "" || len(l.Flow().Actions) != 1:
		return w.resolved(l.For)
	}
	name := l.Flow().Actions[0]
	if name == Given {
		return w.given
	}
	if !w.filled(st.have, name) {
		return ""
	}
	return name
}

// stepIf runs the engine's own compiled program on a value of every cell that
// the names of the condition may lie in.
func (w *walk) stepIf(st *walkState) {
	l := st.at
	if l.Cond == nil {
		return
	}
	got := w.u.got(st.have)
	empty := ""
	w.combine(st, nameKeys(l.Flow(), l.Cond.Names()), func(cells string) bool {
		yes, err := l.Cond.Eval(func(name string) any {
			v := w.valueOf(l.Flow(), st.have, got, cells, name)
			if v == nil {
				empty = name
			}
			return v
		})
		next := *st
		next.cells = cells
		switch {
		case err != nil:
			w.p.find(w, st, "P4", l.Pos, "", "{%s} may still be empty when it is compared", empty)
		case yes:
			w.follow(l, l.Go, &next, st, wayThen)
		default:
			w.add(l.Next(), &next, st, wayElse)
		}
		return true
	})
}

func nameKeys(f *Flow, names []string) []string {
	out := slices.Clone(names)
	for i, n := range out {
		out[i] = nameKey(f, n)
	}
	return out
}

// combine visits every combination of cells of the names that are not yet
// fixed; see returns false to stop.
func (w *walk) combine(st *walkState, keys []string, see func(cells string) bool) {
	var free []int
	count := 1
	for _, k := range keys {
		i, ok := w.names.index[k]
		if !ok || st.cells[i] != 0 || w.names.list[i].got || len(w.names.list[i].cells) == 0 {
			continue
		}
		free = append(free, i)
		if count *= len(w.names.list[i].cells); count > maxCombinations {
			w.gaveUp = true
			return
		}
	}
	cells := []byte(st.cells)
	var visit func(k int) bool
	visit = func(k int) bool {
		if k == len(free) {
			return see(string(cells))
		}
		for v := range w.names.list[free[k]].cells {
			cells[free[k]] = byte(v + 1)
			if !visit(k + 1) {
				return false
			}
		}
		cells[free[k]] = 0
		return true
	}
	visit(0)
}

// valueOf answers a condition's name with the representative of its cell, nil
// while it may have no value.
func (w *walk) valueOf(f *Flow, have bitset, got policy.FactSet, cells, name string) any {
	owner, field, dotted := strings.Cut(name, ".")
	if owner == "got" {
		return got.Has(ringfence.Fact(field))
	}
	key := nameKey(f, name)
	i, ok := w.names.index[key]
	if !ok || cells[i] == 0 || !w.assigned(have, key, owner, dotted) {
		return nil
	}
	return w.names.list[i].cells[cells[i]-1]
}

// assigned reports whether a name surely has a value.
func (w *walk) assigned(have bitset, key, owner string, dotted bool) bool {
	switch {
	case !dotted:
		return have.has(w.u.set(key))
	case owner == "call":
		return true
	case owner == string(w.subject()):
		return have.has(w.u.bit(factBit{kind: bitPerson}))
	}
	if _, record := w.p.pol.Kind(ringfence.SubjectKind(owner)); record {
		return false // of another kind than this call is about
	}
	return have.has(w.u.set(key))
}

// subject is the kind of person that the calls of this root are about.
func (w *walk) subject() ringfence.SubjectKind {
	if a := w.action(w.given); a != nil {
		return a.About
	}
	return w.root.Subject
}
