package stirshaken

import (
	"time"
)

// DatePolicy says what the Date header field must be (RFC 8224, section 6.2).
// iat must be fresh under each of them: a Date never rescues a stale iat.
type DatePolicy uint8

// The policies.
const (
	// DateIfPresent, the zero value, accepts a request without Date and refuses
	// one whose Date is stale.
	DateIfPresent DatePolicy = 0
	// DateRequired also refuses a request without Date.
	DateRequired DatePolicy = 1
	// DateIgnored does not look at Date: a fresh iat is enough.
	DateIgnored DatePolicy = 2
)

// CallerPolicy says which header field orig is compared with.
type CallerPolicy uint8

// The policies.
const (
	// CallerPAIThenFrom, the zero value, takes P-Asserted-Identity when it is
	// there and From otherwise (ATIS-1000074, section 5.3.1).
	CallerPAIThenFrom CallerPolicy = 0
	// CallerFrom takes From only (RFC 8224, section 4).
	CallerFrom CallerPolicy = 1
)

// CalledPolicy says which fields dest may match.
type CalledPolicy uint8

// The policies.
const (
	// CalledTo, the zero value, compares To only (RFC 8224, section 4).
	CalledTo CalledPolicy = 0
	// CalledToOrRequestURI also takes the Request-URI, for networks that
	// retarget without a div PASSporT.
	CalledToOrRequestURI CalledPolicy = 1
)

// Config is how a Verifier checks. The zero value is strict and trusts nobody,
// so that every call fails until Trust is set. It must not be changed once
// passed to NewVerifier.
type Config struct {
	Trust  *TrustList
	Home   Home
	Date   DatePolicy
	Caller CallerPolicy
	Called CalledPolicy
	// Freshness is how old iat may be. Zero means DefaultFreshness; negative is
	// an error. Freshness and Skew together must not pass five minutes.
	Freshness time.Duration
	// Skew is how far ahead iat may be. Zero means DefaultSkew; negative is an
	// error.
	Skew time.Duration
	// AcceptBaseline takes PASSporTs without a ppt, AcceptCompact those in
	// compact form. Neither ever attests anything.
	AcceptBaseline bool
	AcceptCompact  bool
	CRL            CRLPolicy
	CRLs           *CRLStore // nil holds no lists
	Fetch          FetchConfig
	// Marks remembers PASSporTs that were used; nil means NewMemoryMarks(0).
	Marks Marks
	// CacheEntries bounds the certificate cache. Zero means
	// DefaultCacheEntries; negative is an error.
	CacheEntries int
	// Observer is told of outcomes; nil tells nobody.
	Observer Observer
}

// Observer counts outcomes. Its methods are called on the path of each call
// and must not block; reasons are a closed set, fit for metrics labels.
type Observer interface {
	// Checked is called once for each Verify.
	Checked(status Status, reason Reason)
	// CacheLookup is called once for each certificate that is needed.
	CacheLookup(hit bool)
	// Fetched is called after each fetch, with how long it took.
	Fetched(reason Reason, took time.Duration)
}

// Request is what was received, each value without its header name. Values of
// the caller's are hostile; each is bounded when read.
type Request struct {
	Identity   []string // one for each Identity header field, in order
	From       string
	PAI        []string // P-Asserted-Identity
	To         string
	RequestURI string
	Date       string // "" when absent
	Privacy    string // Privacy header field, "" when absent
	// CallID and the From tag name the call for replay detection. An empty
	// CallID turns it off: there is no call to tell from another.
	CallID string
	// PAttestation is P-Attestation-Indicator (3GPP TS 24.229, section
	// 7.2.19): a trusted peer's attestation, "" when absent.
	PAttestation string
}

// Peer is who sent the request. The zero value is trusted with nothing.
type Peer struct {
	Name string // for people
	// TrustVerstat takes the peer's verstat as a verdict when there is no
	// Identity header field. Set it only for a peer that is known by mutual TLS
	// or by a private interface, never by a UDP source address.
	TrustVerstat bool
}
