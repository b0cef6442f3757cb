package runner

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Places is what Directory may implement too: where a person takes calls now.
// A call that is handed to a colleague rings there, and is theirs when they
// answer. Without it, or for somebody who takes calls nowhere, a call changes
// hands at once and keeps its audio.
type Places interface {
	PlaceOf(context.Context, ringfence.TenantID, ringfence.PersonID) (Place, bool)
}

// handover is a colleague who is rung for a call that somebody else has.
type handover struct {
	*agent
	by    ringfence.PersonID
	asked Leg // whose REFER it was, to be told how it goes; nil = nobody's
}

// tell tells whoever asked by SIP how it goes.
func (h *handover) tell(code int) {
	if h.asked != nil {
		h.asked.Transfer(code)
	}
}

// HandOver gives a call to a colleague, with all evidence and releases: to one
// who can be rung when they answer, else at once. A supervisor may take over a
// call that is not theirs, at once; their phone rings for the audio.
func (r *Runner) HandOver(ctx context.Context, who Act, to ringfence.PersonID) error {
	return r.do(ctx, who.Tenant, who.Traversal, func(ctx context.Context, t *traversal) error {
		mine := t.live.Owner == who.By && who.By != ""
		if !mine && !(who.Supervisor && to == who.By) || to == "" {
			return ErrNoCall
		}
		rings := t.ringColleague(ctx, who.By, to)
		if !mine || !rings {
			t.transferred(ctx, who.By, to)
		}
		return nil
	})
}

// transferred makes a colleague the owner.
func (t *traversal) transferred(ctx context.Context, by, to ringfence.PersonID) {
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "traversal.transferred", Traversal: t.id, Person: by, Object: string(to)})
	t.own(ctx, to)
}

// ringColleague rings the place of a colleague who is to take the audio over,
// in place of another who was being rung. It reports false for one who has no
// place, or has the audio already.
func (t *traversal) ringColleague(ctx context.Context, by, to ringfence.PersonID) bool {
	places, ok := t.r.cfg.Directory.(Places)
	if !ok || t.agent == nil || !t.agent.up || t.agent.place.Person == to {
		return false
	}
	place, ok := places.PlaceOf(ctx, t.tenant, to)
	if !ok {
		return false
	}
	return t.move(ctx, place, &handover{by: by}, "")
}

// move rings a place for the audio, in place of another that was being rung.
func (t *traversal) move(ctx context.Context, place Place, h *handover, replaces string) bool {
	if h.agent = t.placeAgent(ctx, place, replaces, 0); h.agent == nil {
		return false
	}
	t.dropMoving(ringfence.EndHangup)
	t.moving = h
	t.note("a colleague is rung for this call", false)
	t.hear(h.agent.leg, func(ev ringfence.LegEvent) { t.movingEvent(t.ctx, h, ev) })
	return true
}

// movingEvent takes what becomes of a colleague's leg; once it is the agent's it
// is like any other.
func (t *traversal) movingEvent(ctx context.Context, h *handover, ev ringfence.LegEvent) {
	switch {
	case t.moving != h:
		t.agentEvent(ctx, h.agent, ev)
	case ev.Kind == ringfence.LegAnswered:
		t.moved(ctx, h)
	case ev.Kind == ringfence.LegRinging:
		h.tell(180)
	case ev.Kind == ringfence.LegEnded:
		h.tell(refused(ev.Cause))
		t.legOver(h.leg, h.place.Person, ev.Cause)
		t.moving = nil
		t.note("the colleague did not take the call", true)
		if t.agent == nil && t.session == nil {
			t.putBack(ctx, h.by)
		}
	}
}

// moved gives the audio to the colleague who answered. During a check it is
// parked with them.
func (t *traversal) moved(ctx context.Context, h *handover) {
	t.moving = nil
	h.up = true
	h.tell(200)
	old := t.agent
	if old != nil {
		t.loseAgent()
		old.leg.Hangup(ringfence.EndHangup)
		t.legOver(old.leg, old.place.Person, ringfence.EndHangup)
	}
	t.agent = h.agent
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.answered", Traversal: t.id, Leg: h.leg.ID(), Person: h.place.Person})
	if t.live.Owner != h.place.Person {
		t.transferred(ctx, h.by, h.place.Person)
	}
	t.note("the colleague took the call", false)
	if t.session != nil && t.session.console {
		h.parked = true
		h.leg.Loop(t.r.cfg.Music)
		return
	}
	t.joinAgent()
}

// awaitColleague keeps the caller on the line when the agent hangs up while a
// colleague is being rung. It reports whether one is.
func (t *traversal) awaitColleague(cause ringfence.EndCause) bool {
	s := t.slots[0]
	if t.moving == nil || s == nil || !s.up {
		return false
	}
	t.note(goneSays("agent", cause)+"; a colleague is still rung", lost(cause))
	t.holdCaller(s)
	return true
}

// dropMoving stops ringing a colleague.
func (t *traversal) dropMoving(cause ringfence.EndCause) {
	if h := t.moving; h != nil {
		t.moving = nil
		h.tell(487)
		h.leg.Hangup(cause)
		t.legOver(h.leg, h.place.Person, cause)
	}
}
