package redis

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestBans(t *testing.T) {
	s := open(t)
	b := s.Bans()
	now := time.Now().Truncate(time.Millisecond)
	add := func(source string, until time.Time) {
		t.Helper()
		if err := b.Add(t.Context(), netip.MustParseAddr(source), until); err != nil {
			t.Fatal(err)
		}
	}
	add("192.0.2.1", now.Add(time.Minute))
	add("192.0.2.1", now.Add(time.Second)) // never shorter
	add("2001:db8::", now.Add(2*time.Minute))
	add("192.0.2.9", now.Add(-time.Minute))
	if err := s.c.ZAdd(t.Context(), bansKey, redis.Z{Score: float64(now.Add(time.Hour).UnixMilli()), Member: "no address"}).Err(); err != nil {
		t.Fatal(err)
	}
	have, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Ban{{netip.MustParseAddr("2001:db8::"), now.Add(2 * time.Minute)}, {netip.MustParseAddr("192.0.2.1"), now.Add(time.Minute)}}
	if fmt.Sprint(have) != fmt.Sprint(want) && (len(have) != 2 || !have[0].Until.Equal(want[0].Until) || !have[1].Until.Equal(want[1].Until)) {
		t.Errorf("have %v, want %v", have, want)
	}
	if err := b.Lift(t.Context(), want[0].Source); err != nil {
		t.Error(err)
	}
	if have, err = b.List(t.Context()); err != nil || len(have) != 1 || have[0].Source != want[1].Source {
		t.Errorf("after one was lifted: %v, %v", have, err)
	}
	if left, err := s.c.PTTL(t.Context(), bansKey).Result(); err != nil || left <= 0 {
		t.Errorf("the list never ends: %v, %v", left, err)
	}
	s.Close()
	if _, err := b.List(t.Context()); err == nil {
		t.Error("a Redis that is away listed bans")
	}
	if b.Add(t.Context(), netip.MustParseAddr("192.0.2.2"), now) == nil {
		t.Error("a Redis that is away took a ban")
	}
}

// TestBansAreBounded fills the list past its bound: what ends first goes.
func TestBansAreBounded(t *testing.T) {
	s := open(t)
	now := time.Now()
	pipe := s.c.Pipeline()
	for i := range maxBans {
		pipe.ZAdd(t.Context(), bansKey, redis.Z{Score: float64(now.Add(time.Hour).UnixMilli() + int64(i)), Member: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Bans().Add(t.Context(), netip.MustParseAddr("192.0.2.1"), now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	n, err := s.c.ZCard(t.Context(), bansKey).Result()
	if err != nil || n != maxBans {
		t.Errorf("%d bans, %v; want %d", n, err, maxBans)
	}
	have, err := s.Bans().List(t.Context())
	if err != nil || len(have) != readBans || have[0].Source != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%d bans are read, the first %v, %v", len(have), have[:1], err)
	}
}
