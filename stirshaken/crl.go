package stirshaken

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strconv"
	"sync"
	"time"
)

// CRLPolicy says what happens when no usable revocation list covers a
// certificate. The zero value goes on (soft fail), as most verification
// services do; a certificate that a list names is always refused.
type CRLPolicy uint8

// The policies.
const (
	// CRLSoft accepts a certificate that no current list covers.
	CRLSoft CRLPolicy = 0
	// CRLHard refuses it.
	CRLHard CRLPolicy = 1
)

var (
	oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidCertificateIssuer        = asn1.ObjectIdentifier{2, 5, 29, 29}
	oidDeltaCRL                 = asn1.ObjectIdentifier{2, 5, 29, 27}
)

// CRL is a parsed and verified revocation list (RFC 5280, section 5), direct
// or indirect. It never changes.
type CRL struct {
	issuer   []byte // raw name of who signed it
	indirect bool
	// revoked maps the certificate issuer's raw name and the serial number to
	// the date of revocation.
	revoked        map[string]time.Time
	issuers        map[string]bool // issuers with an entry, for indirect lists
	thisUp, nextUp time.Time
	Entries        int    // revoked certificates
	Number         string // CRL number, decimal; "" when absent
	IssuerName     string
	NextUpdate     time.Time
}

// ParseCRL reads a list in DER and checks its signature, dates and form.
// signers are those who may have signed it: authorities of the trust list or
// their intermediates, or the STI-PA's own certificate for its indirect list.
func ParseCRL(b []byte, signers []*x509.Certificate, now time.Time) (*CRL, *Refusal) {
	if len(b) > MaxCRLBytes {
		return nil, refuse(ReasonCRLForm, "too long")
	}
	list, err := x509.ParseRevocationList(b)
	if err != nil {
		return nil, refuse(ReasonCRLForm, clip(err.Error()))
	}
	if len(list.RevokedCertificateEntries) > MaxCRLEntries {
		return nil, refuse(ReasonCRLForm, "too many entries")
	}
	c := &CRL{issuer: list.RawIssuer, revoked: map[string]time.Time{}, issuers: map[string]bool{}, thisUp: list.ThisUpdate,
		nextUp: list.NextUpdate, NextUpdate: list.NextUpdate, Entries: len(list.RevokedCertificateEntries), IssuerName: list.Issuer.String()}
	if list.Number != nil {
		c.Number = list.Number.String()
	}
	if r := c.signature(list, signers); r != nil {
		return nil, r
	}
	if r := c.current(now); r != nil {
		return nil, r
	}
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(oidDeltaCRL):
			return nil, refuse(ReasonCRLForm, "a delta list")
		case e.Id.Equal(oidIssuingDistributionPoint):
			if c.indirect, err = indirect(e.Value); err != nil {
				return nil, refuse(ReasonCRLForm, "issuing distribution point")
			}
		case e.Critical:
			return nil, refuse(ReasonCRLForm, "critical extension "+e.Id.String())
		}
	}
	return c, c.entries(list)
}

func (c *CRL) signature(list *x509.RevocationList, signers []*x509.Certificate) *Refusal {
	named := false
	for _, s := range signers {
		if !bytes.Equal(s.RawSubject, list.RawIssuer) {
			continue
		}
		named = true
		if s.KeyUsage != 0 && s.KeyUsage&x509.KeyUsageCRLSign == 0 {
			continue
		}
		// CheckSignature, not CheckSignatureFrom: a list's signer need not be an
		// authority (RFC 5280, section 6.3.3, indirect lists).
		if s.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature) == nil {
			return nil
		}
	}
	if !named {
		return refuse(ReasonCRLSignature, "signed by somebody unknown")
	}
	return refuse(ReasonCRLSignature, "")
}

func (c *CRL) current(now time.Time) *Refusal {
	if now.Before(c.thisUp) {
		return refuse(ReasonCRLStale, "its date is in the future")
	}
	if c.nextUp.IsZero() {
		return refuse(ReasonCRLStale, "it names no next update")
	}
	if now.After(c.nextUp) {
		return refuse(ReasonCRLStale, "next update was due "+c.nextUp.UTC().Format(time.RFC3339))
	}
	return nil
}

// entries fills the table. In an indirect list an entry's certificateIssuer
// holds for the following entries too (RFC 5280, section 5.3.3).
func (c *CRL) entries(list *x509.RevocationList) *Refusal {
	issuer := string(c.issuer)
	for i, e := range list.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			switch {
			case x.Id.Equal(oidCertificateIssuer):
				name, ok := directoryName(x.Value)
				if !ok || !c.indirect {
					return refuse(ReasonCRLForm, "certificate issuer of entry "+strconv.Itoa(i))
				}
				issuer = string(name)
			case x.Critical:
				return refuse(ReasonCRLForm, "critical extension in entry "+strconv.Itoa(i))
			}
		}
		c.issuers[issuer] = true
		c.revoked[crlKey(issuer, e.SerialNumber)] = e.RevocationTime
	}
	return nil
}

func crlKey(issuer string, serial *big.Int) string { return serial.Text(16) + "\x00" + issuer }

// indirect reads the IssuingDistributionPoint: [4] is indirectCRL. Lists for
// some reasons or kinds only are refused, since they cannot clear anybody.
func indirect(b []byte) (bool, error) {
	seq, ok := der(b).only(tagSequence)
	if !ok {
		return false, asn1.SyntaxError{Msg: "not a sequence"}
	}
	is := false
	for len(seq) > 0 {
		tag, body, ok := seq.next()
		if !ok {
			return false, asn1.SyntaxError{Msg: "not DER"}
		}
		switch tag {
		case 0xa0: // distributionPoint
		case 0x84: // indirectCRL
			is = len(body) == 1 && body[0] == 0xff
		default:
			return false, asn1.StructuralError{Msg: "partial list"}
		}
	}
	return is, nil
}

// directoryName reads GeneralNames with one directoryName, whose raw DER is
// compared with a certificate's raw issuer.
func directoryName(b []byte) ([]byte, bool) {
	seq, ok := der(b).only(tagSequence)
	if !ok {
		return nil, false
	}
	name, ok := seq.only(0xa4)
	if !ok {
		return nil, false
	}
	rest := name
	if tag, _, ok := rest.next(); !ok || tag != tagSequence || len(rest) != 0 {
		return nil, false
	}
	return name, true
}

// covers reports whether the list speaks for this issuer's certificates.
func (c *CRL) covers(issuer []byte) bool { return c.indirect || bytes.Equal(c.issuer, issuer) }

// CRLStore holds the current lists. The zero value holds none. It is safe for
// use by several goroutines.
type CRLStore struct {
	mu    sync.RWMutex
	lists []*CRL
	gen   uint64
}

// Put adds a list, in place of an older one by the same issuer. A list older
// than the one that is held is not taken; taken says so.
func (s *CRLStore) Put(c *CRL) (taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, old := range s.lists {
		if bytes.Equal(old.issuer, c.issuer) && old.indirect == c.indirect {
			if c.thisUp.Before(old.thisUp) {
				return false
			}
			s.lists[i] = c
			s.gen++
			return true
		}
	}
	if len(s.lists) >= 256 {
		return false
	}
	s.lists = append(s.lists, c)
	s.gen++
	return true
}

func (s *CRLStore) generation() uint64 {
	if s == nil {
		return 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.gen
}

// check looks every certificate of a path but the root up in the lists.
func (s *CRLStore) check(path []*x509.Certificate, policy CRLPolicy, now time.Time) *Refusal {
	var lists []*CRL
	if s != nil {
		s.mu.RLock()
		lists = append(lists, s.lists...)
		s.mu.RUnlock()
	}
	for i, cert := range path[:len(path)-1] {
		missing, covered := refuse(ReasonCRLMissing, ""), false
		for _, c := range lists {
			if !c.covers(cert.RawIssuer) {
				continue
			}
			// A revocation stands, however old the list that says so.
			if at, ok := c.revoked[crlKey(string(cert.RawIssuer), cert.SerialNumber)]; ok {
				what := "on "
				if i > 0 {
					what = "an intermediate, on "
				}
				return refuse(ReasonRevoked, what+at.UTC().Format(time.RFC3339))
			}
			if r := c.current(now); r == nil {
				covered = true
			} else {
				missing = r
			}
		}
		if !covered && policy != CRLSoft {
			return missing
		}
	}
	return nil
}
