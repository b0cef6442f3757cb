package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/lab"
)

// transcript prints what happens, with times, and keeps the outcomes. It is
// told from many goroutines at once.
type transcript struct {
	began time.Time

	mu       sync.Mutex // guards everything below
	w        io.Writer
	call     string
	outcomes []outcome
}

// outcome is one thing that was checked.
type outcome struct {
	Call  string  `json:"call"`
	Claim string  `json:"claim"`
	OK    bool    `json:"ok"`
	Says  string  `json:"says,omitempty"` // what was seen; for a refusal its reason
	After float64 `json:"after_seconds"`
}

// result is what --json prints.
type result struct {
	OK       bool      `json:"ok"`
	Seconds  float64   `json:"seconds"`
	Outcomes []outcome `json:"outcomes"`
}

func newTranscript(w io.Writer) *transcript { return &transcript{began: time.Now(), w: w} }

func (t *transcript) stamp(at time.Time) string {
	d := at.Sub(t.began).Round(100 * time.Millisecond)
	return fmt.Sprintf("%02d:%04.1f", int(d.Minutes()), d.Seconds()-60*float64(int(d.Minutes())))
}

// line prints one line as it stands.
func (t *transcript) line(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, format+"\n", args...)
}

// scene begins a new part of the transcript.
func (t *transcript) scene(name, about string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.call = name
	fmt.Fprintf(t.w, "\n%s. %s\n", name, about)
}

const transcriptRow = "  %s  %-14s %s\n"

// event prints what somebody did or heard.
func (t *transcript) event(e lab.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := e.What
	switch {
	case e.Text == "":
	case e.What == "hears" || e.What == "says":
		text += fmt.Sprintf(" %q", e.Text)
	default:
		text += " " + e.Text
	}
	fmt.Fprintf(t.w, transcriptRow, t.stamp(e.At), e.Who, text)
}

// tell prints what somebody did who is no telephone.
func (t *transcript) tell(who, format string, args ...any) {
	t.event(lab.Event{At: time.Now(), Who: who, What: fmt.Sprintf(format, args...)})
}

// check keeps an outcome and prints it.
func (t *transcript) check(ok bool, claim, says string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.outcomes = append(t.outcomes, outcome{Call: t.call, Claim: claim, OK: ok, Says: says, After: now.Sub(t.began).Seconds()})
	mark, text := "✓", claim
	if !ok {
		mark = "✗"
	}
	if says != "" {
		text += ": " + says
	}
	fmt.Fprintf(t.w, transcriptRow, t.stamp(now), mark, text)
	return ok
}

// result returns the outcomes so far.
func (t *transcript) result() result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := result{OK: len(t.outcomes) > 0, Seconds: time.Since(t.began).Seconds(), Outcomes: append([]outcome{}, t.outcomes...)}
	for _, o := range r.Outcomes {
		r.OK = r.OK && o.OK
	}
	return r
}

// failed counts the outcomes that were not as they should be.
func (t *transcript) failed() int {
	n := 0
	for _, o := range t.result().Outcomes {
		if !o.OK {
			n++
		}
	}
	return n
}
