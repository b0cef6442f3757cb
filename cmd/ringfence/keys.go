package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/seal"
)

// keyring is the keys of one installation. They lie in files of mode 0600 in
// the keys folder, apart from the store; whoever copies the store alone can
// neither read nor forge it.
type keyring struct {
	master *seal.Master
	permit ed25519.PrivateKey
	ledger ed25519.PrivateKey
	pepper ringfence.Secret
}

// openKeys reads the keys, and makes those that are missing.
func openKeys(cfg config.Config) (keyring, error) {
	dir := filepath.Join(cfg.Data, "keys")
	var k keyring
	var err error
	if k.master, err = keyFile(cfg).Open(true); err != nil {
		return k, err
	}
	if k.permit, err = signingKey(filepath.Join(dir, "permit.pem")); err != nil {
		return k, err
	}
	if k.ledger, err = signingKey(filepath.Join(dir, "ledger.pem")); err != nil {
		return k, err
	}
	if p := cfg.Verify.Pepper.Reveal(); p != "" {
		k.pepper = ringfence.Secret(p)
		return k, nil
	}
	k.pepper, err = randomFile(filepath.Join(dir, "pepper"))
	return k, err
}

// signingKey reads an Ed25519 key in PKCS #8 PEM, or makes it.
func signingKey(path string) (ed25519.PrivateKey, error) {
	raw, err := readSecret(path, func() ([]byte, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	})
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM key", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", path, err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of type %T, want Ed25519", path, key)
	}
	return ed, nil
}

// randomFile reads 32 random bytes kept as hexadecimal, or makes them.
func randomFile(path string) (ringfence.Secret, error) {
	raw, err := readSecret(path, func() ([]byte, error) {
		b := make([]byte, 32)
		_, err := rand.Read(b)
		return []byte(hex.EncodeToString(b) + "\n"), err
	})
	if err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(b) < 32 {
		return nil, fmt.Errorf("%s does not hold 32 bytes in hexadecimal", path)
	}
	return b, nil
}

// readSecret reads a file of mode 0600, or writes what make gives.
func readSecret(path string, make func() ([]byte, error)) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		content, err := make()
		if err != nil {
			return nil, err
		}
		return content, seal.WriteSecretFile(path, content)
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s may be read by others: chmod 600 it", path)
	}
	return os.ReadFile(path)
}
