package lab

import "time"

// Event is one thing that somebody did or heard.
type Event struct {
	At   time.Time
	Who  string // the person's name
	What string // calls, rings, answers, hears, keys, says, hangs up, …
	Text string
}

// Log is told every Event, from many goroutines at once. nil tells nobody.
type Log func(Event)

func (l Log) tell(who, what, text string) {
	if l != nil {
		l(Event{At: time.Now(), Who: who, What: what, Text: text})
	}
}
