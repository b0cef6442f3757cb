package rtp

import (
	"net/netip"
	"testing"
	"time"
)

func TestLatch(t *testing.T) {
	sdp := netip.MustParseAddrPort("192.0.2.10:4000")
	nat := netip.MustParseAddrPort("192.0.2.77:61000")
	port := netip.MustParseAddrPort("192.0.2.10:4002")
	trunk := netip.MustParseAddrPort("198.51.100.9:7000")
	stranger := netip.MustParseAddrPort("203.0.113.5:4000")
	allow := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}
	type step struct {
		from netip.AddrPort
		ssrc uint32
		ms   int // since the session was negotiated
		want verdict
	}
	for _, tt := range []struct {
		name string
		have []step
	}{
		{"a stranger is never heard, however early or alone", []step{
			{stranger, 1, 0, latchRefuse}, {stranger, 1, 20, latchRefuse}, {stranger, 1, 9000, latchRefuse}}},
		{"the address of the SDP is heard at once", []step{{sdp, 1, 0, latchNewSSRC}, {sdp, 1, 20, latchAccept}}},
		{"the address of the SDP is heard at once, however late", []step{{sdp, 1, 60000, latchNewSSRC}}},
		{"a neighbour is refused once the SDP's address spoke", []step{
			{sdp, 1, 0, latchNewSSRC}, {nat, 2, 10, latchRefuse}, {nat, 1, 20, latchRefuse}, {trunk, 1, 30, latchRefuse}}},
		{"the SDP's address wins over a candidate", []step{
			{nat, 2, 0, latchProbe}, {nat, 2, 20, latchProbe}, {sdp, 1, 30, latchNewSSRC}, {nat, 2, 40, latchRefuse}, {nat, 2, 9000, latchRefuse}}},
		{"a neighbour is locked with its fifth packet", []step{
			{nat, 2, 0, latchProbe}, {nat, 2, 20, latchProbe}, {nat, 2, 40, latchProbe}, {nat, 2, 60, latchProbe},
			{nat, 2, 80, latchNewSSRC}, {nat, 2, 100, latchAccept}, {sdp, 1, 120, latchRefuse}}},
		{"a neighbour is locked after half a second", []step{{nat, 2, 0, latchProbe}, {nat, 2, 500, latchNewSSRC}}},
		{"another port of the same host is a neighbour", []step{{port, 2, 0, latchProbe}, {port, 2, 600, latchNewSSRC}}},
		{"a second candidate is refused for ever", []step{
			{nat, 2, 0, latchProbe}, {port, 3, 10, latchRefuse}, {port, 3, 9000, latchRefuse}, {nat, 2, 9010, latchNewSSRC}}},
		{"a candidate with a second SSRC is refused", []step{{nat, 2, 0, latchProbe}, {nat, 3, 20, latchRefuse}}},
		{"a network of the trunk may be a candidate", []step{{trunk, 2, 0, latchProbe}, {trunk, 2, 700, latchNewSSRC}}},
		{"another SSRC is refused while the locked one speaks", []step{
			{sdp, 1, 0, latchNewSSRC}, {sdp, 9, 10, latchRefuse}, {sdp, 1, 20, latchAccept}, {sdp, 9, 519, latchRefuse}}},
		{"another SSRC takes over after a silence", []step{
			{sdp, 1, 0, latchNewSSRC}, {sdp, 9, 500, latchNewSSRC}, {sdp, 1, 520, latchRefuse}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Unix(1000, 0)
			var l latch
			l.reset(sdp, allow, defaultSSRCGap, start)
			for i, s := range tt.have {
				now := start.Add(time.Duration(s.ms) * time.Millisecond)
				have := l.judge(s.from, s.ssrc, now)
				if have != s.want {
					t.Fatalf("step %d: have %d, want %d", i, have, s.want)
				}
				l.take(have, s.from, s.ssrc, now)
			}
		})
	}
}

func TestLatchZeroRefuses(t *testing.T) {
	var l latch
	if v := l.judge(netip.MustParseAddrPort("192.0.2.1:4000"), 1, time.Unix(1, 0)); v != latchRefuse {
		t.Fatalf("have %d, want a refusal", v)
	}
}

func TestLatchNeverLetsTheSSRCChangeWhenTold(t *testing.T) {
	sdp := netip.MustParseAddrPort("192.0.2.10:4000")
	now := time.Unix(1000, 0)
	var l latch
	l.reset(sdp, nil, -1, now)
	l.take(latchNewSSRC, sdp, 1, now)
	if v := l.judge(sdp, 2, now.Add(time.Hour)); v != latchRefuse {
		t.Fatalf("have %d, want a refusal", v)
	}
}

func TestLatchBoundsTheChangesOfSSRC(t *testing.T) {
	sdp := netip.MustParseAddrPort("192.0.2.10:4000")
	now := time.Unix(1000, 0)
	var l latch
	l.reset(sdp, nil, defaultSSRCGap, now)
	changes := 0
	for ssrc := range uint32(1000) {
		now = now.Add(time.Second)
		if v := l.judge(sdp, ssrc, now); v == latchNewSSRC {
			l.take(v, sdp, ssrc, now)
			changes++
		}
	}
	if changes != maxSSRCTurns+1 {
		t.Fatalf("have %d changes, want %d", changes, maxSSRCTurns+1)
	}
}

func TestLatchOfANewSDP(t *testing.T) {
	first, second := netip.MustParseAddrPort("192.0.2.10:4000"), netip.MustParseAddrPort("198.51.100.1:4000")
	now := time.Unix(1000, 0)
	var l latch
	l.reset(first, nil, defaultSSRCGap, now)
	l.take(latchNewSSRC, first, 1, now)
	l.reset(first, nil, defaultSSRCGap, now)
	if v := l.judge(first, 1, now); v != latchAccept {
		t.Errorf("same SDP: the stream that was locked gets %d, want it to go on", v)
	}
	if v := l.judge(first, 2, now); v != latchNewSSRC {
		t.Errorf("same SDP: a new SSRC gets %d, want it taken", v)
	}
	l.reset(second, nil, defaultSSRCGap, now)
	if v := l.judge(first, 1, now); v != latchRefuse {
		t.Errorf("new SDP: the old address gets %d, want a refusal", v)
	}
	if v := l.judge(second, 5, now); v != latchNewSSRC {
		t.Errorf("new SDP: its address gets %d, want it taken", v)
	}
}

func TestLatchOverIPv6TakesTheSame64(t *testing.T) {
	now := time.Unix(1000, 0)
	var l latch
	l.reset(netip.MustParseAddrPort("[2001:db8:1:2::5]:4000"), nil, defaultSSRCGap, now)
	if v := l.judge(netip.MustParseAddrPort("[2001:db8:1:3::5]:4000"), 1, now); v != latchRefuse {
		t.Errorf("another /64: have %d, want a refusal", v)
	}
	if v := l.judge(netip.MustParseAddrPort("[2001:db8:1:2::6]:4000"), 1, now); v != latchProbe {
		t.Errorf("the same /64: have %d, want a probe", v)
	}
}
