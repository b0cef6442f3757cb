package rtp

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"
)

func vector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/g722/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func samples(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return pcm
}

// The lower sub-band must be bit-exact with an independent codec: both ends
// adapt from it, so that one wrong bit is heard for long.
func TestG722AgreesWithAnIndependentCodec(t *testing.T) {
	pcm := samples(vector(t, "pcm.raw"))
	have := newG722Encoder().encode(nil, pcm)
	want := vector(t, "enc8.g722")
	if !bytes.Equal(have, want) {
		t.Errorf("encoder differs first at octet %d of %d", firstDifference(have, want), len(want))
	}
	heard := newG722Decoder().decode(nil, vector(t, "enc16.g722"))
	if wantPCM := samples(vector(t, "dec8.raw")); !slices.Equal(heard, wantPCM) {
		t.Errorf("decoder differs first at sample %d of %d", firstDifference(heard, wantPCM), len(wantPCM))
	}
}

func firstDifference[T comparable](a, b []T) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func BenchmarkG722Encode(b *testing.B) {
	pcm := samples(vector(b, "pcm.raw"))[:160]
	e, out := newG722Encoder(), make([]byte, 0, 160)
	b.ReportAllocs()
	for b.Loop() {
		out = e.encode(out[:0], pcm)
	}
}
