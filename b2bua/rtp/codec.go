package rtp

// decoder turns payloads into 8 kHz samples. It has state for codecs that
// need it; owned by the session's receiving side.
type decoder struct {
	g722 *g722Decoder
	opus *opusDecoder
}

// decode appends the samples of one payload to dst. It reports false for a
// codec that is not decoded here.
func (d *decoder) decode(dst []int16, c Codec, payload []byte) ([]int16, bool) {
	switch c {
	case PCMU:
		return decodeG711(dst, payload, ulawToLinear), true
	case PCMA:
		return decodeG711(dst, payload, alawToLinear), true
	case G722:
		if d.g722 == nil {
			d.g722 = newG722Decoder()
		}
		return d.g722.decode(dst, payload), true
	case Opus:
		if d.opus == nil {
			d.opus = newOpusDecoder()
		}
		return d.opus.decode(dst, payload)
	default:
		return dst, false
	}
}

// encoder turns 8 kHz samples into payloads; owned by the sending side.
type encoder struct {
	g722 *g722Encoder
}

// encode appends one payload to dst. It reports false for a codec that is not
// encoded here.
func (e *encoder) encode(dst []byte, c Codec, pcm []int16) ([]byte, bool) {
	switch c {
	case PCMU, PCMA:
		return encodeG711(dst, pcm, c), true
	case G722:
		if e.g722 == nil {
			e.g722 = newG722Encoder()
		}
		return e.g722.encode(dst, pcm), true
	default:
		return dst, false
	}
}

// silence appends n samples of silence. G.722 has no fixed octet for it and
// goes through its encoder.
func (e *encoder) silence(dst []byte, c Codec, n int) ([]byte, bool) {
	var octet byte
	switch c {
	case PCMU:
		octet = ulawSilence
	case PCMA:
		octet = alawSilence
	case G722:
		var zeros [maxFrame]int16
		return e.encode(dst, c, zeros[:min(n, maxFrame)])
	default:
		return dst, false
	}
	for range n {
		dst = append(dst, octet)
	}
	return dst, true
}

// crossG711 returns the table between two G.711 laws, nil when there is none.
func crossG711(from, to Codec) *[256]byte {
	switch {
	case from == PCMU && to == PCMA:
		return ulawToAlaw
	case from == PCMA && to == PCMU:
		return alawToUlaw
	default:
		return nil
	}
}
