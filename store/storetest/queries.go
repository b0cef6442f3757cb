package storetest

import (
	"testing"

	"github.com/ringfence/ringfence/ledger"
)

// Ask asks a store for everything that it can be asked for, each in every form
// that makes a statement of its own, reading and writing: for tests that look at
// how the statements are carried out.
func Ask(t *testing.T, s ledger.Store) {
	ctx := t.Context()
	r := put(t, s, ledger.Record{ID: "a", Subject: "sub_a", Sort: 5, Keys: map[string]string{"k": "v", "l": "w"}})
	r.Keys = map[string]string{"k": "v2"}
	put(t, s, r)
	reads := func(tx ledger.Tx) error {
		for _, key := range []string{"", "k"} {
			for _, desc := range []bool{false, true} {
				q := ledger.Query{Key: key, Value: "v2", Desc: desc, Limit: 3}
				if _, err := tx.List(ctx, kind, q); err != nil {
					return err
				}
				q.After, q.AfterID = 1, "0"
				if _, err := tx.List(ctx, kind, q); err != nil {
					return err
				}
				if _, err := tx.List(ctx, kind, ledger.Query{Key: key, Value: "v2", Desc: desc, From: 1, To: 9, Limit: 3}); err != nil {
					return err
				}
			}
		}
		for _, q := range []ledger.EntryQuery{{}, {Traversal: "trv_1"}, {Release: "rel_1"}, {Subject: "sub_a"}, {Event: "alert.raised"}} {
			for _, from := range []int64{0, 1} {
				for _, desc := range []bool{false, true} {
					q.From, q.Desc = from, desc
					if _, err := tx.Entries(ctx, q); err != nil {
						return err
					}
				}
			}
		}
		if _, err := tx.Get(ctx, kind, "a"); err != nil {
			return err
		}
		_, err := ledger.HeadOf(ctx, tx)
		return err
	}
	update(t, s, tenantA, func(tx ledger.Tx) error {
		for range 3 {
			if _, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised", Traversal: "trv_1", Release: "rel_1", Subject: "sub_a"}); err != nil {
				return err
			}
		}
		return reads(tx)
	})
	view(t, s, tenantA, reads)
	update(t, s, tenantA, func(tx ledger.Tx) error {
		b := ledger.Record{Kind: kind, ID: "b", Body: []byte(`{}`), Keys: map[string]string{"k": "v"}}
		if err := tx.Put(ctx, &b); err != nil {
			return err
		}
		return tx.Delete(ctx, kind, "b", b.Version)
	})
	update(t, s, tenantA, func(tx ledger.Tx) error { return tx.EraseSubject(ctx, "sub_a") })
}
