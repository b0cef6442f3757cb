package gate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/sqlite"
)

// grown is up to how many subjects, and as many entries of the ledger,
// BenchmarkGrowth goes: from ten thousand in steps of ten.
var grown = flag.Int("gate.grown", 10_000, "subjects and ledger entries that BenchmarkGrowth ends with")

// BenchmarkGrowth shows what things cost as the store grows. Each line is the
// median of many; what is flat does not depend on how much there is.
func BenchmarkGrowth(b *testing.B) {
	dir := b.TempDir()
	w := &grownWorld{b: b, dir: dir}
	w.open()
	for size := 10_000; size <= *grown; size *= 10 {
		began := time.Now()
		w.grow(size)
		b.Logf("%9d subjects and entries, %d MiB, built in %s", size, w.size()>>20, time.Since(began).Round(time.Second))
		for _, m := range w.measures() {
			b.Logf("%9d  %-42s %10s", size, m.what, w.median(m.n, m.do).Round(time.Microsecond))
		}
		b.Logf("%9d  %-42s %10.0f", size, "entries verified a second", w.verified())
	}
}

type grownWorld struct {
	*world
	b      *testing.B
	dir    string
	master *seal.Master
	store  *sqlite.Store
	all    []ringfence.SubjectID
	crowds []ringfence.SubjectID // with everything that a release needs
}

func (w *grownWorld) open() {
	var err error
	if w.master == nil {
		if w.master, err = seal.NewMaster(); err != nil {
			w.b.Fatal(err)
		}
	}
	if w.store, err = sqlite.Open(context.Background(), sqlite.Config{Dir: w.dir, Master: w.master}); err != nil {
		w.b.Fatal(err)
	}
	w.b.Cleanup(func() { w.store.Close() })
	if w.world == nil {
		w.world = worldOn(w.b, w.store)
		return
	}
	w.g = w.world.open(w.store)
}

// grow adds subjects with a number each, and an entry about each.
func (w *grownWorld) grow(to int) {
	old := time.Now().Add(-year)
	for len(w.all) < to {
		var made []ringfence.SubjectID
		err := w.g.desk(context.Background(), ten, func(d desk) error {
			made = nil
			for range min(2000, to-len(w.all)) {
				id := ringfence.NewID[ringfence.SubjectID]("sub")
				made = append(made, id)
				number := fmt.Sprintf("4477%08d", len(w.all)+len(made))
				_, logged := d.tx.Append(d.ctx, ledger.Entry{Event: "reference.imported", Subject: id, Data: map[string]string{"source": "growth"}})
				if err := errors.Join(logged,
					d.put(ledger.KindSubject, string(id), 0, id, map[string]string{"number": number}, ringfence.Subject{ID: id, Kind: "customer", Status: ringfence.StatusActive}),
					d.put(ledger.KindContactPoint, "cpt_"+string(id), 0, id, map[string]string{"subject": string(id), "value": number}, ringfence.ContactPoint{
						ID: ringfence.ContactPointID("cpt_" + string(id)), Subject: id, Type: ringfence.ContactMobile, Value: number, VerifiedAt: old, ChangedAt: old, Status: ringfence.StatusActive})); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.b.Fatal(err)
		}
		w.all = append(w.all, made...)
	}
	w.crowds = w.crowd(300)
}

// verified is how many entries a second the auditor reads and checks.
func (w *grownWorld) verified() float64 {
	audit, err := sqlite.OpenAudit(w.dir)
	if err != nil {
		w.b.Fatal(err)
	}
	defer audit.Close()
	text, err := w.g.cfg.Log.VerifierKey(ten)
	if err != nil {
		w.b.Fatal(err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		w.b.Fatal(err)
	}
	began := time.Now()
	report, err := ledger.Verify(context.Background(), ten, audit.Log(ten), v, nil)
	if err != nil || !report.OK() {
		w.b.Fatalf("%v %+v", err, report.Findings)
	}
	return float64(report.Size) / time.Since(began).Seconds()
}

func (w *grownWorld) size() int64 {
	info, err := os.Stat(w.dir + "/ringfence.db")
	if err != nil {
		w.b.Fatal(err)
	}
	return info.Size()
}

func (w *grownWorld) median(n int, do func(i int) error) time.Duration {
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		if err := do(i); err != nil {
			w.b.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n/2]
}

type measure struct {
	what string
	n    int
	do   func(i int) error
}

func (w *grownWorld) measures() []measure {
	ctx := context.Background()
	spread := func(i int) int { return int(uint64(i+1) * 0x9e3779b97f4a7c15 % uint64(len(w.all))) }
	view := func(f func(tx ledger.Tx, i int) error) func(int) error {
		return func(i int) error { return w.store.View(ctx, ten, func(tx ledger.Tx) error { return f(tx, i) }) }
	}
	return []measure{
		{"a release, from open to redemption", 200, func(i int) error { return w.whole(ctx, w.crowds[i%len(w.crowds)]) }},
		{"a subject by number (blind index)", 500, view(func(tx ledger.Tx, i int) error {
			found, err := tx.List(ctx, ledger.KindSubject, ledger.Query{Key: "number", Value: fmt.Sprintf("4477%08d", spread(i)+1)})
			if err == nil && len(found) != 1 {
				err = fmt.Errorf("%d subjects have the number", len(found))
			}
			return err
		})},
		{"a page of 50 subjects, from the middle", 200, view(func(tx ledger.Tx, i int) error {
			r, err := tx.Get(ctx, ledger.KindSubject, string(w.all[spread(i)]))
			if err == nil {
				_, err = tx.List(ctx, ledger.KindSubject, ledger.Query{After: r.Sort, AfterID: r.ID, Limit: 50})
			}
			return err
		})},
		{"the entries of a subject", 500, view(func(tx ledger.Tx, i int) error {
			found, err := tx.Entries(ctx, ledger.EntryQuery{Subject: w.all[spread(i)]})
			if err == nil && len(found) != 1 {
				err = fmt.Errorf("%d entries", len(found))
			}
			return err
		})},
		{"the newest 50 entries of an event", 200, view(func(tx ledger.Tx, i int) error {
			_, err := tx.Entries(ctx, ledger.EntryQuery{Event: "release.ready", Desc: true, Limit: 50})
			return err
		})},
		{"the head of the log, for a checkpoint", 500, view(func(tx ledger.Tx, i int) error {
			_, err := ledger.HeadOf(ctx, tx)
			return err
		})},
		{"an entry, until it is durable", 200, func(i int) error {
			return w.store.Update(ctx, ten, func(tx ledger.Tx) error {
				_, err := tx.Append(ctx, ledger.Entry{Event: "leg.placed", Traversal: ringfence.TraversalID(fmt.Sprint("trv_grown", i%10))})
				return err
			})
		}},
		{"the entries of a call, a few dozen", 200, view(func(tx ledger.Tx, i int) error {
			found, err := tx.Entries(ctx, ledger.EntryQuery{Traversal: ringfence.TraversalID(fmt.Sprint("trv_grown", i%10))})
			if err == nil && len(found) < 20 {
				err = fmt.Errorf("%d entries", len(found))
			}
			return err
		})},
		{"the newest 50 releases", 200, view(func(tx ledger.Tx, i int) error {
			found, err := tx.List(ctx, KindRelease, ledger.Query{Desc: true, Limit: 50})
			if err == nil && len(found) != 50 {
				err = fmt.Errorf("%d releases", len(found))
			}
			return err
		})},
		{"an inclusion proof", 500, view(func(tx ledger.Tx, i int) error {
			size, err := tx.Size(ctx)
			if err == nil {
				_, err = tlog.ProveRecord(size, int64(spread(i)), tx)
			}
			return err
		})},
		{"a consistency proof from the middle", 200, view(func(tx ledger.Tx, i int) error {
			size, err := tx.Size(ctx)
			if err == nil {
				_, err = tlog.ProveTree(size, int64(spread(i))+1, tx)
			}
			return err
		})},
		{"closing and opening the store", 5, func(int) error {
			err := w.store.Close()
			w.open()
			return err
		}},
	}
}

// whole is one release of a subject from open to redemption.
func (w *world) whole(ctx context.Context, subject ringfence.SubjectID) error {
	q := request("payment")
	q.Subject = subject
	q.Traversal = ringfence.NewID[ringfence.TraversalID]("trv")
	r, _, err := w.g.Open(ctx, ten, q)
	if err == nil {
		err = w.benchProofs(r)
	}
	if err == nil {
		r, _, err = w.g.Release(ctx, ten, r.ID, Actor{Person: agent})
	}
	var token string
	if err == nil {
		token, _, err = w.g.Permit(ctx, ten, r.ID, executor)
	}
	if err == nil {
		_, err = w.g.Redeem(ctx, ten, executor, token, Key{})
	}
	if err != nil {
		return fmt.Errorf("%w: %s %s", err, r.State, r.Why)
	}
	return nil
}
