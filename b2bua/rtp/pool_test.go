package rtp

import (
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

func TestConfigRefusals(t *testing.T) {
	for name, c := range map[string]Config{
		"multicast bind":         {Bind: netip.MustParseAddr("224.0.0.1")},
		"ports reversed":         {PortMin: 30000, PortMax: 29000},
		"a single port":          {PortMin: 30000, PortMax: 30000},
		"an odd port and no odd": {PortMin: 30001, PortMax: 30002},
		"privileged ports":       {PortMin: 10, PortMax: 2000},
		"DSCP over six bits":     {DSCP: 64},
		"dead in no time":        {DeadAfter: time.Millisecond},
	} {
		if _, err := c.withDefaults(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (Config{}).withDefaults(); err != nil {
		t.Errorf("zero value: %v", err)
	}
}

func TestParamsRefusals(t *testing.T) {
	good := func() Params {
		return Params{Remote: netip.MustParseAddrPort("192.0.2.1:4000"), Payloads: []Payload{{0, PCMU}}, EventType: 101}
	}
	if _, err := good().validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Params){
		"zero value":                func(p *Params) { *p = Params{} },
		"no payload":                func(p *Params) { p.Payloads = nil },
		"nine payloads":             func(p *Params) { p.Payloads = make([]Payload, 9) },
		"no codec":                  func(p *Params) { p.Payloads[0].Codec = NoCodec },
		"unknown codec":             func(p *Params) { p.Payloads[0].Codec = 99 },
		"payload type 128":          func(p *Params) { p.Payloads[0].Type = 128 },
		"payload type of RTCP":      func(p *Params) { p.Payloads[0].Type = 72 },
		"payload type twice":        func(p *Params) { p.Payloads = append(p.Payloads, Payload{0, PCMA}) },
		"payload type 13":           func(p *Params) { p.Payloads[0].Type = 13 },
		"event on an audio type":    func(p *Params) { p.Payloads[0].Type = 101 },
		"static event type":         func(p *Params) { p.EventType = 8 },
		"ptime 5 ms":                func(p *Params) { p.Ptime = 5 * time.Millisecond },
		"ptime 25 ms":               func(p *Params) { p.Ptime = 25 * time.Millisecond },
		"ptime 70 ms":               func(p *Params) { p.Ptime = 70 * time.Millisecond },
		"negative ptime":            func(p *Params) { p.Ptime = -20 * time.Millisecond },
		"unknown direction":         func(p *Params) { p.Direction = 4 },
		"unknown digit source":      func(p *Params) { p.Digits = 3 },
		"multicast remote":          func(p *Params) { p.Remote = netip.MustParseAddrPort("239.1.1.1:4000") },
		"IPv6 multicast remote":     func(p *Params) { p.Remote = netip.MustParseAddrPort("[ff02::1]:4000") },
		"broadcast remote":          func(p *Params) { p.Remote = netip.MustParseAddrPort("255.255.255.255:4000") },
		"mapped multicast remote":   func(p *Params) { p.Remote = netip.MustParseAddrPort("[::ffff:224.0.0.1]:4000") },
		"multicast RTCP":            func(p *Params) { p.RemoteRTCP = netip.MustParseAddrPort("239.1.1.1:4001") },
		"SRTP without suite":        func(p *Params) { p.SRTP = &SRTP{} },
		"SRTP key too short":        func(p *Params) { p.SRTP = &SRTP{AESCM128SHA80, make([]byte, 16), make([]byte, 30)} },
		"SRTP the same key twice":   func(p *Params) { p.SRTP = &SRTP{AESCM128SHA80, make([]byte, 30), make([]byte, 30)} },
		"SRTP suite of another RFC": func(p *Params) { p.SRTP = &SRTP{"F8_128_HMAC_SHA1_80", make([]byte, 30), make([]byte, 30)} },
	} {
		p := good()
		change(&p)
		if _, err := p.validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPortsWrapAndRunOut(t *testing.T) {
	p := newTestPool(t, Config{PortMin: 45001, PortMax: 45010})
	var open []*Session
	for {
		s, err := p.Open()
		if err == ErrNoPorts {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if port := s.LocalAddr().Port(); port%2 != 0 || port < 45002 || port > 45008 {
			t.Fatalf("port %d", port)
		}
		open = append(open, s)
	}
	if len(open) == 0 || len(open) > 4 {
		t.Fatalf("%d sessions in 4 pairs", len(open))
	}
	open[0].Close()
	s, err := p.Open()
	if err != nil || s.LocalAddr() != open[0].LocalAddr() {
		t.Fatalf("have %v %v, want the pair that was closed", s, err)
	}
}

func TestAPortTakenByAnotherIsPassedOver(t *testing.T) {
	first := newTestPool(t, Config{PortMin: 28100, PortMax: 28103})
	second := newTestPool(t, Config{PortMin: 28100, PortMax: 28103})
	a, err := first.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := second.Open()
	if err != nil || b.LocalAddr() == a.LocalAddr() {
		t.Fatalf("have %v and %v, %v", a.LocalAddr(), b, err)
	}
	if _, err := second.Open(); err != ErrNoPorts {
		t.Fatalf("have %v, want ErrNoPorts", err)
	}
}

func TestClosedPoolRefuses(t *testing.T) {
	p := newTestPool(t, Config{})
	s, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	if _, err := p.Open(); err != ErrClosed {
		t.Errorf("have %v, want ErrClosed", err)
	}
	if _, ok, over := s.Next(); ok || !over {
		t.Error("a session outlives its pool")
	}
}

// Sixty-four calls at once over real sockets, opened and closed all the while:
// no packet of one is heard in another.
func TestNoCrosstalk(t *testing.T) {
	pool := newTestPool(t, Config{PortMin: 46000, PortMax: 46399})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for round := range 4 {
				a, fa := leg(t, pool, nil)
				b, fb := leg(t, pool, nil)
				a.Join(b)
				mine := byte(1 + (i+round)%120)
				other := mine | 0x80
				for range 20 {
					fa.say(a.LocalAddr(), 0, mine)
					fb.say(b.LocalAddr(), 0, other)
					for _, x := range []struct {
						f    *phone
						want byte
					}{{fb, mine}, {fa, other}} {
						q := x.f.hear(func(q packet) bool { return q.payload[0] != ulawSilence })
						if q.payload[0] != x.want {
							t.Errorf("call %d hears %x, want %x", i, q.payload[0], x.want)
						}
					}
				}
				a.Close()
				b.Close()
			}
		})
	}
	wg.Wait()
}

func TestIPv6(t *testing.T) {
	pool, err := NewPool(Config{Bind: netip.IPv6Loopback(), PortMin: 46400, PortMax: 46499})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := pool.Open()
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("no IPv6 on this machine")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	a, fa := leg(t, pool, nil)
	b, fb := leg(t, pool, nil)
	a.Join(b)
	fa.say(a.LocalAddr(), 0, 0x15)
	fb.hear(octet(0x15))
}

// The portable network does what the fast one does.
func TestPlainNetwork(t *testing.T) {
	cfg, err := Config{Bind: loopback, PortMin: 46500, PortMax: 46599}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	pool := newPool(cfg, &plainNetwork{})
	t.Cleanup(pool.Close)
	a, fa := leg(t, pool, nil)
	b, fb := leg(t, pool, nil)
	a.Join(b)
	fa.say(a.LocalAddr(), 0, 0x15)
	fb.hear(octet(0x15))
}

// Two sessions that report to each other learn loss and round trip.
func TestReportsBothWays(t *testing.T) {
	for _, mux := range []bool{false, true} {
		bubble(t, Config{}, func(t *testing.T, p *Pool) {
			f := newFar(t, p, 10, func(x *Params) { x.RTCPMux = mux })
			wire, from := f.ctl, netip.AddrPortFrom(f.addr.Addr(), f.addr.Port()+1)
			if mux {
				wire, from = f.wire, f.addr
			}
			for range 100 {
				f.say(1)
				pass(20 * time.Millisecond)
			}
			f.seq += 25 // lost
			var sr []byte
			for sr == nil {
				f.say(1)
				pass(20 * time.Millisecond)
				for _, q := range wire.take() {
					if isRTCP(q.raw) {
						sr = q.raw
					}
				}
			}
			var r report
			if !parseReport(sr, f.ssrc, &r) || !r.about || r.fraction == 0 || r.ntp == 0 {
				t.Fatalf("mux %v: our report does not read, or tells no loss: %+v", mux, r)
			}
			// The far end answers 300 to 320 ms later, and says it kept it 100 ms.
			pass(300 * time.Millisecond)
			other := &Session{ssrc: f.ssrc}
			other.out.params.Payloads = []Payload{{0, PCMU}}
			other.in.latch.locked, other.in.latch.ssrc = true, f.s.ssrc
			st := &other.in.stats
			st.begun, st.base, st.high, st.got, st.lastSR = true, 1, 10, 5, r.ntp
			st.lastSRAt = time.Now().Add(-100 * time.Millisecond)
			wire.handle(other.compose(nil, time.Now()), from, time.Now(), wire.sc)
			have := f.s.Stats()
			if have.Reports != 1 || have.RTT < 199*time.Millisecond || have.RTT > 221*time.Millisecond {
				t.Errorf("mux %v: %d reports, round trip %v, want 200 to 220ms", mux, have.Reports, have.RTT)
			}
			if have.RemoteLost < 0.49 || have.RemoteLost > 0.51 || have.Lost != 25 {
				t.Errorf("mux %v: remote loss %v, loss %d", mux, have.RemoteLost, have.Lost)
			}
			if have.MOS < 1 || have.MOS > 4.5 {
				t.Errorf("MOS %v", have.MOS)
			}
		})
	}
}

func TestMOSFallsWithLossAndDelay(t *testing.T) {
	best := estimateMOS(0, 20*time.Millisecond)
	if best < 4.3 || best > 4.5 {
		t.Errorf("best %v", best)
	}
	if v := estimateMOS(0.05, 20*time.Millisecond); v >= best || v < 1 {
		t.Errorf("5 %% loss: %v", v)
	}
	if v := estimateMOS(0, 600*time.Millisecond); v >= best || v < 1 {
		t.Errorf("600 ms: %v", v)
	}
	if v := estimateMOS(1, time.Hour); v != 1 {
		t.Errorf("nothing heard: %v", v)
	}
}
