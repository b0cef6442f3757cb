package rtp

import "time"

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

// Events returns the session's events in order. The channel is closed by
// Close. A reader that stays away loses digits past the 24th waiting one, and
// every event past the 32nd; audio never waits for it.
func (s *Session) Events() <-chan Event { return s.events }

func (s *Session) emit(e Event) {
	s.eventMu.Lock()
	defer s.eventMu.Unlock()
	if s.eventsClosed || e.Kind == EventDigit && len(s.events) >= digitQueue {
		return
	}
	select {
	case s.events <- e:
	default:
	}
}
