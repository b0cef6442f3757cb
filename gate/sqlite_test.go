package gate

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/store/sqlite"
	"github.com/ringfence/ringfence/test/pgcluster"
)

// sqliteWorld is a world on the embedded truth; time there is the real one.
func sqliteWorld(t testing.TB, volatile bool) *world {
	t.Helper()
	master, err := seal.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(context.Background(), sqlite.Config{Dir: t.TempDir(), Master: master, Volatile: volatile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return worldOn(t, store)
}

// worldOn is a world on a store that is empty.
func worldOn(t testing.TB, store ledger.Store) *world {
	t.Helper()
	w := &world{t: t, now: time.Now(), policies: &policies{all: map[[32]byte]*policy.Policy{}},
		signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
	w.policies.set(loadPolicy(t))
	w.g = w.open(store)
	w.seed()
	w.knownPayee()
	return w
}

// proved opens a payment whose proofs are all there.
func (w *world) proved() Release {
	r := w.opened("payment")
	w.now = time.Now().Add(-time.Second)
	w.prove(r, "passkey", "callback", "confirmed")
	return r
}

func TestInvariant02OnSQLite(t *testing.T) {
	ctx := context.Background()
	w := sqliteWorld(t, true)
	r := w.proved()
	if r, v := w.released(r.ID); r.State != StateReady {
		t.Fatalf("%s %+v", r.State, v)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var tokens []string
	for range 50 {
		wg.Go(func() {
			if token, _, err := w.g.Permit(ctx, ten, r.ID, executor); err == nil && token != "" {
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, token)
			}
		})
	}
	wg.Wait()
	if len(tokens) != 1 {
		t.Fatalf("%d permits left at once", len(tokens))
	}
	won := 0
	for range 1000 {
		wg.Go(func() {
			_, err := w.g.Redeem(ctx, ten, executor, tokens[0], Key{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, ErrConflict) {
				t.Errorf("a loser got %v", err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 1,000 redeemed", won)
	}
	if r := w.look(r.ID); r.State != StateRedeemed {
		t.Errorf("have %s", r.State)
	}
	again := w.open(w.g.cfg.Store) // as after a restart
	if _, err := again.Redeem(ctx, ten, executor, tokens[0], Key{}); !errors.Is(err, ErrConflict) {
		t.Errorf("redeemed after a restart: %v", err)
	}
}

// BenchmarkRelease measures durable releases from open to redemption: five
// transactions each, 16 at a time, on SQLite with synchronous=FULL.
func BenchmarkRelease(b *testing.B) { releases(b, sqliteWorld(b, false)) }

// BenchmarkPostgresRelease is BenchmarkRelease on PostgreSQL with a synchronous
// standby, both on this machine.
func BenchmarkPostgresRelease(b *testing.B) {
	primary := pgcluster.Start(b)
	primary.Standby("second")
	primary.Ask("ALTER SYSTEM SET synchronous_standby_names = 'second'")
	primary.Ask("SELECT pg_reload_conf()")
	releases(b, worldOn(b, place{URL: primary.URL("postgres"), KeyFile: filepath.Join(b.TempDir(), "key")}.open(b)))
	if n := primary.Ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'"); n != "1" {
		b.Errorf("%s synchronous standbys", n)
	}
}

func releases(b *testing.B, w *world) {
	ctx := context.Background()
	subjects := w.crowd(500)
	var mu sync.Mutex
	var took []time.Duration
	var n atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	before := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			start := time.Now()
			if err := w.whole(ctx, subjects[int(n.Add(1))%len(subjects)]); err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			took = append(took, time.Since(start))
			mu.Unlock()
		}
	})
	slices.Sort(took)
	if len(took) > 0 {
		b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms")
		b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "releases/s")
		b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(len(took))/1000, "cpu-ms/release")
	}
}

// crowd stores n customers with a number, a passkey and a known payee each.
func (w *world) crowd(n int) []ringfence.SubjectID {
	old := w.now.Add(-year)
	var out []ringfence.SubjectID
	err := w.g.desk(context.Background(), ten, func(d desk) error {
		out = nil
		for range n {
			id := ringfence.NewID[ringfence.SubjectID]("sub")
			by := map[string]string{"subject": string(id)}
			out = append(out, id)
			err := errors.Join(
				d.put(ledger.KindSubject, string(id), 0, id, nil, ringfence.Subject{ID: id, Kind: "customer", Status: ringfence.StatusActive}),
				d.put(ledger.KindContactPoint, "cpt_"+string(id), 0, id, by, ringfence.ContactPoint{ID: ringfence.ContactPointID("cpt_" + string(id)),
					Subject: id, Type: ringfence.ContactMobile, VerifiedAt: old, ChangedAt: old, Status: ringfence.StatusActive}),
				d.put(ledger.KindAuthenticator, "aut_"+string(id), 0, id, by, ringfence.Authenticator{ID: ringfence.AuthenticatorID("aut_" + string(id)),
					Subject: id, Type: ringfence.AuthPasskey, BoundAt: old, Status: ringfence.StatusActive}),
				putPayee(d.ctx, d.tx, Payee{Subject: id, Account: "/12345678", Since: old}, 0))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) benchProofs(r Release) error {
	return w.g.cfg.Store.Update(context.Background(), ten, func(tx ledger.Tx) error {
		for _, f := range []ringfence.Fact{"passkey", "callback", "confirmed"} {
			e := ringfence.Evidence{ID: ringfence.NewID[ringfence.EvidenceID]("evd"), Tenant: ten, Subject: r.Proves, Fact: f, Strength: strengths[f],
				Traversal: r.Traversal, Release: r.ID, Digest: r.Digest, Presented: f != "callback", At: tx.Now()}
			if f == "callback" {
				e.ContactPoint = ringfence.ContactPointID("cpt_" + string(r.Proves))
			} else if f == "passkey" {
				e.Authenticator = ringfence.AuthenticatorID("aut_" + string(r.Proves))
			}
			rec := ledger.Record{Kind: ledger.KindEvidence, ID: string(e.ID), Subject: e.Subject, Sort: e.At.UnixNano(),
				Keys: map[string]string{"release": string(r.ID), "traversal": string(r.Traversal), "subject": string(e.Subject)}}
			if err := ledger.Write(context.Background(), tx, &rec, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// cpuTime is what the process has used of the processors, which says more than
// the clock on a machine that others use too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
