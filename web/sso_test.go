package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// idp is an OpenID Connect provider on loopback that checks what a provider
// has to check: client, redirect address, PKCE, and one use of a code.
type idp struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	asked  url.Values // the last authorization request
	spoil  func(map[string]any)
	signer *ecdsa.PrivateKey // instead of key
	spent  bool
}

func newIDP(t testing.TB) *idp {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if id != "ringfence" || secret != "a-secret" || r.FormValue("code") != "the code" || p.spent || r.FormValue("redirect_uri") != p.asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != p.asked.Get("code_challenge") || p.asked.Get("code_challenge_method") != "S256" {
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	p.spent = true
	claims := map[string]any{"iss": p.URL, "aud": "ringfence", "sub": "sub-priya", "email": "Priya@example.com", "email_verified": true,
		"nonce": p.asked.Get("nonce"), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	key := p.key
	if p.signer != nil {
		key = p.signer
	}
	if p.spoil != nil {
		p.spoil(claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		panic(err)
	}
	body, _ := json.Marshal(claims)
	jws, err := signer.Sign(body)
	if err != nil {
		panic(err)
	}
	raw, _ := jws.CompactSerialize()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": raw})
}

// asks plays the browser on its way to the provider.
func (p *idp) asks(t testing.TB, d *desktop) (state string, cookie *http.Cookie) {
	t.Helper()
	w := httptest.NewRecorder()
	d.Staff().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/login/sso", nil))
	to, err := url.Parse(w.Header().Get("Location"))
	if w.Code != http.StatusSeeOther || err != nil || !strings.HasPrefix(to.String(), p.URL+"/auth?") {
		t.Fatalf("answered %d to %s", w.Code, to)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.spent = to.Query(), false
	for _, c := range w.Result().Cookies() {
		cookie = c
	}
	if cookie == nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || p.asked.Get("nonce") == "" {
		t.Fatalf("cookie %+v, asked %v", cookie, p.asked)
	}
	return p.asked.Get("state"), cookie
}

// back plays the browser on its way back, and returns where it is sent and the
// session it has got.
func back(d *desktop, query string, cookie *http.Cookie) (to string, session *http.Cookie) {
	r := httptest.NewRequest("GET", "http://localhost/login/sso/back?"+query, nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	d.Staff().ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.Name == "ringfence" && c.MaxAge > 0 {
			session = c
		}
	}
	return w.Header().Get("Location"), session
}

func withSSO(p *idp) func(*Config) {
	return func(c *Config) {
		c.SSO = &SSO{Issuer: p.URL, ClientID: "ringfence", Secret: ringfence.Secret("a-secret")}
	}
}

func TestSSOSignsIn(t *testing.T) {
	p := newIDP(t)
	d := newDesktop(t, withSSO(p))
	priya := d.person("Priya", ringfence.RoleAgent)
	for range 2 {
		state, cookie := p.asks(t, d)
		to, session := back(d, "code=the+code&state="+state, cookie)
		if to != "/" || session == nil {
			t.Fatalf("sent to %q with %v", to, session)
		}
		var me struct{ ID ringfence.PersonID }
		json.Unmarshal(d.ask(session, "GET", "/v1/me", nil).Body.Bytes(), &me)
		if me.ID != priya.ID {
			t.Errorf("signed in as %s", me.ID)
		}
	}
	n := 0
	for _, e := range d.store.Entries(ringfence.DefaultTenant) {
		if e.Event == "person.signed_in" && e.Person == priya.ID && e.Data["by"] == "oidc" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d entries of a login, want 2", n)
	}
	priya.Status = ringfence.StatusSuspended
	d.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		rec, err := tx.Get(t.Context(), ledger.KindPerson, string(priya.ID))
		if err != nil {
			return err
		}
		return ledger.Write(t.Context(), tx, &ledger.Record{Kind: rec.Kind, ID: rec.ID, Version: rec.Version, Keys: map[string]string{"email": priya.Email}}, priya)
	})
	state, cookie := p.asks(t, d)
	if to, session := back(d, "code=the+code&state="+state, cookie); session != nil {
		t.Errorf("a suspended person is sent to %q", to)
	}
}

func TestSSORefuses(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, v any) func(*idp) {
		return func(p *idp) { p.spoil = func(c map[string]any) { c[name] = v } }
	}
	for name, tt := range map[string]struct {
		idp   func(*idp)
		query func(state string) string
		key   func(*http.Cookie) *http.Cookie
	}{
		"another nonce":         {idp: claim("nonce", "x")},
		"no nonce":              {idp: claim("nonce", nil)},
		"another audience":      {idp: claim("aud", "somebody")},
		"others as well":        {idp: claim("aud", []string{"ringfence", "somebody"})},
		"asked by another":      {idp: claim("azp", "somebody")},
		"asked by nobody":       {idp: claim("azp", "")},
		"another issuer":        {idp: claim("iss", "https://elsewhere.example")},
		"expired":               {idp: claim("exp", time.Now().Add(-time.Hour).Unix())},
		"address not verified":  {idp: claim("email_verified", false)},
		"verified as a text":    {idp: claim("email_verified", "true")},
		"no address":            {idp: claim("email", "")},
		"unknown address":       {idp: claim("email", "eve@example.com")},
		"address in other case": {idp: claim("email", "priya@EXAMPLE.com")},
		"no subject":            {idp: claim("sub", "")},
		"signed by a stranger":  {idp: func(p *idp) { p.signer = stranger }},
		"no cookie":             {key: func(*http.Cookie) *http.Cookie { return nil }},
		"another browser":       {key: func(c *http.Cookie) *http.Cookie { return &http.Cookie{Name: c.Name, Value: "another"} }},
		"no state":              {query: func(string) string { return "code=the+code" }},
		"another state":         {query: func(string) string { return "code=the+code&state=x" }},
		"two states":            {query: func(s string) string { return "code=the+code&state=" + s + "&state=" + s }},
		"no code":               {query: func(s string) string { return "state=" + s }},
		"another code":          {query: func(s string) string { return "code=y&state=" + s }},
		"an error as well":      {query: func(s string) string { return "code=the+code&error=x&state=" + s }},
	} {
		p := newIDP(t)
		d := newDesktop(t, withSSO(p))
		d.person("Priya", ringfence.RoleAgent)
		if tt.idp != nil {
			tt.idp(p)
		}
		state, cookie := p.asks(t, d)
		query := "code=the+code&state=" + state
		if tt.query != nil {
			query = tt.query(state)
		}
		if tt.key != nil {
			cookie = tt.key(cookie)
		}
		if to, session := back(d, query, cookie); session != nil || to != "/login?sso=no" {
			t.Errorf("%s: sent to %q with %v", name, to, session)
		}
	}
}

// A state works once; an address that was given to somebody else opens nothing;
// a slow browser starts again.
func TestSSOStateAndSubjectArePinned(t *testing.T) {
	p := newIDP(t)
	d := newDesktop(t, withSSO(p))
	d.person("Priya", ringfence.RoleAgent)
	state, cookie := p.asks(t, d)
	if to, session := back(d, "code=the+code&state="+state, cookie); session == nil {
		t.Fatalf("sent to %q", to)
	}
	p.mu.Lock()
	p.spent = false
	p.mu.Unlock()
	if _, session := back(d, "code=the+code&state="+state, cookie); session != nil {
		t.Error("the same state twice")
	}
	state, cookie = p.asks(t, d)
	p.spoil = func(c map[string]any) { c["sub"] = "sub-eve" }
	if _, session := back(d, "code=the+code&state="+state, cookie); session != nil {
		t.Error("another account with the same address")
	}
	p.spoil = nil
	state, cookie = p.asks(t, d)
	d.store.Clock = func() time.Time { return time.Now().Add(ssoLife + time.Minute) }
	if _, session := back(d, "code=the+code&state="+state, cookie); session != nil {
		t.Error("after its time")
	}
}

func TestSSOIsOffUnlessConfigured(t *testing.T) {
	d := newDesktop(t)
	for _, path := range []string{"/login/sso", "/login/sso/back?code=x&state=y"} {
		w := httptest.NewRecorder()
		d.Staff().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s answered %d", path, w.Code)
		}
	}
	for _, bad := range []SSO{{}, {Issuer: "http://idp.example.com", ClientID: "x", Secret: ringfence.Secret("y")}, {Issuer: "https://idp.example.com", Secret: ringfence.Secret("y")},
		{Issuer: "https://idp.example.com", ClientID: "x"}, {Issuer: "https://user@idp.example.com", ClientID: "x", Secret: ringfence.Secret("y")}, {Issuer: "ftp://idp.example.com", ClientID: "x", Secret: ringfence.Secret("y")}} {
		if bad.Check() == nil {
			t.Errorf("%s is taken", bad.Issuer)
		}
	}
	down := newIDP(t)
	d = newDesktop(t, withSSO(down))
	down.Close()
	w := httptest.NewRecorder()
	d.Staff().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/login/sso", nil))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?sso=no" {
		t.Errorf("a provider that is down: %d to %s", w.Code, w.Header().Get("Location"))
	}
}
