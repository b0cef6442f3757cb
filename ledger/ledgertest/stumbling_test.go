package ledgertest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

// told counts what a test would be told.
type told struct {
	testing.TB
	said []string
}

func (s *told) Errorf(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

// Each operation fails once, and whoever goes on is told of.
func TestStumbling(t *testing.T) {
	forget := errors.New("not this one") // the error that a careless transaction leaves out
	for careless, want := range map[int]int{0: 0, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1} {
		m, heard := &ledgertest.Memory{}, &told{TB: t}
		runs, done := 0, 0
		err := ledgertest.Stumbling{Store: m, T: heard}.Update(t.Context(), "default", func(tx ledger.Tx) error {
			runs++
			rec := ledger.Record{Kind: "thing", ID: "a"}
			for i, do := range []func() error{
				func() error { return tx.Put(t.Context(), &rec) },
				func() error { _, err := tx.Get(t.Context(), "thing", "a"); return err },
				func() error { _, err := tx.List(t.Context(), "thing", ledger.Query{}); return err },
				func() error { _, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"}); return err },
				func() error { _, err := tx.Size(t.Context()); return err },
				func() error { _, err := tx.Entries(t.Context(), ledger.EntryQuery{}); return err },
				func() error { _, err := tx.ReadHashes(nil); return err },
				func() error { return tx.Delete(t.Context(), "thing", "a", rec.Version) },
			} {
				if err := do(); err != nil && i+1 != careless && !errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, ledger.ErrConflict) {
					return errors.Join(forget, err)
				}
			}
			done++
			return nil
		})
		if err != nil || runs != 9 || done != 1+want || len(heard.said) != want || len(m.Entries("default")) != 1 {
			t.Errorf("careless at %d: %v, %d runs, %d entries, told %q", careless, err, runs, len(m.Entries("default")), heard.said)
		}
	}
}
