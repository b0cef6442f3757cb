package flows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
)

// Start begins a flow. The effects are valid until the next Step. An error
// means that the flow cannot begin so: it is unknown, starts otherwise, or was
// not told what it is about.
func Start(b *Bundle, flow string, f Facts) (*State, []Effect, error) {
	fl, ok := b.Flow(flow)
	if !ok {
		return nil, nil, fmt.Errorf("start flow %s: there is no such flow", clip(flow))
	}
	if fl.Starts != f.Start || f.Start == StartsCallback || f.Start == "" {
		return nil, nil, fmt.Errorf("start flow %s: it starts by %s, not by %s", flow, fl.Starts, f.Start)
	}
	s := &State{Version: stateVersion, Bundle: b.hex, Start: f.Start, Call: f.Call, b: b,
		Subject: f.Subject, Record: f.Record, Language: f.Language, out: make([]Effect, 0, 8)}
	if f.Start == StartsConsole || f.Start == StartsJob {
		if err := s.about(fl, f); err != nil {
			return nil, nil, fmt.Errorf("start flow %s: %v", flow, err)
		}
	}
	if s.Language == "" {
		s.Language = fl.Language
	}
	s.Proofs = append(s.Proofs, f.Have...)
	if s.Subject != "" {
		s.prove(ringfence.FactIdentified, "")
	}
	s.push(fl, frameRoot, 0)
	s.play()
	return s, s.out, nil
}

// about takes the release that a console or job flow was started with.
func (s *State) about(fl *Flow, f Facts) error {
	if fl.Subject == "" {
		return nil
	}
	if fl.Subject != Given && f.Subject != fl.Subject {
		return fmt.Errorf("it is about a %s, not about %s", fl.Subject, orNobody(f.Subject))
	}
	if f.Action == "" && len(fl.Actions) > 0 {
		return fmt.Errorf("it needs the action it is about")
	}
	if f.Action == "" {
		return nil
	}
	a, ok := s.b.pol.Action(f.Action)
	if !ok || fl.Subject != Given && !slices.Contains(fl.Actions, f.Action) || a.About != f.Subject {
		return fmt.Errorf("it cannot be about the action %s", clip(f.Action))
	}
	s.Given = f.Action
	s.Open = append(s.Open, f.Action)
	s.Payload = make(map[string]string, len(f.Payload))
	for field, value := range f.Payload {
		s.Payload[f.Action+"."+field] = value
	}
	return nil
}

// Step feeds one input. The effects are valid until the next Step; none means
// that nothing changed. After EffEnd every input is ignored, as is an answer
// to something that is no longer waited for.
func Step(b *Bundle, s *State, in Input) []Effect {
	if b == nil || s == nil || s.Ended || len(s.Frames) == 0 {
		return nil
	}
	s.out = s.out[:0]
	if s.b != b {
		s.fault("the state belongs to another bundle")
		return s.out
	}
	s.handle(in)
	return s.out
}

func (s *State) handle(in Input) {
	w := &s.Wait
	switch in.Kind {
	case InDigit:
		if in.On == s.slot() && s.key(in.Digit) {
			s.play()
		}
	case InPlayed:
		if in.Ref != 0 && in.Ref == w.Play {
			w.Play = 0
			if s.played() {
				s.play()
			}
		}
	case InTimer:
		if in.Ref != 0 && in.Ref == w.Timer {
			w.Timer = 0
			if s.timer() {
				s.play()
			}
		}
	case InReady:
		if in.Ref != 0 && in.Ref == w.Ref && w.Phase == waitReady {
			s.ready()
		}
	case InAnswered:
		if in.Ref != 0 && in.Ref == w.Dial {
			s.answered()
		}
	case InOutcome:
		if in.Ref != 0 && (in.Ref == w.Ref || in.Ref == w.Dial) && s.outcome(in) {
			s.play()
		}
	case InHungUp:
		s.hungUp(in.On)
	case InChanged:
		s.changed(in.On)
	case InProved:
		if in.Proved.Fact != "" {
			s.prove(in.Proved.Fact, in.Proved.Action)
		}
	case InFault:
		if in.Ref != 0 && (in.Ref == w.Play || in.Ref == w.Ref || in.Ref == w.Dial || in.Ref == w.Timer) && s.failed() {
			s.play()
		}
	case InCancel:
		s.end()
	}
}

// failed leaves a line whose effect could not be performed. check and identify
// never branch: they go on with nothing proved. A say ends the flow: its speech
// was refused by the guard, which after a proof cannot be.
func (s *State) failed() bool {
	if l := s.line(); l.Verb == Check || l.Verb == Identify {
		return s.answer(l, Input{Outcome: Down})
	}
	return s.finish(Down)
}

// Emitting.

func (s *State) emit(k EffectKind) *Effect {
	s.out = append(s.out, Effect{Kind: k})
	e := &s.out[len(s.out)-1]
	if len(s.Frames) > 0 {
		e.At, e.On = s.line().place, s.slot()
	}
	return e
}

func (s *State) ref() Ref {
	s.Seq++
	return s.Seq
}

func (s *State) startTimer(after time.Duration) {
	s.Wait.Timer = s.ref()
	e := s.emit(EffTimer)
	e.Ref, e.After = s.Wait.Timer, after
}

func (s *State) stopTimer() {
	if s.Wait.Timer != 0 {
		s.Wait.Timer = 0
		s.emit(EffTimer)
	}
}

func (s *State) stopSpeech() {
	if s.Wait.Play != 0 {
		s.Wait.Play = 0
		s.emit(EffStopSpeech)
	}
}

func (s *State) private(on bool) {
	if s.Wait.Private != on {
		s.Wait.Private = on
		s.emit(EffPrivate).Flag = on
	}
}

// speak queues a speech and waits for its end.
func (s *State) speak(speech ringfence.Speech, fields []string) *Effect {
	s.Wait.Play = s.ref()
	e := s.emit(EffSpeak)
	e.Ref, e.Speech, e.Fields, e.Challenge = s.Wait.Play, speech, fields, s.Wait.Ref
	return e
}

func (s *State) speakText(t *Text) *Effect { return s.speak(s.speech(t), t.Fields) }

func (s *State) speakEngine(source string) *Effect {
	return s.speak(engineSpeech(source, s.Language), nil)
}

// Moving.

// play runs lines until one waits or the flow has ended.
func (s *State) play() {
	for !s.Ended {
		l := s.line()
		s.Wait = wait{Private: s.Wait.Private, Tries: l.Tries}
		s.emit(EffLine).Text = l.words
		if !s.exec(l) {
			return
		}
	}
}

func (s *State) push(f *Flow, kind frameKind, slot LegSlot) *frame {
	fr := frame{Flow: f.Name, Kind: kind, Slot: slot, flow: f, Counts: make([]uint8, f.counters+1), Vars: make([]string, len(f.Vars))}
	if kind != frameRoot {
		fr.Before = slices.Clone(s.Proofs)
	}
	s.Frames = append(s.Frames, fr)
	return s.top()
}

// next goes on to the next line: the line ended as ok.
func (s *State) next() bool {
	e := s.emit(EffOutcome)
	e.Outcome = OK
	switch l := s.line(); l.Verb {
	case Ask:
		e.Value = s.value(l.Into)
	case Identify:
		e.Payload = s.Record
	case Check:
		e.Flag = s.Has(l.fact())
	}
	s.top().Line++
	return true
}

// take leaves the line by an outcome. An outcome that the line does not handle
// goes the way of the worst that it does, never on; where there is none, the
// flow ends.
func (s *State) take(o Outcome) bool {
	l := s.line()
	s.emit(EffOutcome).Outcome = o
	t := l.Edge(o)
	for _, worse := range [...]Outcome{Down, Silent, Refused, Wrong, Denied, Missing} {
		if t == nil {
			t = l.Edge(worse)
		}
	}
	if t == nil {
		s.fault(fmt.Sprintf("%s ended as %q, and nothing says what then", lineWords(l), o.String()))
		return false
	}
	return s.follow(t)
}

// follow takes an edge; one that runs back is counted.
func (s *State) follow(t *Target) bool {
	fr := s.top()
	to := t.Scene
	if to.Index <= fr.Scene {
		if t.counter == 0 || int(fr.Counts[t.counter]) >= t.AtMost {
			to = t.Then
		} else {
			fr.Counts[t.counter]++
		}
	}
	if to == nil {
		s.fault("an edge runs back without a bound")
		return false
	}
	fr.Scene, fr.Line = to.Index, 0
	return true
}

// finish ends the current wait and leaves the line.
func (s *State) finish(o Outcome) bool {
	l, w := s.line(), s.Wait
	s.stopSpeech()
	s.stopTimer()
	if w.Ref != 0 && o != OK {
		s.emit(EffCancel).Challenge = w.Ref
	}
	s.private(false)
	s.Wait = wait{}
	if o == OK {
		return s.passed(l, w)
	}
	return s.take(o)
}

// passed records what a line that ended as ok has proved.
func (s *State) passed(l *Line, w wait) bool {
	switch l.Verb {
	case Verify:
		s.prove(l.fact(), w.For)
	case Confirm:
		s.prove(ringfence.FactConfirmed, w.For)
	case Reach:
		s.prove(ringfence.FactCallback, w.For)
	case Approve:
		s.prove(ringfence.FactApproved, w.For)
	case Connect:
		s.emit(EffOutcome).Outcome = OK
		s.end()
		return false
	}
	return s.next()
}

// end voids everything that is open and ends the flow.
func (s *State) end() {
	w := s.Wait
	s.stopSpeech()
	s.stopTimer()
	if w.Ref != 0 {
		s.emit(EffCancel).Challenge = w.Ref
	}
	s.private(false)
	for i := len(s.Frames) - 1; i >= 0; i-- {
		if s.Frames[i].Challenge != 0 {
			s.emit(EffCancel).Challenge = s.Frames[i].Challenge
		}
		if s.Frames[i].Kind == frameHeld {
			s.hangUpSlot(s.Frames[i].Slot)
		}
	}
	s.emit(EffEnd)
	s.Wait, s.Ended, s.keys = wait{}, true, nil
}

func (s *State) fault(text string) {
	s.emit(EffFault).Text = text
	s.hangUpSlot(0)
	s.end()
}

func (s *State) hangUpSlot(slot LegSlot) { s.emit(EffHangup).On = slot }

// hungUp handles the far end going. The caller's going ends everything; the
// going of a leg we placed ends its flow as silent.
func (s *State) hungUp(on LegSlot) {
	switch {
	case s.Wait.Phase == waitSuspended || s.NoLeg:
		return // that leg is given up already
	case on == 0:
		s.end()
	default:
		s.dropHeld(on, false)
	}
}

// dropHeld unwinds the stack to the line that rang leg on, which ends as
// silent.
func (s *State) dropHeld(on LegSlot, hang bool) {
	at := slices.IndexFunc(s.Frames, func(f frame) bool { return f.Kind == frameHeld && f.Slot == on })
	if at < 0 {
		return
	}
	s.stopSpeech()
	s.stopTimer()
	if s.Wait.Ref != 0 {
		s.emit(EffCancel).Challenge = s.Wait.Ref
	}
	s.private(false)
	if hang {
		s.hangUpSlot(on)
	}
	for i := len(s.Frames) - 1; i > at; i-- {
		if s.Frames[i].Kind == frameHeld {
			s.hangUpSlot(s.Frames[i].Slot)
		}
	}
	s.pop(at, Silent)
	s.play()
}

// changed handles the far end being somebody else now: facts of the leg are
// void, and a leg that we placed never counts again.
func (s *State) changed(on LegSlot) {
	if on != 0 {
		s.dropHeld(on, true)
		return
	}
	s.void(legFact)
	if s.NewLeg || s.Start == StartsJob {
		s.lost()
		return
	}
	switch s.Wait.Phase {
	case waitReady, waitSecret, waitPage, waitAnnounce:
		if s.slot() == 0 && s.finish(Silent) {
			s.play()
		}
	}
}

// lost gives up a leg we placed whose far end is somebody else now: it is hung
// up, and the flow goes on with no leg, as if nobody had answered. What is
// being asked of a colleague or of the gate is left to end by itself.
func (s *State) lost() {
	switch s.Wait.Phase {
	case waitSuspended:
		return
	case waitResult:
		s.hangUpSlot(0)
		s.NoLeg = true
		return
	case waitSpeech:
		s.stopSpeech()
		s.hangUpSlot(0)
		s.NoLeg = true
		s.next()
		s.play()
		return
	}
	s.stopSpeech()
	s.hangUpSlot(0)
	s.NoLeg = true
	if s.finish(Silent) {
		s.play()
	}
}

// pop returns from the sub-flow at index at: ok goes on below the calling
// line, everything else leaves it by that outcome with what was proved before.
func (s *State) pop(at int, o Outcome) bool {
	before := s.Frames[at].Before
	if o != OK && s.Frames[at].Challenge != 0 {
		s.emit(EffCancel).Challenge = s.Frames[at].Challenge
	}
	s.Frames = s.Frames[:at]
	s.Wait, s.keys = wait{}, nil
	if o == OK {
		return s.next()
	}
	s.Proofs = before
	return s.take(o)
}

// speech fills the places of a text.
func (s *State) speech(t *Text) ringfence.Speech {
	lang := t.language(s.top().flow, s.Language)
	if fixed, ok := t.fixed[lang]; ok {
		return fixed
	}
	pieces := t.byLang[lang]
	out := ringfence.Speech{Language: lang, Source: t.Source, Parts: make([]ringfence.SpeechPart, 0, len(pieces))}
	for _, p := range pieces {
		switch {
		case p.Code != "":
			out.Parts = append(out.Parts, ringfence.SpeechPart{As: ringfence.SayDigits, Text: p.Code, Secret: true, Slow: p.Slow})
		case p.Name.Kind != NoName:
			part := ringfence.SpeechPart{As: sayAs(p.Name.Type, p.Spell), Text: s.value(p.Name), Slow: p.Slow}
			if p.Last > 0 && len(part.Text) > p.Last {
				part.Text = part.Text[len(part.Text)-p.Last:]
			}
			out.Parts = append(out.Parts, part)
		default:
			out.Parts = append(out.Parts, ringfence.SpeechPart{Text: p.Fixed, Recorded: p.Recorded})
		}
	}
	return out
}

// value is the canonical text of a name, "" while it has none.
func (s *State) value(n Name) string {
	switch n.Kind {
	case NameVar:
		return s.top().Vars[n.v.index]
	case NamePayload:
		return s.Payload[n.Full]
	case NameRecord:
		if n.Owner == string(s.Subject) {
			return s.Record[n.Field]
		}
	case NameCall:
		switch v := s.callValue(n.Field).(type) {
		case string:
			return v
		default:
			return fmt.Sprint(v)
		}
	}
	return ""
}

func (s *State) callValue(field string) any {
	switch field {
	case "attestation":
		return s.Call.Attestation
	case "number_shown":
		return s.Call.NumberShown
	case "direction":
		return string(s.Call.Direction)
	case "hour":
		return int64(s.Call.Hour)
	case "weekday":
		return s.Call.Weekday
	case "open":
		return s.Call.Open
	}
	return nil
}

// get answers a condition's names.
func (s *State) get(name string) any {
	owner, field, dotted := strings.Cut(name, ".")
	switch {
	case !dotted:
		if v := s.top().flow.vars[name]; v != nil {
			return s.top().Vars[v.index]
		}
		return nil
	case owner == "got":
		return s.Has(ringfence.Fact(field))
	case owner == "call":
		return s.callValue(field)
	case owner == string(s.Subject):
		return s.Record[field]
	}
	return s.Payload[name]
}
