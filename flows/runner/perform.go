package runner

import (
	"context"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// feed gives an input to the session that runs.
func (t *traversal) feed(in flows.Input) {
	t.inputs = append(t.inputs, in)
	if t.ctx != nil {
		t.pending(t.ctx)
	}
}

// feedTo gives an input to a session if it is still the one that runs.
func (t *traversal) feedTo(number int, in flows.Input) {
	if t.session != nil && t.session.number == number {
		t.feed(in)
	}
}

// pending steps the engine through the inputs that wait. Effects are performed
// before the next input is taken; what they answer at once waits its turn.
func (t *traversal) pending(ctx context.Context) {
	if t.stepping {
		return
	}
	t.stepping = true
	defer func() { t.stepping = false }()
	for len(t.inputs) > 0 {
		in := t.inputs[0]
		t.inputs = t.inputs[1:]
		if t.session == nil {
			continue
		}
		effects := flows.Step(t.bundle, t.session.state, in)
		t.saw(in, effects)
		t.performAll(ctx, effects)
	}
}

func (t *traversal) performAll(ctx context.Context, effects []flows.Effect) {
	was := t.stepping
	t.stepping = true
	for _, e := range effects {
		if t.session == nil {
			break
		}
		t.perform(ctx, e)
	}
	t.stepping = was
	for _, s := range t.slots {
		if s != nil {
			s.settle()
		}
	}
}

// slotOf returns the slot an effect means, made if it is not there.
func (t *traversal) slotOf(at flows.LegSlot) *slot {
	if at >= maxSlots {
		at = maxSlots - 1
	}
	if t.slots[at] == nil {
		t.slots[at] = &slot{t: t, at: at}
	}
	return t.slots[at]
}

// perform does one effect (the comments of flows.EffectKind are the contract).
func (t *traversal) perform(ctx context.Context, e flows.Effect) {
	switch e.Kind {
	case flows.NoEffect:
	case flows.EffLine:
		t.live.Playing = e.Text
	case flows.EffOutcome:
		t.step(e.At.Flow + ", " + e.At.Scene + ": " + e.Outcome.String())
	case flows.EffPrivate:
		t.slotOf(e.On).setPrivate(e.Flag)
	case flows.EffSpeak:
		t.performSpeak(ctx, e)
	case flows.EffStopSpeech:
		t.slotOf(e.On).stop()
	case flows.EffTimer:
		t.performTimer(e)
	case flows.EffCollect:
		t.slotOf(e.On).collect(ctx, e)
	case flows.EffCancel:
		t.performCancel(ctx, e)
	case flows.EffCheck:
		t.performCheck(ctx, e)
	case flows.EffIdentify:
		t.performIdentify(ctx, e)
	case flows.EffOpenAction:
		t.performOpen(ctx, e)
	case flows.EffCancelAction:
		t.cancelRelease(ctx, e.Action)
	case flows.EffVerify, flows.EffConfirm:
		t.performChallenge(ctx, e)
	case flows.EffReach:
		t.performReach(ctx, e)
	case flows.EffCallback:
		t.performCallback(ctx, e)
	case flows.EffDial:
		t.performDial(ctx, e)
	case flows.EffSuspend:
		t.performSuspend(ctx, e)
	case flows.EffApprove:
		t.performApprove(ctx, e)
	case flows.EffRelease:
		t.performRelease(ctx, e)
	case flows.EffConnect:
		t.performConnect(ctx, e)
	case flows.EffAlert:
		t.performAlert(ctx, e)
	case flows.EffTell:
		t.performTell(ctx, e)
	case flows.EffLanguage:
		t.step("goes on in " + e.Text)
	case flows.EffReturn:
		t.performReturn(ctx, e)
	case flows.EffHangup:
		t.slotOf(e.On).close()
	case flows.EffFault:
		t.r.cfg.Log.Error("flow fault", "traversal", string(t.id), "flow", e.At.Flow, "scene", e.At.Scene, "line", e.At.Line, "text", e.Text)
		t.note("the flow met a fault and ended", true)
	case flows.EffEnd:
		t.stopSession()
	default:
		t.r.cfg.Log.Error("unknown effect", "kind", int(e.Kind))
		t.stopSession()
	}
}

// answer tells the engine the outcome of an effect.
func (t *traversal) answer(e flows.Effect, o flows.Outcome) {
	t.feed(flows.Input{Kind: flows.InOutcome, Ref: e.Ref, On: e.On, Outcome: o})
}

// stopSession ends the session that runs; what it waited for is void.
func (t *traversal) stopSession() {
	if t.session == nil {
		return
	}
	t.endTape()
	t.session = nil
	t.inputs = nil
	t.live.Flow, t.live.Playing = "", ""
	if t.timerForget != nil {
		t.timerForget()
		t.timerForget = nil
	}
	for key, forget := range t.watching {
		delete(t.watching, key)
		forget()
	}
	for _, s := range t.slots {
		if s != nil {
			s.closeEntry()
			if s.private && !s.closing {
				s.stop() // before others hear the leg again: it may be a secret that plays
			}
			s.setPrivate(false)
		}
	}
}

func (t *traversal) performTimer(e flows.Effect) {
	if t.timerForget != nil {
		t.timerForget()
		t.timerForget = nil
	}
	if e.After <= 0 {
		return
	}
	number, ref := t.session.number, e.Ref
	t.timerForget = t.after(e.After, func() { t.feedTo(number, flows.Input{Kind: flows.InTimer, Ref: ref}) })
}

// performSpeak fills in the codes and queues the line, if the guard lets every
// field of it pass.
func (t *traversal) performSpeak(ctx context.Context, e flows.Effect) {
	for _, field := range e.Fields {
		if !t.maySpeak(ctx, field, e.On) {
			t.r.cfg.Log.Error("speak guard refused", "traversal", string(t.id), "field", field)
			t.note("a line was not spoken: the policy does not allow "+field+" yet", true)
			t.slotOf(e.On).mute(e.Ref)
			return
		}
	}
	s := t.slotOf(e.On)
	speech, ok := t.filled(ctx, e, s)
	if !ok {
		s.mute(e.Ref)
		return
	}
	s.speak(ctx, e.Ref, speech)
}

// filled puts the codes of the challenge into a speech, as secret parts.
func (t *traversal) filled(ctx context.Context, e flows.Effect, s *slot) (ringfence.Speech, bool) {
	speech := e.Speech
	speech.Parts = nil
	for _, p := range e.Speech.Parts {
		var tell []ringfence.SpeechPart
		ok := true
		switch {
		case p.Secret && (p.Text == flows.PlaceCode || p.Text == flows.PlaceYes):
			tell, ok = t.tell(e.Challenge)
		case p.Secret && p.Text == flows.PlaceFresh:
			tell, ok = t.fresh(ctx, e.Challenge, s, e.Ref)
		default:
			tell = []ringfence.SpeechPart{p}
		}
		if !ok {
			return speech, false
		}
		for _, q := range tell {
			q.Slow = q.Slow || p.Slow
			speech.Parts = append(speech.Parts, q)
		}
	}
	return speech, true
}

func (t *traversal) performAlert(ctx context.Context, e flows.Effect) {
	t.alert(ctx, e.Text)
	if e.Flag && t.known {
		t.lockSubject(ctx)
	}
}

// alert raises an alarm: entry, log, console, people.
func (t *traversal) alert(ctx context.Context, text string) {
	t.live.Alert = text
	t.note("ALERT: "+text, true)
	t.r.cfg.Log.Warn("alert", "traversal", string(t.id), "text", text)
	t.r.entry(ctx, t.tenant, ledger.Entry{Event: "alert.raised", Traversal: t.id, Subject: t.knownSubject(), Data: map[string]string{"text": text}})
	t.notify(Notice{Kind: "alert", Text: text})
}

func (t *traversal) notify(n Notice) {
	if t.r.cfg.Notify == nil {
		return
	}
	n.Tenant, n.Traversal = t.tenant, t.id
	t.r.cfg.Notify(n)
}

// performTell shows a line to the agent and whispers it. Fields that may not
// be shown are left out whole.
func (t *traversal) performTell(ctx context.Context, e flows.Effect) {
	for _, field := range e.Fields {
		if !t.maySpeak(ctx, field, e.On) {
			t.note("a line to the agent was left out: the policy does not allow "+field+" yet", true)
			return
		}
	}
	t.live.SayNow = e.Speech.Text()
	t.note("to the agent: "+t.live.SayNow, false)
	if t.agent != nil && t.agent.up && t.agent.parked {
		speech := e.Speech
		speech.Parts = slices.Clone(speech.Parts) // they belong to the engine
		t.whisper(ctx, speech)
	}
}
