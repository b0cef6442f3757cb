package rtp

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ringfence/ringfence"
)

func detect(clip ringfence.Clip, step int) string {
	d := newToneDetector()
	var out []byte
	for len(clip) > 0 {
		k := min(step, len(clip))
		out = append(out, d.feed(clip[:k])...)
		clip = clip[k:]
	}
	return string(out)
}

func TestTonesAreHeardOnce(t *testing.T) {
	want := digitNames
	for _, step := range []int{1, 80, 160, 480} {
		if have := detect(Tones(want), step); have != want {
			t.Errorf("in steps of %d: have %q, want %q", step, have, want)
		}
	}
}

// Through G.711, with 20 dB of noise, at any beginning in a block, from −25 to
// 0 dBm0, with the frequencies off by 1.5 %, and as short as 40 ms with 40 ms
// pause (ITU-T Q.24).
func TestTonesUnderQ24(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, level := range []float64{700, 2000, 8000, 15000} {
		for _, off := range []float64{0.985, 1, 1.015} {
			for offset := 0; offset < toneBlock; offset += 17 {
				clip := make(ringfence.Clip, offset)
				for i := range len(digitNames) {
					clip = appendDetuned(clip, digitNames[i], 340, level, off, 1)
					clip = append(clip, make(ringfence.Clip, 340)...)
				}
				for i := range clip {
					v := float64(clip[i]) + rng.NormFloat64()*level*0.07
					clip[i] = int16(max(-32768, min(32767, v)))
				}
				clip = decodeG711(nil, encodeG711(nil, clip, PCMA), alawToLinear)
				if have := detect(clip, 160); have != digitNames {
					t.Fatalf("level %v, off %v, offset %d: have %q", level, off, offset, have)
				}
			}
		}
	}
}

func appendDetuned(clip ringfence.Clip, digit byte, n int, level, off, twist float64) ringfence.Clip {
	for i := range len(keypad) {
		if keypad[i] != digit {
			continue
		}
		for k := range n {
			t := 2 * math.Pi * float64(k) / 8000 * off
			clip = append(clip, int16(level*math.Sin(rowHz[i/4]*t)+level*twist*math.Sin(columnHz[i%4]*t)))
		}
	}
	return clip
}

func TestTonesAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	noise := make(ringfence.Clip, 80000)
	for i := range noise {
		noise[i] = int16(rng.NormFloat64() * 6000)
	}
	single := make(ringfence.Clip, 8000)
	for i := range single {
		single[i] = int16(12000 * math.Sin(2*math.Pi*697*float64(i)/8000))
	}
	dial := make(ringfence.Clip, 8000)
	for i := range dial {
		t := 2 * math.Pi * float64(i) / 8000
		dial[i] = int16(8000*math.Sin(350*t) + 8000*math.Sin(440*t))
	}
	// Voiced speech: a buzz of many harmonics that glides.
	voice := make(ringfence.Clip, 80000)
	phase := 0.0
	for i := range voice {
		phase += 2 * math.Pi * (110 + 60*math.Sin(float64(i)/9000)) / 8000
		var v float64
		for h := 1; h <= 24; h++ {
			v += math.Sin(float64(h)*phase) / math.Sqrt(float64(h))
		}
		voice[i] = int16(3000 * v)
	}
	for _, tt := range []struct {
		name string
		have ringfence.Clip
	}{
		{"silence", make(ringfence.Clip, 8000)},
		{"noise", noise},
		{"a row without column", single},
		{"dial tone", dial},
		{"voice", voice},
		{"a key of 12 ms", appendTone(make(ringfence.Clip, 50), '5', 96, 8000)},
		{"too faint", appendTone(nil, '5', 1600, 120)},
		{"a row 10 dB over its column", appendDetuned(nil, '5', 1600, 12000, 1, 0.31)},
		{"a column 12 dB over its row", appendDetuned(nil, '5', 1600, 3000, 1, 4)},
		{"off by 5 %", appendDetuned(nil, '5', 1600, 8000, 1.05, 1)},
	} {
		if have := detect(tt.have, 160); have != "" {
			t.Errorf("%s: have %q", tt.name, have)
		}
	}
}

func TestInbandDigitsReachTheEvents(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		f := newFar(t, p, 10, func(x *Params) { x.Digits = DigitsInband; x.EventType = 0 })
		b := encodeG711(nil, Tones("19*"), PCMU)
		for len(b) >= 160 {
			f.arrive(f.addr, f.bytes(0, false, f.ts, b[:160]))
			f.ts += 160
			b = b[160:]
		}
		if d := f.digits(); d != "19*" {
			t.Fatalf("have %q", d)
		}
	})
}

func BenchmarkToneDetector(b *testing.B) {
	d, pcm := newToneDetector(), Tones("5")[:160]
	b.ReportAllocs()
	for b.Loop() {
		d.feed(pcm)
	}
}
