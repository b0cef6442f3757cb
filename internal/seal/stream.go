package seal

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Stream encrypts and opens one long content, such as a recording, under a key
// of its own: AES-256-GCM by segments of 4 KiB (Tink's AES-GCM-HKDF), each
// bound to its place, the last one marked as the last. A content that was cut
// short opens up to the cut and then fails.
type Stream struct {
	aead tink.StreamingAEAD
	aad  []byte
}

// NewStream makes the key of one content and returns it wrapped by the box for
// exactly this row. Destroying the wrapped key erases the content.
func (b *Box) NewStream(row Row) (wrapped []byte, s *Stream, err error) {
	handle, err := keyset.NewHandle(streamingaead.AES256GCMHKDF4KBKeyTemplate())
	if err != nil {
		return nil, nil, err
	}
	var buf bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), boxAEAD{b}, row.aad()); err != nil {
		return nil, nil, err
	}
	s, err = newStream(handle, row)
	return buf.Bytes(), s, err
}

// OpenStream opens a wrapped key. It returns ErrForged for one that this box
// did not wrap for exactly this row.
func (b *Box) OpenStream(wrapped []byte, row Row) (*Stream, error) {
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), boxAEAD{b}, row.aad())
	if err != nil {
		return nil, fmt.Errorf("%w: key of %s %s", ErrForged, row.Kind, row.ID)
	}
	return newStream(handle, row)
}

func newStream(handle *keyset.Handle, row Row) (*Stream, error) {
	primitive, err := streamingaead.New(handle)
	if err != nil {
		return nil, err
	}
	return &Stream{aead: primitive, aad: row.aad()}, nil
}

// Writer encrypts what is written to it into w. Only Close writes the end.
func (s *Stream) Writer(w io.Writer) (io.WriteCloser, error) {
	return s.aead.NewEncryptingWriter(w, s.aad)
}

// Reader returns the content of r. Its error at any place means that the
// content was changed, cut short or is another row's.
func (s *Stream) Reader(r io.Reader) (io.Reader, error) { return s.aead.NewDecryptingReader(r, s.aad) }

// boxAEAD lets a box wrap a keyset.
type boxAEAD struct{ b *Box }

func (a boxAEAD) Encrypt(plain, aad []byte) ([]byte, error) {
	return a.b.seal(plain, aad), nil
}

func (a boxAEAD) Decrypt(sealed, aad []byte) ([]byte, error) {
	return a.b.open(sealed, aad)
}
