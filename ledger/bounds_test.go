package ledger_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence/ledger"
)

// A log that does not end with a page is read to its last entry, by each of its
// readers.
func TestLongLog(t *testing.T) {
	for _, n := range []int{1000, 1001, 2001} {
		g := grow(t, n)
		hashes, head, msg := g.head(t, int64(n))
		g.notes = [][]byte{msg}
		if int64(len(hashes)) != tlog.StoredHashCount(int64(n)) {
			t.Errorf("%d entries have %d hashes", n, len(hashes))
		}
		r, err := ledger.Verify(t.Context(), "default", g, g.v, nil)
		if err != nil || !r.OK() || r.Size != int64(n) || r.Covered != int64(n) || r.Checkpoints != 1 || r.Root != head.Root.String() {
			t.Errorf("%d entries: %+v, %v", n, r, err)
		}
		var out bytes.Buffer
		if err := ledger.Export(t.Context(), "default", g, &out); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != n+2 {
			t.Errorf("%d entries are %d lines, %v; want a head and a checkpoint beside them", n, bytes.Count(out.Bytes(), []byte("\n")), err)
		}
		b, err := ledger.ReadBundle(&out)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := ledger.Verify(t.Context(), b.Tenant, b, g.v, nil); err != nil || !r.OK() || r.Size != int64(n) {
			t.Errorf("%d entries, exported: %+v, %v", n, r, err)
		}
	}
}

// broken is a log whose store stops answering.
type broken struct {
	*grown
	from  int64
	notes bool
}

var errBroken = errors.New("the store does not answer")

func (b broken) Stored(ctx context.Context, from int64, limit int) ([]ledger.Stored, error) {
	if from >= b.from {
		return nil, errBroken
	}
	return b.grown.Stored(ctx, from, limit)
}

func (b broken) Checkpoints(ctx context.Context) ([][]byte, error) {
	if b.notes {
		return nil, errBroken
	}
	return b.grown.Checkpoints(ctx)
}

type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// What could not be read is an error, never a log without findings.
func TestUnreadableLog(t *testing.T) {
	g := grow(t, 1500)
	for name, src := range map[string]broken{
		"from the first entry":    {g, 0, false},
		"from the second page":    {g, 1000, false},
		"its checkpoints only":    {g, 9999, true},
		"entries and checkpoints": {g, 0, true},
	} {
		if _, err := ledger.Verify(t.Context(), "default", src, g.v, nil); !errors.Is(err, errBroken) {
			t.Errorf("%s: Verify says %v", name, err)
		}
		if err := ledger.Export(t.Context(), "default", src, new(bytes.Buffer)); !errors.Is(err, errBroken) {
			t.Errorf("%s: Export says %v", name, err)
		}
		if _, _, err := ledger.Rebuild(t.Context(), src); !errors.Is(err, errBroken) && src.from < 9999 {
			t.Errorf("%s: Rebuild says %v", name, err)
		}
	}
	for _, room := range []int{0, 100, 100_000} {
		if err := ledger.Export(t.Context(), "default", g, &full{room}); !errors.Is(err, errBroken) {
			t.Errorf("a file that takes %d bytes: %v", room, err)
		}
	}
	if _, _, err := ledger.Rebuild(t.Context(), shown{grow(t, 3), []int64{0, 1, 3}}); err == nil {
		t.Error("the hashes of a log with a hole are rebuilt")
	}
}

// shown is a log as somebody may have forged it: the entries stand at the places
// that it names.
type shown struct {
	*grown
	places []int64
}

func (s shown) Stored(ctx context.Context, from int64, limit int) (out []ledger.Stored, err error) {
	all, err := s.grown.Stored(ctx, 0, len(s.leaves))
	for i := range all {
		all[i].Index = s.places[i]
	}
	for i := range all {
		if all[i].Index >= from {
			return all[i:min(i+limit, len(all))], err
		}
	}
	return nil, err
}

// A forged log is judged in the time that its entries take, whatever places it
// names.
func TestForgedPlaces(t *testing.T) {
	g := grow(t, 1000)
	for name, c := range map[string]struct {
		change func(places []int64)
		what   string
		index  int64
		says   string
	}{
		"a hole that never ends": {func(p []int64) { p[999] = math.MaxInt64 }, "missing", 999, "entry 999 is not there"},
		"places without an end":  {func(p []int64) { p[0] = math.MaxInt64 }, "missing", 0, "entry 0 is not there"},
		"a page out of order":    {func(p []int64) { p[5], p[6] = 6, 5 }, "moved", 999, "up to 999 are not in order"},
		"a page that goes back":  {func(p []int64) { p[999] = 0 }, "moved", 0, "up to 0 are not in order"},
		"one place twice":        {func(p []int64) { p[999] = 998 }, "moved", 998, "at place 998 stands entry 999"},
		"a place below the log":  {func(p []int64) { p[0] = -1 }, "", 0, ""},
	} {
		places := make([]int64, 1000)
		for i := range places {
			places[i] = int64(i)
		}
		c.change(places)
		r, err := ledger.Verify(t.Context(), "default", shown{g, places}, g.v, nil)
		if err != nil || r.OK() || len(r.Findings) > 100 {
			t.Errorf("%s: %d findings, %v", name, len(r.Findings), err)
		}
		if c.what != "" && !slices.ContainsFunc(r.Findings, func(f ledger.Finding) bool {
			return f.What == c.what && f.Index == c.index && strings.Contains(f.Says, c.says)
		}) {
			t.Errorf("%s: no %q at %d: %+v", name, c.what, c.index, r.Findings)
		}
	}
}

// Every missing entry is named, up to a hundred findings.
func TestFindingsAreBounded(t *testing.T) {
	for missing, want := range map[int64]int{1: 1, 99: 99, 100: 100, 101: 100, 500: 100} {
		g := grow(t, 600)
		g.leaves = g.leaves[missing:]
		places := make([]int64, len(g.leaves))
		for i := range places {
			places[i] = int64(i) + missing
		}
		r, err := ledger.Verify(t.Context(), "default", shown{g, places}, g.v, nil)
		if err != nil || len(r.Findings) != want {
			t.Errorf("%d missing: %d findings, %v; want %d", missing, len(r.Findings), err, want)
		}
		for i, f := range r.Findings {
			if f.What != "missing" || f.Index != int64(i) {
				t.Errorf("%d missing: finding %d is %+v", missing, i, f)
			}
		}
	}
}

// A finding against a checkpoint names the entries among which the change lies.
func TestRewrittenSpan(t *testing.T) {
	g := grow(t, 12)
	_, _, first := g.head(t, 4)
	_, _, second := g.head(t, 10)
	g.notes = [][]byte{first, second}
	g.leaves[6] = bytes.Replace(g.leaves[6], []byte("alert.raised"), []byte("hold.placed"), 1)
	r, err := ledger.Verify(t.Context(), "default", g, g.v, nil)
	if err != nil || len(r.Findings) != 1 || r.Covered != 4 || r.Checkpoints != 2 {
		t.Fatalf("have %+v, %v", r, err)
	}
	if f := r.Findings[0]; f.What != "rewritten" || f.Index != 4 || !strings.Contains(f.Says, "what changed stands at 4 to 9") {
		t.Errorf("have %+v, want the change between 4 and 9", f)
	}
}

// A bad line of a bundle is named by its number.
func TestBadBundleLine(t *testing.T) {
	g := grow(t, 3)
	var out bytes.Buffer
	if err := ledger.Export(t.Context(), "default", g, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	for bad, text := range map[string]string{"is not one of an exported ledger": "x\n", "has no hash": "{}\n"} {
		for at := 1; at <= 3; at++ {
			forged := slices.Clone(lines)
			forged[at] = text
			_, err := ledger.ReadBundle(strings.NewReader(strings.Join(forged, "")))
			if want := fmt.Sprintf("line %d %s", at+1, bad); err == nil || err.Error() != want {
				t.Errorf("have %v, want %s", err, want)
			}
		}
	}
	if _, err := ledger.ReadBundle(strings.NewReader(lines[0] + strings.Repeat("x", 1<<20) + "\n")); err == nil {
		t.Error("a line without an end is taken")
	}
	if _, err := ledger.ReadBundle(strings.NewReader(strings.Replace(lines[0], ":1", ":2", 1))); err == nil {
		t.Error("a bundle of another form is taken")
	}
}

// signedText signs a note's text with a log's own key.
func signedText(t *testing.T, name string, text func(signature int) string) (msg []byte, v note.Verifier) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	short, err := note.Sign(&note.Note{Text: "x\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if msg, err = note.Sign(&note.Note{Text: text(len(short) - 2)}, s); err != nil {
		t.Fatal(err)
	}
	if v, err = note.NewVerifier(vkey); err != nil {
		t.Fatal(err)
	}
	return msg, v
}

// A checkpoint is taken up to its greatest size, and in one form only.
func TestCheckpointForm(t *testing.T) {
	const root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	const most = 64 << 10
	padded := func(to int) func(int) string {
		return func(signature int) string {
			text := "log\n5\n" + root + "\n"
			return text + strings.Repeat("x", to-signature-len(text)-1) + "\n"
		}
	}
	plain := func(text string) func(int) string { return func(int) string { return text } }
	for name, c := range map[string]struct {
		text func(int) string
		ok   bool
		size int64
	}{
		"the greatest":         {padded(most), true, 5},
		"a byte more":          {padded(most + 1), false, 0},
		"the empty log":        {plain("log\n0\n" + root + "\n"), true, 0},
		"one entry":            {plain("log\n1\n" + root + "\n"), true, 1},
		"a size below zero":    {plain("log\n-1\n" + root + "\n"), false, 0},
		"a size with a plus":   {plain("log\n+1\n" + root + "\n"), false, 0},
		"a size with a zero":   {plain("log\n01\n" + root + "\n"), false, 0},
		"a size too great":     {plain("log\n9223372036854775808\n" + root + "\n"), false, 0},
		"another origin":       {plain("gol\n1\n" + root + "\n"), false, 0},
		"no root":              {plain("log\n1\n"), false, 0},
		"a root of 31 bytes":   {plain("log\n1\n" + root[:40] + "AA==\n"), false, 0},
		"a root that is loose": {plain("log\n1\n" + root[:42] + "B=\n"), false, 0},
	} {
		msg, v := signedText(t, "log", c.text)
		if head, err := ledger.OpenCheckpoint(msg, v); (err == nil) != c.ok || head.Size != c.size {
			t.Errorf("%s (%d bytes): %+v, %v", name, len(msg), head, err)
		}
	}
}

// A proof is taken up to its greatest size and length, and in one form only.
func TestProofForm(t *testing.T) {
	const hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	const most = 72 << 10
	text := func(index string, hashes, size int) []byte {
		head := "c2sp.org/tlog-proof@v1\nindex " + index + "\n" + strings.Repeat(hash, hashes) + "\n"
		return []byte(head + strings.Repeat("x", max(0, size-len(head))))
	}
	for name, c := range map[string]struct {
		text []byte
		ok   bool
	}{
		"the only entry":      {text("0", 0, 200), true},
		"sixty-four hashes":   {text("3", 64, 9000), true},
		"sixty-five hashes":   {text("3", 65, 9000), false},
		"the greatest":        {text("3", 1, most), true},
		"a byte more":         {text("3", 1, most+1), false},
		"a place below zero":  {text("-1", 1, 200), false},
		"a place with a zero": {text("03", 1, 200), false},
		"no place":            {[]byte("c2sp.org/tlog-proof@v1\n\nx"), false},
		"a short hash":        {[]byte("c2sp.org/tlog-proof@v1\nindex 3\nAAAA\n\nx"), false},
		"another header":      {[]byte("c2sp.org/tlog-proof@v2\nindex 3\n\nx"), false},
	} {
		if p, err := ledger.ReadProof(c.text); (err == nil) != c.ok || c.ok && !bytes.Equal(p.Text(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g := grow(t, 13)
	hashes, head, msg := g.head(t, 11)
	for _, index := range []int64{-1, 11, 12} {
		if _, err := ledger.Prove(hashes, index, head, msg); err == nil || !strings.Contains(err.Error(), "not among the 11 that the checkpoint covers") {
			t.Errorf("entry %d of 11: %v", index, err)
		}
	}
}

// A cosignature has a time from 1970 on.
func TestCosignTime(t *testing.T) {
	g := grow(t, 3)
	_, _, msg := g.head(t, 3)
	w := witness(t)
	for at, ok := range map[int64]bool{-1: false, 0: true, 1: true} {
		if _, err := w.Cosign(msg, time.Unix(at, 0)); (err == nil) != ok {
			t.Errorf("at %d: %v", at, err)
		}
	}
	if _, err := w.Cosign([]byte("no note\n"), time.Unix(1, 0)); err == nil {
		t.Error("anything is cosigned")
	}
}
