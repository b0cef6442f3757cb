// Package storetest is the conformance suite of ledger.Store. Every store
// passes it, the one in memory included; what a store does beyond the contract
// is tested beside the store.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

const (
	tenantA ringfence.TenantID = "default"
	tenantB ringfence.TenantID = "ten_other"
	kind    ledger.Kind        = "thing"
)

// Run runs the suite on stores that open returns, each empty.
func Run(t *testing.T, open func(t *testing.T) ledger.Store) {
	for name, test := range map[string]func(*testing.T, ledger.Store){
		"refuses a stale version":               refusesStale,
		"refuses a second insert":               refusesSecondInsert,
		"refuses writes in a view":              refusesWritesInView,
		"refuses another tenant's rows":         refusesOtherTenant,
		"refuses an event that is none":         refusesUnknownEvent,
		"keeps nothing of a failed transaction": keepsNothingOfFailed,
		"survives a panicking callback":         survivesPanic,
		"lists by key in order and by page":     lists,
		"lists everything, page after page":     listsAll,
		"changes keys with the row":             changesKeys,
		"erases a subject and keeps the log":    erases,
		"proves every entry":                    proves,
		"one winner of a thousand":              oneWinner,
		"counts without a gap":                  countsWithoutGap,
		"runs after the commit only":            afterCommit,
		"a view sees one moment":                viewIsSnapshot,
		"agrees with plain maps":                agreesWithModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func update(t *testing.T, s ledger.Store, tenant ringfence.TenantID, f func(ledger.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), tenant, f); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, s ledger.Store, tenant ringfence.TenantID, f func(ledger.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), tenant, f); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func put(t *testing.T, s ledger.Store, r ledger.Record) ledger.Record {
	t.Helper()
	r.Kind = kind
	if r.Body == nil {
		r.Body = []byte(`{}`)
	}
	update(t, s, tenantA, func(tx ledger.Tx) error {
		put := r
		tx.OnCommit(func() { r = put })
		return tx.Put(t.Context(), &put)
	})
	return r
}

func refusesStale(t *testing.T, s ledger.Store) {
	r := put(t, s, ledger.Record{ID: "a"})
	if r.Version != 1 {
		t.Fatalf("first version is %d, want 1", r.Version)
	}
	for _, version := range []int64{2, 7, -1} {
		stale := r
		stale.Version = version
		if err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error { return tx.Put(t.Context(), &stale) }); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("put of version %d: %v, want ErrConflict", version, err)
		}
	}
	if err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error { return tx.Delete(t.Context(), kind, "a", 9) }); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("delete of another version: %v, want ErrConflict", err)
	}
	if err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error { return tx.Delete(t.Context(), kind, "b", 1) }); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("delete of nothing: %v, want ErrNotFound", err)
	}
}

func refusesSecondInsert(t *testing.T, s ledger.Store) {
	put(t, s, ledger.Record{ID: "a"})
	again := ledger.Record{Kind: kind, ID: "a", Body: []byte(`{}`)}
	if err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error { return tx.Put(t.Context(), &again) }); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("second insert: %v, want ErrConflict", err)
	}
}

func refusesWritesInView(t *testing.T, s ledger.Store) {
	r := put(t, s, ledger.Record{ID: "a"})
	view(t, s, tenantA, func(tx ledger.Tx) error {
		_, appended := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"})
		for what, err := range map[string]error{
			"put":    tx.Put(t.Context(), &r),
			"delete": tx.Delete(t.Context(), kind, "a", 1),
			"erase":  tx.EraseSubject(t.Context(), "sub_x"),
			"append": appended,
		} {
			if !errors.Is(err, ledger.ErrReadOnly) {
				t.Errorf("%s in a view: %v, want ErrReadOnly", what, err)
			}
		}
		return nil
	})
}

func refusesOtherTenant(t *testing.T, s ledger.Store) {
	put(t, s, ledger.Record{ID: "a", Keys: map[string]string{"k": "v"}})
	update(t, s, tenantB, func(tx ledger.Tx) error {
		if _, err := tx.Get(t.Context(), kind, "a"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("get of another tenant's row: %v, want ErrNotFound", err)
		}
		if err := tx.Delete(t.Context(), kind, "a", 1); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("delete of another tenant's row: %v, want ErrNotFound", err)
		}
		rows, err := tx.List(t.Context(), kind, ledger.Query{Key: "k", Value: "v"})
		if err != nil || len(rows) != 0 {
			t.Errorf("list shows %d rows of another tenant, %v", len(rows), err)
		}
		size, err := tx.Size(t.Context())
		if err != nil || size != 0 {
			t.Errorf("another tenant's log has %d entries, %v", size, err)
		}
		return nil
	})
}

func refusesUnknownEvent(t *testing.T, s ledger.Store) {
	err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error {
		_, err := tx.Append(t.Context(), ledger.Entry{Event: "release.forced"})
		return err
	})
	if err == nil {
		t.Error("an event outside the closed set was written")
	}
}

func keepsNothingOfFailed(t *testing.T, s ledger.Store) {
	boom := errors.New("boom")
	err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error {
		r := ledger.Record{Kind: kind, ID: "a", Body: []byte(`{}`), Subject: "sub_new", Keys: map[string]string{"k": "v"}}
		if err := tx.Put(t.Context(), &r); err != nil {
			return err
		}
		if _, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("update: %v, want the callback's own error", err)
	}
	put(t, s, ledger.Record{ID: "b", Subject: "sub_new"}) // its key must be a fresh one that stays
	view(t, s, tenantA, func(tx ledger.Tx) error {
		if _, err := tx.Get(t.Context(), kind, "a"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("a failed transaction left its row: %v", err)
		}
		if _, err := tx.Get(t.Context(), kind, "b"); err != nil {
			t.Errorf("row of the same subject: %v", err)
		}
		if size, _ := tx.Size(t.Context()); size != 0 {
			t.Errorf("a failed transaction left %d entries", size)
		}
		rows, _ := tx.List(t.Context(), kind, ledger.Query{Key: "k", Value: "v"})
		if len(rows) != 0 {
			t.Errorf("a failed transaction left a key")
		}
		return nil
	})
}

func survivesPanic(t *testing.T, s ledger.Store) {
	func() {
		defer func() { _ = recover() }() // a store may let the panic through to its caller, or turn it into an error
		if err := s.Update(t.Context(), tenantA, func(ledger.Tx) error { panic("planted") }); err == nil {
			t.Error("a panicking transaction succeeded")
		}
	}()
	put(t, s, ledger.Record{ID: "after"})
}

func lists(t *testing.T, s ledger.Store) {
	for i := range 25 {
		put(t, s, ledger.Record{ID: fmt.Sprintf("r%02d", i), Sort: int64(i / 2), Keys: map[string]string{"parity": fmt.Sprint(i % 2)}})
	}
	for _, desc := range []bool{false, true} {
		var got []string
		q := ledger.Query{Key: "parity", Value: "1", Desc: desc, Limit: 5}
		for {
			var page []ledger.Record
			view(t, s, tenantA, func(tx ledger.Tx) (err error) { page, err = tx.List(t.Context(), kind, q); return err })
			for _, r := range page {
				got = append(got, r.ID)
				q.After, q.AfterID = r.Sort, r.ID
			}
			if len(page) < 5 {
				break
			}
		}
		want := []string{"r01", "r03", "r05", "r07", "r09", "r11", "r13", "r15", "r17", "r19", "r21", "r23"}
		if desc {
			slices.Reverse(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("desc %v: pages give %v, want %v", desc, got, want)
		}
	}
	view(t, s, tenantA, func(tx ledger.Tx) error {
		rows, err := tx.List(t.Context(), kind, ledger.Query{From: 3, To: 5})
		if err != nil || len(rows) != 4 {
			t.Errorf("sort within [3,5): %d rows, %v; want 4", len(rows), err)
		}
		if _, err := tx.List(t.Context(), kind, ledger.Query{Limit: 1001}); err == nil {
			t.Error("a limit of 1001 was accepted")
		}
		return nil
	})
}

// listsAll: a page says nothing of what is behind it, ledger.All reads on. In the
// transaction that writes, a list that is remembered is no shorter.
func listsAll(t *testing.T, s ledger.Store) {
	const n = ledger.MaxPage + 5
	q := ledger.Query{Key: "of", Value: "all"}
	every := func(tx ledger.Tx) error {
		for _, desc := range []bool{false, true} {
			q.Desc = desc
			seen := map[string]bool{}
			for rec, err := range ledger.All(t.Context(), tx, kind, q) {
				if err != nil {
					return err
				}
				seen[rec.ID] = true
			}
			if len(seen) != n {
				t.Errorf("desc %v: %d of %d records", desc, len(seen), n)
			}
		}
		if page, err := tx.List(t.Context(), kind, ledger.Query{Key: "of", Value: "all", Limit: ledger.MaxPage}); err != nil || len(page) != ledger.MaxPage {
			t.Errorf("a page has %d records, %v", len(page), err)
		}
		return nil
	}
	update(t, s, tenantA, func(tx ledger.Tx) error {
		for i := range n {
			r := ledger.Record{Kind: kind, ID: fmt.Sprintf("r%04d", i), Body: []byte(`{}`), Sort: int64(i / 7), Keys: map[string]string{"of": "all"}}
			if err := tx.Put(t.Context(), &r); err != nil {
				return err
			}
		}
		return every(tx)
	})
	update(t, s, tenantA, every)
	view(t, s, tenantA, every)
}

func changesKeys(t *testing.T, s ledger.Store) {
	r := put(t, s, ledger.Record{ID: "a", Keys: map[string]string{"n": "old"}})
	r.Keys = map[string]string{"n": "new"}
	put(t, s, r)
	view(t, s, tenantA, func(tx ledger.Tx) error {
		for value, want := range map[string]int{"old": 0, "new": 1} {
			rows, err := tx.List(t.Context(), kind, ledger.Query{Key: "n", Value: value})
			if err != nil || len(rows) != want {
				t.Errorf("key n=%s finds %d rows, %v; want %d", value, len(rows), err, want)
			}
		}
		got, err := tx.Get(t.Context(), kind, "a")
		if err != nil || got.Version != 2 || got.Keys["n"] != "new" {
			t.Errorf("row is %+v, %v", got, err)
		}
		return nil
	})
}

func erases(t *testing.T, s ledger.Store) {
	put(t, s, ledger.Record{ID: "a", Subject: "sub_a", Keys: map[string]string{"k": "v"}})
	put(t, s, ledger.Record{ID: "b", Subject: "sub_b", Keys: map[string]string{"k": "v"}})
	update(t, s, tenantA, func(tx ledger.Tx) error {
		if _, err := tx.Append(t.Context(), ledger.Entry{Event: "traversal.began", Subject: "sub_a"}); err != nil {
			return err
		}
		return tx.EraseSubject(t.Context(), "sub_a")
	})
	view(t, s, tenantA, func(tx ledger.Tx) error {
		if _, err := tx.Get(t.Context(), kind, "a"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("erased row: %v, want ErrNotFound", err)
		}
		rows, err := tx.List(t.Context(), kind, ledger.Query{Key: "k", Value: "v"})
		if err != nil || len(rows) != 1 || rows[0].ID != "b" {
			t.Errorf("after the erasure: %v, %v; want the other subject's row", rows, err)
		}
		if size, _ := tx.Size(t.Context()); size != 1 {
			t.Errorf("the log has %d entries, want 1", size)
		}
		return nil
	})
	put(t, s, ledger.Record{ID: "c", Subject: "sub_a"})
	view(t, s, tenantA, func(tx ledger.Tx) error { _, err := tx.Get(t.Context(), kind, "c"); return err })
}

func proves(t *testing.T, s ledger.Store) {
	const n = 70
	for range n {
		update(t, s, tenantA, func(tx ledger.Tx) error {
			_, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised", Data: map[string]string{"what": "test"}})
			return err
		})
	}
	view(t, s, tenantA, func(tx ledger.Tx) error {
		head, err := ledger.HeadOf(t.Context(), tx)
		if err != nil || head.Size != n {
			t.Fatalf("head is %+v, %v; want %d entries", head, err, n)
		}
		entries, err := tx.Entries(t.Context(), ledger.EntryQuery{Event: "alert.raised"})
		if err != nil || len(entries) != n {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		for i, e := range entries {
			leaf, err := e.Leaf()
			if err != nil {
				t.Fatal(err)
			}
			proof, err := tlog.ProveRecord(n, int64(i), tx)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof, n, head.Root, int64(i), tlog.RecordHash(leaf)); err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
		}
		newest, err := tx.Entries(t.Context(), ledger.EntryQuery{Desc: true, Limit: 2})
		if err != nil || len(newest) != 2 || newest[0].Index != n-1 {
			t.Errorf("newest two: %v, %v", newest, err)
		}
		return nil
	})
}

func oneWinner(t *testing.T, s ledger.Store) {
	r := put(t, s, ledger.Record{ID: "a"})
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 1000 {
		wg.Go(func() {
			mine := r
			err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error { mine.Version = r.Version; return tx.Put(t.Context(), &mine) })
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, ledger.ErrConflict):
				t.Errorf("a loser got %v, want ErrConflict", err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 1000 won, want exactly 1", won)
	}
}

func countsWithoutGap(t *testing.T, s ledger.Store) {
	put(t, s, ledger.Record{ID: "n", Body: []byte(`0`)})
	const n = 200
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			err := s.Update(t.Context(), tenantA, func(tx ledger.Tx) error { return increment(t.Context(), tx) })
			if err != nil {
				t.Errorf("increment: %v", err)
			}
		})
	}
	wg.Wait()
	view(t, s, tenantA, func(tx ledger.Tx) error {
		got, _, err := ledger.Read[int](t.Context(), tx, kind, "n")
		size, _ := tx.Size(t.Context())
		if err != nil || got != n || size != n {
			t.Errorf("counted %d with %d entries, %v; want %d", got, size, err, n)
		}
		return nil
	})
}

func increment(ctx context.Context, tx ledger.Tx) error {
	n, version, err := ledger.Read[int](ctx, tx, kind, "n")
	if err != nil {
		return err
	}
	if err := ledger.Write(ctx, tx, &ledger.Record{Kind: kind, ID: "n", Version: version}, n+1); err != nil {
		return err
	}
	_, err = tx.Append(ctx, ledger.Entry{Event: "key.used"})
	return err
}

func afterCommit(t *testing.T, s ledger.Store) {
	ran := 0
	update(t, s, tenantA, func(tx ledger.Tx) error {
		tx.OnCommit(func() {
			ran++
			view(t, s, tenantA, func(tx ledger.Tx) error { _, err := tx.Get(t.Context(), kind, "a"); return err })
		})
		return tx.Put(t.Context(), &ledger.Record{Kind: kind, ID: "a", Body: []byte(`{}`)})
	})
	_ = s.Update(t.Context(), tenantA, func(tx ledger.Tx) error { tx.OnCommit(func() { ran += 100 }); return errors.New("no") })
	if ran != 1 {
		t.Errorf("ran %d, want once, and never for a failed transaction", ran)
	}
}

func viewIsSnapshot(t *testing.T, s ledger.Store) {
	put(t, s, ledger.Record{ID: "n", Body: []byte(`0`)})
	view(t, s, tenantA, func(tx ledger.Tx) error {
		before, _, err := ledger.Read[int](t.Context(), tx, kind, "n")
		if err != nil {
			return err
		}
		update(t, s, tenantA, func(tx ledger.Tx) error { return increment(t.Context(), tx) })
		after, _, err := ledger.Read[int](t.Context(), tx, kind, "n")
		if err != nil || after != before {
			t.Errorf("a view read %d, then %d, %v", before, after, err)
		}
		return nil
	})
}
