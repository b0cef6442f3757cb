package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence/ledger"
)

// grown is a log of n entries as a source, and its signer.
type grown struct {
	signer *ledger.Signer
	v      note.Verifier
	leaves [][]byte
	notes  [][]byte
}

func grow(t *testing.T, n int) *grown {
	t.Helper()
	signer, err := ledger.NewSigner("test", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.VerifierKey("default")
	if err != nil {
		t.Fatal(err)
	}
	g := &grown{signer: signer}
	if g.v, err = note.NewVerifier(key); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		leaf, err := ledger.Entry{Index: int64(i), Tenant: "default", At: time.Unix(int64(i), 0), Event: "alert.raised", Data: map[string]string{"text": "ü<>"}}.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		g.leaves = append(g.leaves, leaf)
	}
	return g
}

func (g *grown) Stored(_ context.Context, from int64, limit int) ([]ledger.Stored, error) {
	var out []ledger.Stored
	for i := from; i < int64(len(g.leaves)) && len(out) < limit; i++ {
		out = append(out, ledger.Stored{Index: i, Leaf: g.leaves[i], Hash: tlog.RecordHash(g.leaves[i])})
	}
	return out, nil
}

func (g *grown) Checkpoints(context.Context) ([][]byte, error) { return g.notes, nil }

// head signs the head of the first n entries.
func (g *grown) head(t *testing.T, n int64) (ledger.Hashes, ledger.Head, []byte) {
	t.Helper()
	hashes, _, err := ledger.Rebuild(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	root, err := tlog.TreeHash(n, hashes)
	if err != nil {
		t.Fatal(err)
	}
	h := ledger.Head{Size: n, Root: root}
	msg, err := g.signer.Sign("default", h)
	if err != nil {
		t.Fatal(err)
	}
	return hashes, h, msg
}

func TestProof(t *testing.T) {
	g := grow(t, 13)
	hashes, head, msg := g.head(t, 11)
	for i := range int64(11) {
		p, err := ledger.Prove(hashes, i, head, msg)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ledger.ReadProof(p.Text())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := back.Check(g.leaves[i], g.v); err != nil || got != head {
			t.Errorf("entry %d: %v", i, err)
		}
		if _, err := back.Check(g.leaves[(i+1)%11], g.v); err == nil {
			t.Errorf("the proof of entry %d holds for another", i)
		}
		back.Index = (i + 1) % 11
		if _, err := back.Check(g.leaves[i], g.v); err == nil {
			t.Errorf("the proof of entry %d holds at another place", i)
		}
	}
	if _, err := ledger.Prove(hashes, 11, head, msg); err == nil {
		t.Error("an entry behind the checkpoint is proved")
	}
}

func TestFollows(t *testing.T) {
	g := grow(t, 20)
	hashes, _, _ := g.head(t, 20)
	at := func(n int64) ledger.Head { _, h, _ := g.head(t, n); return h }
	for old := int64(1); old < 20; old++ {
		proof, err := tlog.ProveTree(20, old, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := ledger.Follows(at(old), at(20), proof); err != nil {
			t.Errorf("%d to 20: %v", old, err)
		}
		forged := at(old)
		forged.Root[0] ^= 1
		if err := ledger.Follows(forged, at(20), proof); !errors.Is(err, ledger.ErrForked) {
			t.Errorf("%d to 20, another root: %v, want ErrForked", old, err)
		}
		if err := ledger.Follows(at(20), at(old), proof); !errors.Is(err, ledger.ErrBehind) {
			t.Errorf("20 to %d: %v, want ErrBehind", old, err)
		}
	}
	same, forged := at(20), at(20)
	forged.Root[5] ^= 1
	if ledger.Follows(same, same, nil) != nil || !errors.Is(ledger.Follows(same, forged, nil), ledger.ErrForked) {
		t.Error("two heads of one size are not told apart")
	}
}

func TestBundle(t *testing.T) {
	g := grow(t, 9)
	_, _, msg := g.head(t, 7)
	g.notes = [][]byte{msg}
	var out bytes.Buffer
	if err := ledger.Export(t.Context(), "default", g, &out); err != nil {
		t.Fatal(err)
	}
	verify := func(text string) (ledger.Report, error) {
		b, err := ledger.ReadBundle(strings.NewReader(text))
		if err != nil {
			return ledger.Report{}, err
		}
		return ledger.Verify(t.Context(), b.Tenant, b, g.v, nil)
	}
	if r, err := verify(out.String()); err != nil || !r.OK() || r.Size != 9 || r.Covered != 7 {
		t.Fatalf("have %+v, %v", r, err)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	for name, text := range map[string]string{
		"an edit":    strings.Replace(out.String(), `1970-01-01T00:00:03Z`, `1970-01-01T00:00:04Z`, 1),
		"a deletion": strings.Join(append(append([]string{}, lines[:3]...), lines[4:]...), ""),
		"a cut tail": strings.Join(append(append([]string{}, lines[:5]...), lines[len(lines)-2:]...), ""),
	} {
		if r, err := verify(text); err != nil || r.OK() {
			t.Errorf("%s is not found: %+v, %v", name, r, err)
		}
	}
	if _, err := ledger.ReadBundle(strings.NewReader("{}")); err == nil {
		t.Error("anything is a bundle")
	}
}

func witness(t *testing.T) *ledger.Witness {
	t.Helper()
	w, err := ledger.NewWitness("witness.example/w1", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestCosignature checks the message that is signed against the text of
// C2SP tlog-cosignature, by hand.
func TestCosignature(t *testing.T) {
	g := grow(t, 3)
	_, _, msg := g.head(t, 3)
	w := witness(t)
	signed, err := w.Cosign(msg, time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	v, err := ledger.NewCosignatureVerifier(w.Key())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := ledger.Witnessed(signed, g.v, v); err != nil || n != 1 {
		t.Errorf("%d witnesses, %v; want one", n, err)
	}
	if n, _ := ledger.Witnessed(msg, g.v, v); n != 0 {
		t.Error("a checkpoint that nobody cosigned is witnessed")
	}
	last := strings.TrimSuffix(string(signed[bytes.LastIndex(signed, []byte("— ")):]), "\n")
	raw, err := base64.StdEncoding.DecodeString(strings.Fields(last)[2])
	if err != nil || len(raw) != 4+8+64 {
		t.Fatalf("%v, %d bytes; want a key id, a time and a signature", err, len(raw))
	}
	text, _, _ := strings.Cut(string(msg), "\n\n")
	pub := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)).Public().(ed25519.PublicKey)
	if !ed25519.Verify(pub, fmt.Appendf(nil, "cosignature/v1\ntime 1700000000\n%s\n", text), raw[12:]) {
		t.Error("the signature is not over what the specification says")
	}
	moved := bytes.Clone(signed)
	at := raw[4+7]
	raw[4+7] = at + 1
	moved = bytes.Replace(moved, []byte(strings.Fields(last)[2]), []byte(base64.StdEncoding.EncodeToString(raw)), 1)
	if n, _ := ledger.Witnessed(moved, g.v, v); n != 0 {
		t.Error("the time of a cosignature can be changed")
	}
	if _, err := ledger.NewCosignatureVerifier(strings.Replace(w.Key(), "w1", "w2", 1)); err == nil {
		t.Error("a key under another name is taken")
	}
}

// FuzzReadProof wants what is read to be written the same.
func FuzzReadProof(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nx\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := ledger.ReadProof(text); err == nil && !bytes.Equal(p.Text(), text) && len(p.Path) > 0 {
			t.Errorf("%q is written as %q", text, p.Text())
		}
	})
}
