package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
)

// withSigner opens the store and does what the person of the flags signs.
func (f *signFlags) withSigner(ctx context.Context, cfg config.Config, do func(*app, signer) error) (err error) {
	a, err := newApp(ctx, cfg, appOptions{Tool: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.store.Close()) }()
	who, err := f.signer(ctx, &counter{store: a.store, tenant: ringfence.TenantID(f.Tenant)})
	if err != nil {
		return err
	}
	return do(a, who)
}

func keySignature(who signer, msg [32]byte) gate.Signature {
	over := who.over(msg)
	return gate.Signature{Person: over.Person, Key: over.Key, Assertion: over.Signature}
}

// putPending keeps what one person has signed in a file for the second.
func putPending(file string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

// readPending reads such a file; a field it does not know is an error.
func readPending(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
