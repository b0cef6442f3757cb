package rows

import (
	"bytes"
	"maps"
	"testing"

	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
)

// FuzzContent reads any bytes as the content of a record without a panic; what
// reads is whole, and what was sealed reads as it was.
func FuzzContent(f *testing.F) {
	m, err := seal.NewMaster()
	if err != nil {
		f.Fatal(err)
	}
	wrapped, err := m.NewBoxKey("owner")
	if err != nil {
		f.Fatal(err)
	}
	box, err := m.Box(wrapped, "owner")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{framed, 2, 1, 'a', 1, 1, 'k', 1, 'v', '{', '}'})
	f.Add([]byte(`{"b":{},"k":{"k":"v"},"s":"a","o":1}`))
	f.Add([]byte{framed, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{framed, 0, 0, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, ok := readContent(raw)
		if !ok {
			return
		}
		r := ledger.Record{Kind: "k", ID: "id", Version: 1, Subject: c.sub, Sort: c.sort, Keys: c.keys, Body: c.body}
		at := seal.Row{Kind: "k", ID: "id", Version: 1}
		again, err := openContent(box, sealedRecord{Record: r, sealed: sealContent(box, &r, at)}, at)
		if err != nil || again.sub != c.sub || again.sort != c.sort || !maps.Equal(again.keys, c.keys) || !bytes.Equal(again.body, c.body) {
			t.Fatalf("%+v came back as %+v, %v", c, again, err)
		}
	})
}
