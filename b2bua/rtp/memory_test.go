package rtp

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

// memoryNetwork is a network without sockets, so that timers can be tested in
// a synctest bubble and order is the test's own.
type memoryNetwork struct{}

func (memoryNetwork) close() {}

func (memoryNetwork) open(at netip.AddrPort, h handler) (socket, error) {
	return &memorySocket{handle: h, sc: newScratch()}, nil
}

type sentPacket struct {
	packet
	raw []byte
	to  netip.AddrPort
	at  time.Time
}

type memorySocket struct {
	handle handler
	sc     *scratch

	mu   sync.Mutex // guards the two below
	sent []sentPacket
	drop bool // keep nothing, for benchmarks
}

func (m *memorySocket) write(b []byte, to netip.AddrPort) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drop {
		return true
	}
	raw := append([]byte(nil), b...)
	var p packet
	parsePacket(raw, &p)
	m.sent = append(m.sent, sentPacket{packet: p, raw: raw, to: to, at: time.Now()})
	return true
}

func (m *memorySocket) close() {}

// take returns what was sent since the last call.
func (m *memorySocket) take() []sentPacket {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.sent
	m.sent = nil
	return out
}

// far is a far end of a session on a memoryNetwork.
type far struct {
	s    *Session
	wire *memorySocket
	ctl  *memorySocket
	addr netip.AddrPort
	ssrc uint32
	seq  uint16
	ts   uint32
}

func newMemoryPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return newPool(cfg, memoryNetwork{})
}

func newFar(t testing.TB, p *Pool, host byte, change func(*Params)) *far {
	t.Helper()
	s, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	f := &far{s: s, wire: s.media.(*memorySocket), ctl: s.ctl.(*memorySocket),
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 4000), ssrc: 0xabc000 | uint32(host), seq: uint16(host) * 999, ts: uint32(host) << 20}
	params := Params{Remote: f.addr, Payloads: []Payload{{0, PCMU}}, EventType: 101}
	if change != nil {
		change(&params)
	}
	if err := s.Negotiated(params); err != nil {
		t.Fatal(err)
	}
	return f
}

// bytes builds the far end's next packet.
func (f *far) bytes(pt uint8, marker bool, ts uint32, payload []byte) []byte {
	b := make([]byte, headerLen, headerLen+len(payload))
	putHeader(b, &packet{marker: marker, pt: pt, seq: f.seq, ts: ts, ssrc: f.ssrc})
	f.seq++
	return append(b, payload...)
}

func (f *far) arrive(from netip.AddrPort, b []byte) {
	f.wire.handle(b, from, time.Now(), f.wire.sc)
}

func fill(octet byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = octet
	}
	return b
}

// say sends 20 ms of one octet.
func (f *far) say(octet byte) {
	f.arrive(f.addr, f.bytes(f.s.in.params.Payloads[0].Type, false, f.ts, fill(octet, 160)))
	f.ts += 160
}

// key sends one telephone-event packet.
func (f *far) key(ts uint32, e telephoneEvent) {
	f.arrive(f.addr, f.bytes(f.s.in.params.EventType, false, ts, e.append(nil)))
}

// digits returns the digits reported so far.
func (f *far) digits() string {
	var d []byte
	for {
		e, ok, _ := f.s.Next()
		if !ok {
			return string(d)
		}
		if e.Kind == EventDigit {
			d = append(d, e.Digit)
		}
	}
}
