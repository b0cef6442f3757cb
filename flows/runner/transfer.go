package runner

import (
	"context"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// Transfers is what Directory may implement too: where an agent's phone may have
// a call go on by SIP (REFER). Without it every transfer is refused.
type Transfers interface {
	// TransferTo returns the place or the queue that to names, the user part of a
	// Refer-To. It reports false for whatever the configuration does not allow.
	TransferTo(ctx context.Context, tenant ringfence.TenantID, to string) (Target, bool)
}

// Target is where a call may go on: one place, or a queue by its name.
type Target struct {
	Place Place
	Queue string // empty = Place
}

// place is that of a queue that is one address.
func (q Queue) place() Place {
	return Place{URI: q.URI, Trunk: q.Trunk, Sign: q.Sign, MayTransfer: q.MayTransfer}
}

// transferAsked takes an agent's REFER. Only who speaks with the caller may send
// the call on, and only where the configuration allows.
func (t *traversal) transferAsked(ctx context.Context, a *agent, ref ringfence.Referral) {
	if t.agent != a || t.moving != nil {
		a.leg.Transfer(491)
		return
	}
	var to Target
	targets, ok := t.r.cfg.Directory.(Transfers)
	if ok && a.place.MayTransfer {
		to, ok = targets.TransferTo(ctx, t.tenant, ref.To)
	}
	switch {
	case !ok || !a.place.MayTransfer || to.Queue != "" && ref.Replaces != "":
		t.transferRefused(ctx, a, 403, "the agent's phone asked for a transfer that is not allowed")
	case to.Queue != "":
		t.transferToQueue(ctx, a, to.Queue)
	case to.Place.Person == a.place.Person && a.place.Person != "":
		t.transferRefused(ctx, a, 403, "the agent's phone asked for a transfer to itself")
	case !t.move(ctx, to.Place, &handover{by: t.live.Owner, asked: a.leg}, ref.Replaces):
		t.transferRefused(ctx, a, 503, "the colleague's phone cannot be rung")
	default:
		a.leg.Transfer(100)
	}
}

func (t *traversal) transferRefused(ctx context.Context, a *agent, code int, why string) {
	a.leg.Transfer(code)
	t.note(why, true)
	if code == 403 {
		t.r.entry(ctx, t.tenant, ledger.Entry{Event: "alert.raised", Traversal: t.id, Leg: a.leg.ID(), Person: a.place.Person, Data: map[string]string{"text": why}})
	}
}

// transferToQueue puts the caller back into a queue that this call may reach. The
// agent is free as soon as the queue has taken the caller.
func (t *traversal) transferToQueue(ctx context.Context, a *agent, queue string) {
	s := t.slots[0]
	switch {
	case t.session != nil || s == nil || !s.up:
		t.transferRefused(ctx, a, 491, "no transfer while a check runs")
		return
	case t.bundle == nil || !t.bundle.Policy().MayConnect(queue, t.factSet(0)):
		t.transferRefused(ctx, a, 403, "not put through: the policy asks for more before "+queue)
		return
	}
	if o := t.roomIn(ctx, queue); o != flows.OK {
		t.transferRefused(ctx, a, 480, "not put through to "+queue+": "+o.String())
		return
	}
	a.leg.Transfer(200)
	t.loseAgent()
	s.leg.Part()
	a.leg.Hangup(ringfence.EndHangup)
	t.legOver(a.leg, a.place.Person, ringfence.EndHangup)
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "traversal.transferred", Traversal: t.id, Person: t.live.Owner, Object: queue})
	t.live.Owner, t.live.Epoch = "", t.live.Epoch+1 // whoever answers is the next
	t.connectQueue(ctx, connectWait{queue: queue})
}

// roomIn reports whether a queue takes one more caller: OK, Closed or Full.
func (t *traversal) roomIn(ctx context.Context, queue string) flows.Outcome {
	q, ok := t.r.cfg.Directory.Queue(t.tenant, queue)
	switch {
	case !ok, q.URI == "" && !q.staff(ctx).there():
		return flows.Closed
	case t.r.queued(t.tenant, queue) >= q.most():
		return flows.Full
	}
	return flows.OK
}

// most is how many callers may wait.
func (q Queue) most() int {
	if q.Max > 0 {
		return q.Max
	}
	return 20
}

// agentChanged takes that somebody else is at an agent's phone now: what the leg
// proved is void, and a queue's code goes to whoever is there.
func (t *traversal) agentChanged(ctx context.Context, a *agent) {
	t.voidLeg(a.leg.ID())
	t.note("somebody else is on the agent's telephone now: what that leg proved is void", true)
	if t.agent != a || a.place.Person != "" {
		return
	}
	t.r.dropCode(t.tenant, a.code)
	t.live.Owner, t.live.Epoch = "", t.live.Epoch+1
	t.whisperCode(ctx, a)
}

// refused is the status that tells why a leg was not answered.
func refused(cause ringfence.EndCause) int {
	switch cause {
	case ringfence.EndBusy:
		return 486
	case ringfence.EndDeclined:
		return 603
	case ringfence.EndNoAnswer, ringfence.EndDiverted:
		return 480
	case ringfence.EndHangup, ringfence.EndShutdown:
		return 487
	default:
		return 503
	}
}
