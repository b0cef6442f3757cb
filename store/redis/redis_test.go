package redis

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
	"github.com/ringfence/ringfence/web"
	"github.com/ringfence/ringfence/web/webtest"
)

// address returns the server that test/services.sh started. Without one the
// test fails in CI and is skipped elsewhere.
func address(t *testing.T) string {
	t.Helper()
	at := os.Getenv("TEST_REDIS")
	if at == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no TEST_REDIS: run the tests through test/services.sh")
		}
		t.Skip("no TEST_REDIS: run the tests through test/services.sh")
	}
	return at
}

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: address(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMarks(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		stirtest.Marks(t, func(*testing.T) stirshaken.Marks { return stirshaken.NewMemoryMarks(0) })
	})
	t.Run("redis", func(t *testing.T) {
		stirtest.Marks(t, func(t *testing.T) stirshaken.Marks { return open(t).Marks() })
	})
}

// remembers makes Redis believe that it has run for long.
func remembers(t *testing.T, s *Store) {
	t.Helper()
	conn := s.c.Conn()
	defer conn.Close()
	if err := meet(t.Context(), conn); err != nil { // after FLUSHALL any new connection would
		t.Fatal(err)
	}
	if err := s.c.HSet(t.Context(), memory, "born", 1).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestRates(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		webtest.Rates(t, func(*testing.T) web.Rates { return &web.MemoryRates{} })
	})
	t.Run("redis", func(t *testing.T) {
		webtest.Rates(t, func(t *testing.T) web.Rates {
			s := open(t)
			remembers(t, s)
			return s.Rates()
		})
	})
}

// TestRatesAreSharedAndNeverVouchedForTooEarly spends at two nodes, then loses
// the memory in every way that Redis can lose it.
func TestRatesAreSharedAndNeverVouchedForTooEarly(t *testing.T) {
	s := open(t)
	other, err := Open(t.Context(), Config{URL: address(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	spend := func(s *Store, name string) (bool, error) {
		return s.Rates().Spend(t.Context(), "tries", name, time.Minute, 2)
	}
	if _, err := spend(s, "fresh"); !errors.Is(err, errYoung) {
		t.Errorf("an empty Redis vouched: %v", err)
	}
	remembers(t, s)
	for i, node := range []*Store{s, other, s, other} {
		if ok, err := spend(node, "ann"); err != nil || ok != (i < 2) {
			t.Errorf("try %d: %v, %v; want two at both nodes together", i+1, ok, err)
		}
	}
	for name, lose := range map[string]func() error{
		"FLUSHALL":              func() error { return s.c.FlushAll(t.Context()).Err() },
		"the memory's own key":  func() error { return s.c.Del(t.Context(), memory).Err() },
		"a restart or failover": func() error { return met.Run(t.Context(), s.c, []string{memory}, "another").Err() },
	} {
		remembers(t, s)
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		if ok, err := spend(other, "bob "+name); ok || !errors.Is(err, errYoung) {
			t.Errorf("%s: %v, %v; want that it could not be found out", name, ok, err)
		}
	}
	keys, err := s.c.Keys(t.Context(), "*").Result()
	if err != nil || strings.Contains(strings.Join(keys, " "), "ann") || strings.Contains(strings.Join(keys, " "), "bob") {
		t.Errorf("names stand in Redis: %v, %v", keys, err)
	}
	other.Close()
	if ok, err := spend(other, "cat"); ok || err == nil {
		t.Errorf("without Redis: %v, %v", ok, err)
	}
	for _, bad := range []struct {
		every time.Duration
		burst int
	}{{0, 1}, {-time.Second, 1}, {time.Second, 0}} {
		if ok, err := s.Rates().Spend(t.Context(), "tries", "x", bad.every, bad.burst); ok || err == nil {
			t.Errorf("%+v was taken for a limit", bad)
		}
	}
}

// TestRestartIsMet kills a Redis of its own and starts it again with what it
// had saved: its counts may be old, so nothing is vouched for.
func TestRestartIsMet(t *testing.T) {
	r := startRedis(t)
	s, err := Open(t.Context(), Config{URL: r.url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	remembers(t, s)
	if ok, err := s.Rates().Spend(t.Context(), "tries", "ann", time.Minute, 2); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := s.c.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Rates().Spend(t.Context(), "tries", "ann", time.Minute, 2); !ok || err != nil { // not saved
		t.Fatal(ok, err)
	}
	r.kill()
	if ok, err := s.Rates().Spend(t.Context(), "tries", "ann", time.Minute, 2); ok || err == nil {
		t.Errorf("a dead Redis: %v, %v", ok, err)
	}
	r.start()
	late := time.After(30 * time.Second)
	for {
		ok, err := s.Rates().Spend(t.Context(), "tries", "ann", time.Minute, 2)
		if ok || err == nil {
			t.Fatalf("the try that was forgotten came back: %v, %v", ok, err)
		}
		if errors.Is(err, errYoung) {
			return
		}
		select {
		case <-late:
			t.Fatalf("Redis was not met again: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func mark(text string) (m stirshaken.Mark) {
	copy(m[:], text)
	return m
}

// TestNodesShareMarks replays on another node, after a loss of everything in
// Redis on the same one, and while Redis cannot be asked.
func TestNodesShareMarks(t *testing.T) {
	s := open(t)
	here, there := s.Marks(), s.Marks()
	now := time.Now()
	until := now.Add(time.Minute)
	if by, _, err := here.First(t.Context(), mark("m"), mark("honest"), now, until); err != nil || by != mark("honest") {
		t.Fatal(by, err)
	}
	if by, at, err := there.First(t.Context(), mark("m"), mark("replay"), now.Add(time.Second), until); err != nil || by != mark("honest") || !at.Equal(now) {
		t.Errorf("another node takes the replay for the first: %q, %v", by[:6], err)
	}
	if err := s.c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if by, _, err := here.First(t.Context(), mark("m"), mark("replay"), now.Add(time.Second), until); err != nil || by != mark("honest") {
		t.Errorf("after FLUSHALL the node forgot what it saw itself: %q, %v", by[:6], err)
	}
	s.Close()
	if by, _, err := there.First(t.Context(), mark("new"), mark("call"), now, until); err == nil || by != (stirshaken.Mark{}) {
		t.Errorf("without Redis: %q, %v; want that it could not be found out", by[:4], err)
	}
}

func TestMarksEnd(t *testing.T) {
	s := open(t)
	now := time.Now()
	if _, _, err := s.Marks().First(t.Context(), mark("m"), mark("a"), now, now.Add(90*time.Second)); err != nil {
		t.Fatal(err)
	}
	keys, err := s.c.Keys(t.Context(), "ringfence:mark:*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if left, err := s.c.PTTL(t.Context(), keys[0]).Result(); err != nil || left <= 0 || left > 90*time.Second {
		t.Errorf("the mark lives for %v, %v; want at most 90 s", left, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	for name, c := range map[string]struct{ url, says string }{
		"nothing":           {"", "malformed"},
		"no Redis":          {"http://planted", "malformed"},
		"plain text away":   {"redis://:planted@10.0.0.1:6379/0", "rediss://"},
		"nobody listens":    {"redis://:planted@127.0.0.1:1/0", "cannot be asked"},
		"nobody who speaks": {"redis://" + deaf.Addr().String() + "/0", "cannot be asked"},
	} {
		s, err := Open(t.Context(), Config{URL: c.url})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v, want a refusal with %q", name, err, c.says)
		}
	}
}

func TestEvictionIsRefused(t *testing.T) {
	s := open(t)
	for policy, good := range map[string]bool{"allkeys-lru": false, "volatile-ttl": false, "noeviction": true} {
		if err := s.c.ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
		other, err := Open(t.Context(), Config{URL: address(t)})
		if err == nil {
			other.Close()
		}
		if good != (err == nil) || err != nil && !strings.Contains(err.Error(), "noeviction") {
			t.Errorf("%s: %v", policy, err)
		}
	}
	if err := s.c.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsTriedAgain(t *testing.T) {
	if n := open(t).c.Options().MaxRetries; n > 0 {
		t.Errorf("%d retries: an answer that was lost would be asked for twice", n)
	}
}
