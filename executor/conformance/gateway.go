package conformance

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
)

// Gateway is the ringfence that the kit plays: the part of its API that an
// executor uses. It is an http.Handler; New starts nothing.
type Gateway struct {
	target *Target
	signer signer
	mux    *http.ServeMux
	bell   chan struct{} // holds a value after something happened

	mu       sync.Mutex // guards what follows
	releases map[ringfence.ReleaseID]*release
	order    []ringfence.ReleaseID
	proofs   map[string]bool // jti of DPoP proofs
	key      string          // thumbprint of the executor's key
	faults   []string        // requests that a real ringfence would not have taken
}

func newGateway(t *Target) *Gateway {
	g := &Gateway{target: t, signer: newSigner(), mux: http.NewServeMux(), bell: make(chan struct{}, 1), key: t.Key,
		releases: map[ringfence.ReleaseID]*release{}, proofs: map[string]bool{}}
	g.mux.HandleFunc("GET /.well-known/jwks.json", g.jwks)
	g.mux.HandleFunc("GET /v1/releases", g.guarded(g.list))
	g.mux.HandleFunc("GET /v1/releases/{id}", g.guarded(g.show))
	g.mux.HandleFunc("POST /v1/releases/{id}/permit", g.guarded(g.permit))
	g.mux.HandleFunc("POST /v1/permits/redeem", g.guarded(g.redeem))
	g.mux.HandleFunc("POST /v1/permits/{id}/report", g.guarded(g.report))
	return g
}

// ServeHTTP answers as ringfence does.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

func (g *Gateway) ring() {
	select {
	case g.bell <- struct{}{}:
	default:
	}
}

func (g *Gateway) fault(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.faults) < 20 {
		g.faults = append(g.faults, fmt.Sprintf(format, args...))
	}
}

func (g *Gateway) offer(r *release) {
	r.mu.Lock()
	r.offered = true
	r.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.releases[r.id] = r
	g.order = append(g.order, r.id)
}

func (g *Gateway) withdraw(r *release) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offered = false
}

func (g *Gateway) find(id string) *release {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.releases[ringfence.ReleaseID(id)]
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an executor that has gone is told nothing
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "urn:ringfence:problem:" + kind, "title": kind, "status": status})
}

// cut ends the connection without an answer, as a network does.
func cut(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

func (g *Gateway) jwks(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{g.signer.public()}})
}

// guarded admits the executor's own credential with its key, as ringfence does.
func (g *Gateway) guarded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if says := g.identify(r); says != "" {
			g.fault("%s %s: %s", r.Method, r.URL.Path, says)
			refuse(w, http.StatusUnauthorized, "unauthenticated")
			return
		}
		if key := r.Header.Get("Idempotency-Key"); r.Method == http.MethodPost && (len(key) < 8 || len(key) > 128) {
			g.fault("%s %s: no Idempotency-Key of 8 to 128 characters", r.Method, r.URL.Path)
			refuse(w, http.StatusBadRequest, "invalid-body")
			return
		}
		defer g.ring()
		h(w, r)
	}
}

// identify returns why the request is not the executor's, "" when it is.
func (g *Gateway) identify(r *http.Request) string {
	scheme, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if subtle.ConstantTimeCompare([]byte(credential), g.target.Credential) != 1 {
		return "not the executor's credential"
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return ""
	}
	proofs := r.Header.Values("DPoP")
	if !strings.EqualFold(scheme, "DPoP") || len(proofs) != 1 {
		return "no proof of possession: a DPoP header (RFC 9449) or a client certificate"
	}
	return g.prove(r, credential, proofs[0])
}

// prove checks a DPoP proof (RFC 9449, section 4.3).
func (g *Gateway) prove(r *http.Request, credential, proof string) string {
	signed, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
	if err != nil || len(signed.Signatures) != 1 {
		return "the DPoP proof is no compact JWS"
	}
	head := signed.Signatures[0].Protected
	if head.ExtraHeaders[jose.HeaderType] != "dpop+jwt" || head.JSONWebKey == nil || !head.JSONWebKey.IsPublic() {
		return "the DPoP proof has no public key in its header, or another type"
	}
	body, err := signed.Verify(head.JSONWebKey)
	if err != nil {
		return "the DPoP proof does not verify"
	}
	var c struct {
		ID, Method, URL, Hash string
		IssuedAt              int64
	}
	var wire map[string]any
	if json.Unmarshal(body, &wire) != nil {
		return "the DPoP proof is no JSON"
	}
	c.ID, _ = wire["jti"].(string)
	c.Method, _ = wire["htm"].(string)
	c.URL, _ = wire["htu"].(string)
	c.Hash, _ = wire["ath"].(string)
	if at, ok := wire["iat"].(float64); ok {
		c.IssuedAt = int64(at)
	}
	u, err := url.Parse(c.URL)
	hash := sha256.Sum256([]byte(credential))
	thumb, thumbErr := head.JSONWebKey.Thumbprint(crypto.SHA256)
	switch age := time.Since(time.Unix(c.IssuedAt, 0)); {
	case err != nil || c.Method != r.Method || u.Host != r.Host || u.Path != r.URL.Path:
		return "the DPoP proof is for another request"
	case age > time.Minute || age < -time.Minute:
		return "the DPoP proof is of another time"
	case c.Hash != base64.RawURLEncoding.EncodeToString(hash[:]):
		return "the DPoP proof is for another credential"
	case thumbErr != nil:
		return "the DPoP proof's key has no thumbprint"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	have := base64.RawURLEncoding.EncodeToString(thumb)
	if g.key == "" {
		g.key = have
	}
	if c.ID == "" || g.proofs[c.ID] {
		return "the DPoP proof was used before"
	}
	g.proofs[c.ID] = true
	if g.key != have {
		return "the DPoP proof is by another key"
	}
	return ""
}

type listed struct {
	ID     ringfence.ReleaseID `json:"id"`
	State  string              `json:"state"`
	Type   string              `json:"type"`
	Digest ringfence.Digest    `json:"digest"`
	Fields map[string]string   `json:"fields,omitempty"`
}

func (r *release) view() listed {
	return listed{ID: r.id, State: "ready", Type: r.typ, Digest: r.digest, Fields: r.listed}
}

func (g *Gateway) list(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	ids := slices.Clone(g.order)
	g.mu.Unlock()
	out := []listed{}
	for _, id := range ids {
		r := g.find(string(id))
		r.mu.Lock()
		if r.offered {
			r.lists++
			out = append(out, r.view())
		}
		r.mu.Unlock()
	}
	answer(w, http.StatusOK, map[string]any{"releases": out})
}

func (g *Gateway) show(w http.ResponseWriter, req *http.Request) {
	if r := g.find(req.PathValue("id")); r != nil {
		answer(w, http.StatusOK, r.view())
		return
	}
	refuse(w, http.StatusNotFound, "not-found")
}

func (g *Gateway) permit(w http.ResponseWriter, req *http.Request) {
	r := g.find(req.PathValue("id"))
	if r == nil {
		refuse(w, http.StatusNotFound, "not-found")
		return
	}
	r.mu.Lock()
	r.pulls++
	offered := r.offered
	r.mu.Unlock()
	switch {
	case r.pull != nil && r.pull(w):
	case !offered:
		refuse(w, http.StatusConflict, "conflict")
	default:
		answer(w, http.StatusOK, map[string]string{"permit": r.token(g.signer)})
	}
}

// byToken finds the release that a permit was given out for.
func (g *Gateway) byToken(token string) *release {
	part := strings.Split(token, ".")
	if len(part) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(part[1])
	var c struct {
		ID ringfence.PermitID `json:"jti"`
	}
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return nil
	}
	return g.byPermit(c.ID)
}

func (g *Gateway) byPermit(id ringfence.PermitID) *release {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.releases {
		if r.permit == id {
			return r
		}
	}
	return nil
}

func (g *Gateway) redeem(w http.ResponseWriter, req *http.Request) {
	var in struct{ Permit string }
	raw, err := io.ReadAll(io.LimitReader(req.Body, 64<<10))
	if err != nil || json.Unmarshal(raw, &in) != nil {
		refuse(w, http.StatusBadRequest, "invalid-body")
		return
	}
	r := g.byToken(in.Permit)
	if r == nil {
		refuse(w, http.StatusForbidden, "forbidden")
		return
	}
	r.mu.Lock()
	first := len(r.redeems) == 0
	look := r.lookAhead
	r.redeems = append(r.redeems, req.Header.Get("Idempotency-Key"))
	n := len(r.redeems)
	same := r.redeems[0] == r.redeems[n-1]
	spent := r.redeemed
	r.mu.Unlock()
	if first && look != nil && look() {
		r.mu.Lock()
		r.early = true
		r.mu.Unlock()
	}
	if r.redeem != nil && r.redeem(w, n) {
		return
	}
	if spent && !same {
		refuse(w, http.StatusConflict, "conflict")
		return
	}
	r.mu.Lock()
	r.redeemed, r.offered = true, false
	r.mu.Unlock()
	answer(w, http.StatusOK, r.redemption())
}

// redemption is the answer to a redemption as the case wants it.
func (r *release) redemption() map[string]any {
	if r.body != nil {
		return r.body()
	}
	return map[string]any{"permit": r.permit, "release": r.id, "type": r.typ, "canonical": r.canonical, "digest": r.digest, "at": time.Now().UTC()}
}

func (g *Gateway) report(w http.ResponseWriter, req *http.Request) {
	var in struct{ Outcome executor.Outcome }
	raw, err := io.ReadAll(io.LimitReader(req.Body, 64<<10))
	r := g.byPermit(ringfence.PermitID(req.PathValue("id")))
	if err != nil || json.Unmarshal(raw, &in) != nil || r == nil {
		refuse(w, http.StatusNotFound, "not-found")
		return
	}
	r.mu.Lock()
	r.reports = append(r.reports, in.Outcome)
	n := len(r.reports)
	r.mu.Unlock()
	if r.report != nil && r.report(w, n) {
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
