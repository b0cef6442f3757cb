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
	held      bool // the far end put us on media hold
	dialing   *dialing
	challenge *challenge // the call-back that this leg was placed for
}

// utterance is one line waiting to be spoken. Refs are counted anew by every
// session, so it knows its own.
type utterance struct {
	session int
	ref     flows.Ref
	clip    ringfence.Clip
	ready   bool
	bad     bool
}

const (
	// renderTime bounds how long a line may take to become audio.
	renderTime = 15 * time.Second
	// cutShort is how long the end of a leg may take to be told after a clip of
	// it was not sent to its end.
	cutShort = time.Second
)

// speak queues a line. It is rendered beside the traversal; order is kept.
func (s *slot) speak(ctx context.Context, ref flows.Ref, speech ringfence.Speech) {
	u := s.enqueue(ref)
	s.t.render(ctx, u, speech, s.next)
}

// mute queues a line that may not be spoken: it fails in its turn, and with it
// what stands behind.
func (s *slot) mute(ref flows.Ref) {
	u := s.enqueue(ref)
	u.ready, u.bad = true, true
	s.next()
}

func (s *slot) enqueue(ref flows.Ref) *utterance {
	u := &utterance{session: s.t.session.number, ref: ref}
	s.queue = append(s.queue, u)
	return u
}

// render makes audio of a line beside the traversal and runs then on it.
func (t *traversal) render(ctx context.Context, u *utterance, speech ringfence.Speech, then func()) {
	t.async(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, renderTime)
		defer cancel()
		clip, err := t.r.cfg.Voice.Render(ctx, speech)
		return func() {
			if err != nil {
				t.r.cfg.Log.Error("line cannot be spoken", "traversal", string(t.id), "err", err)
			}
			u.clip, u.ready, u.bad = clip, true, u.bad || err != nil
			then()
		}
	})
}

// next plays what is first in the queue if nothing plays.
func (s *slot) next() {
	for s.playing == 0 && len(s.queue) > 0 && s.queue[0].ready {
		u := s.queue[0]
		if !u.bad && s.up {
			s.playing = s.leg.Play(u.clip)
			u.clip = nil // the queue keeps u for as long as lines follow
			return
		}
		s.queue = s.queue[1:]
		s.heard(u, false)
	}
	if len(s.queue) == 0 && s.playing == 0 {
		s.quiet()
	}
}

// heard tells the engine that a line is over; one that could not be spoken is
// a fault of the line. What is queued behind it belongs to the same line and
// falls with it: nobody hears half of a question. Only what was heard whole
// counts as spoken.
func (s *slot) heard(u *utterance, whole bool) {
	if n := s.t.notice; n != nil && n.u == u {
		s.t.noticed(whole)
		return
	}
	if u.bad {
		for _, behind := range s.queue {
			behind.ready, behind.bad = true, true
		}
	}
	if whole {
		s.t.spoken(s.t.ctx, u, s)
		if e := s.entry; e != nil && e.session == u.session && e.opens == u.ref && u.ref != 0 {
			e.opens = 0
		}
	}
	kind := flows.InPlayed
	if u.bad {
		kind = flows.InFault
	}
	s.t.feedTo(u.session, flows.Input{Kind: kind, Ref: u.ref, On: s.at})
}

// played takes the end of a clip. One that was not sent to its end, though we
// did not stop it, is a fault; the end of its leg mostly follows.
func (s *slot) played(id uint64, whole bool) {
	if id == 0 || id != s.playing || len(s.queue) == 0 {
		return
	}
	u := s.queue[0]
	if !whole {
		s.t.after(cutShort, func() {
			if s.playing == id && len(s.queue) > 0 && s.queue[0] == u {
				u.bad = true
				s.over(u, false)
			}
		})
		return
	}
	s.over(u, true)
}

func (s *slot) over(u *utterance, whole bool) {
	s.playing, s.queue = 0, s.queue[1:]
	s.heard(u, whole)
	s.next()
}

// quiet runs when nothing is left to be spoken.
func (s *slot) quiet() {
	if s.closing {
		s.drop(ringfence.EndHangup)
		return
	}
	if s.entry != nil {
		s.entry.open()
	}
}

// close hangs the leg up once everything queued there was played.
func (s *slot) close() {
	s.closing = true
	if s.playing == 0 && len(s.queue) == 0 {
		s.quiet()
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
	leg := s.leg
	s.lose()
	if leg != nil {
		leg.Hangup(cause)
		s.t.legOver(leg, "", cause)
	}
}

// lose forgets a leg that is gone, and everything that was under way on it.
func (s *slot) lose() {
	s.stop()
	s.closeEntry()
	s.leg, s.up, s.private, s.closing = nil, false, false, false
	s.dialing, s.challenge = nil, nil
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
	case s.t.notice != nil:
		s.t.notice.declines(s.t.line.Decline, d)
	case s.entry != nil:
		s.entry.key(d)
	case s.private:
	default:
		s.t.feed(flows.Input{Kind: flows.InDigit, On: s.at, Digit: d})
	}
}
