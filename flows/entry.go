package flows

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/policy"
)

// key handles one key of the caller. It returns true when the line was left.
func (s *State) key(digit byte) bool {
	if keyIndex(digit) < 0 || s.Wait.Private {
		return false
	}
	l := s.line()
	switch s.Wait.Phase {
	case waitSpeech:
		s.typeAhead(digit)
		if l.Whole {
			return false
		}
		s.stopSpeech()
		s.Wait.Phase = waitNothing
		return s.next()
	case waitPrompt:
		s.stopSpeech()
		s.Wait.Phase = waitKeys
		return s.enter(l, digit)
	case waitKeys:
		return s.enter(l, digit)
	case waitResult:
		if l.Verb == Check || l.Verb == Identify {
			s.typeAhead(digit)
		}
	}
	return false
}

func (s *State) typeAhead(digit byte) {
	if len(s.keys) < maxTypedAhead {
		s.keys = append(s.keys, digit)
	}
}

// beginEntry starts ask and choose. Keys typed ahead count, and then nothing
// is spoken.
func (s *State) beginEntry(l *Line) bool {
	if l.Verb == Ask && l.Into.Type.Secret {
		s.keys = s.keys[:0]
		s.private(true)
		s.Wait.Phase, s.Wait.Ref = waitSecret, s.ref()
		s.prompt(l, "")
		return false
	}
	if len(s.keys) == 0 {
		s.Wait.Phase = waitPrompt
		s.speakText(l.Text)
		return false
	}
	s.Wait.Phase = waitKeys
	for len(s.keys) > 0 {
		digit := s.keys[0]
		s.keys = s.keys[1:]
		if s.enter(l, digit) {
			return true
		}
		if s.Wait.Phase != waitKeys {
			return false // asked again
		}
	}
	return false
}

// enter takes one key of an entry.
func (s *State) enter(l *Line, digit byte) bool {
	if l.Verb == Choose {
		s.stopTimer()
		t := l.Keys[keyIndex(digit)]
		if t == nil {
			return s.reprompt(l, Wrong)
		}
		s.Wait = wait{}
		s.emitWay(keyNames[keyIndex(digit)])
		return s.follow(t)
	}
	switch digit {
	case '#':
		return s.complete(l)
	case '*':
		s.Wait.digits = s.Wait.digits[:0]
		s.startTimer(l.Wait)
		return false
	}
	s.Wait.digits = append(s.Wait.digits, digit)
	if _, most := entryBounds(l.Into.Type); len(s.Wait.digits) >= most {
		return s.complete(l)
	}
	s.startTimer(betweenKeys)
	return false
}

// complete judges an entry and stores it.
func (s *State) complete(l *Line) bool {
	value, ok := s.canonical(l.Into.Type, string(s.Wait.digits))
	if !ok {
		return s.reprompt(l, Wrong)
	}
	s.store(l, value)
	return s.finish(OK)
}

// reprompt asks once more, or leaves when no try is left.
func (s *State) reprompt(l *Line, o Outcome) bool {
	s.Wait.digits, s.keys = s.Wait.digits[:0], s.keys[:0]
	s.Wait.Tries--
	if s.Wait.Tries <= 0 {
		return s.finish(o)
	}
	s.stopTimer()
	s.Wait.Phase = waitPrompt
	if o == Silent {
		s.speakEngine(nothingHeard)
	} else {
		s.speakEngine(notRight)
	}
	s.speakText(l.Text)
	return false
}

// store keeps what was entered. A field of an action is a new payload: every
// proof bound to the action is void, and its release cancelled.
func (s *State) store(l *Line, value string) {
	if l.Into.Kind == NameVar {
		s.top().Vars[l.Into.v.index] = value
		return
	}
	action := l.Into.Owner
	if s.Payload == nil {
		s.Payload = map[string]string{}
	}
	s.Payload[l.Into.Full] = value
	s.void(func(p Proved) bool { return p.Action == action })
	if i := slices.Index(s.Open, action); i >= 0 {
		s.Open = slices.Delete(s.Open, i, i+1)
		s.emit(EffCancelAction).Action = action
	}
}

// entryBounds is how many digits an entry of the type has.
func entryBounds(t policy.Type) (least, most int) {
	switch t.Base {
	case policy.BaseNumber, policy.BaseMoney:
		return 1, 9
	case policy.BaseDate:
		return 8, 8
	case policy.BaseTN:
		return 5, 15
	}
	return t.Bounds()
}

// canonical turns keys into a value: money in whole units of the base
// currency, a date keyed as day, month, year.
func (s *State) canonical(t policy.Type, digits string) (string, bool) {
	least, most := entryBounds(t)
	if len(digits) < least || len(digits) > most {
		return "", false
	}
	switch t.Base {
	case policy.BaseNumber, policy.BaseMoney:
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 && t.Base == policy.BaseMoney {
			return "", false
		}
		out := strconv.FormatInt(n, 10)
		if t.Base == policy.BaseMoney {
			currency := s.b.pol.BaseCurrency()
			out += strings.Repeat("0", policy.Exponent(currency)) + " " + currency
		}
		return out, true
	case policy.BaseDate:
		d, err := time.Parse("02012006", digits)
		return d.Format(time.DateOnly), err == nil
	}
	return digits, true
}
