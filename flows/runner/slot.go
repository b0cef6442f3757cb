package runner

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/verify"
)

// slot is one leg of a flow, with what is queued to be spoken there and the
// entry that is being keyed.
type slot struct {
	t         *traversal
	at        flows.LegSlot
	leg       Leg
	up        bool // answered, and not ended
	private   bool
	queue     []*utterance
	playing   uint64
	entry     *entry
	closing   bool // hang up when the queue is empty
	changed   bool // the far end is somebody else now
	dialing   *dialing
	challenge *challenge // the call-back that this leg was placed for
}

// utterance is one line waiting to be spoken.
type utterance struct {
	ref   flows.Ref
	clip  ringfence.Clip
	ready bool
	bad   bool
}

// renderTime bounds how long a line may take to become audio.
const renderTime = 15 * time.Second

// speak queues a line. It is rendered beside the traversal; order is kept.
func (s *slot) speak(ctx context.Context, ref flows.Ref, speech ringfence.Speech) {
	u := &utterance{ref: ref}
	s.queue = append(s.queue, u)
	s.t.async(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, renderTime)
		defer cancel()
		clip, err := s.t.r.cfg.Voice.Render(ctx, speech)
		return func() {
			u.clip, u.ready, u.bad = clip, true, err != nil
			if err != nil {
				s.t.r.cfg.Log.Error("line cannot be spoken", "traversal", string(s.t.id), "err", err)
			}
			s.next()
		}
	})
}

// next plays what is first in the queue if nothing plays.
func (s *slot) next() {
	for s.playing == 0 && len(s.queue) > 0 && s.queue[0].ready {
		u := s.queue[0]
		if !u.bad && s.up {
			s.playing = s.leg.Play(u.clip)
			return
		}
		s.queue = s.queue[1:]
		s.heard(u)
	}
	if len(s.queue) == 0 && s.playing == 0 {
		s.quiet()
	}
}

// heard tells the engine that a line is over; one that could not be spoken is
// a fault of the line.
func (s *slot) heard(u *utterance) {
	s.t.spoken(s.t.ctx, u.ref, s)
	if e := s.entry; e != nil && e.opens == u.ref && u.ref != 0 {
		e.opens = 0
		e.open()
	}
	kind := flows.InPlayed
	if u.bad {
		kind = flows.InFault
	}
	s.t.feed(flows.Input{Kind: kind, Ref: u.ref, On: s.at})
}

// played takes the end of a clip.
func (s *slot) played(id uint64) {
	if id != s.playing || len(s.queue) == 0 {
		return
	}
	u := s.queue[0]
	s.playing, s.queue = 0, s.queue[1:]
	s.heard(u)
	s.next()
}

// quiet runs when nothing is left to be spoken.
func (s *slot) quiet() {
	if s.closing {
		s.closing = false
		s.drop(ringfence.EndHangup)
		return
	}
	if s.entry != nil {
		s.entry.open()
	}
}

// stop drops what is queued and what plays, unanswered.
func (s *slot) stop() {
	s.queue, s.playing = nil, 0
	if s.up {
		s.leg.Stop()
	}
}

// setPrivate cuts the leg from everybody else, or joins it again.
func (s *slot) setPrivate(on bool) {
	s.private = on
	if s.leg != nil {
		s.leg.Cut(on)
	}
}

// drop hangs the leg up and forgets it.
func (s *slot) drop(cause ringfence.EndCause) {
	s.stop()
	s.closeEntry()
	if s.leg != nil {
		s.leg.Hangup(cause)
	}
	s.leg, s.up = nil, false
}

func (s *slot) closeEntry() {
	if s.entry != nil {
		s.entry.forget()
		verify.Wipe(s.entry.keys)
		s.entry = nil
	}
}

// digit takes one key. While the leg is private it goes to the open entry or
// nowhere.
func (s *slot) digit(d byte) {
	switch {
	case s.entry != nil:
		s.entry.key(d)
	case s.private:
	default:
		s.t.feed(flows.Input{Kind: flows.InDigit, On: s.at, Digit: d})
	}
}
