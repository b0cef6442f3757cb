package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/test/binary"
)

// step is how far a release is known to have come, because the server said so.
type step int

const (
	asked    step = iota // nobody answered yet
	opened               // 201
	ready                // asked for, and allowed
	pulled               // the permit came
	redeemed             // 200
	reported
)

// order is one action on its way through opener and bank, over crashes. Each
// of its requests keeps its idempotency key until it was answered.
type order struct {
	n        int
	acked    step
	release  ringfence.ReleaseID
	digest   string
	token    string // the permit
	pulls    time.Time
	permit   string // its id, from the redemption
	lost     bool   // a permit was minted and its answer lost: nobody may ever redeem it
	redeemed int    // 200s of different redemptions
}

// TestKill kills the program at random moments while releases are opened,
// permitted and redeemed. Nothing that was acknowledged is lost, and nothing
// happens twice.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := roundsOr(t, 20)
	ctx := within(t, time.Duration(rounds)*20*time.Second)
	deadly, remove, err := binary.Build("../..", "failpoints")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer hook.Close()
	g := newGateway(t, settings{Hook: hook.URL})
	k := &killing{t: t, g: g, d: g.seed(ctx), deaths: map[string]int{}}
	for round := range rounds {
		k.point(deadly, round)
		k.once(ctx)
		if round%5 == 0 {
			k.verify()
		}
	}
	k.end(ctx)
	k.verify()
	t.Logf("%d rounds, %d orders, %d redeemed; slowest start %s; deaths at failpoints: %v", rounds, len(k.orders), k.done(), k.slowest.Round(time.Millisecond), k.deaths)
}

// roundsOr is how many rounds the caller of make wants.
func roundsOr(t *testing.T, rounds int) int {
	t.Helper()
	text := os.Getenv("E2E_ROUNDS")
	if text == "" {
		return rounds
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// once starts the program, asks again what was under way, goes on with orders
// and kills it.
func (k *killing) once(ctx context.Context) {
	k.t.Helper()
	began := time.Now()
	if !k.g.boot(ctx) { // it died on the way up
		k.deaths[k.armed]++
		k.calm()
		k.g.start(ctx)
	}
	k.slowest = max(k.slowest, time.Since(began))
	if k.settle(ctx) {
		k.round(ctx, 20+rand.IntN(200))
	} else {
		k.deaths[k.armed]++
	}
	k.g.kill()
}

// end lets every order come to its end and compares.
func (k *killing) end(ctx context.Context) {
	k.t.Helper()
	k.calm()
	k.g.start(ctx)
	if !k.settle(ctx) {
		k.t.Fatal("the server does not answer")
	}
	k.replay(ctx)
	k.g.stop(ctx)
	k.compare(ctx)
}

// point arms one failpoint in two rounds of three; in the third the process is
// killed from outside, at whatever it is doing.
func (k *killing) point(program string, round int) {
	k.calm()
	if round%3 == 2 {
		return
	}
	k.armed = failpoint.All[(round-round/3)%len(failpoint.All)]
	most := 120
	if strings.HasPrefix(k.armed, "checkpoint") {
		most = 2 // there is one a second
	}
	k.g.program, k.g.env = program, []string{fmt.Sprintf("RINGFENCE_FAILPOINT=%s:%d", k.armed, 1+rand.IntN(most))}
}

// calm disarms.
func (k *killing) calm() { k.armed, k.g.program, k.g.env = "", "", nil }

type killing struct {
	t      *testing.T
	g      *gateway
	d      directory
	mu     sync.Mutex // guards orders while hands work
	orders []*order
	from   int // the number of the first order

	armed   string         // the failpoint of this round; "" = none
	deaths  map[string]int // by failpoint
	slowest time.Duration  // until ready
	entries int            // of the log, when last counted
}

// round makes orders with eight hands until some steps were acknowledged, and
// returns with requests still on their way.
func (k *killing) round(ctx context.Context, steps int) {
	ctx, stop := context.WithCancel(ctx)
	var acked atomic.Int64
	enough := make(chan struct{})
	var hands sync.WaitGroup
	for range 8 {
		hands.Go(func() {
			for ctx.Err() == nil {
				o := k.order()
				for ctx.Err() == nil && o.acked < reported && !o.lost {
					if !k.advance(ctx, o) {
						return // the server is gone
					}
					if acked.Add(1) == int64(steps) {
						close(enough)
					}
				}
			}
		})
	}
	select {
	case <-enough:
	case <-k.g.done:
		if k.armed == "" {
			k.t.Error("the program ended by itself")
		} else {
			k.deaths[k.armed]++
		}
	case <-ctx.Done():
		k.t.Errorf("the round made no progress: %v", context.Cause(ctx))
	}
	k.g.kill() // in the middle of eight requests
	hands.Wait()
	stop()
}

// order begins a new order.
func (k *killing) order() *order {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := &order{n: k.from + len(k.orders)}
	k.orders = append(k.orders, o)
	return o
}

// advance takes an order one step on and reports whether the server answered.
// An answer other than the one that is owed fails the test.
func (k *killing) advance(ctx context.Context, o *order) bool {
	key := fmt.Sprintf("order-%06d-%d", o.n, o.acked)
	path := "/v1/releases/" + string(o.release)
	var err error
	switch o.acked {
	case asked:
		var out struct {
			ID     ringfence.ReleaseID
			Digest string
		}
		err = k.d.opener.do(ctx, "POST", "/v1/actions", key, map[string]any{"type": "brochure", "subject": k.d.subject,
			"fields": map[string]string{"title": "brochure " + strconv.Itoa(o.n)}}, &out)
		o.release, o.digest = out.ID, out.Digest
	case opened:
		err = k.d.opener.do(ctx, "POST", path+"/release", key, map[string]any{"digest": o.digest}, nil)
	case ready:
		var out struct{ Permit string }
		o.pulls = time.Now() // it is not minted before
		err = k.d.bank.do(ctx, "POST", path+"/permit", key, map[string]any{}, &out)
		o.token = out.Permit
	case pulled:
		var out struct{ Permit string }
		err = k.d.bank.do(ctx, "POST", "/v1/permits/redeem", key, map[string]any{"permit": o.token}, &out)
		o.permit = out.Permit
		if err == nil {
			o.redeemed++
		}
	case redeemed:
		err = k.d.bank.do(ctx, "POST", "/v1/permits/"+o.permit+"/report", key, map[string]any{"outcome": "executed"}, nil)
	}
	var no *refused
	switch {
	case err == nil:
		o.acked++
		return true
	case errors.As(err, &no) && o.acked == ready && no.Status == http.StatusConflict:
		o.lost = true // minted before the crash; its answer is never given twice
		return true
	case errors.As(err, &no) && o.acked == pulled && no.Status == http.StatusGone && time.Since(o.pulls) > time.Minute:
		o.lost = true // the machine was so slow that the permit ran out
		return true
	case errors.As(err, &no) && no.Status == http.StatusServiceUnavailable:
		return true // in doubt: ask again with the same key
	case errors.As(err, &no):
		k.t.Errorf("order %d, step %d: %v", o.n, o.acked, no)
		o.lost = true
		return true
	default:
		return false
	}
}

// settle asks again what was on its way when the program was killed. It
// reports false when the program died of a failpoint meanwhile.
func (k *killing) settle(ctx context.Context) bool {
	k.t.Helper()
	for _, o := range k.orders {
		if o.acked < reported && !o.lost && !k.advance(ctx, o) {
			if k.armed == "" || ctx.Err() != nil {
				k.t.Fatalf("order %d: the server does not answer", o.n)
			}
			return false
		}
	}
	return true
}

// replay redeems every permit once more, as a thief of the bank's journal
// would: each is refused.
func (k *killing) replay(ctx context.Context) {
	k.t.Helper()
	for _, o := range k.orders {
		if o.token == "" || o.redeemed == 0 {
			continue
		}
		err := k.d.bank.do(ctx, "POST", "/v1/permits/redeem", fmt.Sprintf("again-%06d", o.n), map[string]any{"permit": o.token}, nil)
		var no *refused
		if !errors.As(err, &no) || no.Status != http.StatusConflict && no.Status != http.StatusGone {
			k.t.Errorf("order %d: its permit was redeemed again: %v", o.n, err)
		}
	}
}

func (k *killing) done() int {
	n := 0
	for _, o := range k.orders {
		n += o.redeemed
	}
	return n
}

// verify holds the log against itself and the checkpoints outside.
func (k *killing) verify() {
	k.t.Helper()
	args := []string{"ledger", "verify", "--name", "e2e"}
	if _, err := os.Stat(k.g.path("outside/default.checkpoint")); err == nil {
		args = append(args, "--checkpoint", "outside/default.checkpoint")
	}
	if out, code := k.g.run(append(args, "data")...); code != 0 {
		k.t.Errorf("ledger verify: exit %d\n%s", code, out)
	}
	now := len(k.g.entries(k.t.Context()))
	if now < k.entries {
		k.t.Errorf("the log has %d entries, it had %d", now, k.entries)
	}
	k.entries = now
}

// compare holds what was acknowledged against what is recorded.
func (k *killing) compare(ctx context.Context) {
	k.t.Helper()
	have := map[string]map[ringfence.ReleaseID]int{}
	for _, e := range k.g.entries(ctx) {
		if have[string(e.Event)] == nil {
			have[string(e.Event)] = map[ringfence.ReleaseID]int{}
		}
		have[string(e.Event)][e.Release]++
	}
	for event, least := range map[string]step{"release.requested": opened, "release.ready": ready, "release.permitted": pulled,
		"release.redeemed": redeemed, "release.executed": reported} {
		for _, o := range k.orders {
			n := have[event][o.release]
			if o.acked >= least && n == 0 {
				k.t.Errorf("order %d was acknowledged up to step %d, and %s is not recorded", o.n, o.acked, event)
			}
			if n > 1 && event != "release.permitted" && event != "release.ready" {
				k.t.Errorf("order %d: %s is recorded %d times", o.n, event, n)
			}
		}
	}
	if len(have["release.requested"]) > len(k.orders) {
		k.t.Errorf("%d releases were opened for %d orders", len(have["release.requested"]), len(k.orders))
	}
}
