package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/test/binary"
	"github.com/ringfence/ringfence/test/pgcluster"
)

// beside is another node of the same installation: the same keys and scripts,
// ports and a data folder of its own.
func (g *gateway) beside() *gateway {
	g.t.Helper()
	b := newGateway(g.t, g.set)
	must(g.t, os.CopyFS(b.path("data/keys"), os.DirFS(g.path("data/keys"))))
	keys, err := os.ReadDir(b.path("data/keys"))
	must(g.t, err)
	for _, k := range keys {
		must(g.t, os.Chmod(b.path("data/keys/"+k.Name()), 0o600))
	}
	return b
}

// at is the same account at another node.
func (c *client) at(g *gateway) *client {
	other := *c
	other.base = g.staff()
	return &other
}

// cluster is two nodes on a primary with a synchronous standby.
type cluster struct {
	primary, standby *pgcluster.Server
	nodes            [2]*killing // what each has under way
}

func newCluster(ctx context.Context, t *testing.T) *cluster {
	c := &cluster{primary: pgcluster.Start(t)}
	c.standby = c.primary.Standby("second")
	c.primary.Ask("ALTER SYSTEM SET synchronous_standby_names = 'second'")
	c.primary.Ask("SELECT pg_reload_conf()")
	first := newGateway(t, settings{Postgres: pgcluster.URL("postgres", c.primary, c.standby)})
	d := first.seed(ctx)
	first.start(ctx)
	second := first.beside()
	second.start(ctx)
	for i, g := range []*gateway{first, second} {
		c.nodes[i] = &killing{t: t, g: g, d: directory{subject: d.subject, opener: d.opener.at(g), bank: d.bank.at(g)}, deaths: map[string]int{}, from: i * 1_000_000}
	}
	return c
}

// permit brings a new order of a node so far that its permit was fetched.
func (k *killing) permit(ctx context.Context) *order {
	k.t.Helper()
	o := k.order()
	for o.acked < pulled {
		if !k.advance(ctx, o) || o.lost || ctx.Err() != nil {
			k.t.Fatalf("order %d came to step %d", o.n, o.acked)
		}
	}
	return o
}

// race redeems one permit many times, at both nodes and with a key each, while
// meanwhile, if not nil, is done again and again too. It returns how many won.
func (c *cluster) race(ctx context.Context, t *testing.T, o *order, tries int, meanwhile func(k *killing, n int)) int64 {
	t.Helper()
	var won, n atomic.Int64
	var hands sync.WaitGroup
	for i := range 32 {
		k := c.nodes[i%2]
		hands.Go(func() {
			for {
				try := n.Add(1)
				if try > int64(tries) {
					return
				}
				if meanwhile != nil && try%4 == 0 {
					meanwhile(k, int(try))
				}
				err := k.d.bank.do(ctx, "POST", "/v1/permits/redeem", fmt.Sprintf("race-%d-%d", o.n, try), map[string]any{"permit": o.token}, nil)
				var no *refused
				switch {
				case err == nil:
					won.Add(1)
				case !errors.As(err, &no) || no.Status != http.StatusConflict && no.Status != http.StatusGone:
					t.Errorf("a loser got %v", err)
				}
			}
		})
	}
	hands.Wait()
	return won.Load()
}

// TestTwoNodes runs two programs on one database: of a thousand redemptions of
// one permit at both exactly one wins, redemption and reject never both do, and
// when the primary dies under orders at both, and the standby is promoted,
// nothing that was acknowledged is lost and nothing happens twice.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	ctx := within(t, 8*time.Minute)
	c := newCluster(ctx, t)
	first, second := c.nodes[0], c.nodes[1]
	o := first.permit(ctx)
	if won := c.race(ctx, t, o, 1000, nil); won != 1 {
		t.Errorf("%d of 1,000 redemptions won, want 1", won)
	}
	o.acked, o.redeemed, o.lost = redeemed, 1, true
	c.failOver(ctx, t)
	first.g.kill()
	first.g.start(ctx) // finds the new primary by itself
	first.settle(ctx)
	second.settle(ctx)
	c.rejects(ctx, t)
	first.replay(ctx)
	first.orders = append(first.orders, second.orders...)
	first.compare(ctx)
	if out, code := first.g.run("backup", first.g.path("copy")); code != 0 {
		t.Errorf("the log does not verify: backup ended with %d\n%s", code, out)
	}
	t.Logf("%d orders, %d redeemed", len(first.orders), first.done())
}

// rejects lets redemptions fight with rejects, last of all: those hold whatever
// else the subject has.
func (c *cluster) rejects(ctx context.Context, t *testing.T) {
	t.Helper()
	var orders []*order
	for i := range 8 {
		orders = append(orders, c.nodes[i%2].permit(ctx))
	}
	for i, o := range orders {
		path := "/v1/releases/" + string(o.release)
		won := c.race(ctx, t, o, 24, func(k *killing, n int) {
			_ = k.d.opener.do(ctx, "POST", path+"/reject", fmt.Sprintf("reject-%d-%d", o.n, n), map[string]any{}, nil)
		})
		var now struct{ State gate.State }
		must(t, c.nodes[i%2].d.opener.do(ctx, "GET", path, "", nil, &now))
		if won > 1 || (won == 1) != (now.State == gate.StateRedeemed) {
			t.Errorf("%d redemptions won and the release is %s", won, now.State)
		}
		if o.redeemed, o.lost = int(won), true; won == 1 {
			o.acked = redeemed
		}
	}
}

// failOver kills the primary while orders are under way at both nodes.
func (c *cluster) failOver(ctx context.Context, t *testing.T) {
	var acked atomic.Int64
	stop := make(chan struct{})
	var hands sync.WaitGroup
	for i := range 8 {
		k := c.nodes[i%2]
		hands.Go(func() {
			for ctx.Err() == nil {
				select {
				case <-stop:
					return
				default:
				}
				o := k.order()
				for ctx.Err() == nil && o.acked < reported && !o.lost {
					before := o.acked
					if !k.advance(ctx, o) {
						t.Errorf("order %d: a node does not answer", o.n)
						return
					}
					if o.acked > before {
						acked.Add(1)
						continue
					}
					select { // not now: ask again with the same key
					case <-time.After(50 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			}
		})
	}
	until(ctx, t, "orders come on", func() bool { return acked.Load() > 60 })
	c.primary.Kill()
	before := acked.Load()
	c.standby.Ask("ALTER SYSTEM SET synchronous_standby_names = ''")
	c.standby.Ask("SELECT pg_reload_conf()")
	c.standby.Promote()
	until(ctx, t, "orders come on at the new primary", func() bool { return acked.Load() > before+60 })
	close(stop)
	hands.Wait()
}

// TestKillOnPostgres is TestKill on PostgreSQL: the failpoints stand in its
// writer too.
func TestKillOnPostgres(t *testing.T) {
	t.Parallel()
	rounds := roundsOr(t, 4)
	ctx := within(t, time.Duration(rounds)*30*time.Second)
	deadly, remove, err := binary.Build("../..", "failpoints")
	must(t, err)
	t.Cleanup(remove)
	server := pgcluster.Start(t)
	g := newGateway(t, settings{Postgres: server.URL("postgres")})
	k := &killing{t: t, g: g, d: g.seed(ctx), deaths: map[string]int{}}
	points := []string{failpoint.StoreBegun, failpoint.StoreFilled, failpoint.StoreCommitted, failpoint.StoreAnswered}
	for round := range rounds {
		k.calm()
		k.armed = points[round%len(points)]
		g.program, g.env = deadly, []string{fmt.Sprintf("RINGFENCE_FAILPOINT=%s:%d", k.armed, 20+rand.IntN(120))}
		k.once(ctx)
		if round%5 == 4 { // the machine of the database goes too
			server.Kill()
			server.Up()
		}
	}
	k.end(ctx)
	if out, code := g.run("backup", g.path("copy")); code != 0 {
		t.Errorf("the log does not verify: backup ended with %d\n%s", code, out)
	}
	t.Logf("%d rounds, %d orders, %d redeemed; slowest start %s; deaths at failpoints: %v", rounds, len(k.orders), k.done(), k.slowest.Round(time.Millisecond), k.deaths)
}
