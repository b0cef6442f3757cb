package seal

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// The three steps of a rotation of the master key. Between them every process
// that opens the store must have the file as the step left it; one on the same
// machine reads it again by itself.

// Add puts a new key into the file, which opens but does not wrap yet.
func (f File) Add() error {
	return f.change(func(m *keyset.Manager, _ *keyset.Handle) error {
		_, err := m.Add(aead.AES256GCMKeyTemplate())
		return err
	})
}

// Promote lets the newest key wrap from now on. The older ones still open.
func (f File) Promote() error {
	return f.change(func(m *keyset.Manager, h *keyset.Handle) error {
		newest, err := h.Entry(h.Len() - 1)
		if err != nil {
			return err
		}
		return m.SetPrimary(newest.KeyID())
	})
}

// Drop removes every key but the one that wraps. What is still wrapped by
// another is lost, so wrap everything anew first.
func (f File) Drop() error {
	return f.change(func(m *keyset.Manager, h *keyset.Handle) error {
		for i := range h.Len() {
			e, err := h.Entry(i)
			if err != nil {
				return err
			}
			if e.IsPrimary() {
				continue
			}
			if err := m.Delete(e.KeyID()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Len is the number of keys in the file.
func (f File) Len() (int, error) {
	h, err := f.read()
	if err != nil {
		return 0, err
	}
	return h.Len(), nil
}

func (f File) change(do func(*keyset.Manager, *keyset.Handle) error) error {
	h, err := f.read()
	if err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(h)
	if err := do(m, h); err != nil {
		return fmt.Errorf("key file %s: %w", f.Path, err)
	}
	next, err := m.Handle()
	if err != nil {
		return fmt.Errorf("key file %s: %w", f.Path, err)
	}
	return f.replace(next)
}
