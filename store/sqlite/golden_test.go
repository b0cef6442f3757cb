package sqlite

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
)

// TestOldSchemasComeUp opens a database as each released schema wrote it, with
// the key file of that time: every record reads, look-ups find, the log
// verifies and goes on. A new migration needs the database of the schema
// before it in testdata/schema.
func TestOldSchemasComeUp(t *testing.T) {
	released, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range released[:len(released)-1] {
		number, _, _ := strings.Cut(m.Name(), "_")
		t.Run(number, func(t *testing.T) { comesUp(t, number) })
	}
}

func comesUp(t *testing.T, number string) {
	dir := t.TempDir()
	unpack(t, filepath.Join("testdata/schema", number+".db.gz"), filepath.Join(dir, fileName))
	raw, err := os.ReadFile(filepath.Join("testdata/schema", number+".key.json"))
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	master, err := seal.Open(key, false)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, master)
	if err := s.Update(t.Context(), "default", func(tx ledger.Tx) error {
		for i := range 6 {
			got, version, err := ledger.Read[struct{ N int }](t.Context(), tx, "thing", fmt.Sprintf("r%d", i))
			if err != nil || got.N != i || version != 1 {
				t.Errorf("record %d is %+v of version %d, %v", i, got, version, err)
			}
		}
		odd, err := tx.List(t.Context(), "thing", ledger.Query{Key: "parity", Value: "1"})
		if err != nil || len(odd) != 3 {
			t.Errorf("%d records are odd, %v; want 3", len(odd), err)
		}
		at, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"})
		if err == nil && at != 6 {
			err = fmt.Errorf("the next entry is %d, want 6", at)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir, nil); !r.OK() || r.Size != 7 {
		t.Errorf("the log: %+v", r)
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatalf("%v: keep a database of this schema before a migration follows it", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
