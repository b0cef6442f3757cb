package postgres

import (
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// BenchmarkUpdate measures one durable row and one entry, 128 callers at a
// time: what group commit makes of PostgreSQL's fsync.
func BenchmarkUpdate(b *testing.B) {
	s := open(b, Config{URL: database(b), Master: newMaster(b)})
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		r := ledger.Record{Kind: "k", ID: ringfence.NewID[string](ringfence.PrefixEvent), Body: []byte(`{"state":"ready"}`), Keys: map[string]string{"subject": "sub_a"}}
		for pb.Next() {
			if err := s.Update(b.Context(), "default", func(tx ledger.Tx) error {
				next := r
				if err := tx.Put(b.Context(), &next); err != nil {
					return err
				}
				tx.OnCommit(func() { r.Version = next.Version })
				_, err := tx.Append(b.Context(), ledger.Entry{Event: "release.ready"})
				return err
			}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
