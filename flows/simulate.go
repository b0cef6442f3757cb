package flows

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Simulator performs the engine's effects against a World in virtual time: the
// stand-in for the runner in flow tests, in sim and for counter-examples. It
// has no side effects.
type Simulator struct {
	bundle *Bundle
	flow   *Flow
	state  *State
	world  World

	now    time.Duration
	events events
	seq    int
	legs   map[LegSlot]*simLeg

	challenges map[Ref]*simChallenge
	evidence   []simProof
	releases   map[string]*simRelease
	accepted   []string
	released   []string
	approving  *Effect
	timerRef   Ref
	nobody     bool
	secrets    map[string]string
	alerts     []string
	tells      []string
	ends       string
	faults     []string

	// Trace is told everything that happens, for people: at which time, on
	// which leg ("" = none), what.
	Trace func(at time.Duration, leg, what string)
	// Cover counts how often each line ended in each way.
	Cover map[CoverKey]int
	// heard is called when all queued speech on a leg has been heard, or when
	// something else came up that a person may act on.
	heard func(leg *simLeg)
	watch func(Effect) // every effect, as the runner gets it; nil = nobody
}

// CoverKey is one way a line can end: an outcome, then or else of an if, a key
// of a choose.
type CoverKey struct {
	Place
	Way string
}

type simLeg struct {
	slot    LegSlot
	name    string
	up      bool
	queue   []Effect
	private bool
	collect *Effect
	ready   bool // the speech named by collect.Open was heard
	entry   []byte
	keyAt   int // guards collector timers
	text    string
	script  []Beat
	robot   bool
	quiet   time.Duration
	blocked bool // an action of the script is on its way
}

type simChallenge struct {
	effect Effect
	tries  int
	open   bool
}

type simProof struct {
	fact   ringfence.Fact
	action string
	at     time.Duration
	leg    LegSlot
	old    bool
}

type simRelease struct {
	approvals int
	version   int
	hold      time.Duration
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is of heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop is of heap.Interface.
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// NewSimulator starts a flow in a world. A callback flow is started as if the
// line that rings it had just been answered.
func NewSimulator(b *Bundle, flow string, w World) (*Simulator, error) {
	f, ok := b.Flow(flow)
	if !ok {
		return nil, fmt.Errorf("there is no flow %s", clip(flow))
	}
	if f.Starts == StartsCallback {
		return nil, fmt.Errorf("%s starts by callback: start the flow that calls it", flow)
	}
	return &Simulator{bundle: b, flow: f, world: w, legs: map[LegSlot]*simLeg{}, challenges: map[Ref]*simChallenge{},
		releases: map[string]*simRelease{}, secrets: map[string]string{}, Cover: map[CoverKey]int{},
		Trace: func(time.Duration, string, string) {}, heard: func(*simLeg) {}}, nil
}

// start answers the call and begins the flow.
func (m *Simulator) start() error {
	m.legs[0] = &simLeg{name: "call", up: true}
	facts := Facts{Start: m.flow.Starts, Call: m.world.Call, Language: m.world.Language, Have: m.world.Have}
	if facts.Start == StartsConsole || facts.Start == StartsJob {
		facts.Subject, facts.Record = m.world.Kind, m.record(m.flow.wants)
		facts.Action, facts.Payload = m.world.Action, m.world.Payload
		m.releases[m.world.Action] = &simRelease{}
	}
	for _, p := range m.world.Have {
		m.evidence = append(m.evidence, simProof{fact: p.Fact, action: p.Action})
	}
	s, effects, err := Start(m.bundle, m.flow.Name, facts)
	if err != nil {
		return err
	}
	m.state = s
	m.perform(effects)
	return nil
}

func (m *Simulator) after(d time.Duration, do func()) {
	m.seq++
	heap.Push(&m.events, event{m.now + d, m.seq, do})
}

// next lets the next thing happen; false when nothing will.
func (m *Simulator) next() bool {
	if m.ended() || len(m.events) == 0 {
		return false
	}
	e := heap.Pop(&m.events).(event)
	m.now = max(m.now, e.at)
	e.do()
	return true
}

func (m *Simulator) ended() bool { return m.state != nil && m.state.Ended }

func (m *Simulator) input(in Input) {
	if !m.ended() {
		m.perform(Step(m.bundle, m.state, in))
	}
}

func (m *Simulator) answer(after time.Duration, in Input) {
	m.after(after, func() { m.input(in) })
}

func (m *Simulator) trace(slot LegSlot, format string, args ...any) {
	name := ""
	if leg := m.legs[slot]; leg != nil {
		name = leg.name
	}
	m.Trace(m.now, name, fmt.Sprintf(format, args...))
}

// perform does what the effects say. They are copied: each may lead to inputs
// that overwrite them.
func (m *Simulator) perform(effects []Effect) {
	for _, e := range slices.Clone(effects) {
		e.Payload = maps.Clone(e.Payload)
		if m.watch != nil {
			m.watch(e)
		}
		m.one(e)
	}
}

func (m *Simulator) one(e Effect) {
	leg := m.legs[e.On]
	down := func(what string) bool { return slices.Contains(m.world.Down, what) }
	outcome := func(after time.Duration, o Outcome) { m.answer(after, Input{Kind: InOutcome, Ref: e.Ref, Outcome: o}) }
	switch e.Kind {
	case EffOutcome:
		way := e.Text
		if way == "" {
			way = e.Outcome.String()
		}
		m.Cover[CoverKey{e.At, way}]++
		if e.Outcome != OK {
			m.trace(e.On, "(%s)", e.Outcome)
		}
	case EffPrivate:
		if leg != nil {
			leg.private = e.Flag
			if !e.Flag {
				leg.collect = nil
			}
		}
	case EffSpeak:
		m.speak(leg, e)
	case EffStopSpeech:
		if leg != nil {
			leg.queue = nil
		}
	case EffTimer:
		m.timerRef = e.Ref
		if e.After > 0 {
			m.after(e.After, func() {
				if m.timerRef == e.Ref {
					m.input(Input{Kind: InTimer, Ref: e.Ref})
				}
			})
		}
	case EffCollect:
		if leg != nil {
			leg.collect, leg.entry, leg.ready = &e, nil, e.Open == 0
			leg.keyAt++
		}
	case EffCancel:
		if c := m.challenges[e.Challenge]; c != nil {
			c.open = false
		}
		if m.approving != nil && m.approving.Ref == e.Challenge {
			m.approving = nil
		}
		if leg != nil && leg.collect != nil && (leg.collect.Challenge == e.Challenge || leg.collect.Ref == e.Challenge) {
			leg.collect = nil
		}
	case EffCheck:
		good := m.world.Attestation == "A"
		if e.Method == ringfence.FactKnownNumber {
			good = m.world.NumberMatch
		}
		if good {
			m.prove(e.Method, "", e.On)
		}
		m.answer(50*time.Millisecond, Input{Kind: InOutcome, Ref: e.Ref, Outcome: OK, Good: good})
	case EffIdentify:
		m.identify(e)
	case EffOpenAction:
		m.trace(e.On, "action %s opened", e.Action)
		m.releases[e.Action] = &simRelease{}
	case EffCancelAction:
		delete(m.releases, e.Action)
		m.evidence = slices.DeleteFunc(m.evidence, func(p simProof) bool { return p.action == e.Action })
	case EffVerify:
		m.verify(e)
	case EffConfirm, EffReach:
		what := "confirm"
		if e.Kind == EffReach {
			what = "reach"
		}
		if down(what) {
			outcome(time.Second, Down)
			return
		}
		m.challenges[e.Ref] = &simChallenge{effect: e, tries: e.Tries, open: true}
		m.answer(100*time.Millisecond, Input{Kind: InReady, Ref: e.Ref})
	case EffCallback:
		switch {
		case down("callback"), m.nobody:
			outcome(time.Second, Down)
		case e.Hold && m.world.From != "" && (m.world.From == e.To || e.To == ToNumberOnFile):
			m.trace(e.On, "the caller is on the number to be rung: nobody is rung")
			outcome(100*time.Millisecond, Busy)
		default:
			m.challenges[e.Ref] = &simChallenge{effect: e, open: true}
			m.answer(100*time.Millisecond, Input{Kind: InReady, Ref: e.Ref})
		}
	case EffDial:
		m.dial(e)
	case EffSuspend:
		m.suspend(e)
	case EffApprove:
		if down("approve") {
			outcome(time.Second, Down)
			return
		}
		m.trace(e.On, "%s is asked to approve %s", e.Group, e.Action)
		m.store()
		m.approving = &e
		m.after(time.Second, func() {
			for _, slot := range slices.Sorted(maps.Keys(m.legs)) {
				m.heard(m.legs[slot])
			}
		})
	case EffRelease:
		m.store()
		o := m.gate(e)
		m.trace(e.On, "release %s: %s", e.Action, o)
		outcome(500*time.Millisecond, o)
	case EffConnect:
		m.connect(e)
	case EffAlert:
		m.alerts = append(m.alerts, e.Text)
		m.trace(e.On, "ALERT %s", e.Text)
	case EffTell:
		m.tells = append(m.tells, spokenText(e.Speech))
		m.trace(e.On, "clerk is told: %s", spokenText(e.Speech))
	case EffReturn:
		m.ends = "return " + e.Outcome.String()
		if e.Flag && e.Outcome != OK {
			m.ends = "hangup"
		}
	case EffHangup:
		if leg != nil {
			leg.up, leg.queue = false, nil
		}
		if e.On == 0 && m.ends == "" {
			m.ends = "hangup"
		}
	case EffFault:
		m.faults = append(m.faults, e.Text)
		m.trace(e.On, "FAULT %s", e.Text)
	case EffEnd:
		if m.ends == "" {
			m.ends = "hangup"
		}
		m.trace(0, "ends: %s", m.ends)
	}
}

// store writes the state and reads it back, as another node would.
func (m *Simulator) store() {
	raw, err := json.Marshal(m.state)
	if err != nil {
		m.faults = append(m.faults, err.Error())
		return
	}
	again, err := Resume(m.bundle, raw)
	if err != nil {
		m.faults = append(m.faults, err.Error())
		return
	}
	m.state = again
}

func (m *Simulator) speak(leg *simLeg, e Effect) {
	for _, field := range e.Fields {
		if !m.bundle.pol.MaySpeak(field, m.facts(e.On)) {
			m.faults = append(m.faults, "the speak guard refuses "+field)
			m.trace(e.On, "GUARD {%s} may not be spoken here", field)
			m.answer(0, Input{Kind: InFault, Ref: e.Ref})
			return
		}
	}
	if leg == nil || !leg.up {
		m.answer(0, Input{Kind: InPlayed, Ref: e.Ref})
		return
	}
	leg.queue = append(leg.queue, e)
	if len(leg.queue) == 1 {
		m.play(leg)
	}
}

// play speaks what is first in the queue.
func (m *Simulator) play(leg *simLeg) {
	e := leg.queue[0]
	text := spokenText(e.Speech)
	leg.text += " " + text
	m.trace(leg.slot, "hears: %s", text)
	m.after(500*time.Millisecond, func() { m.heard(leg) })
	m.after(speechTime(e.Speech), func() {
		if len(leg.queue) == 0 || leg.queue[0].Ref != e.Ref {
			return // stopped
		}
		leg.queue = leg.queue[1:]
		if c := leg.collect; c != nil && c.Open == e.Ref {
			leg.ready = true
		}
		if len(leg.queue) > 0 {
			m.play(leg)
		}
		m.input(Input{Kind: InPlayed, Ref: e.Ref})
		if len(leg.queue) == 0 {
			m.firstKey(leg)
			m.heard(leg)
		}
	})
}

// firstKey starts the wait for the first key of a collection.
func (m *Simulator) firstKey(leg *simLeg) {
	c := leg.collect
	if c == nil {
		return
	}
	leg.keyAt++
	at := leg.keyAt
	m.after(c.First, func() {
		if leg.collect == c && leg.keyAt == at && len(leg.entry) == 0 {
			m.submit(leg, "")
		}
	})
}

func (m *Simulator) phone(to Destination) string {
	if p := m.world.Phones[to]; p != "" {
		return p
	}
	return "answers"
}

func (m *Simulator) record(wants []string) map[string]string {
	out := map[string]string{}
	for _, w := range wants {
		if v := m.world.Record[w]; v != "" {
			out[w] = v
		}
	}
	return out
}

func (m *Simulator) identify(e Effect) {
	value := e.Value
	if e.Into != "" {
		value = m.secrets[e.Into]
	}
	m.evidence = slices.DeleteFunc(m.evidence, func(p simProof) bool { return p.fact != ringfence.FactAttested })
	m.nobody = e.Subject != m.world.Kind || m.world.Record[e.By] != value
	in := Input{Kind: InOutcome, Ref: e.Ref, Outcome: OK}
	switch {
	case !m.nobody:
		in.Record = m.record(e.Wants)
	case e.Flag:
		in.Outcome = NotFound
	}
	m.prove(ringfence.FactIdentified, "", e.On)
	m.answer(50*time.Millisecond, in)
}

func (m *Simulator) verify(e Effect) {
	o := NoOutcome
	switch {
	case slices.Contains(m.world.Down, string(e.Method)):
		o = Down
	case e.Method == ringfence.FactPasskey && (!m.world.Passkey || m.nobody),
		e.Method == ringfence.FactTOTP && (!m.world.TOTP || m.nobody),
		e.Method == ringfence.FactOTP && m.phone(ToMobile) == "none":
		o = Missing
	}
	if o != NoOutcome {
		m.answer(300*time.Millisecond, Input{Kind: InOutcome, Ref: e.Ref, Outcome: o})
		return
	}
	m.challenges[e.Ref] = &simChallenge{effect: e, tries: e.Tries, open: true}
	m.answer(300*time.Millisecond, Input{Kind: InReady, Ref: e.Ref})
}

func (m *Simulator) prove(f ringfence.Fact, action string, slot LegSlot) {
	m.evidence = append(m.evidence, simProof{fact: f, action: action, at: m.now, leg: slot})
}

// facts is what counts for speech and queues on a leg: leg facts only of that
// leg.
func (m *Simulator) facts(slot LegSlot) policy.FactSet {
	var set policy.FactSet
	for _, p := range m.evidence {
		legBound := legFact(Proved{p.fact, p.action})
		if !legBound || p.leg == slot && !p.old {
			set = set.With(p.fact)
		}
	}
	return set
}

func (m *Simulator) dial(e Effect) {
	c := m.challenges[e.Challenge]
	to := c.effect.To
	leg := &simLeg{slot: e.On, name: "callback to " + string(to)}
	m.legs[e.On] = leg
	m.trace(e.On, "is rung")
	outcome := func(after time.Duration, o Outcome) { m.answer(after, Input{Kind: InOutcome, Ref: e.Ref, Outcome: o}) }
	switch m.phone(to) {
	case "busy":
		outcome(2*time.Second, Busy)
	case "silent":
		outcome(e.Life, Silent)
	case "diverted":
		outcome(time.Second, Diverted)
	default:
		m.after(5*time.Second, func() {
			leg.up, leg.robot = true, m.phone(to) == "robot"
			m.input(Input{Kind: InAnswered, Ref: e.Ref})
		})
	}
}

func (m *Simulator) suspend(e Effect) {
	if slices.Contains(m.world.Down, "suspend") {
		m.answer(time.Second, Input{Kind: InOutcome, Ref: e.Ref, Outcome: Down})
		return
	}
	m.store()
	to := m.challenges[e.Challenge].effect.To
	m.legs[0].up = false
	m.trace(0, "is hung up, to be called back")
	for i := range m.evidence {
		m.evidence[i].old = true
	}
	leg := &simLeg{name: "callback to " + string(to)}
	m.legs[0] = leg
	switch m.phone(to) {
	case "busy", "silent":
		m.answer(8*time.Minute, Input{Kind: InOutcome, Ref: e.Ref, Outcome: Silent})
	case "diverted":
		m.answer(10*time.Second, Input{Kind: InOutcome, Ref: e.Ref, Outcome: Silent})
	default:
		m.after(10*time.Second, func() {
			leg.up, leg.robot = true, m.phone(to) == "robot"
			m.input(Input{Kind: InAnswered, Ref: e.Ref})
		})
	}
}

func (m *Simulator) connect(e Effect) {
	o := OK
	if slices.Contains(m.world.Down, "connect") {
		o = Down
	} else if word := m.world.Queues[e.Queue]; word != "" && word != "open" {
		o, _ = ParseOutcome(word)
	}
	if o == OK && !m.bundle.pol.MayConnect(e.Queue, m.facts(e.On)) {
		m.faults = append(m.faults, "the queue guard refuses "+e.Queue)
		o = Down
	}
	if o == OK {
		m.ends = "connect " + e.Queue
	}
	after := time.Second
	if o == Silent {
		after = e.Life
	}
	m.answer(after, Input{Kind: InOutcome, Ref: e.Ref, Outcome: o})
}

// gate judges a release with the policy, as the gate does: with real proofs,
// each of a good age.
func (m *Simulator) gate(e Effect) Outcome {
	switch m.world.Gate {
	case "denied":
		return Denied
	case "later":
		return Later
	case "down":
		return Down
	}
	if slices.Contains(m.world.Down, "gate") {
		return Down
	}
	r := m.releases[e.Action]
	if r == nil {
		return Denied
	}
	answer := m.bundle.pol.Evaluate(m.policyCase(e.Action))
	switch {
	case answer.Satisfied && answer.Hold > 0 && m.world.Gate != "no_hold":
		r.hold = answer.Hold
		m.accepted = append(m.accepted, e.Action)
		return Later
	case answer.Satisfied:
		m.accepted = append(m.accepted, e.Action)
		m.released = append(m.released, e.Action)
		return OK
	case answer.EvidenceComplete:
		return Later
	}
	m.trace(e.On, "the policy misses %v: %v", answer.Missing, answer.Reasons)
	return Denied
}

var strengths = map[ringfence.Fact]ringfence.Strength{
	ringfence.FactPIN: ringfence.StrengthKnowledge, ringfence.FactOTP: ringfence.StrengthPSTN,
	ringfence.FactTOTP: ringfence.StrengthPossess, ringfence.FactPasskey: ringfence.StrengthPasskey,
	ringfence.FactCallback: ringfence.StrengthCallback, ringfence.FactProofed: ringfence.StrengthProofed,
}

func (m *Simulator) policyCase(action string) policy.Case {
	const year = 365 * 24 * time.Hour
	epoch := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	digest := ringfence.Digest{1}
	c := policy.Case{Action: action, Release: "rel_sim", Digest: digest, Traversal: "trv_sim", Subject: "sub_sim", Kind: m.world.Kind,
		Fields: map[string]string{}, HadPasskey: m.world.Passkey, Now: epoch.Add(m.now),
		Signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
	if a, ok := m.bundle.pol.Action(action); ok {
		c.Kind = a.About
		for _, f := range a.Carries {
			c.Fields[f.Name] = m.state.Payload[action+"."+f.Name]
		}
	}
	for i, p := range m.evidence {
		ev := ringfence.Evidence{ID: ringfence.EvidenceID(fmt.Sprintf("evd_%d", i)), Subject: c.Subject, Fact: p.fact, Strength: strengths[p.fact],
			Traversal: c.Traversal, At: epoch.Add(p.at), ContactPoint: "cpt_sim", Authenticator: "aut_sim"}
		if p.fact.Bound() {
			if p.action != action {
				continue
			}
			ev.Release, ev.Digest = c.Release, digest
			ev.Presented = p.fact == ringfence.FactPasskey || p.fact == ringfence.FactConfirmed && (p.leg > 0 || m.state.NewLeg || m.flow.Starts == StartsJob)
		}
		c.Proofs = append(c.Proofs, policy.Proof{Evidence: ev, ContactAge: year, AuthenticatorAge: year})
	}
	if r := m.releases[action]; r != nil {
		a, _ := m.bundle.pol.Action(action)
		for i := range r.approvals {
			c.Approvals = append(c.Approvals, policy.Approval{ID: ringfence.ApprovalID(fmt.Sprintf("apr_%d", i)),
				Person: ringfence.PersonID(fmt.Sprintf("per_%d", i)), Groups: []string{a.Approvals.Group}})
		}
	}
	return c
}

// People.

// key presses one key on a leg.
func (m *Simulator) key(leg *simLeg, digit byte) {
	if !leg.private {
		m.input(Input{Kind: InDigit, On: leg.slot, Digit: digit})
		return
	}
	c := leg.collect
	if c == nil {
		return
	}
	if digit == '*' && c.Star {
		m.settle(leg, Refused, false)
		return
	}
	if !leg.ready {
		if c.Void {
			m.submit(leg, "?")
		}
		return
	}
	if c.Open == 0 && len(leg.queue) > 0 {
		leg.queue = nil // the key cuts the prompt
	}
	leg.keyAt++
	switch digit {
	case '#':
		m.submit(leg, string(leg.entry))
		return
	case '*':
		leg.entry = nil
		return
	}
	leg.entry = append(leg.entry, digit)
	most := c.Max
	if ch := m.challenges[c.Challenge]; ch != nil && most == 0 {
		most = len(m.right(ch))
	}
	if most > 0 && len(leg.entry) >= most {
		m.submit(leg, string(leg.entry))
		return
	}
	at := leg.keyAt
	m.after(c.Between, func() {
		if leg.collect == c && leg.keyAt == at {
			m.submit(leg, string(leg.entry))
		}
	})
}

// right is the answer that satisfies a challenge.
func (m *Simulator) right(c *simChallenge) string {
	switch {
	case c.effect.Kind == EffConfirm:
		return worldYes
	case c.effect.Kind == EffReach:
		return worldFresh + worldCarry
	case c.effect.Method == ringfence.FactTOTP:
		return worldTOTP
	case c.effect.Method == ringfence.FactOTP:
		return worldOTP
	}
	if m.world.PIN == "" {
		return "??????"
	}
	return m.world.PIN
}

// submit judges an entry as verify does; the empty one is silence.
func (m *Simulator) submit(leg *simLeg, entry string) {
	c := leg.collect
	leg.entry = nil
	if c.Into != "" {
		o := OK
		switch {
		case entry == "":
			o = Silent
		case len(entry) < c.Min || c.Max > 0 && len(entry) > c.Max:
			o = Wrong
		default:
			m.secrets[c.Into] = entry
		}
		leg.collect = nil
		m.input(Input{Kind: InOutcome, Ref: c.Ref, Outcome: o})
		return
	}
	ch := m.challenges[c.Challenge]
	if ch == nil || !ch.open {
		return
	}
	switch {
	case entry == "":
		m.settle(leg, Silent, true)
	case ch.effect.Kind == EffConfirm && entry == "2":
		m.settle(leg, Refused, false)
	case entry == m.right(ch) && !m.nobody:
		m.settle(leg, OK, false)
	default:
		ch.tries--
		m.settle(leg, Wrong, ch.tries > 0)
	}
}

func (m *Simulator) settle(leg *simLeg, o Outcome, again bool) {
	c := leg.collect
	leg.collect = nil
	ch := m.challenges[c.Challenge]
	if ch == nil || !ch.open {
		return
	}
	if !again {
		ch.open = false
	}
	if o == OK {
		m.satisfied(ch, leg.slot)
	}
	m.input(Input{Kind: InOutcome, Ref: c.Challenge, Outcome: o, Again: again})
}

func (m *Simulator) satisfied(ch *simChallenge, slot LegSlot) {
	f := ch.effect.Method
	switch ch.effect.Kind {
	case EffConfirm:
		f = ringfence.FactConfirmed
	case EffReach:
		f = ringfence.FactCallback
	}
	m.prove(f, ch.effect.Action, slot)
	m.trace(slot, "proved: %s", f)
}

// page answers the open passkey page.
func (m *Simulator) page(o Outcome) bool {
	for ref, ch := range m.challenges {
		if ch.open && ch.effect.Method == ringfence.FactPasskey && ch.effect.Kind == EffVerify {
			ch.open = false
			if o == OK {
				m.satisfied(ch, ch.effect.On)
			}
			m.input(Input{Kind: InOutcome, Ref: ref, Outcome: o})
			return true
		}
	}
	return false
}

// reject answers an open challenge of a method with "I did not ask for this",
// by the message or the page that brought it.
func (m *Simulator) reject(method ringfence.Fact) {
	for ref, ch := range m.challenges {
		if ch.open && ch.effect.Method == method {
			ch.open = false
			m.input(Input{Kind: InOutcome, Ref: ref, Outcome: Refused})
			return
		}
	}
}

// approve lets one colleague agree or refuse; false when nobody was asked.
func (m *Simulator) approve(agrees bool) bool {
	e := m.approving
	if e == nil {
		return false
	}
	r := m.releases[e.Action]
	if !agrees || r == nil {
		m.approving = nil
		m.input(Input{Kind: InOutcome, Ref: e.Ref, Outcome: Refused})
		return true
	}
	r.approvals++
	if want := m.bundle.pol.Evaluate(m.policyCase(e.Action)).Approvals; r.approvals < max(want.Count, e.Count) {
		m.trace(e.On, "one colleague agreed, another one is needed")
		return true
	}
	m.approving = nil
	m.prove(ringfence.FactApproved, e.Action, e.On)
	m.input(Input{Kind: InOutcome, Ref: e.Ref, Outcome: OK})
	return true
}

// hangUp hangs up the far end of a leg.
func (m *Simulator) hangUp(leg *simLeg) {
	leg.up, leg.queue = false, nil
	if leg.slot == 0 && m.ends == "" {
		m.ends = "gone"
	}
	m.trace(leg.slot, "hangs up")
	m.input(Input{Kind: InHungUp, On: leg.slot})
}

// proved lists the facts that stand, in a fixed order.
func (m *Simulator) proved() []string {
	var set policy.FactSet
	for _, p := range m.evidence {
		set = set.With(p.fact)
	}
	var out []string
	for _, f := range set.Facts() {
		out = append(out, string(f))
	}
	return out
}

func sortedWords(words []string) string {
	w := slices.Clone(words)
	slices.Sort(w)
	return "[" + strings.Join(slices.Compact(w), ", ") + "]"
}
