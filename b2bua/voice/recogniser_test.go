package voice

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/zaf/g711"

	"github.com/ringfence/ringfence"
)

// hear feeds the clip in packets and returns the digits heard.
func hear(t testing.TB, lib *Library, clip []int16) string {
	t.Helper()
	r, err := NewRecogniser(lib, "en")
	if err != nil {
		t.Fatal(err)
	}
	return digitsOf(listen(r, clip))
}

func listen(r *Recogniser, clip []int16) []Heard {
	var all []Heard
	for len(clip) > 0 {
		n := min(FrameSamples, len(clip))
		all = append(all, r.Write(clip[:n])...)
		clip = clip[n:]
	}
	return append(all, r.Flush()...)
}

func digitsOf(all []Heard) string {
	var out strings.Builder
	for _, h := range all {
		if h.Digit != 0 {
			out.WriteByte(h.Digit)
		} else {
			fmt.Fprintf(&out, "[%s]", h.Text)
		}
	}
	return out.String()
}

// What a way through the network does to audio.
var ways = []struct {
	name string
	do   func(*rand.Rand, []int16) []int16
}{
	{"as it is", func(_ *rand.Rand, c []int16) []int16 { return c }},
	{"µ-law", func(_ *rand.Rand, c []int16) []int16 { return muLaw(c) }},
	{"A-law", func(_ *rand.Rand, c []int16) []int16 { return aLaw(c) }},
	{"µ-law then A-law", func(_ *rand.Rand, c []int16) []int16 { return aLaw(muLaw(c)) }},
	{"any offset", func(r *rand.Rand, c []int16) []int16 {
		return append(make([]int16, r.IntN(2*FrameSamples)), c...)
	}},
	{"cut into by some samples", func(r *rand.Rand, c []int16) []int16 { return c[r.IntN(FrameSamples):] }},
	{"a packet silent, A-law", func(r *rand.Rand, c []int16) []int16 {
		c = aLaw(c)
		at := r.IntN(len(c)/FrameSamples) * FrameSamples
		clear(c[at : at+FrameSamples])
		return c
	}},
	{"a packet missing, any offset", func(r *rand.Rand, c []int16) []int16 {
		at := r.IntN(len(c)/FrameSamples) * FrameSamples
		out := append(make([]int16, r.IntN(FrameSamples)), c[:at]...)
		return append(out, c[at+FrameSamples:]...)
	}},
	{"a packet twice, µ-law", func(r *rand.Rand, c []int16) []int16 {
		c = muLaw(c)
		at := r.IntN(len(c)/FrameSamples) * FrameSamples
		out := append([]int16{}, c[:at+FrameSamples]...)
		return append(out, c[at:]...)
	}},
	{"half as loud", func(_ *rand.Rand, c []int16) []int16 {
		out := make([]int16, len(c))
		for i, s := range c {
			out[i] = s / 2
		}
		return out
	}},
}

func muLaw(c []int16) []int16 {
	out := make([]int16, len(c))
	for i, s := range c {
		out[i] = g711.DecodeUlawFrame(g711.EncodeUlawFrame(s))
	}
	return out
}

func aLaw(c []int16) []int16 {
	out := make([]int16, len(c))
	for i, s := range c {
		out[i] = g711.DecodeAlawFrame(g711.EncodeAlawFrame(s))
	}
	return out
}

func TestHearsNothingElse(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]int16, 5*Rate)
	for i := range noise {
		noise[i] = int16(rnd.NormFloat64() * 2000)
	}
	for _, tt := range []struct {
		name string
		have []int16
	}{
		{"nothing", nil},
		{"silence", make([]int16, 3*Rate)},
		{"noise", noise},
		{"a tone", sine(Rate, 440, 3)},
		{"ringback", append(append(Ringback(), Ringback()...), Ringback()...)},
		{"beeps", append(append(Beep(), make([]int16, 800)...), Beep()...)},
		{"hold music", append(HoldMusic(), HoldMusic()...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := hear(t, shipped(t), tt.have); got != "" {
				t.Errorf("heard %q", got)
			}
		})
	}
}

// Less than half a recording is none: what was cut off by a key was not heard.
func TestHearsNoHalves(t *testing.T) {
	lib := shipped(t)
	for _, e := range lib.Entries("en")[:36] {
		clip, err := lib.clip("en", e.Kind, e.Text)
		if err != nil {
			t.Fatal(err)
		}
		half := append(append([]int16{}, clip[:len(clip)*40/100]...), make([]int16, Rate)...)
		if got := hear(t, lib, half); got == e.Text || got == "["+e.Text+"]" {
			t.Errorf("half of %q was heard as the whole", e.Text)
		}
	}
}

func TestHearsDigits(t *testing.T) {
	lib := shipped(t)
	v := newVoice(t, Config{Library: lib})
	r, err := NewRecogniser(lib, "en")
	if err != nil {
		t.Fatal(err)
	}
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(7, uint64(i)))
			for _, want := range codes(rnd, 8) {
				clip, err := v.Render(t.Context(), line(ringfence.SpeechPart{As: ringfence.SayDigits, Text: want, Secret: true}))
				if err != nil {
					t.Fatal(err)
				}
				if got := digitsOf(listen(r, way.do(rnd, clip))); got != want {
					t.Errorf("have %s, heard %s", want, got)
				}
			}
		})
	}
}

// codes returns every digit twice in a row, and n random codes of 4 to 8.
func codes(rnd *rand.Rand, n int) []string {
	out := []string{"00112233", "44556677", "8899", "7777777"}
	for range n {
		var code []byte
		for range 4 + rnd.IntN(5) {
			code = append(code, byte('0'+rnd.IntN(10)))
		}
		out = append(out, string(code))
	}
	return out
}

// Every shipped recording is told from every other.
func TestHearsEveryRecording(t *testing.T) {
	lib := shipped(t)
	for _, lang := range lib.Languages() {
		r, err := NewRecogniser(lib)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range lib.Entries(lang) {
			clip, err := lib.clip(lang, e.Kind, e.Text)
			if err != nil {
				t.Fatal(err)
			}
			have := append(make([]int16, 777), aLaw(clip)...)
			got := listen(r, append(have, make([]int16, Rate/10)...))
			if len(got) != 1 || got[0].Text != e.Text || got[0].Language != lang || got[0].Kind != e.Kind {
				t.Errorf("%s %s %q: heard %+v", lang, e.Kind, e.Text, got)
			}
		}
	}
}

// A whole line: the sentence, the code, and what comes after it, in order and
// with its place.
func TestHearsALine(t *testing.T) {
	lib := shipped(t)
	clip, err := newVoice(t, Config{Library: lib}).Render(t.Context(), line(text("Now key these two digits, "),
		ringfence.SpeechPart{As: ringfence.SayDigits, Text: "44", Secret: true, Slow: true}, text(", and then the code. Thank you.")))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRecogniser(lib, "en")
	if err != nil {
		t.Fatal(err)
	}
	got := listen(r, append(append(HoldMusic()[:Rate], make([]int16, 400)...), clip...))
	if want := "[Now key these two digits]44[and then the code][Thank you]"; digitsOf(got) != want {
		t.Fatalf("heard %s, want %s", digitsOf(got), want)
	}
	for i := 1; i < len(got); i++ {
		if got[i].At <= got[i-1].At {
			t.Errorf("%q at %s, %q at %s", got[i-1].Text, got[i-1].At, got[i].Text, got[i].At)
		}
	}
}

func TestRecogniserRefusesUnknownLanguage(t *testing.T) {
	if _, err := NewRecogniser(shipped(t), "en", "xx"); err == nil {
		t.Error("a language without recordings was taken")
	}
}

func BenchmarkRecogniser(b *testing.B) {
	lib := shipped(b)
	clip, err := newVoice(b, Config{Library: lib}).Render(b.Context(), line(ringfence.SpeechPart{As: ringfence.SayDigits, Text: "48395062"}))
	if err != nil {
		b.Fatal(err)
	}
	r, err := NewRecogniser(lib, "en")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		listen(r, clip)
	}
	b.ReportMetric(float64(len(clip))/Rate, "audio-s/op")
}

// Whichever packet of a digit is lost, silenced or doubled, it is heard.
func TestHearsThroughAnyDamage(t *testing.T) {
	lib := shipped(t)
	r, err := NewRecogniser(lib, "en")
	if err != nil {
		t.Fatal(err)
	}
	silence := make([]int16, FrameSamples)
	for d := '0'; d <= '9'; d++ {
		clip, err := lib.clip("en", KindDigit, string(d))
		if err != nil {
			t.Fatal(err)
		}
		clip = padFrame(slices.Clone(clip))
		for at := 0; at < len(clip); at += FrameSamples {
			end := at + FrameSamples
			for name, pieces := range map[string][][]int16{
				"lost":     {clip[:at], clip[end:]},
				"silenced": {clip[:at], silence, clip[end:]},
				"doubled":  {clip[:end], clip[at:]},
			} {
				have := append(make([]int16, 861), slices.Concat(pieces...)...)
				if got := digitsOf(listen(r, muLaw(have))); got != string(d) {
					t.Errorf("%c with packet %d %s: heard %q", d, at/FrameSamples, name, got)
				}
			}
		}
	}
}
