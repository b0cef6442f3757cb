package b2bua

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// quiet is signalling that owes nobody anything.
type quiet struct {
	signalling
	l *Leg
}

func (q quiet) end(ringfence.EndCause) { close(q.l.settled) }

// mailed is a leg with media and without a far end.
func mailed(t *testing.T) *Leg {
	t.Helper()
	pool, err := rtp.NewPool(rtp.Config{Bind: netip.MustParseAddr("127.0.0.1"), PortMin: 47000, PortMax: 47999})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	media, err := pool.Open()
	if err != nil {
		t.Fatal(err)
	}
	u := &UA{log: slog.New(slog.DiscardHandler), slots: newSlots(), changed: make(chan struct{})}
	t.Cleanup(u.wg.Wait)
	l := &Leg{u: u, trunk: &Trunk{}, media: media, settled: make(chan struct{}), acked: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(t.Context())
	l.call = quiet{l: l}
	l.start()
	return l
}

func TestLegWhoseReaderStaysAwayIsHungUp(t *testing.T) {
	l := mailed(t)
	for range eventQueue {
		l.emit(ringfence.LegEvent{Kind: ringfence.LegDigit, Digit: '1'})
	}
	<-l.settled
	n, last := 0, ringfence.LegEvent{}
	for e := range l.Events() {
		n, last = n+1, e
	}
	if n > eventQueue || n < 2 || last.Kind != ringfence.LegEnded || last.Cause != ringfence.EndFailed {
		t.Errorf("have %d events, the last %+v", n, last)
	}
}

// Events come in order and one at a time, whoever makes them, and whether
// somebody heard from the start.
func TestHearInOrder(t *testing.T) {
	for _, late := range []bool{false, true} {
		l := mailed(t)
		var mu sync.Mutex
		var got []uint64
		ended := make(chan struct{})
		hear := func() {
			l.Hear(func(e ringfence.LegEvent) {
				if !mu.TryLock() {
					t.Error("two events at once")
					return
				}
				defer mu.Unlock()
				if e.Kind == ringfence.LegEnded {
					close(ended)
					return
				}
				got = append(got, e.Play)
			})
		}
		if !late {
			hear()
		}
		const most = eventQueue - 4
		for i := range uint64(most) {
			l.emit(ringfence.LegEvent{Kind: ringfence.LegPlayed, Play: i + 1})
		}
		l.finish(ringfence.EndBye, 0)
		<-l.ctx.Done()
		if late {
			<-l.settled
			l.u.wg.Wait()
			l.mail.leave()
			hear()
		}
		<-ended
		for i, p := range got {
			if p != uint64(i+1) || len(got) != most {
				t.Fatalf("late %v: have %v", late, got)
			}
		}
		l.emit(ringfence.LegEvent{Kind: ringfence.LegPlayed, Play: 99}) // nobody hears it: it is over
	}
}
