package voice

import (
	"cmp"
	"math"
	"slices"
)

// How a candidate is followed.
const (
	followBlock = FrameSamples         // 20 ms: a lost packet spoils two
	followLevel = 300                  // RMS from which a block is compared: -41 dB
	coarseScore = 0.35                 // correlation at the onset from which a recording is a candidate
	blockScore  = 0.95                 // correlation from which a block is the recording's
	alignReach  = 4                    // samples either side of an onset, until the first block fits
	searchReach = hearDecimate * 3 / 2 // the same for a place found by search
	trackReach  = 1                    // samples either side, thereafter: clocks differ, voices do not stretch
	maxPackets  = 2                    // packets lost, or doubled, within one recording
	maxAlike    = 40                   // recordings followed at one onset
	maxPeaks    = 12                   // places at which one recording is followed: a voice has some in reach
	maxFavour   = 4                    // of one block: 40 dB above what does not fit
)

// peak is a place where the beginning of a recording fits.
type peak struct {
	lag   int // decimated samples
	score float64
}

// peaks slides the beginning of the recording over the segment and returns
// where it fits best, best first: a voice fits itself again one period on.
func (t *template) peaks(low []float32, sums []float64) []peak {
	n := len(t.low)
	lags := min(2*hearSlack/hearDecimate+1, len(low)-n+1)
	if lags <= 0 {
		return nil
	}
	scores := make([]float64, lags)
	for l := range scores {
		e := sums[l+n] - sums[l]
		if e <= 0 {
			continue
		}
		scores[l] = float64(dot(t.low, low[l:l+n])) / math.Sqrt(e*t.norm)
	}
	var out []peak
	for l, s := range scores {
		if s > coarseScore && (l == 0 || scores[l-1] < s) && (l == lags-1 || scores[l+1] <= s) {
			out = append(out, peak{l, s})
		}
	}
	slices.SortFunc(out, func(a, b peak) int { return cmp.Compare(b.score, a.score) })
	return out[:min(len(out), maxPeaks)]
}

// dot is the inner product of a with as much of b, four sums at a time.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// candidate is a recording that may be sounding.
type candidate struct {
	*template
	start  int // index into the received samples where its first one stands
	shift  int // how far packets lost or doubled, and clocks, have moved it since
	packet int // how many packets of that
	next   int // index into blocks
	reach  int // how exactly start is known, until locked
	locked bool

	compared, misses int
	favour           float64 // see weigh
}

func (c *candidate) ended() bool { return c.next == len(c.blocks) }

// accepted reports whether the recording was heard to its end.
func (c *candidate) accepted() bool {
	return c.ended() && c.favour > 0 && !c.failed() && c.misses*2 <= c.compared
}

// doubtful reports whether so little speaks for an accepted candidate that a
// better place or recording should be looked for.
func (c *candidate) doubtful() bool { return c.favour < float64(c.compared) }

// failed reports whether more is amiss than a lost packet, which spoils two
// blocks, can explain.
func (c *candidate) failed() bool { return c.misses > 2+c.compared/10 }

// follow compares the blocks for which there are samples. It returns false
// when it is sure that this is another sound.
func (c *candidate) follow(buf []int16) bool {
	for !c.ended() {
		at := c.start + c.shift + c.blocks[c.next]
		if at+followBlock+(maxPackets+1)*FrameSamples > len(buf) {
			return true
		}
		if c.compare(buf, at); c.failed() {
			return false
		}
	}
	return true
}

// compare correlates the next block around its place; then, where it does not
// fit, as many packets earlier and later as may have been lost or doubled. A
// steady vowel may fit a packet off, so every move is measured from the start.
func (c *candidate) compare(buf []int16, at int) {
	block := c.clip[c.blocks[c.next] : c.blocks[c.next]+followBlock]
	c.next++
	c.compared++
	if !c.locked {
		best := bestFit(block, buf, at, c.reach)
		c.weigh(best.score)
		if best.score >= blockScore {
			c.locked = true
			c.start += best.move
		}
		return
	}
	best := bestFit(block, buf, at, trackReach)
	if best.score < blockScore {
		for p := -maxPackets; p <= maxPackets; p++ {
			off := (p - c.packet) * FrameSamples
			if f := bestFit(block, buf, at+off, trackReach); f.score > best.score {
				best = fit{score: f.score, move: off + f.move, packet: p - c.packet}
			}
		}
	}
	c.weigh(best.score)
	if best.score >= blockScore {
		c.shift += best.move
		c.packet += best.packet
	}
}

// weigh is what a block says for its recording: how many powers of ten what
// fits stands above what does not, less one. The same recording, transcoded,
// has two or three; the same vowel in another word less than one. A block that
// does not fit counts one against, however badly: its packet may be lost.
func (c *candidate) weigh(score float64) {
	if score < blockScore {
		c.misses++
		c.favour--
		return
	}
	c.favour += min(maxFavour, -math.Log10(max(1e-9, 1-score*score))) - 1
}

// fit is how well a block fits, and where.
type fit struct {
	score        float64
	move, packet int
}

func bestFit(block, buf []int16, at, reach int) (best fit) {
	for d := -reach; d <= reach; d++ {
		if s := correlation(block, buf, at+d); s > best.score {
			best = fit{score: s, move: d}
		}
	}
	return best
}

// correlation is the normalised correlation of block with buf at a place; 0
// where buf has too little sound or does not reach.
func correlation(block, buf []int16, at int) float64 {
	if at < 0 || at+len(block) > len(buf) {
		return 0
	}
	var dot, own, other int64
	for i, s := range buf[at : at+len(block)] {
		a, b := int64(block[i]), int64(s)
		dot += a * b
		own += a * a
		other += b * b
	}
	if dot <= 0 || other == 0 {
		return 0
	}
	return float64(dot) / math.Sqrt(float64(own)*float64(other))
}

func energy(c []int16) (sum int) {
	for _, s := range c {
		sum += int(s) * int(s)
	}
	return sum
}

// decimate keeps every hearDecimate-th sample, averaged over twice as many: a
// coarse low-pass, which leaves what hearDecimate/2 samples do not turn over.
func decimate(c []int16) []float32 {
	out := make([]float32, max(0, len(c)/hearDecimate-1))
	for i := range out {
		var sum int
		for _, s := range c[i*hearDecimate : (i+2)*hearDecimate] {
			sum += int(s)
		}
		out[i] = float32(sum) / (2 * hearDecimate)
	}
	return out
}

// prefixEnergy returns sums such that sums[b]-sums[a] is the energy of c[a:b].
func prefixEnergy(c []float32) []float64 {
	sums := make([]float64, len(c)+1)
	for i, x := range c {
		sums[i+1] = sums[i] + float64(x)*float64(x)
	}
	return sums
}
