package stirshaken

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// TrustList is the set of roots that PASSporT certificates must lead to: the
// STI-PA's list of approved authorities (ATIS-1000084), or a lab's own root.
// It has nothing to do with the roots that TLS trusts. Nil and empty trust
// nobody. A TrustList never changes; Verifier.SetTrust swaps it whole.
type TrustList struct {
	pool  *x509.CertPool
	roots []*x509.Certificate
}

// NewTrustList makes a list of these roots. One that is not an authority's
// certificate is an error.
func NewTrustList(roots ...*x509.Certificate) (*TrustList, error) {
	t := &TrustList{pool: x509.NewCertPool(), roots: roots}
	for _, c := range roots {
		if !c.BasicConstraintsValid || !c.IsCA {
			return nil, fmt.Errorf("trust list: %q is not an authority's certificate", c.Subject.String())
		}
		t.pool.AddCert(c)
	}
	return t, nil
}

// ParseTrustList reads roots in PEM. A file without any is an error, so that
// a truncated file is not taken for a list that trusts nobody.
func ParseTrustList(pemBytes []byte) (*TrustList, error) {
	var roots []*x509.Certificate
	for rest := bytes.TrimSpace(pemBytes); len(rest) > 0; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return nil, errors.New("trust list: bytes that are not PEM")
		}
		if b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("trust list: unexpected PEM block %q", clip(b.Type))
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("trust list: %v", err)
		}
		roots = append(roots, c)
	}
	if len(roots) == 0 {
		return nil, errors.New("trust list: no certificate")
	}
	return NewTrustList(roots...)
}

// LoadTrustList reads a PEM file.
func LoadTrustList(path string) (*TrustList, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trust list: %v", err)
	}
	return ParseTrustList(b)
}

// Len is the number of roots; 0 for nil.
func (t *TrustList) Len() int {
	if t == nil {
		return 0
	}
	return len(t.roots)
}

// Roots returns the certificates of the list.
func (t *TrustList) Roots() []*x509.Certificate {
	if t == nil {
		return nil
	}
	return append([]*x509.Certificate{}, t.roots...)
}
