package rtp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// patience bounds a wait for something that happens at once unless the code
// is broken.
const patience = 20 * time.Second

func newTestPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	if !cfg.Bind.IsValid() {
		cfg.Bind = loopback
	}
	if cfg.PortMin == 0 {
		cfg.PortMin, cfg.PortMax = 41000, 44999
	}
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// phone is a far end: one UDP socket and its own RTP numbers.
type phone struct {
	t    testing.TB
	c    *net.UDPConn
	seq  uint16
	ts   uint32
	ssrc uint32
}

func newPhoneAt(t testing.TB, ip netip.Addr) *phone {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &phone{t: t, c: c, ssrc: uint32(c.LocalAddr().(*net.UDPAddr).Port)<<8 | 7}
}

func (f *phone) addr() netip.AddrPort { return f.c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (f *phone) raw(to netip.AddrPort, b []byte) {
	f.t.Helper()
	if _, err := f.c.WriteToUDPAddrPort(b, to); err != nil {
		f.t.Fatal(err)
	}
}

func (f *phone) packet(pt uint8, marker bool, ts uint32, payload []byte) []byte {
	b := make([]byte, headerLen, headerLen+len(payload))
	putHeader(b, &packet{marker: marker, pt: pt, seq: f.seq, ts: ts, ssrc: f.ssrc})
	f.seq++
	return append(b, payload...)
}

// say sends one 20 ms packet of 160 octets, all equal to octet.
func (f *phone) say(to netip.AddrPort, pt uint8, octet byte) {
	f.t.Helper()
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = octet
	}
	f.raw(to, f.packet(pt, false, f.ts, payload))
	f.ts += 160
}

// hear returns the next packet for which want is true.
func (f *phone) hear(want func(packet) bool) packet {
	f.t.Helper()
	buf := make([]byte, 2048)
	_ = f.c.SetReadDeadline(time.Now().Add(patience))
	for {
		n, _, err := f.c.ReadFromUDPAddrPort(buf)
		if err != nil {
			f.t.Fatalf("nothing heard: %v", err)
		}
		var p packet
		if !parsePacket(buf[:n], &p) {
			f.t.Fatalf("sent a packet that does not parse: %x", buf[:n])
		}
		p.payload = append([]byte(nil), p.payload...)
		if want(p) {
			return p
		}
	}
}

func anyPacket(packet) bool { return true }

func octet(o byte) func(packet) bool {
	return func(p packet) bool { return len(p.payload) > 0 && p.payload[0] == o }
}

// leg opens a session negotiated with a new phone.
func leg(t testing.TB, p *Pool, change func(*Params)) (*Session, *phone) {
	t.Helper()
	f := newPhoneAt(t, p.cfg.Bind)
	s, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	params := Params{Remote: f.addr(), Payloads: []Payload{{0, PCMU}}, EventType: 101}
	if change != nil {
		change(&params)
	}
	if err := s.Negotiated(params); err != nil {
		t.Fatal(err)
	}
	return s, f
}

// await returns the next event of a kind.
func await(t testing.TB, s *Session, kind EventKind) Event {
	t.Helper()
	wake := make(chan struct{}, 1)
	s.Attend(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	deadline := time.After(patience)
	for {
		e, ok, over := s.Next()
		switch {
		case ok && e.Kind == kind:
			return e
		case over:
			t.Fatalf("events closed, want kind %d", kind)
		case ok:
			continue
		}
		select {
		case <-wake:
		case <-deadline:
			t.Fatalf("no event of kind %d", kind)
		}
	}
}

func tone(n int, v int16) ringfence.Clip {
	c := make(ringfence.Clip, n)
	for i := range c {
		c[i] = v
	}
	return c
}

func TestPlayReportsWholeAndCut(t *testing.T) {
	s, f := leg(t, newTestPool(t, Config{}), nil)
	id := s.Play(tone(800, 1000))
	if e := await(t, s, EventPlayed); e.Play != id || !e.Whole {
		t.Fatalf("have %+v, want whole play %d", e, id)
	}
	first := s.Play(tone(80000, 2000))
	second := s.Play(tone(160, 3000))
	if e := await(t, s, EventPlayed); e.Play != first || e.Whole {
		t.Fatalf("have %+v, want cut play %d", e, first)
	}
	if e := await(t, s, EventPlayed); e.Play != second || !e.Whole {
		t.Fatalf("have %+v, want whole play %d", e, second)
	}
	f.hear(anyPacket)
}

func TestJoinRelaysBothWays(t *testing.T) {
	pool := newTestPool(t, Config{})
	a, fa := leg(t, pool, nil)
	b, fb := leg(t, pool, nil)
	a.Join(b)
	fa.say(a.LocalAddr(), 0, 0x11)
	fb.hear(octet(0x11))
	fb.say(b.LocalAddr(), 0, 0x22)
	fa.hear(octet(0x22))
	b.Close()
	a.Play(tone(160, 1))
	await(t, a, EventPlayed)
}

func TestEventsBecomeDigitsOnce(t *testing.T) {
	s, f := leg(t, newTestPool(t, Config{}), nil)
	for _, e := range []telephoneEvent{{code: 5, duration: 160}, {code: 5, duration: 320}, {code: 5, end: true, duration: 480}, {code: 5, end: true, duration: 480}} {
		f.raw(s.LocalAddr(), f.packet(101, false, 1000, e.append(nil)))
	}
	f.raw(s.LocalAddr(), f.packet(101, true, 5000, telephoneEvent{code: 11, duration: 160}.append(nil)))
	if e := await(t, s, EventDigit); e.Digit != '5' {
		t.Fatalf("have %c, want 5", e.Digit)
	}
	if e := await(t, s, EventDigit); e.Digit != '#' {
		t.Fatalf("have %c, want #", e.Digit)
	}
}

func TestSRTPBothWays(t *testing.T) {
	for _, suite := range Suites {
		t.Run(string(suite), func(t *testing.T) {
			pool := newTestPool(t, Config{})
			k1, k2 := make([]byte, suite.KeyLen()), make([]byte, suite.KeyLen())
			binary.BigEndian.PutUint32(k1, 1)
			binary.BigEndian.PutUint32(k2, 2)
			a, err := pool.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := pool.Open()
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []struct {
				s, far  *Session
				in, out []byte
			}{{a, b, k1, k2}, {b, a, k2, k1}} {
				if err := x.s.Negotiated(Params{Remote: x.far.LocalAddr(), Payloads: []Payload{{8, PCMA}}, EventType: 96,
					SRTP: &SRTP{Suite: suite, In: x.in, Out: x.out}}); err != nil {
					t.Fatal(err)
				}
			}
			if !a.SendDigits("42#") {
				t.Fatal("digits refused")
			}
			for _, want := range "42#" {
				if e := await(t, b, EventDigit); e.Digit != byte(want) {
					t.Fatalf("have %c, want %c", e.Digit, want)
				}
			}
			if err := b.Negotiated(Params{Remote: a.LocalAddr(), Payloads: []Payload{{8, PCMA}}}); err != ErrDowngrade {
				t.Fatalf("have %v, want ErrDowngrade", err)
			}
			if st := b.Stats(); st.Unauthentic != 0 {
				t.Fatalf("unauthentic: %d", st.Unauthentic)
			}
		})
	}
}
