package flows

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence"
)

// exec performs a line. It returns true when the line has been left already,
// false when it waits or the flow has ended.
func (s *State) exec(l *Line) bool {
	if s.NoLeg {
		if left, done := s.withoutLeg(l); done {
			return left
		}
	}
	switch l.Verb {
	case Say:
		return s.say(l)
	case Ask, Choose:
		return s.beginEntry(l)
	case Tell:
		e := s.emit(EffTell)
		e.Speech, e.Fields = s.speech(l.Text), l.Text.Fields
		return s.next()
	case Language:
		s.Language = l.Arg
		s.emit(EffLanguage).Text = l.Arg
		return s.next()
	case Alert:
		e := s.emit(EffAlert)
		e.Text, e.Flag, e.Action = l.Text.Source, l.Lock, s.Given
		return s.next()
	case Check:
		s.result(EffCheck, answerLife).Method = l.fact()
		return false
	case Identify:
		s.identify(l)
		return false
	case Verify, Confirm, Reach, Callback:
		s.challenge(l)
		return false
	case Approve, Release, Connect:
		s.ask(l)
		return false
	case If:
		return s.branch(l)
	case Go:
		s.emit(EffOutcome).Outcome = OK
		return s.follow(l.Go)
	case Run:
		s.push(l.With, frameRun, s.slot())
		return true
	case Return:
		return s.returns(l.Return)
	case HangUp:
		return s.hangUp()
	}
	s.fault("a line without a verb")
	return false
}

// withoutLeg says what a line does when the call-back was not answered: only
// alert, tell and hangup act, what steers steers, and the rest is passed over
// or leaves by the outcome that says that nobody is there.
func (s *State) withoutLeg(l *Line) (left, done bool) {
	switch l.Verb {
	case Alert, Tell, If, Go, Run, Return, HangUp:
		return false, false
	case Say, Language, Check:
		return s.next(), true
	case Callback, Connect, Release:
		return s.take(Down), true
	default:
		return s.take(Silent), true
	}
}

func (s *State) say(l *Line) bool {
	if len(s.keys) > 0 && !l.Whole {
		return s.next() // the caller is typing ahead
	}
	s.Wait.Phase = waitSpeech
	s.speakText(l.Text).Whole = l.Whole
	return false
}

func (s *State) branch(l *Line) bool {
	if s.unsure != nil && s.unsure(l) {
		s.end()
		return false
	}
	yes, err := l.Cond.Eval(s.get)
	switch {
	case err != nil:
		// A name without a value: the prover refuses such flows (P4).
		s.fault(err.Error())
		return false
	case yes:
		s.emitWay("then")
		return s.follow(l.Go)
	}
	s.emitWay("else")
	s.top().Line++
	return true
}

// emitWay tells which of several ways on a line took: then or else of an if,
// the key of a choose.
func (s *State) emitWay(way string) {
	e := s.emit(EffOutcome)
	e.Outcome, e.Text = OK, way
}

// result emits an effect that is answered by an outcome, within life.
func (s *State) result(k EffectKind, life time.Duration) *Effect {
	s.Wait.Phase, s.Wait.Ref = waitResult, s.ref()
	s.startTimer(life)
	e := s.emit(k)
	e.Ref, e.Life = s.Wait.Ref, life
	return e
}

func (s *State) identify(l *Line) {
	s.void(func(p Proved) bool { return p.Fact != ringfence.FactAttested })
	for _, a := range s.Open {
		s.emit(EffCancelAction).Action = a
	}
	s.Open, s.Payload, s.Record = s.Open[:0], nil, nil
	s.Subject = ringfence.SubjectKind(l.Arg)
	e := s.result(EffIdentify, answerLife)
	e.Subject, e.By, e.Wants, e.Flag = s.Subject, l.By, s.top().flow.wants, l.own[NotFound]
	if l.ByVar.Type.Secret {
		e.Into = l.ByVar.Name
	} else {
		e.Value = s.top().Vars[l.ByVar.index]
	}
}

// forAction is the action a line is for: as written, else the flow's only one
// if all its fields are set, else none.
func (s *State) forAction(l *Line) string {
	f := s.top().flow
	switch {
	case l.Verb == Verify && l.Arg == "pin":
		return ""
	case l.Verb == Reach:
		return s.calledFor()
	case l.For == Given:
		return s.Given
	case l.For != "" || len(f.Actions) != 1:
		return l.For
	}
	name := f.Actions[0]
	if name == Given {
		return s.Given
	}
	a, ok := s.b.pol.Action(name)
	if !ok || slices.ContainsFunc(fieldWords(a.Carries), func(field string) bool { return s.Payload[name+"."+field] == "" }) {
		return ""
	}
	return name
}

// calledFor is the action of the callback line that rang this leg, or of the
// job.
func (s *State) calledFor() string {
	for i := len(s.Frames) - 1; i >= 0; i-- {
		if fr := s.Frames[i]; fr.Kind == frameHeld || i == 0 && fr.Challenge != 0 {
			return fr.For
		}
	}
	return s.Given
}

// openAction opens the action before the first effect that is for it.
func (s *State) openAction(name string) {
	if name == "" || slices.Contains(s.Open, name) {
		return
	}
	s.Open = append(s.Open, name)
	payload := map[string]string{}
	if a, ok := s.b.pol.Action(name); ok {
		for _, f := range a.Carries {
			if v := s.Payload[name+"."+f.Name]; v != "" {
				payload[f.Name] = v
			}
		}
	}
	e := s.emit(EffOpenAction)
	e.Action, e.Payload = name, payload
}

// challenge asks the runner to create one. Keys typed ahead are gone: nothing
// keyed before may answer it.
func (s *State) challenge(l *Line) {
	s.keys = s.keys[:0]
	s.Wait.For = s.forAction(l)
	s.openAction(s.Wait.For)
	s.Wait.Phase, s.Wait.Ref = waitReady, s.ref()
	if l.Verb != Callback {
		s.private(true)
	}
	s.startTimer(20 * time.Second) // creating a challenge may send a message
	switch l.Verb {
	case Verify:
		e := s.emit(EffVerify)
		e.Method, e.Tries, e.Life = l.fact(), l.Tries, l.Wait
		if l.Arg != "passkey" {
			e.Life = time.Duration(l.Tries) * (l.Wait + time.Minute)
		}
		e.Subject = s.Subject
		s.fill(e)
	case Confirm:
		e := s.emit(EffConfirm)
		e.Tries, e.Life = l.Tries, time.Duration(l.Tries)*(l.Wait+time.Minute)
		s.fill(e)
	case Reach:
		e := s.emit(EffReach)
		e.Tries, e.Life, e.Challenge = l.Tries, time.Duration(l.Tries)*(l.Wait+time.Minute), s.rangBy()
		s.fill(e)
	case Callback:
		e := s.emit(EffCallback)
		e.Subject, e.To, e.With, e.Hold = s.Subject, l.To, l.With.Name, !l.HangUp
		s.fill(e)
	}
}

func (s *State) fill(e *Effect) { e.Ref, e.Action = s.Wait.Ref, s.Wait.For }

// rangBy is the call-back challenge that placed the leg; 0 for a job's own.
func (s *State) rangBy() Ref {
	for i := len(s.Frames) - 1; i >= 0; i-- {
		if s.Frames[i].Challenge != 0 {
			return s.Frames[i].Challenge
		}
	}
	return 0
}

// ask asks a colleague, the gate or a queue.
func (s *State) ask(l *Line) {
	switch l.Verb {
	case Approve:
		s.Wait.For = s.forAction(l)
		s.openAction(s.Wait.For)
		e := s.result(EffApprove, l.Wait)
		e.Action, e.Group = s.Wait.For, l.Arg
		if a, ok := s.b.pol.Action(e.Action); ok {
			e.Count = max(1, a.Approvals.Count)
			if e.Group == Given {
				e.Group = a.Approvals.Group
			}
		}
	case Release:
		s.Wait.For = s.forAction(l)
		s.openAction(s.Wait.For)
		s.result(EffRelease, l.Wait).Action = s.Wait.For
	case Connect:
		s.result(EffConnect, l.Wait).Queue = l.Arg
	}
}

// ready goes on when a challenge exists: it is spoken, and the runner collects.
func (s *State) ready() {
	s.stopTimer()
	l := s.line()
	switch {
	case l.Verb == Callback:
		s.private(true)
		s.Wait.Phase = waitAnnounce
		s.speakText(l.Text).Whole = true
	case l.Verb == Verify && l.Arg == "passkey":
		s.Wait.Phase = waitPage
		s.preamble(l)
		s.speakText(l.Text)
		s.startTimer(l.Wait)
	default:
		s.Wait.Phase = waitSecret
		s.prompt(l, "")
	}
}

// preamble says what a proof for a given action is for.
func (s *State) preamble(l *Line) {
	if l.For == Given && l.Verb == Verify {
		if t := s.top().flow.givenFor[s.Given]; t != nil {
			s.speakText(t)
		}
	}
}

// prompt speaks what a secret is asked for and opens its collection; before
// says why it is asked again.
func (s *State) prompt(l *Line, before string) {
	at := len(s.out)
	c := s.emit(EffCollect)
	c.Challenge, c.First, c.Between = s.Wait.Ref, l.Wait, betweenKeys
	if l.Verb == Ask {
		c.Ref, c.Challenge, c.Into = s.Wait.Ref, 0, l.Into.Full
		c.Min, c.Max = l.Into.Type.Bounds()
	}
	if before != "" {
		s.speakEngine(before)
	}
	switch l.Verb {
	case Reach:
		s.speakText(l.Text)
		warning := warnCallback
		if s.rangBy() == 0 {
			warning = warnJob
		}
		s.speakEngine(warning).Whole = true
		s.speakEngine(freshDigits).Whole = true
		s.out[at].Star, s.out[at].Void, s.out[at].Open = true, true, s.Wait.Play
	case Confirm:
		t := l.Text
		if l.For == Given {
			t = s.top().flow.givenTexts[s.Given]
		}
		s.speakText(t).Whole = true
		s.out[at].Open, s.out[at].Min, s.out[at].Max = s.Wait.Play, 1, 1
	default:
		if before == "" {
			s.preamble(l)
		}
		s.speakText(l.Text)
	}
	// The runner times the keys; this only bounds a runner that does not.
	s.startTimer(l.Wait + 3*time.Minute)
}

// again asks a secret once more, or leaves when no try is left.
func (s *State) again(l *Line, o Outcome) bool {
	s.Wait.Tries--
	if s.Wait.Tries <= 0 {
		if l.Verb == Confirm {
			o = Silent // a wrong key is neither yes nor no
		}
		return s.finish(o)
	}
	s.stopSpeech()
	before := notRight
	if o == Silent {
		before = nothingHeard
	}
	if l.Verb == Ask {
		s.Wait.Ref = s.ref()
	}
	s.prompt(l, before)
	return false
}

// outcome takes the answer to what the line waits for.
func (s *State) outcome(in Input) bool {
	l, w := s.line(), &s.Wait
	switch w.Phase {
	case waitReady, waitAnnounce, waitPage:
		if w.Phase != waitPage && in.Outcome == OK {
			return false // not yet asked: it cannot have been proved
		}
		return s.finish(in.Outcome)
	case waitSecret:
		return s.secret(l, in)
	case waitResult:
		return s.answer(l, in)
	case waitDial:
		if in.Ref != w.Dial || in.Outcome == OK {
			return false
		}
		return s.finish(in.Outcome)
	case waitSuspended:
		switch {
		case in.Ref != w.Dial:
		case in.Outcome == Down:
			return s.finish(Down)
		case in.Outcome == Silent || in.Outcome == Diverted:
			s.switchLeg(l, true)
			return true
		}
	}
	return false
}

func (s *State) secret(l *Line, in Input) bool {
	switch {
	case in.Outcome == OK && l.Verb == Ask:
		s.store(l, SecretValue)
		return s.finish(OK)
	case in.Outcome == OK, in.Outcome == NoOutcome:
		return s.finish(in.Outcome)
	case (in.Outcome == Wrong || in.Outcome == Silent) && (in.Again || l.Verb == Ask):
		return s.again(l, in.Outcome)
	case in.Outcome == Wrong && l.Verb == Confirm:
		return s.finish(Silent)
	}
	return s.finish(in.Outcome)
}

func (s *State) answer(l *Line, in Input) bool {
	switch l.Verb {
	case Check:
		if in.Good && in.Outcome == OK {
			s.prove(l.fact(), "")
		}
		return s.finish(OK) // it never branches
	case Identify:
		if in.Outcome == NotFound && l.own[NotFound] {
			return s.finish(NotFound)
		}
		s.Record = in.Record
		s.prove(ringfence.FactIdentified, "")
		return s.finish(OK) // an unknown person goes on as nobody
	}
	return s.finish(in.Outcome)
}

// played goes on after a speech.
func (s *State) played() bool {
	switch s.Wait.Phase {
	case waitSpeech:
		s.Wait.Phase = waitNothing
		return s.next()
	case waitPrompt:
		s.Wait.Phase = waitKeys
		s.startTimer(s.line().Wait)
	case waitAnnounce:
		s.ring()
	}
	return false
}

// ring places the call-back, or hangs up first.
func (s *State) ring() {
	l := s.line()
	s.private(false)
	s.Wait.Dial = s.ref()
	kind := EffSuspend
	s.Wait.Phase = waitSuspended
	if !l.HangUp {
		kind = EffDial
		s.Wait.Phase = waitDial
		s.startTimer(callRing + 10*time.Second)
	}
	e := s.emit(kind)
	e.Ref, e.Challenge, e.Action = s.Wait.Dial, s.Wait.Ref, s.Wait.For
	if kind == EffDial {
		e.On, e.Life = s.slot()+1, callRing
	}
}

// answered enters the other flow on the leg we placed.
func (s *State) answered() {
	l, w := s.line(), s.Wait
	switch w.Phase {
	case waitDial:
		s.stopTimer()
		fr := s.push(l.With, frameHeld, s.slot()+1)
		fr.Challenge, fr.For = w.Ref, w.For
		s.keys = nil
	case waitSuspended:
		s.switchLeg(l, false)
	default:
		return
	}
	s.play()
}

// switchLeg goes on in the other flow after a hang-up: the stack is empty and
// what was bound to the old leg stays true of it alone.
func (s *State) switchLeg(l *Line, nobody bool) {
	w := s.Wait
	s.Frames = s.Frames[:0]
	fr := s.push(l.With, frameRoot, 0)
	fr.Challenge, fr.For = w.Ref, w.For
	s.NewLeg, s.NoLeg = true, nobody
	s.Wait, s.keys = wait{}, nil
}

// timer handles the end of a wait.
func (s *State) timer() bool {
	l := s.line()
	switch s.Wait.Phase {
	case waitKeys:
		if len(s.Wait.digits) > 0 {
			return s.complete(l)
		}
		return s.reprompt(l, Silent)
	case waitReady:
		return s.finish(Down)
	case waitSecret, waitPage, waitDial:
		return s.finish(Silent)
	case waitResult:
		switch l.Verb {
		case Check, Identify:
			return s.answer(l, Input{Outcome: Down})
		case Release:
			return s.finish(Later) // unknown: it must not be said to be done
		}
		return s.finish(Silent)
	}
	return false
}

// returns ends a sub-flow or a console flow.
func (s *State) returns(o Outcome) bool {
	at := len(s.Frames) - 1
	s.emit(EffOutcome).Outcome = o
	switch fr := s.top(); {
	case fr.Kind == frameHeld:
		s.hangUpSlot(fr.Slot)
		return s.pop(at, o)
	case fr.Kind == frameRun:
		return s.pop(at, o)
	case s.Start == StartsConsole:
		e := s.emit(EffReturn)
		e.Outcome, e.Flag = o, s.NewLeg
	case !s.NoLeg:
		s.hangUpSlot(0)
	}
	s.end()
	return false
}

// hangUp hangs up the leg the flow runs on. In a held call-back that is the
// leg we placed, and the caller's line ends as silent.
func (s *State) hangUp() bool {
	s.emit(EffOutcome).Outcome = OK
	for at := len(s.Frames) - 1; at > 0; at-- {
		if s.Frames[at].Kind == frameHeld {
			s.hangUpSlot(s.Frames[at].Slot)
			return s.pop(at, Silent)
		}
	}
	if !s.NoLeg {
		s.hangUpSlot(0)
	}
	s.end()
	return false
}
