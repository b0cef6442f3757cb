package record

import "github.com/zaf/g711"

// The layout of a recording before encryption: blocks of one octet that tells
// what they hold, and 160 samples of each side in G.711 µ-law, left and right
// in turn. It is stored and never changed.
const (
	blockSamples = 160 // 20 ms at 8 kHz
	blockBytes   = 1 + 2*blockSamples
	blockMillis  = 20
)

// mark tells what a block holds.
type mark byte

// The marks. They are stored.
const (
	markAudio  mark = 0
	markSecret mark = 1 // the leg was cut: nothing of it was heard
	markLost   mark = 2 // we were too slow, or the disk was
)

// why is the word for a gap in index and ledger.
func (m mark) why() string {
	if m == markSecret {
		return "secret"
	}
	return "lost"
}

const silence = 0xff // µ-law

// block is one stretch of 20 ms.
type block [blockBytes]byte

// emptyBlock is a block of silence that says why.
func emptyBlock(m mark) *block {
	var b block
	for i := range b {
		b[i] = silence
	}
	b[0] = byte(m)
	return &b
}

// newBlock encodes both sides; what is missing is silence.
func newBlock(m mark, left, right []int16) *block {
	b := emptyBlock(m)
	for i, v := range left[:min(len(left), blockSamples)] {
		b[1+2*i] = g711.EncodeUlawFrame(v)
	}
	for i, v := range right[:min(len(right), blockSamples)] {
		b[2+2*i] = g711.EncodeUlawFrame(v)
	}
	return b
}

// Gap is a stretch of a recording without audio.
type Gap struct {
	FromMillis int64  `json:"from_ms"`
	Millis     int64  `json:"ms"`
	Why        string `json:"why"` // secret or lost
}

// gaps gathers the gaps of the blocks that are written or read, in order.
type gaps struct {
	blocks int64
	last   mark
	list   []Gap
}

// count takes the next n blocks of one mark.
func (g *gaps) count(m mark, n int64) {
	if n == 0 {
		return
	}
	if m != markAudio {
		if m == g.last && len(g.list) > 0 {
			g.list[len(g.list)-1].Millis += n * blockMillis
		} else {
			g.list = append(g.list, Gap{FromMillis: g.blocks * blockMillis, Millis: n * blockMillis, Why: m.why()})
		}
	}
	g.last = m
	g.blocks += n
}
