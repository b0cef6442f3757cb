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

// challenge is one that a flow waits for.
type challenge struct {
	id       ringfence.ChallengeID
	key      refKey
	kind     flows.EffectKind
	fact     ringfence.Fact
	action   string
	release  ringfence.ReleaseID    // that it is bound to; empty = none
	tells    []ringfence.SpeechPart // codes to be spoken on the caller's leg; wiped by being dropped
	freshRef flows.Ref              // the utterance that speaks the fresh digits
	over     bool
	cancel   context.CancelFunc
	decoy    bool
	slot     flows.LegSlot
	dropCall func() // while its leg rings: stops it
}

func (c *challenge) stop() {
	if c.cancel != nil {
		c.cancel()
	}
	c.tells = nil
}

func (t *traversal) challenge(session int, ref flows.Ref) *challenge {
	return t.challenges[refKey{session, ref}]
}

// tell returns the code of a challenge for the ear it is meant for.
func (t *traversal) tell(ref flows.Ref) ([]ringfence.SpeechPart, bool) {
	c := t.challenge(t.session.number, ref)
	if c == nil || len(c.tells) == 0 {
		return nil, false
	}
	return c.tells, true
}

// fresh draws the two digits of one try of a reached leg.
func (t *traversal) fresh(ctx context.Context, ref flows.Ref, s *slot, utterance flows.Ref) ([]ringfence.SpeechPart, bool) {
	c := t.challenge(t.session.number, ref)
	if c == nil || s.leg == nil {
		return nil, false
	}
	parts, err := t.r.cfg.Desk.Fresh(ctx, t.tenant, c.id, s.leg.ID())
	if err != nil {
		t.r.cfg.Log.Error("fresh digits", "traversal", string(t.id), "err", err)
		return nil, false
	}
	c.freshRef = utterance
	return parts, true
}

// spoken tells verify that what a challenge asks was played to its end.
func (t *traversal) spoken(ctx context.Context, u *utterance, s *slot) {
	for _, c := range t.challenges {
		if c.freshRef != 0 && c.freshRef == u.ref && c.key.session == u.session && s.leg != nil {
			c.freshRef = 0
			if err := t.r.cfg.Desk.Spoken(ctx, t.tenant, c.id, s.leg.ID()); err != nil {
				t.r.cfg.Log.Error("fresh digits spoken", "traversal", string(t.id), "err", err)
			}
		}
	}
}

// request fills in what every challenge of this traversal carries.
func (t *traversal) request(e flows.Effect, fact ringfence.Fact) (verify.Request, bool) {
	q := verify.Request{Traversal: t.id, Subject: t.subject.ID, Method: fact, Tier: t.tier(), Tries: e.Tries, Life: e.Life, By: t.session.by, Language: t.language()}
	if e.Action != "" {
		rel, ok := t.releaseOf(e.Action)
		if !ok {
			return q, false
		}
		q.Release, q.Digest = rel.id, rel.digest
		q.Says, q.Fields = t.actionSays(e.Action)
	}
	return q, true
}

// tier is how far the caller has got.
func (t *traversal) tier() verify.Tier {
	for _, p := range t.have {
		if p.Fact == ringfence.FactPasskey || p.Fact == ringfence.FactTOTP {
			return verify.T2
		}
	}
	if t.attested && t.number {
		return verify.T1
	}
	return verify.T0
}

// performChallenge creates and issues a challenge of EffVerify or EffConfirm.
func (t *traversal) performChallenge(ctx context.Context, e flows.Effect) {
	fact := e.Method
	if e.Kind == flows.EffConfirm {
		fact = ringfence.FactConfirmed
	}
	q, ok := t.request(e, fact)
	if !ok {
		t.answer(e, flows.Down)
		return
	}
	if s := t.slotOf(e.On); fact != ringfence.FactPasskey && s.leg != nil {
		q.Leg = s.leg.ID()
	}
	t.issue(ctx, e, q, func(*challenge) { t.feed(flows.Input{Kind: flows.InReady, Ref: e.Ref, On: e.On}) })
}

// issue creates and issues a challenge beside the traversal and, when it is
// out, runs ready on it.
func (t *traversal) issue(ctx context.Context, e flows.Effect, q verify.Request, ready func(*challenge)) {
	number := t.session.number
	e.Payload, e.Wants, e.Fields = nil, nil, nil // belong to the engine
	t.async(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		made, err := t.r.cfg.Verify.Create(ctx, t.tenant, q)
		var issued verify.Issued
		if err == nil && !made.State.Final() {
			issued, err = t.r.cfg.Verify.Issue(ctx, t.tenant, made.ID)
			if err == nil {
				made = issued.Challenge
			}
		}
		return func() { t.issued(t.ctx, number, e, q, made, issued, err, ready) }
	})
}

func (t *traversal) issued(ctx context.Context, number int, e flows.Effect, q verify.Request, made verify.Challenge, issued verify.Issued, err error, ready func(*challenge)) {
	if t.session == nil || t.session.number != number {
		if made.ID != "" {
			t.cancelChallenge(ctx, made.ID)
		}
		return
	}
	if err != nil {
		t.r.cfg.Log.Error("challenge", "traversal", string(t.id), "method", string(q.Method), "err", err)
		t.answer(e, flows.Down)
		return
	}
	if made.State.Final() {
		out := flows.Down
		switch {
		case made.State == verify.StateUndeliverable && made.Why == "missing":
			out = flows.Missing
		case made.State == verify.StateFailed:
			out = flows.Wrong
		}
		t.note(string(q.Method)+": not asked ("+made.Why+")", true)
		t.answer(e, out)
		return
	}
	c := &challenge{id: made.ID, key: refKey{number, e.Ref}, kind: e.Kind, fact: q.Method, action: e.Action, release: q.Release, tells: issued.Tell, decoy: made.Decoy, slot: e.On}
	t.challenges[c.key] = c
	t.watchChallenge(ctx, c)
	ready(c)
}

// watchChallenge carries what becomes of a challenge elsewhere (the passkey
// page, a reject) to the engine.
func (t *traversal) watchChallenge(ctx context.Context, c *challenge) {
	ctx, c.cancel = context.WithCancel(ctx)
	results := t.r.cfg.Verify.Watch(ctx, t.tenant, c.id)
	t.helper.Go(func() {
		defer t.caught("watch")
		for res := range results {
			// A wrong try that leaves others is told by whoever submitted it; the
			// passkey page asks again by itself.
			if res.Outcome != verify.OutcomeWrong {
				t.post(func() { t.result(c, res) })
			}
		}
	})
}

// submit hands keyed digits to verify; they are wiped afterwards.
func (t *traversal) submit(ctx context.Context, session int, ref flows.Ref, a verify.Answer) {
	c := t.challenge(session, ref)
	if c == nil {
		verify.Wipe(a.Value)
		return
	}
	t.async(ctx, func(ctx context.Context) func() {
		// It was keyed: hanging up takes nothing back.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		defer verify.Wipe(a.Value)
		res, err := t.judge(ctx, c, a)
		return func() {
			if err != nil {
				t.r.cfg.Log.Error("answer not judged", "traversal", string(t.id), "err", err)
				t.feedTo(session, flows.Input{Kind: flows.InOutcome, Ref: ref, Outcome: flows.Down})
				return
			}
			t.result(c, res)
		}
	})
}

func (t *traversal) judge(ctx context.Context, c *challenge, a verify.Answer) (verify.Result, error) {
	switch c.kind {
	case flows.EffReach, flows.EffCallback:
		return t.r.cfg.Desk.Keyed(ctx, t.tenant, c.id, a.Leg, a.Value)
	case flows.EffConfirm:
		if err := t.present(ctx, c); err != nil {
			return verify.Result{}, err
		}
		if len(a.Value) == 0 {
			return verify.Result{}, errNotLive
		}
		return t.r.cfg.Desk.Confirm(ctx, t.tenant, c.id, a.Leg, a.Value[0])
	default:
		if err := t.present(ctx, c); err != nil {
			return verify.Result{}, err
		}
		return t.r.cfg.Verify.Submit(ctx, t.tenant, c.id, a)
	}
}

// present records that what the challenge asks was played.
func (t *traversal) present(ctx context.Context, c *challenge) error {
	if c.fact == ringfence.FactPasskey {
		return nil // its page presents
	}
	_, err := t.r.cfg.Verify.Present(ctx, t.tenant, c.id)
	return err
}

// result takes what became of a challenge, from wherever it comes.
func (t *traversal) result(c *challenge, res verify.Result) {
	if c.over || res.Outcome == verify.OutcomeOpen {
		return
	}
	again := res.Outcome == verify.OutcomeWrong && res.TriesLeft > 0
	if !again {
		c.over = true
		c.stop()
		if res.Outcome == verify.OutcomeClosed { // neither counted nor compared: nobody waits for it
			t.cancelChallenge(t.ctx, c.id)
		}
	}
	if res.Satisfied() {
		t.proved(c, res)
	} else if !again {
		t.evidence(ringfence.LiveEvidence{Fact: c.fact, Says: factSays(c.fact) + ": " + outcomeSays(res.Outcome), Good: ringfence.No, At: res.At, Release: c.release})
	}
	out, ok := flows.ParseOutcome(res.Outcome.Flow())
	if !ok {
		out = flows.Silent
	}
	t.feedTo(c.key.session, flows.Input{Kind: flows.InOutcome, Ref: c.key.ref, On: c.slot, Outcome: out, Again: again, Good: res.Satisfied()})
}

// proved books a proof for console and later flows.
func (t *traversal) proved(c *challenge, res verify.Result) {
	p := proof{Proved: flows.Proved{Fact: c.fact}, at: time.Now()}
	if c.fact.Bound() {
		p.Action, p.release = c.action, c.release
	}
	ev := ringfence.LiveEvidence{Fact: c.fact, Says: factSays(c.fact), Good: ringfence.Yes, At: p.at, Release: p.release}
	if res.Evidence != nil {
		ev.At, ev.Release, ev.Source = res.Evidence.At, res.Evidence.Release, string(res.Evidence.Strength)
	}
	t.prove(p)
	t.provedOn(c.fact, c.slot)
	t.evidence(ev)
	t.showReleases(t.ctx) // what they wait for is less now, although none of them moved
}

// prove books a proof; a newer one takes the place of the same before it.
func (t *traversal) prove(p proof) {
	t.have = slices.DeleteFunc(t.have, func(old proof) bool { return old.Proved == p.Proved && old.release == p.release })
	t.have = append(t.have, p)
}

// proofs lists what a flow that starts now may build on: what is bound to its
// release or to none, and still fresh for its action.
func (t *traversal) proofs(release ringfence.ReleaseID, action string) []flows.Proved {
	var fresh time.Duration
	if a, ok := t.bundle.Policy().Action(action); ok {
		fresh = a.Fresh
	}
	var out []flows.Proved
	for _, p := range t.have {
		if p.release != "" && p.release != release || fresh > 0 && time.Since(p.at) > fresh {
			continue
		}
		out = append(out, p.Proved)
	}
	return out
}

// provedOn books a proof for the leg in a slot.
func (t *traversal) provedOn(f ringfence.Fact, at flows.LegSlot) {
	if s := t.slots[at]; s != nil && s.leg != nil {
		t.onLeg = append(t.onLeg, legProof{fact: f, leg: s.leg.ID()})
	}
}

// reject is "I did not ask for this" keyed on a leg.
func (t *traversal) reject(ctx context.Context, session int, ref flows.Ref) {
	c := t.challenge(session, ref)
	if c == nil {
		return
	}
	t.async(ctx, func(ctx context.Context) func() {
		// It was said: hanging up takes nothing back.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		res, err := t.r.cfg.Verify.Reject(ctx, t.tenant, c.id)
		return func() {
			if err != nil {
				t.r.cfg.Log.Error("reject not stored", "traversal", string(t.id), "err", err)
			}
			res.Outcome = verify.OutcomeRejected
			t.live.Alert = "the person on file did not ask for this"
			t.result(c, res)
		}
	})
}

func (t *traversal) performCancel(ctx context.Context, e flows.Effect) {
	ref := e.Challenge
	if ref == 0 {
		ref = e.Ref
	}
	if c := t.challenge(t.session.number, ref); c != nil && !c.over {
		c.over = true
		c.stop()
		if c.dropCall != nil {
			c.dropCall()
		}
		t.cancelChallenge(ctx, c.id)
	}
	for _, s := range t.slots {
		if s != nil && s.entry != nil && s.entry.target == ref {
			s.closeEntry()
		}
	}
	t.leaveQueue(ref)
	t.stopWatching(refKey{t.session.number, ref})
}

func (t *traversal) cancelChallenge(ctx context.Context, id ringfence.ChallengeID) {
	t.async(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if _, err := t.r.cfg.Verify.Cancel(ctx, t.tenant, id, "flow"); err != nil {
			t.r.cfg.Log.Error("challenge not cancelled", "traversal", string(t.id), "err", err)
		}
		return nil
	})
}

// performIdentify resolves a claim. Unknown people are answered in the same
// way, as a made-up subject whose challenges nobody can satisfy.
func (t *traversal) performIdentify(ctx context.Context, e flows.Effect) {
	value := e.Value
	if e.Into != "" {
		value = string(t.secrets[e.Into])
	}
	s, known, err := t.r.cfg.Verify.Identify(ctx, t.tenant, e.Subject, e.By, value)
	if err != nil {
		t.r.cfg.Log.Error("identify", "traversal", string(t.id), "err", err)
		t.answer(e, flows.Down)
		return
	}
	t.claim(ctx, s, known, "")
	if !known && e.Flag {
		t.answer(e, flows.NotFound)
		return
	}
	in := flows.Input{Kind: flows.InOutcome, Ref: e.Ref, Outcome: flows.OK, Record: map[string]string{}}
	for _, field := range e.Wants {
		in.Record[field] = s.Record[field]
	}
	t.feed(in)
}

// claim makes s the person the caller says they are: a claim, which voids what
// was proved about anybody before.
func (t *traversal) claim(ctx context.Context, s ringfence.Subject, known bool, by ringfence.PersonID) {
	t.proofsVoid()
	for _, rel := range t.releases {
		t.cancelReleaseRef(ctx, rel)
	}
	t.releases, t.number = nil, false
	t.subject, t.known = s, known
	t.live.Subject, t.live.SubjectKind = s.ID, s.Kind
	t.live.Claim, t.live.Named = claimSays(s), nil
	if !known {
		t.live.Named = s.Record
	}
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "traversal.identified", Traversal: t.id, Subject: t.knownSubject(), Person: by})
	if t.attested && t.first != nil {
		t.observe(ctx, ringfence.FactAttested)
	}
	t.note("claims to be "+t.live.Claim, false)
}

// proofsVoid forgets every proof about a person.
func (t *traversal) proofsVoid() {
	t.have, t.onLeg = nil, slices.DeleteFunc(t.onLeg, func(p legProof) bool { return p.fact != ringfence.FactAttested })
	if t.attested {
		t.have = []proof{{Proved: flows.Proved{Fact: ringfence.FactAttested}, at: time.Now()}}
	}
	kept := t.live.Evidence[:0:0]
	for _, ev := range t.live.Evidence {
		if ev.Fact == ringfence.FactAttested {
			kept = append(kept, ev)
		}
	}
	t.live.Evidence = kept
}

// performCheck looks at what the network says; it never asks.
func (t *traversal) performCheck(ctx context.Context, e flows.Effect) {
	good := false
	switch e.Method {
	case ringfence.FactAttested:
		good = t.signed(e.On)
		if good && t.subject.ID != "" { // else it is kept for the claim
			_, good = t.observe(ctx, e.Method)
		}
		t.attested = good
		t.evidence(ringfence.LiveEvidence{Fact: e.Method, Says: t.caller.Says, Good: tri(good, t.caller.Valid), At: time.Now(), Source: "stirshaken"})
	case ringfence.FactKnownNumber:
		good = t.signed(e.On) && t.caller.Diverted != ringfence.Yes && t.numberOnFile(ctx)
		t.number = good
		says := "the number shown is one we hold for this person"
		if !good {
			says = "the number shown is not proved to be one we hold"
		}
		t.evidence(ringfence.LiveEvidence{Fact: e.Method, Says: says, Good: tri(good, ringfence.Unknown), At: time.Now(), Source: "stirshaken"})
	}
	if good {
		t.prove(proof{Proved: flows.Proved{Fact: e.Method}, at: time.Now()})
		t.provedOn(e.Method, e.On)
	}
	t.feed(flows.Input{Kind: flows.InOutcome, Ref: e.Ref, Outcome: flows.OK, Good: good})
}

// signed reports whether the leg in a slot is the one whose carrier vouches
// for the number, with the same far end still.
func (t *traversal) signed(at flows.LegSlot) bool {
	s := t.slots[at]
	return t.caller.Valid == ringfence.Yes && t.caller.Attest == ringfence.AttestFull &&
		s != nil && s.leg != nil && s.leg == t.first && !s.changed
}

func tri(good bool, otherwise ringfence.Tri) ringfence.Tri {
	if good {
		return ringfence.Yes
	}
	if otherwise == ringfence.Yes {
		return ringfence.Unknown
	}
	return otherwise
}

// observe makes a leg fact Evidence for the person the caller claims to be.
// It runs for nobody as for anybody; what cannot be stored does not count.
func (t *traversal) observe(ctx context.Context, f ringfence.Fact) (holds, stored bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, holds, err := t.r.cfg.Verify.Observe(ctx, t.tenant, verify.Observation{Traversal: t.id, Leg: t.first.ID(), Subject: t.subject.ID,
		Fact: f, Number: t.caller.Orig, NotYounger: t.r.cfg.Cooling})
	if err != nil {
		t.r.cfg.Log.Error("leg fact not stored", "traversal", string(t.id), "fact", string(f), "err", err)
	}
	return holds && err == nil, err == nil
}

// numberOnFile reports whether a valid A-attested number equals a contact
// point past its cooling-off, without a sign of diversion.
func (t *traversal) numberOnFile(ctx context.Context) bool {
	holds, _ := t.observe(ctx, ringfence.FactKnownNumber)
	return holds && t.known
}
