package flows

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	// tape writes down what happens, as the runner does.
	tape  *Recorder
	epoch time.Time
	// prepare is called before the first step with what the flow starts with.
	prepare func(Facts)
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
	robot   bool
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
	m.tape = NewRecorder(m.bundle, m.flow.Name, facts, m.epoch)
	if m.prepare != nil {
		m.prepare(facts)
	}
	m.tape.Saw(m.epoch, s, Input{}, effects)
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
		effects := Step(m.bundle, m.state, in)
		m.tape.Saw(m.epoch.Add(m.now), m.state, in, effects)
		m.perform(effects)
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

// facts is what counts for speech and queues on a leg: what was proved there,
// as for the prover (P2, P3). Who is at the other end of a second leg has
// proved nothing yet, whoever they are said to be.
func (m *Simulator) facts(slot LegSlot) policy.FactSet {
	var set policy.FactSet
	for _, p := range m.evidence {
		if p.fact == ringfence.FactIdentified || p.leg == slot && !p.old {
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
