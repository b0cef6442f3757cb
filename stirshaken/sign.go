package stirshaken

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence"
)

// SigningRequest is what an authentication service is asked to sign (RFC 8224,
// section 6.1). The zero value is refused.
type SigningRequest struct {
	PPT    string // "" means shaken
	Orig   Party
	Dest   []Party // at least one
	Attest ringfence.Attest
	OrigID string    // a UUID; "" makes a random one
	Iat    time.Time // zero means now; else it must be fresh
	Div    Party     // div only: who diverted the call
	Name   string    // rcd only: the nam claim
	CRN    string    // rcd and shaken: the call reason; "" leaves it out
}

// SigningRefusal is why something was not signed. The text says what to do.
type SigningRefusal string

// The refusals of the signer.
const (
	SignAttest    SigningRefusal = "attest must be A, B or C"
	SignOrig      SigningRefusal = "orig must be one canonical number (digits, * and #, no plus), or a URI for div and rcd"
	SignDest      SigningRefusal = "dest must be one to 64 canonical numbers or URIs"
	SignIat       SigningRefusal = "iat must lie within a minute of now"
	SignOrigID    SigningRefusal = "origid must be a UUID"
	SignPPT       SigningRefusal = "ppt must be shaken, div or rcd"
	SignDiv       SigningRefusal = "div must be one canonical number or URI"
	SignControl   SigningRefusal = "text must be UTF-8 without control bytes and of at most 256 bytes"
	SignScope     SigningRefusal = "the certificate does not cover the number"
	SignExpired   SigningRefusal = "the certificate is not valid now"
	SignNoKey     SigningRefusal = "no signing key is configured"
	SignInventory SigningRefusal = "attestation A needs a number that the inventory proves"
	SignClaims    SigningRefusal = "the certificate's claim constraints do not allow these claims"
	SignName      SigningRefusal = "an rcd PASSporT needs a name"
)

// ErrNoKey is returned by SetKey for a key and certificate that do not match.
var ErrNoKey = errors.New("stirshaken: key and certificate do not match")

// Inventory says whether a tenant may use a number, from a source and a date
// that can be named. An error means it could not be found out, which counts as
// no.
type Inventory interface {
	Proves(ctx context.Context, tenant ringfence.TenantID, tn ringfence.TN) (source string, since time.Time, ok bool, err error)
}

// signingKey is one key with its certificate; it never changes.
type signingKey struct {
	key    crypto.Signer
	leaf   *x509.Certificate
	scope  Scope
	con    []Constraints
	x5u    string
	shaken []byte // the encoded JOSE header of a shaken PASSporT and a dot
}

// Signer is an authentication service (RFC 8224, section 6.1). The zero value
// refuses to sign; SetKey gives it a key. It is safe for use by several
// goroutines.
type Signer struct {
	// Inventory proves numbers for attestation A in SignFor; nil proves none.
	Inventory Inventory
	key       atomic.Pointer[signingKey]
}

// SetKey sets key and certificate chain (PEM, leaf first), which x5u serves.
// It may be called again at any time to rotate; calls under way keep the key
// they began with. The key may live in hardware: only crypto.Signer is used.
func (s *Signer) SetKey(key crypto.Signer, bundle []byte, x5u string) error {
	certs, r := parseBundle(bundle, nil)
	if r != nil {
		return fmt.Errorf("stirshaken: certificate: %s", r)
	}
	if r := (FetchConfig{}).CheckX5U(x5u); r != nil {
		return fmt.Errorf("stirshaken: x5u: %s", r)
	}
	return s.setKey(key, certs[0], x5u)
}

// SetLabKey is SetKey for an x5u that only lab hosts serve, which other
// networks will refuse.
func (s *Signer) SetLabKey(key crypto.Signer, bundle []byte, x5u string) error {
	certs, r := parseBundle(bundle, nil)
	if r != nil {
		return fmt.Errorf("stirshaken: certificate: %s", r)
	}
	if !strings.HasPrefix(x5u, "http") || badByte(x5u) >= 0 || strings.ContainsAny(x5u, " \t<>\"") {
		return errors.New("stirshaken: x5u: not a URL")
	}
	return s.setKey(key, certs[0], x5u)
}

func (s *Signer) setKey(key crypto.Signer, leaf *x509.Certificate, x5u string) error {
	if r := checkLeaf(leaf); r != nil {
		return fmt.Errorf("stirshaken: certificate: %s", r)
	}
	if key == nil {
		return ErrNoKey
	}
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() || !pub.Equal(leaf.PublicKey) {
		return ErrNoKey
	}
	k := &signingKey{key: key, leaf: leaf, x5u: x5u}
	var r *Refusal
	if k.scope, r = ParseTNAuthList(extension(leaf, OIDTNAuthList)); r != nil {
		return fmt.Errorf("stirshaken: certificate: %s", r)
	}
	for _, ext := range leaf.Extensions {
		enhanced := ext.Id.Equal(OIDEnhancedConstraints)
		if !enhanced && !ext.Id.Equal(OIDClaimConstraints) {
			continue
		}
		con, r := ParseConstraints(ext.Value, enhanced)
		if r != nil {
			return fmt.Errorf("stirshaken: certificate: %s", r)
		}
		k.con = append(k.con, con)
	}
	k.shaken = append([]byte(encode64(joseHeader(PPTShaken, x5u))), '.')
	s.key.Store(k)
	return nil
}

// LoadKey reads a private key in PEM (PKCS #8 or SEC 1) and certificates from
// files and sets them.
func (s *Signer) LoadKey(keyPath, certPath, x5u string) error {
	key, bundle, err := readKeyPair(keyPath, certPath)
	if err != nil {
		return err
	}
	return s.SetKey(key, bundle, x5u)
}

// LoadLabKey is LoadKey for an x5u that only lab hosts serve.
func (s *Signer) LoadLabKey(keyPath, certPath, x5u string) error {
	key, bundle, err := readKeyPair(keyPath, certPath)
	if err != nil {
		return err
	}
	return s.SetLabKey(key, bundle, x5u)
}

func readKeyPair(keyPath, certPath string) (crypto.Signer, []byte, error) {
	b, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, nil, fmt.Errorf("stirshaken: key: %v", err)
	}
	key, err := ParseKey(b)
	if err != nil {
		return nil, nil, err
	}
	bundle, err := os.ReadFile(certPath)
	if err != nil {
		return nil, nil, fmt.Errorf("stirshaken: certificate: %v", err)
	}
	return key, bundle, nil
}

// ParseKey reads a P-256 private key in PEM, PKCS #8 or SEC 1.
func ParseKey(pemBytes []byte) (*ecdsa.PrivateKey, error) {
	for rest := pemBytes; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return nil, errors.New("stirshaken: key: no private key in the PEM")
		}
		var key any
		var err error
		switch b.Type {
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(b.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, errors.New("stirshaken: key: malformed")
		}
		ec, ok := key.(*ecdsa.PrivateKey)
		if !ok || ec.Curve != elliptic.P256() {
			return nil, errors.New("stirshaken: key: not a P-256 key")
		}
		return ec, nil
	}
}

// Signed is a finished Identity header field value.
type Signed struct {
	Identity string // token and parameters
	Token    string // the PASSporT alone
	OrigID   string
	Iat      time.Time
}

// SignFor signs a shaken PASSporT with the highest attestation that is true:
// A when the inventory proves the number for the tenant, B when the customer
// is known, else C. req.Attest, when set, only lowers it; asking for more than
// is true is refused.
func (s *Signer) SignFor(ctx context.Context, tenant ringfence.TenantID, customerKnown bool, req SigningRequest, now time.Time) (Signed, SigningRefusal, error) {
	best := ringfence.AttestGateway
	if customerKnown {
		best = ringfence.AttestPartial
	}
	if customerKnown && s.Proven(ctx, tenant, req.Orig.TN, now) {
		best = ringfence.AttestFull
	}
	switch {
	case req.Attest == ringfence.AttestNone:
		req.Attest = best
	case req.Attest < best: // "A" < "B" < "C"
		return Signed{}, SignInventory, nil
	}
	return s.Sign(req, now)
}

// Proven reports whether the inventory proves, with a source and a date that
// has come, that the tenant may use the number.
func (s *Signer) Proven(ctx context.Context, tenant ringfence.TenantID, tn ringfence.TN, now time.Time) bool {
	if s.Inventory == nil || tn == "" {
		return false
	}
	source, since, ok, err := s.Inventory.Proves(ctx, tenant, tn)
	return err == nil && ok && source != "" && !since.IsZero() && !since.After(now)
}

// Sign signs what it is asked to, after checking that it may. A refusal is a
// result; the error is for a key that does not work. The caller answers for
// the attestation: SignFor asks an inventory.
func (s *Signer) Sign(req SigningRequest, now time.Time) (Signed, SigningRefusal, error) {
	k := s.key.Load()
	if k == nil {
		return Signed{}, SignNoKey, nil
	}
	if req.PPT == "" {
		req.PPT = PPTShaken
	}
	claims, refusal := req.claims(now)
	if refusal != "" {
		return Signed{}, refusal, nil
	}
	if now.Before(k.leaf.NotBefore) || now.After(k.leaf.NotAfter) {
		return Signed{}, SignExpired, nil
	}
	who := req.Orig
	if req.PPT == PPTDiv {
		who = req.Div
	}
	if _, ok := k.scope.Covers(who.TN); !ok && (who.TN != "" || len(k.scope.SPCs) == 0) {
		return Signed{}, SignScope, nil
	}
	token := make([]byte, 0, 768)
	if req.PPT == PPTShaken {
		token = append(token, k.shaken...)
	} else {
		token = append(rawURL.AppendEncode(token, joseHeader(req.PPT, k.x5u)), '.')
	}
	body := claims.bytes()
	if len(k.con) > 0 {
		var p PASSporT
		p.claims, _ = parseJSON(string(body), nil)
		for _, con := range k.con {
			if con.Check(&p) != nil {
				return Signed{}, SignClaims, nil
			}
		}
	}
	token = rawURL.AppendEncode(token, body)
	digest := sha256.Sum256(token)
	sig, err := k.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return Signed{}, "", fmt.Errorf("stirshaken: sign: %v", err)
	}
	var raw [64]byte
	if !rawSignature(&raw, sig) {
		return Signed{}, "", errors.New("stirshaken: sign: the key returned a malformed signature")
	}
	token = append(token, '.')
	token = rawURL.AppendEncode(token, raw[:])
	n := len(token)
	token = append(token, ";info=<"...)
	token = append(token, k.x5u...)
	token = append(token, ">;alg=ES256;ppt=\""...)
	token = append(token, req.PPT...)
	token = append(token, '"')
	value := string(token)
	return Signed{Identity: value, Token: value[:n], OrigID: claims.origid, Iat: time.Unix(claims.iat, 0)}, "", nil
}

// claims checks a request and makes its claim set.
func (req *SigningRequest) claims(now time.Time) (claimSet, SigningRefusal) {
	var c claimSet
	if !known(req.PPT) {
		return c, SignPPT
	}
	shaken := req.PPT == PPTShaken
	if !validParty(req.Orig) || shaken && req.Orig.TN == "" {
		return c, SignOrig
	}
	if len(req.Dest) == 0 || len(req.Dest) > MaxDestinations {
		return c, SignDest
	}
	for _, d := range req.Dest {
		if !validParty(d) {
			return c, SignDest
		}
	}
	c = claimSet{orig: req.Orig, dest: req.Dest, crn: req.CRN}
	iat := req.Iat
	if iat.IsZero() {
		iat = now
	}
	if iat.Before(now.Add(-DefaultFreshness)) || iat.After(now.Add(DefaultSkew)) {
		return c, SignIat
	}
	c.iat = iat.Unix()
	if shaken {
		switch req.Attest {
		case ringfence.AttestFull, ringfence.AttestPartial, ringfence.AttestGateway:
			c.attest = req.Attest
		default:
			return c, SignAttest
		}
		if c.origid = req.OrigID; c.origid == "" {
			c.origid = newUUID()
		} else if !validUUID(c.origid) {
			return c, SignOrigID
		}
	}
	if req.PPT == PPTDiv {
		if c.div = req.Div; !validParty(c.div) {
			return c, SignDiv
		}
	}
	if req.PPT == PPTRCD {
		if c.name = req.Name; c.name == "" {
			return c, SignName
		}
	}
	for _, text := range []string{req.Name, req.CRN} {
		if len(text) > 256 || !plainText(text) {
			return c, SignControl
		}
	}
	return c, ""
}

func plainText(s string) bool {
	if strings.ToValidUTF8(s, "\x00") != s {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return false
		}
	}
	return true
}

func validParty(p Party) bool {
	if p.TN != "" {
		return p.URI == "" && canonicalTN(string(p.TN))
	}
	if p.URI == "" {
		return false
	}
	_, ok := normalURI(p.URI)
	return ok
}

// rawSignature turns an ASN.1 signature into r and s of 32 bytes each.
func rawSignature(out *[64]byte, sig []byte) bool {
	seq, ok := der(sig).only(tagSequence)
	if !ok {
		return false
	}
	for i := range 2 {
		tag, n, ok := seq.next()
		if !ok || tag != tagInteger {
			return false
		}
		n = bytes.TrimLeft(n, "\x00")
		if len(n) == 0 || len(n) > 32 {
			return false
		}
		copy(out[i*32+32-len(n):(i+1)*32], n)
	}
	return len(seq) == 0
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[:], b[:4])
	hex.Encode(out[9:], b[4:6])
	hex.Encode(out[14:], b[6:8])
	hex.Encode(out[19:], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// joseHeader is the protected header with its members in the order of RFC
// 8225, section 9.
func joseHeader(ppt, x5u string) []byte {
	b := []byte(`{"alg":"ES256"`)
	if ppt != "" {
		b = appendJSONString(append(b, `,"ppt":`...), ppt)
	}
	b = append(b, `,"typ":"passport","x5u":`...)
	return append(appendJSONString(b, x5u), '}')
}

// claimSet is what a PASSporT of ours says.
type claimSet struct {
	attest    ringfence.Attest
	crn, name string
	dest      []Party
	div, orig Party
	iat       int64
	origid    string
}

// bytes writes the claims in the order of their names, without white space
// (RFC 8225, section 9).
func (c claimSet) bytes() []byte {
	b := make([]byte, 0, 256)
	b = append(b, '{')
	if c.attest != "" {
		b = append(b, `"attest":"`...)
		b = append(b, c.attest...)
		b = append(b, `",`...)
	}
	if c.crn != "" {
		b = append(appendJSONString(append(b, `"crn":`...), c.crn), ',')
	}
	b = appendDest(append(b, `"dest":`...), c.dest)
	if !c.div.Zero() {
		b = appendParty(append(b, `,"div":`...), c.div)
	}
	b = strconv.AppendInt(append(b, `,"iat":`...), c.iat, 10)
	b = appendParty(append(b, `,"orig":`...), c.orig)
	if c.origid != "" {
		b = appendJSONString(append(b, `,"origid":`...), c.origid)
	}
	if c.name != "" {
		b = append(appendJSONString(append(b, `,"rcd":{"nam":`...), c.name), '}')
	}
	return append(b, '}')
}

func appendParty(b []byte, p Party) []byte {
	if p.TN != "" {
		return append(appendJSONString(append(b, `{"tn":`...), string(p.TN)), '}')
	}
	return append(appendJSONString(append(b, `{"uri":`...), p.URI), '}')
}

func appendDest(b []byte, list []Party) []byte {
	b = append(b, '{')
	first := true
	for _, kind := range [...]string{`"tn":[`, `"uri":[`} {
		n := 0
		for _, p := range list {
			text := p.URI
			if p.TN != "" {
				text = string(p.TN)
			}
			if (p.TN != "") != (kind[1] == 't') {
				continue
			}
			switch {
			case n > 0:
				b = append(b, ',')
			case first:
				b = append(b, kind...)
			default:
				b = append(append(b, ','), kind...)
			}
			b = appendJSONString(b, text)
			n++
		}
		if n > 0 {
			b = append(b, ']')
			first = false
		}
	}
	return append(b, '}')
}
