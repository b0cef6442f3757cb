package main

import (
	"errors"
	"math"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
)

// How a recording leaves this program. Levels are RMS relative to full scale.
const (
	speechLevel = 0.11  // -19 dB while somebody speaks
	peakLevel   = 0.80  // -2 dB, so that no transcoding clips
	silentLevel = 0.002 // -54 dB: ends below it are cut off

	block     = voice.Rate / 100      // 10 ms
	leadIn    = 2 * block             // kept before the first sound
	tailOut   = 3 * block             // kept after the last
	fadeLen   = voice.Rate * 4 / 1000 // 4 ms
	fullScale = 32768.0
)

// finish cuts the silence off both ends, brings speech to one level and fades
// the cuts.
func finish(c ringfence.Clip) (ringfence.Clip, error) {
	scale(c)
	liftQuiet(c)
	first, last := -1, -1
	for i := 0; i+block <= len(c); i += block {
		if rms(c[i:i+block]) > silentLevel {
			if first < 0 {
				first = i
			}
			last = i + block
		}
	}
	if first < 0 {
		return nil, errors.New("silence")
	}
	c = c[max(0, first-leadIn):min(len(c), last+tailOut)]
	for i := range min(fadeLen, len(c)/2) {
		gain := float64(i) / fadeLen
		c[i] = int16(float64(c[i]) * gain)
		c[len(c)-1-i] = int16(float64(c[len(c)-1-i]) * gain)
	}
	return c, nil
}

// scale brings the louder half of the clip to speechLevel, or less if a peak
// would pass peakLevel.
func scale(c ringfence.Clip) {
	var loudest, peak float64
	for i := 0; i+block <= len(c); i += block {
		loudest = max(loudest, rms(c[i:i+block]))
	}
	var sum float64
	var n int
	for i := 0; i+block <= len(c); i += block {
		if r := rms(c[i : i+block]); r > loudest/4 {
			sum += r * r
			n++
		}
	}
	if n == 0 {
		return
	}
	for _, s := range c {
		peak = max(peak, math.Abs(float64(s))/fullScale)
	}
	gain := min(speechLevel/math.Sqrt(sum/float64(n)), peakLevel/peak)
	for i, s := range c {
		c[i] = int16(math.Round(float64(s) * gain))
	}
}

func rms(c ringfence.Clip) float64 {
	var sum float64
	for _, s := range c {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum/float64(len(c))) / fullScale
}

// foldGain is how much of the band above 4 kHz foldSibilants lays below it.
const foldGain = 1.0

// foldSibilants mirrors the band above 4 kHz at that frequency and adds a part
// of it to the band below. The synthesisers put all of an s above 4 kHz, where
// a telephone has nothing: "six" would be heard as "ick". Hiss is hiss in
// either band.
func foldSibilants(pcm []int16, rate int) []int16 {
	if rate < 4*4000 {
		return pcm
	}
	high := highPass(pcm, rate)
	out := make([]int16, len(pcm))
	for i := range pcm {
		mirror := 2 * foldGain * math.Cos(2*math.Pi*voice.Rate*float64(i)/float64(rate))
		if rate == 2*voice.Rate { // both images fall on the same place
			mirror /= 2
		}
		x := float64(pcm[i]) + mirror*high[i]
		out[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(x))))
	}
	return out
}

// highPass keeps what lies above 4.2 kHz: a windowed sinc, subtracted.
func highPass(pcm []int16, rate int) []float64 {
	const half = 48
	var taps [2*half + 1]float64
	var sum float64
	for k := range taps {
		x := float64(k - half)
		w := 0.5 + 0.5*math.Cos(math.Pi*x/(half+1))
		f := 2 * 4200.0 / float64(rate)
		taps[k] = f * w
		if x != 0 {
			taps[k] = math.Sin(math.Pi*f*x) / (math.Pi * x) * w
		}
		sum += taps[k]
	}
	out := make([]float64, len(pcm))
	for i := range pcm {
		var low float64
		for k, t := range taps {
			if j := i + k - half; j >= 0 && j < len(pcm) {
				low += t / sum * float64(pcm[j])
			}
		}
		out[i] = float64(pcm[i]) - low
	}
	return out
}

// liftQuiet raises the weak consonants between -30 and -56 dB, by as much as
// 12 dB, so that the f of "five" is not lost on the way and nine understood.
func liftQuiet(c ringfence.Clip) {
	const loud, floor, slope = -30.0, -56.0, 0.45
	gains := make([]float64, len(c)/block+1)
	for i := range gains {
		gains[i] = 1
		if (i+1)*block > len(c) {
			continue
		}
		level := 20 * math.Log10(rms(c[i*block:(i+1)*block])+1e-9)
		if level > floor && level < loud {
			gains[i] = math.Pow(10, slope*(loud-level)/20)
		}
	}
	for i := range c {
		// Between the middles of two blocks the gain moves in a line.
		at := float64(i)/block - 0.5
		k := max(0, int(at))
		next := min(k+1, len(gains)-1)
		t := max(0, at-float64(k))
		c[i] = int16(math.Round(float64(c[i]) * (gains[k]*(1-t) + gains[next]*t)))
	}
}
