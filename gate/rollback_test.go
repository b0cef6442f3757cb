package gate

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/sqlite"
)

// TestRowsPutBackRedeemNothing: somebody with the file puts the rows of a
// release back as they were before its permit was redeemed. Each is sealed and
// whole; the log knows better.
func TestRowsPutBackRedeemNothing(t *testing.T) {
	master, err := seal.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir, Master: master, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := worldOn(t, store)
	r := w.proved()
	if r, v := w.released(r.ID); r.State != StateReady {
		t.Fatalf("%s %+v", r.State, v)
	}
	token, _, err := w.g.Permit(t.Context(), ten, r.ID, executor)
	if err != nil || token == "" {
		t.Fatal(err)
	}
	file, err := sql.Open("sqlite", filepath.Join(dir, "ringfence.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	run := func(statements string) {
		t.Helper()
		if _, err := file.ExecContext(t.Context(), statements); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TABLE kept AS SELECT * FROM records; CREATE TABLE kept_keys AS SELECT * FROM record_keys`)
	if _, err := w.g.Redeem(t.Context(), ten, executor, token, Key{}); err != nil {
		t.Fatal(err)
	}
	run(`DELETE FROM records; INSERT INTO records SELECT * FROM kept; DELETE FROM record_keys; INSERT INTO record_keys SELECT * FROM kept_keys`)
	if r := w.look(r.ID); r.State != StatePermitted {
		t.Fatalf("the rows were not put back: %s", r.State)
	}
	for name, g := range map[string]*Gate{"the gate that wrote them": w.g, "after a restart": w.open(store)} {
		if _, err := g.Redeem(t.Context(), ten, executor, token, Key{}); !errors.Is(err, ledger.ErrTampered) {
			t.Errorf("%s: redeemed twice: %v", name, err)
		}
	}
}
