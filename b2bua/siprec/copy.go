package siprec

import (
	"sync"

	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Bounds of a Queue in samples of 8 kHz.
const (
	target = 480  // 60 ms wait before a stream is sent: what its jitter may be
	limit  = 3200 // 400 ms: what is older is dropped
)

// Queue holds one side's audio until it is sent. It is an rtp.Source that never
// ends: where nothing waits it gives silence. The zero Queue is empty.
type Queue struct {
	mu      sync.Mutex // guards everything below
	pcm     []int16
	playing bool
}

var _ rtp.Source = (*Queue)(nil)

// Read implements rtp.Source.
func (q *Queue) Read(frame []int16) (int, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.playing && len(q.pcm) < target {
		return 0, true
	}
	n := copy(frame, q.pcm)
	q.playing = n == len(frame)
	q.pcm = append(q.pcm[:0], q.pcm[n:]...)
	return n, true
}

func (q *Queue) put(pcm []int16) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pcm = append(q.pcm, pcm...)
	if over := len(q.pcm) - limit; over > 0 {
		q.pcm = append(q.pcm[:0], q.pcm[over:]...)
	}
}

func (q *Queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pcm, q.playing = q.pcm[:0], false
}

// Tap is a copy of a leg's audio; *rtp.Tap is one.
type Tap interface {
	Frames() <-chan rtp.Frame
	Close()
}

// Feed fills the queues from a tap until it ends: caller with what the far end
// said, agent with what it heard. At a cut, what still waits of either is thrown
// away. cut is told of each beginning (true) and end of one; it must not block.
func Feed(tap Tap, caller, agent *Queue, cut func(on bool)) {
	for f := range tap.Frames() {
		switch {
		case f.Cut:
			caller.clear()
			agent.clear()
			cut(true)
		case f.Resume:
			cut(false)
		case f.Way == rtp.Received:
			caller.put(f.PCM)
		default:
			agent.put(f.PCM)
		}
	}
}
