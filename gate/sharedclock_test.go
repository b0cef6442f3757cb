package gate

import (
	"context"
	"testing"
	"time"

	"github.com/ringfence/ringfence/policy"
)

// Nodes that go by one time notice a step of it each by itself, whatever their own
// wall clocks say; one confirmation counts for all, and freezes none again.
func TestASharedClockThatStepped(t *testing.T) {
	w := newWorld(t)
	shared := w.now
	var ran time.Duration
	node := func(boot string) *Clock {
		c := NewSharedClock(w.store, func() time.Time { return shared })
		c.read = func() (time.Time, time.Duration) { return shared, ran }
		c.boot = func() (string, time.Duration) { return boot, ran }
		return c
	}
	one, two := node("one"), node("two")
	look := func(t *testing.T, want policy.Reason) {
		t.Helper()
		for range 3 {
			w.looked(one)
			w.looked(two)
		}
		if a, b := one.Frozen(ten), two.Frozen(ten); a != want || b != want {
			t.Fatalf("have %q and %q, want %q", a, b, want)
		}
	}
	pass := func(wall, real time.Duration) {
		shared, ran = shared.Add(wall), ran+real
		w.now = shared
	}
	look(t, "")
	pass(time.Hour, time.Hour)
	look(t, "")
	pass(13*time.Hour, time.Second)
	if one.Frozen(ten) != policy.ReasonClock || two.Frozen(ten) != policy.ReasonClock {
		t.Fatal("a step is noticed at the next look only")
	}
	look(t, policy.ReasonClock)
	if err := one.Confirm(context.Background(), ten, risk, "the database's machine had been asleep"); err != nil {
		t.Fatal(err)
	}
	look(t, "")
	pass(time.Minute, time.Minute)
	look(t, "")
	if n := count(w, "clock.frozen"); n != 1 {
		t.Errorf("%d entries of one step", n)
	}
	three := node("three") // a machine that joins the others
	w.looked(three)
	if got := three.Frozen(ten); got != "" {
		t.Errorf("a node that joins: %q", got)
	}
	pass(-time.Hour, time.Second)
	look(t, policy.ReasonClock) // before the newest entry
	pass(time.Hour, time.Second)
	look(t, "") // it has caught up
}

// The time that nodes share is kept now and then, not by each in turn.
func TestASharedClockIsKeptByOne(t *testing.T) {
	w := newWorld(t)
	h := &hands{wall: w.now}
	var all []*Clock
	for _, boot := range []string{"one", "two", "three"} {
		c := w.clock(h)
		c.shared = true
		c.boot = func() (string, time.Duration) { return boot, h.since }
		all = append(all, c)
	}
	version := func() int64 {
		for _, rec := range w.records(KindClock) {
			return rec.Version
		}
		return 0
	}
	before := version()
	for range 19 {
		for _, c := range all {
			w.looked(c)
		}
		h.pass(time.Second, time.Second)
	}
	if n := version() - before; n != 1 {
		t.Errorf("kept %d times in 19 s", n)
	}
}
