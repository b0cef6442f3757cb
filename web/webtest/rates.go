// Package webtest holds the conformance suites of what web asks of others.
package webtest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/web"
)

// Rates is the conformance suite of web.Rates, run on every implementation;
// open returns an empty one that is believed.
func Rates(t *testing.T, open func(t *testing.T) web.Rates) {
	for name, test := range map[string]func(*testing.T, web.Rates){
		"refuses past the burst":     refusesPastBurst,
		"limits and names are apart": apart,
		"exactly so many of a crowd": exactly,
		"one more after a while":     oneMore,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// long is a pace at which no try comes back while a test runs.
const long = time.Hour

func spent(t *testing.T, r web.Rates, what, name string, every time.Duration, burst int) bool {
	t.Helper()
	ok, err := r.Spend(t.Context(), what, name, every, burst)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func refusesPastBurst(t *testing.T, r web.Rates) {
	for i := range 8 {
		if ok := spent(t, r, "tries", "ann", long, 5); ok != (i < 5) {
			t.Errorf("try %d: %v, want 5 and no more", i+1, ok)
		}
	}
}

func apart(t *testing.T, r web.Rates) {
	for _, of := range [][2]string{{"tries", "ann"}, {"tries", "bob"}, {"looks", "ann"}, {"looks", "an"}, {"looks", ""}} {
		if !spent(t, r, of[0], of[1], long, 1) || spent(t, r, of[0], of[1], long, 1) {
			t.Errorf("%v does not have a limit of its own", of)
		}
	}
}

func exactly(t *testing.T, r web.Rates) {
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if ok, err := r.Spend(t.Context(), "tries", "crowd", long, 7); err != nil {
				t.Error(err)
			} else if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 7 {
		t.Errorf("%d of a crowd got through, want 7", won.Load())
	}
}

func oneMore(t *testing.T, r web.Rates) {
	const every = 30 * time.Millisecond
	name := fmt.Sprint(t.Name())
	for spent(t, r, "tries", name, every, 1) { // at a slow machine more than one fits
	}
	late := time.After(time.Minute)
	for !spent(t, r, "tries", name, every, 1) {
		select {
		case <-late:
			t.Fatal("no try came back in a minute")
		case <-time.After(every):
		}
	}
}
