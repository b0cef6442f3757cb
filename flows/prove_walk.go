package flows

import (
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// maxStates bounds the abstract states of one root. A set of flows that needs
// more is refused: not finding out means no.
const maxStates = 100_000

// walk explores every call that one root can become: place × cells × antichain
// of the least convincing callers who can stand there.
type walk struct {
	p     *proof
	root  *Flow
	given string
	flows []*Flow // the root and all that it can enter
	u     *universe
	names *cellNames
	use   *usage
	gots  []ringfence.Fact // facts that conditions ask for as got.X
	fills []string         // actions whose full payload a line without for: looks at

	most     bool // keep the best callers instead of the least convincing
	counting bool // count backward edges, as calls do
	limit    int

	stacks map[frameNode]*frameNode
	seen   map[walkKey][]*walkState
	queue  []*walkState
	states int
	gaveUp bool
	// released is told of every state that reaches a release, in the mode that
	// keeps the best callers.
	released func(l *Line, a *policy.Action, have policy.FactSet)
}

// frameNode is one flow on the stack, interned.
type frameNode struct {
	below  *frameNode
	flow   *Flow
	call   *Line // in below; nil in the root
	kind   frameKind
	slot   LegSlot
	forAct string // what reach proves a call-back for
	saved  bitset // what was proved when it was entered
	counts string // of below
}

// walkState is one caller at one line.
type walkState struct {
	at     *Line
	stack  *frameNode
	cells  string // an index for each name, 0 = any
	chose  string // cells, before those that nothing reads any more were forgotten
	have   bitset
	noLeg  bool
	counts string

	from *walkState
	way  string // how from's line ended
	dead bool   // a less convincing caller stands here too
}

type walkKey struct {
	at     *Line
	stack  *frameNode
	cells  string
	noLeg  bool
	counts string
	got    policy.FactSet
	filled uint64
}

func newWalk(p *proof, root *Flow, given string) *walk {
	w := &walk{p: p, root: root, given: given, u: newUniverse(), limit: maxStates,
		stacks: map[frameNode]*frameNode{}, seen: map[walkKey][]*walkState{}}
	w.enter(root)
	var actions []*policy.Action
	for _, f := range w.flows {
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				if a := w.action(l.For); l.Verb == Release && a != nil && !slices.Contains(actions, a) {
					actions = append(actions, a)
				}
				if only := w.only(l); only != "" && !slices.Contains(w.fills, only) && len(w.fills) < 64 {
					w.fills = append(w.fills, only)
				}
			}
		}
	}
	w.names = collectNames(w.flows, actions)
	for _, n := range w.names.list {
		if n.got {
			w.gots = append(w.gots, ringfence.Fact(n.name[len("got."):]))
		}
	}
	w.use = usageOf(w.names, w.flows, w.extras, given)
	return w
}

// enter collects the flows that a call can come into.
func (w *walk) enter(f *Flow) {
	if slices.Contains(w.flows, f) {
		return
	}
	w.flows = append(w.flows, f)
	for _, s := range f.Scenes {
		for _, l := range s.Lines {
			if l.With != nil {
				w.enter(l.With)
			}
		}
	}
}

func (w *walk) extras(action string) []*policy.Condition {
	a, ok := w.p.pol.Action(action)
	if !ok {
		return nil
	}
	var out []*policy.Condition
	for _, e := range a.Extra {
		if e.When != nil {
			out = append(out, e.When)
		}
	}
	return out
}

// resolved is the action that a name stands for.
func (w *walk) resolved(name string) string {
	if name == Given {
		return w.given
	}
	return name
}

func (w *walk) action(name string) *policy.Action {
	a, _ := w.p.pol.Action(w.resolved(name))
	return a
}

// only is the action that a line without for: is for as soon as its payload is
// full, "" for every other line.
func (w *walk) only(l *Line) string {
	f := l.Flow()
	if l.For != "" || len(f.Actions) != 1 || f.Actions[0] == Given || l.Verb != Callback && (l.Verb != Verify || l.Arg == "pin") {
		return ""
	}
	return f.Actions[0]
}

// starts puts the callers of the root at its first line.
func (w *walk) starts() {
	st := &walkState{stack: w.intern(frameNode{flow: w.root}), cells: string(make([]byte, len(w.names.list)))}
	if w.counting {
		st.counts = string(make([]byte, w.root.counters+1))
	}
	if w.root.Starts == StartsConsole || w.root.Starts == StartsJob {
		if w.root.Subject != "" {
			st.have = st.have.with(w.u.proof(ringfence.FactIdentified, "")).with(w.u.bit(factBit{kind: bitPerson}))
		}
		if a := w.action(w.given); a != nil {
			for _, f := range a.Carries {
				st.have = st.have.with(w.u.set(a.Name + "." + f.Name))
			}
		}
	}
	w.begin(st, 0)
}

// begin adds the start with and without each fact that a console flow may find
// proved already: on an older leg, or for another action, so that got.X is all
// that it says.
func (w *walk) begin(st *walkState, i int) {
	if i == len(w.gots) || w.root.Starts != StartsConsole {
		w.add(w.root.first(), st, nil, "")
		return
	}
	w.begin(st, i+1)
	if i < 10 && !w.u.got(st.have).Has(w.gots[i]) {
		with := *st
		with.have = with.have.with(w.u.proof(w.gots[i], ""))
		w.begin(&with, i+1)
	}
}

// first is the line a flow begins with.
func (f *Flow) first() *Line {
	if len(f.Scenes) == 0 || len(f.Scenes[0].Lines) == 0 {
		return nil
	}
	return f.Scenes[0].Lines[0]
}

func (w *walk) intern(n frameNode) *frameNode {
	if got, ok := w.stacks[n]; ok {
		return got
	}
	kept := n
	w.stacks[n] = &kept
	return &kept
}

// add puts a caller at a line, unless one who is no more convincing stands
// there already.
func (w *walk) add(at *Line, st *walkState, from *walkState, way string) {
	if at == nil || w.gaveUp {
		return
	}
	next := *st
	next.at, next.from, next.way, next.dead = at, from, way, false
	next.chose, next.cells = next.cells, w.forget(&next)
	key := walkKey{at: at, stack: next.stack, cells: next.cells, noLeg: next.noLeg, counts: next.counts, got: w.gotKey(next.have)}
	for i, action := range w.fills {
		if w.filled(next.have, action) {
			key.filled |= 1 << i
		}
	}
	list := w.seen[key]
	for _, old := range list {
		if w.covers(old.have, next.have) {
			return
		}
	}
	kept := list[:0]
	for _, old := range list {
		if w.covers(next.have, old.have) {
			old.dead = true
			continue
		}
		kept = append(kept, old)
	}
	w.seen[key] = append(kept, &next)
	w.states++
	if w.states > w.limit || w.u.full || w.names.full {
		w.gaveUp = true
		return
	}
	w.queue = append(w.queue, &next)
}

func (w *walk) covers(a, b bitset) bool {
	if w.most {
		return b.within(a)
	}
	return a.within(b)
}

// gotKey is the part of what is proved that lines look at.
func (w *walk) gotKey(have bitset) policy.FactSet {
	if len(w.gots) == 0 {
		return 0
	}
	return w.u.got(have) & policy.NewFactSet(w.gots...)
}

// filled reports whether every field of an action has a value.
func (w *walk) filled(have bitset, action string) bool {
	a, ok := w.p.pol.Action(action)
	return ok && !slices.ContainsFunc(a.Carries, func(f policy.Field) bool { return !have.has(w.u.set(action + "." + f.Name)) })
}

// forget drops the cells that nothing reads any more.
func (w *walk) forget(st *walkState) string {
	if len(st.cells) == 0 {
		return st.cells
	}
	live := w.use.live[st.at]
	for f := st.stack; f.below != nil; f = f.below {
		live = live.or(w.use.live[f.call])
	}
	var out []byte
	for i := range len(st.cells) {
		if st.cells[i] != 0 && !live.has(i) {
			if out == nil {
				out = []byte(st.cells)
			}
			out[i] = 0
		}
	}
	if out == nil {
		return st.cells
	}
	return string(out)
}

// run explores until nothing new turns up.
func (w *walk) run() {
	w.starts()
	for head := 0; head < len(w.queue) && !w.gaveUp; head++ {
		if st := w.queue[head]; !st.dead {
			w.step(st)
		}
	}
}

// ended says how a line was left, before the next one is known.
type ended struct {
	w   *walk
	st  *walkState
	way string
}

// next goes on to the line below.
func (e ended) next(have bitset) {
	st := *e.st
	st.have = have
	e.w.add(e.st.at.Next(), &st, e.st, e.way)
}

// follow takes an edge of line l, which stands in the flow on top of st. One
// that runs back leads to both its ends, as its counter is not kept.
func (w *walk) follow(l *Line, t *Target, st *walkState, from *walkState, way string) {
	if t == nil {
		return
	}
	begin := func(s *Scene, st *walkState) {
		if s != nil && len(s.Lines) > 0 {
			w.add(s.Lines[0], st, from, way)
		}
	}
	if t.Scene == nil || t.Scene.Index > l.Scene.Index {
		begin(t.Scene, st)
		return
	}
	if !w.counting {
		begin(t.Scene, st)
		begin(t.Then, st)
		return
	}
	if t.counter == 0 || int(st.counts[t.counter]) >= t.AtMost {
		begin(t.Then, st)
		return
	}
	counted := *st
	c := []byte(st.counts)
	c[t.counter]++
	counted.counts = string(c)
	begin(t.Scene, &counted)
}

// worse is the order in which an outcome that a line does not handle is led
// away, as the engine does.
var worse = [...]Outcome{Down, Silent, Refused, Wrong, Denied, Missing}

// take leaves line l by an outcome.
func (w *walk) take(l *Line, o Outcome, st *walkState, from *walkState, way string) {
	t := l.Edge(o)
	for _, other := range worse {
		if t == nil {
			t = l.Edge(other)
		}
	}
	w.follow(l, t, st, from, way)
}

// edges leaves the state's line by every outcome it handles.
func (w *walk) edges(st *walkState, change func(Outcome, bitset) bitset) {
	l := st.at
	for o := Wrong; o < outcomeCount; o++ {
		if l.edges[o] == nil || o == Wrong && l.Verb == Choose && l.allKeys() {
			continue
		}
		next := *st
		if change != nil {
			next.have = change(o, st.have)
		}
		w.follow(l, l.edges[o], &next, st, o.String())
	}
}

// allKeys reports whether no key of a choose is wrong.
func (l *Line) allKeys() bool {
	return !slices.ContainsFunc(l.Keys[:], func(t *Target) bool { return t == nil })
}

// push enters another flow.
func (w *walk) push(st *walkState, kind frameKind, slot LegSlot, forAct, way string) {
	l := st.at
	next := *st
	next.stack = w.intern(frameNode{below: st.stack, flow: l.With, call: l, kind: kind, slot: slot, forAct: forAct, saved: st.have, counts: st.counts})
	if kind == frameHeld {
		next.have = w.dropLeg(next.have, slot)
	}
	next.have, next.cells = w.dropVars(next.have, next.cells, l.With)
	if w.counting {
		next.counts = string(make([]byte, l.With.counters+1))
	}
	w.add(l.With.first(), &next, st, way)
}

// switchLeg goes on in the other flow after a hang-up.
func (w *walk) switchLeg(st *walkState, forAct string, nobody bool) {
	l := st.at
	next := *st
	next.noLeg = nobody
	next.stack = w.intern(frameNode{flow: l.With, forAct: forAct, kind: frameRoot, slot: 0, call: l})
	next.have = w.u.keep(next.have, func(b factBit) bool {
		return b.kind != bitLeg && b.kind != bitReach && (b.kind != bitSet || !isVar(b.name))
	})
	for _, f := range w.flows {
		_, next.cells = w.dropVars(next.have, next.cells, f)
	}
	if w.counting {
		next.counts = string(make([]byte, l.With.counters+1))
	}
	way := "answered"
	if nobody {
		way = "nobody"
	}
	w.add(l.With.first(), &next, st, way)
}

// isVar tells the key of a variable from a dotted name.
func isVar(key string) bool { return slices.Contains([]byte(key), '/') }

func (w *walk) dropLeg(have bitset, slot LegSlot) bitset {
	return w.u.keep(have, func(b factBit) bool { return b.kind != bitLeg && b.kind != bitReach || b.slot != slot })
}

// dropVars forgets the variables of a flow: they live as long as its frame.
func (w *walk) dropVars(have bitset, cells string, f *Flow) (bitset, string) {
	for _, v := range f.Vars {
		key := f.Name + "/" + v.Name
		if i, ok := w.u.index[factBit{kind: bitSet, name: key}]; ok {
			have = have.without(i)
		}
		cells = w.unsplit(cells, key)
	}
	return have, cells
}

// unsplit makes a name's value unknown again.
func (w *walk) unsplit(cells, key string) string {
	i, ok := w.names.index[key]
	if !ok || cells[i] == 0 {
		return cells
	}
	out := []byte(cells)
	out[i] = 0
	return string(out)
}

// pop returns from the flow on top of the stack: on ok what it proved stays, by
// any other outcome only what was proved before it.
func (w *walk) pop(st *walkState, top *frameNode, o Outcome, way string) {
	next := *st
	next.stack, next.counts = top.below, top.counts
	have, cells := st.have, st.cells
	for f := st.stack; ; f = f.below {
		have, cells = w.dropVars(have, cells, f.flow)
		if f == top {
			break
		}
	}
	next.cells = cells
	if top.kind == frameHeld {
		have = w.dropLeg(have, top.slot)
	}
	next.have = have
	if o == OK {
		w.add(top.call.Next(), &next, st, way)
		return
	}
	// Values that were given stay given; the proofs of the sub-flow do not.
	given := w.u.keep(have, func(b factBit) bool { return b.kind == bitSet })
	next.have = w.u.keep(top.saved, func(b factBit) bool { return b.kind != bitSet || isVar(b.name) }).or(given)
	w.take(top.call, o, &next, st, way)
}

// void takes proofs away, here and from what a return would bring back.
func (w *walk) void(st *walkState, keep func(factBit) bool) {
	st.have = w.u.keep(st.have, keep)
	st.stack = w.voidStack(st.stack, keep)
}

func (w *walk) voidStack(f *frameNode, keep func(factBit) bool) *frameNode {
	if f == nil || f.below == nil {
		return f
	}
	n := *f
	n.below, n.saved = w.voidStack(f.below, keep), w.u.keep(f.saved, keep)
	return w.intern(n)
}

// held is the nearest flow on the stack that runs on a leg we placed.
func (f *frameNode) held() *frameNode {
	for ; f != nil && f.below != nil; f = f.below {
		if f.kind == frameHeld {
			return f
		}
	}
	return nil
}

// calledFor is the action of the callback line that rang the leg, or of the
// job.
func (w *walk) calledFor(f *frameNode) string {
	for ; f != nil; f = f.below {
		if f.kind == frameHeld || f.below == nil && f.call != nil {
			return f.forAct
		}
	}
	return w.given
}
