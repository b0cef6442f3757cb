package pin_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// work is what an answer costs.
type work struct{ updates, views, reads, writes, entries, hashes int64 }

// counting is a store that counts what is asked of it.
type counting struct {
	ledger.Store
	updates, views, reads, writes, entries atomic.Int64
}

func (c *counting) Update(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	c.updates.Add(1)
	var last countingTx // of what runs more than once, the last run counts
	err := c.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		last = countingTx{Tx: tx}
		return f(&last)
	})
	c.add(last)
	return err
}

func (c *counting) View(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	c.views.Add(1)
	var last countingTx
	err := c.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		last = countingTx{Tx: tx}
		return f(&last)
	})
	c.add(last)
	return err
}

func (c *counting) add(t countingTx) {
	c.reads.Add(t.reads)
	c.writes.Add(t.writes)
	c.entries.Add(t.entries)
}

type countingTx struct {
	ledger.Tx
	reads, writes, entries int64
}

func (t *countingTx) Get(ctx context.Context, kind ledger.Kind, id string) (ledger.Record, error) {
	t.reads++
	return t.Tx.Get(ctx, kind, id)
}

func (t *countingTx) List(ctx context.Context, kind ledger.Kind, q ledger.Query) ([]ledger.Record, error) {
	t.reads++
	return t.Tx.List(ctx, kind, q)
}

func (t *countingTx) Put(ctx context.Context, r *ledger.Record) error {
	t.writes++
	return t.Tx.Put(ctx, r)
}

func (t *countingTx) Append(ctx context.Context, e ledger.Entry) (int64, error) {
	t.entries++
	return t.Tx.Append(ctx, e)
}

func (c *counting) sum() work {
	return work{updates: c.updates.Load(), views: c.views.Load(), reads: c.reads.Load(), writes: c.writes.Load(), entries: c.entries.Load()}
}

// desk answers PIN challenges, each on a traversal of its own.
type desk struct {
	t     testing.TB
	v     *verify.Verifier
	store *counting
	who   map[string]ringfence.SubjectID
}

func newDesk(t testing.TB, cost pin.Cost) *desk {
	t.Helper()
	m, err := pin.New(verifytest.Pepper, cost)
	if err != nil {
		t.Fatal(err)
	}
	w := verifytest.New(t)
	cfg := w.Config()
	d := &desk{t: t, store: &counting{Store: cfg.Store}, who: map[string]ringfence.SubjectID{"known": w.Subject("10002000"), "without a PIN": w.Subject("20003000"), "nobody": "sub_nobody"}}
	cfg.Store = d.store
	secret, why, err := m.Enrol(t.Context(), pin.Choice{PIN: ringfence.Secret("482137"), Duress: ringfence.Secret("907351")})
	if err != nil || why != "" {
		t.Fatal(why, err)
	}
	w.Authenticator(string(d.who["known"]), ringfence.AuthPIN, secret)
	if d.v, err = verify.New(cfg, m); err != nil {
		t.Fatal(err)
	}
	return d
}

// answers returns how long one answer took, from the key to the verdict.
func (d *desk) answers(who ringfence.SubjectID, keyed string) (took time.Duration, r verify.Result) {
	d.t.Helper()
	ctx := d.t.Context()
	c, err := d.v.Create(ctx, verifytest.Tenant, verify.Request{Traversal: verifytest.Traversal(), Subject: who, Method: ringfence.FactPIN})
	if err == nil {
		_, err = d.v.Present(ctx, verifytest.Tenant, c.ID)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	began := time.Now()
	r, err = d.v.Submit(ctx, verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret(keyed)})
	if err != nil {
		d.t.Fatal(err)
	}
	return time.Since(began), r
}

// costs counts the work of a whole challenge. Each hash takes a block of memory
// of its own, so the memory that was taken tells how many there were.
func (d *desk) costs(who ringfence.SubjectID, keyed string, memory int64) work {
	d.t.Helper()
	before := d.store.sum()
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	d.answers(who, keyed)
	runtime.ReadMemStats(&b)
	w := d.store.sum()
	return work{w.updates - before.updates, w.views - before.views, w.reads - before.reads, w.writes - before.writes, w.entries - before.entries,
		int64(b.TotalAlloc-a.TotalAlloc) / memory}
}

// Invariants 23 and 26 by counted work, which no scheduler blurs: an answer costs
// somebody who is on file, somebody without a PIN and nobody exactly the same;
// and the duress PIN costs what the right one does and the alarm: one row and one
// entry more, in the same transaction.
func TestAnswersCostTheSame(t *testing.T) {
	d := newDesk(t, pin.Cost{})
	const memory = 19 << 20 // of one hash at the default cost
	wrong := d.costs(d.who["known"], "614928", memory)
	if wrong.hashes != 1 || wrong.updates == 0 || wrong.reads == 0 || wrong.writes == 0 {
		t.Fatalf("a wrong answer costs %+v: what is counted here?", wrong)
	}
	for _, name := range []string{"without a PIN", "nobody"} {
		if have := d.costs(d.who[name], "614928", memory); have != wrong {
			t.Errorf("%s costs %+v, somebody known %+v", name, have, wrong)
		}
	}
	d = newDesk(t, pin.Cost{})
	d.answers(d.who["known"], "482137") // the first success of a subject has no failures to take back
	right, under := d.costs(d.who["known"], "482137", memory), d.costs(d.who["known"], "907351", memory)
	want := right
	want.writes++
	want.entries++
	if under != want {
		t.Errorf("the duress PIN costs %+v, the right one %+v", under, right)
	}
}

// BenchmarkAnswer prints the median time of an answer for whom and what must not
// be told apart: wrong with no-PIN and nobody, right with duress. They take turns,
// so that what else the machine does meets all of them.
func BenchmarkAnswer(b *testing.B) {
	cases := []struct{ name, who, keyed string }{{"right", "known", "482137"}, {"duress", "known", "907351"}, {"wrong", "known", "614928"},
		{"no-PIN", "without a PIN", "614928"}, {"nobody", "nobody", "614928"}}
	took := make([][]time.Duration, len(cases))
	var d *desk
	for n := 0; b.Loop(); n++ {
		if n%3 == 0 { // before the lock
			d = newDesk(b, pin.Cost{})
		}
		for i := range cases {
			one := cases[(i+n)%len(cases)]
			t, r := d.answers(d.who[one.who], one.keyed)
			if good := one.keyed != "614928"; good != r.Satisfied() {
				b.Fatal(one.name, r.Outcome)
			}
			took[(i+n)%len(cases)] = append(took[(i+n)%len(cases)], t)
		}
	}
	for i, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2])/float64(time.Millisecond), cases[i].name+"-ms")
	}
}
