package rtp

import (
	"sync"
	"time"
)

// EventKind is what happened in a session.
type EventKind uint8

// The events of a session.
const (
	EventDigit  EventKind = 1 // Digit: 0–9 * # A–D, exactly once for each key
	EventPlayed EventKind = 2 // Play and Whole: a clip ended, or was replaced or stopped
	EventDead   EventKind = 3 // nothing was heard for Config.DeadAfter; once until EventAlive
	EventAlive  EventKind = 4 // packets came again after EventDead
)

// Event is one thing that happened in a session. A digit may be part of a
// secret: never log it.
type Event struct {
	Kind  EventKind
	Digit byte
	Play  uint64 // the number Play returned
	Whole bool   // the clip was sent to its end
	At    time.Time
}

// Bounds of the event queue. Digits may fill it to digitQueue only, so that a
// flood of them never displaces another event.
const (
	eventQueue = 32
	digitQueue = 24
)

// events are those that nobody has taken yet. A session in progress has none,
// so it holds no room for them and no goroutine waits.
type events struct {
	mu     sync.Mutex // guards everything below
	queue  []Event
	closed bool
	wake   func()
}

// Attend has wake called whenever there is something for Next, which may be at
// once, and when the session was closed. The session may hold locks then: wake
// must not wait and must not call the session.
func (s *Session) Attend(wake func()) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.wake = wake
	if len(s.events.queue) > 0 || s.events.closed {
		wake()
	}
}

// Next takes the oldest event. ok is false when none waits; over says that
// there will be none any more. A reader that stays away loses digits past the
// 24th waiting one, and every event past the 32nd; audio never waits for it.
func (s *Session) Next() (e Event, ok, over bool) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	q := s.events.queue
	if len(q) == 0 {
		return Event{}, false, s.events.closed
	}
	if s.events.queue = q[1:]; len(q) == 1 {
		s.events.queue = nil
	}
	return q[0], true, false
}

func (s *Session) emit(e Event) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	n := len(s.events.queue)
	if s.events.closed || n >= eventQueue || e.Kind == EventDigit && n >= digitQueue {
		return
	}
	s.events.queue = append(s.events.queue, e)
	if s.events.wake != nil {
		s.events.wake()
	}
}

// closeEvents says that no event follows.
func (s *Session) closeEvents() {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.closed = true
	if s.events.wake != nil {
		s.events.wake()
	}
}
