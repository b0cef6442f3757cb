package stirshaken

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strconv"
	"time"
)

// Certificate is what a verdict says about the signer's certificate.
type Certificate struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"` // hexadecimal
	SPC         []string  `json:"spc,omitempty"`
	Scope       string    `json:"scope"` // for people; numbers masked
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"sha256"` // hexadecimal SHA-256 of the DER
}

// chain is a validated path from a leaf to a root. It never changes.
type chain struct {
	pub         *ecdsa.PublicKey
	scope       Scope
	constraints []Constraints
	// notBefore and notAfter are the window in which every certificate of the
	// path is valid.
	notBefore, notAfter time.Time
	path                []*x509.Certificate // leaf first
	info                Certificate
}

// ParseBundle reads what an x5u server sends: certificates in PEM, or one in
// DER, leaf first, within MaxBundleBytes and MaxBundleCertificates. It checks
// their form only.
func ParseBundle(b []byte) ([]*x509.Certificate, *Refusal) { return parseBundle(b, nil) }

// parseBundle reads certificates in PEM, or one in DER, leaf first.
func parseBundle(b []byte, known *issuers) ([]*x509.Certificate, *Refusal) {
	if len(b) > MaxBundleBytes {
		return nil, refuse(ReasonFetchSize, "")
	}
	trimmed := bytes.TrimSpace(b)
	if len(trimmed) == 0 {
		return nil, refuse(ReasonBundleEmpty, "")
	}
	if trimmed[0] == tagSequence {
		c, r := parseCertificate(b)
		if r != nil {
			return nil, r
		}
		return []*x509.Certificate{c}, nil
	}
	var out []*x509.Certificate
	for rest := trimmed; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, refuse(ReasonBundleSyntax, "PEM block "+strconv.Quote(clip(block.Type)))
		}
		if len(out) == MaxBundleCertificates {
			return nil, refuse(ReasonBundleMany, "more than "+strconv.Itoa(MaxBundleCertificates))
		}
		if i := known.get(block.Bytes); i != nil && len(out) > 0 {
			out = append(out, i.upper[0])
			continue
		}
		c, r := parseCertificate(block.Bytes)
		if r != nil {
			return nil, r
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, refuse(ReasonBundleSyntax, "neither PEM nor DER")
	}
	return out, nil
}

// parseCertificate parses DER and takes the extensions that are handled here
// off the list of unhandled critical ones.
func parseCertificate(b []byte) (*x509.Certificate, *Refusal) {
	c, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, refuse(ReasonBundleSyntax, clip(err.Error()))
	}
	c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, func(oid asn1.ObjectIdentifier) bool {
		return oid.Equal(OIDTNAuthList) || oid.Equal(OIDClaimConstraints) || oid.Equal(OIDEnhancedConstraints)
	})
	return c, nil
}

// buildChain validates the bundle at now: leaf first, intermediates from the
// bundle, roots from the trust list and nowhere else. known may be nil.
func buildChain(bundle []*x509.Certificate, trust *TrustList, known *issuers, now time.Time) (*chain, *Refusal) {
	if trust.Len() == 0 {
		return nil, refuse(ReasonNoRoots, "")
	}
	leaf := bundle[0]
	if r := checkLeaf(leaf); r != nil {
		return nil, r
	}
	c := &chain{pub: leaf.PublicKey.(*ecdsa.PublicKey)}
	ext := extension(leaf, OIDTNAuthList)
	if ext == nil {
		return nil, refuse(ReasonNoTNAuthList, "")
	}
	var r *Refusal
	if c.scope, r = ParseTNAuthList(ext); r != nil {
		return nil, r
	}
	c.info = describe(leaf, c.scope)
	if r := checkWindow(leaf, now); r != nil {
		return nil, r
	}
	if path := known.path(bundle, trust, now); path != nil {
		if r := c.follow(path); r != nil {
			return nil, r
		}
		return c, nil
	}
	inter := x509.NewCertPool()
	for _, b := range bundle[1:] {
		inter.AddCert(b)
	}
	// The purposes are checked in checkLeaf; x509 knows none for STIR.
	paths, err := leaf.Verify(x509.VerifyOptions{Roots: trust.pool, Intermediates: inter, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, chainRefusal(err, bundle, now)
	}
	for _, path := range paths {
		if r = c.follow(path); r == nil {
			known.put(path, trust, now)
			return c, nil
		}
	}
	return nil, r
}

// checkLeaf checks what RFC 8226, section 5, RFC 8588, section 2, and
// ATIS-1000080, section 6.4, ask of a signer's certificate.
func checkLeaf(leaf *x509.Certificate) *Refusal {
	pub, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return refuse(ReasonLeafKey, leaf.PublicKeyAlgorithm.String())
	}
	if leaf.IsCA {
		return refuse(ReasonLeafCA, "")
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return refuse(ReasonLeafUsage, "digitalSignature is not set")
	}
	if leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return refuse(ReasonLeafUsage, "certificate or list signing is set")
	}
	if purposes := len(leaf.ExtKeyUsage) + len(leaf.UnknownExtKeyUsage); purposes > 0 &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return refuse(ReasonLeafEKU, "")
	}
	if len(leaf.UnhandledCriticalExtensions) > 0 {
		return refuse(ReasonCritical, leaf.UnhandledCriticalExtensions[0].String())
	}
	return nil
}

func checkWindow(c *x509.Certificate, at time.Time) *Refusal {
	if at.Before(c.NotBefore) {
		return refuse(ReasonNotYetValid, "from "+c.NotBefore.UTC().Format(time.RFC3339))
	}
	if at.After(c.NotAfter) {
		return refuse(ReasonExpired, "on "+c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

func chainRefusal(err error, bundle []*x509.Certificate, now time.Time) *Refusal {
	for _, c := range bundle[1:] {
		if r := checkWindow(c, now); r != nil {
			r.Detail = "an intermediate, " + r.Detail
			return r
		}
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return refuse(ReasonExpired, "a certificate of the path")
	}
	var critical x509.UnhandledCriticalExtension
	if errors.As(err, &critical) {
		return refuse(ReasonCritical, "in the path")
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return refuse(ReasonUntrusted, "")
	}
	return refuse(ReasonUntrusted, clip(err.Error()))
}

// follow walks one path and gathers window, scope and constraints.
func (c *chain) follow(path []*x509.Certificate) *Refusal {
	c.path, c.constraints = path, nil
	scope := c.scope
	for i, cert := range path {
		if i == 0 || cert.NotBefore.After(c.notBefore) {
			c.notBefore = cert.NotBefore
		}
		if i == 0 || cert.NotAfter.Before(c.notAfter) {
			c.notAfter = cert.NotAfter
		}
		if ext := extension(cert, OIDTNAuthList); ext != nil && i > 0 {
			parent, r := ParseTNAuthList(ext)
			if r != nil {
				return refuse(r.Reason, "in an issuer's certificate: "+r.Detail)
			}
			if !scope.Within(parent) {
				return refuse(ReasonDelegateScope, "")
			}
			scope = parent
		}
		for _, kind := range []asn1.ObjectIdentifier{OIDClaimConstraints, OIDEnhancedConstraints} {
			ext := extension(cert, kind)
			if ext == nil {
				continue
			}
			con, r := ParseConstraints(ext, kind.Equal(OIDEnhancedConstraints))
			if r != nil {
				return r
			}
			c.constraints = append(c.constraints, con)
		}
	}
	return nil
}

// extension returns the value of an extension, nil when absent. x509 refuses
// a certificate with one twice.
func extension(c *x509.Certificate, oid asn1.ObjectIdentifier) []byte {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return append([]byte{}, e.Value...)
		}
	}
	return nil
}

func describe(c *x509.Certificate, s Scope) Certificate {
	sum := sha256.Sum256(c.Raw)
	return Certificate{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16), SPC: s.SPCs,
		Scope: s.String(), NotBefore: c.NotBefore, NotAfter: c.NotAfter, Fingerprint: hex.EncodeToString(sum[:])}
}
