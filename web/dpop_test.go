package web

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
)

// proofKey is an executor's own key.
type proofKey struct {
	private ed25519.PrivateKey
	thumb   string
}

func newProofKey(t testing.TB) proofKey {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := (&jose.JSONWebKey{Key: pub}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return proofKey{private, base64.RawURLEncoding.EncodeToString(sum)}
}

// proof makes a DPoP proof; change may bend its claims.
func (k proofKey) proof(t testing.TB, method, path, credential string, change func(typ *string, c *proofClaims)) string {
	t.Helper()
	sum := sha256.Sum256([]byte(credential))
	c := proofClaims{ID: ringfence.NewID[string]("jti"), Method: method, URL: "https://localhost:8443" + path, IssuedAt: time.Now().Unix(),
		Hash: base64.RawURLEncoding.EncodeToString(sum[:])}
	typ := "dpop+jwt"
	if change != nil {
		change(&typ, &c)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: k.private},
		(&jose.SignerOptions{EmbedJWK: true}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestExecutorProvesItsKey(t *testing.T) {
	d := newDesktop(t)
	key, other := newProofKey(t), newProofKey(t)
	if _, _, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, Client{Name: "core", Scopes: []Scope{ScopeExecute}, Executor: "core"}, ""); err == nil {
		t.Error("an executor without a key was stored")
	}
	_, secret, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, Client{Name: "core", Scopes: []Scope{ScopeExecute, ScopeReleases}, Executor: "core", Key: key.thumb}, "")
	if err != nil {
		t.Fatal(err)
	}
	credential := string([]byte(secret))
	const path = "/v1/releases"
	bent := func(change func(*string, *proofClaims)) string { return key.proof(t, "GET", path, credential, change) }
	good := bent(nil)
	half := strings.Split(good, ".")
	for _, c := range []struct {
		name, proof string
		want        int
	}{
		{"none", "", 401},
		{"another key", other.proof(t, "GET", path, credential, nil), 401},
		{"another method", bent(func(_ *string, c *proofClaims) { c.Method = "POST" }), 401},
		{"another path", bent(func(_ *string, c *proofClaims) { c.URL = "https://localhost:8443/v1/permits/redeem" }), 401},
		{"another host", bent(func(_ *string, c *proofClaims) { c.URL = "https://evil.example" + path }), 401},
		{"old", bent(func(_ *string, c *proofClaims) { c.IssuedAt -= 90 }), 401},
		{"from the future", bent(func(_ *string, c *proofClaims) { c.IssuedAt += 90 }), 401},
		{"another credential", bent(func(_ *string, c *proofClaims) { c.Hash = "x" }), 401},
		{"no id", bent(func(_ *string, c *proofClaims) { c.ID = "" }), 401},
		{"another type", bent(func(typ *string, _ *proofClaims) { *typ = "jwt" }), 401},
		{"bent signature", half[0] + "." + half[1] + "." + strings.Repeat("A", len(half[2])), 401},
		{"not a proof", "x.y.z", 401},
		{"too long", strings.Repeat("a", maxProofBytes+1), 401},
		{"right", good, 200},
		{"replayed", good, 401},
	} {
		got := d.ask(nil, "GET", path, nil, "Authorization", "DPoP "+credential, "DPoP", c.proof)
		if got.Code != c.want {
			t.Errorf("%s: answered %d %s, want %d", c.name, got.Code, got.Body, c.want)
		}
	}
}

// ids is a memory that nodes share, and that may not answer.
type ids struct {
	mu   sync.Mutex
	seen map[string]bool
	down error
}

func (o *ids) First(_ context.Context, id string, _, _ time.Time) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	again := o.seen[id]
	o.seen[id] = true
	return !again, o.down
}

// TestProofsAreShownToOneNode: a proof that one node saw is worth nothing at
// another, and nothing while the others cannot be asked.
func TestProofsAreShownToOneNode(t *testing.T) {
	shared := &ids{seen: map[string]bool{}}
	one, other := &proofs{elsewhere: shared}, &proofs{elsewhere: shared}
	key := newProofKey(t)
	r := func(proof string) *http.Request {
		q := httptest.NewRequest("POST", "https://localhost:8443/v1/permits/redeem", nil)
		q.Header.Set("DPoP", proof)
		return q
	}
	c := Client{ID: "cli_1", Key: key.thumb}
	make := func() string { return key.proof(t, "POST", "/v1/permits/redeem", "secret", nil) }
	first, second := make(), make()
	now := time.Now()
	for i, step := range []struct {
		node  *proofs
		proof string
		want  bool
	}{{one, first, true}, {other, first, false}, {one, first, false}, {other, second, true}, {one, second, false}} {
		if got := step.node.holds(r(step.proof), c, "secret", now); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	shared.down = errors.New("no answer")
	if one.holds(r(make()), c, "secret", now) {
		t.Error("taken while the others could not be asked")
	}
}
