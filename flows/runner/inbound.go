package runner

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// inbound begins a traversal with a call that came in: verdict, answer, flow.
// gone is closed when the caller's leg has ended.
func (t *traversal) inbound(ctx context.Context, leg Leg) {
	info := leg.Info()
	t.first, t.live.Direction = leg, ringfence.Inbound
	t.claims(leg)
	t.slots[0] = &slot{t: t, leg: leg}
	t.pump(ctx, 0, leg)
	t.caller = t.r.cfg.Identity.Check(ctx, info, time.Now())
	t.live.Caller, t.live.CallerName = t.caller.Shown, t.caller.Name
	t.live.Attest, t.live.StirOK, t.live.StirSays, t.live.NumberShown = t.caller.Attest, t.caller.Valid, t.caller.Says, t.caller.Number
	t.bundle = t.r.bundleFor(t, info.Called)
	began := map[string]string{"line": t.line.Name, "trunk": info.Trunk, "reference": t.live.Reference}
	if t.bundle != nil {
		began["bundle"] = t.bundle.HashText() // a ramp is judged by it
	}
	t.legs = append(t.legs, leg.ID())
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "traversal.began", Traversal: t.id, Leg: leg.ID(), Data: began},
		ledger.Entry{Event: "stir.verified", Traversal: t.id, Leg: leg.ID(), Data: map[string]string{
			"attest": string(t.caller.Attest), "valid": t.caller.Valid.String(), "says": t.caller.Says}})
	t.note("call from "+t.caller.Shown+" to "+t.line.Name+": "+t.caller.Says, t.caller.Valid == ringfence.No)
	if t.caller.Code != 0 {
		_ = leg.Refuse(ctx, t.caller.Code, "", reasonHeader(t.caller.Reason)...)
		t.slots[0].drop(ringfence.EndDeclined)
		return
	}
	if err := leg.Answer(ctx, reasonHeader(t.caller.Marks...)...); err != nil {
		t.r.cfg.Log.Info("caller not answered", "traversal", string(t.id), "err", err)
		t.slots[0].drop(ringfence.EndFailed)
		return
	}
	t.slots[0].up = true
	t.announce(ctx, func() {
		if !t.startFlow(ctx, t.line.Flow, t.facts(flows.StartsInbound), "") {
			t.fallback(ctx)
		}
	})
}

func reasonHeader(values ...string) (out [][2]string) {
	for _, v := range values {
		if v != "" {
			out = append(out, [2]string{"Reason", v})
		}
	}
	return out
}

// facts are what a flow may know at its start.
func (t *traversal) facts(start flows.Starting) flows.Facts {
	zone := t.line.Zone
	if zone == nil {
		zone = time.UTC
	}
	now := time.Now().In(zone)
	f := flows.Facts{Start: start, Language: t.line.Language, Call: flows.CallFacts{
		Attestation: "none", NumberShown: t.caller.Number, Direction: t.live.Direction,
		Hour: now.Hour(), Weekday: strings.ToLower(now.Weekday().String()), Open: t.line.Open == nil || t.line.Open(now)}}
	switch {
	case t.caller.Valid == ringfence.Yes:
		f.Call.Attestation = string(t.caller.Attest)
	case t.caller.Valid == ringfence.No:
		f.Call.Attestation = "failed"
	}
	if f.Call.NumberShown == "" {
		f.Call.NumberShown = "withheld"
	}
	return f
}

// startFlow begins a session and reports whether the flow could start; it may
// have ended already.
func (t *traversal) startFlow(ctx context.Context, flow string, f flows.Facts, release ringfence.ReleaseID) bool {
	if t.bundle == nil {
		t.r.cfg.Log.Error("no bundle", "tenant", string(t.tenant))
		return false
	}
	state, effects, err := flows.Start(t.bundle, flow, f)
	if err != nil {
		t.r.cfg.Log.Error("flow does not start", "flow", flow, "err", err)
		t.note("the flow "+flow+" could not start", true)
		return false
	}
	t.sessions++
	t.session = &session{number: t.sessions, state: state, console: f.Start == flows.StartsConsole, action: f.Action, release: release,
		tape: t.record(flow, f, state, effects)}
	t.live.Flow = flow
	t.performAll(ctx, effects)
	t.pending(ctx)
	return true
}

// fallback puts a caller through to the line's open queue, unverified: money
// fails closed, people reach a person.
func (t *traversal) fallback(ctx context.Context) {
	t.note("not verified: the line's flow could not start", true)
	if t.line.Fallback == "" {
		t.slots[0].drop(ringfence.EndFailed)
		return
	}
	t.connectQueue(ctx, connectWait{queue: t.line.Fallback})
}

// pump carries a leg's events to the traversal.
func (t *traversal) pump(ctx context.Context, at flows.LegSlot, leg Leg) {
	t.hear(leg, func(ev ringfence.LegEvent) { t.legEvent(ctx, at, leg, ev) })
}

// hear takes a leg's events, one after the other, on the traversal's goroutine.
func (t *traversal) hear(leg Leg, take func(ringfence.LegEvent)) {
	t.helper.Add(1)
	leg.Hear(func(ev ringfence.LegEvent) {
		t.post(func() { take(ev) })
		if ev.Kind == ringfence.LegEnded {
			t.helper.Done()
		}
	})
}

// legEvent takes one event of a leg in a slot.
func (t *traversal) legEvent(ctx context.Context, at flows.LegSlot, leg Leg, ev ringfence.LegEvent) {
	s := t.slots[at]
	if s == nil || s.leg != leg {
		return // a leg that we dropped
	}
	switch ev.Kind {
	case ringfence.LegDigit:
		s.digit(ev.Digit)
	case ringfence.LegPlayed:
		s.played(ev.Play, ev.Whole)
	case ringfence.LegAnswered:
		t.placedAnswered(ctx, s)
	case ringfence.LegDiverted:
		t.placedDiverted(ctx, s)
	case ringfence.LegChanged:
		t.legChanged(s)
	case ringfence.LegHeld:
		t.legHeld(s, !ev.Whole)
	case ringfence.LegEnded:
		t.legEnded(ctx, s, ev)
	}
}

func (t *traversal) legChanged(s *slot) {
	s.changed = true
	id := s.leg.ID()
	t.voidLeg(id)
	t.onLeg = slices.DeleteFunc(t.onLeg, func(p legProof) bool { return p.leg == id })
	t.note("the far end of the call is somebody else now: what this leg proved is void", true)
	if s.at == 0 { // what is bound to an action stays proved for it
		t.attested, t.number = false, false
		t.have = slices.DeleteFunc(t.have, func(p proof) bool { return ofLeg(p.Fact) })
		t.live.Evidence = slices.DeleteFunc(t.live.Evidence, func(ev ringfence.LiveEvidence) bool { return ofLeg(ev.Fact) })
	}
	t.feed(flows.Input{Kind: flows.InChanged, On: s.at})
}

// voidLeg tells the gate, by way of verify, and tries again until it is told:
// as long as it is not, the store that a release needs does not answer either.
func (t *traversal) voidLeg(id ringfence.LegID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), 10*time.Second)
	defer cancel()
	if err := t.r.cfg.Verify.VoidLeg(ctx, t.tenant, t.id, id); err != nil {
		t.r.cfg.Log.Error("changed leg not stored", "traversal", string(t.id), "err", err)
		t.after(time.Second, func() { t.voidLeg(id) })
	}
}

// ofLeg reports whether a fact belongs to a leg and goes with it.
func ofLeg(f ringfence.Fact) bool {
	return f == ringfence.FactAttested || f == ringfence.FactKnownNumber || f == ringfence.FactPIN
}

// legEnded takes the end of a leg that nobody here hung up.
func (t *traversal) legEnded(ctx context.Context, s *slot, ev ringfence.LegEvent) {
	wasUp, leg, placing, c := s.up, s.leg, s.dialing, s.challenge
	s.lose()
	t.legOver(leg, "", ev.Cause)
	if !wasUp && leg != t.first {
		t.placedFailed(ctx, s, placing, c, ev)
		return
	}
	if lost(ev.Cause) {
		t.note(goneSays(t.whose(leg), ev.Cause), true)
	}
	t.feed(flows.Input{Kind: flows.InHungUp, On: s.at})
	if s.at == 0 && t.suspended == nil {
		t.stopSession()
	}
}
