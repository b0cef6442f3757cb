package web

import (
	"context"
	"errors"
	"testing"
	"time"
)

// others stands for what all nodes count together.
type others struct {
	ok    bool
	err   error
	asked int
}

func (o *others) Spend(context.Context, string, string, time.Duration, int) (bool, error) {
	o.asked++
	return o.ok, o.err
}

// TestLimitIsNeverLooser: whatever becomes of the count that nodes share, a
// node grants at most its own limit, and what it grants while it cannot find
// out is a share of that, used up by whoever came before.
func TestLimitIsNeverLooser(t *testing.T) {
	away := errors.New("away")
	for name, c := range map[string]struct {
		burst  int
		shared *others
		want   int // of 100 tries
	}{
		"the others say no":               {5, &others{}, 0},
		"the others say yes":              {5, &others{ok: true}, 5},
		"nobody can say, a small limit":   {5, &others{err: away}, 1},
		"nobody can say, a greater limit": {64, &others{err: away}, 64 / leanShare},
		"nobody can say, and says yes":    {5, &others{ok: true, err: away}, 1},
	} {
		l := &limiter{what: "tries", every: time.Hour, burst: c.burst, shared: c.shared}
		got := 0
		for range 100 {
			if l.spend("ann") == nil {
				got++
			}
		}
		if got != c.want || c.shared.asked > c.burst {
			t.Errorf("%s: %d tries and asked %d times, want %d", name, got, c.shared.asked, c.want)
		}
	}
	lost := &others{ok: true}
	l := &limiter{what: "tries", every: time.Hour, burst: 5, shared: lost}
	if err := l.spend("ann"); err != nil {
		t.Fatal(err)
	}
	lost.ok, lost.err = false, away
	if l.spend("ann") == nil {
		t.Error("losing the count of the others granted a try anew")
	}
	if l.spend("bob") != nil {
		t.Error("one who never tried has not one try while the count is away")
	}
}
