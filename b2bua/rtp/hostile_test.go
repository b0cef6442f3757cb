package rtp

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// hostile is one datagram that must neither be heard nor end anything. It
// gets a well-formed packet of the good stream that would be next.
type hostile struct {
	name string
	from netip.AddrPort // zero = the good far end's own address
	make func(good []byte) []byte
}

func at(i int, v byte) func([]byte) []byte {
	return func(b []byte) []byte { b[i] = v; return b }
}

func cutTo(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

func raw(b ...byte) func([]byte) []byte { return func([]byte) []byte { return b } }

// extended turns the packet into one with a header extension that claims words
// of four octets and has have octets.
func extended(profile uint16, words, have int) func([]byte) []byte {
	return func(b []byte) []byte {
		head := append([]byte(nil), b[:headerLen]...)
		head[0] |= 0x10
		head = binary.BigEndian.AppendUint16(head, profile)
		head = binary.BigEndian.AppendUint16(head, uint16(words))
		return append(head, make([]byte, have)...)
	}
}

func event(b ...byte) func([]byte) []byte {
	return func(good []byte) []byte {
		good[1] = 101
		return append(good[:headerLen], b...)
	}
}

func hostileCases() []hostile {
	var cases []hostile
	add := func(name string, f func([]byte) []byte) { cases = append(cases, hostile{name: name, make: f}) }
	for _, n := range []int{0, 1, 2, 3, 4, 7, 8, 11} {
		add(fmt.Sprintf("only %d octets", n), cutTo(n))
	}
	for v := range byte(4) {
		if v != 2 {
			add(fmt.Sprintf("version %d", v), at(0, v<<6))
		}
	}
	for _, cc := range []byte{1, 2, 7, 15} {
		add(fmt.Sprintf("%d contributing sources that are not there", cc), func(b []byte) []byte { b[0] |= cc; return b[:headerLen+4*int(cc)-1] })
	}
	for _, pad := range []byte{0, 161, 200, 255} {
		add(fmt.Sprintf("padding of %d octets", pad), func(b []byte) []byte { b[0] |= 0x20; b[len(b)-1] = pad; return b })
	}
	add("padding without payload", func(b []byte) []byte { b[0] |= 0x20; return b[:headerLen] })
	add("padding that reaches into the header", func(b []byte) []byte { b[0] |= 0x20; b = b[:headerLen+1]; b[headerLen] = 2; return b })
	add("padding that reaches into the sources", func(b []byte) []byte { b[0] |= 0x21; b = b[:headerLen+5]; b[headerLen+4] = 4; return b })
	for _, x := range []struct{ words, have int }{{1, 0}, {1, 3}, {2, 7}, {255, 100}, {16384, 200}, {65535, 0}, {65535, 1400}} {
		add(fmt.Sprintf("extension of %d words in %d octets", x.words, x.have), extended(0xbede, x.words, x.have))
		add(fmt.Sprintf("two-byte extension of %d words in %d octets", x.words, x.have), extended(0x1000, x.words, x.have))
	}
	for n := range 4 {
		add(fmt.Sprintf("extension header of %d octets", n), func(b []byte) []byte { b[0] |= 0x10; return b[:headerLen+n] })
	}
	add("padding over a whole extension", func(b []byte) []byte {
		b = extended(0xbede, 1, 4)(b)
		b[0] |= 0x20
		b[len(b)-1] = 8
		return b
	})
	for _, pt := range []byte{1, 2, 3, 9, 18, 26, 31, 34, 35, 63, 95, 96, 100, 102, 127} {
		add(fmt.Sprintf("payload type %d", pt), at(1, pt))
	}
	for _, pt := range []byte{192, 193, 199, 200, 201, 202, 203, 204, 205, 206, 207, 223} {
		add(fmt.Sprintf("RTCP type %d on the RTP port", pt), at(1, pt))
	}
	add("longer than a packet may be", func(b []byte) []byte { return append(b, make([]byte, maxDatagram)...) })
	add("65507 octets", func(b []byte) []byte { return append(b, make([]byte, 65507-len(b))...) })
	add("payload over the bound", func(b []byte) []byte { return append(b[:headerLen], make([]byte, maxPayload+1)...) })
	add("another SSRC", func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 0xdeadbeef); return b })
	add("SSRC zero", func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 0); return b })
	add("no payload", cutTo(headerLen))
	add("comfort noise that was not agreed", func(b []byte) []byte { b[1] = 13; return b[:headerLen+1] })
	add("telephone-event without payload", event())
	add("telephone-event of 1 octet", event(5))
	add("telephone-event of 3 octets", event(5, 0, 1))
	add("telephone-event of 5 octets", event(5, 0, 0, 160, 1))
	add("telephone-event 16 (flash)", event(16, 0, 0, 160))
	add("telephone-event 17", event(17, 0x80, 0, 160))
	add("telephone-event 255", event(255, 0xff, 0xff, 0xff))
	add("STUN binding request", raw(append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)...))
	add("STUN with a length that lies", raw(append([]byte{0, 1, 0xff, 0xff, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)...))
	add("DTLS ClientHello", raw(22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1))
	add("ZRTP Hello", raw(0x10, 0, 0, 1, 'Z', 'R', 'T', 'P', 0, 0, 0, 1, 0x50, 0x5a))
	add("TURN channel data", raw(0x40, 0, 0, 4, 1, 2, 3, 4))
	add("a SIP message", raw([]byte("BYE sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n")...))
	add("T.38 over UDPTL", raw(0, 1, 6, 0xc0, 1, 0x80, 0, 0, 0xff))
	add("all zero", func(b []byte) []byte { clear(b); return b })
	add("all ones", func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) })
	for _, from := range []string{"203.0.113.66:4000", "192.0.2.10:4001", "192.0.2.10:1", "192.0.2.11:4000", "127.0.0.1:4000", "224.0.0.1:4000", "[2001:db8::1]:4000", "[::ffff:203.0.113.66]:4000"} {
		cases = append(cases, hostile{name: "a good packet from " + from, from: netip.MustParseAddrPort(from), make: func(b []byte) []byte { return b }})
		cases = append(cases, hostile{name: "a digit from " + from, from: netip.MustParseAddrPort(from), make: event(9, 0x80, 3, 32)})
	}
	return cases
}

// Every hostile datagram arrives in the middle of a good call. Nothing of it
// is heard by the peer or counts as a digit, and the good stream goes on.
func TestHostilePackets(t *testing.T) {
	cases := hostileCases()
	if len(cases) < 75 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool := newMemoryPool(t, Config{})
				defer pool.Close()
				a, b := newFar(t, pool, 10, nil), newFar(t, pool, 20, nil)
				a.s.Join(b.s)
				a.say(0x11)
				good := a.bytes(0, false, a.ts, fill(0x66, 160))
				a.seq--
				from := tt.from
				if !from.IsValid() {
					from = a.addr
				}
				b.wire.take()
				bad := tt.make(good)
				for range 3 {
					a.arrive(from, bad)
				}
				if heard := b.wire.take(); len(heard) != 0 {
					t.Fatalf("the peer hears %x", heard[0].raw)
				}
				if d := a.digits(); d != "" {
					t.Fatalf("digits %q", d)
				}
				a.say(0x22)
				heard := b.wire.take()
				if len(heard) != 1 || heard[0].payload[0] != 0x22 {
					t.Fatalf("the good stream ended: %d packets heard", len(heard))
				}
				if a.s.out.target != a.addr {
					t.Fatalf("audio goes to %v now", a.s.out.target)
				}
			})
		})
	}
}

// Hostile RTCP changes no statistics that it should not, and ends nothing.
func TestHostileReports(t *testing.T) {
	sr := func(f *far) []byte {
		b := []byte{0x80, typeSR, 0, 6}
		b = binary.BigEndian.AppendUint32(b, f.ssrc)
		return append(b, make([]byte, 20)...)
	}
	bye := func(f *far) []byte {
		return binary.BigEndian.AppendUint32([]byte{0x81, 203, 0, 1}, f.ssrc)
	}
	for _, tt := range []struct {
		name string
		have func(f *far) []byte
		from netip.AddrPort
	}{
		{"empty", func(*far) []byte { return nil }, netip.AddrPort{}},
		{"BYE alone", bye, netip.AddrPort{}},
		{"SDES first", func(f *far) []byte { b := sr(f); b[1] = typeSDES; return b }, netip.AddrPort{}},
		{"length past the end", func(f *far) []byte { b := sr(f); b[3] = 200; return b }, netip.AddrPort{}},
		{"length 65535", func(f *far) []byte { b := sr(f); b[2], b[3] = 255, 255; return b }, netip.AddrPort{}},
		{"31 blocks that are not there", func(f *far) []byte { b := sr(f); b[0] |= 31; return b }, netip.AddrPort{}},
		{"version 1", func(f *far) []byte { b := sr(f); b[0] = 0x40; return b }, netip.AddrPort{}},
		{"version 3 in the second packet", func(f *far) []byte { b := append(sr(f), bye(f)...); b[28] = 0xc1; return b }, netip.AddrPort{}},
		{"padding in the first of two", func(f *far) []byte { b := append(sr(f), bye(f)...); b[0] |= 0x20; b[27] = 4; return b }, netip.AddrPort{}},
		{"padding of 255", func(f *far) []byte { b := sr(f); b[0] |= 0x20; b[27] = 255; return b }, netip.AddrPort{}},
		{"padding of 3", func(f *far) []byte { b := sr(f); b[0] |= 0x20; b[27] = 3; return b }, netip.AddrPort{}},
		{"one octet left over", func(f *far) []byte { return append(sr(f), 0) }, netip.AddrPort{}},
		{"another SSRC", func(f *far) []byte { b := sr(f); b[7] ^= 1; return b }, netip.AddrPort{}},
		{"a stranger's", sr, netip.MustParseAddrPort("203.0.113.9:4001")},
		{"a neighbour's", sr, netip.MustParseAddrPort("192.0.2.99:4001")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool := newMemoryPool(t, Config{})
				defer pool.Close()
				f := newFar(t, pool, 10, nil)
				f.say(0x11)
				from := tt.from
				if !from.IsValid() {
					from = netip.AddrPortFrom(f.addr.Addr(), f.addr.Port()+1)
				}
				f.ctl.handle(tt.have(f), from, time.Now(), f.ctl.sc)
				if st := f.s.Stats(); st.Reports != 0 {
					t.Fatalf("it was used")
				}
				f.ctl.handle(append(sr(f), bye(f)...), netip.AddrPortFrom(f.addr.Addr(), 9), time.Now(), f.ctl.sc)
				f.say(0x12)
				if st := f.s.Stats(); st.Reports != 1 || st.Received != 2 {
					t.Fatalf("a good report with BYE is not used, or ended the stream: %+v", st)
				}
			})
		})
	}
}

func FuzzPacket(f *testing.F) {
	good := make([]byte, headerLen+160)
	putHeader(good, &packet{seq: 1, ts: 2, ssrc: 3})
	f.Add(good)
	for _, c := range hostileCases() {
		f.Add(c.make(append([]byte(nil), good...)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p packet
		if !parsePacket(b, &p) {
			return
		}
		// What was read and written again reads the same, and takes no more
		// room: nothing outside the datagram was read.
		if len(p.payload)+headerLen > len(b) || len(p.payload) > maxPayload {
			t.Fatalf("payload of %d octets out of %d", len(p.payload), len(b))
		}
		out := make([]byte, headerLen, headerLen+len(p.payload))
		putHeader(out, &p)
		out = append(out, p.payload...)
		var q packet
		if !parsePacket(out, &q) || q.marker != p.marker || q.pt != p.pt || q.seq != p.seq || q.ts != p.ts || q.ssrc != p.ssrc || !bytes.Equal(q.payload, p.payload) {
			t.Fatalf("two readings: %+v and %+v", p, q)
		}
	})
}

func FuzzReport(f *testing.F) {
	s := &Session{ssrc: 7}
	s.out.params.Payloads = []Payload{{0, PCMU}}
	s.out.stream.live, s.in.latch.locked, s.in.stats.begun = true, true, true
	f.Add(s.compose(nil, time.Unix(1000, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r report
		if !parseReport(b, 7, &r) {
			return
		}
		if len(b)%4 != 0 || binary.BigEndian.Uint32(b[4:]) != r.ssrc {
			t.Fatal("read a report that is not whole words, or of another SSRC")
		}
		if rtt, ok := r.roundTrip(time.Unix(1000, 0)); ok && (rtt < 0 || rtt > 10*time.Second) {
			t.Fatalf("round trip %v", rtt)
		}
		var again report
		if parseReport(append(append([]byte(nil), b...), 0), 7, &again) {
			t.Fatal("an octet more was accepted")
		}
	})
}

// However events come, no key counts twice: a digit needs a timestamp that is
// newer than that of the digit before.
func FuzzKeys(f *testing.F) {
	f.Add([]byte{5, 0, 0, 160, 0, 0, 5, 0x80, 1, 64, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r eventReceiver
		now := time.Unix(1000, 0)
		var last uint32
		any := false
		for ; len(b) >= 6; b = b[6:] {
			e, ok := parseTelephoneEvent(b[:4])
			if !ok {
				t.Fatal("four octets refused")
			}
			ts := uint32(b[4])<<16 | uint32(b[5])<<8
			now = now.Add(20 * time.Millisecond)
			digit, fresh := r.receive(ts, e, now)
			if !fresh {
				continue
			}
			if digit != digitNames[e.code] || any && int32(ts-last) <= 0 {
				t.Fatalf("digit %q at %d after %d", digit, ts, last)
			}
			last, any = ts, true
		}
	})
}

func FuzzSession(f *testing.F) {
	f.Add([]byte{0x80, 0}, byte(1))
	f.Fuzz(func(t *testing.T, b []byte, host byte) {
		cfg, _ := Config{}.withDefaults()
		p := &Pool{cfg: cfg, net: memoryNetwork{}, taken: make([]bool, 8), sessions: map[*Session]struct{}{}, start: time.Now(), arrivals: make([][]*Session, 1)}
		good, peer := newFar(t, p, 10, nil), newFar(t, p, 20, nil)
		good.s.Join(peer.s)
		good.say(1)
		peer.wire.take()
		good.arrive(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 4000), b)
		if heard := peer.wire.take(); host != 10 && len(heard) != 0 {
			t.Fatal("a stranger is heard")
		}
		good.s.receiveControl(b, good.addr, time.Now(), good.wire.sc)
	})
}

func randomKey(t testing.TB, s Suite) []byte {
	t.Helper()
	k := make([]byte, s.KeyLen())
	if _, err := rand.Read(k); err != nil {
		t.Fatal(err)
	}
	return k
}
