package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

const thing ledger.Kind = "thing"

// Whatever the size of a page, everything is read once and in its order.
func TestAllIsEverything(t *testing.T) {
	ctx, store := t.Context(), &ledgertest.Memory{}
	const n = 7
	err := store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for i := range n {
			rec := ledger.Record{Kind: thing, ID: fmt.Sprint(i), Sort: int64(i / 2)}
			if err := ledger.Write(ctx, tx, &rec, i); err != nil {
				return err
			}
			if _, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []int{0, 1, 2, 3, 4, 5, 6}
	back := slices.Clone(want)
	slices.Reverse(back)
	err = store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for limit := range n + 2 {
			for _, desc := range []bool{false, true} {
				order := want
				if desc {
					order = back
				}
				if rows, err := ledger.Rows[int](ctx, tx, thing, ledger.Query{Limit: limit, Desc: desc}); err != nil || !slices.Equal(rows, order) {
					t.Errorf("rows, %d a page, desc %v: %v, %v", limit, desc, rows, err)
				}
				for _, event := range []ledger.Event{"", "alert.raised"} {
					var got []int
					for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Event: event, Limit: limit, Desc: desc}) {
						if err != nil {
							return err
						}
						got = append(got, int(e.Index))
					}
					if !slices.Equal(got, order) {
						t.Errorf("entries of %q, %d a page, desc %v: %v", event, limit, desc, got)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Backwards the search ends before the first entry when that is another's.
func TestAllEntriesEndsAtItsOldest(t *testing.T) {
	ctx, store := t.Context(), &ledgertest.Memory{}
	for _, event := range []ledger.Event{"hold.placed", "alert.raised", "alert.raised"} {
		if err := store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
			_, err := tx.Append(ctx, ledger.Entry{Event: event})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		var got []int64
		for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Event: "alert.raised", Limit: 1, Desc: true}) {
			if err != nil {
				return err
			}
			got = append(got, e.Index)
		}
		if !slices.Equal(got, []int64{2, 1}) {
			t.Errorf("%v", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// failing answers with one page, and then not at all.
type failing struct {
	ledger.Tx
	err   error
	asked int
}

func (f *failing) List(_ context.Context, _ ledger.Kind, q ledger.Query) ([]ledger.Record, error) {
	if f.asked++; f.asked > 1 {
		return nil, f.err
	}
	return slices.Repeat([]ledger.Record{{Kind: thing, ID: "a", Body: []byte("1")}}, q.Limit), nil
}

func (f *failing) Entries(_ context.Context, q ledger.EntryQuery) ([]ledger.Entry, error) {
	if f.asked++; f.asked > 1 {
		return nil, f.err
	}
	return make([]ledger.Entry, q.Limit), nil
}

// What was not found out fails the whole, and nothing comes after it.
func TestAllTellsThatItDoesNotKnow(t *testing.T) {
	boom := errors.New("boom")
	if rows, err := ledger.Rows[int](t.Context(), &failing{err: boom}, thing, ledger.Query{}); !errors.Is(err, boom) || rows != nil {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	f, seen := &failing{err: boom}, 0
	for _, err := range ledger.AllEntries(t.Context(), f, ledger.EntryQuery{}) {
		if seen++; (err != nil) != (seen > ledger.MaxPage) {
			t.Fatalf("entry %d: %v", seen, err)
		}
	}
	if seen != ledger.MaxPage+1 || f.asked != 2 {
		t.Errorf("%d entries, asked %d times", seen, f.asked)
	}
	if _, err := ledger.Rows[string](t.Context(), &failing{err: boom}, thing, ledger.Query{Limit: 1}); err == nil || errors.Is(err, boom) {
		t.Errorf("a row that is none: %v", err)
	}
}

// Who has seen enough is not read on for.
func TestAllStopsWhenToldTo(t *testing.T) {
	f := &failing{err: errors.New("boom")}
	for range ledger.All(t.Context(), f, thing, ledger.Query{Limit: 2}) {
		break
	}
	if f.asked != 1 {
		t.Errorf("asked %d times", f.asked)
	}
}
