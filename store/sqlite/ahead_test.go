package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringfence/ringfence/ledger"
)

const aheadKind ledger.Kind = "thing"

// holdBack keeps every commit of others waiting until it is let go.
func holdBack(t *testing.T, dir string) (letGo func()) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName), "rw"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(t.Context())
	if err == nil {
		_, err = c.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := c.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		c.Close()
		db.Close()
	}
}

// TestAheadSeesWhatIsNotCommitted: while the commit of the first Update waits,
// others are computed that ask for what it wrote, by every way of asking.
func TestAheadSeesWhatIsNotCommitted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, newMaster(t))
	ctx := t.Context()
	update := func(f func(ledger.Tx) error) error { return s.Update(ctx, "default", f) }
	if err := update(func(tx ledger.Tx) error {
		return tx.Put(ctx, &ledger.Record{Kind: aheadKind, ID: "old", Body: []byte(`1`), Keys: map[string]string{"of": "x"}})
	}); err != nil {
		t.Fatal(err)
	}
	letGo := holdBack(t, dir)
	first, ran := make(chan struct{}, 100), make(chan struct{}, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := update(func(tx ledger.Tx) error {
			first <- struct{}{}
			_, err := tx.Append(ctx, ledger.Entry{Event: "key.used", Release: "rel_1"})
			return errors.Join(err, tx.Put(ctx, &ledger.Record{Kind: aheadKind, ID: "new", Subject: "sub_1", Body: []byte(`2`), Keys: map[string]string{"of": "x"}}))
		}); err != nil {
			t.Error(err)
		}
	})
	<-first
	asks := map[string]func(ledger.Tx) (int, error){
		"list": func(tx ledger.Tx) (int, error) {
			found, err := tx.List(ctx, aheadKind, ledger.Query{Key: "of", Value: "x"})
			return len(found) - 1, err
		},
		"all": func(tx ledger.Tx) (int, error) {
			found, err := tx.List(ctx, aheadKind, ledger.Query{})
			return len(found) - 1, err
		},
		"entries": func(tx ledger.Tx) (int, error) {
			found, err := tx.Entries(ctx, ledger.EntryQuery{Release: "rel_1"})
			return len(found), err
		},
		"log": func(tx ledger.Tx) (int, error) {
			found, err := tx.Entries(ctx, ledger.EntryQuery{})
			return len(found), err
		},
		"record": func(tx ledger.Tx) (int, error) {
			r, err := tx.Get(ctx, aheadKind, "new")
			return int(r.Version), err
		},
		"size": func(tx ledger.Tx) (int, error) {
			n, err := tx.Size(ctx)
			return int(n), err
		},
	}
	for name, ask := range asks {
		wg.Go(func() {
			n, told := 0, false
			err := update(func(tx ledger.Tx) (err error) {
				ran <- struct{}{}
				n, err = ask(tx)
				told = err != nil
				return err
			})
			if err != nil || n != 1 || told {
				t.Errorf("%s: %d, %v; want the one that was written before", name, n, err)
			}
		})
	}
	<-ran
	letGo()
	wg.Wait()
}

// TestTwoWritersOfOneFile: what one store computed ahead is computed again when
// the other has written meanwhile, and an id is taken once.
func TestTwoWritersOfOneFile(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	stores := []*Store{open(t, dir, m), open(t, dir, m)}
	ctx := t.Context()
	if err := stores[0].Update(ctx, "default", func(tx ledger.Tx) error { return ledger.Write(ctx, tx, &ledger.Record{Kind: aheadKind, ID: "n"}, 0) }); err != nil {
		t.Fatal(err)
	}
	const each, callers = 20, 3
	var taken [each]atomic.Int32
	var wg sync.WaitGroup
	for _, s := range stores {
		for range callers {
			wg.Go(func() {
				for i := range each {
					if err := s.Update(ctx, "default", func(tx ledger.Tx) error { return count(t, tx) }); err != nil {
						t.Error(err)
					}
					// The record is made outside, and so survives a callback that runs again.
					mine := ledger.Record{Kind: aheadKind, ID: "once" + string(rune('a'+i)), Body: []byte(`{}`)}
					switch err := s.Update(ctx, "default", func(tx ledger.Tx) error { return tx.Put(ctx, &mine) }); {
					case err == nil:
						taken[i].Add(1)
					case !errors.Is(err, ledger.ErrConflict):
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for i := range taken {
		if n := taken[i].Load(); n != 1 {
			t.Errorf("id %d was taken %d times", i, n)
		}
	}
	if err := stores[1].View(ctx, "default", func(tx ledger.Tx) error {
		n, _, err := ledger.Read[int](ctx, tx, aheadKind, "n")
		size, _ := tx.Size(ctx)
		if want := 2 * callers * each; n != want || size != int64(want) {
			t.Errorf("counted %d with %d entries, want %d", n, size, want)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func count(t *testing.T, tx ledger.Tx) error {
	n, version, err := ledger.Read[int](t.Context(), tx, aheadKind, "n")
	if err == nil {
		err = ledger.Write(t.Context(), tx, &ledger.Record{Kind: aheadKind, ID: "n", Version: version}, n+1)
	}
	if err == nil {
		_, err = tx.Append(t.Context(), ledger.Entry{Event: "key.used"})
	}
	return err
}

// TestAheadTakesNoIDTwice: a store that does not know the record puts it off as
// new; the refusal comes all the same, to that caller alone.
func TestAheadTakesNoIDTwice(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	ctx := t.Context()
	before := open(t, dir, m)
	mine := ledger.Record{Kind: aheadKind, ID: "a", Body: []byte(`"first"`)}
	if err := before.Update(ctx, "default", func(tx ledger.Tx) error { return tx.Put(ctx, &mine) }); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, m)
	letGo := holdBack(t, dir)
	begun := make(chan struct{}, 100)
	var wg sync.WaitGroup
	second := ledger.Record{Kind: aheadKind, ID: "a", Body: []byte(`"second"`)}
	other := ledger.Record{Kind: aheadKind, ID: "b", Body: []byte(`"other"`)}
	for r, want := range map[*ledger.Record]error{&second: ledger.ErrConflict, &other: nil} {
		wg.Go(func() {
			if err := s.Update(ctx, "default", func(tx ledger.Tx) error {
				begun <- struct{}{}
				return tx.Put(ctx, r)
			}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", r.Body, err, want)
			}
		})
	}
	<-begun
	letGo()
	wg.Wait()
	if err := s.View(ctx, "default", func(tx ledger.Tx) error {
		r, err := tx.Get(ctx, aheadKind, "a")
		if string(r.Body) != `"first"` {
			t.Errorf("it holds %s", r.Body)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if second.Version != 0 || other.Version != 1 {
		t.Errorf("versions are %d and %d, want 0 and 1", second.Version, other.Version)
	}
}
