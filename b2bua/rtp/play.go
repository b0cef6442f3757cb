package rtp

import (
	"time"

	"github.com/ringfence/ringfence"
)

// Play sends a clip once, in place of everything else, and returns its
// number, which is never 0. A clip that was still playing is replaced.
// EventPlayed follows when the last packet was sent (Whole) or when the clip
// was replaced or stopped. A clip
// begun before Negotiated, or on media hold, waits. The clip must not change
// while it plays. An empty clip is reported whole at once.
func (s *Session) Play(clip ringfence.Clip) uint64 {
	if len(clip) == 0 {
		return s.PlaySource(nil)
	}
	return s.PlaySource(&clipSource{clip: clip})
}

// PlaySource is Play from a source instead of a clip: a microphone, a stream.
// It goes on until the source says that nothing more follows.
func (s *Session) PlaySource(src Source) uint64 {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	now := time.Now()
	s.endPlay(false, now)
	o := &s.out
	o.playSeq++
	o.play, o.playID = src, o.playSeq
	if o.closed {
		s.endPlay(false, now)
	} else if src == nil {
		o.play = &clipSource{}
		s.endPlay(true, now)
	}
	return o.playSeq
}

// Loop sends a clip again and again, as hold music, in place of the session
// that is heard. A clip of Play interrupts it. An empty clip sends silence; nil
// ends the loop.
func (s *Session) Loop(clip ringfence.Clip) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.loop = nil
	if clip != nil && !s.out.closed {
		s.out.loop = &loopSource{clip: clip}
	}
}

// Stop ends Play, Loop and digits being sent; the session that is heard, or
// silence, comes next.
func (s *Session) Stop() {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.endPlay(false, time.Now())
	s.out.loop = nil
	s.out.digits.stop()
}

// endPlay takes the clip away and reports it. out.mu is held.
func (s *Session) endPlay(whole bool, now time.Time) {
	o := &s.out
	if o.play == nil {
		return
	}
	o.play = nil
	s.emit(Event{Kind: EventPlayed, Play: o.playID, Whole: whole, At: now})
}
