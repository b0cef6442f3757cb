package sqlite

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence/ledger"
)

// logged makes a store of n entries with a checkpoint every ten, closes it and
// returns its folder, the verifier and the newest checkpoint.
func logged(t *testing.T, n int) (dir string, v note.Verifier, newest []byte) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir, newMaster(t))
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner("ringfence.test", key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		var head ledger.Head
		if err := s.Update(t.Context(), "default", func(tx ledger.Tx) (err error) {
			if _, err = tx.Append(t.Context(), ledger.Entry{Event: "alert.raised", Data: map[string]string{"n": fmt.Sprint(i)}}); err == nil {
				head, err = ledger.HeadOf(t.Context(), tx)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if (i+1)%10 == 0 {
			if newest, err = signer.Sign("default", head); err != nil {
				t.Fatal(err)
			}
			if err := s.SaveCheckpoint(t.Context(), "default", head.Size, newest); err != nil {
				t.Fatal(err)
			}
		}
	}
	vkey, err := signer.VerifierKey("default")
	if err != nil {
		t.Fatal(err)
	}
	if v, err = note.NewVerifier(vkey); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, v, newest
}

func verify(t *testing.T, dir string, v note.Verifier, outside ...[]byte) ledger.Report {
	t.Helper()
	a, err := OpenAudit(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	report, err := ledger.Verify(t.Context(), "default", a.Log("default"), v, outside)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestVerifyFindsThePlace(t *testing.T) {
	const edit = `UPDATE entries SET leaf = CAST(replace(CAST(leaf AS TEXT), '"n":"17"', '"n":"71"') AS BLOB) WHERE place = 17`
	for name, c := range map[string]struct {
		change  string
		outside bool
		what    string
		index   int64
	}{
		"an edit":                             {change: edit, what: "edited", index: 17},
		"an edit with its leaf hash cut out":  {change: edit + `; DELETE FROM hashes WHERE place IN (31, 32, 33, 34, 35)`, what: "edited", index: 17},
		"a deletion":                          {change: `DELETE FROM entries WHERE place = 23`, what: "missing", index: 23},
		"a deletion closed up":                {change: `DELETE FROM entries WHERE place = 23; UPDATE entries SET place = -place WHERE place > 23; UPDATE entries SET place = -place - 1 WHERE place < 0`, what: "moved", index: 23},
		"a swap":                              {change: `UPDATE entries SET place = -1 WHERE place = 4; UPDATE entries SET place = 4 WHERE place = 9; UPDATE entries SET place = 9 WHERE place = -1`, what: "moved", index: 4},
		"an event that no ledger writes":      {change: `UPDATE entries SET leaf = CAST(replace(CAST(leaf AS TEXT), 'alert.raised', 'alert.silent') AS BLOB) WHERE place = 12`, what: "edited", index: 12},
		"a garbled entry":                     {change: `UPDATE entries SET leaf = x'00ff' WHERE place = 3`, what: "edited", index: 3},
		"a checkpoint that nobody signed":     {change: `UPDATE checkpoints SET note = CAST(replace(CAST(note AS TEXT), char(10) || '20' || char(10), char(10) || '21' || char(10)) AS BLOB) WHERE size = 20`, what: "checkpoint", index: -1},
		"a cut tail, checkpoints left":        {change: `DELETE FROM entries WHERE place >= 35`, what: "cut", index: 35},
		"a rollback, against an outside note": {change: `DELETE FROM entries WHERE place >= 30; DELETE FROM checkpoints WHERE size > 30`, outside: true, what: "cut", index: 30},
		"an entry of another tenant put here": {change: `UPDATE entries SET leaf = CAST(replace(CAST(leaf AS TEXT), '"tenant":"default"', '"tenant":"ten_b"') AS BLOB) WHERE place = 8`, what: "moved", index: 8},
		"the whole log emptied, note outside": {change: `DELETE FROM entries; DELETE FROM checkpoints; DELETE FROM hashes`, outside: true, what: "cut", index: 0},
		"a checkpoint of another size forged": {change: `INSERT INTO checkpoints VALUES ('default', 7, 'not a note')`, what: "checkpoint", index: -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir, v, newest := logged(t, 40)
			if report := verify(t, dir, v, newest); !report.OK() || report.Covered != 40 {
				t.Fatalf("before the change: %+v", report)
			}
			meddle(t, dir, c.change)
			var outside [][]byte
			if c.outside {
				outside = [][]byte{newest}
			}
			for _, f := range verify(t, dir, v, outside...).Findings {
				if f.What == c.what && f.Index == c.index {
					return
				}
			}
			t.Errorf("findings %+v, want %s at %d", verify(t, dir, v, outside...).Findings, c.what, c.index)
		})
	}
}

// TestVerifyFindsARewrittenPast edits an entry and mends every stored hash
// that depends on it, as an attacker with the file would.
func TestVerifyFindsARewrittenPast(t *testing.T) {
	dir, v, newest := logged(t, 40)
	forged, _, _ := logged(t, 40) // same shape, other times and so other hashes
	meddle(t, dir, `ATTACH '`+forged+`/`+fileName+`' AS f; DELETE FROM entries; DELETE FROM hashes; INSERT INTO entries SELECT * FROM f.entries; INSERT INTO hashes SELECT * FROM f.hashes`)
	report := verify(t, dir, v, newest)
	if report.OK() || report.Findings[0].What != "rewritten" || report.Covered != 0 {
		t.Errorf("a log written anew: %+v, want it found against the first checkpoint", report)
	}
}

func TestCheckpointOfAnotherLogIsRefused(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(nil)
	signer, err := ledger.NewSigner("ringfence.test", key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := signer.Sign("ten_other", ledger.Head{Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	vkey, _ := signer.VerifierKey("default")
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenCheckpoint(other, v); err == nil {
		t.Error("a checkpoint of another tenant's log was accepted")
	}
	for name, msg := range map[string][]byte{"empty": nil, "huge": []byte(strings.Repeat("x", 1<<20)), "no note": []byte("hello\n")} {
		if _, err := ledger.OpenCheckpoint(msg, v); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\n"} {
		if _, err := ledger.NewSigner(name, key); err == nil {
			t.Errorf("signer named %q was accepted", name)
		}
	}
}
