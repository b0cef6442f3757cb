package proofing_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/proofing"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// scene is a desk with one subject, whose judge refuses whom it is told to.
type scene struct {
	*verifytest.World
	desk    *proofing.Desk
	matter  proofing.Matter
	refuses ringfence.PersonID
}

var errRefused = errors.New("refused")

func newScene(t *testing.T, p proofing.Provider) *scene {
	t.Helper()
	s := &scene{World: verifytest.New(t)}
	s.matter = proofing.Matter{Subject: s.Subject("10002000"), Release: verifytest.Release(), Digest: verifytest.Digest(1), Says: "start again",
		Fields: map[string]string{"payee": "Ann"}, Record: map[string]string{"account": "10002000"}}
	var err error
	s.desk, err = proofing.NewDesk(s.Verifier(), func(_ context.Context, _ verify.Tx, _ ringfence.TenantID, _ ringfence.ReleaseID, signed []verify.Signature) (proofing.Matter, error) {
		for _, one := range signed {
			if one.Person == s.refuses {
				return proofing.Matter{}, errRefused
			}
		}
		return s.matter, nil
	}, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) sign(p ringfence.PersonID, ago time.Duration) (bool, error) {
	return s.desk.Witness(s.TB.Context(), verifytest.Tenant, s.matter.Release, verify.Signature{Person: p, Message: s.matter.Digest, At: time.Now().Add(-ago)})
}

func (s *scene) evidence() (out []ringfence.Evidence) {
	for _, rec := range s.List("evidence") {
		out = append(out, verifytest.Read[ringfence.Evidence](s.World, "evidence", rec.ID))
	}
	return out
}

func TestDeskRefusesToStandAlone(t *testing.T) {
	if _, err := proofing.NewDesk(nil, nil, nil); err == nil {
		t.Error("a desk without anybody who judges")
	}
}

func TestWitnessRefuses(t *testing.T) {
	s := newScene(t, nil)
	s.refuses = "per_bad"
	if done, err := s.sign("per_bad", 0); done || !errors.Is(err, errRefused) {
		t.Errorf("refused by the gate: %v %v", done, err)
	}
	steps := []struct {
		name string
		who  ringfence.PersonID
		ago  time.Duration
	}{
		{"one", "per_a", 0},
		{"the same again", "per_a", 0},
		{"one long ago", "per_a", proofing.Together + time.Minute},
		{"another, too late", "per_b", proofing.Together + time.Minute},
	}
	for _, c := range steps {
		if done, err := s.sign(c.who, c.ago); done || err != nil {
			t.Errorf("%s: %v %v", c.name, done, err)
		}
	}
	if done, err := s.sign("per_bad", 0); done || err != nil && !errors.Is(err, errRefused) {
		t.Errorf("a second one that the gate refuses: %v %v", done, err)
	}
	if n := len(s.evidence()); n != 0 {
		t.Fatalf("%d rows of evidence", n)
	}
	if _, err := s.sign("per_a", 0); err != nil {
		t.Fatal(err)
	}
	s.matter.Digest = verifytest.Digest(2) // the action has changed meanwhile
	if done, err := s.sign("per_b", 0); done || err != nil {
		t.Errorf("over another action: %v %v", done, err)
	}
}

func TestTwoWitnessesProof(t *testing.T) {
	s := newScene(t, nil)
	if done, err := s.sign("per_a", time.Minute); done || err != nil {
		t.Fatal(done, err)
	}
	if who, err := s.desk.Waiting(t.Context(), verifytest.Tenant, s.matter.Release); who != "per_a" || err != nil {
		t.Errorf("waiting: %q %v", who, err)
	}
	if done, err := s.sign("per_b", 0); !done || err != nil {
		t.Fatal(done, err)
	}
	rows := s.evidence()
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	e := rows[0]
	if e.Fact != ringfence.FactProofed || e.Strength != ringfence.StrengthProofed || e.Digest != s.matter.Digest || e.Release != s.matter.Release ||
		e.Subject != s.matter.Subject || !e.Presented || e.Leg != "" || time.Since(e.At) < time.Minute {
		t.Errorf("%+v", e)
	}
	people := map[ringfence.PersonID]bool{} // both stand in the log, so neither can approve
	for _, entry := range s.Store.Entries(verifytest.Tenant) {
		if entry.Release == s.matter.Release {
			people[entry.Person] = true
		}
	}
	if !people["per_a"] || !people["per_b"] {
		t.Errorf("in the log: %v", people)
	}
	if done, err := s.sign("per_b", 0); done || err != nil {
		t.Errorf("a third signature: %v %v", done, err)
	}
}

func TestProofedRefuses(t *testing.T) {
	s := newScene(t, nil)
	v := s.Verifier()
	good := verify.Proofed{Challenge: ringfence.NewID[ringfence.ChallengeID](ringfence.PrefixChallenge), Subject: s.matter.Subject, Release: s.matter.Release,
		Digest: s.matter.Digest, At: time.Now(), Presented: true}
	for name, change := range map[string]func(*verify.Proofed){
		"no time":        func(p *verify.Proofed) { p.At = time.Time{} },
		"too long ago":   func(p *verify.Proofed) { p.At = time.Now().Add(-verify.ProofedLife - time.Minute) },
		"yet to come":    func(p *verify.Proofed) { p.At = time.Now().Add(time.Minute) },
		"no action":      func(p *verify.Proofed) { p.Digest = ringfence.Digest{} },
		"no release":     func(p *verify.Proofed) { p.Release = "" },
		"nobody":         func(p *verify.Proofed) { p.Subject = "" },
		"somebody else":  func(p *verify.Proofed) { p.Subject = "sub_00000000000000000000000009" },
		"no challenge":   func(p *verify.Proofed) { p.Challenge = "" },
		"all of nothing": func(p *verify.Proofed) { *p = verify.Proofed{} },
	} {
		p := good
		change(&p)
		if ok, err := s.proofed(v, p); ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
	if ok, err := s.proofed(v, good); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := s.proofed(v, good); ok || !errors.Is(err, verify.ErrConflict) {
		t.Errorf("the same proofing twice: %v %v", ok, err)
	}
}

func (s *scene) proofed(v *verify.Verifier, p verify.Proofed) (ok bool, err error) {
	err = s.Store.Update(s.TB.Context(), verifytest.Tenant, func(tx verify.Tx) (err error) {
		_, ok, err = v.Proofed(s.TB.Context(), tx, verifytest.Tenant, p)
		return err
	})
	return ok && err == nil, err
}

// service is an identity-proofing provider on this machine.
type service struct {
	key    ed25519.PrivateKey
	mu     sync.Mutex
	asked  []map[string]any
	claims map[string]any // what it signs; "external_id" is filled in
	raw    string         // answered instead, when set
	status int
}

func (p *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if p.status != 0 {
		w.WriteHeader(p.status)
		return
	}
	answer := p.raw
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/sessions":
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.asked = append(p.asked, body)
		w.WriteHeader(http.StatusCreated)
		if answer == "" {
			answer = `{"id":"ses_1","url":"https://id.example/ses_1"}`
		}
	case answer == "":
		claims := map[string]any{"external_id": p.asked[len(p.asked)-1]["external_id"]}
		for k, v := range p.claims {
			claims[k] = v
		}
		answer = sign(p.key, claims)
	}
	if _, err := io.WriteString(w, answer); err != nil {
		return
	}
}

func sign(key ed25519.PrivateKey, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, nil)
	if err != nil {
		panic(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		panic(err)
	}
	out, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return out
}

func goodClaims() map[string]any {
	return map[string]any{"aud": "acme", "id": "ses_1", "status": "verified", "match": "yes", "action_shown": true, "verified_at": time.Now().Add(-time.Hour).Unix()}
}

func newService(t *testing.T) (*service, *proofing.HTTP) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &service{key: key, claims: goodClaims()}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: pub})
	if err != nil {
		t.Fatal(err)
	}
	h, err := proofing.NewHTTP(proofing.HTTPConfig{Name: "id.example", URL: server.URL + "/v1", Token: ringfence.Secret("token"), Key: jwk, Audience: "acme", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return p, h
}

func TestHTTPConfigIsRefused(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	good := proofing.HTTPConfig{Name: "x", URL: "https://id.example", Token: ringfence.Secret("t"), Key: public, Audience: "acme"}
	if _, err := proofing.NewHTTP(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*proofing.HTTPConfig){
		"nothing":       func(c *proofing.HTTPConfig) { *c = proofing.HTTPConfig{} },
		"plain http":    func(c *proofing.HTTPConfig) { c.URL = "http://id.example" },
		"no token":      func(c *proofing.HTTPConfig) { c.Token = nil },
		"a private key": func(c *proofing.HTTPConfig) { c.Key = private },
		"no audience":   func(c *proofing.HTTPConfig) { c.Audience = "" },
		"a long wait":   func(c *proofing.HTTPConfig) { c.Timeout = 11 * time.Second },
	} {
		c := good
		change(&c)
		if _, err := proofing.NewHTTP(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestProviderIsNotBelieved(t *testing.T) {
	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*service){
		"not verified":      func(p *service) { p.claims["status"] = "pending" },
		"no status":         func(p *service) { delete(p.claims, "status") },
		"another person":    func(p *service) { p.claims["match"] = "no" },
		"nobody compared":   func(p *service) { p.claims["match"] = "unknown" },
		"another session":   func(p *service) { p.claims["id"] = "ses_2" },
		"another action":    func(p *service) { p.claims["external_id"] = strings.Repeat("0", 64) },
		"another customer":  func(p *service) { p.claims["aud"] = "other" },
		"two days ago":      func(p *service) { p.claims["verified_at"] = time.Now().Add(-48 * time.Hour).Unix() },
		"tomorrow":          func(p *service) { p.claims["verified_at"] = time.Now().Add(24 * time.Hour).Unix() },
		"no time":           func(p *service) { delete(p.claims, "verified_at") },
		"a foreign key":     func(p *service) { p.key = foreign },
		"not signed":        func(p *service) { p.raw = `{"status":"verified","match":"yes"}` },
		"alg none":          func(p *service) { p.raw = "eyJhbGciOiJub25lIn0.e30." },
		"down":              func(p *service) { p.status = 503 },
		"moved elsewhere":   func(p *service) { p.status = 302 },
		"endless":           func(p *service) { p.raw = strings.Repeat("x", 100<<10) },
		"claims of no kind": func(p *service) { p.claims["verified_at"] = "soon" },
	} {
		p, h := newService(t)
		s := newScene(t, h)
		if _, err := s.desk.Begin(t.Context(), verifytest.Tenant, s.matter.Release); err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		change(p)
		p.mu.Unlock()
		got, err := s.desk.Fetch(t.Context(), verifytest.Tenant, s.matter.Release)
		if got == proofing.ResultProofed || len(s.evidence()) != 0 {
			t.Errorf("%s: %s %v", name, got, err)
		}
		if got == "" && err == nil {
			t.Errorf("%s: neither an answer nor an error", name)
		}
	}
}

func TestProviderProofsOnce(t *testing.T) {
	p, h := newService(t)
	s := newScene(t, h)
	if _, err := s.desk.Fetch(t.Context(), verifytest.Tenant, s.matter.Release); !errors.Is(err, proofing.ErrNoProvider) {
		t.Errorf("fetched before it began: %v", err)
	}
	link, err := s.desk.Begin(t.Context(), verifytest.Tenant, s.matter.Release)
	if err != nil || link != "https://id.example/ses_1" {
		t.Fatal(link, err)
	}
	p.mu.Lock()
	asked := p.asked[0]
	p.mu.Unlock()
	if asked["action"] != "start again" || asked["external_id"] == "" || asked["fields"].(map[string]any)["payee"] != "Ann" {
		t.Errorf("asked %v", asked)
	}
	got, err := s.desk.Fetch(t.Context(), verifytest.Tenant, s.matter.Release)
	if err != nil || got != proofing.ResultProofed {
		t.Fatal(got, err)
	}
	rows := s.evidence()
	if len(rows) != 1 || rows[0].Fact != ringfence.FactProofed || !rows[0].Presented || time.Since(rows[0].At) < 59*time.Minute {
		t.Errorf("%+v", rows)
	}
	if got, err := s.desk.Fetch(t.Context(), verifytest.Tenant, s.matter.Release); got == proofing.ResultProofed || !errors.Is(err, proofing.ErrNoProvider) {
		t.Errorf("the same session twice: %s %v", got, err)
	}
}

func TestProviderThatShowedNothingPresentsNothing(t *testing.T) {
	p, h := newService(t)
	p.claims["action_shown"] = false
	s := newScene(t, h)
	if _, err := s.desk.Begin(t.Context(), verifytest.Tenant, s.matter.Release); err != nil {
		t.Fatal(err)
	}
	if got, err := s.desk.Fetch(t.Context(), verifytest.Tenant, s.matter.Release); err != nil || got != proofing.ResultProofed {
		t.Fatal(got, err)
	}
	if rows := s.evidence(); len(rows) != 1 || rows[0].Presented {
		t.Errorf("%+v", rows)
	}
}

func FuzzFetch(f *testing.F) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sign(key, goodClaims())+"x", true)
	f.Add("eyJhbGciOiJub25lIn0.e30.", false)
	f.Add("", true)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: pub})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer string, ok bool) {
		h, err := proofing.NewHTTP(proofing.HTTPConfig{Name: "x", URL: "https://id.example", Token: ringfence.Secret("t"), Key: jwk, Audience: "acme",
			Client: &http.Client{Transport: fixed(answer)}})
		if err != nil {
			t.Fatal(err)
		}
		// Nobody but the holder of the key can make a finding.
		if got, err := h.Fetch(t.Context(), "ses_1"); err == nil && got.Proofed {
			t.Errorf("%q proofs", answer)
		}
		if _, _, err := h.Begin(t.Context(), proofing.Asked{}); err == nil && !strings.Contains(answer, "https://") {
			t.Errorf("%q begins a session", answer)
		}
	})
}

// fixed answers everything with itself.
type fixed string

func (f fixed) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(f)))}, nil
}
