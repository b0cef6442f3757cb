// Package pin checks telephone PINs: something the subject knows, strength K,
// a fact about the leg that keyed it and never approval of an action.
//
// A PIN is kept as one argon2id hash under the pepper, which is compared with
// two keyed tags: that of the PIN and that of the opt-in duress PIN. Both tags
// are always there (the second is random for who did not opt in), both are
// always compared, and a subject without a PIN costs the same argon2id, so
// neither time nor steps tell one case from another (invariants 23 and 26).
//
// The room refuses to be a lock: tries, locks and tiers are verify's.
package pin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Cost is the work of one comparison. The zero value means 2 passes over
// 19 MiB with 1 lane, OWASP's setting and the least that is taken: a million
// PINs are few for any hash, so what protects a stolen store is the pepper, and
// what a dearer hash would buy is a cheaper flood of calls.
type Cost struct {
	Passes    uint32 `json:"passes"`
	MemoryKiB uint32 `json:"memory_kib"`
	Lanes     uint8  `json:"lanes"`
}

func (c Cost) fill() (Cost, error) {
	if c == (Cost{}) {
		return Cost{Passes: 2, MemoryKiB: 19 * 1024, Lanes: 1}, nil
	}
	if c.Passes < 1 || c.MemoryKiB < 19*1024 || c.Passes == 1 && c.MemoryKiB < 46*1024 || c.Lanes < 1 || c.MemoryKiB > 1<<20 || c.Passes > 16 {
		return c, fmt.Errorf("pin: argon2id over %d KiB in %d passes and %d lanes is too weak or too much; leave it empty for 19 MiB, 2 passes, 1 lane", c.MemoryKiB, c.Passes, c.Lanes)
	}
	return c, nil
}

// Method is the PIN method. Make it with New.
type Method struct {
	pepper ringfence.Secret
	cost   Cost
	nobody record        // compared with when the subject has no PIN
	slots  chan struct{} // bounds memory: each comparison holds cost.MemoryKiB
}

// New returns the method. The pepper is the one verify was built with. At most
// four comparisons run at a time; more wait.
func New(pepper ringfence.Secret, cost Cost) (*Method, error) {
	if len(pepper) < 32 {
		return nil, errors.New("pin: the pepper needs 32 bytes or more")
	}
	cost, err := cost.fill()
	if err != nil {
		return nil, err
	}
	m := &Method{pepper: pepper, cost: cost, slots: make(chan struct{}, 4)}
	m.nobody = record{V: 1, Cost: cost, Salt: random(16), Tag: random(32), Duress: random(32)}
	return m, nil
}

// Spec implements verify.Method.
func (m *Method) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactPIN, Strength: ringfence.StrengthKnowledge, Authenticator: ringfence.AuthPIN,
		Life: 2 * time.Minute, MaxLife: 10 * time.Minute, Quiet: true}
}

// record is what stands in ringfence.Authenticator.Secret. Fields are added,
// never renamed or removed.
type record struct {
	V      int    `json:"v"`
	Cost   Cost   `json:"cost"`
	Salt   []byte `json:"salt"`
	Tag    []byte `json:"tag"`
	Duress []byte `json:"duress"` // random unless the subject opted in
	// Past holds the tags of earlier PINs under the same salt, newest first.
	Past [][]byte `json:"past,omitempty"`
	// Initial marks a random first PIN that is to be changed.
	Initial bool `json:"initial,omitempty"`
}

// Check implements verify.Method. It costs one argon2id whatever was keyed.
func (m *Method) Check(ctx context.Context, a verify.Attempt) (verify.Verdict, error) {
	rec, id := m.nobody, ringfence.AuthenticatorID("")
	if len(a.Authenticators) > 0 {
		one := a.Authenticators[0]
		var stored record
		if err := json.Unmarshal(one.Secret, &stored); err != nil || stored.V != 1 || len(stored.Tag) != 32 || len(stored.Duress) != 32 {
			return verify.Verdict{}, fmt.Errorf("pin: the record of %s is damaged", one.ID)
		}
		rec, id = stored, one.ID
	}
	h, err := m.hash(ctx, rec, a.Answer.Value)
	if err != nil {
		return verify.Verdict{}, err
	}
	right := subtle.ConstantTimeCompare(m.tag("pin", h), rec.Tag)
	duress := subtle.ConstantTimeCompare(m.tag("duress", h), rec.Duress)
	if id == "" || right|duress == 0 {
		return verify.Verdict{}, nil
	}
	return verify.Verdict{OK: true, Duress: duress == 1, Authenticator: id, MustChange: rec.Initial}, nil
}

// hash is the argon2id of a PIN. The pepper goes in first, so that a stolen
// store cannot be searched.
func (m *Method) hash(ctx context.Context, rec record, pin []byte) ([]byte, error) {
	if ctx.Err() != nil { // a free slot must not win over the end, now and then
		return nil, context.Cause(ctx)
	}
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	in := verify.Keyed(m.pepper, "pin", pin)
	defer clear(in)
	return argon2.IDKey(in, rec.Salt, rec.Cost.Passes, rec.Cost.MemoryKiB, rec.Cost.Lanes, 32), nil
}

func (m *Method) tag(what string, hash []byte) []byte {
	return verify.Keyed(m.pepper, "pin-"+what, hash)
}

func random(n int) []byte {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		panic("pin: no randomness: " + err.Error()) // no input can cause it
	}
	return b
}
