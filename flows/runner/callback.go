package runner

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/callback"
)

// performCallback creates the challenge of a call-back. The number is chosen by
// kind from those on file; if it is the one the caller shows, a held call-back
// rings nobody and is busy.
func (t *traversal) performCallback(ctx context.Context, e flows.Effect) {
	q, ok := t.request(e, ringfence.FactCallback)
	if !ok {
		t.answer(e, flows.Down)
		return
	}
	switch e.To {
	case flows.ToMobile:
		q.To = ringfence.ContactMobile
	case flows.ToLandline:
		q.To = ringfence.ContactLandline
	}
	if q.Life == 0 && !e.Hold {
		q.Life = callback.HungUpLife
	}
	t.issue(ctx, e, q, func(c *challenge) {
		if e.Hold && t.sameNumber(ctx, c) {
			c.over = true
			c.stop()
			t.cancelChallenge(ctx, c.id)
			t.answer(e, flows.Busy)
			return
		}
		t.current = c
		t.feed(flows.Input{Kind: flows.InReady, Ref: e.Ref, On: e.On})
	})
}

// sameNumber reports whether the number to be rung is the one that calls.
func (t *traversal) sameNumber(ctx context.Context, c *challenge) bool {
	if t.caller.Orig == "" || c.decoy {
		return false
	}
	same := false
	err := t.r.cfg.Store.View(ctx, t.tenant, func(tx ledger.Tx) error {
		ch, _, err := ledger.Read[verify.Challenge](ctx, tx, verify.KindChallenge, string(c.id))
		if err != nil || ch.ContactPoint == "" {
			return err
		}
		point, _, err := ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, string(ch.ContactPoint))
		same = err == nil && point.Value == string(t.caller.Orig)
		return err
	})
	return err == nil && same
}

// performDial places the leg of a held call-back.
func (t *traversal) performDial(ctx context.Context, e flows.Effect) {
	c := t.challenge(t.session.number, e.Challenge)
	if c == nil {
		t.answer(e, flows.Down)
		return
	}
	s := t.slotOf(e.On)
	s.t, s.at = t, e.On
	t.dial(ctx, c, s, dialing{ref: e.Challenge, session: t.session.number, answered: e.Ref})
}

// dialing is what a placed leg answers to.
type dialing struct {
	session  int
	ref      flows.Ref // outcome
	answered flows.Ref // InAnswered
}

// dial places the leg of call-back c into slot s.
func (t *traversal) dial(ctx context.Context, c *challenge, s *slot, d dialing) {
	leg := ringfence.NewID[ringfence.LegID](ringfence.PrefixLeg)
	number, err := t.r.cfg.Desk.Place(ctx, t.tenant, c.id, leg)
	if err != nil {
		t.r.cfg.Log.Info("call-back not placed", "traversal", string(t.id), "err", err)
		t.dialOutcome(ctx, s, d, flows.Down)
		return
	}
	s.dialing, s.challenge = &d, c
	ctx, c.dropCall = context.WithCancel(ctx)
	if number == "" { // nobody is rung for a decoy; it takes as long
		t.after(callback.Ring, func() { t.dialOutcome(t.ctx, s, d, flows.Silent) })
		return
	}
	trunk, from := t.r.cfg.Directory.Outbound(t.tenant)
	p := ringfence.Placement{Leg: leg, Trunk: trunk, To: string(number), From: from, Ring: callback.Ring, Contact: true, Purpose: "callback"}
	if t.r.cfg.Sign != nil {
		p.Identity = t.r.cfg.Sign(ctx, from, string(number))
	}
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.placed", Traversal: t.id, Leg: leg, Subject: t.knownSubject(), Challenge: c.id})
	placed, err := t.r.cfg.Phone.Place(ctx, p)
	if err != nil {
		t.r.cfg.Log.Info("call-back leg", "traversal", string(t.id), "err", err)
		t.dialOutcome(ctx, s, d, flows.Down)
		return
	}
	t.keepReference(ctx)
	t.note("calling the number on file back", false)
	s.leg, s.up = placed, false
	t.pump(t.ctx, s.at, placed, nil)
}

// placedAnswered takes the answer of a leg that we placed.
func (t *traversal) placedAnswered(ctx context.Context, s *slot) {
	s.up = true
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.answered", Traversal: t.id, Leg: s.leg.ID(), Subject: t.knownSubject()})
	if s.dialing == nil {
		return
	}
	d := *s.dialing
	t.note("the number on file answered", false)
	if t.suspended != nil && s.at == 0 {
		t.resumed(ctx, s)
		return
	}
	t.feedTo(d.session, flows.Input{Kind: flows.InAnswered, Ref: d.answered, On: s.at})
}

// placedDiverted ends a call-back whose leg went elsewhere: it never counts.
func (t *traversal) placedDiverted(ctx context.Context, s *slot) {
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.diverted", Traversal: t.id, Leg: s.leg.ID()})
	t.note("the call-back was diverted to another number: it does not count", true)
	if c := s.challenge; c != nil && !c.over {
		c.over = true
		c.stop()
		if _, err := t.r.cfg.Verify.Diverted(ctx, t.tenant, c.id); err != nil {
			t.r.cfg.Log.Error("diversion not stored", "traversal", string(t.id), "err", err)
		}
	}
	d := s.dialing
	s.drop(ringfence.EndDiverted)
	if d != nil {
		t.dialOutcome(ctx, s, *d, flows.Diverted)
	}
}

// placedFailed takes the end of a leg that nobody answered.
func (t *traversal) placedFailed(ctx context.Context, s *slot, ev ringfence.LegEvent) {
	if s.dialing == nil {
		return
	}
	out := flows.Down
	switch ev.Cause {
	case ringfence.EndBusy:
		out = flows.Busy
	case ringfence.EndNoAnswer, ringfence.EndCancel:
		out = flows.Silent
	case ringfence.EndDeclined:
		out = flows.Refused
	case ringfence.EndDiverted:
		if c := s.challenge; c != nil && !c.over {
			c.over = true
			c.stop()
			if _, err := t.r.cfg.Verify.Diverted(ctx, t.tenant, c.id); err != nil {
				t.r.cfg.Log.Error("diversion not stored", "traversal", string(t.id), "err", err)
			}
		}
		out = flows.Diverted
	}
	t.note("the call-back ended: "+out.String(), true)
	t.dialOutcome(ctx, s, *s.dialing, out)
}

// dialOutcome answers for a leg that did not come about.
func (t *traversal) dialOutcome(ctx context.Context, s *slot, d dialing, o flows.Outcome) {
	s.dialing = nil
	if t.suspended != nil && s.at == 0 {
		t.attemptFailed(ctx, o)
		return
	}
	t.feedTo(d.session, flows.Input{Kind: flows.InOutcome, Ref: d.ref, On: s.at, Outcome: o})
}

// performReach takes up the call-back challenge on the leg that was placed.
func (t *traversal) performReach(ctx context.Context, e flows.Effect) {
	c := t.current
	if c == nil || c.over {
		t.answer(e, flows.Silent)
		return
	}
	delete(t.challenges, c.key)
	c.key, c.kind, c.slot = refKey{t.session.number, e.Ref}, e.Kind, e.On
	t.challenges[c.key] = c
	t.feed(flows.Input{Kind: flows.InReady, Ref: e.Ref, On: e.On})
}

// suspension is a traversal that has no leg and waits to ring.
type suspension struct {
	challenge *challenge
	ref       flows.Ref
	attempt   int
	forget    func()
	agent     ringfence.PersonID // who asked, for return
	job       *jobStart          // of an outbound job: the flow has not begun
}

// kindJob holds suspended traversals and outbound jobs, so that another start
// or another node can take them over.
const kindJob ledger.Kind = "job"

// storedJob is a suspended traversal as it is kept, under the subject's key.
type storedJob struct {
	Traversal ringfence.TraversalID `json:"traversal"`
	Line      string                `json:"line"`
	Bundle    string                `json:"bundle"`
	State     json.RawMessage       `json:"state"`
	Subject   ringfence.SubjectID   `json:"subject"`
	Challenge ringfence.ChallengeID `json:"challenge"`
	Ref       flows.Ref             `json:"ref"`
	Action    string                `json:"action,omitempty"`
	Attempt   int                   `json:"attempt"`
	Reference string                `json:"reference"`
	Session   int                   `json:"session"`
	Console   bool                  `json:"console,omitempty"`
	Release   ringfence.ReleaseID   `json:"release,omitempty"`
	By        ringfence.PersonID    `json:"by,omitempty"`
}

// performSuspend stores where the flow stands, hangs up, and rings later.
func (t *traversal) performSuspend(ctx context.Context, e flows.Effect) {
	c := t.challenge(t.session.number, e.Challenge)
	if c == nil {
		t.answer(e, flows.Down)
		return
	}
	t.suspended = &suspension{challenge: c, ref: e.Ref, agent: t.session.by}
	if err := t.storeJob(ctx); err != nil {
		t.r.cfg.Log.Error("traversal not suspended", "traversal", string(t.id), "err", err)
		t.suspended = nil
		t.answer(e, flows.Down)
		return
	}
	c.tells = nil
	t.live.State = "suspended"
	t.note("we hung up and will call the number on file back", false)
	t.dropAgents(ringfence.EndHangup)
	t.slots[0].drop(ringfence.EndHangup)
	t.callerUp = false
	t.schedule(ctx)
}

func (t *traversal) storeJob(ctx context.Context) error {
	state, err := json.Marshal(t.session.state)
	if err != nil {
		return err
	}
	s := t.suspended
	job := storedJob{Traversal: t.id, Line: t.line.Name, Bundle: t.bundle.HashText(), State: state, Subject: t.subject.ID, Challenge: s.challenge.id,
		Ref: s.ref, Action: s.challenge.action, Attempt: s.attempt, Reference: t.live.Reference, Session: t.session.number,
		Console: t.session.console, Release: t.session.release, By: t.session.by}
	return t.r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
		_, version, err := ledger.Read[storedJob](ctx, tx, kindJob, string(t.id))
		if err != nil && err != ledger.ErrNotFound {
			return err
		}
		if version == 0 {
			if _, err := tx.Append(ctx, ledger.Entry{Event: "traversal.suspended", Traversal: t.id, Subject: t.knownSubject(), Challenge: s.challenge.id}); err != nil {
				return err
			}
		}
		return ledger.Write(ctx, tx, &ledger.Record{Kind: kindJob, ID: string(t.id), Version: version, Subject: t.knownSubject(), Sort: time.Now().UnixNano()}, job)
	})
}

func (t *traversal) dropJob(ctx context.Context) {
	err := t.r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
		_, version, err := ledger.Read[storedJob](ctx, tx, kindJob, string(t.id))
		if err == ledger.ErrNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.Delete(ctx, kindJob, string(t.id), version)
	})
	if err != nil {
		t.r.cfg.Log.Error("job not dropped", "traversal", string(t.id), "err", err)
	}
}

// schedule waits for the next attempt.
func (t *traversal) schedule(ctx context.Context) {
	s := t.suspended
	delay := t.r.cfg.Delays[min(s.attempt, len(t.r.cfg.Delays)-1)]
	s.forget = t.after(delay, func() { t.attempt(ctx) })
}

// attemptFailed rings again, up to the last delay; a diverted leg is not tried
// again.
func (t *traversal) attemptFailed(ctx context.Context, o flows.Outcome) {
	if o == flows.Diverted || t.suspended.attempt >= len(t.r.cfg.Delays) || t.suspended.challenge.over {
		t.gaveUp(ctx)
		return
	}
	t.schedule(ctx)
}

// gaveUp goes on without a leg: the flow leaves its reach line by silent.
func (t *traversal) gaveUp(ctx context.Context) {
	s := t.suspended
	t.suspended = nil
	t.dropJob(ctx)
	t.live.State = "in_flow"
	t.note("nobody was reached at the number on file", true)
	if s.job != nil {
		s.challenge.over = true
		t.current = s.challenge
		t.cancelChallenge(ctx, s.challenge.id)
		t.beginJob(ctx, s.job)
		return
	}
	t.feed(flows.Input{Kind: flows.InOutcome, Ref: s.ref, Outcome: flows.Silent})
}

// resumed goes on on the leg that was placed.
func (t *traversal) resumed(ctx context.Context, leg *slot) {
	s := t.suspended
	t.suspended = nil
	t.callerUp = true
	t.dropJob(ctx)
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "traversal.resumed", Traversal: t.id, Leg: leg.leg.ID(), Subject: t.knownSubject()})
	t.live.State = "in_flow"
	t.current = s.challenge
	if s.job != nil {
		t.beginJob(ctx, s.job)
		return
	}
	t.feed(flows.Input{Kind: flows.InAnswered, Ref: s.ref})
}
