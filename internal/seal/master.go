package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Master wraps the keys of boxes. Its zero value does nothing but fail. It is
// safe for concurrent use.
type Master struct {
	file File // zero: kept nowhere

	mu   sync.RWMutex
	aead tink.AEAD // guarded by mu
}

// Wrapper is a key that stays elsewhere, in a KMS: it wraps what is in the key
// file, so that the file alone opens nothing.
type Wrapper interface {
	Wrap(plain []byte) (wrapped []byte, err error)
	Unwrap(wrapped []byte) (plain []byte, err error)
}

// File is where the master keyset lies.
type File struct {
	Path string
	// Wrapper wraps the content; nil keeps it in clear, with mode 0600.
	Wrapper Wrapper
}

// Open reads the master keyset at path, or makes it, with mode 0600, when
// there is none and create is set. A file that others may read is an error.
func Open(path string, create bool) (*Master, error) { return File{Path: path}.Open(create) }

// Open is the function Open for a file that may be wrapped.
func (f File) Open(create bool) (*Master, error) {
	if _, err := os.Stat(f.Path); errors.Is(err, fs.ErrNotExist) && create {
		handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		if err != nil {
			return nil, err
		}
		content, err := f.encode(handle)
		if err != nil {
			return nil, err
		}
		if err := WriteSecretFile(f.Path, content); err != nil {
			return nil, err
		}
	}
	m := &Master{file: f}
	return m, m.Reload()
}

// NewMaster returns a master that is kept nowhere, for throw-away stores.
func NewMaster() (*Master, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	return &Master{aead: primitive}, err
}

// Reload reads the key file again, after a rotation.
func (m *Master) Reload() error {
	handle, err := m.file.read()
	if err != nil {
		return err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return fmt.Errorf("key file %s: %v", m.file.Path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.aead = primitive
	return nil
}

func (m *Master) primitive() (tink.AEAD, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.aead == nil {
		return nil, errors.New("seal: no master key")
	}
	return m.aead, nil
}

func (m *Master) encrypt(plain, aad []byte) ([]byte, error) {
	p, err := m.primitive()
	if err != nil {
		return nil, err
	}
	return p.Encrypt(plain, aad)
}

// decrypt reads the key file again before it gives up: another process may
// have rotated it since.
func (m *Master) decrypt(wrapped, aad []byte) ([]byte, error) {
	p, err := m.primitive()
	if err != nil {
		return nil, err
	}
	plain, err := p.Decrypt(wrapped, aad)
	if err == nil || m.file.Path == "" {
		return plain, err
	}
	if m.Reload() != nil {
		return nil, err
	}
	if p, err = m.primitive(); err != nil {
		return nil, err
	}
	return p.Decrypt(wrapped, aad)
}

func (f File) read() (*keyset.Handle, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s may be read by others: chmod 600 it", f.Path)
	}
	raw, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if f.Wrapper != nil {
		if raw, err = f.Wrapper.Unwrap(raw); err != nil {
			return nil, fmt.Errorf("key file %s: %w", f.Path, err)
		}
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, fmt.Errorf("key file %s is no keyset: is it wrapped by a KMS, or whose store.key_command is missing?", f.Path)
	}
	return handle, nil
}

func (f File) encode(handle *keyset.Handle) ([]byte, error) {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&buf)); err != nil {
		return nil, err
	}
	if f.Wrapper == nil {
		return buf.Bytes(), nil
	}
	return f.Wrapper.Wrap(buf.Bytes())
}

// replace puts a keyset into the file's place, durably and in one step.
func (f File) replace(handle *keyset.Handle) error {
	content, err := f.encode(handle)
	if err != nil {
		return err
	}
	next := f.Path + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := WriteSecretFile(next, content); err != nil {
		return err
	}
	if err := os.Rename(next, f.Path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
