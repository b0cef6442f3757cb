package b2bua_test

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// descriptors counts open files of this process, or -1 where that is not known.
func descriptors() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(d)
}

// settles waits until count is at most base.
func settles(t *testing.T, what string, base int, count func() int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx := within(t)
	for count() > base {
		select {
		case <-tick.C:
		case <-ctx.Done():
			buf := make([]byte, 1<<20)
			t.Fatalf("%d %s, %d before\n%s", count(), what, base, buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestLeavesNothing: after many calls, half of them given up, neither goroutines
// nor descriptors stay; and after Close nothing at all.
func TestLeavesNothing(t *testing.T) {
	empty, emptyFDs := runtime.NumGoroutine(), descriptors()
	for _, transport := range []string{"udp", "tcp"} {
		ua := gateway(t, transport, func(ctx context.Context, leg *b2bua.Leg) {
			if leg.Info().Called == "refuse" {
				_ = leg.Refuse(ctx, 404, "Not Found")
				return
			}
			_ = leg.Answer(ctx)
			<-ctx.Done()
		})
		p, err := peer.New(peer.Config{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		uri := func(user string) string {
			s := "sip:" + user + "@" + ua.Addrs()["main"].String()
			if transport != "udp" {
				s += ";transport=" + transport
			}
			return s
		}
		round := func(n int) {
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					user := "answer"
					if i%2 == 0 {
						user = "refuse"
					}
					c, err := p.Call(within(t), peer.Invite{To: uri(user)})
					if err == nil {
						c.Hangup()
						<-c.Done()
					}
					if (err == nil) != (user == "answer") {
						t.Errorf("call to %s: %v", user, err)
					}
				})
			}
			wg.Wait()
		}
		const once = 8 // what a first call makes and later ones use: a connection and its readers
		base, fds := runtime.NumGoroutine()+once, descriptors()+once
		for range 5 {
			round(40)
		}
		settles(t, "goroutines", base, runtime.NumGoroutine)
		settles(t, "descriptors", fds, descriptors)
		_ = p.Close()
		_ = ua.Close()
	}
	settles(t, "goroutines after Close", empty, runtime.NumGoroutine)
	settles(t, "descriptors after Close", emptyFDs, descriptors)
}
