package runner

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/flows"
)

// The engine asks for an entry before it speaks the line that opens it. Until
// that line was spoken no key counts and no time runs (invariant 16).
func TestEntryWaitsForTheLineThatOpensIt(t *testing.T) {
	tr := &traversal{session: &session{number: 1}}
	s := &slot{t: tr}
	tr.slots[0] = s
	s.collect(t.Context(), flows.Effect{Kind: flows.EffCollect, Challenge: 3, Open: 7, Void: true, First: time.Hour})
	if s.entry.opens != 7 || s.entry.started {
		t.Fatalf("entry before its line is queued: opens at %d, started %v", s.entry.opens, s.entry.started)
	}
	s.queue = append(s.queue, &utterance{ref: 6}, &utterance{ref: 7})
	s.settle()
	if s.entry.opens != 7 || s.entry.started {
		t.Errorf("entry while its line waits: opens at %d, started %v", s.entry.opens, s.entry.started)
	}
}

// A line that was spoken before the entry began opens it at once.
func TestEntryOpensWhenNothingIsSpoken(t *testing.T) {
	tr := &traversal{session: &session{number: 1}}
	s := &slot{t: tr}
	tr.slots[0] = s
	s.collect(t.Context(), flows.Effect{Kind: flows.EffCollect, Challenge: 3, Open: 7, First: time.Hour})
	s.settle()
	if s.entry.opens != 0 || !s.entry.started {
		t.Errorf("entry without a line: opens at %d, started %v", s.entry.opens, s.entry.started)
	}
	s.closeEntry()
}
