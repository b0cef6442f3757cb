package b2bua

import (
	"net/netip"
	"testing"
	"time"
)

// TestBansAreTold: who sends far too much is ignored, and others are told once;
// whom others ignore is ignored here, a network whole, for ten minutes at most.
func TestBansAreTold(t *testing.T) {
	now := time.Now()
	loud, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	told := map[netip.Addr]time.Time{}
	here, there := &sources{tell: func(a netip.Addr, until time.Time) {
		if _, twice := told[a]; twice {
			t.Errorf("%s was told twice", a)
		}
		told[a] = until
	}}, &UA{}
	for range banAfter + 10 {
		here.take(loud, 1, true, now)
	}
	until, ok := told[SourceOf(loud)]
	if len(told) != 1 || !ok || !until.Equal(now.Add(banTime)) {
		t.Fatalf("told %v, want %s until %s", told, SourceOf(loud), now.Add(banTime))
	}
	there.Ban(SourceOf(loud), until.Add(time.Hour))
	for _, s := range []*sources{here, &there.strange} {
		if s.take(other, 1, true, now.Add(time.Minute)) {
			t.Error("a stranger of the network was read")
		}
		if !s.take(loud, 1, true, time.Now().Add(banTime+time.Minute)) {
			t.Error("a ban lasts for longer than ten minutes")
		}
	}
	there.Ban(loud, now.Add(-time.Second))
	if there.strange.take(loud, 1, true, now.Add(time.Minute)) {
		t.Error("an older ban ended a newer one")
	}
}
