package rtp

import "github.com/ringfence/ringfence"

// maxFrame is the longest packet we send, in samples: 60 ms at 8 kHz.
const maxFrame = 480

// Source gives audio when it is time to send it. Read fills frame with 8 kHz
// samples and returns how many, and whether more may follow; what it leaves
// is sent as silence. It is called from the pacing goroutine of all sessions:
// it must return at once and may not call the session.
type Source interface {
	Read(frame []int16) (n int, more bool)
}

// clipSource plays a clip once.
type clipSource struct {
	clip ringfence.Clip
}

func (c *clipSource) Read(frame []int16) (int, bool) {
	n := copy(frame, c.clip)
	c.clip = c.clip[n:]
	return n, len(c.clip) > 0
}

// loopSource plays a clip for ever. An empty clip is silence.
type loopSource struct {
	clip ringfence.Clip
	pos  int
}

func (l *loopSource) Read(frame []int16) (int, bool) {
	if len(l.clip) == 0 {
		return 0, true
	}
	for n := 0; n < len(frame); {
		k := copy(frame[n:], l.clip[l.pos:])
		n += k
		l.pos = (l.pos + k) % len(l.clip)
	}
	return len(frame), true
}
