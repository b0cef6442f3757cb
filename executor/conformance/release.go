package conformance

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/gowebpki/jcs"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

// release is one release of the fake gateway, and all that an executor asked
// about it. A case changes what is said of it before it is offered.
type release struct {
	id        ringfence.ReleaseID
	permit    ringfence.PermitID
	typ       string
	fields    map[string]string
	listed    map[string]string // fields that the list shows; nil = none
	canonical string
	digest    ringfence.Digest

	claims map[string]any                 // of the permit
	header map[jose.HeaderKey]any         // beside alg and kid
	sign   func(claims []byte) string     // nil = the gateway's key
	pull   func(http.ResponseWriter) bool // answers instead of the permit
	redeem func(w http.ResponseWriter, n int) bool
	report func(w http.ResponseWriter, n int) bool
	body   func() map[string]any // of the redemption

	mu        sync.Mutex // guards what follows
	offered   bool
	lists     int // how often it was listed
	pulls     int
	redeems   []string // idempotency keys
	wrong     string   // a redemption that was no redemption of this permit
	reports   []executor.Outcome
	redeemed  bool                // the gateway counts it as redeemed
	early     bool                // it was done before it was redeemed
	lookAhead func() (acted bool) // reads the journal, before the redemption is answered
}

func newRelease(t *Target, fields map[string]string) *release {
	r := &release{id: ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease), permit: ringfence.NewID[ringfence.PermitID](ringfence.PrefixPermit),
		typ: t.Type, fields: maps.Clone(fields)}
	r.canonical, r.digest = canonical(t.Tenant, r.id, r.typ, r.fields)
	now := time.Now()
	r.claims = map[string]any{"iss": t.Issuer, "aud": t.Name, "jti": r.permit, "tenant": t.Tenant, "sub": r.id, "action": r.typ,
		"digest": r.digest, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "ledger_index": 0, "ledger_head": ""}
	return r
}

// canonical is the canonical form of an action and its digest.
func canonical(tenant ringfence.TenantID, id ringfence.ReleaseID, typ string, fields map[string]string) (string, ringfence.Digest) {
	var nonce [16]byte
	rand.Read(nonce[:])
	plain, err := json.Marshal(map[string]any{"v": 1, "tenant": tenant, "release": id, "nonce": hex.EncodeToString(nonce[:]),
		"type": typ, "subject": ringfence.NewID[ringfence.SubjectID](ringfence.PrefixSubject), "fields": fields})
	if err != nil {
		panic("conformance: " + err.Error()) // strings only
	}
	text, err := jcs.Transform(plain)
	if err != nil {
		panic("conformance: " + err.Error()) // made above
	}
	return string(text), digestOf(string(text))
}

func digestOf(canonical string) ringfence.Digest {
	return sha256.Sum256([]byte("ringfence/action/v1\x00" + canonical))
}

// signer is the key of permits.
type signer struct {
	key ed25519.PrivateKey
	kid string
}

func newSigner() signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic("conformance: " + err.Error()) // the system has no randomness
	}
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		panic("conformance: " + err.Error())
	}
	return signer{key: key, kid: base64.RawURLEncoding.EncodeToString(sum)}
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: string(jose.EdDSA), Use: "sig"}
}

// jws signs claims under headers; typ may be replaced.
func (s signer) jws(claims []byte, headers map[jose.HeaderKey]any) string {
	return signWith(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: s.key, KeyID: s.kid}}, claims, headers)
}

func signWith(key jose.SigningKey, claims []byte, headers map[jose.HeaderKey]any) string {
	o := (&jose.SignerOptions{}).WithType("ringfence-permit+jwt")
	for name, value := range headers {
		o = o.WithHeader(name, value)
	}
	sg, err := jose.NewSigner(key, o)
	if err != nil {
		panic("conformance: " + err.Error()) // keys of our own
	}
	signed, err := sg.Sign(claims)
	if err != nil {
		panic("conformance: " + err.Error())
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic("conformance: " + err.Error())
	}
	return text
}

// token makes the permit as the case wants it.
func (r *release) token(s signer) string {
	raw, err := json.Marshal(r.claims)
	if err != nil {
		panic("conformance: " + err.Error()) // values of our own
	}
	if r.sign != nil {
		return r.sign(raw)
	}
	return s.jws(raw, r.header)
}

// seen is what was asked about a release so far.
type seen struct {
	lists, pulls int
	redeems      []string
	wrong        string
	reports      []executor.Outcome
	early        bool
}

func (r *release) seen() seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return seen{lists: r.lists, pulls: r.pulls, redeems: append([]string(nil), r.redeems...), wrong: r.wrong,
		reports: append([]executor.Outcome(nil), r.reports...), early: r.early}
}
