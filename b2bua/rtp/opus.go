package rtp

import "github.com/pion/opus"

// maxOpus is the longest a packet of Opus may be, in samples of 48 kHz: 120 ms
// (RFC 6716, section 3.4, R5).
const maxOpus = 5760

// opusLength returns how long a packet lasts in samples of 48 kHz, which is
// what its timestamp counts in at any bandwidth (RFC 7587, section 4.1). It
// reports false for what is no packet (RFC 6716, sections 3.1 and 3.2).
func opusLength(b []byte) (uint32, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var frame uint32
	switch config := b[0] >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		frame = []uint32{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		frame = []uint32{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		frame = 120 << (config & 3)
	}
	frames := uint32(2)
	switch b[0] & 3 {
	case 0:
		frames = 1
	case 3:
		if len(b) < 2 {
			return 0, false
		}
		frames = uint32(b[1] & 0x3f)
	}
	n := frame * frames
	return n, n > 0 && n <= maxOpus
}

// opusDecoder decodes one stream of Opus to 8 kHz.
type opusDecoder struct {
	opus opus.Decoder
	pcm  [maxOpus / 6]int16
}

// newOpusDecoder returns nil when the library refuses, which it does for no
// rate and channel count that RFC 6716 has.
func newOpusDecoder() *opusDecoder {
	d, err := opus.NewDecoderWithOutput(8000, 1)
	if err != nil {
		return nil
	}
	return &opusDecoder{opus: d}
}

// decode appends the samples of one packet. It reports false for a packet that
// cannot be decoded. A packet that brings the library down costs the state of
// its own stream and nothing else.
func (o *opusDecoder) decode(dst []int16, b []byte) (pcm []int16, ok bool) {
	want, ok := opusLength(b)
	if o == nil || !ok {
		return dst, false
	}
	defer func() {
		if recover() != nil {
			o.opus = opus.Decoder{}
			pcm, ok = dst, false
			if fresh := newOpusDecoder(); fresh != nil {
				o.opus = fresh.opus
			}
		}
	}()
	n, err := o.opus.DecodeToInt16(b, o.pcm[:])
	if err != nil || n != int(want/6) {
		return dst, false
	}
	return append(dst, o.pcm[:n]...), true
}
