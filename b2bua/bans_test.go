package b2bua

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// scan lets a source go on until it is ignored.
func scan(s *sources, a netip.Addr, now time.Time) {
	for range banAfter + 20 {
		s.take(a, 1, true, now)
	}
}

func TestBans(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := &sources{}
	for _, a := range []string{"192.0.2.7", "2001:db8:0:1::5", "::ffff:198.51.100.1"} {
		scan(s, netip.MustParseAddr(a), now)
	}
	for _, c := range []struct {
		source string
		banned bool
	}{
		{"192.0.2.7", true}, {"::ffff:192.0.2.7", true}, {"192.0.2.8", false}, {"::ffff:192.0.2.9", false},
		{"2001:db8:0:1:ffff::9", true}, {"2001:db8:0:2::5", false}, {"198.51.100.1", true}, {"198.51.100.2", false},
	} {
		if got := !s.take(netip.MustParseAddr(c.source), 1, true, now.Add(time.Minute)); got != c.banned {
			t.Errorf("%s: ignored %v, want %v", c.source, got, c.banned)
		}
	}
	if got := fmt.Sprint(s.bans(now.Add(time.Minute))); len(s.bans(now.Add(time.Minute))) != 3 {
		t.Errorf("bans %s", got)
	}
	if s.unban(netip.MustParseAddr("192.0.2.8"), now) || !s.unban(netip.MustParseAddr("2001:db8:0:1::77"), now) || !s.unban(netip.MustParseAddr("::ffff:192.0.2.7"), now) {
		t.Error("lifted what was none, or not what was")
	}
	if !s.take(netip.MustParseAddr("192.0.2.7"), 1, true, now) || len(s.bans(now)) != 1 {
		t.Error("still ignored")
	}
	if later := now.Add(banTime + time.Second); len(s.bans(later)) != 0 || !s.take(netip.MustParseAddr("198.51.100.1"), 1, true, later) {
		t.Error("ignored for ever")
	}
}

// However many sources a flood pretends to have, the table stays bounded, and
// who is ignored stays so.
func TestBansAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := &sources{}
	scanner := netip.MustParseAddr("203.0.113.5")
	scan(s, scanner, now)
	for i := range 3 * maxSources {
		s.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1, true, now.Add(time.Duration(i)*time.Microsecond))
	}
	if len(s.by) > maxSources {
		t.Errorf("%d sources are held", len(s.by))
	}
	if s.take(scanner, 1, true, now.Add(time.Minute)) {
		t.Error("a flood lifted a ban")
	}
}

// Whoever writes a trunk's address into datagrams, on a listener that is not the
// trunk's or without its certificate, gets nothing banned but themselves.
func TestSpoofedSourceBansNoTrunk(t *testing.T) {
	carrier := &Trunk{Name: "carrier", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	secure := &Trunk{Name: "secure", PeerName: "sip.carrier.example", Sources: carrier.Sources}
	limits := Limits{TrunkRate: 1000, StrangerRate: 1}
	var rates, strange sources
	listener := func(trunks ...*Trunk) *fence {
		return &fence{limits: limits, strangers: StrangersRefuse, trunks: trunks, rates: &rates, strange: &strange}
	}
	ours, other, overTLS := listener(carrier), listener(), listener(secure)
	a, now := netip.MustParseAddr("192.0.2.9"), time.Unix(1e9, 0)
	for range 2 * banAfter {
		other.welcome(other.trunkOf(a, nil), a, now)     // a listener of somebody else
		overTLS.welcome(overTLS.trunkOf(a, nil), a, now) // without the certificate
	}
	if len(strange.bans(now)) != 1 {
		t.Fatal("nobody was banned: the test proves nothing")
	}
	if !ours.welcome(ours.trunkOf(a, nil), a, now) {
		t.Error("the trunk is ignored on its own listener")
	}
	if !overTLS.welcome(overTLS.trunkOf(a, []string{"sip.carrier.example"}), a, now) {
		t.Error("the trunk is ignored although it showed its certificate")
	}
}
