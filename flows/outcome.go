package flows

import (
	"fmt"
	"strings"
)

// Outcome is how a line ended. The zero value is no outcome: a line that is
// answered with it goes the way of its worst handled outcome, never on.
type Outcome uint8

// The outcomes. They are stored by name; OK is the next line, every other one
// has its own edge.
const (
	NoOutcome Outcome = iota
	OK
	Wrong    // the person keyed something that is not it
	Silent   // nothing came in time
	Missing  // the subject has no such authenticator
	Refused  // the person said no, or "I did not ask for this"
	Denied   // the gate said no
	Busy     // the number rung was busy, or is the one the caller is on
	Diverted // the number rung is diverted: the leg never counts
	Down     // it could not be done
	Later    // accepted but not done: cooling, waiting, or unknown
	Closed   // the queue is closed
	Full     // the queue is full
	NotFound // identify: nobody of that name
	outcomeCount
)

var outcomeNames = [outcomeCount]string{"", "ok", "wrong", "silent", "missing", "refused", "denied", "busy",
	"diverted", "down", "later", "closed", "full", "not_found"}

// String returns the word that scripts use.
func (o Outcome) String() string {
	if o >= outcomeCount {
		return ""
	}
	return outcomeNames[o]
}

// ParseOutcome returns the outcome of a script word, and false for any other
// text, the empty one included.
func ParseOutcome(word string) (Outcome, bool) {
	for o := OK; o < outcomeCount; o++ {
		if outcomeNames[o] == word {
			return o, true
		}
	}
	return NoOutcome, false
}

// MarshalText writes the script word.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a script word; the empty text is no outcome.
func (o *Outcome) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*o = NoOutcome
		return nil
	}
	got, ok := ParseOutcome(string(b))
	if !ok {
		return fmt.Errorf("outcome %q: want one of %s", b, strings.Join(outcomeNames[1:], ", "))
	}
	*o = got
	return nil
}
