package proofing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
)

// maxAnswer bounds what a provider may answer, in bytes.
const maxAnswer = 64 << 10

// HTTPConfig is a provider that is asked over HTTPS. Every field but Timeout is
// needed.
type HTTPConfig struct {
	Name string // who it is, in entries
	// URL is where POST {URL}/sessions and GET {URL}/sessions/{id} are; https,
	// or http on this machine.
	URL string
	// Token is sent as a bearer token.
	Token ringfence.Secret
	// Key is the provider's public key, as a JWK (Ed25519 or P-256). A result
	// that it did not sign is no result.
	Key []byte
	// Audience is who we are in the provider's results.
	Audience string
	Timeout  time.Duration // 0 = 2 s; at most 10 s
	Client   *http.Client  // nil = one of its own; redirects are never followed
}

// HTTP is the reference adapter. The provider's contract is in
// docs/proofing.md: a session is opened with a binding, and its result is a
// compact JWS that repeats it.
type HTTP struct {
	cfg    HTTPConfig
	key    jose.JSONWebKey
	client *http.Client
}

// NewHTTP returns the adapter.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, errors.New("proofing: url: want an https address")
	case cfg.Name == "" || len(cfg.Token) == 0 || cfg.Audience == "":
		return nil, errors.New("proofing: name, token and audience are needed")
	case cfg.Timeout < 0 || cfg.Timeout > 10*time.Second:
		return nil, errors.New("proofing: timeout: want at most 10s")
	}
	h := &HTTP{cfg: cfg, client: &http.Client{}}
	if err := h.key.UnmarshalJSON(cfg.Key); err != nil || !h.key.IsPublic() || !h.key.Valid() {
		return nil, errors.New("proofing: key: want the provider's public key as a JWK")
	}
	if cfg.Client != nil {
		*h.client = *cfg.Client
	}
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if h.cfg.Timeout == 0 {
		h.cfg.Timeout = 2 * time.Second
	}
	return h, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Name implements Provider.
func (h *HTTP) Name() string { return h.cfg.Name }

// sessionID is what may stand in a path of ours.
var sessionID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// Begin implements Provider.
func (h *HTTP) Begin(ctx context.Context, a Asked) (id, link string, err error) {
	body, err := json.Marshal(map[string]any{"external_id": a.Binding, "action": a.Says, "fields": a.Fields, "person": a.Record})
	if err != nil {
		return "", "", err
	}
	raw, err := h.ask(ctx, http.MethodPost, "/sessions", body)
	if err != nil {
		return "", "", err
	}
	var out struct{ ID, URL string }
	if err := json.Unmarshal(raw, &out); err != nil || !sessionID.MatchString(out.ID) || !strings.HasPrefix(out.URL, "https://") || len(out.URL) > 2000 {
		return "", "", errors.New("proofing: the provider's answer names no session")
	}
	return out.ID, out.URL, nil
}

// result is the body of the provider's JWS.
type result struct {
	Audience   string `json:"aud"`
	ID         string `json:"id"`
	ExternalID string `json:"external_id"`
	Status     string `json:"status"`       // "verified", anything else is not
	Match      string `json:"match"`        // "yes" = the person on file
	Shown      bool   `json:"action_shown"` // the action was shown, whole
	VerifiedAt int64  `json:"verified_at"`  // seconds since 1970
}

// Fetch implements Provider.
func (h *HTTP) Fetch(ctx context.Context, id string) (Finding, error) {
	if !sessionID.MatchString(id) {
		return Finding{}, errors.New("proofing: no session of this provider")
	}
	raw, err := h.ask(ctx, http.MethodGet, "/sessions/"+id, nil)
	if err != nil {
		return Finding{}, err
	}
	signed, err := jose.ParseSignedCompact(string(raw), []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
	if err != nil {
		return Finding{}, errors.New("proofing: the provider's result is not signed")
	}
	body, err := signed.Verify(h.key)
	if err != nil {
		return Finding{}, errors.New("proofing: the provider's result is signed by another key")
	}
	var r result
	if err := json.Unmarshal(body, &r); err != nil || r.Audience != h.cfg.Audience {
		return Finding{}, errors.New("proofing: the provider's result is not for us")
	}
	f := Finding{Session: r.ID, Binding: r.ExternalID, Proofed: r.Status == "verified" && r.Match == "yes" && r.VerifiedAt > 0, Presented: r.Shown}
	if f.Proofed {
		f.At = time.Unix(r.VerifiedAt, 0)
	}
	return f, nil
}

// ask sends one request and returns the whole answer of a 200 or 201.
func (h *HTTP) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(h.cfg.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("proofing: no such address")
	}
	req.Header.Set("Authorization", "Bearer "+string([]byte(h.cfg.Token)))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("proofing: %s cannot be asked", h.cfg.Name)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	err = errors.Join(err, resp.Body.Close())
	if err != nil || len(raw) > maxAnswer || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("proofing: %s answered %d", h.cfg.Name, resp.StatusCode)
	}
	return raw, nil
}
