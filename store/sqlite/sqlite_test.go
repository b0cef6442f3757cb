package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/storetest"
)

func newMaster(t testing.TB) *seal.Master {
	t.Helper()
	m, err := seal.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t testing.TB, dir string, m *seal.Master) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir, Master: m, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestSQLiteKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) ledger.Store { return open(t, t.TempDir(), newMaster(t)) })
}

func TestOpenRefuses(t *testing.T) {
	m := newMaster(t)
	for name, cfg := range map[string]Config{
		"no folder":        {Master: m},
		"no key":           {Dir: t.TempDir()},
		"negative readers": {Dir: t.TempDir(), Master: m, Readers: -1},
		"too many readers": {Dir: t.TempDir(), Master: m, Readers: 65},
	} {
		if s, err := Open(t.Context(), cfg); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
	if err := durableFolder("/dev/shm"); err == nil || !strings.Contains(err.Error(), "tmpfs") {
		t.Errorf("a folder on tmpfs: %v, want a refusal that names tmpfs", err)
	}
}

func TestOtherKeyFileOpensNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, newMaster(t))
	if err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
		return tx.Put(t.Context(), &ledger.Record{Kind: "k", ID: "a", Body: []byte(`{}`)})
	}); err != nil {
		t.Fatal(err)
	}
	other := open(t, dir, newMaster(t))
	err := other.View(t.Context(), "default", func(tx ledger.Tx) error { _, err := tx.Get(t.Context(), "k", "a"); return err })
	if err == nil {
		t.Error("a row opened under another key file")
	}
}

// TestTamperedRowsRefuse changes each column of a stored row behind the
// store's back and watches it refuse.
func TestTamperedRowsRefuse(t *testing.T) {
	for name, change := range map[string]string{
		"version":         `UPDATE records SET version = version + 1 WHERE id = 'a'`,
		"older version":   `UPDATE records SET version = 1 WHERE id = 'a'`,
		"sort":            `UPDATE records SET sort = 99 WHERE id = 'a'`,
		"content":         `UPDATE records SET sealed = (SELECT sealed FROM records WHERE id = 'b') WHERE id = 'a'`,
		"one bit":         `UPDATE records SET sealed = substr(sealed, 1, length(sealed)-1) || CASE substr(sealed, -1) WHEN x'00' THEN x'01' ELSE x'00' END WHERE id = 'a'`,
		"another's place": `UPDATE records SET id = CASE id WHEN 'a' THEN 'b' ELSE 'a' END, version = version WHERE id = 'none' OR 1 = 0; UPDATE records SET kind = 'other' WHERE id = 'a'; UPDATE records SET kind = 'k', id = 'a' WHERE id = 'b'`,
		"tenant":          `DELETE FROM records WHERE tenant_id = 'default' AND id = 'a'; UPDATE records SET tenant_id = 'default', id = 'a' WHERE tenant_id = 'ten_b'`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, newMaster(t))
			for tenant, ids := range map[string][]string{"default": {"a", "b"}, "ten_b": {"c"}} {
				for _, id := range ids {
					r := ledger.Record{Kind: "k", ID: id, Body: []byte(`{"n":1}`), Sort: 5}
					for range 2 {
						if err := s.Update(t.Context(), ringID(tenant), func(tx ledger.Tx) error { return tx.Put(t.Context(), &r) }); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			meddle(t, dir, change)
			err := s.View(t.Context(), "default", func(tx ledger.Tx) error { _, err := tx.Get(t.Context(), "k", "a"); return err })
			if !errors.Is(err, ledger.ErrTampered) {
				t.Errorf("get: %v, want ErrTampered", err)
			}
			err = s.View(t.Context(), "default", func(tx ledger.Tx) error { _, err := tx.List(t.Context(), "k", ledger.Query{}); return err })
			if !errors.Is(err, ledger.ErrTampered) {
				t.Errorf("list: %v, want ErrTampered", err)
			}
		})
	}
}

func meddle(t *testing.T, dir, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName), "rw"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

// TestNothingReadableAtRest plants a secret in a body and in a key and looks
// for it in every file of the data folder.
func TestNothingReadableAtRest(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, newMaster(t))
	const planted = "planted-447700900123"
	for _, subject := range []string{"", "sub_a"} {
		if err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
			return tx.Put(t.Context(), &ledger.Record{Kind: "k", ID: "id" + subject, Subject: subID(subject), Body: []byte(`"` + planted + `"`), Keys: map[string]string{"value": planted}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(planted)) {
			t.Errorf("%s holds a planted secret in clear", f.Name())
		}
	}
	var rows []ledger.Record
	if err := s.View(t.Context(), "default", func(tx ledger.Tx) (err error) {
		rows, err = tx.List(t.Context(), "k", ledger.Query{Key: "value", Value: planted})
		return err
	}); err != nil || len(rows) != 2 {
		t.Errorf("the blind look-up finds %d rows, %v; want 2", len(rows), err)
	}
}

func TestKeyFileThatOthersReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "master.json")
	if _, err := seal.Open(path, false); err == nil {
		t.Error("a missing key file was made without being asked")
	}
	if _, err := seal.Open(path, true); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(path, false); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key file of mode 0640: %v, want a refusal that says what to do", err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := open(b, b.TempDir(), newMaster(b))
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		r := ledger.Record{Kind: "k", ID: newRowID(), Body: []byte(`{"state":"ready"}`), Keys: map[string]string{"subject": "sub_a"}}
		for pb.Next() {
			if err := s.Update(b.Context(), "default", func(tx ledger.Tx) error {
				if err := tx.Put(b.Context(), &r); err != nil {
					return err
				}
				_, err := tx.Append(b.Context(), ledger.Entry{Event: "release.ready"})
				return err
			}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// TestLostSettingsRefuse opens a connection whose durability was turned down.
func TestLostSettingsRefuse(t *testing.T) {
	for setting, pragmas := range map[string]string{
		"synchronous":  "journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)",
		"foreign_keys": "journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(0)",
		"journal_mode": "journal_mode(DELETE)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)",
	} {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), fileName)+"?_pragma="+pragmas)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if c, err := (&Store{db: db}).connect(t.Context()); err == nil || !strings.Contains(err.Error(), setting) {
			if err == nil {
				c.close()
			}
			t.Errorf("%s: %v, want a refusal that names it", pragmas, err)
		}
	}
}

func TestFileSystemsThatForgetAreNamed(t *testing.T) {
	for number, name := range map[int64]string{0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB2"} {
		if refusedFileSystems[number] != name {
			t.Errorf("%#x is %q, want %s (statfs(2))", number, refusedFileSystems[number], name)
		}
	}
	s, err := Open(t.Context(), Config{Dir: "/dev/shm/ringfence-test", Master: newMaster(t)})
	if err == nil {
		s.Close()
		t.Error("a store on tmpfs was opened")
	}
	if err := os.RemoveAll("/dev/shm/ringfence-test"); err != nil {
		t.Error(err)
	}
}
