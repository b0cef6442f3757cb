package gate

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// box is a machine on which a process starts, runs and ends.
type box struct {
	hands
	boot string
	up   time.Duration
}

func (b *box) pass(wall, since time.Duration) { b.hands.pass(wall, since); b.up += since }

// start is a new process on the machine, looked at once.
func (w *world) start(b *box) *Clock {
	w.t.Helper()
	c := w.clock(&b.hands)
	c.boot = func() (string, time.Duration) { return b.boot, b.up }
	w.looked(c)
	return c
}

// What the clock did while nothing ran is told at the next start.
func TestClockThatSteppedWhileNothingRan(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name string
		then func(*world, *box) // between two starts
		want policy.Reason
	}{
		{"time has passed", func(_ *world, b *box) { b.pass(3*day, 3*day) }, ""},
		{"a minute too much", func(_ *world, b *box) { b.pass(3*day+maxStep+time.Second, 3*day) }, policy.ReasonClock},
		{"forty days too much", func(_ *world, b *box) { b.pass(40*day, time.Hour) }, policy.ReasonClock},
		{"not quite a minute, twice", func(w *world, b *box) {
			b.pass(31*time.Second, 0)
			w.start(b)
			b.pass(31*time.Second+markEvery, markEvery)
		}, policy.ReasonClock},
		{"another start of the machine, at once", func(_ *world, b *box) { b.boot, b.up = "second", 0; b.pass(maxStep, maxStep) }, ""},
		{"another start of the machine, later than can be told", func(_ *world, b *box) {
			b.boot, b.up = "second", 0
			b.pass(maxStep+time.Second, time.Second)
		}, policy.ReasonClock},
		{"later, but somebody else wrote just now", func(w *world, b *box) {
			b.boot, b.up = "second", 0
			b.pass(time.Hour, time.Hour)
			w.now = b.wall
			w.entry(ledger.Entry{Event: "config.changed"})
		}, ""},
		{"a machine that does not tell", func(_ *world, b *box) { b.boot, b.up = "", 0; b.pass(time.Hour, time.Hour) }, policy.ReasonClock},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			b := &box{hands: hands{wall: w.now}, boot: "first", up: time.Hour}
			if got := w.start(b).Frozen(ten); got != "" {
				t.Fatalf("before: %q", got)
			}
			tc.then(w, b)
			c := w.start(b)
			if got := c.Frozen(ten); got != tc.want {
				t.Fatalf("have %q, want %q", got, tc.want)
			}
			if tc.want == "" {
				return
			}
			if got := w.start(b).Frozen(ten); got != tc.want || count(w, "clock.frozen") != 1 {
				t.Errorf("after another start: %q, %d entries", got, count(w, "clock.frozen"))
			}
			if err := c.Confirm(context.Background(), ten, risk, "the machine was off"); err != nil {
				t.Fatal(err)
			}
			if got := w.start(b).Frozen(ten); b.boot != "" && got != "" {
				t.Errorf("confirmed, and started again: %q", got)
			}
		})
	}
}

// A folder that an older version made says nothing of the time before.
func TestClockThatWasNeverKept(t *testing.T) {
	w := newWorld(t)
	w.entry(ledger.Entry{Event: "config.changed"})
	b := &box{hands: hands{wall: w.now.Add(48 * time.Hour)}, boot: "first"}
	if got := w.start(b).Frozen(ten); got != "" {
		t.Errorf("have %q", got)
	}
}

// The time is kept now and then, not every second, and without an entry.
func TestClockIsKeptNowAndThen(t *testing.T) {
	w := newWorld(t)
	b := &box{hands: hands{wall: w.now}, boot: "first"}
	c := w.start(b)
	entries := len(w.store.Entries(ten))
	_, first, _, _ := c.stored(t.Context(), ten)
	for range int(markEvery/time.Second) - 1 {
		b.pass(time.Second, time.Second)
		w.looked(c)
	}
	_, same, _, _ := c.stored(t.Context(), ten)
	b.pass(time.Second, time.Second)
	w.looked(c)
	_, later, _, err := c.stored(t.Context(), ten)
	if err != nil || !same.Seen.Equal(first.Seen) || !later.Seen.Equal(first.Seen.Add(markEvery)) || len(w.store.Entries(ten)) != entries {
		t.Errorf("%v: %v, %v, %v", err, first.Seen, same.Seen, later.Seen)
	}
}

func TestMachineBoot(t *testing.T) {
	dir := t.TempDir()
	file := func(name, says string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(says), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	id, none := file("id", "5a0f-1\n"), filepath.Join(dir, "none")
	for says, want := range map[string]time.Duration{"12.50 3.00\n": 12500 * time.Millisecond, "0.00 0.00": 0} {
		if got, up := bootFrom(id, file("up", says)); got != "5a0f-1" || up != want {
			t.Errorf("%q: %q, %v", says, got, up)
		}
	}
	for _, says := range []string{"", "soon", "-1 2", "1e300 1", "NaN 1"} {
		if got, _ := bootFrom(id, file("up", says)); got != "" {
			t.Errorf("%q: %q", says, got)
		}
	}
	if got, _ := bootFrom(none, file("up", "1 1")); got != "" {
		t.Errorf("without an id: %q", got)
	}
	if got, _ := bootFrom(id, none); got != "" {
		t.Errorf("without a time: %q", got)
	}
}
