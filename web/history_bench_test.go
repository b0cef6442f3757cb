package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/sqlite"
)

// BenchmarkPageOfHistory reads pages of the list of calls and of the log, with
// ten times as many rows the second time: a page costs the same.
func BenchmarkPageOfHistory(b *testing.B) {
	for _, rows := range []int{10_000, 100_000} {
		master, err := seal.NewMaster()
		if err != nil {
			b.Fatal(err)
		}
		store, err := sqlite.Open(b.Context(), sqlite.Config{Dir: b.TempDir(), Master: master, Volatile: true})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now().Add(-300 * 24 * time.Hour)
		for from := 0; from < rows; from += 1000 {
			if err := store.Update(b.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
				for i := from; i < from+1000; i++ {
					c := PastCall{Traversal: ringfence.TraversalID(fmt.Sprintf("trv_%026d", i)), Began: began.Add(time.Duration(i) * time.Minute), Line: "main"}
					rec := ledger.Record{Kind: kindPast, ID: string(c.Traversal), Sort: c.Began.UnixNano(), Keys: map[string]string{"number": fmt.Sprintf("4420%08d", i%5000)}}
					if err := ledger.Write(b.Context(), tx, &rec, c); err != nil {
						return err
					}
					if _, err := tx.Append(b.Context(), ledger.Entry{Event: "traversal.began", Traversal: c.Traversal}); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
		middle := began.Add(time.Duration(rows/2) * time.Minute).UnixNano()
		for name, read := range map[string]func(tx ledger.Tx) error{
			"newest": func(tx ledger.Tx) error { return page(b, tx, looked{}, ledger.Query{Desc: true}) },
			"middle": func(tx ledger.Tx) error {
				return page(b, tx, looked{}, ledger.Query{Desc: true, After: middle, AfterID: "trv_"})
			},
			"number": func(tx ledger.Tx) error {
				return page(b, tx, looked{"number", "442000000042"}, ledger.Query{Desc: true})
			},
			"entries": func(tx ledger.Tx) error {
				_, err := tx.Entries(b.Context(), ledger.EntryQuery{From: int64(rows / 2), Desc: true, Limit: 50})
				return err
			},
		} {
			b.Run(fmt.Sprintf("%s/rows=%d", name, rows), func(b *testing.B) {
				for range b.N {
					if err := store.View(b.Context(), ringfence.DefaultTenant, read); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func page(b *testing.B, tx ledger.Tx, by looked, q ledger.Query) error {
	calls, _, err := pastCalls(b.Context(), tx, []looked{by}, q, &historyIn{Limit: 50})
	if err == nil && len(calls) == 0 {
		b.Fatal("the page is empty")
	}
	return err
}
