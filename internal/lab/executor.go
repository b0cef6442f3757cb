package lab

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
)

// Executor is the system of a bank that does what was released: it pulls the
// permit, verifies it, redeems it, checks that the action it gets is the one
// that was permitted, books it once, and reports.
type Executor struct {
	Name string
	c    *client
	// Bank is where it books.
	Bank *Bank
}

// NewExecutor returns an executor at the staff listener. It makes the key whose
// possession it proves with every request.
func NewExecutor(name, base string) (*Executor, error) {
	proof, err := newDPoP()
	if err != nil {
		return nil, err
	}
	c := newClient(base)
	c.proof = proof
	return &Executor{Name: name, c: c, Bank: &Bank{}}, nil
}

// Key is the RFC 7638 thumbprint of the executor's key, to be registered.
func (e *Executor) Key() string { return e.c.proof.thumb }

// Use gives the executor its credential.
func (e *Executor) Use(credential string) { e.c.credential = credential }

// Permit is a permit as its executor reads it.
type Permit struct {
	Token    string              `json:"-"`
	ID       ringfence.PermitID  `json:"jti"`
	Audience string              `json:"aud"`
	Release  ringfence.ReleaseID `json:"sub"`
	Action   string              `json:"action"`
	Digest   ringfence.Digest    `json:"digest"`
	Expires  int64               `json:"exp"`
	Index    int64               `json:"ledger_index"`
	Head     string              `json:"ledger_head"` // the signed head of the log: keep it
}

// Redeemed is an action that may be done, once.
type Redeemed struct {
	Permit    ringfence.PermitID  `json:"permit"`
	Release   ringfence.ReleaseID `json:"release"`
	Type      string              `json:"type"`
	Canonical string              `json:"canonical"`
	Digest    ringfence.Digest    `json:"digest"`
	At        time.Time           `json:"at"`
}

// Fields returns the fields of the canonical action.
func (r Redeemed) Fields() (map[string]string, error) {
	var a struct {
		Type   string            `json:"type"`
		Fields map[string]string `json:"fields"`
	}
	if err := json.Unmarshal([]byte(r.Canonical), &a); err != nil || a.Type != r.Type {
		return nil, errors.New("lab: the canonical action cannot be read")
	}
	return a.Fields, nil
}

// Ready lists what is ready for this executor.
func (e *Executor) Ready(ctx context.Context) ([]Release, error) {
	var out struct{ Releases []Release }
	err := e.c.do(ctx, "GET", "/v1/releases", nil, &out)
	return out.Releases, err
}

// WaitReady polls every 200 ms, as an executor without a webhook does, until a
// release that is wanted is ready.
func (e *Executor) WaitReady(ctx context.Context, want func(Release) bool) (Release, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := e.Ready(ctx)
		if err != nil {
			return Release{}, err
		}
		for _, r := range all {
			if want(r) {
				return r, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Release{}, fmt.Errorf("lab: nothing became ready for %s: %w", e.Name, context.Cause(ctx))
		}
	}
}

// Pull fetches the permit of a release and verifies it with the published key.
func (e *Executor) Pull(ctx context.Context, id ringfence.ReleaseID) (Permit, error) {
	var p Permit
	var got struct{ Permit string }
	if err := e.c.do(ctx, "POST", "/v1/releases/"+string(id)+"/permit", map[string]any{}, &got); err != nil {
		return p, err
	}
	var keys jose.JSONWebKeySet
	if err := e.c.do(ctx, "GET", "/.well-known/jwks.json", nil, &keys); err != nil {
		return p, err
	}
	jws, err := jose.ParseSignedCompact(got.Permit, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(jws.Signatures) != 1 {
		return p, errors.New("lab: the permit is no JWS")
	}
	key := keys.Key(jws.Signatures[0].Header.KeyID)
	if len(key) != 1 {
		return p, errors.New("lab: the permit names no published key")
	}
	body, err := jws.Verify(key[0])
	if err != nil {
		return p, errors.New("lab: the signature of the permit does not verify")
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("lab: permit: %v", err)
	}
	p.Token = got.Permit
	if p.Audience != e.Name || p.Release != id {
		return p, errors.New("lab: the permit is for somebody else")
	}
	return p, nil
}

// Redeem spends a permit and checks that the action it gets is the one that was
// permitted. A second use is a *Problem.
func (e *Executor) Redeem(ctx context.Context, p Permit) (Redeemed, error) {
	var r Redeemed
	if err := e.c.do(ctx, "POST", "/v1/permits/redeem", map[string]any{"permit": p.Token}, &r); err != nil {
		return r, err
	}
	if sum := sha256.Sum256([]byte("ringfence/action/v1\x00" + r.Canonical)); ringfence.Digest(sum) != p.Digest || r.Digest != p.Digest {
		return r, errors.New("lab: the action is not the one that was permitted")
	}
	return r, nil
}

// Execute books a redeemed action and reports it.
func (e *Executor) Execute(ctx context.Context, r Redeemed) error {
	outcome := "executed"
	booked := e.Bank.book(r)
	if booked != nil {
		outcome = "failed"
	}
	err := e.c.do(ctx, "POST", "/v1/permits/"+string(r.Permit)+"/report", map[string]any{"outcome": outcome}, nil)
	return errors.Join(booked, err)
}

// Booking is one thing that the bank did.
type Booking struct {
	Release ringfence.ReleaseID
	Type    string
	Fields  map[string]string
	Digest  ringfence.Digest
}

// Bank is a toy core banking system: a journal that takes each release once.
// The zero value is an empty one.
type Bank struct {
	mu      sync.Mutex // guards journal
	journal []Booking
}

func (b *Bank) book(r Redeemed) error {
	fields, err := r.Fields()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, old := range b.journal {
		if old.Release == r.Release {
			return fmt.Errorf("lab: %s was done before", r.Release)
		}
	}
	b.journal = append(b.journal, Booking{Release: r.Release, Type: r.Type, Fields: fields, Digest: r.Digest})
	return nil
}

// Journal returns what the bank did, in order.
func (b *Bank) Journal() []Booking {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Booking(nil), b.journal...)
}
