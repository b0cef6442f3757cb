package redis

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
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
