package web

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence/web/problem"
)

const (
	// proofLife is how far the time of a proof may be from ours.
	proofLife = 60 * time.Second
	// onceWait is how long the other nodes' memory may take.
	onceWait = 2 * time.Second
	// maxProofBytes bounds a proof.
	maxProofBytes = 4 << 10
)

// errNoProof answers a credential that came without its holder's own key: a
// stolen credential alone is worth nothing to whoever must prove possession.
var errNoProof = problem.New(problem.Unauthenticated, "The credential needs proof of possession: a DPoP header (RFC 9449) or the registered client certificate.")

// proofs checks that whoever uses a credential holds its key: DPoP (RFC 9449)
// or a client certificate (RFC 8705). It remembers proofs for as long as they
// could be replayed; the zero value is ready.
type proofs struct {
	// elsewhere knows what other nodes have seen; nil: there are none.
	elsewhere Once
	// names are the hosts under which we are reached; none takes the request's
	// word for it.
	names []string

	mu   sync.Mutex
	seen map[string]time.Time // guarded by mu: hash of key and jti -> until when
}

// Once remembers ids for several nodes. It is safe for concurrent use.
type Once interface {
	// First notes an id, at least until then, and reports whether it is new. An
	// error means that it could not be found out, and so no.
	First(ctx context.Context, id string, now, until time.Time) (bool, error)
}

// proofClaims is the body of a DPoP proof (RFC 9449, section 4.2).
type proofClaims struct {
	ID       string `json:"jti"`
	Method   string `json:"htm"`
	URL      string `json:"htu"`
	IssuedAt int64  `json:"iat"`
	Hash     string `json:"ath"`
}

// holds reports whether the request proves possession of the account's key.
func (ps *proofs) holds(r *http.Request, c Client, credential string, now time.Time) bool {
	if c.Certificate != "" && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		return base64.RawURLEncoding.EncodeToString(sum[:]) == c.Certificate
	}
	values := r.Header.Values("DPoP")
	if c.Key == "" || len(values) != 1 || len(values[0]) > maxProofBytes {
		return false
	}
	// RFC 9449, section 4.3: the steps, in order.
	signed, err := jose.ParseSignedCompact(values[0], []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
	if err != nil || len(signed.Signatures) != 1 {
		return false
	}
	head := signed.Signatures[0].Protected
	if head.ExtraHeaders[jose.HeaderType] != "dpop+jwt" || head.JSONWebKey == nil || !head.JSONWebKey.IsPublic() {
		return false
	}
	body, err := signed.Verify(head.JSONWebKey)
	if err != nil {
		return false
	}
	thumb, err := head.JSONWebKey.Thumbprint(crypto.SHA256)
	if err != nil || base64.RawURLEncoding.EncodeToString(thumb) != c.Key {
		return false
	}
	var claims proofClaims
	if json.Unmarshal(body, &claims) != nil {
		return false
	}
	at, err := url.Parse(claims.URL)
	if err != nil || claims.Method != r.Method || !ps.here(at.Host, r) || at.Path != r.URL.Path {
		return false
	}
	if age := now.Sub(time.Unix(claims.IssuedAt, 0)); age > proofLife || age < -proofLife {
		return false
	}
	want := sha256.Sum256([]byte(credential))
	if claims.Hash != base64.RawURLEncoding.EncodeToString(want[:]) {
		return false
	}
	return claims.ID != "" && ps.first(r.Context(), hashSecret(c.ID+"\x00"+claims.ID), now)
}

// here reports whether a proof was made for this server: under a name of ours, or
// the address that was connected to. The Host field alone says nothing: whoever
// got a proof that was made for them would write their own name into it.
func (ps *proofs) here(host string, r *http.Request) bool {
	if host != r.Host {
		return false
	}
	if len(ps.names) == 0 || slices.Contains(ps.names, host) {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	name, port, err := net.SplitHostPort(host)
	if !ok || err != nil || port != strconv.Itoa(local.Port) {
		return false
	}
	return name == "localhost" && local.IP.IsLoopback() || local.IP.Equal(net.ParseIP(name))
}

// names are the hosts under which the staff listener is reached.
func (c Config) names() []string {
	names := slices.Collect(maps.Keys(c.Hosts))
	if c.StaffURL != "" {
		names = append(names, hostOf(c.StaffURL))
	}
	return names
}

// first notes the id of a proof and reports whether no node has seen it.
func (ps *proofs) first(ctx context.Context, id string, now time.Time) bool {
	if !ps.firstHere(id, now) {
		return false
	}
	if ps.elsewhere == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, onceWait)
	defer cancel()
	fresh, err := ps.elsewhere.First(ctx, id, now, now.Add(2*proofLife))
	return err == nil && fresh
}

// firstHere is first on this node.
func (ps *proofs) firstHere(id string, now time.Time) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.seen == nil {
		ps.seen = map[string]time.Time{}
	}
	if len(ps.seen) >= maxKnown {
		for old, until := range ps.seen {
			if now.After(until) {
				delete(ps.seen, old)
			}
		}
	}
	if _, again := ps.seen[id]; again || len(ps.seen) >= 10*maxKnown {
		return false // in a flood new proofs wait rather than old ones pass again
	}
	ps.seen[id] = now.Add(2 * proofLife)
	return true
}
