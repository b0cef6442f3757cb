package e2e

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web"
)

// client is a system with a service account, written from the API's
// description: it shares no code with the server.
type client struct {
	t          testing.TB
	base       string
	account    web.Client
	credential string
	key        ed25519.PrivateKey // of an executor: what it proves possession of
	http       *http.Client
}

// newClient makes an account. An executor's has a key.
func (g *gateway) newClient(executor string, scopes ...web.Scope) *client {
	g.t.Helper()
	secret := rand.Text()
	sum := sha256.Sum256([]byte(secret))
	c := &client{t: g.t, base: g.staff(), http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	c.account = web.Client{ID: ringfence.NewID[string]("cli"), Name: "e2e " + executor, SecretHash: hex.EncodeToString(sum[:]), Scopes: scopes,
		Executor: executor, StoredAt: time.Now(), Status: ringfence.StatusActive}
	c.credential = "default." + c.account.ID + "." + secret
	if executor == "" {
		return c
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	thumb, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		g.t.Fatal(err)
	}
	c.key, c.account.Key = key, base64.RawURLEncoding.EncodeToString(thumb)
	return c
}

// refused is an answer with a status of 300 or more (RFC 9457).
type refused struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
	raw    []byte
}

func (r *refused) Error() string { return fmt.Sprintf("%d %s", r.Status, r.raw) }

// do asks once. An error that is no *refused means that nobody knows.
func (c *client) do(ctx context.Context, method, path, key string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.credential)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if c.key != nil {
		req.Header.Set("Authorization", "DPoP "+c.credential)
		proof, err := c.proof(method, path)
		if err != nil {
			return err
		}
		req.Header.Set("DPoP", proof)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		no := &refused{Status: resp.StatusCode, raw: raw}
		_ = json.Unmarshal(raw, no) // what is no problem keeps its status
		return no
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// proof is a DPoP proof (RFC 9449) for one request.
func (c *client) proof(method, path string) (string, error) {
	hash := sha256.Sum256([]byte(c.credential))
	body, err := json.Marshal(map[string]any{"jti": rand.Text(), "htm": method, "htu": c.base + path, "iat": time.Now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(hash[:])})
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: c.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
