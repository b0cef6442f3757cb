// Package seal keeps what a store holds unreadable and unforgeable without a
// key that is not in the store.
//
// A Master is a Tink keyset in a file of mode 0600, which a KMS may have wrapped. It
// wraps one Box key a tenant and one a subject; a Box encrypts rows with
// AES-256-GCM, so that their content is authenticated together with tenant,
// kind, id and version, and makes blind look-up values with HMAC-SHA-256.
// Destroying a subject's wrapped key erases what was sealed with it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// WriteSecretFile writes a new file of mode 0600, durably, and fails when
// there is one already.
func WriteSecretFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// boxKeyBytes is the length of a box's key: AES-256.
const boxKeyBytes = 32

// NewBoxKey makes the key of a box and returns it wrapped for the owner, who
// is named in aad and cannot be changed.
func (m *Master) NewBoxKey(aad string) (wrapped []byte, err error) {
	key := make([]byte, boxKeyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return m.encrypt(key, []byte(aad))
}

// Box opens a wrapped key.
func (m *Master) Box(wrapped []byte, aad string) (*Box, error) {
	keys, err := m.unwrap(wrapped, aad)
	if err != nil {
		return nil, err
	}
	b := &Box{}
	for part := range slices.Chunk(keys, boxKeyBytes) {
		g, err := newGeneration(part)
		if err != nil {
			return nil, err
		}
		b.gens = append(b.gens, g)
	}
	return b, nil
}

// unwrap returns the generations of a box's key, newest first, one after the
// other.
func (m *Master) unwrap(wrapped []byte, aad string) ([]byte, error) {
	keys, err := m.decrypt(wrapped, []byte(aad))
	if err != nil || len(keys) == 0 || len(keys)%boxKeyBytes != 0 {
		return nil, fmt.Errorf("key of %s does not open under this key file", aad)
	}
	return keys, nil
}

// Rewrap returns a wrapped key wrapped anew, after the master was rotated.
func (m *Master) Rewrap(wrapped []byte, aad string) ([]byte, error) {
	keys, err := m.unwrap(wrapped, aad)
	if err != nil {
		return nil, err
	}
	return m.encrypt(keys, []byte(aad))
}

// maxGenerations bounds how many keys a box opens with: a rotation that began
// before another ended.
const maxGenerations = 4

// Renew puts a new generation before those that a wrapped key has: the box
// seals with it from then on and still opens what the others sealed.
func (m *Master) Renew(wrapped []byte, aad string) ([]byte, error) {
	keys, err := m.unwrap(wrapped, aad)
	if err != nil {
		return nil, err
	}
	if len(keys) >= maxGenerations*boxKeyBytes {
		return nil, fmt.Errorf("key of %s has %d generations: finish the rotation that runs first", aad, maxGenerations)
	}
	fresh := make([]byte, boxKeyBytes, boxKeyBytes+len(keys))
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	return m.encrypt(append(fresh, keys...), []byte(aad))
}

// Retire drops every generation but the newest; what only they open is lost.
func (m *Master) Retire(wrapped []byte, aad string) ([]byte, error) {
	keys, err := m.unwrap(wrapped, aad)
	if err != nil {
		return nil, err
	}
	return m.encrypt(keys[:boxKeyBytes], []byte(aad))
}

// Box seals the rows of one tenant or subject. It is safe for concurrent use.
type Box struct{ gens []generation } // newest first, never empty

type generation struct {
	gcm  cipher.AEAD
	macs *sync.Pool // of HMACs under the key of look-up values, which is hashed once for each
}

func newGeneration(key []byte) (g generation, err error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return g, err
	}
	if g.gcm, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return g, err
	}
	index, err := hkdf.Key(sha256.New, key, nil, "ringfence/blind-index/v1", 32)
	g.macs = &sync.Pool{New: func() any { return hmac.New(sha256.New, index) }}
	return g, err
}

// Turning reports whether older generations still open.
func (b *Box) Turning() bool { return len(b.gens) > 1 }

// ErrForged is returned by Open for content that this box did not seal for
// exactly this row and version.
var ErrForged = errors.New("seal: content does not verify")

// Row names what is sealed; every part is authenticated.
type Row struct {
	Tenant, Kind, ID string
	Version          int64
}

// aad encodes a row without two readings: each part is preceded by its length.
func (r Row) aad() []byte {
	out := make([]byte, 0, len(r.Tenant)+len(r.Kind)+len(r.ID)+20)
	for _, part := range [...]string{r.Tenant, r.Kind, r.ID} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return binary.BigEndian.AppendUint64(out, uint64(r.Version))
}

// Seal encrypts and authenticates body as the content of row.
func (b *Box) Seal(body []byte, row Row) []byte { return b.seal(body, row.aad()) }

func (b *Box) seal(body, aad []byte) []byte { return b.gens[0].gcm.Seal(nil, nil, body, aad) }

// Open returns the content of row, or ErrForged.
func (b *Box) Open(sealed []byte, row Row) ([]byte, error) { return b.open(sealed, row.aad()) }

func (b *Box) open(sealed, aad []byte) ([]byte, error) {
	for _, g := range b.gens {
		if body, err := g.gcm.Open(nil, nil, sealed, aad); err == nil {
			return body, nil
		}
	}
	return nil, ErrForged
}

// Newest reports whether the newest generation sealed the row.
func (b *Box) Newest(sealed []byte, row Row) bool {
	_, err := b.gens[0].gcm.Open(nil, nil, sealed, row.aad())
	return err == nil
}

// Blind returns the keyed hash under which a look-up value is kept.
func (b *Box) Blind(kind, key, value string) []byte { return b.gens[0].blind(kind, key, value) }

// Blinds returns the keyed hashes of every generation, newest first: until a
// rotation has ended a value is looked for under each.
func (b *Box) Blinds(kind, key, value string) [][]byte {
	out := make([][]byte, len(b.gens))
	for i, g := range b.gens {
		out[i] = g.blind(kind, key, value)
	}
	return out
}

func (g generation) blind(kind, key, value string) []byte {
	mac := g.macs.Get().(hash.Hash)
	defer g.macs.Put(mac)
	mac.Reset()
	for _, part := range [...]string{kind, key} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(part)))
		mac.Write(n[:])
		mac.Write([]byte(part))
	}
	mac.Write([]byte(value))
	return mac.Sum(nil)[:16]
}
