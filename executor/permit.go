package executor

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"

	"github.com/ringfence/ringfence"
)

const (
	permitType = "ringfence-permit+jwt"
	// maxPermitLife is the longest life of a permit that ringfence ever gives.
	maxPermitLife = 300 * time.Second
	// keysAge is how old the published keys may be; keysPause the least time
	// between two fetches for a kid that is not among them.
	keysAge   = 5 * time.Minute
	keysPause = 10 * time.Second
)

// ErrPermit is returned for a permit that is not to be redeemed. What is wrong
// with it stands in the text.
var ErrPermit = errors.New("executor: this permit is not for us to redeem")

// Permit is a verified permit.
type Permit struct {
	Token   string // the JWS itself
	ID      ringfence.PermitID
	Release ringfence.ReleaseID
	Type    string
	Digest  ringfence.Digest
	Expires time.Time
	// Index and Head are the place of the permit's own entry in the ledger and
	// the signed note that covers it. Keep them: each executor is a witness.
	Index int64
	Head  string
}

// claims are a permit's, as the wire has them.
type claims struct {
	Issuer   string              `json:"iss"`
	Audience string              `json:"aud"`
	ID       ringfence.PermitID  `json:"jti"`
	Tenant   ringfence.TenantID  `json:"tenant"`
	Release  ringfence.ReleaseID `json:"sub"`
	Type     string              `json:"action"`
	Digest   ringfence.Digest    `json:"digest"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	Index    int64               `json:"ledger_index"`
	Head     string              `json:"ledger_head"`
}

// Pull fetches the permit of a ready release and verifies it. A release that
// is not ready, or has a permit out, is a *Refused.
func (c *Client) Pull(ctx context.Context, id ringfence.ReleaseID) (Permit, error) {
	var got struct {
		Permit string `json:"permit"`
	}
	// Each fetch is a new request: an answer that was lost is lost, and the
	// permit in it lapses.
	key := keyOf("permit", string(id), strconv.FormatInt(time.Now().UnixNano(), 10))
	if err := c.post(ctx, "/v1/releases/"+string(id)+"/permit", key, struct{}{}, &got); err != nil {
		return Permit{}, err
	}
	return c.Verify(ctx, got.Permit, id, time.Now())
}

// Verify reads a permit for a release: signature by a published key, type,
// issuer, audience, tenant, release, and time. Every fault is ErrPermit.
func (c *Client) Verify(ctx context.Context, token string, id ringfence.ReleaseID, now time.Time) (Permit, error) {
	if len(token) > maxPermitBytes {
		return Permit{}, fmt.Errorf("%w: it has %d bytes", ErrPermit, len(token))
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(jws.Signatures) != 1 {
		return Permit{}, fmt.Errorf("%w: it is no compact JWS signed with EdDSA", ErrPermit)
	}
	head := jws.Signatures[0].Protected
	if typ, _ := head.ExtraHeaders[jose.HeaderType].(string); typ != permitType {
		return Permit{}, fmt.Errorf("%w: its type is another", ErrPermit)
	}
	key, err := c.key(ctx, head.KeyID, now)
	if err != nil {
		return Permit{}, err
	}
	body, err := jws.Verify(key)
	if err != nil {
		return Permit{}, fmt.Errorf("%w: the signature does not verify", ErrPermit)
	}
	var cl claims
	if err := oneReading(body, &cl); err != nil {
		return Permit{}, fmt.Errorf("%w: %v", ErrPermit, err)
	}
	if says := c.judge(cl, id, now); says != "" {
		return Permit{}, fmt.Errorf("%w: %s", ErrPermit, says)
	}
	return Permit{Token: token, ID: cl.ID, Release: cl.Release, Type: cl.Type, Digest: cl.Digest, Expires: time.Unix(cl.Expires, 0),
		Index: cl.Index, Head: cl.Head}, nil
}

// judge returns what is wrong with claims, "" for nothing.
func (c *Client) judge(cl claims, id ringfence.ReleaseID, now time.Time) string {
	issued, expires := time.Unix(cl.IssuedAt, 0), time.Unix(cl.Expires, 0)
	switch {
	case cl.Issuer != c.cfg.Issuer:
		return "another issuer made it"
	case cl.Audience != c.cfg.Name:
		return "it is for another executor"
	case cl.Tenant != c.cfg.Tenant:
		return "it is another tenant's"
	case cl.Release != id:
		return "it is for another release"
	case !ringfence.ValidID(string(cl.ID), ringfence.PrefixPermit):
		return "it has no id"
	case cl.Digest.Zero() || cl.Type == "":
		return "it names no action"
	case expires.Sub(issued) > maxPermitLife || !expires.After(issued):
		return "its life is longer than any permit's"
	case issued.After(now.Add(c.cfg.Skew)):
		return "it was issued in the future: compare the clocks"
	case !now.Before(expires):
		return "it has expired"
	default:
		return c.witness(cl)
	}
}

// witness checks the head of the ledger that came with the permit.
func (c *Client) witness(cl claims) string {
	if c.cfg.LogKey == nil {
		return ""
	}
	n, err := note.Open([]byte(cl.Head), note.VerifierList(c.cfg.LogKey))
	if err != nil {
		return "the head of the ledger in it is not signed by the ledger's key"
	}
	lines := strings.SplitN(n.Text, "\n", 3)
	if len(lines) < 3 || lines[0] != c.cfg.LogKey.Name() {
		return "the head in it is another ledger's"
	}
	if size, err := strconv.ParseInt(lines[1], 10, 64); err != nil || cl.Index < 0 || size <= cl.Index {
		return "the head in it does not cover its own entry"
	}
	return ""
}

// key returns the published key of a kid. Keys are fetched again when they are
// old, and once in a while for a kid that is not among them.
func (c *Client) key(ctx context.Context, kid string, now time.Time) (ed25519.PublicKey, error) {
	if kid == "" || len(kid) > 256 {
		return nil, fmt.Errorf("%w: it names no key", ErrPermit)
	}
	c.keysMu.Lock()
	keys, age := c.keys, now.Sub(c.at)
	c.keysMu.Unlock()
	if found := keys.Key(kid); age > keysAge || len(found) == 0 && age > keysPause || age < 0 {
		var err error
		if keys, err = c.fetchKeys(ctx, now); err != nil {
			return nil, err
		}
	}
	found := keys.Key(kid)
	if len(found) != 1 {
		return nil, fmt.Errorf("%w: its key is not published", ErrPermit)
	}
	pub, ok := found[0].Key.(ed25519.PublicKey)
	if !ok || found[0].Use != "" && found[0].Use != "sig" || found[0].Algorithm != "" && found[0].Algorithm != string(jose.EdDSA) {
		return nil, fmt.Errorf("%w: its key is not one for EdDSA", ErrPermit)
	}
	return pub, nil
}

func (c *Client) fetchKeys(ctx context.Context, now time.Time) (jose.JSONWebKeySet, error) {
	var keys jose.JSONWebKeySet
	if err := c.get(ctx, "/.well-known/jwks.json", &keys); err != nil {
		return keys, fmt.Errorf("published keys: %w", err)
	}
	c.keysMu.Lock()
	defer c.keysMu.Unlock()
	c.keys, c.at = keys, now
	return keys, nil
}

// Action is what was released, as the redemption returned it.
type Action struct {
	Release ringfence.ReleaseID `json:"release"`
	Permit  ringfence.PermitID  `json:"permit"`
	Type    string              `json:"type"`
	Subject ringfence.SubjectID `json:"subject"`
	// Fields are canonical text: money as minor units and currency, dates as
	// YYYY-MM-DD.
	Fields     map[string]string `json:"fields"`
	Digest     ringfence.Digest  `json:"digest"`
	RedeemedAt time.Time         `json:"redeemed_at"` // by our clock
	// Canonical is the text that the digest is over.
	Canonical string `json:"canonical"`
}

// Redeem spends a permit and returns the action, after checking that it is the
// one that was permitted. Asking again is safe: the key is the permit's own.
func (c *Client) Redeem(ctx context.Context, p Permit) (Action, error) {
	var got struct {
		Permit    ringfence.PermitID  `json:"permit"`
		Release   ringfence.ReleaseID `json:"release"`
		Type      string              `json:"type"`
		Canonical string              `json:"canonical"`
		Digest    ringfence.Digest    `json:"digest"`
	}
	if err := c.post(ctx, "/v1/permits/redeem", keyOf("redeem", string(p.ID)), map[string]string{"permit": p.Token}, &got); err != nil {
		return Action{}, err
	}
	if got.Permit != p.ID || got.Release != p.Release || got.Type != p.Type || got.Digest != p.Digest {
		return Action{}, fmt.Errorf("%w: the redemption answers another one", ErrPermit)
	}
	a, err := readAction([]byte(got.Canonical), p.Digest)
	if err != nil {
		return Action{}, err
	}
	if a.Release != p.Release || a.Type != p.Type || a.tenant != c.cfg.Tenant {
		return Action{}, fmt.Errorf("%w: the action in the redemption is another", ErrPermit)
	}
	a.Permit, a.RedeemedAt = p.ID, time.Now().UTC()
	return a.Action, nil
}

type readForm struct {
	Action
	tenant ringfence.TenantID
}

// readAction reads a canonical action that must have the digest.
func readAction(canonical []byte, want ringfence.Digest) (readForm, error) {
	sum := sha256.Sum256(append([]byte("ringfence/action/v1\x00"), canonical...))
	if ringfence.Digest(sum) != want {
		return readForm{}, fmt.Errorf("%w: the action is not the one that was permitted", ErrPermit)
	}
	var a struct {
		Version int                 `json:"v"`
		Tenant  ringfence.TenantID  `json:"tenant"`
		Release ringfence.ReleaseID `json:"release"`
		Nonce   string              `json:"nonce"`
		Type    string              `json:"type"`
		Subject ringfence.SubjectID `json:"subject"`
		Fields  map[string]string   `json:"fields"`
	}
	if err := jsonv2.Unmarshal(canonical, &a, jsonv2.RejectUnknownMembers(true)); err != nil || a.Version != 1 || !bytes.HasPrefix(canonical, []byte("{")) {
		return readForm{}, fmt.Errorf("%w: the canonical action does not have one reading", ErrPermit)
	}
	return readForm{tenant: a.Tenant, Action: Action{Release: a.Release, Type: a.Type, Subject: a.Subject, Fields: a.Fields,
		Digest: want, Canonical: string(canonical)}}, nil
}

// oneReading decodes JSON that two parsers cannot read differently: no
// duplicate or case-folded names, no trailing data, no invalid UTF-8. Members
// that are not known are passed over, so that ringfence may add some.
func oneReading(raw []byte, out any) error {
	if err := jsonv2.Unmarshal(raw, out); err != nil {
		return errors.New("not JSON of one reading")
	}
	return nil
}
