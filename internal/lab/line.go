package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/voice"
)

// reaction is how long a person takes from hearing to keying. A prompt ends with
// a third of a second of silence, and keys before its end are no answer.
const reaction = 800 * time.Millisecond

// silence parts what is told of a call: recordings that begin this far apart
// are two sentences.
const silence = 6 * time.Second

// ErrOver is returned, wrapped, when the call ended before what was waited for.
var ErrOver = errors.New("the call is over")

// Line is a person's end of one call. Its methods belong to one goroutine, the
// person's, except Hangup and Done.
type Line struct {
	call *peer.Call
	who  string
	ear  *ear
	lib  *voice.Library
	log  Log
	next int           // what the person listens to next
	told []string      // heard and not told yet
	last time.Duration // when the last of it was heard, on the call's own clock

	hung atomic.Bool // this side hung up
}

// Call returns the telephone's own view of the call.
func (l *Line) Call() *peer.Call { return l.call }

// Answer takes a ringing call.
func (l *Line) Answer(ctx context.Context) error {
	l.log.tell(l.who, "answers", "")
	if err := l.call.Answer(ctx); err != nil {
		return fmt.Errorf("lab: %s answers: %w", l.who, err)
	}
	return nil
}

// Decline refuses a ringing call.
func (l *Line) Decline(ctx context.Context) error {
	l.log.tell(l.who, "declines the call", "")
	return l.call.Decline(ctx)
}

// listen returns the next thing that was said.
func (l *Line) listen(ctx context.Context) (voice.Heard, error) {
	h, err := l.ear.at(ctx, l.next)
	switch {
	case errors.Is(err, io.EOF):
		l.flush()
		return h, ErrOver
	case err != nil:
		l.flush()
		return h, err
	}
	l.next++
	if h.At-l.last > silence {
		l.flush()
	}
	l.told, l.last = append(l.told, h.Text), h.At
	return h, nil
}

// Hear listens until one of the texts was said and returns it. A text is one
// recording as the shipped index has it.
func (l *Line) Hear(ctx context.Context, texts ...string) (string, error) {
	for {
		h, err := l.listen(ctx)
		if err != nil {
			return "", fmt.Errorf("lab: %s waits to hear %q: %w", l.who, texts, err)
		}
		if slices.Contains(texts, h.Text) {
			return h.Text, nil
		}
	}
}

// Next returns the next thing that is said. ErrOver when the call ended before.
func (l *Line) Next(ctx context.Context) (voice.Heard, error) { return l.listen(ctx) }

// HearDigits listens until n digits were said one after the other.
func (l *Line) HearDigits(ctx context.Context, n int) (string, error) {
	var digits []byte
	for len(digits) < n {
		h, err := l.listen(ctx)
		if err != nil {
			return "", fmt.Errorf("lab: %s waits to hear %d digits: %w", l.who, n, err)
		}
		if h.Digit == 0 {
			digits = digits[:0]
			continue
		}
		digits = append(digits, h.Digit)
	}
	l.flush()
	return string(digits), nil
}

// Key presses keys, after the time a person takes. What is told of it is as;
// empty means the keys themselves.
func (l *Line) Key(ctx context.Context, keys, as string) error {
	l.flush()
	if err := l.pause(ctx, reaction); err != nil {
		return fmt.Errorf("lab: %s keys: %w", l.who, err)
	}
	if as == "" {
		as = strings.Join(strings.Split(keys, ""), " ")
	}
	l.log.tell(l.who, "keys", as)
	if err := l.call.Press(keys); err != nil {
		return fmt.Errorf("lab: %s keys: %w", l.who, err)
	}
	return nil
}

// pause is a person's own slowness; nothing else waits for it.
func (l *Line) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.call.Done():
		return ErrOver
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Say speaks words for which there are shipped recordings, so that whoever
// listens understands them.
func (l *Line) Say(ctx context.Context, words string) error {
	l.flush()
	v, err := voice.New(voice.Config{Library: l.lib})
	if err != nil {
		return fmt.Errorf("lab: %v", err)
	}
	clip, err := v.Render(ctx, ringfence.Speech{Language: "en", Source: words, Parts: []ringfence.SpeechPart{{Text: words}}})
	if err != nil {
		return fmt.Errorf("lab: %s says: %v", l.who, err)
	}
	l.log.tell(l.who, "says", words)
	return l.call.Say(ctx, clip)
}

// Hangup ends the call.
func (l *Line) Hangup() {
	select {
	case <-l.call.Done():
	default:
		if !l.hung.Swap(true) {
			l.log.tell(l.who, "hangs up", "")
		}
		l.call.Hangup()
	}
}

// Done is closed when the call is over.
func (l *Line) Done() <-chan struct{} { return l.call.Done() }

// HearOut listens until the call is over and returns all that was said since
// the person last listened.
func (l *Line) HearOut(ctx context.Context) ([]string, error) {
	var out []string
	for {
		h, err := l.listen(ctx)
		if errors.Is(err, ErrOver) {
			if !l.hung.Swap(true) {
				l.log.tell(l.who, "is hung up on", "")
			}
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("lab: %s waits for the end of the call: %w", l.who, err)
		}
		out = append(out, h.Text)
	}
}

// flush tells what was heard since the last time, as one sentence.
func (l *Line) flush() {
	if len(l.told) == 0 {
		return
	}
	l.log.tell(l.who, "hears", sentence(l.told))
	l.told = nil
}

// sentence puts heard recordings together: "Please note this code. 4 8 2 7."
func sentence(parts []string) string {
	var b strings.Builder
	for i, p := range parts {
		short := len(p) == 1
		switch {
		case i == 0:
		case short && len(parts[i-1]) == 1:
			b.WriteByte(' ')
		case p[0] >= 'A' && p[0] <= 'Z' && !short:
			b.WriteString(". ")
		default:
			b.WriteString(" ")
		}
		b.WriteString(p)
	}
	return b.String()
}
