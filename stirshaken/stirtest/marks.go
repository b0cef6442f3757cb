package stirtest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
)

// Marks is the conformance suite of stirshaken.Marks, run on every
// implementation; open returns an empty one.
func Marks(t *testing.T, open func(t *testing.T) stirshaken.Marks) {
	for name, test := range map[string]func(*testing.T, stirshaken.Marks){
		"the first call keeps the mark": firstKeeps,
		"one winner of many":            oneWinner,
		"marks are apart":               marksApart,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func markNamed(text string) (m stirshaken.Mark) {
	copy(m[:], text)
	return m
}

func firstKeeps(t *testing.T, m stirshaken.Marks) {
	now := time.Now()
	for i, call := range []string{"one", "two", "one"} {
		by, at, err := m.First(t.Context(), markNamed("mark"), markNamed(call), now.Add(time.Duration(i)*time.Second), now.Add(time.Minute))
		if err != nil || by != markNamed("one") || !at.Equal(now) {
			t.Errorf("call %s: first was %q at %s, %v; want one at %s", call, by[:3], at, err, now)
		}
	}
}

func marksApart(t *testing.T, m stirshaken.Marks) {
	now := time.Now()
	for i := range 50 {
		call := markNamed(fmt.Sprint("call ", i))
		if by, _, err := m.First(t.Context(), markNamed(fmt.Sprint("mark ", i)), call, now, now.Add(time.Minute)); err != nil || by != call {
			t.Errorf("mark %d was taken, %v", i, err)
		}
	}
}

func oneWinner(t *testing.T, m stirshaken.Marks) {
	now := time.Now()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			call := markNamed(fmt.Sprint("call ", i))
			by, _, err := m.First(t.Context(), markNamed("mark"), call, now, now.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if by == call {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d calls were the first", won.Load())
	}
}
