package rtp

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// opusPackets reads one of testdata/opus: a second of a sine of 440 Hz at a
// quarter of full scale, encoded by opusenc 0.2 (libopus 1.3.1); each packet
// follows its length in two octets.
func opusPackets(t testing.TB, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "opus", name+".packets"))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for len(b) > 1 {
		n := int(binary.BigEndian.Uint16(b))
		out, b = append(out, b[2:2+n]), b[2+n:]
	}
	return out
}

var opusFiles = map[string]time.Duration{"celt10": 10 * time.Millisecond, "celt20": 20 * time.Millisecond,
	"silk20": 20 * time.Millisecond, "silk60": 60 * time.Millisecond, "hybrid20": 20 * time.Millisecond}

// power is the mean power of pcm at a frequency, and over all.
func power(pcm []int16, hz float64) (at, all float64) {
	var re, im float64
	for i, v := range pcm {
		a := 2 * math.Pi * hz * float64(i) / 8000
		re += float64(v) * math.Cos(a)
		im += float64(v) * math.Sin(a)
		all += float64(v) * float64(v)
	}
	n := float64(len(pcm))
	return 2 * (re*re + im*im) / n / n, all / n
}

func TestOpusIsDecoded(t *testing.T) {
	for name, frame := range opusFiles {
		var d decoder
		var pcm []int16
		for i, p := range opusPackets(t, name) {
			if n, ok := opusLength(p); !ok || n != uint32(frame*48000/time.Second) {
				t.Fatalf("%s: packet %d lasts %d samples, want %v", name, i, n, frame)
			}
			var ok bool
			if pcm, ok = d.decode(pcm, Opus, p); !ok {
				t.Fatalf("%s: packet %d was not decoded", name, i)
			}
		}
		if want := len(opusPackets(t, name)) * int(frame*8000/time.Second); len(pcm) != want {
			t.Fatalf("%s: %d samples, want %d", name, len(pcm), want)
		}
		at, all := power(pcm[1600:6400], 440)
		if level := math.Sqrt(2 * all); level < 6000 || level > 10000 || at < 0.9*all {
			t.Errorf("%s: level %.0f, %.0f %% of it at 440 Hz", name, level, 100*at/all)
		}
	}
}

// What is no packet, or not one of at most 120 ms, is neither decoded nor
// relayed.
func TestBadOpusIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing": {}, "no frame count": {0x03}, "no frames": {0x03, 0}, "130 ms of CELT": {0xff, 49, 1}, "six of 60 ms": {0x1b, 6},
	} {
		var d decoder
		if _, ok := d.decode(nil, Opus, b); ok {
			t.Errorf("%s: decoded", name)
		}
	}
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b := newFar(t, p, 10, withOpus), newFar(t, p, 20, withOpus)
		a.s.Join(b.s)
		a.arrive(a.addr, a.bytes(111, false, a.ts, []byte{0x03, 0}))
		if n := len(b.wire.take()); n != 0 || a.s.Stats().Malformed != 1 {
			t.Fatalf("%d relayed, %d counted", n, a.s.Stats().Malformed)
		}
	})
}

func withOpus(p *Params) { p.Payloads = append(p.Payloads, Payload{111, Opus}) }

// speak sends packets as a far end does.
func (f *far) speak(pt uint8, packets [][]byte) {
	for _, b := range packets {
		n, _ := opusLength(b)
		f.arrive(f.addr, f.bytes(pt, false, f.ts, b))
		f.ts += n
		pass(time.Duration(n) * time.Second / 48000)
	}
}

func TestOpusIsRelayedWhereBothHaveIt(t *testing.T) {
	for name := range opusFiles {
		bubble(t, Config{}, func(t *testing.T, p *Pool) {
			a := newFar(t, p, 10, withOpus)
			b := newFar(t, p, 20, func(x *Params) { x.Payloads = append(x.Payloads, Payload{96, Opus}) })
			a.s.Join(b.s)
			said := opusPackets(t, name)
			a.speak(111, said)
			have := relayed(b.wire.take(), 96)
			if len(have) != len(said) {
				t.Fatalf("%s: %d packets, want %d", name, len(have), len(said))
			}
			for i, q := range have {
				n, _ := opusLength(said[i])
				if !bytes.Equal(q.payload, said[i]) {
					t.Fatalf("%s: packet %d was changed", name, i)
				}
				if i > 0 && q.ts-have[i-1].ts != n {
					t.Errorf("%s: timestamp moves by %d, want %d", name, q.ts-have[i-1].ts, n)
				}
			}
		})
	}
}

// relayed are the packets of one payload type.
func relayed(all []sentPacket, pt uint8) []sentPacket {
	var out []sentPacket
	for _, p := range all {
		if p.pt == pt {
			out = append(out, p)
		}
	}
	return out
}

func TestOpusIsDecodedForWhoHasItNot(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b := newFar(t, p, 10, withOpus), newFar(t, p, 20, nil)
		a.s.Join(b.s)
		a.speak(111, opusPackets(t, "celt20"))
		var pcm []int16
		for _, q := range b.wire.take() {
			pcm = decodeG711(pcm, q.payload, ulawToLinear)
		}
		if at, all := power(pcm[1600:6400], 440); all < 1e7 || at < 0.9*all {
			t.Errorf("power %.0f, %.0f at 440 Hz", all, at)
		}
	})
}

// A tap hears what goes over in Opus, and a mix too: so recordings, forks and
// supervisors do not depend on the codec.
func TestOpusIsHeardByTapsAndMixes(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b, sup := newFar(t, p, 10, withOpus), newFar(t, p, 20, withOpus), newFar(t, p, 30, nil)
		Supervise(a.s, b.s, sup.s, Listen)
		taps := map[*Tap]Way{a.s.Tap(): Received, b.s.Tap(): Sent}
		a.speak(111, opusPackets(t, "celt20"))
		for tap, way := range taps {
			tap.Close()
			var pcm []int16
			for f := range tap.Frames() {
				if f.Way == way {
					pcm = append(pcm, f.PCM...)
				}
			}
			if at, all := power(pcm[1600:6400], 440); all < 1e7 || at < 0.9*all {
				t.Errorf("tap of %d: power %.0f, %.0f at 440 Hz", way, all, at)
			}
		}
		var pcm []int16
		for _, q := range sup.wire.take() {
			pcm = decodeG711(pcm, q.payload, ulawToLinear)
		}
		if at, all := power(pcm[1600:6400], 440); all < 1e7 || at < 0.9*all {
			t.Errorf("supervisor: power %.0f, %.0f at 440 Hz", all, at)
		}
	})
}

// Prompt and peer take turns in two codecs of two clocks, on one stream: no
// hole, nothing goes back, and time goes on as it should (RFC 7160, section
// 4.1).
func TestOpusAndPromptsTakeTurns(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b := newFar(t, p, 10, withOpus), newFar(t, p, 20, withOpus)
		a.s.Join(b.s)
		said := opusPackets(t, "celt20")
		a.speak(111, said[:10])
		b.s.Play(tone(1600, 4000))
		a.speak(111, said[10:25])
		a.speak(111, said[25:])
		have := b.wire.take()
		var spoken, opus int
		for i, q := range have {
			step, clock := uint32(160), uint32(8)
			if q.pt == 111 {
				opus++
				step, clock = 960, 48
			} else {
				spoken++
			}
			if i == 0 {
				continue
			}
			before := have[i-1]
			if q.ssrc != before.ssrc || q.seq != before.seq+1 {
				t.Fatalf("packet %d: %x/%d after %x/%d", i, q.ssrc, q.seq, before.ssrc, before.seq)
			}
			if d := q.ts - before.ts; d < step || d > step+25*clock {
				t.Errorf("packet %d of type %d moves the timestamp by %d", i, q.pt, d)
			}
			if (q.pt != before.pt) != q.marker {
				t.Errorf("packet %d: marker %v after a change from %d to %d", i, q.marker, before.pt, q.pt)
			}
		}
		if spoken < 10 || opus < 30 {
			t.Fatalf("%d packets of the prompt, %d relayed", spoken, opus)
		}
	})
}

// A key pressed within an Opus stream is one key for us and one for the peer.
func TestKeysWithinOpus(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a, b := newFar(t, p, 10, withOpus), newFar(t, p, 20, withOpus)
		a.s.Join(b.s)
		said := opusPackets(t, "celt20")
		a.speak(111, said[:10])
		for key := range uint32(2) {
			at := 77_000_000 + 4000*key // events have a clock of their own
			for i := range 5 {
				a.key(at, telephoneEvent{code: uint8(5 + key), end: i > 2, duration: uint16(160 * (i + 1))})
				a.ts += 960
				pass(20 * time.Millisecond)
			}
		}
		a.speak(111, said[10:])
		if have := a.digits(); have != "56" {
			t.Fatalf("digits %q", have)
		}
		all := b.wire.take()
		keys := map[uint32]int{}
		for i, q := range all {
			if i > 0 && q.seq != all[i-1].seq+1 {
				t.Fatalf("sequence %d after %d", q.seq, all[i-1].seq)
			}
			if q.pt == 101 {
				keys[q.ts]++
			}
			if i > 0 && int32(q.ts-all[i-1].ts) < 0 {
				t.Errorf("packet %d goes back", i)
			}
		}
		if len(keys) != 2 {
			t.Fatalf("keys by timestamp: %v", keys)
		}
	})
}

// Jitter is measured over a change of clock; a steady stream has none.
func TestJitterOverAChangeOfClock(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, p *Pool) {
		a := newFar(t, p, 10, withOpus)
		for range 20 {
			a.speak(111, opusPackets(t, "celt20")[:5])
			for range 5 {
				a.say(0x21)
				pass(20 * time.Millisecond)
			}
		}
		if j := a.s.Stats().Jitter; j > time.Millisecond {
			t.Errorf("jitter %v", j)
		}
	})
}

func FuzzOpus(f *testing.F) {
	for name := range opusFiles {
		for _, p := range opusPackets(f, name)[:4] {
			f.Add(p)
		}
	}
	f.Add([]byte{0x7f, 0x83, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxPayload {
			return
		}
		var d decoder
		for range 2 {
			n, fits := opusLength(b)
			pcm, ok := d.decode(nil, Opus, b)
			if ok && (!fits || len(pcm) != int(n/6)) {
				t.Fatalf("%d samples of a packet of %d at 48 kHz", len(pcm), n)
			}
			if !ok && len(pcm) != 0 {
				t.Fatal("refused, and samples came")
			}
		}
	})
}

func BenchmarkOpusDecode(b *testing.B) {
	for name, frame := range opusFiles {
		b.Run(name, func(b *testing.B) {
			packets := opusPackets(b, name)
			var d decoder
			pcm := make([]int16, 0, maxOpus)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				pcm, _ = d.decode(pcm[:0], Opus, packets[i%len(packets)])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(frame.Nanoseconds()), "cores/call")
		})
	}
}
