package stirshaken

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"sync"
	"time"
)

// maxIssuers bounds the remembered intermediates; when it is reached, all are
// forgotten, which costs one validation each.
const maxIssuers = 256

// issuers remembers intermediates that led to a root, so that signers of one
// authority share that part of the path. Only what a full validation has
// found good is remembered, and only for chainRecheck under one trust list.
type issuers struct {
	mu sync.Mutex
	m  map[[32]byte]*issuer // by SHA-256 of the DER
}

// issuer is one intermediate and the way up from it; it never changes.
type issuer struct {
	upper   []*x509.Certificate // the intermediate first, the root last
	pool    *x509.CertPool      // the intermediate alone
	trust   *TrustList
	checked time.Time
}

func (s *issuers) get(der []byte) *issuer {
	if s == nil {
		return nil
	}
	sum := sha256.Sum256(der)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[sum]
}

// put remembers the upper part of a validated path. A path whose upper
// certificates constrain names or policies below them is not remembered:
// those have to be checked against each leaf.
func (s *issuers) put(path []*x509.Certificate, trust *TrustList, now time.Time) {
	if s == nil || len(path) < 3 {
		return
	}
	for _, c := range path[2:] {
		if constrains(c) {
			return
		}
	}
	i := &issuer{upper: path[1:], pool: x509.NewCertPool(), trust: trust, checked: now}
	i.pool.AddCert(path[1])
	sum := sha256.Sum256(path[1].Raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil || len(s.m) >= maxIssuers {
		s.m = map[[32]byte]*issuer{}
	}
	s.m[sum] = i
}

// constrains tells certificates with nameConstraints, policyConstraints or
// inhibitAnyPolicy (RFC 5280, sections 4.2.1.10, 4.2.1.11 and 4.2.1.14).
func constrains(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		for _, last := range []int{30, 36, 54} {
			if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, last}) {
				return true
			}
		}
	}
	return false
}

// path gives the leaf's path when its issuer is remembered; nil when a full
// validation has to say, be it only for the reason.
func (s *issuers) path(bundle []*x509.Certificate, trust *TrustList, now time.Time) []*x509.Certificate {
	if s == nil || len(bundle) < 2 || !bytes.Equal(bundle[0].RawIssuer, bundle[1].RawSubject) {
		return nil
	}
	i := s.get(bundle[1].Raw)
	if i == nil || i.trust != trust || now.Sub(i.checked).Abs() >= chainRecheck {
		return nil
	}
	for _, c := range i.upper {
		if checkWindow(c, now) != nil {
			return nil
		}
	}
	if _, err := bundle[0].Verify(x509.VerifyOptions{Roots: i.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil
	}
	return append([]*x509.Certificate{bundle[0]}, i.upper...)
}
