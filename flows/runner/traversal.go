package runner

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
)

// traversal is one caller's passage. Every field below is owned by its
// goroutine; everything from outside comes through in.
type traversal struct {
	r      *Runner
	id     ringfence.TraversalID
	tenant ringfence.TenantID
	line   Line
	in     chan func()
	done   chan struct{}
	helper sync.WaitGroup // legs whose LegEnded is to come
	work   sync.WaitGroup // asynchronous work, waited for before anything is closed

	over        bool
	notice      *notice // that is being spoken; nil = none
	consented   bool    // the notice was heard and not declined
	caller      Caller
	first       Leg // the leg the traversal began with; nil for a job
	slots       [maxSlots]*slot
	bundle      *flows.Bundle
	session     *session
	inputs      []flows.Input
	stepping    bool
	sessions    int
	traces      []flows.Trace // of sessions that have ended
	timerForget func()
	ctx         context.Context // of run; set before the first event
	unwatch     func()          // ends watchReleases

	challenges map[refKey]*challenge
	current    *challenge // the call-back that a reach line takes up
	secrets    map[string]ringfence.Secret

	subject  ringfence.Subject
	known    bool // the subject exists; never shown before a proof
	attested bool
	number   bool
	have     []proof
	onLeg    []legProof
	releases []releaseRef

	agent     *agent
	moving    *handover // a colleague who is rung for the call
	ringing   []*agent
	waiting   *connectWait
	cameFrom  string // queue the call was put through to
	suspended *suspension
	watching  map[refKey]func()
	ended     map[ringfence.LegID]bool // legs whose end stands in the ledger, or is owed to it
	owed      []ledger.Entry           // written with the end of the traversal, or once it is known that it goes on
	legs      []ringfence.LegID        // all that it had
	placed    bool                     // a call was placed whose reference can be checked
	stored    bool                     // a recording of it may be in the store
	stopping  bool                     // the process stops: what is suspended goes on elsewhere

	live  ringfence.LiveCall
	shown string // the state that was published last
}

// maxSlots bounds the legs of one flow: the caller and the legs of call-backs
// on hold, which do not nest deeper than this.
const maxSlots = 8

type refKey struct {
	session int
	ref     flows.Ref
}

// session is one run of the engine over the traversal: the line's flow, later
// the console flows, one at a time.
type session struct {
	number  int
	state   *flows.State
	console bool
	by      ringfence.PersonID
	release ringfence.ReleaseID // that a console or job flow was started with
	action  string
	tape    *tape // nil: it is not recorded
}

// proof is one that this traversal gave, for the flows that follow.
type proof struct {
	flows.Proved
	release ringfence.ReleaseID // that it is bound to; empty = none
	at      time.Time
}

// legProof is a proof and the leg that keyed or carried it. For speech and
// queues it counts on that leg only (invariant 34).
type legProof struct {
	fact ringfence.Fact
	leg  ringfence.LegID
}

// releaseRef is a release of this traversal, with its action in words and
// fields as they are spoken and shown.
type releaseRef struct {
	action string
	decoy  *decoy // of a person who is not on file: the gate does not know it
	id     ringfence.ReleaseID
	digest ringfence.Digest
	says   string
	fields []verify.Field
}

// post hands an event to the traversal's goroutine; after its end it is
// dropped.
func (t *traversal) post(f func()) {
	select {
	case t.in <- f:
	case <-t.done:
	}
}

// async runs work beside the traversal and what it returns on it. The end of
// the traversal cancels ctx and waits for the work; what must be finished all
// the same detaches itself with a deadline of its own.
func (t *traversal) async(ctx context.Context, work func(context.Context) func()) {
	t.work.Go(func() {
		defer t.caught("work")
		if then := work(ctx); then != nil {
			t.post(then)
		}
	})
}

func (t *traversal) caught(where string) {
	if p := recover(); p != nil {
		t.r.cfg.Log.Error("panic", "where", where, "traversal", string(t.id), ringfence.Panicked(p))
	}
}

// run is the traversal's goroutine.
func (t *traversal) run(ctx context.Context, begin func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer t.helper.Wait()
	defer t.finish(context.WithoutCancel(ctx), cancel)
	t.ctx = ctx
	t.watchReleases(ctx)
	t.guarded(func() { begin(ctx) })
	t.rest()
	for !t.over {
		select {
		case f := <-t.in:
			t.guarded(f)
		case <-t.r.stop:
			t.stopping = true
			t.end("shutdown")
		}
		t.rest()
	}
}

// guarded runs one event; a panic ends this traversal and no other.
func (t *traversal) guarded(f func()) {
	defer func() {
		if p := recover(); p != nil {
			t.r.cfg.Log.Error("traversal panicked", "traversal", string(t.id), ringfence.Panicked(p))
			t.end("fault")
		}
	}()
	f()
}

// after posts f once d has passed; the returned function forgets it.
func (t *traversal) after(d time.Duration, f func()) (forget func()) {
	live := true
	timer := time.AfterFunc(d, func() {
		t.post(func() {
			if live {
				live = false
				f()
			}
		})
	})
	return func() { live = false; timer.Stop() }
}

// end makes the traversal's goroutine finish after this event.
func (t *traversal) end(why string) {
	if !t.over {
		t.over = true
		t.note("the call ended: "+why, false)
	}
}

// rest ends the traversal once nothing of it is left: no leg, no flow, no
// job that waits.
func (t *traversal) rest() {
	if t.over {
		return
	}
	if t.session == nil && t.suspended == nil {
		t.settle()
	}
	defer t.pay()
	legs := t.agent != nil || len(t.ringing) > 0 || slices.ContainsFunc(t.slots[:], func(s *slot) bool { return s != nil && s.leg != nil })
	if !legs && t.suspended == nil && t.session == nil {
		t.end("hangup")
		return // finish publishes the end
	}
	t.publish()
}

// settle lets go of legs that nobody speaks with, now that no flow runs: a leg
// that was placed for one, and the agent of a caller who has gone, once they
// have heard what they were told.
func (t *traversal) settle() {
	for _, s := range t.slots[1:] {
		if s != nil && s.leg != nil && !s.closing {
			s.drop(ringfence.EndHangup)
		}
	}
	if s := t.slots[0]; s != nil && s.leg != nil {
		return
	}
	t.dropRinging(ringfence.EndHangup)
	t.dropMoving(ringfence.EndHangup)
	if t.agent != nil && !t.agent.told() {
		t.agent.leg.Loop(nil)
		return
	}
	t.dropAgents(ringfence.EndHangup)
}

// legOver writes the end of a leg into the ledger, once.
func (t *traversal) legOver(leg Leg, who ringfence.PersonID, cause ringfence.EndCause) {
	id := leg.ID()
	if t.ended[id] {
		return
	}
	if t.ended == nil {
		t.ended = map[ringfence.LegID]bool{}
	}
	t.ended[id] = true
	t.owed = append(t.owed, ledger.Entry{At: time.Now(), Event: "leg.ended", Traversal: t.id, Leg: id, Person: who, Data: map[string]string{"cause": string(cause)}})
	if leg != t.first {
		t.pay()
	}
}

// pay writes what is owed to the ledger, unless the traversal is over: then it
// goes with its end.
func (t *traversal) pay() {
	if len(t.owed) > 0 && !t.over {
		t.r.entry(context.WithoutCancel(t.ctx), t.tenant, t.owed...)
		t.owed = nil
	}
}

// finish hangs everything up and closes what is open, whatever the exit. A
// suspended traversal that the process leaves behind stays as it is stored:
// Resume takes it up.
func (t *traversal) finish(ctx context.Context, cancelWork context.CancelFunc) {
	left := t.stopping && t.suspended != nil
	cause := ringfence.EndHangup
	if t.stopping {
		cause = ringfence.EndShutdown
	}
	t.attend(Moment{Kind: MomentEnded, Legs: t.legs})
	t.stopSession()
	for i, s := range t.slots {
		if s != nil {
			s.drop(cause)
			t.slots[i] = nil
		}
	}
	t.dropAgents(cause)
	for _, c := range t.challenges {
		c.stop()
	}
	for name, s := range t.secrets {
		verify.Wipe(s)
		delete(t.secrets, name)
	}
	close(t.done)
	t.unwatch()
	cancelWork()
	t.work.Wait() // what is being created now would be left open
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if !left {
		t.closeOpen(ctx)
	}
	if len(t.owed) > 0 {
		t.r.entry(ctx, t.tenant, t.owed...)
		t.owed = nil
	}
	t.endReference(ctx)
	t.live.State = "ended"
	t.publish()
}

// closeOpen ends what is durable of a traversal that is over.
func (t *traversal) closeOpen(ctx context.Context) {
	challenged, asked := t.opened(ctx)
	if challenged {
		if err := t.r.cfg.Verify.CancelAll(ctx, t.tenant, t.id); err != nil {
			t.r.cfg.Log.Error("challenges left open", "traversal", string(t.id), "err", err)
		}
	}
	if asked {
		if err := t.r.cfg.Gate.TraversalEnded(ctx, t.tenant, t.id); err != nil {
			t.r.cfg.Log.Error("releases left open", "traversal", string(t.id), "err", err)
		}
	}
	t.writeEnd(ctx)
}

// opened reports whether the traversal may have challenges and releases, by
// whomever they were opened: one look for the many calls that have neither. Not
// finding out means that it may.
func (t *traversal) opened(ctx context.Context) (challenged, asked bool) {
	err := t.r.cfg.Store.View(ctx, t.tenant, func(tx ledger.Tx) (err error) {
		if challenged, err = verify.Any(ctx, tx, t.id); err != nil {
			return err
		}
		asked, err = gate.Any(ctx, tx, t.id)
		return err
	})
	return challenged || err != nil, asked || err != nil
}

// knownSubject is the subject's id, or nothing for a made-up one.
func (t *traversal) knownSubject() ringfence.SubjectID {
	if t.known {
		return t.subject.ID
	}
	return ""
}

// note adds a line to the timeline. Text carries no secret.
func (t *traversal) note(text string, bad bool) {
	t.write(ringfence.LiveEvent{Text: text, Bad: bad})
}

// step adds a line that a console shows on demand only: how the call went from
// one decision to the next.
func (t *traversal) step(text string) { t.write(ringfence.LiveEvent{Text: text, Minor: true}) }

func (t *traversal) write(ev ringfence.LiveEvent) {
	const most = 200
	if len(t.live.Timeline) >= most {
		t.live.Timeline = slices.Clone(t.live.Timeline[1:])
	}
	ev.At = time.Now()
	t.live.Timeline = append(t.live.Timeline, ev)
}

// publish shows a copy of the view; slices that stand in an earlier copy are
// never written to again.
func (t *traversal) publish() {
	t.live.Version++
	if t.live.State != t.shown {
		t.shown, t.live.Since = t.live.State, time.Now()
	}
	t.r.publish(t.view())
}

// view is a copy that nothing changes any more.
func (t *traversal) view() ringfence.LiveCall {
	v := t.live
	v.Evidence = slices.Clone(v.Evidence)
	v.Releases = slices.Clone(v.Releases)
	v.Timeline = slices.Clone(v.Timeline)
	for _, a := range t.ringing {
		if a.place.Person != "" {
			v.Ringing = append(v.Ringing, a.place.Person)
		}
	}
	if t.moving != nil && t.moving.place.Person != "" {
		v.Ringing = append(v.Ringing, t.moving.place.Person)
	}
	return v
}
