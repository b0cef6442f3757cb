package e2e

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // a thief needs no program of ours

	"github.com/ringfence/ringfence/ledger"
)

// TestLedgerOfACopiedFolder changes copies of a data folder as somebody with
// the disk could, and wants the offline verifier to name the place.
func TestLedgerOfACopiedFolder(t *testing.T) {
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	g := newGateway(t, settings{})
	k := &killing{t: t, g: g, d: g.seed(ctx)}
	g.start(ctx)
	k.round(ctx, 60)
	g.start(ctx) // the newest checkpoint outside covers what the crash left
	k.settle(ctx)
	g.stop(ctx)
	size := len(g.entries(ctx))
	key, code := g.run("ledger", "key")
	if code != 0 {
		t.Fatal(key)
	}
	g.write("auditor.key", []byte(key))

	for _, c := range []struct {
		name, change string
		outside      bool   // the auditor has a checkpoint of their own
		what         string // of the finding
		index        int64
	}{
		{name: "nothing"},
		{name: "nothing, with the checkpoint outside", outside: true},
		{name: "an edit", change: `UPDATE entries SET leaf = CAST(replace(CAST(leaf AS TEXT), '"event":"', '"event" :"') AS BLOB) WHERE place = 9`, what: "edited", index: 9},
		{name: "a deletion", change: `DELETE FROM entries WHERE place = 12`, what: "missing", index: 12},
		{name: "a swap", change: `UPDATE entries SET place = -1 WHERE place = 4; UPDATE entries SET place = 4 WHERE place = 7; UPDATE entries SET place = 7 WHERE place = -1`, what: "moved", index: 4},
		{name: "a cut tail, nothing outside", change: cutTail},
		{name: "a cut tail", change: cutTail, outside: true, what: "cut", index: 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyFolder(t, g.path("data"))
			tamper(t, dir, c.change)
			args := []string{"ledger", "verify", "--json", "--key", "auditor.key"}
			if c.outside {
				args = append(args, "--checkpoint", "outside/default.checkpoint")
			}
			out, code := g.run(append(args, dir)...)
			var report ledger.Report
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if c.what == "" {
				if code != 0 || !report.OK() || c.change == "" && report.Size != int64(size) {
					t.Errorf("exit %d, %s; want a clean log of %d entries", code, out, size)
				}
				return
			}
			if code != 1 || len(report.Findings) == 0 || report.Findings[0].What != c.what || report.Findings[0].Index != c.index {
				t.Errorf("exit %d, %s; want %q at %d", code, out, c.what, c.index)
			}
		})
	}
}

// cutTail removes the newest entries with every checkpoint that covers them.
const cutTail = `DELETE FROM entries WHERE place >= 10; DELETE FROM checkpoints WHERE size > 10`

// tamper changes a database with its file alone.
func tamper(t *testing.T, dir, change string) {
	t.Helper()
	if change == "" {
		return
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("want one database in %s, have %v, %v", dir, files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for statement := range strings.SplitSeq(change, ";") {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
