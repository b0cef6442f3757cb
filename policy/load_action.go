package policy

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ringfence/ringfence"
)

// leastClass is what an action of a shape can hurt at least.
var leastClass = map[Like]ringfence.Class{
	LikePayment:            ringfence.C3,
	LikePayeeChange:        ringfence.C4,
	LikeContactChange:      ringfence.C4,
	LikeAuthenticatorReset: ringfence.C4,
	LikeFirstAuthenticator: ringfence.C4,
	LikeMandateChange:      ringfence.C4,
	LikeDisclosure:         ringfence.C2,
	LikeFreeze:             ringfence.C1,
	LikeUnfreeze:           ringfence.C3,
	LikeOther:              ringfence.C0,
}

// maxHold is the longest cooling-off; past it nobody would use the action.
const maxHold = 14 * day

func (l *loader) action(p pair) {
	a := &Action{Name: l.word(p.key, "action"), Like: LikeOther, Line: p.key.Line}
	k := l.keys(p.value, "an action", "class", "says", "about", "like", "carries", "needs", "extra", "fresh", "lanes",
		"approvals", "hold", "outlives_call", "numbers_older_than", "authenticators_older_than", "signals", "limits", "small_first", "undoes")
	for _, must := range []string{"class", "says", "about", "carries", "needs"} {
		if k[must] == nil {
			l.add(p.key, CodeKey, fmt.Sprintf("%s has no %s", a.Name, must), "")
		}
	}
	a.Class = l.class(k["class"], ringfence.C5)
	var counterparty bool
	if k["says"] != nil {
		a.Says, _ = l.text(k["says"], "says")
	}
	if k["about"] != nil {
		s, _ := l.text(k["about"], "about")
		a.About = ringfence.SubjectKind(s)
		kind, ok := l.p.Kind(a.About)
		if !ok {
			l.add(k["about"], CodeName, fmt.Sprintf("unknown subject kind %q", s), "")
		}
		counterparty = kind.Counterparty
	}
	l.like(a, k["like"], p.key)
	if k["carries"] != nil {
		for _, f := range l.pairs(k["carries"], "carries") {
			name := l.word(f.key, "field")
			a.Carries = append(a.Carries, Field{Name: name, Type: l.fieldType(f.value, name)})
		}
	}
	if n := k["approvals"]; n != nil {
		a.Approvals = l.approvals(n)
	}
	if k["needs"] != nil {
		a.Needs = l.needs(k["needs"])
	}
	l.figures(a, k)
	if n := k["extra"]; n != nil {
		for _, e := range l.list(n, "extra") {
			l.extra(a, e)
		}
	}
	if n := k["signals"]; n != nil {
		l.signals(a, n)
	}
	if n := k["limits"]; n != nil {
		for _, e := range l.list(n, "limits") {
			l.limit(a, e)
		}
	}
	l.reductions(a, k, p.key)
	at := p.key
	if k["needs"] != nil {
		at = k["needs"]
	}
	l.floor(a, at, counterparty)
	l.p.actions = append(l.p.actions, a)
}

// maxSmallFirst bounds small_first, in whole units of the base currency.
const maxSmallFirst = 500

// reductions reads what makes an action less strict, or answers for one that
// is: a small first payment, and the undo of a freeze.
func (l *loader) reductions(a *Action, k map[string]*yaml.Node, key *yaml.Node) {
	if n := k["small_first"]; n != nil {
		a.SmallFirst = l.count(n, "small_first", 1, maxSmallFirst)
		if a.Like != LikePayment || a.Class > ringfence.C3 {
			l.add(n, CodeRange, "small_first is for payments of C3", "")
		}
	}
	if n := k["undoes"]; n != nil {
		a.Undoes, _ = l.text(n, "undoes")
	}
	if (a.Like == LikeUnfreeze) != (a.Undoes != "") {
		l.add(key, CodeKey, a.Name+": like unfreeze and undoes belong together", "undoes: the name of the freeze")
	}
}

// undoes refuses an undo that is not two classes above its freeze: a freeze
// sits one class lower than it would, what takes it back one higher.
func (l *loader) undoes(at *yaml.Node) {
	for _, a := range l.p.actions {
		if a.Undoes == "" {
			continue
		}
		freeze, ok := l.p.Action(a.Undoes)
		switch {
		case !ok || freeze.Like != LikeFreeze:
			l.add(at, CodeName, a.Name+" undoes "+a.Undoes+", which is no action like freeze", "")
		case a.Class.Effective() < min(freeze.Class.Effective()+2, ringfence.C5):
			l.add(at, CodeFloor, a.Name+" undoes "+a.Undoes+" and needs two classes more", "")
		}
	}
}

func (l *loader) like(a *Action, n, key *yaml.Node) {
	if n == nil {
		return
	}
	s, _ := l.text(n, "like")
	a.Like = Like(s)
	least, ok := leastClass[a.Like]
	switch {
	case !ok:
		l.add(n, CodeName, fmt.Sprintf("unknown shape %q", s), "payment, payee_change, contact_change, authenticator_reset, first_authenticator, mandate_change, disclosure, freeze, unfreeze or other")
	case a.Class < least:
		l.add(key, CodeFloor, fmt.Sprintf("%s is like %s, which is %s at least", a.Name, a.Like, least), "")
	}
}

// figures reads what is one number, and refuses numbers less safe than the
// class's default unless a waiver names them.
func (l *loader) figures(a *Action, k map[string]*yaml.Node) {
	d := defaultsOf(a.Class.Effective())
	a.Fresh, a.Lanes = d.fresh, d.lanes
	if n := k["fresh"]; n != nil {
		a.Fresh = l.duration(n, "fresh", time.Second, d.maxFresh)
	}
	if n := k["lanes"]; n != nil {
		a.Lanes = int(l.count(n, "lanes", 1, 3))
		if a.Lanes < d.lanes && !l.waived(a, WaiveLanes) {
			l.add(n, CodeFloor, fmt.Sprintf("%s needs %d lanes", a.Class, d.lanes), "")
		}
	}
	if n := k["hold"]; n != nil {
		a.Hold = l.duration(n, "hold", time.Second, maxHold)
		if a.Hold < d.hold && !l.waived(a, WaiveHold) {
			l.add(n, CodeFloor, fmt.Sprintf("%s holds at least %s", a.Class, Duration(d.hold)), "leave hold out, or write a waiver")
		}
	}
	for _, age := range []struct {
		key string
		at  *time.Duration
	}{{"numbers_older_than", &a.NumbersOlderThan}, {"authenticators_older_than", &a.AuthenticatorsOlderThan}} {
		if n := k[age.key]; n != nil {
			*age.at = l.duration(n, age.key, max(d.age, 12*time.Hour), 365*day)
		}
	}
	if n := k["outlives_call"]; n != nil {
		switch s, _ := l.text(n, "outlives_call"); s {
		case "true":
			a.OutlivesCall = true
		case "false":
		default:
			l.add(n, CodeRange, fmt.Sprintf("outlives_call is %q", s), "true or false")
		}
	}
}

func (l *loader) waived(a *Action, rule string) bool {
	return slices.ContainsFunc(l.p.waivers, func(w Waiver) bool {
		return w.Rule == rule && (w.Action == "" || w.Action == a.Name)
	})
}

func (l *loader) demand(a *Action, k map[string]*yaml.Node) Demand {
	var d Demand
	if n := k["needs"]; n != nil {
		d.Needs = l.needs(n)
	}
	if n := k["hold"]; n != nil {
		d.Hold = l.duration(n, "hold", time.Second, maxHold)
	}
	if n := k["approvals"]; n != nil {
		d.Approvals = l.approvals(n)
		switch {
		case d.Approvals.Group == "":
			d.Approvals.Group = a.Approvals.Group
		case a.Approvals.Group == "":
			a.Approvals = Approvals{Group: d.Approvals.Group, Count: 1}
		case a.Approvals.Group != d.Approvals.Group:
			l.add(n, CodeRange, fmt.Sprintf("%s is approved by %s; an extra cannot ask another group", a.Name, a.Approvals.Group), "")
		}
	}
	return d
}

func (l *loader) extra(a *Action, n *yaml.Node) {
	k := l.keys(n, "extra", "when", "needs", "approvals", "hold")
	if k["when"] == nil {
		l.add(n, CodeKey, "an extra has no when", "such as when: "+a.Name+".amount > 5000")
		return
	}
	e := Extra{Demand: l.demand(a, k)}
	if e.Zero() {
		l.add(n, CodeKey, "an extra adds nothing", "needs, approvals or hold")
	}
	src, _ := l.text(k["when"], "when")
	vars := map[string]Type{}
	for _, f := range a.Carries {
		vars[a.Name+"."+f.Name] = f.Type
	}
	c, d := CompileCondition(src, vars)
	if d != nil {
		d.File, d.Line, d.Col = l.file, k["when"].Line, k["when"].Column+d.Col-1
		if k["when"].Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			d.Col++
		}
		l.ds = append(l.ds, *d)
		return
	}
	e.When = c
	if len(a.Extra) >= 16 {
		l.add(n, CodeRange, "more than 16 extras", "")
		return
	}
	a.Extra = append(a.Extra, e)
}

// knownSignals are those the gate can ask for.
var knownSignals = []string{"sim_swap", "diversion", "forwarding", "velocity", "prepaid", "number_match",
	"line_type", "name_check", "new_payee", "out_of_hours", "contact_changed", "refusals", "synthetic_voice", "voice_match"}

func (l *loader) signals(a *Action, n *yaml.Node) {
	for _, p := range l.pairs(n, "signals") {
		if p.key.Value == "unknown" {
			a.Unknown = l.demand(a, l.keys(p.value, "unknown", "needs", "approvals", "hold"))
			continue
		}
		rule := SignalRule{Name: p.key.Value}
		if !slices.Contains(knownSignals, rule.Name) {
			l.add(p.key, CodeName, fmt.Sprintf("unknown signal %q", rule.Name), fmt.Sprint("one of ", knownSignals))
		}
		s, _ := l.text(p.value, rule.Name)
		if err := rule.Want.UnmarshalText([]byte(s)); err != nil || rule.Want == ringfence.Unknown {
			l.add(p.value, CodeRange, fmt.Sprintf("%s is %q", rule.Name, s), "yes or no")
		}
		a.Signals = append(a.Signals, rule)
	}
}

func (l *loader) limit(a *Action, n *yaml.Node) {
	k := l.keys(n, "a limit", "within", "amount", "count")
	if k["within"] == nil || k["amount"] == nil && k["count"] == nil {
		l.add(n, CodeKey, "a limit names within and amount or count", "{ within: 24h, amount: 20000 }")
		return
	}
	lim := Limit{Within: l.duration(k["within"], "within", time.Minute, 365*day)}
	if k["amount"] != nil {
		lim.Amount = l.count(k["amount"], "amount", 1, 1e12)
		if !slices.ContainsFunc(a.Carries, func(f Field) bool { return f.Type.Base == BaseMoney }) {
			l.add(n, CodeType, a.Name+" carries no money to limit", "")
		}
	}
	if k["count"] != nil {
		lim.Count = int(l.count(k["count"], "count", 1, 1e6))
	}
	a.Limits = append(a.Limits, lim)
}

// floor enumerates every minimal set of proofs and refuses those that contain
// no set of the class's row, then prepares the sets of every higher class.
func (l *loader) floor(a *Action, at *yaml.Node, counterparty bool) {
	class, whose := a.Class.Effective(), rows{counterparty: counterparty, first: a.Like == LikeFirstAuthenticator}
	ways, ok := expand(a.Needs)
	if !ok {
		l.add(at, CodeRange, fmt.Sprintf("needs can be met in more than %d ways", maxWays), "split the action")
		return
	}
	asks := slices.ContainsFunc(ways, func(s FactSet) bool { return s.Has(ringfence.FactApproved) })
	for _, e := range append(a.Extra, Extra{Demand: a.Unknown}) {
		more, _ := expand(e.Needs)
		asks = asks || slices.ContainsFunc(more, func(s FactSet) bool { return s.Has(ringfence.FactApproved) })
	}
	if asks && a.Approvals.Group == "" {
		l.add(at, CodeFloor, a.Name+" needs approved, and no group may approve", "add approvals: { group: NAME, count: 1 }")
	}
	for _, w := range ways {
		switch {
		case !admits(class, whose, w, a.Approvals.Count):
			l.add(at, CodeFloor, fmt.Sprintf("%s is %s, and %s would be enough for it", a.Name, class, w), floorHint(class, whose))
		case class >= ringfence.C3 && w&presents == 0:
			l.add(at, CodeFloor, fmt.Sprintf("%s would be enough for %s without anybody having heard or seen what it is", w, a.Name), "add confirmed")
		case LanesOf(w) < a.Lanes:
			l.warn(at, fmt.Sprintf("%s rides on %d lane, and %s needs %d", w, LanesOf(w), a.Name, a.Lanes), "")
		}
	}
	for c := class; c <= ringfence.C5; c++ {
		a.ways[c] = join(ways, floorWays(c, rowsFor(whose)))
	}
	a.plain = ways
}
