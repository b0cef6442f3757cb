// Package stirtest is a small authority for labs and tests: a root, an
// intermediate, leaves with a TNAuthList, revocation lists and the handler of
// an x5u server. Its keys live in memory unless Save writes them; nobody but a
// lab may trust its root.
//
//	ca, _ := stirtest.New(now)
//	leaf, _ := ca.Leaf(stirtest.Options{SPC: "1234"})
//	http.Serve(loopback, ca.Handler())    // /1234.pem, /ca.crl
package stirtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
)

// Authority is a root with one intermediate. It is safe for use by several
// goroutines.
type Authority struct {
	Root, Intermediate       *x509.Certificate
	RootKey, IntermediateKey *ecdsa.PrivateKey

	now     time.Time
	mu      sync.Mutex
	files   map[string][]byte
	revoked []x509.RevocationListEntry
}

// Options describe a leaf. The zero value is a good signer's certificate that
// covers provider code "1234" and is valid from an hour before the
// authority's now for 90 days.
type Options struct {
	Name        string                  // common name and file name; "" means the provider code
	SPC         string                  // provider code; "" with a zero Scope means "1234"
	Scope       *stirshaken.Scope       // in place of SPC; an empty one makes a malformed list
	NoTNAuth    bool                    // leave the TNAuthList out
	TNAuth      []byte                  // raw extension value, in place of Scope
	Critical    bool                    // mark the TNAuthList critical
	Constraints *stirshaken.Constraints // claim constraints; enhanced when MustExclude is set
	NotBefore   time.Time               // zero: an hour ago
	NotAfter    time.Time               // zero: in 90 days
	Curve       elliptic.Curve          // nil: P-256
	KeyUsage    x509.KeyUsage           // 0: digitalSignature
	ExtKeyUsage []x509.ExtKeyUsage      // none
	CA          bool                    // an authority's certificate
	Issuer      *Leaf                   // a delegate's parent; nil: the intermediate
	Extra       []pkix.Extension        // more extensions
	Mutate      func(*x509.Certificate) // last word on the template
}

// Leaf is a certificate, its key and the bundle that an x5u server sends.
type Leaf struct {
	Name   string
	Cert   *x509.Certificate
	Key    *ecdsa.PrivateKey
	Bundle []byte // PEM, leaf first, without the root
}

// New makes an authority that is valid from a day before now for ten years.
func New(now time.Time) (*Authority, error) {
	a := &Authority{now: now, files: map[string][]byte{}}
	var err error
	if a.Root, a.RootKey, err = a.authority("Lab STI Root", nil, nil); err != nil {
		return nil, err
	}
	a.Intermediate, a.IntermediateKey, err = a.authority("Lab STI Intermediate", a.Root, a.RootKey)
	return a, err
}

func (a *Authority) authority(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"Lab"}},
		NotBefore: a.now.Add(-24 * time.Hour), NotAfter: a.now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	if parent == nil {
		parent, parentKey = t, key
	}
	cert, err := create(t, parent, key, parentKey)
	return cert, key, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic("stirtest: no randomness: " + err.Error())
	}
	return n.Add(n, big.NewInt(1))
}

func create(t, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	b, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, fmt.Errorf("stirtest: %v", err)
	}
	return x509.ParseCertificate(b)
}

// Leaf issues a certificate and serves its bundle under Name.pem.
func (a *Authority) Leaf(o Options) (*Leaf, error) {
	if o.SPC == "" {
		o.SPC = "1234"
	}
	if o.Name == "" {
		o.Name = o.SPC
	}
	if o.Curve == nil {
		o.Curve = elliptic.P256()
	}
	if o.KeyUsage == 0 {
		o.KeyUsage = x509.KeyUsageDigitalSignature
		if o.CA {
			o.KeyUsage |= x509.KeyUsageCertSign
		}
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = a.now.Add(-time.Hour)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = a.now.AddDate(0, 0, 90)
	}
	key, err := ecdsa.GenerateKey(o.Curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "SHAKEN " + o.Name, Country: []string{"GB"}},
		NotBefore: o.NotBefore, NotAfter: o.NotAfter, KeyUsage: o.KeyUsage, ExtKeyUsage: o.ExtKeyUsage,
		IsCA: o.CA, BasicConstraintsValid: true, ExtraExtensions: o.extensions()}
	if o.Mutate != nil {
		o.Mutate(t)
	}
	parent, parentKey, rest := a.Intermediate, a.IntermediateKey, pemCert(a.Intermediate)
	if o.Issuer != nil {
		parent, parentKey, rest = o.Issuer.Cert, o.Issuer.Key, o.Issuer.Bundle
	}
	cert, err := create(t, parent, key, parentKey)
	if err != nil {
		return nil, err
	}
	l := &Leaf{Name: o.Name, Cert: cert, Key: key, Bundle: append(pemCert(cert), rest...)}
	a.Serve(o.Name+".pem", l.Bundle)
	return l, nil
}

func (o Options) extensions() []pkix.Extension {
	ext := o.Extra
	if !o.NoTNAuth {
		scope := stirshaken.Scope{SPCs: []string{o.SPC}}
		if o.Scope != nil {
			scope = *o.Scope
		}
		value := o.TNAuth
		if value == nil {
			value = scope.Marshal()
		}
		ext = append(ext, pkix.Extension{Id: stirshaken.OIDTNAuthList, Critical: o.Critical, Value: value})
	}
	if o.Constraints != nil {
		oid := stirshaken.OIDClaimConstraints
		if o.Constraints.MustExclude != nil {
			oid = stirshaken.OIDEnhancedConstraints
		}
		ext = append(ext, pkix.Extension{Id: oid, Value: o.Constraints.Marshal()})
	}
	return ext
}

func pemCert(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// RootPEM is the root's certificate, which a lab's verifier trusts.
func (a *Authority) RootPEM() []byte { return pemCert(a.Root) }

// Trust is the root as a trust list.
func (a *Authority) Trust() *stirshaken.TrustList {
	t, err := stirshaken.NewTrustList(a.Root)
	if err != nil {
		panic("stirtest: " + err.Error()) // our own root is an authority's
	}
	return t
}

// Revoke puts a leaf on the next list.
func (a *Authority) Revoke(l *Leaf, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked = append(a.revoked, x509.RevocationListEntry{SerialNumber: l.Cert.SerialNumber, RevocationTime: at})
}

// CRL is the intermediate's list in DER, current from an hour before now for
// a day.
func (a *Authority) CRL(now time.Time) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(now.Unix()),
		ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(24 * time.Hour), RevokedCertificateEntries: a.revoked},
		a.Intermediate, a.IntermediateKey)
}

// RootCRL is the root's list, which revokes nobody.
func (a *Authority) RootCRL(now time.Time) ([]byte, error) {
	return x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(now.Unix()),
		ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(24 * time.Hour)}, a.Root, a.RootKey)
}

// Signers are those who may sign this authority's lists.
func (a *Authority) Signers() []*x509.Certificate {
	return []*x509.Certificate{a.Root, a.Intermediate}
}

// IndirectCRL makes a policy administrator (STI-PA) and its indirect list of
// these leaves (RFC 5280, section 5.2.5).
func (a *Authority) IndirectCRL(now time.Time, leaves ...*Leaf) (pa *x509.Certificate, list []byte, err error) {
	pa, key, err := a.authority("Lab STI-PA", nil, nil)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(24 * time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x84, 1, 0xff}}}}
	for _, l := range leaves {
		name, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: l.Cert.RawIssuer}})
		if err != nil {
			return nil, nil, err
		}
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: l.Cert.SerialNumber,
			RevocationTime: now, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: name}}})
	}
	list, err = x509.CreateRevocationList(rand.Reader, t, pa, key)
	return pa, list, err
}

// Serve puts bytes on the handler under a name.
func (a *Authority) Serve(name string, b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[name] = b
}

// Handler is the x5u server: Name.pem for each leaf, root.pem and ca.crl.
func (a *Authority) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		a.mu.Lock()
		b, ok := a.files[name]
		a.mu.Unlock()
		kind := "application/pem-certificate-chain"
		switch {
		case ok:
		case name == "root.pem":
			b = a.RootPEM()
		case name == "ca.crl":
			kind = "application/pkix-crl"
			var err error
			if b, err = a.CRL(time.Now()); err != nil {
				http.Error(w, "no list", http.StatusInternalServerError)
				return
			}
		default:
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(b)
	})
}

// Signer signs with a leaf whose bundle stands at x5u.
func (l *Leaf) Signer(x5u string) (*stirshaken.Signer, error) {
	s := new(stirshaken.Signer)
	return s, s.SetLabKey(l.Key, l.Bundle, x5u)
}

// KeyPEM is the leaf's private key, PKCS #8.
func (l *Leaf) KeyPEM() ([]byte, error) { return keyPEM(l.Key) }

func keyPEM(k *ecdsa.PrivateKey) ([]byte, error) {
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), nil
}

// Save writes root.pem, root.key, intermediate.pem and intermediate.key into
// dir, keys readable by their owner only.
func (a *Authority) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, c := range map[string]*x509.Certificate{"root": a.Root, "intermediate": a.Intermediate} {
		if err := os.WriteFile(filepath.Join(dir, name+".pem"), pemCert(c), 0o644); err != nil {
			return err
		}
	}
	for name, k := range map[string]*ecdsa.PrivateKey{"root": a.RootKey, "intermediate": a.IntermediateKey} {
		b, err := keyPEM(k)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".key"), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Load reads what Save wrote.
func Load(dir string, now time.Time) (*Authority, error) {
	a := &Authority{now: now, files: map[string][]byte{}}
	for _, one := range []struct {
		name string
		cert **x509.Certificate
		key  **ecdsa.PrivateKey
	}{{"root", &a.Root, &a.RootKey}, {"intermediate", &a.Intermediate, &a.IntermediateKey}} {
		b, err := os.ReadFile(filepath.Join(dir, one.name+".pem"))
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(bytes.TrimSpace(b))
		if block == nil {
			return nil, fmt.Errorf("stirtest: %s.pem: not PEM", one.name)
		}
		if *one.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("stirtest: %s.pem: %v", one.name, err)
		}
		if b, err = os.ReadFile(filepath.Join(dir, one.name+".key")); err != nil {
			return nil, err
		}
		if *one.key, err = stirshaken.ParseKey(b); err != nil {
			return nil, err
		}
	}
	return a, nil
}
