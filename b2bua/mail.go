package b2bua

import (
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// eventQueue is how many events wait for a reader. A leg whose reader stays away
// that long is hung up rather than told half of what happened.
const eventQueue = 32

// mail carries a leg's events to whoever hears them, in order. A goroutine does
// so while there are any and then ends: a call in progress has none, and a
// goroutine that waits costs more than all else of a leg.
type mail struct {
	mu    sync.Mutex // guards everything below
	queue []ringfence.LegEvent
	take  func(ringfence.LegEvent) // nil = nobody hears yet
	read  chan ringfence.LegEvent  // of Events; nil = not asked for
	busy  bool                     // deliver runs
	again bool                     // and has to look once more
	over  bool                     // LegEnded is in the queue, or was
	left  bool                     // the UA has forgotten the leg
}

// Hear has take called with each event of the leg, those that wait already
// included: in order, one at a time, LegEnded last. take may wait; a leg of
// which 30 events wait is hung up. Who calls Hear does not call Events.
func (l *Leg) Hear(take func(ringfence.LegEvent)) {
	l.mail.mu.Lock()
	l.mail.take = take
	l.mail.mu.Unlock()
	l.wake()
}

// Events returns the leg's events, in order. It is closed after LegEnded.
func (l *Leg) Events() <-chan ringfence.LegEvent {
	l.mail.mu.Lock()
	read := l.mail.read
	if read == nil {
		read = make(chan ringfence.LegEvent, eventQueue)
		l.mail.read = read
	}
	l.mail.mu.Unlock()
	l.Hear(func(e ringfence.LegEvent) {
		read <- e // has room: emit counts what waits in it
		if e.Kind == ringfence.LegEnded {
			close(read)
		}
	})
	return read
}

// emit queues an event.
func (l *Leg) emit(e ringfence.LegEvent) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	over := l.over() && e.Kind != ringfence.LegPlayed
	l.mail.mu.Lock()
	over = over || l.mail.over
	full := len(l.mail.queue)+len(l.mail.read) >= eventQueue-2
	queued := !over && !full
	if queued {
		l.mail.queue = append(l.mail.queue, e)
	}
	l.mail.mu.Unlock()
	switch {
	case queued:
		l.wake()
	case !over:
		l.finish(ringfence.EndFailed, 0)
	}
}

// start begins to take the media's events, until finish closes it. Close of the
// UA waits for what that starts.
func (l *Leg) start() { l.media.Attend(l.wake) }

// wake sees to it that what waits is delivered. The media calls it under its
// locks, so it only starts the goroutine that does so.
func (l *Leg) wake() {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	if l.mail.busy {
		l.mail.again = true
		return
	}
	l.mail.busy = true
	if l.mail.left {
		go l.deliver() // somebody hears late, and waits for LegEnded
		return
	}
	l.u.goOwned("leg events", l.deliver)
}

// leave notes that the UA may close without the leg.
func (m *mail) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = true
}

// deliver hands over what waits.
func (l *Leg) deliver() {
	for {
		l.fetch()
		e, take, more := l.mail.next()
		switch {
		case take != nil:
			take(e)
		case !more:
			return
		}
	}
}

// next takes the oldest event. Without one, more says that deliver is to look
// again; when it is false deliver counts as ended.
func (m *mail) next() (e ringfence.LegEvent, take func(ringfence.LegEvent), more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) > 0 && m.take != nil {
		e = m.queue[0]
		if m.queue = m.queue[1:]; len(m.queue) == 0 {
			m.queue = nil
		}
		return e, m.take, true
	}
	m.busy, m.again = m.again, false
	return e, nil, m.busy
}

// fetch turns what happened in the media into events of the leg.
func (l *Leg) fetch() {
	for {
		e, ok, over := l.media.Next()
		switch {
		case over:
			l.last()
			return
		case !ok:
			return
		case e.Kind == rtp.EventDigit:
			l.emit(ringfence.LegEvent{Kind: ringfence.LegDigit, Digit: e.Digit, At: e.At})
		case e.Kind == rtp.EventPlayed:
			l.emit(ringfence.LegEvent{Kind: ringfence.LegPlayed, Play: e.Play, Whole: e.Whole, At: e.At})
		case e.Kind == rtp.EventDead:
			l.finish(ringfence.EndMedia, 0)
		}
	}
}

// last queues LegEnded, once.
func (l *Leg) last() {
	l.mail.mu.Lock()
	was := l.mail.over
	l.mail.over = true
	l.mail.mu.Unlock()
	if was {
		return
	}
	if l.u.cfg.CDR != nil {
		l.u.cfg.CDR(l.record(time.Now()))
	}
	l.mu.Lock()
	e := ringfence.LegEvent{Kind: ringfence.LegEnded, Cause: l.cause, Code: l.code, At: time.Now()}
	l.mu.Unlock()
	l.mail.mu.Lock()
	l.mail.queue = append(l.mail.queue, e)
	l.mail.mu.Unlock()
	l.cancel(ErrEnded)
}
