package gate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// hands are the two clocks of a process, set by hand.
type hands struct {
	wall  time.Time
	since time.Duration
}

func (h *hands) pass(wall, since time.Duration) { h.wall, h.since = h.wall.Add(wall), h.since+since }

func (w *world) clock(h *hands) *Clock {
	c := NewClock(w.store)
	c.read = func() (time.Time, time.Duration) { return h.wall, h.since }
	return c
}

func (w *world) looked(c *Clock) {
	w.t.Helper()
	if err := c.Look(context.Background(), ten); err != nil {
		w.t.Fatal(err)
	}
}

func TestClockRefusesUntilItIsLookedAt(t *testing.T) {
	w := newWorld(t)
	var none *Clock
	if none.Frozen(ten) != policy.ReasonClock || (&Clock{}).Frozen(ten) != policy.ReasonClock {
		t.Error("the zero clock is trusted")
	}
	c := w.clock(&hands{wall: w.now})
	if c.Frozen(ten) != policy.ReasonClock {
		t.Error("never looked at")
	}
	w.looked(c)
	if c.Frozen(ten) != "" || c.Frozen("another") != policy.ReasonClock {
		t.Errorf("looked at: %q", c.Frozen(ten))
	}
}

func TestClockBehindTheNewestEntryRefusesUntilItHasCaughtUp(t *testing.T) {
	w := newWorld(t)
	w.entry(ledger.Entry{Event: "config.changed"}) // at w.now
	h := &hands{wall: w.now.Add(-maxBehind - time.Millisecond)}
	c := w.clock(h)
	w.looked(c)
	if got := c.Frozen(ten); got != policy.ReasonClock {
		t.Errorf("2.001 s before the newest entry: %q", got)
	}
	h.pass(time.Millisecond, time.Millisecond)
	if got := c.Frozen(ten); got != "" {
		t.Errorf("caught up: %q", got)
	}
	h.pass(-time.Hour, time.Second) // stepped back while it runs
	if got := c.Frozen(ten); got != policy.ReasonClock {
		t.Errorf("an hour back: %q", got)
	}
}

func TestClockThatStepsForwardIsFrozenUntilRiskConfirms(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	h := &hands{wall: w.now}
	c := w.clock(h)
	w.looked(c)
	h.pass(40*24*time.Hour, 40*24*time.Hour)
	w.looked(c)
	if got := c.Frozen(ten); got != "" {
		t.Fatalf("time has only passed: %q", got)
	}
	if err := c.Confirm(ctx, ten, risk, "nothing happened"); !errors.Is(err, ErrConflict) {
		t.Errorf("nothing to confirm: %v", err)
	}
	for range 2 { // small steps add up
		h.pass(31*time.Second, 0)
	}
	if got := c.Frozen(ten); got != policy.ReasonClock {
		t.Errorf("at once, before anybody looks: %q", got)
	}
	w.looked(c)
	w.looked(c)
	frozen := 0
	for _, e := range w.store.Entries(ten) {
		if e.Event == "clock.frozen" {
			frozen++
		}
	}
	if frozen != 1 {
		t.Errorf("%d entries", frozen)
	}
	h.pass(-62*time.Second, 0) // putting it back does not undo what may have happened
	again := w.clock(h)        // and neither does a restart
	w.looked(again)
	if c.Frozen(ten) != policy.ReasonClock || again.Frozen(ten) != policy.ReasonClock {
		t.Error("thawed by itself")
	}
	for _, who := range []ringfence.PersonID{agent, manager, "per_nobody", ""} {
		if err := again.Confirm(ctx, ten, who, "it is right"); !errors.Is(err, ErrForbidden) {
			t.Errorf("%q confirmed: %v", who, err)
		}
	}
	var bad *InvalidError
	if err := again.Confirm(ctx, ten, risk, ""); !errors.As(err, &bad) {
		t.Errorf("without a reason: %v", err)
	}
	if err := again.Confirm(ctx, ten, risk, "the time service was replaced"); err != nil {
		t.Fatal(err)
	}
	h.pass(time.Hour, time.Hour)
	w.looked(again)
	if got := again.Frozen(ten); got != "" {
		t.Errorf("confirmed: %q", got)
	}
}

func TestClockThatCannotReadRefuses(t *testing.T) {
	w := newWorld(t)
	c := w.clock(&hands{wall: w.now})
	w.looked(c)
	c.store = deaf{w.store}
	if err := c.Look(context.Background(), ten); err == nil {
		t.Error("the look did not fail")
	}
	if got := c.Frozen(ten); got != policy.ReasonStore {
		t.Errorf("after a look that failed: %q", got)
	}
}

// deaf is a store that cannot be read.
type deaf struct{ ledger.Store }

func (deaf) View(context.Context, ringfence.TenantID, func(ledger.Tx) error) error {
	return errors.New("no answer")
}
