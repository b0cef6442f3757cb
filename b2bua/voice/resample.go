package voice

import "math"

// The rates that synthesisers and editors write, in samples a second.
var inputRates = [...]int{8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000}

func resamples(rate int) bool {
	for _, r := range inputRates {
		if r == rate {
			return true
		}
	}
	return false
}

// The low-pass filter of Resample: a sinc in a Kaiser window. It passes the
// telephone band (to 3.4 kHz) and is down by more than 60 dB at 4.2 kHz, so
// that a 16 kHz recording does not fold its sibilants back as noise.
const (
	resampleCutoff    = 3700.0 // Hz, -6 dB
	resampleHalfWidth = 5e-3   // s: reach of the filter to either side
	kaiserBeta        = 6.5
)

// Resample returns pcm, sampled at rate, at 8 kHz. A rate of 8000 returns pcm
// itself. The rate must be one that ReadWAV takes; for any other the result
// is empty.
func Resample(pcm []int16, rate int) []int16 {
	if rate == Rate || !resamples(rate) {
		if rate == Rate {
			return pcm
		}
		return nil
	}
	// Output sample n stands at input time n·rate/8000 = whole + phase/up.
	g := gcd(rate, Rate)
	up, down := Rate/g, rate/g
	half := int(math.Ceil(resampleHalfWidth * float64(rate)))
	phases := filterPhases(up, half, rate)
	out := make([]int16, (len(pcm)*up+down-1)/down)
	for n := range out {
		at := n * down
		whole, taps := at/up, phases[at%up]
		var sum float64
		for k, w := range taps {
			i := whole + k - half + 1
			if i >= 0 && i < len(pcm) {
				sum += w * float64(pcm[i])
			}
		}
		out[n] = clamp16(sum)
	}
	return out
}

// filterPhases returns, for each of up positions between two input samples,
// the 2·half taps around it, each set adding up to one.
func filterPhases(up, half, rate int) [][]float64 {
	cutoff := min(resampleCutoff, 0.45*float64(rate))
	phases := make([][]float64, up)
	for p := range phases {
		taps := make([]float64, 2*half)
		var sum float64
		for k := range taps {
			x := float64(k-half+1) - float64(p)/float64(up) // input samples from the output's place
			taps[k] = sinc(2*cutoff/float64(rate)*x) * kaiser(x/float64(half))
			sum += taps[k]
		}
		for k := range taps {
			taps[k] /= sum
		}
		phases[p] = taps
	}
	return phases
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window over [-1, 1].
func kaiser(x float64) float64 {
	if x < -1 || x > 1 {
		return 0
	}
	return bessel0(kaiserBeta*math.Sqrt(1-x*x)) / bessel0(kaiserBeta)
}

// bessel0 is the modified Bessel function of the first kind and order zero.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / (2 * k)) * (x / (2 * k))
		sum += term
	}
	return sum
}

func clamp16(x float64) int16 {
	return int16(max(math.MinInt16, min(math.MaxInt16, math.Round(x))))
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
