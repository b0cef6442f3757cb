package conformance_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/executor"
	"github.com/ringfence/ringfence/executor/conformance"
)

// naive is an executor as somebody writes it in an afternoon, with one mistake
// or with none. It shares no code with the project's own client.
type naive struct {
	fault string
	base  string
	key   ed25519.PrivateKey
	http  *http.Client

	mu      sync.Mutex // guards what follows
	journal []conformance.Act
	began   map[ringfence.ReleaseID]bool
	owed    map[string]string // permit -> outcome
	calls   int
	reused  map[string]bool
}

func newNaive(fault string) *naive {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	n := &naive{fault: fault, key: key, began: map[ringfence.ReleaseID]bool{}, owed: map[string]string{}, reused: map[string]bool{},
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	if fault != "follows redirects" {
		n.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return n
}

func (n *naive) has(fault string) bool { return n.fault == fault }

// run polls until ctx ends.
func (n *naive) run(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		n.round(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

type listed struct {
	ID     ringfence.ReleaseID
	Fields map[string]string
	Digest ringfence.Digest
}

func (n *naive) round(ctx context.Context) {
	for permit, outcome := range n.owed {
		n.report(ctx, permit, outcome)
	}
	var list struct{ Releases []listed }
	if n.call(ctx, "GET", "/v1/releases", "", nil, &list) != nil {
		return
	}
	for _, r := range list.Releases {
		if n.began[r.ID] && !n.has("does it again when it is listed again") && !(n.has("tries unknown again") && n.unknown(r.ID)) {
			continue
		}
		n.one(ctx, r)
	}
}

func (n *naive) unknown(id ringfence.ReleaseID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.journal, func(a conformance.Act) bool { return a.Release == id && a.Outcome == executor.Unknown })
}

func (n *naive) one(ctx context.Context, r listed) {
	var got struct{ Permit string }
	if n.call(ctx, "POST", "/v1/releases/"+string(r.ID)+"/permit", rand.Text(), struct{}{}, &got) != nil {
		return
	}
	c, err := n.verify(ctx, got.Permit, r.ID)
	if err != nil {
		return
	}
	if n.has("acts before it redeems") {
		n.act(c.ID, r.ID, r.Fields, c.Digest)
	}
	n.redeem(ctx, r, c, got.Permit)
}

type claims struct {
	ID       ringfence.PermitID  `json:"jti"`
	Issuer   string              `json:"iss"`
	Audience string              `json:"aud"`
	Tenant   string              `json:"tenant"`
	Release  ringfence.ReleaseID `json:"sub"`
	Type     string              `json:"action"`
	Digest   ringfence.Digest    `json:"digest"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
}

func (n *naive) verify(ctx context.Context, token string, id ringfence.ReleaseID) (claims, error) {
	var c claims
	if n.has("decodes without verifying") {
		part := strings.Split(token, ".")
		if len(part) != 3 {
			return c, errors.New("no token")
		}
		raw, _ := base64.RawURLEncoding.DecodeString(part[1])
		return c, json.Unmarshal(raw, &c)
	}
	algs := []jose.SignatureAlgorithm{jose.EdDSA}
	if n.has("takes HS256") {
		algs = append(algs, jose.HS256)
	}
	jws, err := jose.ParseSignedCompact(token, algs)
	if err != nil || len(token) > 16<<10 {
		return c, errors.New("no permit")
	}
	head := jws.Signatures[0].Protected
	if head.ExtraHeaders["typ"] != "ringfence-permit+jwt" && !n.has("ignores the type of the token") {
		return c, errors.New("type")
	}
	var keys jose.JSONWebKeySet
	if err := n.call(ctx, "GET", "/.well-known/jwks.json", "", nil, &keys); err != nil {
		return c, err
	}
	var key any
	switch found := keys.Key(head.KeyID); {
	case n.has("takes the key from the permit") && head.JSONWebKey != nil:
		key = head.JSONWebKey
	case len(found) == 1:
		key = found[0].Key
	default:
		return c, errors.New("key")
	}
	if pub, ok := key.(ed25519.PublicKey); ok && head.Algorithm == string(jose.HS256) {
		key = []byte(pub)
	}
	body, err := jws.Verify(key)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return c, err
	}
	now := time.Now()
	switch {
	case c.Audience != name && !n.has("ignores the audience"),
		c.Issuer != "ringfence" && !n.has("ignores the issuer"),
		c.Tenant != "default" && !n.has("ignores the tenant"),
		c.Release != id && !n.has("ignores the release"),
		now.Unix() >= c.Expires && !n.has("ignores the time"),
		c.IssuedAt > now.Add(30*time.Second).Unix() && !n.has("ignores the time of issue"),
		c.IssuedAt > now.Unix() && n.has("allows no skew"),
		c.Expires-c.IssuedAt > 300 && !n.has("ignores how long it lives"):
		return c, errors.New("claims")
	}
	return c, nil
}

type redemption struct {
	Permit    ringfence.PermitID
	Release   ringfence.ReleaseID
	Type      string
	Canonical string
	Digest    ringfence.Digest
}

func (n *naive) redeem(ctx context.Context, r listed, c claims, token string) {
	key := rand.Text()
	var got redemption
	var err error
	for range 5 {
		if n.has("asks again under a new key") {
			key = rand.Text()
		}
		err = n.call(ctx, "POST", "/v1/permits/redeem", key, map[string]string{"permit": token}, &got)
		var no status
		if err == nil || errors.As(err, &no) && no < 500 || n.has("acts without an answer") {
			break
		}
	}
	if n.has("acts before it redeems") {
		n.report(ctx, string(c.ID), "executed")
		return
	}
	refused := err != nil
	if n.has("acts without an answer") || n.has("acts when it was refused") {
		refused = false
		if err != nil {
			got = redemption{Permit: c.ID, Release: r.ID, Digest: c.Digest, Canonical: `{"fields":{}}`}
		}
	}
	if refused {
		n.began[r.ID] = n.has("gives up after a refusal")
		return
	}
	var action struct {
		Version int    `json:"v"`
		Tenant  string `json:"tenant"`
		Release ringfence.ReleaseID
		Type    string
		Fields  map[string]string
	}
	if err := json.Unmarshal([]byte(got.Canonical), &action); err != nil {
		n.began[r.ID] = true
		return
	}
	sum := ringfence.Digest(sha256.Sum256([]byte("ringfence/action/v1\x00" + got.Canonical)))
	if !n.has("acts without an answer") && !n.has("acts when it was refused") {
		switch {
		case sum != c.Digest && !n.has("does not compare the digest") && !(n.has("believes the answer's digest") && sum == got.Digest),
			action.Release != r.ID && !n.has("does not compare the release") && !n.has("ignores the release"),
			action.Type != c.Type && !n.has("does not compare the type"),
			action.Tenant != "default" && !n.has("does not compare the tenant") && !n.has("ignores the tenant"),
			strings.Count(got.Canonical, `"type":`) > 1 && !n.has("reads twice"):
			n.began[r.ID] = true
			return
		}
	}
	n.began[r.ID] = true
	digest := got.Digest
	if n.has("does not compare the digest") {
		digest = c.Digest
	}
	fields := action.Fields
	if n.has("uses its own copy") && r.Fields != nil {
		fields = r.Fields
	}
	outcome := n.act(c.ID, r.ID, fields, digest)
	n.report(ctx, string(c.ID), string(outcome))
}

// act books and returns the outcome.
func (n *naive) act(permit ringfence.PermitID, id ringfence.ReleaseID, f map[string]string, digest ringfence.Digest) executor.Outcome {
	outcome := executor.Executed
	switch {
	case f["account"] == failing["account"] && !n.has("says executed for what failed"):
		outcome = executor.Failed
	case f["account"] == doubtful["account"] && !n.has("says failed for what it does not know"):
		outcome = executor.Unknown
	case f["account"] == doubtful["account"]:
		outcome = executor.Failed
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.journal = append(n.journal, conformance.Act{Fields: f, Line: executor.Line{Release: id, Permit: permit, Digest: digest, Outcome: outcome, At: time.Now()}})
	return outcome
}

func (n *naive) report(ctx context.Context, permit, outcome string) {
	err := n.call(ctx, "POST", "/v1/permits/"+permit+"/report", rand.Text(), map[string]string{"outcome": outcome}, nil)
	if err != nil && !n.has("reports once, come what may") {
		n.owed[permit] = outcome
		return
	}
	delete(n.owed, permit)
}

// status is an answer that refuses.
type status int

func (s status) Error() string { return fmt.Sprint(int(s)) }

func (n *naive) call(ctx context.Context, method, path, key string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, body)
	if err != nil {
		return err
	}
	if !n.has("follows redirects") {
		req.GetBody = nil
	}
	req.Header.Set("Idempotency-Key", key)
	n.calls++
	id := fmt.Sprint(n.calls)
	if n.has("uses a proof twice") && strings.HasSuffix(path, "/report") && !n.reused[path] {
		n.reused[path] = true
		id = fmt.Sprint(n.calls - 1)
	}
	if err := n.prove(req, id); err != nil {
		return err
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return status(resp.StatusCode)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(out)
}

func (n *naive) prove(req *http.Request, id string) error {
	hash := sha256.Sum256([]byte(credential))
	raw, err := json.Marshal(map[string]any{"jti": id, "htm": req.Method, "htu": "http://" + req.URL.Host + req.URL.Path, "iat": time.Now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(hash[:])})
	if err != nil {
		return err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: n.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		return err
	}
	jws, err := signer.Sign(raw)
	if err != nil {
		return err
	}
	proof, err := jws.CompactSerialize()
	req.Header.Set("Authorization", "DPoP "+string(credential))
	req.Header.Set("DPoP", proof)
	return err
}

// ServeHTTP is the webhook; polling does the work.
func (n *naive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	sign, _ := standardwebhooks.NewWebhook(string(secret))
	if err != nil || sign.Verify(body, r.Header) != nil && !n.has("ignores the webhook's signature") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e struct {
		Data struct {
			Release   ringfence.ReleaseID
			Canonical string
		}
	}
	if json.Unmarshal(body, &e) != nil && !n.has("ignores the webhook's signature") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if n.has("does what the webhook says") && e.Data.Canonical != "" {
		n.act("", e.Data.Release, fields, ringfence.Digest{})
	}
	w.WriteHeader(http.StatusNoContent)
}

func (n *naive) acts(context.Context) ([]conformance.Act, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.journal), nil
}

// ask runs cases against a naive executor with a fault.
func ask(t *testing.T, fault string, patience time.Duration, only func(string) bool) []conformance.Result {
	t.Helper()
	n := newNaive(fault)
	hook := httptest.NewServer(n)
	defer hook.Close()
	kit, err := conformance.New(conformance.Target{Name: name, Credential: credential, Webhook: hook.URL, Secret: secret, Type: "payment", Fields: fields,
		Fails: failing, Doubts: doubtful, Journal: n.acts, Patience: patience, Settle: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(kit.Gateway())
	defer gateway.Close()
	n.base = gateway.URL
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.run(ctx) }()
	defer func() { stop(); <-done }()
	return kit.Run(t.Context(), only, nil)
}

func TestAnExecutorWithoutMistakesPasses(t *testing.T) {
	for _, r := range ask(t, "", time.Minute, nil) {
		if r.Outcome == conformance.Broken {
			t.Errorf("%s: %s", r.Case, r.Says)
		}
	}
}

// TestEveryMistakeIsFound runs the case that is meant for each mistake.
func TestEveryMistakeIsFound(t *testing.T) {
	for fault, found := range map[string]string{
		"acts before it redeems":                "redeems before it acts",
		"uses its own copy":                     "acts on the canonical action",
		"ignores the audience":                  "wrong audience",
		"ignores the issuer":                    "wrong issuer",
		"ignores the tenant":                    "wrong tenant",
		"ignores the release":                   "another release",
		"ignores the time":                      "expired",
		"ignores the time of issue":             "of the future",
		"ignores how long it lives":             "too long a life",
		"allows no skew":                        "small clock skew",
		"decodes without verifying":             "altered permit",
		"takes HS256":                           "public key as password",
		"takes the key from the permit":         "key of its own",
		"ignores the type of the token":         "another type of token",
		"acts when it was refused":              "redeemed before",
		"does not compare the digest":           "altered body",
		"believes the answer's digest":          "altered body and digest",
		"does not compare the release":          "action of another release",
		"does not compare the tenant":           "action of another tenant",
		"does not compare the type":             "action of another type",
		"reads twice":                           "two readings",
		"acts without an answer":                "answer lost",
		"asks again under a new key":            "answer in doubt",
		"does it again when it is listed again": "offered again",
		"gives up after a refusal":              "first permit lapsed",
		"reports once, come what may":           "report lost",
		"says executed for what failed":         "failed action",
		"says failed for what it does not know": "unknown outcome",
		"tries unknown again":                   "unknown is never tried again",
		"ignores the webhook's signature":       "forged webhook signature",
		"does what the webhook says":            "webhook that carries an action",
		"follows redirects":                     "redirect",
		"uses a proof twice":                    "proof of possession",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			patience := time.Minute
			if slices.Contains([]string{"small clock skew", "answer in doubt", "report lost", "first permit lapsed"}, found) {
				patience = 2 * time.Second // it is found by what does not come
			}
			for _, r := range ask(t, fault, patience, func(name string) bool { return name == found }) {
				if r.Outcome == conformance.Broken && r.Case == found {
					return
				}
			}
			t.Errorf("%q does not find it", found)
		})
	}
}
