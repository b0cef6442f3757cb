package rtp

import "testing"

// A flood of digits leaves room for what must not be lost, and the end is told
// after what waits.
func TestEventsWait(t *testing.T) {
	s, _ := leg(t, newTestPool(t, Config{}), nil)
	woken := 0
	s.Attend(func() { woken++ })
	for range 2 * eventQueue {
		s.emit(Event{Kind: EventDigit, Digit: '1'})
	}
	s.emit(Event{Kind: EventDead})
	if woken != digitQueue+1 {
		t.Errorf("woken %d times, want %d", woken, digitQueue+1)
	}
	s.Close()
	for i := range digitQueue {
		if e, ok, over := s.Next(); !ok || over || e.Kind != EventDigit {
			t.Fatalf("event %d: have %+v, %v, %v", i, e, ok, over)
		}
	}
	if e, ok, _ := s.Next(); !ok || e.Kind != EventDead {
		t.Errorf("have %+v, %v", e, ok)
	}
	if _, ok, over := s.Next(); ok || !over {
		t.Errorf("after the end: %v, %v", ok, over)
	}
	s.emit(Event{Kind: EventDead})
	if _, ok, _ := s.Next(); ok {
		t.Error("an event after the end")
	}
	woken = 0
	if s.Attend(func() { woken++ }); woken != 1 {
		t.Error("whoever comes late is not told of the end")
	}
}
