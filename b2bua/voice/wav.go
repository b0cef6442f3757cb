package voice

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zaf/g711"

	"github.com/ringfence/ringfence"
)

// Bounds on audio from outside.
const (
	// Rate is the sampling rate of every Clip, in samples a second.
	Rate = 8000
	// FrameSamples is one 20 ms frame at Rate.
	FrameSamples = 160
	// MaxClipSeconds is the longest recording read; ten minutes of hold music.
	MaxClipSeconds = 600
	// MaxWAVBytes bounds a WAV file before it is looked at: ten minutes of
	// 16-bit mono at 16 kHz and room for its header.
	MaxWAVBytes = MaxClipSeconds*16000*2 + 4096
)

// Format tags of a WAVE fmt chunk (RFC 2361, appendix A).
const (
	wavePCM   = 1
	waveALaw  = 6
	waveMuLaw = 7
)

// ErrWAV is returned, wrapped, by ReadWAV for bytes that are not a recording
// that we take: mono, 16-bit PCM or G.711, at most MaxClipSeconds.
var ErrWAV = errors.New("not a usable WAV recording")

// ReadWAV reads a whole WAV file and returns it at 8 kHz. It takes mono 16-bit
// PCM at 8 or 16 kHz (and the synthesisers' 11.025, 22.05, 24, 32, 44.1 and
// 48 kHz), and mono A-law or µ-law at 8 kHz. Chunks that are not audio are
// skipped; a chunk that runs past the end, a second fmt or data chunk, or no
// sample at all is an error.
func ReadWAV(b []byte) (ringfence.Clip, error) {
	pcm, rate, err := DecodeWAV(b)
	if err != nil {
		return nil, err
	}
	return Resample(pcm, rate), nil
}

// DecodeWAV is ReadWAV without the resampling: it returns the samples and
// their rate.
func DecodeWAV(b []byte) (pcm []int16, rate int, err error) {
	return decodeWAV(b, false)
}

// readPipedWAV reads what a program wrote to a pipe. Such a program cannot go
// back to fill in the sizes, so a RIFF or data size past the end means: to
// the end.
func readPipedWAV(b []byte) (ringfence.Clip, error) {
	pcm, rate, err := decodeWAV(b, true)
	if err != nil {
		return nil, err
	}
	return Resample(pcm, rate), nil
}

type waveFormat struct {
	tag, bits int
	rate      int
}

func decodeWAV(b []byte, piped bool) (pcm []int16, rate int, err error) {
	if len(b) > MaxWAVBytes {
		return nil, 0, wavError("larger than %d bytes", MaxWAVBytes)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, wavError("no RIFF WAVE header")
	}
	riff := uint64(binary.LittleEndian.Uint32(b[4:])) + 8
	if !piped && riff > uint64(len(b)) {
		return nil, 0, wavError("RIFF size is %d bytes, the file has %d", riff, len(b))
	}
	var (
		format *waveFormat
		data   []byte
	)
	for rest := b[12:]; len(rest) > 0; {
		if len(rest) < 8 {
			return nil, 0, wavError("%d stray bytes after the last chunk", len(rest))
		}
		id, size := string(rest[:4]), uint64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		if size > uint64(len(rest)) {
			if !piped || id != "data" {
				return nil, 0, wavError("chunk of %d bytes, %d left", size, len(rest))
			}
			size = uint64(len(rest))
		}
		chunk := rest[:size]
		rest = rest[size:]
		if size%2 == 1 && len(rest) > 0 { // chunks are padded to even length
			rest = rest[1:]
		}
		switch id {
		case "fmt ":
			if format != nil {
				return nil, 0, wavError("second fmt chunk")
			}
			f, err := readFormat(chunk)
			if err != nil {
				return nil, 0, err
			}
			format = &f
		case "data":
			if format == nil {
				return nil, 0, wavError("data before fmt")
			}
			if data != nil {
				return nil, 0, wavError("second data chunk")
			}
			data = chunk
		}
	}
	if format == nil || len(data) == 0 {
		return nil, 0, wavError("no audio in it")
	}
	pcm, err = format.decode(data)
	return pcm, format.rate, err
}

func readFormat(c []byte) (waveFormat, error) {
	if len(c) < 16 {
		return waveFormat{}, wavError("fmt chunk of %d bytes", len(c))
	}
	f := waveFormat{
		tag:  int(binary.LittleEndian.Uint16(c)),
		rate: int(binary.LittleEndian.Uint32(c[4:])),
		bits: int(binary.LittleEndian.Uint16(c[14:])),
	}
	if n := binary.LittleEndian.Uint16(c[2:]); n != 1 {
		return f, wavError("%d channels, want mono", n)
	}
	switch f.tag {
	case wavePCM:
		if f.bits != 16 {
			return f, wavError("%d bits a sample, want 16", f.bits)
		}
		if !resamples(f.rate) {
			return f, wavError("%d samples a second, want 8000 or 16000", f.rate)
		}
	case waveALaw, waveMuLaw:
		if f.bits != 8 || f.rate != Rate {
			return f, wavError("G.711 at %d Hz and %d bits, want 8000 and 8", f.rate, f.bits)
		}
	default:
		return f, wavError("format tag %d, want PCM, A-law or µ-law", f.tag)
	}
	return f, nil
}

func (f *waveFormat) decode(data []byte) ([]int16, error) {
	if len(data) > MaxClipSeconds*f.rate*(f.bits/8) {
		return nil, wavError("longer than %d s", MaxClipSeconds)
	}
	switch f.tag {
	case waveALaw:
		return expand(fromALaw, data), nil
	case waveMuLaw:
		return expand(fromMuLaw, data), nil
	}
	if len(data)%2 == 1 {
		return nil, wavError("half a sample at the end")
	}
	pcm := make([]int16, len(data)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return pcm, nil
}

func wavError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrWAV, fmt.Sprintf(format, args...))
}

// MuLawWAV writes the clip as a WAV file of 8 kHz mono G.711 µ-law, the form
// in which recordings are shipped.
func MuLawWAV(c ringfence.Clip) []byte {
	data := make([]byte, len(c))
	for i, s := range c {
		data[i] = g711.EncodeUlawFrame(s)
	}
	return waveFile(waveMuLaw, 8, data)
}

// pcmWAV writes the clip as a WAV file of 8 kHz mono 16-bit PCM, the form of
// the TTS cache.
func pcmWAV(c ringfence.Clip) []byte {
	data := make([]byte, 0, 2*len(c))
	for _, s := range c {
		data = binary.LittleEndian.AppendUint16(data, uint16(s))
	}
	return waveFile(wavePCM, 16, data)
}

func waveFile(tag, bits uint16, data []byte) []byte {
	le := binary.LittleEndian
	pad := len(data) % 2
	out := make([]byte, 0, 44+len(data)+pad)
	out = append(out, "RIFF"...)
	out = le.AppendUint32(out, uint32(36+len(data)+pad))
	out = append(out, "WAVEfmt "...)
	out = le.AppendUint32(out, 16)
	out = le.AppendUint16(out, tag)
	out = le.AppendUint16(out, 1)
	out = le.AppendUint32(out, Rate)
	out = le.AppendUint32(out, Rate*uint32(bits)/8)
	out = le.AppendUint16(out, bits/8)
	out = le.AppendUint16(out, bits)
	out = append(out, "data"...)
	out = le.AppendUint32(out, uint32(len(data)))
	out = append(out, data...)
	return append(out, make([]byte, pad)...)
}
