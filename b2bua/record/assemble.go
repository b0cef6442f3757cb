package record

import (
	"time"

	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Bounds of the assembler, in samples of 8 kHz.
const (
	slack  = 480  // 60 ms: a frame this much late or early joins the one before
	ahead  = 4000 // 500 ms: a side that runs further ahead of the clock loses frames
	settle = 2400 // 300 ms: how long a block waits for its slower side
)

// item is what the assembler hands on: blocks of one mark. Only audio has
// content, of one block.
type item struct {
	mark   mark
	blocks int64
	audio  *block
}

// assembler lays the frames of both sides side by side on the clock of the
// first. It is owned by one goroutine.
type assembler struct {
	out     func(item)
	start   time.Time
	base    int64 // samples handed on
	sides   [2]side
	cutting bool
}

// side is one way's samples from base on.
type side struct {
	pcm  []int16
	lost int64 // up to this sample the silence is a loss; 0 = none
}

// take takes the next frame of a tap.
func (a *assembler) take(f rtp.Frame) {
	if a.start.IsZero() {
		a.start = f.At
	}
	switch at := a.index(f.At); {
	case f.Cut:
		a.cut(at)
	case f.Resume:
		a.resume(at)
	case a.cutting || f.PCM == nil:
	default:
		a.lay(&a.sides[f.Way&1], at, f)
		a.flush(at - settle)
	}
}

// index is the sample of a time.
func (a *assembler) index(t time.Time) int64 {
	return max(0, int64(t.Sub(a.start)/(time.Second/8000)))
}

// lay puts a frame behind what its side has, or where its time says.
func (a *assembler) lay(s *side, at int64, f rtp.Frame) {
	have := a.base + int64(len(s.pcm))
	switch {
	case at > have+slack:
		a.flush(at - settle - blockSamples) // a long silence needs no room
		missing := at - a.base - int64(len(s.pcm))
		s.pcm = append(s.pcm, make([]int16, max(0, missing))...)
		if f.Lost > 0 {
			s.lost = at
		}
	case have > at+ahead:
		return
	}
	s.pcm = append(s.pcm, f.PCM...)
}

// flush hands on whole blocks up to a sample.
func (a *assembler) flush(until int64) {
	for a.base+blockSamples <= until {
		m := markAudio
		var pcm [2][]int16
		for i := range a.sides {
			s := &a.sides[i]
			if s.lost > a.base {
				m = markLost
			}
			n := min(len(s.pcm), blockSamples)
			pcm[i] = s.pcm[:n]
		}
		a.out(item{mark: m, blocks: 1, audio: newBlock(m, pcm[0], pcm[1])})
		for i := range a.sides {
			s := &a.sides[i]
			s.pcm = append(s.pcm[:0], s.pcm[len(pcm[i]):]...)
		}
		a.base += blockSamples
	}
}

// cut begins a gap. The block in which it falls belongs to the gap whole.
func (a *assembler) cut(at int64) {
	a.flush(at)
	a.cutting = true
	a.clear()
}

// resume ends a gap, at the end of the block in which it falls.
func (a *assembler) resume(at int64) {
	if !a.cutting {
		return
	}
	n := (max(0, at-a.base) + blockSamples - 1) / blockSamples
	a.out(item{mark: markSecret, blocks: n})
	a.base += n * blockSamples
	a.cutting = false
	a.clear()
}

func (a *assembler) clear() {
	for i := range a.sides {
		a.sides[i] = side{pcm: a.sides[i].pcm[:0]}
	}
}

// end hands on what is left, at the end of the call.
func (a *assembler) end(now time.Time) {
	switch {
	case a.start.IsZero():
	case a.cutting:
		a.resume(a.index(now))
	default:
		a.flush(a.base + int64(max(len(a.sides[0].pcm), len(a.sides[1].pcm))) + blockSamples - 1)
	}
}
