package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/scripts"
)

// brochure is an action of class C0: the gate, the ledger and the executor
// treat it as any other, and no proof is needed to make thousands of them.
const brochure = `
  brochure:
    class: C0
    says: send a brochure
    about: customer
    carries: { title: text }
    needs: []
`

// brochureInGerman is what the shipped step-up flows say of a brochure.
const brochureInGerman = `
- text: This is to send a brochure.
  de: Es geht um den Versand einer Broschüre.
- text: "You asked us to send a brochure. Title: {brochure.title}. If that is right, press {yes}. If not, press 2."
  de: "Sie möchten eine Broschüre. Titel: {brochure.title}. Wenn das stimmt, drücken Sie {yes}. Wenn nicht, drücken Sie 2."
`

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeScripts writes the shipped scripts with the tests' own action and
// waivers: what takes hours by default takes seconds.
func writeScripts(t testing.TB, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, scripts.FS); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "policy.yaml")
	policy, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	policy = bytes.Replace(policy, []byte("\nactions:\n"), []byte("\nactions:"+brochure), 1)
	policy = bytes.Replace(policy, []byte("\nspeak:\n"), []byte("\nspeak:\n  brochure.title: [callback]\n"), 1)
	policy = fmt.Appendf(policy, "\nwaivers:\n")
	for _, w := range []string{"rule: hold, value: 1s", "rule: staff_wait, value: 0s"} {
		policy = fmt.Appendf(policy, "  - { %s, reason: end-to-end tests, until: %s }\n", w, time.Now().AddDate(0, 0, 30).Format(time.DateOnly))
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, policy, 0o600); err != nil {
		t.Fatal(err)
	}
	appendTo(t, filepath.Join(dir, "prompts", "de.yaml"), brochureInGerman)
}

// writeCertificate writes a certificate for loopback, signed by itself.
func writeCertificate(t testing.TB, certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true} // some telephones trust nothing that is no authority
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certPath: {Type: "CERTIFICATE", Bytes: der}, keyPath: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// copyFolder copies a data folder as a backup does, while nothing writes it.
func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"ledger.pem", "permit.pem", "pepper", "store.json"} {
		if err := os.Chmod(filepath.Join(to, "keys", key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}
