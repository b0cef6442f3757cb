package flows

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

var executorCalls = flag.Int("executor.calls", 20_000, "random calls of TestExecutorFindsNothing")

// rehearsal plays one random call: its own simple interpreter, with plain maps
// and real counters, says where each line leads; the engine must agree. It
// knows nothing of the prover. The judge is the policy, asked at every release,
// spoken field and queue with the evidence that was really gathered.
type rehearsal struct {
	b     *Bundle
	rand  *rand.Rand
	play  *replay
	tries []int64 // numbers that stand in the files

	root     *Flow
	frames   []*rehearsed
	rows     []evidenceRow
	proofs   []Proved // what got.X sees
	agreed   map[string]bool
	payload  map[string]string
	record   map[string]string
	subject  ringfence.SubjectKind
	given    string
	call     CallFacts
	noLeg    bool
	nobody   bool
	claimed  bool
	passkey  bool
	luck     int // of ten lines, how many end well
	lastLeg  int
	broken   []breach
	quarrel  string // interpreter and engine disagree
	finished bool
}

type rehearsed struct {
	flow   *Flow
	at     *Line
	vars   map[string]string
	counts map[*Target]int
	leg    int
	held   bool
	rang   bool // a callback line rang its leg
	forAct string
	before []Proved
}

type evidenceRow struct {
	fact   ringfence.Fact
	action string
	leg    int
	shown  bool
}

// breach is what the judge does not allow.
type breach struct {
	code string
	line *Line
	says string
}

var numbersInFiles = regexp.MustCompile(`[<>=] (\d+)`)

// rehearse plays a random call of a root.
func rehearse(b *Bundle, f *Flow, given string, r *rand.Rand, tries []int64) *rehearsal {
	c := &rehearsal{b: b, rand: r, tries: tries, root: f, given: given, agreed: map[string]bool{}, payload: map[string]string{}}
	c.passkey, c.luck = r.IntN(2) == 0, []int{5, 8, 9, 10}[r.IntN(4)]
	c.call = CallFacts{Attestation: pick(r, "A", "B", "C", "none", "failed"), NumberShown: pick(r, "yes", "withheld", "ours", "impossible"),
		Direction: ringfence.Inbound, Hour: r.IntN(24), Weekday: pick(r, "monday", "friday", "sunday"), Open: r.IntN(2) == 0}
	facts := Facts{Start: f.Starts, Call: c.call}
	if f.Starts == StartsConsole || f.Starts == StartsJob {
		c.subject = f.Subject
		if a, ok := b.pol.Action(given); ok {
			c.subject = a.About
			facts.Action, facts.Payload = given, map[string]string{}
			for _, field := range a.Carries {
				facts.Payload[field.Name] = c.value(field.Type)
				c.payload[given+"."+field.Name] = facts.Payload[field.Name]
			}
		}
		if c.subject != "" {
			c.claimed = true
			c.proofs = append(c.proofs, Proved{Fact: ringfence.FactIdentified})
		}
		facts.Subject, facts.Record = c.subject, c.newRecord()
		c.record = facts.Record
		if f.Starts == StartsConsole {
			for _, fact := range []ringfence.Fact{ringfence.FactPIN, ringfence.FactPasskey, ringfence.FactTOTP, ringfence.FactAttested} {
				if r.IntN(8) == 0 && (fact != ringfence.FactPasskey || c.passkey) {
					facts.Have = append(facts.Have, Proved{Fact: fact})
					c.rows = append(c.rows, evidenceRow{fact: fact, leg: -1})
				}
			}
			c.proofs = append(slices.Clone(facts.Have), c.proofs...)
		}
	}
	s, effects, err := Start(b, f.Name, facts)
	if err != nil {
		c.quarrel = err.Error()
		return c
	}
	c.play = &replay{s: s, b: b}
	c.play.saw(effects)
	c.frames = []*rehearsed{c.frame(f, 0)}
	for n := 0; !c.finished && c.quarrel == ""; n++ {
		if n > 5000 {
			c.quarrel = "the call does not end"
			break
		}
		c.line(n)
	}
	if c.quarrel == "" && !s.Ended {
		c.quarrel = fmt.Sprintf("the engine goes on at %v", s.Here())
	}
	return c
}

func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

func (c *rehearsal) frame(f *Flow, leg int) *rehearsed {
	return &rehearsed{flow: f, at: f.Scenes[0].Lines[0], vars: map[string]string{}, counts: map[*Target]int{}, leg: leg}
}

func (c *rehearsal) top() *rehearsed { return c.frames[len(c.frames)-1] }

// value makes up a value of a type; numbers near those that stand in the files.
func (c *rehearsal) value(t policy.Type) string {
	n := int64(1 + c.rand.IntN(20000))
	if len(c.tries) > 0 && c.rand.IntN(3) > 0 {
		n = max(1, c.tries[c.rand.IntN(len(c.tries))]+int64(c.rand.IntN(3)-1))
	}
	switch t.Base {
	case policy.BaseMoney:
		return strconv.FormatInt(n, 10) + "00 GBP"
	case policy.BaseNumber:
		return strconv.FormatInt(n, 10)
	case policy.BaseOneOf:
		return t.OneOf[c.rand.IntN(len(t.OneOf))]
	}
	return sample(t)
}

func (c *rehearsal) newRecord() map[string]string {
	out := map[string]string{}
	kind, _ := c.b.pol.Kind(c.subject)
	for _, f := range kind.Fields {
		out[f.Name] = c.value(f.Type)
	}
	return out
}

func (c *rehearsal) breaks(code string, l *Line, format string, args ...any) {
	c.broken = append(c.broken, breach{code, l, fmt.Sprintf(format, args...)})
}

// line plays the n-th line of the call.
func (c *rehearsal) line(n int) {
	fr := c.top()
	l := fr.at
	if n >= len(c.play.path) || c.play.path[n] != l.Place() {
		c.quarrel = fmt.Sprintf("line %d: the interpreter is at %v, the engine has played %v", n, l.Place(), c.play.path[max(0, len(c.play.path)-3):])
		return
	}
	way := c.way(l)
	step := CallStep{Line: l, Way: way}
	if !c.skipped(l) {
		c.judge(l)
		if l.Verb == Ask && way == "ok" {
			step.Value = c.value(l.Into.Type)
			if l.Into.Type.Secret {
				step.Value = SecretValue
			}
		}
		if l.Verb == Identify && way == "ok" {
			c.identify(l)
			step.Record = c.record
		}
	}
	if len(c.play.path) == n+1 && !c.play.s.Ended {
		c.play.perform(step)
	}
	c.leave(l, step)
}

// skipped reports whether a line does nothing as there is no leg.
func (c *rehearsal) skipped(l *Line) bool {
	switch l.Verb {
	case Alert, Tell, If, Go, Run, Return, HangUp:
		return false
	}
	return c.noLeg
}

// way chooses how the line ends, among the ways that are possible for this
// caller.
func (c *rehearsal) way(l *Line) string {
	if c.skipped(l) {
		switch l.Verb {
		case Say, Language, Check:
			return "ok"
		case Callback, Connect, Release:
			return "down"
		}
		return "silent"
	}
	held := slices.ContainsFunc(c.frames, func(f *rehearsed) bool { return f.held })
	switch l.Verb {
	case Say, Ask, Choose, Verify, Confirm, Reach, Approve:
		if held && c.rand.IntN(40) == 0 {
			return wayHangsUp
		}
	}
	var ways []string
	good := "ok"
	switch l.Verb {
	case Check:
		if c.rand.IntN(2) == 0 || l.Arg == "number" && (c.nobody || !c.claimed) {
			return wayBad
		}
		return wayGood
	case If:
		yes, err := l.Cond.Eval(c.get)
		if err != nil {
			return "fault"
		}
		if yes {
			return wayThen
		}
		return wayElse
	case Choose:
		for i, t := range l.Keys {
			if t != nil {
				ways = append(ways, keyNames[i])
			}
		}
		if good = ways[c.rand.IntN(len(ways))]; len(ways) == 12 {
			return good
		}
	case Callback:
		good = wayAnswers
		if l.HangUp && c.rand.IntN(4) == 0 {
			return wayNobody
		}
		if c.nobody || !c.claimed {
			return "down"
		}
	case Return:
		return l.Return.String()
	case Run:
		return wayEnters
	case Verify, Reach:
		if c.nobody || !c.claimed {
			good = "wrong"
		}
		if l.Arg == "passkey" && !c.passkey {
			good = "missing"
		}
	}
	if c.rand.IntN(10) < c.luck {
		return good
	}
	ways = nil
	for o := Wrong; o < outcomeCount; o++ {
		if l.edges[o] == nil || l.Verb == Callback && o == Wrong || o == Missing && l.Arg == "passkey" && c.passkey {
			continue
		}
		ways = append(ways, o.String())
	}
	if len(ways) == 0 {
		return good
	}
	return ways[c.rand.IntN(len(ways))]
}

// get answers a condition's names.
func (c *rehearsal) get(name string) any {
	owner, field, dotted := strings.Cut(name, ".")
	switch {
	case !dotted:
		return c.top().vars[name]
	case owner == "got":
		return slices.ContainsFunc(c.proofs, func(p Proved) bool { return string(p.Fact) == field })
	case owner == "call":
		return map[string]any{"attestation": c.call.Attestation, "number_shown": c.call.NumberShown, "direction": string(c.call.Direction),
			"hour": int64(c.call.Hour), "weekday": c.call.Weekday, "open": c.call.Open}[field]
	case owner == string(c.subject):
		return c.record[field]
	}
	return c.payload[name]
}

// forAction is what a line is for.
func (c *rehearsal) forAction(l *Line) string {
	f := c.top().flow
	name := l.For
	if l.Verb == Verify && l.Arg == "pin" {
		return ""
	}
	if name == "" && len(f.Actions) == 1 {
		name = f.Actions[0]
		if name != Given && !c.full(name) {
			return ""
		}
	}
	if name == Given {
		return c.given
	}
	return name
}

func (c *rehearsal) full(action string) bool {
	a, ok := c.b.pol.Action(action)
	for _, f := range a.Carries {
		ok = ok && c.payload[action+"."+f.Name] != ""
	}
	return ok
}

func (c *rehearsal) calledFor() string {
	for i := len(c.frames) - 1; i >= 0; i-- {
		if c.frames[i].held || i == 0 && c.frames[i].rang {
			return c.frames[i].forAct
		}
	}
	return c.given
}

func (c *rehearsal) proved(f ringfence.Fact, action string) {
	leg := c.top().leg
	shown := f == ringfence.FactPasskey
	if f == ringfence.FactConfirmed {
		shown = slices.ContainsFunc(c.rows, func(r evidenceRow) bool {
			return r.fact == ringfence.FactCallback && r.leg == leg && r.action == action
		})
	}
	c.rows = append(c.rows, evidenceRow{f, action, leg, shown && action != ""})
	c.proofs = append(c.proofs, Proved{f, action})
}

func (c *rehearsal) identify(l *Line) {
	other := func(p Proved) bool { return p.Fact != ringfence.FactAttested }
	c.proofs = slices.DeleteFunc(c.proofs, other)
	for _, f := range c.frames {
		f.before = slices.DeleteFunc(f.before, other)
	}
	c.rows = slices.DeleteFunc(c.rows, func(r evidenceRow) bool { return r.fact != ringfence.FactAttested })
	c.agreed, c.payload = map[string]bool{}, map[string]string{}
	c.subject, c.claimed, c.nobody = ringfence.SubjectKind(l.Arg), true, c.rand.IntN(5) == 0
	c.record = nil
	if !c.nobody {
		c.record = c.newRecord()
	}
	c.proofs = append(c.proofs, Proved{Fact: ringfence.FactIdentified})
}

// leave goes where the line leads.
func (c *rehearsal) leave(l *Line, step CallStep) {
	fr, way := c.top(), step.Way
	if way == "fault" {
		c.breaks("P4", l, "a name without a value is compared")
		c.finished = true
		return
	}
	if way == wayHangsUp {
		c.unwind("silent")
		return
	}
	if o, ok := ParseOutcome(way); ok && o != OK && l.Verb != Return {
		c.edge(l, o)
		return
	}
	switch l.Verb {
	case Ask:
		c.store(l, step.Value)
	case Check:
		if way == wayGood {
			c.proved(l.fact(), "")
		}
	case Verify:
		c.proved(l.fact(), c.forAction(l))
	case Confirm:
		c.proved(ringfence.FactConfirmed, c.forAction(l))
	case Reach:
		c.proved(ringfence.FactCallback, c.calledFor())
	case Approve:
		c.agreed[c.forAction(l)] = true
		c.proofs = append(c.proofs, Proved{ringfence.FactApproved, c.forAction(l)})
	case Choose:
		c.follow(l.Keys[slices.Index(keyNames[:], way)])
		return
	case If:
		if way == wayThen {
			c.follow(l.Go)
			return
		}
	case Go:
		c.follow(l.Go)
		return
	case Run:
		next := c.frame(l.With, fr.leg)
		next.before = slices.Clone(c.proofs)
		c.frames = append(c.frames, next)
		return
	case Callback:
		c.lastLeg++
		next := c.frame(l.With, c.lastLeg)
		next.forAct, next.rang = c.forAction(l), true
		if l.HangUp {
			c.frames, c.noLeg = []*rehearsed{next}, way == wayNobody
			return
		}
		next.held, next.before = true, slices.Clone(c.proofs)
		c.frames = append(c.frames, next)
		return
	case Return:
		c.back(l.Return)
		return
	case Connect:
		c.finished = true
		return
	case HangUp:
		c.unwind("silent")
		return
	}
	fr.at = fr.flow.Scenes[l.Scene.Index].Lines[l.Index+1]
}

func (c *rehearsal) store(l *Line, value string) {
	if l.Into.Kind == NameVar {
		c.top().vars[l.Into.Full] = value
		return
	}
	action := l.Into.Owner
	c.payload[l.Into.Full] = value
	mine := func(p Proved) bool { return p.Action == action }
	c.proofs = slices.DeleteFunc(c.proofs, mine)
	for _, f := range c.frames {
		f.before = slices.DeleteFunc(f.before, mine)
	}
	delete(c.agreed, action)
	// Rows of the old payload stay in the ledger, and count for nothing.
	for i := range c.rows {
		if c.rows[i].action == action {
			c.rows[i].action = action + " as it was"
		}
	}
}

// edge takes the way of an outcome; one that is not handled goes the worst way
// that is.
func (c *rehearsal) edge(l *Line, o Outcome) {
	t := l.edges[o]
	for _, other := range []Outcome{Down, Silent, Refused, Wrong, Denied, Missing} {
		if t == nil {
			t = l.edges[other]
		}
	}
	if t == nil {
		c.finished = true
		return
	}
	c.follow(t)
}

func (c *rehearsal) follow(t *Target) {
	fr := c.top()
	to := t.Scene
	if to.Index <= fr.at.Scene.Index {
		if fr.counts[t]++; fr.counts[t] > t.AtMost {
			to = t.Then
		}
	}
	fr.at = to.Lines[0]
}

// back returns from the flow on top.
func (c *rehearsal) back(o Outcome) {
	if len(c.frames) == 1 {
		c.finished = true
		return
	}
	done := c.top()
	c.frames = c.frames[:len(c.frames)-1]
	fr := c.top()
	if o == OK {
		fr.at = fr.flow.Scenes[fr.at.Scene.Index].Lines[fr.at.Index+1]
		return
	}
	c.proofs = done.before
	c.edge(fr.at, o)
}

// unwind ends the leg that the flow runs on: a held call-back comes back as
// silent, everything else is the end.
func (c *rehearsal) unwind(string) {
	for len(c.frames) > 1 && !c.top().held {
		c.frames = c.frames[:len(c.frames)-1]
	}
	if len(c.frames) == 1 {
		c.finished = true
		return
	}
	c.back(Silent)
}

// judge asks the policy about what the line is about to do.
func (c *rehearsal) judge(l *Line) {
	t := l.Text
	if l.Verb == Confirm && l.For == Given {
		t = l.Flow().givenTexts[c.given]
	}
	if t != nil && l.Verb != Alert {
		have := c.onLeg()
		for _, f := range t.Fields {
			if !c.b.pol.MaySpeak(f, have) {
				c.breaks("P2", l, "%s is spoken after %s", f, have)
			}
		}
		for _, n := range t.Names {
			if v := c.get(n.Full); v == "" || v == nil {
				c.breaks("P4", l, "%s is spoken and empty", n.Full)
			}
		}
	}
	switch l.Verb {
	case Connect:
		if have := c.onLeg(); !c.b.pol.MayConnect(l.Arg, have) {
			c.breaks("P3", l, "%s after %s", l.Arg, have)
		}
	case Release:
		c.judgeRelease(l)
	}
}

// onLeg is what counts for speech on the leg that hears it.
func (c *rehearsal) onLeg() policy.FactSet {
	var out policy.FactSet
	if c.claimed && !c.nobody {
		out = out.With(ringfence.FactIdentified)
	}
	for _, r := range c.rows {
		if r.leg == c.top().leg {
			out = out.With(r.fact)
		}
	}
	return out
}

var judgedAt = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

func (c *rehearsal) judgeRelease(l *Line) {
	action := c.forAction(l)
	a, ok := c.b.pol.Action(action)
	if !ok {
		c.breaks("P4", l, "releases nothing")
		return
	}
	const year = 365 * 24 * time.Hour
	digest := ringfence.Digest{7}
	q := policy.Case{Action: action, Release: "rel_1", Digest: digest, Traversal: "trv_1", Kind: a.About, Fields: map[string]string{},
		HadPasskey: c.passkey, Now: judgedAt, Signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
	if kind, _ := c.b.pol.Kind(a.About); kind.Counterparty {
		q.HadPasskey = false
	}
	if c.claimed {
		q.Subject = "sub_1"
	}
	for _, f := range a.Carries {
		if q.Fields[f.Name] = c.payload[action+"."+f.Name]; q.Fields[f.Name] == "" {
			c.breaks("P4", l, "%s.%s is empty", action, f.Name)
		}
	}
	for _, lim := range a.Limits {
		q.Totals = append(q.Totals, policy.Total{Within: lim.Within})
	}
	for i, r := range c.rows {
		e := ringfence.Evidence{ID: ringfence.EvidenceID(fmt.Sprint("evd_", i)), Subject: q.Subject, Fact: r.fact, Strength: strengths[r.fact],
			Traversal: q.Traversal, At: judgedAt, ContactPoint: ringfence.ContactPointID(fmt.Sprint("cpt_", r.fact)), Authenticator: "aut_1", Presented: r.shown}
		switch {
		case r.fact.Bound() && r.action == action:
			e.Release, e.Digest = q.Release, digest
		case r.fact.Bound() && r.action != "":
			e.Release, e.Digest = "rel_other", ringfence.Digest{8}
		}
		q.Proofs = append(q.Proofs, policy.Proof{Evidence: e, ContactAge: year, AuthenticatorAge: year})
	}
	if c.agreed[action] {
		for i := range 5 {
			q.Approvals = append(q.Approvals, policy.Approval{ID: "apr_1", Person: ringfence.PersonID(fmt.Sprint("per_", i)), Groups: []string{a.Approvals.Group}})
		}
	}
	if ans := c.b.pol.Evaluate(q); !ans.Satisfied {
		c.breaks("P1", l, "releases %s, and the policy misses %v: %v", action, ans.Missing, ans.Reasons)
	}
}

// startsOf lists how calls of a bundle begin.
func startsOf(b *Bundle) (out []root) {
	for _, f := range b.Flows() {
		var actions []string
		switch {
		case f.Starts == StartsCallback:
			continue
		case f.Starts == StartsInbound || f.Subject == "":
			actions = []string{""}
		case f.Subject == Given:
			for _, a := range b.Policy().Actions() {
				actions = append(actions, a.Name)
			}
		case len(f.Actions) == 0:
			actions = []string{""}
		default:
			actions = f.Actions
		}
		for _, a := range actions {
			out = append(out, root{f, a})
		}
	}
	return out
}

func triesOf(b *Bundle) (out []int64) {
	for _, f := range b.Files() {
		for _, m := range numbersInFiles.FindAllStringSubmatch(string(f.Data), -1) {
			n, _ := strconv.ParseInt(m[1], 10, 64)
			out = append(out, n)
		}
	}
	return out
}

// exercise plays random calls over all starts and returns what broke; it stops
// at the first disagreement of interpreter and engine.
func exercise(t testing.TB, b *Bundle, calls int, seed uint64) (lines int, broken []breach) {
	t.Helper()
	starts, tries := startsOf(b), triesOf(b)
	r := rand.New(rand.NewPCG(seed, 11))
	for n := range calls {
		if len(starts) == 0 {
			return
		}
		s := starts[n%len(starts)]
		c := rehearse(b, s.flow, s.given, r, tries)
		if c.quarrel != "" {
			t.Fatalf("%s for %q, call %d of seed %d: %s", s.flow.Name, s.given, n, seed, c.quarrel)
		}
		lines += len(c.play.path)
		broken = append(broken, c.broken...)
	}
	return lines, broken
}

// The judge finds nothing to object to in random calls of scripts that the
// prover calls clean, and the interpreter agrees with the engine on every line.
func TestExecutorFindsNothing(t *testing.T) {
	b := shipped(t)
	if !Prove(b).Clean() {
		t.Fatal("the shipped scripts are not clean")
	}
	lines, broken := exercise(t, b, *executorCalls, 1)
	for _, x := range broken[:min(len(broken), 5)] {
		t.Errorf("%s %s: %s", x.code, x.line.Pos, x.says)
	}
	t.Logf("%d calls, %d lines, %d violations", *executorCalls, lines, len(broken))
	clean := scriptsFS(t)
	for _, f := range readFaults(t) {
		if f.code != "silent" {
			continue
		}
		if b, r, _ := judged(f.apply(t, clean)); r.Clean() {
			if _, broken := exercise(t, b, *executorCalls/20, 2); len(broken) > 0 {
				t.Errorf("%s: %s: %s", f.name, broken[0].line.Pos, broken[0].says)
			}
		}
	}
}

// Whatever the judge finds in the corpus of faults, the prover has flagged at
// that very line.
func TestExecutorFaultsAreFlagged(t *testing.T) {
	clean := scriptsFS(t)
	found, loaded := 0, 0
	for _, f := range readFaults(t) {
		b, r, _ := judged(f.apply(t, clean))
		if b == nil {
			continue
		}
		loaded++
		_, broken := exercise(t, b, max(200, *executorCalls/100), 3)
		if len(broken) > 0 {
			found++
		}
		for _, x := range broken {
			ok := slices.ContainsFunc(r.Findings, func(one Finding) bool {
				d := one.Call
				return d != nil && d.Steps[len(d.Steps)-1].Line == x.line
			})
			if !ok {
				t.Errorf("%s: the judge objects at %s (%s: %s), the prover does not", f.name, x.line.Pos, x.code, x.says)
				break
			}
		}
	}
	t.Logf("the judge met %d of %d faults that load", found, loaded)
	if found < 20 {
		t.Errorf("the judge met %d faults only", found)
	}
}
