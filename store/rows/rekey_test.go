package rows_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
	"github.com/ringfence/ringfence/store/sqlite"
)

const tenant = ringfence.DefaultTenant

func open(t *testing.T, dir string, f seal.File) *sqlite.Store {
	t.Helper()
	m, err := f.Open(true)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir, Master: m, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func update(t *testing.T, s ledger.Store, f func(ledger.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), tenant, f); err != nil {
		t.Fatal(err)
	}
}

// fill puts n records of three subjects and of nobody.
func fill(t *testing.T, s ledger.Store, n int) {
	t.Helper()
	update(t, s, func(tx ledger.Tx) error {
		for i := range n {
			r := ledger.Record{Kind: "k", ID: fmt.Sprintf("r%03d", i), Body: fmt.Appendf(nil, `{"n":%d}`, i), Keys: map[string]string{"parity": fmt.Sprint(i % 2), "n": fmt.Sprint(i)}}
			if i%4 > 0 {
				r.Subject = ringfence.SubjectID(fmt.Sprintf("sub_%d", i%4))
			}
			if err := tx.Put(t.Context(), &r); err != nil {
				return err
			}
		}
		return nil
	})
}

// complete fails unless every record reads and is found by its keys.
func complete(t *testing.T, s ledger.Store, n int) {
	t.Helper()
	if err := s.View(t.Context(), tenant, func(tx ledger.Tx) error {
		for i := range n {
			got, _, err := ledger.Read[struct{ N int }](t.Context(), tx, "k", fmt.Sprintf("r%03d", i))
			if err != nil || got.N != i {
				return fmt.Errorf("record %d: %+v, %w", i, got, err)
			}
			found, err := tx.List(t.Context(), "k", ledger.Query{Key: "n", Value: fmt.Sprint(i)})
			if err != nil || len(found) != 1 {
				return fmt.Errorf("record %d is found %d times, %w", i, len(found), err)
			}
		}
		odd, err := tx.List(t.Context(), "k", ledger.Query{Key: "parity", Value: "1", Limit: 1000})
		if err == nil && len(odd) != n/2 {
			err = fmt.Errorf("%d records are odd, want %d", len(odd), n/2)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func rekey(t *testing.T, s ledger.Store, what rows.Change) {
	t.Helper()
	update(t, s, func(tx ledger.Tx) error {
		owners, err := rows.Owners(t.Context(), tx, nil, 1000)
		if err != nil {
			return err
		}
		return rows.Rekey(t.Context(), tx, what, owners)
	})
}

func walk(t *testing.T, s ledger.Store, from rows.Place, limit int) (last rows.Place, n, changed int) {
	t.Helper()
	update(t, s, func(tx ledger.Tx) (err error) {
		last, n, changed, err = rows.Walk(t.Context(), tx, from, limit, true)
		return err
	})
	return last, n, changed
}

// TestRowKeysRotate turns the keys of rows with a second process on the same
// file, stops half way, goes on, and reads everything at each step.
func TestRowKeysRotate(t *testing.T) {
	const n = 100
	dir, f := t.TempDir(), seal.File{Path: filepath.Join(t.TempDir(), "key")}
	s := open(t, dir, f)
	other := open(t, dir, f)
	fill(t, s, n)
	complete(t, other, n)
	rekey(t, s, rows.Renew)
	complete(t, s, n)
	complete(t, other, n)
	last, did, changed := walk(t, s, rows.Place{}, 37)
	if did != 37 || changed != 37 {
		t.Fatalf("walked %d and changed %d, want 37", did, changed)
	}
	complete(t, other, n)
	update(t, other, func(tx ledger.Tx) error { // written by another process half way
		return tx.Put(t.Context(), &ledger.Record{Kind: "k", ID: "zz", Subject: "sub_new", Body: []byte(`{}`), Keys: map[string]string{"new": "yes"}})
	})
	rekey(t, s, rows.Renew) // begun again: what turns already is left alone
	if _, did, changed = walk(t, s, rows.Place{}, 37); did != 37 || changed != 0 {
		t.Errorf("what was sealed anew was sealed again: %d of %d", changed, did)
	}
	if _, did, changed = walk(t, s, last, 1000); did != n-37+1 || changed != n-37+1 {
		t.Errorf("went on with %d and changed %d, want %d", did, changed, n-37+1)
	}
	rekey(t, s, rows.Retire)
	complete(t, s, n)
	complete(t, other, n)
	if _, did, changed = walk(t, s, rows.Place{}, 1000); did != n+1 || changed != 0 {
		t.Errorf("after the end %d of %d were sealed anew", changed, did)
	}
}

// TestRetiredKeysOpenNothing shows that the old generation is gone: a row that
// it sealed, put back, does not verify.
func TestRetiredKeysOpenNothing(t *testing.T) {
	dir, f := t.TempDir(), seal.File{Path: filepath.Join(t.TempDir(), "key")}
	s := open(t, dir, f)
	fill(t, s, 8)
	rekey(t, s, rows.Renew)
	rekey(t, s, rows.Retire) // without sealing anew between: what a careless hand does
	err := s.View(t.Context(), tenant, func(tx ledger.Tx) error {
		_, _, _, err := rows.Walk(t.Context(), tx, rows.Place{}, 10, false)
		return err
	})
	if !errors.Is(err, ledger.ErrTampered) {
		t.Errorf("walk: %v, want ErrTampered", err)
	}
	if err := s.View(t.Context(), tenant, func(tx ledger.Tx) error {
		_, _, _, err := rows.Walk(t.Context(), tx, rows.Place{}, 10, true)
		return err
	}); !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("resealed in a view: %v", err)
	}
}

// TestMasterRotates goes through the three steps beside a process that keeps
// running; the old key opens nothing afterwards.
func TestMasterRotates(t *testing.T) {
	dir, f := t.TempDir(), seal.File{Path: filepath.Join(t.TempDir(), "key")}
	s := open(t, dir, f)
	fill(t, s, 20)
	before, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{f.Add, f.Promote} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		complete(t, open(t, dir, f), 20)
	}
	rekey(t, open(t, dir, f), rows.Rewrap)
	complete(t, s, 20) // it reads the key file again by itself
	if err := f.Drop(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Len(); err != nil || n != 1 {
		t.Errorf("%d keys are left, %v; want 1", n, err)
	}
	fresh := open(t, dir, f)
	complete(t, fresh, 20)
	old := seal.File{Path: filepath.Join(t.TempDir(), "old")}
	if err := os.WriteFile(old.Path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir, old).View(t.Context(), tenant, func(tx ledger.Tx) error { _, err := tx.Get(t.Context(), "k", "r001"); return err }); err == nil {
		t.Error("the old key file still opens the store")
	}
}

// TestWrappedKeyFile keeps the key file under a command that stands for a KMS.
func TestWrappedKeyFile(t *testing.T) {
	kms := filepath.Join(t.TempDir(), "kms")
	if err := os.WriteFile(kms, []byte("#!/bin/sh\ncase $1 in wrap) base64;; unwrap) base64 -d;; *) echo unknown >&2; exit 3;; esac\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir, f := t.TempDir(), seal.File{Path: filepath.Join(t.TempDir(), "key"), Wrapper: seal.Command{kms}}
	fill(t, open(t, dir, f), 4)
	raw, err := os.ReadFile(f.Path)
	if err != nil || strings.Contains(string(raw), "primaryKeyId") {
		t.Errorf("the key file lies in clear: %v", err)
	}
	if err := errors.Join(f.Add(), f.Promote()); err != nil {
		t.Error(err)
	}
	complete(t, open(t, dir, f), 4)
	for name, c := range map[string]struct {
		wrapper seal.Wrapper
		says    string
	}{
		"no command":       {nil, "key_command"},
		"a program gone":   {seal.Command{kms + ".gone"}, "key_command"},
		"one that refuses": {seal.Command{"/bin/false"}, "exit status 1"},
		"one that is mute": {seal.Command{"/bin/true"}, "answered 0 bytes"},
		"an empty command": {seal.Command{}, "is empty"},
	} {
		if _, err := (seal.File{Path: f.Path, Wrapper: c.wrapper}).Open(false); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want a word about %q", name, err, c.says)
		}
	}
}
