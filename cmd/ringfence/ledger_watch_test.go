package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence/ledger"
)

// Whoever hides a log need not show a forged one: not answering is enough, unless
// that is an alarm as well.
func TestASilentLogIsAnAlarm(t *testing.T) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	none := fmt.Errorf("%w: refused", errNotReached)
	w := &watch{ledgerWatchCmd: ledgerWatchCmd{Silence: 15 * time.Minute}, heard: start}
	for _, step := range []struct {
		after time.Duration
		err   error
		alarm bool
	}{
		{time.Minute, none, false}, {14 * time.Minute, none, false}, {14*time.Minute + time.Second, nil, false},
		{29 * time.Minute, none, false}, {29*time.Minute + time.Second, none, true}, {time.Hour, none, true}, {time.Hour, ledger.ErrBehind, true},
	} {
		err := w.silent(step.err, start.Add(step.after))
		if alarm := err != nil && !errors.Is(err, errNotReached); alarm != step.alarm {
			t.Errorf("after %v: %v", step.after, err)
		}
	}
	for _, c := range []ledgerWatchCmd{{Silence: 15 * time.Minute, Once: true}, {}} {
		w := &watch{ledgerWatchCmd: c, heard: start}
		if err := w.silent(none, start.Add(time.Hour)); !errors.Is(err, errNotReached) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
