package seal

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"
)

func testBox(t *testing.T) *Box {
	t.Helper()
	m, err := Open(filepath.Join(t.TempDir(), "k.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.NewBoxKey("recordings")
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Box(key, "recordings")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was changed, cut short, or belongs to another row is refused, whatever
// the byte.
func TestStreamRefuses(t *testing.T) {
	b, row := testBox(t), Row{Tenant: "t", Kind: "recording", ID: "a", Version: 1}
	key, s, err := b.NewStream(row)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	var sealed bytes.Buffer
	w, err := s.Writer(&sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	unfinished := bytes.Clone(sealed.Bytes())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(s *Stream, raw []byte) ([]byte, error) {
		r, err := s.Reader(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	again, err := b.OpenStream(key, row)
	if err != nil {
		t.Fatal(err)
	}
	if have, err := read(again, sealed.Bytes()); err != nil || !bytes.Equal(have, content) {
		t.Fatalf("not read back: %v", err)
	}
	if bytes.Contains(sealed.Bytes(), content[:64]) {
		t.Error("the content is readable")
	}
	for _, at := range []int{0, 10, 50, 5000, sealed.Len() - 1} {
		bad := bytes.Clone(sealed.Bytes())
		bad[at] ^= 1
		if _, err := read(again, bad); err == nil {
			t.Errorf("a change of byte %d was not noticed", at)
		}
	}
	if have, err := read(again, unfinished); err == nil || !bytes.HasPrefix(content, have) {
		t.Error("a cut was not noticed")
	}
	other := Row{Tenant: "t", Kind: "recording", ID: "b", Version: 1}
	if _, err := b.OpenStream(key, other); !errors.Is(err, ErrForged) {
		t.Errorf("another row's key: %v, want ErrForged", err)
	}
	if _, err := testBox(t).OpenStream(key, row); !errors.Is(err, ErrForged) {
		t.Errorf("another box: %v, want ErrForged", err)
	}
}
