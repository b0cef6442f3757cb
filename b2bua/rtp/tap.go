package rtp

import (
	"slices"
	"sync"
	"time"
)

// Way tells the two sides of a tap apart.
type Way uint8

// The ways, seen from us.
const (
	Received Way = 0 // what the far end said
	Sent     Way = 1 // what the far end heard
)

// Frame is one stretch of audio in a tap, or the mark of a gap.
type Frame struct {
	Way Way
	At  time.Time
	// PCM is 8 kHz linear audio, owned by the reader of the tap. Nil in a mark.
	PCM []int16
	// Cut marks the beginning (true) and, with Resume, the end of a stretch
	// that no tap may hear. A mark has no way.
	Cut, Resume bool
	// Lost counts the frames dropped just before this one because the reader
	// was slow.
	Lost uint64
}

// tapQueue is how many frames wait for a reader: 2 s both ways at 20 ms.
const tapQueue = 200

// Tap is a copy of a session's audio, both ways, for a recorder or a fork. It
// holds at most 200 frames; a slow reader loses new frames and stalls nothing.
type Tap struct {
	s  *Session
	ch chan Frame

	mu     sync.Mutex // guards everything below
	closed bool
	lost   uint64
	marks  []Frame // marks for which the queue had no room
}

// Tap begins a copy. While the session is cut it begins with a mark.
func (s *Session) Tap() *Tap {
	t := &Tap{s: s, ch: make(chan Frame, tapQueue)}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if s.in.closed {
		t.closed = true
		close(t.ch)
		return t
	}
	if s.cut.Load() {
		t.put(Frame{Cut: true, At: time.Now()})
	}
	list := []*Tap{t}
	if old := s.taps.Load(); old != nil {
		list = append(slices.Clone(*old), t)
	}
	s.taps.Store(&list)
	return t
}

// Frames returns the frames in the order they were heard and sent. It is
// closed by Close and when the session closes.
func (t *Tap) Frames() <-chan Frame { return t.ch }

// Close ends the copy. Closing twice is harmless.
func (t *Tap) Close() {
	s := t.s
	s.in.mu.Lock()
	s.out.mu.Lock()
	if old := s.taps.Load(); old != nil {
		list := slices.DeleteFunc(slices.Clone(*old), func(x *Tap) bool { return x == t })
		if len(list) == 0 {
			s.taps.Store(nil)
		} else {
			s.taps.Store(&list)
		}
	}
	s.out.mu.Unlock()
	s.in.mu.Unlock()
	t.end()
}

func (t *Tap) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		close(t.ch)
	}
}

// put queues a frame without waiting. Marks are never lost: one that finds no
// room goes before the next frame that does.
func (t *Tap) put(f Frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if f.PCM == nil {
		t.marks = append(t.marks, f)
	}
	for len(t.marks) > 0 {
		select {
		case t.ch <- t.marks[0]:
			t.marks = t.marks[1:]
		default:
			if f.PCM != nil {
				t.lost++
			}
			return
		}
	}
	if f.PCM == nil {
		return
	}
	f.Lost = t.lost
	select {
	case t.ch <- f:
		t.lost = 0
	default:
		t.lost++
	}
}

func feedTaps(taps []*Tap, way Way, pcm []int16, at time.Time) {
	if len(pcm) == 0 {
		return
	}
	for _, t := range taps {
		t.put(Frame{Way: way, At: at, PCM: slices.Clone(pcm)})
	}
}

// markTaps puts the mark of a cut into every tap. in.mu and out.mu are held.
func (s *Session) markTaps(on bool, now time.Time) {
	taps := s.taps.Load()
	if taps == nil {
		return
	}
	for _, t := range *taps {
		t.put(Frame{Cut: on, Resume: !on, At: now})
	}
}

func (s *Session) closeTaps() {
	taps := s.taps.Swap(nil)
	if taps == nil {
		return
	}
	for _, t := range *taps {
		t.end()
	}
}
