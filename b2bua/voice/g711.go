package voice

import "github.com/zaf/g711"

// Encodings of ITU-T G.711 as tables: one look-up a sample.
var (
	fromMuLaw = table(g711.DecodeUlawFrame)
	fromALaw  = table(g711.DecodeAlawFrame)
)

func table(decode func(uint8) int16) *[256]int16 {
	var t [256]int16
	for i := range t {
		t[i] = decode(uint8(i))
	}
	return &t
}

func expand(law *[256]int16, b []byte) []int16 {
	out := make([]int16, len(b))
	for i, c := range b {
		out[i] = law[c]
	}
	return out
}
