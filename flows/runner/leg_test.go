package runner

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
)

// line is a stand-in for a leg with a person at its far end: it hears speech as
// text, secret parts included, and keys digits. Nobody else hears them.
type line struct {
	w    *world
	id   ringfence.LegID
	info ringfence.LegInfo
	p    ringfence.Placement // of a placed leg

	events chan ringfence.LegEvent
	said   chan string // what was heard to its end, for a test that plays the person

	mu       sync.Mutex
	up, over bool
	cause    ringfence.EndCause
	code     int // of a refusal
	cut      bool
	looped   bool // music plays
	peer     ringfence.LegID
	plays    uint64
	now      string // what is being spoken
	timer    *time.Timer
	texts    []string // everything that was begun to be spoken
	stop     func() bool
	told     []int // what Transfer was told
}

// speechTime is how long every line takes to be spoken.
const speechTime = time.Second

func newLine(w *world, id ringfence.LegID) *line {
	return &line{w: w, id: id, events: make(chan ringfence.LegEvent, 4096), said: make(chan string, 4096)}
}

func (l *line) ID() ringfence.LegID               { return l.id }
func (l *line) Info() ringfence.LegInfo           { return l.info }
func (l *line) Events() <-chan ringfence.LegEvent { return l.events }
func (l *line) Ring(context.Context) error        { return nil }

func (l *line) Hear(take func(ringfence.LegEvent)) {
	go func() {
		for ev := range l.events {
			take(ev)
		}
	}()
}

func (l *line) Answer(context.Context, ...[2]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return errors.New("the caller gave up")
	}
	l.up = true
	return nil
}

func (l *line) Refuse(_ context.Context, code int, _ string, _ ...[2]string) error {
	l.mu.Lock()
	l.code = code
	l.mu.Unlock()
	l.end(ringfence.EndHangup)
	return nil
}

func (l *line) Play(clip ringfence.Clip) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopLocked()
	l.plays++
	id, text := l.plays, l.w.voice.text(clip)
	l.now = text
	l.texts = append(l.texts, text)
	if l.over {
		return id
	}
	var timer *time.Timer
	timer = time.AfterFunc(speechTime, func() {
		l.mu.Lock()
		if l.timer != timer || l.over {
			l.mu.Unlock()
			return
		}
		l.timer, l.now = nil, ""
		l.emitLocked(ringfence.LegEvent{Kind: ringfence.LegPlayed, Play: id, Whole: true})
		l.mu.Unlock()
		l.w.heard(l, text)
	})
	l.timer = timer
	return id
}

func (l *line) stopLocked() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer, l.now = nil, ""
		l.emitLocked(ringfence.LegEvent{Kind: ringfence.LegPlayed, Play: l.plays})
	}
}

func (l *line) Loop(clip ringfence.Clip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looped = clip != nil
}

func (l *line) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopLocked()
	l.looped = false
}

func (l *line) Cut(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = on
}

func (l *line) Join(peer ringfence.LegID) error {
	other := l.w.leg(peer)
	if other == nil {
		return errors.New("no such leg")
	}
	for _, x := range []struct {
		l    *line
		peer ringfence.LegID
	}{{l, peer}, {other, l.id}} {
		x.l.mu.Lock()
		x.l.peer, x.l.looped = x.peer, false
		x.l.mu.Unlock()
	}
	return nil
}

func (l *line) Part() {
	l.mu.Lock()
	peer := l.peer
	l.peer = ""
	l.mu.Unlock()
	if other := l.w.leg(peer); other != nil {
		other.mu.Lock()
		other.peer = ""
		other.mu.Unlock()
	}
}

func (l *line) Transfer(code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, code)
}

func (l *line) Hangup(cause ringfence.EndCause) { l.end(cause) }

// end ends the leg once, from either side.
func (l *line) end(cause ringfence.EndCause) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.stopLocked()
	l.over, l.up, l.cause = true, false, cause
	if l.stop != nil {
		l.stop()
	}
	l.emitLocked(ringfence.LegEvent{Kind: ringfence.LegEnded, Cause: cause})
	close(l.events)
	close(l.said)
}

func (l *line) emit(ev ringfence.LegEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.emitLocked(ev)
	}
}

func (l *line) emitLocked(ev ringfence.LegEvent) {
	ev.At = time.Now()
	l.events <- ev // 4,096 are more than any test makes
	l.w.counted()
}

// answer takes a placed leg.
func (l *line) answer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over && !l.up {
		l.up = true
		l.emitLocked(ringfence.LegEvent{Kind: ringfence.LegAnswered})
	}
}

// keys presses keys, one after the other.
func (l *line) keys(digits string) {
	for i := range len(digits) {
		l.emit(ringfence.LegEvent{Kind: ringfence.LegDigit, Digit: digits[i]})
	}
}

// hears waits until a line that contains part was heard to its end, and
// returns it. What came before is let pass.
func (l *line) hears(part string) string {
	l.w.t.Helper()
	limit := time.After(20 * time.Minute)
	var got []string
	for {
		select {
		case text, ok := <-l.said:
			if !ok {
				l.w.t.Fatalf("%s: the leg ended (%s) before %q; heard %q", l.id, l.cause, part, got)
			}
			if strings.Contains(text, part) {
				return text
			}
			got = append(got, text)
		case <-limit:
			l.w.t.Fatalf("%s: never heard %q, but %q", l.id, part, got)
		}
	}
}

// gone waits until the leg has ended.
func (l *line) gone() ringfence.EndCause {
	l.w.t.Helper()
	limit := time.After(time.Hour)
	for {
		select {
		case _, ok := <-l.said:
			if !ok {
				return l.cause
			}
		case <-limit:
			l.w.t.Fatalf("%s: the leg never ended; it heard %q", l.id, l.texts)
		}
	}
}

func (l *line) state() (up, cut, looped bool, peer ringfence.LegID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.cut, l.looped, l.peer
}

// voice renders a speech as a clip that a line can turn back into its text.
type voice struct {
	mu    sync.Mutex
	texts []string
	fail  func(text string) bool
}

func (v *voice) Render(_ context.Context, s ringfence.Speech) (ringfence.Clip, error) {
	var b strings.Builder
	for _, p := range s.Parts {
		b.WriteString(p.Text)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail != nil && v.fail(b.String()) {
		return nil, errors.New("no voice")
	}
	v.texts = append(v.texts, b.String())
	n := len(v.texts) - 1
	return ringfence.Clip{int16(n % 30000), int16(n / 30000)}, nil
}

func (v *voice) text(c ringfence.Clip) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.texts[int(c[0])+30000*int(c[1])]
}
