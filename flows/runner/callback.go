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
	if e.Hold && t.ringsItself(ctx, q.To) { // asked first: a call that is not placed uses up no cap
		t.answer(e, flows.Busy)
		return
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

// ringsItself reports whether the number that a call-back would ring is the
// one that calls.
func (t *traversal) ringsItself(ctx context.Context, to ringfence.ContactType) bool {
	if t.caller.Orig == "" || !t.known {
		return false
	}
	same := false
	err := t.r.cfg.Store.View(ctx, t.tenant, func(tx ledger.Tx) error {
		points, err := verify.ContactPoints(ctx, tx, t.subject.ID)
		for _, p := range points {
			phone := p.Type == ringfence.ContactMobile || p.Type == ringfence.ContactLandline
			if p.Status == ringfence.StatusActive && p.RemovedAt.IsZero() && phone && (to == "" || p.Type == to) {
				same = p.Value == string(t.caller.Orig)
				return err
			}
		}
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
	if old := t.slots[e.On%maxSlots]; old != nil { // of a call-back before this one
		old.drop(ringfence.EndHangup)
		t.slots[e.On%maxSlots] = nil
	}
	t.dial(ctx, c, t.slotOf(e.On), dialing{session: t.session.number, ref: e.Ref})
}

// dialing is what a placed leg answers to: the effect that rang it.
type dialing struct {
	session int
	ref     flows.Ref
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
	placing := &d
	s.dialing, s.challenge = placing, c
	if number == "" { // nobody is rung for a decoy; it takes as long
		t.note("calling the number on file back", false)
		c.dropCall = t.after(callback.Ring, func() {
			if s.dialing == placing {
				t.dialOutcome(t.ctx, s, d, flows.Silent)
			}
		})
		return
	}
	ctx, c.dropCall = context.WithCancel(ctx)
	trunk, from := t.r.cfg.Directory.Outbound(t.tenant)
	p := ringfence.Placement{Leg: leg, Trunk: trunk, To: string(number), From: from, Ring: callback.Ring, Contact: true, Purpose: "callback"}
	if s := t.slots[0]; s != nil && s.up {
		p.During = s.leg.ID()
	}
	if t.r.cfg.Sign != nil {
		p.Identity = t.r.cfg.Sign(ctx, from, string(number))
	}
	t.legs = append(t.legs, leg)
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.placed", Traversal: t.id, Leg: leg, Subject: t.knownSubject(), Challenge: c.id})
	placed, err := t.r.cfg.Phone.Place(ctx, p)
	if err != nil {
		t.r.cfg.Log.Info("call-back leg", "traversal", string(t.id), "err", err)
		t.dialOutcome(ctx, s, d, flows.Down)
		return
	}
	t.claims(placed)
	t.keepReference(ctx, p.To, c.action)
	t.note("calling the number on file back", false)
	s.leg, s.up, s.changed = placed, false, false
	t.pump(t.ctx, s.at, placed)
}

// placedAnswered takes the answer of a leg that we placed.
func (t *traversal) placedAnswered(ctx context.Context, s *slot) {
	s.up = true
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.answered", Traversal: t.id, Leg: s.leg.ID(), Subject: t.knownSubject()})
	if s.dialing == nil {
		return
	}
	d := *s.dialing
	s.dialing = nil
	if s.challenge != nil {
		s.challenge.dropCall = nil // the flow hangs up what was answered
	}
	t.note("the number on file answered", false)
	if t.suspended != nil && s.at == 0 {
		t.resumed(ctx, s)
		return
	}
	t.feedTo(d.session, flows.Input{Kind: flows.InAnswered, Ref: d.ref, On: s.at})
}

// placedDiverted ends a call-back whose leg went elsewhere: it never counts.
func (t *traversal) placedDiverted(ctx context.Context, s *slot) {
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "leg.diverted", Traversal: t.id, Leg: s.leg.ID()})
	t.note("the call-back was diverted to another number: it does not count", true)
	t.diverted(ctx, s.challenge)
	d := s.dialing
	s.drop(ringfence.EndDiverted)
	if d == nil { // it had been answered
		t.feed(flows.Input{Kind: flows.InHungUp, On: s.at})
		return
	}
	t.dialOutcome(ctx, s, *d, flows.Diverted)
}

// diverted ends a challenge whose leg went elsewhere.
func (t *traversal) diverted(ctx context.Context, c *challenge) {
	if c == nil || c.over {
		return
	}
	c.over = true
	c.stop()
	if _, err := t.r.cfg.Verify.Diverted(context.WithoutCancel(ctx), t.tenant, c.id); err != nil {
		t.r.cfg.Log.Error("diversion not stored", "traversal", string(t.id), "err", err)
	}
	t.evidence(ringfence.LiveEvidence{Fact: c.fact, Says: factSays(c.fact) + ": " + outcomeSays(verify.OutcomeDiverted), Good: ringfence.No, At: time.Now(), Release: c.release})
}

// placedFailed takes the end of a leg that nobody answered.
func (t *traversal) placedFailed(ctx context.Context, s *slot, placing *dialing, c *challenge, ev ringfence.LegEvent) {
	if placing == nil {
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
		t.diverted(ctx, c)
		out = flows.Diverted
	}
	t.note("the call-back ended: "+out.String(), true)
	t.dialOutcome(ctx, s, *placing, out)
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
	job       *jobStart // of an outbound job: the flow has not begun
}

// kindJob holds suspended traversals and outbound jobs, so that another start
// or another node can take them over.
const kindJob ledger.Kind = "job"

// storedJob is a suspended traversal as it is kept, under the subject's key.
type storedJob struct {
	Traversal ringfence.TraversalID `json:"traversal"`
	Line      string                `json:"line"`
	Bundle    string                `json:"bundle"`
	State     json.RawMessage       `json:"state,omitempty"`
	Flow      string                `json:"flow,omitempty"` // of a job that has not begun; there is no State then
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
	Owner     ringfence.PersonID    `json:"owner,omitempty"`
	Queue     string                `json:"queue,omitempty"` // that the call came from
	Language  string                `json:"language,omitempty"`
}

// performSuspend stores where the flow stands, hangs up, and rings later.
func (t *traversal) performSuspend(ctx context.Context, e flows.Effect) {
	c := t.challenge(t.session.number, e.Challenge)
	if c == nil {
		t.answer(e, flows.Down)
		return
	}
	t.suspended = &suspension{challenge: c, ref: e.Ref}
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
	t.schedule()
}

func (t *traversal) storeJob(ctx context.Context) error {
	s := t.suspended
	job := storedJob{Traversal: t.id, Line: t.line.Name, Bundle: t.bundle.HashText(), Subject: t.subject.ID, Challenge: s.challenge.id,
		Ref: s.ref, Action: s.challenge.action, Attempt: s.attempt, Reference: t.live.Reference,
		Owner: t.live.Owner, Queue: t.cameFrom, Language: t.line.Language}
	if s.job != nil {
		job.Flow, job.Release = s.job.flow, s.job.release.ID
	} else {
		state, err := json.Marshal(t.session.state)
		if err != nil {
			return err
		}
		job.State, job.Session, job.Console, job.Release, job.By = state, t.session.number, t.session.console, t.session.release, t.session.by
	}
	defer func() { t.stored = true }() // also when that is in doubt
	return t.r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
		_, version, err := ledger.Read[storedJob](ctx, tx, kindJob, string(t.id))
		if err != nil && err != ledger.ErrNotFound {
			return err
		}
		if version == 0 && s.job == nil {
			if _, err := tx.Append(ctx, ledger.Entry{Event: "traversal.suspended", Traversal: t.id, Subject: t.knownSubject(), Challenge: s.challenge.id}); err != nil {
				return err
			}
		}
		if err := t.keepTrace(ctx, tx); err != nil {
			return err
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
func (t *traversal) schedule() {
	s := t.suspended
	delay := t.r.cfg.Delays[min(s.attempt, len(t.r.cfg.Delays)-1)]
	s.forget = t.after(delay, func() {
		if t.suspended == s {
			t.attempt(t.ctx)
		}
	})
}

// unsuspend gives up a call that was owed: nobody waits for it any more.
func (t *traversal) unsuspend(ctx context.Context) {
	s := t.suspended
	t.suspended = nil
	if s.forget != nil {
		s.forget()
	}
	t.dropJob(ctx)
	if !s.challenge.over {
		s.challenge.over = true
		s.challenge.stop()
		t.cancelChallenge(ctx, s.challenge.id)
	}
	if leg := t.slots[0]; leg != nil {
		leg.drop(ringfence.EndHangup)
	}
}

// attemptFailed rings again, up to the last delay; a diverted leg is not tried
// again.
func (t *traversal) attemptFailed(ctx context.Context, o flows.Outcome) {
	if o == flows.Diverted || t.suspended.attempt >= len(t.r.cfg.Delays) || t.suspended.challenge.over {
		t.gaveUp(ctx)
		return
	}
	t.schedule()
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
