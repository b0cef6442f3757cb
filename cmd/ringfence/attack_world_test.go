package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/web"
)

// battlefield is a running ringfence, attacked from outside through its doors.
// Its policy has one action that needs no proof, so that there are permits to
// steal.
type battlefield struct {
	*drillWorld
	t          *testing.T
	bank       party // the executor, who also opens
	mirror     party // another executor
	opener     party // a service account that opens actions
	stranger   party // an account of another tenant, an executor of the same name
	subject    ringfence.SubjectID
	from       atomic.Int32 // the last source address used
	staff      string
	public     string
	newsletter int
}

// party is somebody with a credential and a key.
type party struct {
	credential string
	key        ed25519.PrivateKey
}

func thumbOf(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func newKeyPair(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const otherTenant = ringfence.TenantID("ten_0123456789abcdefghjkmnpqrs")

func newBattlefield(t *testing.T) *battlefield {
	t.Helper()
	w, err := newDrillWorld(t.Context(), shippedConfig(t), drillOptions{Tenant: ringfence.DefaultTenant, Bundle: weakBundle(t), Attacks: named(t, "agent-releases", "link-scanned"), Story: newTranscript(io.Discard)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := w.app.shelf.Refresh(t.Context(), otherTenant); err != nil {
		t.Fatal(err)
	}
	b := &battlefield{drillWorld: w, t: t, staff: w.cfg.Web.Staff.URL, public: w.cfg.Web.Public.URL, subject: w.victims["agent"].subject}
	b.opener = b.account(ringfence.DefaultTenant, web.Client{Name: "crm", Scopes: []web.Scope{web.ScopeActions, web.ScopeReleases}})
	b.mirror = b.account(ringfence.DefaultTenant, web.Client{Name: "mirror", Scopes: []web.Scope{web.ScopeExecute, web.ScopeReleases}, Executor: "mirror"})
	b.bank = b.account(ringfence.DefaultTenant, web.Client{Name: "core", Scopes: []web.Scope{web.ScopeExecute, web.ScopeReleases}, Executor: demoExecutor})
	b.stranger = b.account(otherTenant, web.Client{Name: "core", Scopes: []web.Scope{web.ScopeExecute, web.ScopeReleases, web.ScopeActions, web.ScopeDirectory, web.ScopeLedger, web.ScopeTraversals}, Executor: demoExecutor})
	return b
}

// account makes a service account that proves possession of a key.
func (b *battlefield) account(tenant ringfence.TenantID, c web.Client) party {
	b.t.Helper()
	key := newKeyPair(b.t)
	c.Key = thumbOf(b.t, key)
	_, credential, err := b.app.web.CreateClient(b.t.Context(), tenant, c, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return party{credential: string([]byte(credential)), key: key}
}

// ask is one request as an attacker writes it.
type ask struct {
	by     *party // whose credential and proof it carries
	method string
	url    string // after the origin
	body   string
	key    string            // idempotency key; empty = a fresh one, "-" = none
	header map[string]string // set last
	dpop   map[string]any    // claims of the proof that are otherwise; nil value = left out
	origin string            // whose listener; empty = the staff's
	proof  string            // instead of a proof
}

// reply is what came back.
type reply struct {
	status int
	kind   string
	body   string
	header http.Header
}

func (g reply) String() string { return fmt.Sprintf("%d %s %.300s", g.status, g.kind, g.body) }

// member reads a string member of the answer.
func (g reply) member(name string) string {
	var all map[string]any
	if json.Unmarshal([]byte(g.body), &all) != nil {
		return ""
	}
	s, _ := all[name].(string)
	return s
}

// proof makes a DPoP proof.
func (p party) proof(t *testing.T, method, url string, odd map[string]any) string {
	t.Helper()
	hash := sha256.Sum256([]byte(p.credential))
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": url, "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(hash[:])}
	for name, v := range odd {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	return signed(t, p.key, map[jose.HeaderKey]any{"typ": "dpop+jwt"}, claims, true)
}

// signed makes a compact JWS. Headers may be anything.
func signed(t *testing.T, key ed25519.PrivateKey, header map[jose.HeaderKey]any, claims any, embed bool) string {
	t.Helper()
	o := &jose.SignerOptions{EmbedJWK: embed, ExtraHeaders: header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// send sends a request. Every request comes from an address of its own, so that
// no attack is stopped by the one before it.
func (b *battlefield) send(t *testing.T, a ask) reply {
	t.Helper()
	got, err := b.try(t, a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (b *battlefield) try(t *testing.T, a ask) (reply, error) {
	base := b.staff
	if a.origin != "" {
		base = a.origin
	}
	req, err := http.NewRequestWithContext(t.Context(), a.method, base+a.url, strings.NewReader(a.body))
	if err != nil {
		return reply{}, err
	}
	if a.method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
		if a.key == "" {
			req.Header.Set("Idempotency-Key", rand.Text())
		} else if a.key != "-" {
			req.Header.Set("Idempotency-Key", a.key)
		}
	}
	if a.by != nil {
		req.Header.Set("Authorization", "DPoP "+a.by.credential)
		if a.proof == "" && a.by.key != nil {
			a.proof = a.by.proof(t, a.method, base+strings.SplitN(a.url, "?", 2)[0], a.dpop)
		}
		req.Header.Set("DPoP", a.proof)
	}
	for k, v := range a.header {
		if k == "Host" {
			req.Host = v
		} else if req.Header.Set(k, v); v == "" {
			req.Header.Del(k)
		}
	}
	n := b.from.Add(1)
	dial := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+n/250), byte(1+n%250))}}
	c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return dial.DialContext(ctx, "tcp4", "127.0.0.1:"+port)
	}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	got := reply{status: resp.StatusCode, body: string(raw), header: resp.Header}
	got.kind = strings.TrimPrefix(got.member("type"), "urn:ringfence:problem:")
	return got, err
}

// refused fails the test unless the answer is a clear refusal: of the class of
// 4xx, a problem, and nothing else.
func refused(t *testing.T, got reply, want ...int) {
	t.Helper()
	if got.status < 400 || got.status >= 500 || got.kind == "" && got.status != 404 && got.status != 405 || len(want) > 0 && !slices.Contains(want, got.status) {
		t.Errorf("answered %s, want a refusal %v", got, want)
	}
}

// opened opens the action that needs nothing.
func (b *battlefield) opened(t *testing.T) (ringfence.ReleaseID, string) {
	t.Helper()
	b.newsletter++
	got := b.send(t, ask{by: &b.opener, method: "POST", url: "/v1/actions", body: mustJSON(t, map[string]any{"type": "newsletter", "subject": b.subject, "asked_by": "phone",
		"fields": map[string]string{"topic": fmt.Sprintf("Letter %d", b.newsletter)}})})
	if got.status != 201 {
		t.Fatalf("opening: %s", got)
	}
	return ringfence.ReleaseID(got.member("id")), got.member("digest")
}

// ready opens and releases it.
func (b *battlefield) ready(t *testing.T) ringfence.ReleaseID {
	t.Helper()
	id, digest := b.opened(t)
	got := b.send(t, ask{by: &b.opener, method: "POST", url: "/v1/releases/" + string(id) + "/release", body: `{"digest":"` + digest + `"}`})
	if got.status != 200 || got.member("state") != "ready" {
		t.Fatalf("releasing: %s", got)
	}
	return id
}

// permit pulls the permit of a fresh release.
func (b *battlefield) permit(t *testing.T) (ringfence.ReleaseID, string) {
	t.Helper()
	id := b.ready(t)
	got := b.send(t, ask{by: &b.bank, method: "POST", url: "/v1/releases/" + string(id) + "/permit", body: "{}"})
	if got.status != 200 {
		t.Fatalf("pulling: %s", got)
	}
	return id, got.member("permit")
}

// redeem presents a token.
func (b *battlefield) redeem(t *testing.T, by *party, token string) reply {
	t.Helper()
	return b.send(t, ask{by: by, method: "POST", url: "/v1/permits/redeem", body: mustJSON(t, map[string]string{"permit": token})})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// events counts the entries of an event, about one release or (empty) all.
func (b *battlefield) events(t *testing.T, event ledger.Event, id ringfence.ReleaseID) (n int) {
	t.Helper()
	entries, err := b.entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Event == event && (id == "" || e.Release == id) {
			n++
		}
	}
	return n
}

// signedIn signs a member of staff in by hand and returns the session's cookie.
func (b *battlefield) signedIn(t *testing.T, key *passkeytest.Authenticator, header map[string]string) (cookie string, finish ask) {
	t.Helper()
	got, finish := b.login(t, key, header)
	if got.status >= 300 {
		t.Fatalf("login: %s", got)
	}
	for _, c := range (&http.Response{Header: got.header}).Cookies() {
		cookie = c.Name + "=" + c.Value
	}
	return cookie, finish
}

// login tries to sign in, and returns the answer and what was asked last.
func (b *battlefield) login(t *testing.T, key *passkeytest.Authenticator, header map[string]string) (got reply, finish ask) {
	t.Helper()
	own := map[string]string{"Origin": b.staff, "Sec-Fetch-Site": "same-origin"}
	maps.Copy(own, header)
	got = b.send(t, ask{method: "POST", url: "/v1/login/begin", body: "{}", header: own})
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if err := json.Unmarshal([]byte(got.body), &begun); err != nil || begun.Ceremony == "" {
		t.Fatalf("login begins: %s", got)
	}
	response, err := key.Assert(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	finish = ask{method: "POST", url: "/v1/login/finish", body: mustJSON(t, map[string]any{"ceremony": begun.Ceremony, "response": json.RawMessage(response)}), header: own}
	return b.send(t, finish), finish
}
