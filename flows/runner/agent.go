package runner

import (
	"context"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
)

// agent is a leg to a member of staff or to a queue behind us.
type agent struct {
	leg    Leg
	place  Place
	up     bool
	held   bool   // the agent put the caller on media hold
	parked bool   // a console flow runs: no audio to or from the caller
	waits  bool   // for the first word of what is whispered: joined no sooner
	code   string // digits whispered to whoever answers a PBX queue
	// What is whispered, one after the other.
	queue   []*utterance
	playing uint64
}

// told reports whether the agent has heard everything that was whispered.
func (a *agent) told() bool { return a.playing == 0 && len(a.queue) == 0 }

// next plays what is first in the queue if nothing plays.
func (a *agent) next() {
	for a.playing == 0 && len(a.queue) > 0 && a.queue[0].ready {
		u := a.queue[0]
		a.queue = a.queue[1:]
		if !u.bad && a.up {
			a.playing = a.leg.Play(u.clip)
			u.clip = nil // the queue keeps u for the life of the call, and a line is 100 KiB
		}
	}
}

// connectWait is a caller waiting for a queue.
type connectWait struct {
	queue   string
	session int
	ref     flows.Ref
	forget  func()
	first   ringfence.PersonID // to be rung before the others
	tried   []string           // queues that had nobody, of a call that no flow leads

	// What the board works with; passed is guarded by its lock, and the rest
	// does not change once the caller has joined.
	t      *traversal
	staff  func(context.Context) Staff
	all    bool          // ring everybody at once, else one after the other
	each   time.Duration // how long one place is rung; zero means 30 s
	passed map[ringfence.PersonID]bool
	// offered and over are guarded by the board's lock until nobody is left,
	// rang belongs to the traversal.
	offered, over, rang bool
}

// defaultWait is how long a caller waits for a queue.
const defaultWait = 2 * time.Minute

// performConnect puts the caller through, if the policy lets this call reach
// the queue.
func (t *traversal) performConnect(ctx context.Context, e flows.Effect) {
	if !t.bundle.Policy().MayConnect(e.Queue, t.factSet(e.On)) {
		t.r.cfg.Log.Error("queue guard refused", "traversal", string(t.id), "queue", e.Queue)
		t.note("not put through: the policy asks for more before "+e.Queue, true)
		t.answer(e, flows.Down)
		return
	}
	t.connectQueue(ctx, connectWait{queue: e.Queue, session: t.session.number, ref: e.Ref})
	if t.waiting != nil && e.Life > 0 {
		w := t.waiting
		w.forget()
		w.forget = t.after(e.Life, func() { t.connected(w, flows.Silent) })
	}
}

// connectQueue lets the caller wait for the queue's people, or rings its address.
func (t *traversal) connectQueue(ctx context.Context, w connectWait) {
	q, ok := t.r.cfg.Directory.Queue(t.tenant, w.queue)
	if !ok || q.URI == "" && !q.staff(ctx).there() {
		t.connected(&w, flows.Closed)
		return
	}
	if t.r.queued(t.tenant, w.queue) >= q.most() {
		t.connected(&w, flows.Full)
		return
	}
	t.live.State, t.live.Queue, t.cameFrom = "queued", w.queue, w.queue
	t.waiting = &w
	w.t, w.staff, w.all, w.each, w.passed = t, q.staff, q.All, q.Each, map[ringfence.PersonID]bool{}
	wait := q.Wait
	if wait <= 0 {
		wait = defaultWait
	}
	w.forget = t.after(wait, func() { t.connected(&w, flows.Silent) })
	if s := t.slots[0]; s != nil && s.up {
		s.leg.Loop(t.r.cfg.Music)
	}
	t.remind(ctx, &w, q)
	if q.URI == "" {
		t.r.board.join(&w)
	} else if !t.ring(ctx, q.place(), q.Each) {
		t.connected(&w, flows.Down)
	}
}

// staff are the people of a queue; none where it has none.
func (q Queue) staff(ctx context.Context) Staff {
	if q.People == nil {
		return Staff{}
	}
	return q.People(ctx)
}

// leaveBoard ends a wait, whatever became of it.
func (t *traversal) leaveBoard(w *connectWait) {
	if t.waiting == w {
		t.waiting = nil
	}
	if w.forget != nil {
		w.forget()
	}
	t.r.board.leave(w)
}

// ring places one leg to a place of a queue and reports whether it could.
func (t *traversal) ring(ctx context.Context, p Place, each time.Duration) bool {
	a := t.placeAgent(ctx, p, "", each)
	if a == nil {
		return false
	}
	t.ringing = append(t.ringing, a)
	t.hear(a.leg, func(ev ringfence.LegEvent) { t.agentEvent(t.ctx, a, ev) })
	return true
}

// placeAgent places one leg to a place; nil when it could not be. replaces is of
// an attended transfer, or empty; each is how long it rings, zero the default.
func (t *traversal) placeAgent(ctx context.Context, p Place, replaces string, each time.Duration) *agent {
	place := ringfence.Placement{Trunk: p.Trunk, To: p.URI, From: t.agentFrom(), Name: "ringfence", UUI: t.live.Reference, Purpose: "agent",
		MayTransfer: p.MayTransfer, Replaces: replaces, Ring: each}
	if s := t.slots[0]; s != nil && s.up {
		place.Beside = s.leg.ID()
	}
	if place.From != anonymous {
		place.Verstat = t.caller.Verstat
		if p.Sign && t.r.cfg.SignOn != nil {
			place.Identity = t.r.cfg.SignOn(ctx, t.onward(p.URI))
		}
	}
	leg, err := t.r.cfg.Phone.Place(ctx, place)
	if err != nil {
		t.r.cfg.Log.Info("agent leg", "traversal", string(t.id), "err", err)
		return nil
	}
	t.legs = append(t.legs, leg.ID())
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.placed", Traversal: t.id, Leg: leg.ID(), Person: p.Person})
	t.claims(leg)
	return &agent{leg: leg, place: p}
}

// agentFrom is what an agent's phone shows: a number, never a caller's text.
func (t *traversal) agentFrom() string {
	if t.caller.Orig != "" && t.caller.Number != "withheld" {
		return string(t.caller.Orig)
	}
	return anonymous
}

// anonymous stands for a caller whose number is not shown.
const anonymous = "anonymous"

// onward is the caller's call as it goes on to an agent.
func (t *traversal) onward(to string) Onward {
	o := Onward{Orig: t.caller.Orig, To: to}
	if t.first != nil && t.live.Direction == ringfence.Inbound {
		info := t.first.Info()
		o.Called, o.Identity, o.At = info.Called, info.Identity, info.ReceivedAt
		o.Verified = t.caller.Verified
	}
	return o
}

func (t *traversal) agentEvent(ctx context.Context, a *agent, ev ringfence.LegEvent) {
	switch ev.Kind {
	case ringfence.LegAnswered:
		t.agentAnswered(ctx, a)
	case ringfence.LegPlayed:
		if ev.Play == a.playing && ev.Play != 0 {
			a.playing = 0
			a.next()
		}
	case ringfence.LegDiverted:
		t.note("the agent's leg went elsewhere", true)
	case ringfence.LegChanged:
		t.agentChanged(ctx, a)
	case ringfence.LegTransfer:
		t.transferAsked(ctx, a, ev.Refer)
	case ringfence.LegHeld:
		t.agentHeld(a, ev)
	case ringfence.LegEnded:
		t.agentEnded(ctx, a, ev)
	}
}

// agentAnswered joins the first who answers; the others stop ringing.
func (t *traversal) agentAnswered(ctx context.Context, a *agent) {
	if t.waiting == nil || t.agent != nil || !t.drop(a) {
		a.leg.Hangup(ringfence.EndHangup)
		return
	}
	w := t.waiting
	t.waiting = nil
	w.forget()
	defer t.r.board.leave(w) // not before the call is shown as theirs
	a.up = true
	t.agent = a
	t.dropRinging(ringfence.EndHangup)
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.answered", Traversal: t.id, Leg: a.leg.ID(), Person: a.place.Person})
	if a.place.Person != "" {
		t.own(ctx, a.place.Person)
	} else {
		t.live.Owner, t.live.Epoch = "", t.live.Epoch+1 // nobody's until somebody takes it
		a.waits = true
		t.whisperCode(ctx, a)
	}
	if !a.waits {
		t.joinAgent()
	}
	t.live.State = "talking"
	t.note("put through to "+w.queue, false)
	t.publish()
	t.connected(w, flows.OK)
}

// whisperCode gives whoever answered a queue's address the code by which they
// take the call in the console.
func (t *traversal) whisperCode(ctx context.Context, a *agent) {
	a.code = t.r.giveCode(t)
	t.whisper(ctx, ringfence.Speech{Language: t.language(), Parts: []ringfence.SpeechPart{{As: ringfence.SayDigits, Text: a.code, Slow: true, Secret: true}}})
}

// drop takes an agent off the ringing list and tells whether it stood there.
func (t *traversal) drop(a *agent) bool {
	for i, r := range t.ringing {
		if r == a {
			t.ringing = append(t.ringing[:i:i], t.ringing[i+1:]...)
			return true
		}
	}
	return false
}

func (t *traversal) agentEnded(ctx context.Context, a *agent, ev ringfence.LegEvent) {
	t.legOver(a.leg, a.place.Person, ev.Cause)
	if t.agent == a {
		t.loseAgent()
		if t.session != nil && t.session.console {
			t.note(goneSays("agent", ev.Cause)+"; the check goes on", lost(ev.Cause))
			return
		}
		if t.awaitColleague(ev.Cause) {
			return
		}
		t.note(goneSays("agent", ev.Cause), lost(ev.Cause))
		if s := t.slots[0]; s != nil {
			s.drop(ringfence.EndHangup)
		}
		return
	}
	switch w := t.waiting; {
	case !t.drop(a) || w == nil:
	case a.place.Person == "": // the queue's own address
		t.connected(w, flows.Silent)
	default:
		t.r.board.passed(w, a.place.Person)
	}
}

// connected answers for a queue and, when it did not come about, stops waiting.
func (t *traversal) connected(w *connectWait, o flows.Outcome) {
	if o != flows.OK {
		t.dropRinging(ringfence.EndHangup)
		t.leaveBoard(w)
		if s := t.slots[0]; s != nil && s.up {
			s.leg.Stop()
		}
		t.live.State = "in_flow"
		t.note("not put through to "+w.queue+": "+o.String(), true)
	}
	if w.session == 0 {
		if s := t.slots[0]; s != nil && o != flows.OK && !t.overflow(t.ctx, w) {
			s.drop(ringfence.EndHangup)
		}
		return
	}
	t.feedTo(w.session, flows.Input{Kind: flows.InOutcome, Ref: w.ref, Outcome: o})
}

// overflow puts a caller whom no flow leads through to the queue that stands in
// for one in which nobody took them, if the policy opens it to this call. It
// reports whether they wait there now.
func (t *traversal) overflow(ctx context.Context, w *connectWait) bool {
	q, ok := t.r.cfg.Directory.Queue(t.tenant, w.queue)
	s := t.slots[0]
	tried := append(slices.Clone(w.tried), w.queue)
	if !ok || q.Overflow == "" || slices.Contains(tried, q.Overflow) || s == nil || !s.up {
		return false
	}
	if t.bundle == nil || !t.bundle.Policy().MayConnect(q.Overflow, t.factSet(0)) {
		t.note("not put through: the policy asks for more before "+q.Overflow, true)
		return false
	}
	t.connectQueue(ctx, connectWait{queue: q.Overflow, first: w.first, tried: tried})
	return t.waiting != nil || t.slots[0] == nil || !t.slots[0].up
}

func (t *traversal) leaveQueue(ref flows.Ref) {
	if w := t.waiting; w != nil && w.ref == ref && w.session != 0 {
		w.session = -1
		t.connected(w, flows.Silent)
	}
}

// joinAgent relays caller and agent.
func (t *traversal) joinAgent() {
	s := t.slots[0]
	if s == nil || !s.up || t.agent == nil || !t.agent.up {
		return
	}
	if t.agent.parked {
		t.agent.parked = false
		t.agent.leg.Loop(nil) // what is being whispered goes on
	}
	s.leg.Stop()
	if t.agent.held && t.agent.browser() {
		t.holdCaller(s)
	} else if err := s.leg.Join(t.agent.leg.ID()); err != nil {
		t.r.cfg.Log.Error("legs not joined", "traversal", string(t.id), "err", err)
	}
	t.attendAgent(MomentJoined)
	if t.live.State != "ended" {
		t.live.State = "talking"
	}
}

// park takes the agent off the caller while a console flow runs.
func (t *traversal) park() {
	if s := t.slots[0]; s != nil && s.up {
		s.leg.Part()
		s.leg.Loop(nil)
	}
	if t.agent != nil && t.agent.up {
		t.agent.parked = true
		t.agent.leg.Loop(t.r.cfg.Music)
	}
	t.live.State = "step_up"
}

// whisper speaks to the agent only.
func (t *traversal) whisper(ctx context.Context, speech ringfence.Speech) {
	a := t.agent
	if a == nil {
		return
	}
	u := &utterance{}
	a.queue = append(a.queue, u)
	t.render(ctx, u, speech, func() {
		if t.agent != a {
			return
		}
		a.next()
		if a.waits && !a.parked { // who is parked is joined at the end of that
			t.joinAgent()
		}
		a.waits = false
	})
}

// dropAgents hangs up on whoever speaks or would speak with the caller.
func (t *traversal) dropAgents(cause ringfence.EndCause) {
	if w := t.waiting; w != nil {
		t.leaveBoard(w)
	}
	t.dropRinging(cause)
	t.dropMoving(cause)
	if a := t.agent; a != nil {
		t.loseAgent()
		a.leg.Hangup(cause)
		t.legOver(a.leg, a.place.Person, cause)
	}
}

// dropRinging stops every leg that still rings.
func (t *traversal) dropRinging(cause ringfence.EndCause) {
	for _, a := range t.ringing {
		a.leg.Hangup(cause)
		t.legOver(a.leg, a.place.Person, cause)
	}
	t.ringing = nil
}

// loseAgent forgets the agent's leg and the code that it was whispered.
func (t *traversal) loseAgent() {
	t.r.dropCode(t.tenant, t.agent.code)
	t.agent = nil
}

// own makes a person the one who sees this call and acts on it.
func (t *traversal) own(ctx context.Context, who ringfence.PersonID) {
	t.live.Owner, t.live.Epoch = who, t.live.Epoch+1
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "traversal.owned", Traversal: t.id, Person: who})
}

// giveCode draws four digits by which an agent takes a call. No two live calls
// of a tenant have the same; when every code is out there is none.
func (r *Runner) giveCode(t *traversal) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 100 {
		code := string(verify.Digits(4))
		if _, taken := r.codes[codeKey{t.tenant, code}]; !taken {
			r.codes[codeKey{t.tenant, code}] = t.id
			return code
		}
	}
	r.cfg.Log.Error("no code left for a call", "traversal", string(t.id))
	return ""
}

// codeOf finds the call whose agent was whispered the code.
func (r *Runner) codeOf(tenant ringfence.TenantID, code string) (ringfence.TraversalID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, ok := r.codes[codeKey{tenant, code}]
	return id, ok
}

func (r *Runner) dropCode(tenant ringfence.TenantID, code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.codes, codeKey{tenant, code})
}

type codeKey struct {
	tenant ringfence.TenantID
	code   string
}

// queued counts the callers who wait for a queue.
func (r *Runner) queued(tenant ringfence.TenantID, queue string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, v := range r.views[tenant] {
		if v.State == "queued" && v.Queue == queue {
			n++
		}
	}
	return n
}
