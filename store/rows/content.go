package rows

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
)

// content is what is sealed of a record: its body and, so that they are
// authenticated too, its look-up values and the columns beside it.
type content struct {
	body []byte
	keys map[string]string
	sub  ringfence.SubjectID
	sort int64
}

// framed is the first byte of what is sealed: sort, subject, number of keys,
// names and values, each text behind its length, then the body. What earlier
// versions sealed is JSON and begins with a brace.
const framed = 2

func sealContent(box *seal.Box, r *ledger.Record, at seal.Row) []byte {
	raw := make([]byte, 0, 64+len(r.Body)+64*len(r.Keys))
	raw = binary.AppendVarint(append(raw, framed), r.Sort)
	raw = appendText(raw, string(r.Subject))
	raw = binary.AppendUvarint(raw, uint64(len(r.Keys)))
	for name, value := range r.Keys {
		raw = appendText(appendText(raw, name), value)
	}
	return box.Seal(append(raw, r.Body...), at)
}

func appendText(raw []byte, s string) []byte {
	return append(binary.AppendUvarint(raw, uint64(len(s))), s...)
}

// openContent opens a row and holds it against the columns beside it.
func openContent(box *seal.Box, r sealedRecord, at seal.Row) (content, error) {
	raw, err := box.Open(r.sealed, at)
	if err != nil {
		return content{}, ledger.ErrTampered
	}
	c, ok := readContent(raw)
	if !ok || c.sort != r.Sort || c.sub != r.Subject {
		return content{}, ledger.ErrTampered
	}
	return c, nil
}

func readContent(raw []byte) (content, bool) {
	if len(raw) == 0 || raw[0] != framed {
		return readJSON(raw)
	}
	f := frame{rest: raw[1:], good: true}
	c := content{sort: f.varint(), sub: ringfence.SubjectID(f.text())}
	for n := f.uvarint(); n > 0 && f.good; n-- {
		if c.keys == nil {
			c.keys = map[string]string{}
		}
		name := f.text()
		c.keys[name] = f.text()
	}
	c.body = f.rest
	return c, f.good
}

// readJSON reads what versions before the frame sealed.
func readJSON(raw []byte) (content, bool) {
	var old struct {
		Body json.RawMessage     `json:"b"`
		Keys map[string]string   `json:"k"`
		Sub  ringfence.SubjectID `json:"s"`
		Sort int64               `json:"o"`
	}
	err := json.Unmarshal(raw, &old)
	return content{slices.Clone(old.Body), old.Keys, old.Sub, old.Sort}, err == nil
}

// frame reads what sealContent wrote; good turns false at what it never wrote.
type frame struct {
	rest []byte
	good bool
}

func (f *frame) varint() int64 {
	v, n := binary.Varint(f.rest)
	f.skip(n)
	return v
}

func (f *frame) uvarint() uint64 {
	v, n := binary.Uvarint(f.rest)
	f.skip(n)
	return v
}

func (f *frame) text() string {
	n := f.uvarint()
	if !f.good || n > uint64(len(f.rest)) {
		f.good = false
		return ""
	}
	s := string(f.rest[:n])
	f.rest = f.rest[n:]
	return s
}

func (f *frame) skip(n int) {
	if n <= 0 {
		f.good = false
		return
	}
	f.rest = f.rest[n:]
}
