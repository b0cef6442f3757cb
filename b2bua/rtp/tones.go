package rtp

import (
	"math"

	"github.com/ringfence/ringfence"
)

// The frequencies of DTMF in Hz (ITU-T Q.23), and the keys at their crossings.
var (
	rowHz    = [4]float64{697, 770, 852, 941}
	columnHz = [4]float64{1209, 1336, 1477, 1633}
)

const keypad = "123A456B789C*0#D"

// Bounds of the detector, after ITU-T Q.24: 40 ms are a key, 23 ms are none;
// 1.5 % off frequency is a key; a row may be 4 dB louder than its column, a
// column 8 dB louder than its row.
const (
	toneBlock     = 102   // samples, 12.75 ms: three whole blocks in a shortest key
	toneMinimum   = 450.0 // least amplitude of each of the two, about −34 dBm0
	toneShare     = 0.62  // of the block's energy in the two; speech has less
	toneClearance = 6.3   // 8 dB over every other row and column
	rowTwist      = 4.0   // 6 dB
	columnTwist   = 8.0   // 9 dB
	toneBegin     = 2     // blocks alike that begin a key
	toneEnd       = 2     // other blocks that end it
)

// toneDetector finds DTMF in 8 kHz audio with a Goertzel filter a frequency.
// Owned by the session's receiving side.
type toneDetector struct {
	coefficient [8]float64
	q1, q2      [8]float64
	energy      float64
	n           int // samples in the block so far

	key    byte // the key that sounds; 0 = none
	last   byte // what the last block held
	alike  int  // blocks in a row that held last
	misses int  // blocks in a row that did not hold key
	blocks int
	found  []byte
}

func newToneDetector() *toneDetector {
	d := &toneDetector{found: make([]byte, 0, 8)}
	for i := range 4 {
		d.coefficient[i] = 2 * math.Cos(2*math.Pi*rowHz[i]/8000)
		d.coefficient[4+i] = 2 * math.Cos(2*math.Pi*columnHz[i]/8000)
	}
	return d
}

// feed takes audio and returns the keys that began in it. The result is valid
// until the next call.
func (d *toneDetector) feed(pcm []int16) []byte {
	d.found = d.found[:0]
	for len(pcm) > 0 {
		k := min(len(pcm), toneBlock-d.n)
		d.filter(pcm[:k])
		pcm = pcm[k:]
		if d.n += k; d.n == toneBlock {
			d.judge(d.match())
			d.q1, d.q2, d.energy, d.n = [8]float64{}, [8]float64{}, 0, 0
		}
	}
	return d.found
}

func (d *toneDetector) filter(pcm []int16) {
	for _, s := range pcm {
		d.energy += float64(s) * float64(s)
	}
	for i, c := range d.coefficient {
		q1, q2 := d.q1[i], d.q2[i]
		for _, s := range pcm {
			q1, q2 = c*q1-q2+float64(s), q1
		}
		d.q1[i], d.q2[i] = q1, q2
	}
}

// match returns the key of a whole block, 0 for none.
func (d *toneDetector) match() byte {
	var power [8]float64
	for i := range power {
		power[i] = d.q1[i]*d.q1[i] + d.q2[i]*d.q2[i] - d.coefficient[i]*d.q1[i]*d.q2[i]
	}
	row, column := loudest(power[:4]), 4+loudest(power[4:])
	r, c := power[row], power[column]
	const least = (toneMinimum * toneBlock / 2) * (toneMinimum * toneBlock / 2)
	switch {
	case r < least || c < least:
		return 0
	case r > c*rowTwist || c > r*columnTwist:
		return 0
	case r+c < toneShare*d.energy*toneBlock/2:
		return 0
	}
	for i := range 4 {
		if i != row && power[i]*toneClearance > r || 4+i != column && power[4+i]*toneClearance > c {
			return 0
		}
	}
	return keypad[4*row+column-4]
}

func loudest(p []float64) int {
	best := 0
	for i := range p {
		if p[i] > p[best] {
			best = i
		}
	}
	return best
}

// judge takes what a block held and begins or ends a key.
func (d *toneDetector) judge(key byte) {
	d.blocks++
	if key == d.last {
		d.alike++
	} else {
		d.last, d.alike = key, 1
	}
	if key != 0 && key == d.key {
		d.misses = 0
		return
	}
	d.misses++
	if key != 0 && d.alike >= toneBegin {
		d.key, d.misses = key, 0
		d.found = append(d.found, key)
	} else if d.misses >= toneEnd {
		d.key = 0
	}
}

// quiet reports whether the last blocks, two at least, held no tone.
func (d *toneDetector) quiet() bool {
	return d.blocks >= toneEnd && d.key == 0 && d.last == 0 && d.alike >= toneEnd
}

// Tones returns the DTMF of digits as audio, each 100 ms with 80 ms pause, for
// far ends that have no telephone-events. What is no digit is silence.
func Tones(digits string) ringfence.Clip {
	clip := make(ringfence.Clip, 0, len(digits)*(keySamples+pauseSamples))
	for i := range len(digits) {
		clip = appendTone(clip, digits[i], keySamples, 8000)
		clip = append(clip, make(ringfence.Clip, pauseSamples)...)
	}
	return clip
}

// appendTone appends n samples of one key, each of its tones with the
// amplitude given.
func appendTone(clip ringfence.Clip, digit byte, n int, amplitude float64) ringfence.Clip {
	at := -1
	for i := range len(keypad) {
		if code := eventCode(digit); code >= 0 && keypad[i] == digitNames[code] {
			at = i
		}
	}
	if at < 0 {
		return append(clip, make(ringfence.Clip, n)...)
	}
	row, column := rowHz[at/4], columnHz[at%4]
	for i := range n {
		t := 2 * math.Pi * float64(i) / 8000
		clip = append(clip, int16(amplitude*(math.Sin(row*t)+math.Sin(column*t))))
	}
	return clip
}
