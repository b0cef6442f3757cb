package voice

import (
	"math"

	"github.com/ringfence/ringfence"
)

// Ringback returns one period, three seconds, of the British ringing tone
// (400 and 450 Hz; 0.4 s on, 0.2 s off, 0.4 s on, 2 s off). Played again and
// again it is what a waiting caller hears.
func Ringback() ringfence.Clip {
	c := make(ringfence.Clip, 3*Rate)
	for _, from := range [...]float64{0, 0.6} {
		tone(c, from, 0.4, 400, 2500)
		tone(c, from, 0.4, 450, 2500)
	}
	return c
}

// Beep returns a fifth of a second of 1 kHz and as much silence: "your turn",
// and what an agent hears for each key of a caller who is entering a code.
func Beep() ringfence.Clip {
	c := make(ringfence.Clip, Rate*2/5)
	tone(c, 0, 0.2, 1000, 4000)
	return c
}

// HoldMusic returns the tune played while a caller waits: a slow walk over
// four chords, made here and owned by the project. It is a whole number of
// frames long and can be repeated without a seam.
func HoldMusic() ringfence.Clip {
	const beat = 0.48        // seconds
	bars := [...][8]float64{ // C, a minor, F, G: arpeggios up and down, Hz
		{261.63, 329.63, 392.00, 523.25, 659.26, 523.25, 392.00, 329.63},
		{220.00, 261.63, 329.63, 440.00, 523.25, 440.00, 329.63, 261.63},
		{174.61, 261.63, 349.23, 440.00, 523.25, 440.00, 349.23, 261.63},
		{196.00, 246.94, 293.66, 392.00, 493.88, 392.00, 293.66, 246.94},
	}
	c := make(ringfence.Clip, int(float64(2*len(bars)*8)*beat*Rate))
	for i := range 2 * len(bars) * 8 {
		note := bars[i/8%len(bars)][i%8]
		if i >= len(bars)*8 && i%4 == 3 { // the second time round a little brighter
			note *= 1.5
		}
		pluck(c, float64(i)*beat, note)
	}
	return padFrame(c)
}

// tone adds a sine with soft edges. Times are in seconds, level in samples.
func tone(c ringfence.Clip, from, seconds, freq, level float64) {
	start, n := int(from*Rate), int(seconds*Rate)
	for i := range n {
		edge := min(1, float64(min(i, n-i))/(0.005*Rate))
		c[start+i] += int16(level * edge * math.Sin(2*math.Pi*freq*float64(i)/Rate))
	}
}

// pluck adds a note that dies away over 1.4 s, around the end into the
// beginning.
func pluck(c ringfence.Clip, from, freq float64) {
	start := int(from * Rate)
	for i := range int(1.4 * Rate) {
		t := float64(i) / Rate
		attack := min(1, t/0.012)
		s := 1800 * attack * math.Exp(-3.2*t) * (math.Sin(2*math.Pi*freq*t) + 0.25*math.Sin(4*math.Pi*freq*t)*math.Exp(-3*t))
		c[(start+i)%len(c)] += int16(s)
	}
}
