package voice

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/ringfence/ringfence"
)

// le writes its arguments one after another, little-endian.
func le(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		if s, ok := p.(string); ok {
			b.WriteString(s)
			continue
		}
		if err := binary.Write(&b, binary.LittleEndian, p); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func riff(chunks ...[]byte) []byte {
	body := append([]byte("WAVE"), bytes.Join(chunks, nil)...)
	return append(le("RIFF", uint32(len(body))), body...)
}

func fmtChunk(tag, channels uint16, rate uint32, bits uint16) []byte {
	return le("fmt ", uint32(16), tag, channels, rate, rate*uint32(bits)/8, bits/8, bits)
}

func dataChunk(b []byte) []byte { return append(le("data", uint32(len(b))), b...) }

func TestReadWAVRefuses(t *testing.T) {
	pcm := fmtChunk(wavePCM, 1, 8000, 16)
	two := dataChunk([]byte{1, 0})
	for _, tt := range []struct {
		name string
		have []byte
	}{
		{"nothing", nil},
		{"no header", []byte("RIFF\x04\x00\x00\x00WAV")},
		{"another file", []byte("OggS00000000000000000000")},
		{"size of the whole past the end", le("RIFF", uint32(5000), "WAVE")},
		{"chunk past the end", riff(pcm, le("data", uint32(9), uint16(0)))},
		{"chunk of four gigabytes", riff(pcm, le("data", uint32(math.MaxUint32)))},
		{"stray bytes", riff(pcm, two, []byte{1, 2, 3})},
		{"no audio", riff(pcm)},
		{"empty audio", riff(pcm, dataChunk(nil))},
		{"no format", riff(two)},
		{"audio before format", riff(two, pcm)},
		{"two formats", riff(pcm, pcm, two)},
		{"two audios", riff(pcm, two, two)},
		{"half a sample", riff(pcm, dataChunk([]byte{1, 0, 1}))},
		{"short format", riff(le("fmt ", uint32(4), uint32(0)), two)},
		{"stereo", riff(fmtChunk(wavePCM, 2, 8000, 16), two)},
		{"no channel", riff(fmtChunk(wavePCM, 0, 8000, 16), two)},
		{"eight-bit PCM", riff(fmtChunk(wavePCM, 1, 8000, 8), two)},
		{"no rate", riff(fmtChunk(wavePCM, 1, 0, 16), two)},
		{"strange rate", riff(fmtChunk(wavePCM, 1, 7999, 16), two)},
		{"highest rate", riff(fmtChunk(wavePCM, 1, math.MaxUint32, 16), two)},
		{"wide-band G.711", riff(fmtChunk(waveMuLaw, 1, 16000, 8), two)},
		{"16-bit G.711", riff(fmtChunk(waveALaw, 1, 8000, 16), two)},
		{"ADPCM", riff(fmtChunk(0x11, 1, 8000, 4), two)},
		{"extensible", riff(fmtChunk(0xfffe, 1, 8000, 16), two)},
		{"longer than ten minutes", riff(fmtChunk(waveMuLaw, 1, 8000, 8), dataChunk(make([]byte, MaxClipSeconds*Rate+1)))},
		{"larger than the bound", make([]byte, MaxWAVBytes+1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if clip, err := ReadWAV(tt.have); !errors.Is(err, ErrWAV) || clip != nil {
				t.Errorf("ReadWAV = %d samples, %v; want none, %v", len(clip), err, ErrWAV)
			}
		})
	}
}

func TestReadWAV(t *testing.T) {
	law := []byte{0xff, 0x7f, 0x80, 0x00}
	for _, tt := range []struct {
		name string
		have []byte
		want ringfence.Clip
	}{
		{"PCM", riff(fmtChunk(wavePCM, 1, 8000, 16), dataChunk(le([]int16{0, 1, -1, 32767, -32768}))), ringfence.Clip{0, 1, -1, 32767, -32768}},
		{"µ-law", riff(fmtChunk(waveMuLaw, 1, 8000, 8), dataChunk(law)), ringfence.Clip{0, 0, 32124, -32124}},
		{"A-law", riff(fmtChunk(waveALaw, 1, 8000, 8), dataChunk([]byte{0xd5, 0x55})), ringfence.Clip{8, -8}},
		{"other chunks, one of odd length", riff(le("LIST", uint32(3), []byte("abc\x00")), fmtChunk(waveMuLaw, 1, 8000, 8),
			le("fact", uint32(4), uint32(4)), dataChunk(law)), ringfence.Clip{0, 0, 32124, -32124}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadWAV(tt.have)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("ReadWAV = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestReadPipedWAV(t *testing.T) {
	streamed := append(le("RIFF", uint32(math.MaxUint32), "WAVE"), fmtChunk(wavePCM, 1, 8000, 16)...)
	streamed = append(streamed, le("data", uint32(math.MaxUint32), int16(5), int16(6))...)
	got, err := readPipedWAV(streamed)
	if want := (ringfence.Clip{5, 6}); err != nil || !slices.Equal(got, want) {
		t.Errorf("sizes never filled in: %v, %v; want %v", got, err, want)
	}
	if _, err := ReadWAV(streamed); !errors.Is(err, ErrWAV) {
		t.Errorf("the same as a file: %v, want %v", err, ErrWAV)
	}
}

func sine(rate int, freq float64, seconds float64) []int16 {
	out := make([]int16, int(float64(rate)*seconds))
	for i := range out {
		out[i] = int16(10000 * math.Sin(2*math.Pi*freq*float64(i)/float64(rate)))
	}
	return out
}

func level(c []int16) float64 {
	var sum float64
	for _, s := range c {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(len(c)))
}

// A tone of the telephone band passes at its level; one above 4.2 kHz must
// not come back as another tone.
func TestResample(t *testing.T) {
	for _, rate := range inputRates {
		got := Resample(sine(rate, 1000, 0.5), rate)
		if len(got) < 3999 || len(got) > 4001 {
			t.Errorf("%d Hz: half a second became %d samples", rate, len(got))
		}
		if l := level(got[400:3600]) / level(sine(8000, 1000, 0.5)); l < 0.98 || l > 1.02 {
			t.Errorf("%d Hz: 1 kHz passes at %.3f of its level", rate, l)
		}
		if rate < 11000 {
			continue
		}
		above := Resample(sine(rate, 5000, 0.5), rate)
		if l := level(above[400:3600]) / 7071; l > 0.002 {
			t.Errorf("%d Hz: 5 kHz folds back at %.4f of its level", rate, l)
		}
	}
	if got := Resample([]int16{1, 2, 3}, 12345); got != nil {
		t.Errorf("a rate we do not take gave %v", got)
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(riff(fmtChunk(wavePCM, 1, 16000, 16), dataChunk(le([]int16{1, 2, 3}))))
	f.Add(riff(fmtChunk(waveMuLaw, 1, 8000, 8), dataChunk([]byte{1, 2, 3, 4})))
	f.Add(riff(fmtChunk(waveALaw, 1, 8000, 8), le("LIST", uint32(1), []byte{0, 0}), dataChunk([]byte{1, 2})))
	f.Fuzz(func(t *testing.T, b []byte) {
		clip, err := ReadWAV(b)
		if (err == nil) == (len(clip) == 0) {
			t.Fatalf("%d samples and %v", len(clip), err)
		}
		if err != nil {
			return
		}
		if len(clip) > MaxClipSeconds*Rate+1 || len(clip) > len(b)+1 {
			t.Fatalf("%d bytes became %d samples", len(b), len(clip))
		}
		// Two readings of one file: what was read, written, reads the same.
		again, err := ReadWAV(pcmWAV(clip))
		if err != nil || !slices.Equal(again, clip) {
			t.Fatalf("written and read again: %v", err)
		}
		piped, err := readPipedWAV(b)
		if err != nil || !slices.Equal(piped, clip) {
			t.Fatalf("a good file reads otherwise from a pipe: %v", err)
		}
	})
}
