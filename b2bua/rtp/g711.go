package rtp

import "github.com/zaf/g711"

// Tables of G.711, made once and never written again.
var (
	ulawToLinear = decodeTable(g711.DecodeUlawFrame)
	alawToLinear = decodeTable(g711.DecodeAlawFrame)
	ulawToAlaw   = crossTable(g711.Ulaw2AlawFrame)
	alawToUlaw   = crossTable(g711.Alaw2UlawFrame)
)

// The octets of silence: the code of zero.
const (
	ulawSilence = 0xff
	alawSilence = 0xd5
)

func decodeTable(f func(uint8) int16) *[256]int16 {
	var t [256]int16
	for i := range t {
		t[i] = f(uint8(i))
	}
	return &t
}

func crossTable(f func(uint8) uint8) *[256]byte {
	var t [256]byte
	for i := range t {
		t[i] = f(uint8(i))
	}
	return &t
}

// decodeG711 appends the samples of src to dst.
func decodeG711(dst []int16, src []byte, table *[256]int16) []int16 {
	for _, b := range src {
		dst = append(dst, table[b])
	}
	return dst
}

// encodeG711 appends the octets of pcm to dst.
func encodeG711(dst []byte, pcm []int16, c Codec) []byte {
	if c == PCMA {
		for _, s := range pcm {
			dst = append(dst, g711.EncodeAlawFrame(s))
		}
		return dst
	}
	for _, s := range pcm {
		dst = append(dst, g711.EncodeUlawFrame(s))
	}
	return dst
}
