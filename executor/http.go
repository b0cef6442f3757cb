package executor

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Refused is an answer of ringfence that is not the one asked for (RFC 9457).
// It is final for the request it answers, unless InDoubt.
type Refused struct {
	Status int
	Kind   string // the problem type without its prefix, such as conflict
	Detail string
}

func (r *Refused) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("ringfence answers %d %s: %s", r.Status, r.Kind, r.Detail), ": ")
}

// InDoubt reports whether asking again with the same key may help: an answer
// about who asks, or how often, says nothing about what was asked.
func (r *Refused) InDoubt() bool {
	return r.Status >= 500 || r.Status < 400 || r.Status == http.StatusTooManyRequests || r.Status == http.StatusUnauthorized
}

func (c *Client) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, out)
}

func (c *Client) post(ctx context.Context, path, key string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, key, in, out)
}

// do asks once. An error that is no *Refused, or one InDoubt, leaves open
// whether ringfence did what was asked.
func (c *Client) do(ctx context.Context, method, path, key string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return err
	}
	// The transport must not send a request again by itself: a proof of
	// possession is good for one.
	req.GetBody = nil
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	if err := c.authorize(req); err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case len(raw) > maxAnswerBytes:
		return fmt.Errorf("%s %s: the answer is longer than any that ringfence gives", method, path)
	case resp.StatusCode >= 300:
		return refused(resp.StatusCode, raw)
	case out == nil:
		return nil
	default:
		return oneReading(raw, out)
	}
}

func refused(status int, raw []byte) *Refused {
	var p struct{ Type, Detail, Title string }
	_ = json.Unmarshal(raw, &p) // an answer that is no problem keeps its status
	return &Refused{Status: status, Kind: strings.TrimPrefix(p.Type, "urn:ringfence:problem:"), Detail: or(p.Detail, p.Title)}
}

// authorize adds the credential and, with a key, a fresh proof that it is ours.
func (c *Client) authorize(req *http.Request) error {
	credential := string(c.cfg.Credential)
	if c.proof == nil {
		req.Header.Set("Authorization", "Bearer "+credential)
		return nil
	}
	proof, err := c.proof.sign(req, credential)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "DPoP "+credential)
	req.Header.Set("DPoP", proof)
	return nil
}

// dpop makes proofs of possession (RFC 9449).
type dpop struct{ signer jose.Signer }

// Thumbprint is the RFC 7638 thumbprint of a key, as ringfence registers it.
func Thumbprint(key crypto.Signer) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

func newDPoP(key crypto.Signer) (*dpop, error) {
	var alg jose.SignatureAlgorithm
	switch pub := key.Public().(type) {
	case ed25519.PublicKey:
		alg = jose.EdDSA
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return nil, errors.New("executor: an ECDSA key is on P-256")
		}
		alg = jose.ES256
	default:
		return nil, fmt.Errorf("executor: a key of type %T makes no proofs: want Ed25519 or ECDSA P-256", pub)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	return &dpop{signer: signer}, nil
}

func (d *dpop) sign(req *http.Request, credential string) (string, error) {
	hash := sha256.Sum256([]byte(credential))
	claims, err := json.Marshal(map[string]any{"jti": rand.Text(), "htm": req.Method, "htu": req.URL.Scheme + "://" + req.URL.Host + req.URL.Path,
		"iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(hash[:])})
	if err != nil {
		return "", err
	}
	jws, err := d.signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// keyOf is an idempotency key that is the same after a crash.
func keyOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}
