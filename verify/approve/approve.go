// Package approve runs the ceremony in which a colleague agrees to a release,
// or refuses it: their own passkey, user verified, over exactly release,
// digest, policy hash and evidence hash (invariant 14).
//
// It judges nothing about who may approve: separation of duties, groups and
// counts are the gate's, which gets the signed decision through Approvals and
// may still refuse it.
package approve

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Life is how long an approval counts: 15 min; at most MaxLife.
const (
	Life    = 15 * time.Minute
	MaxLife = 4 * time.Hour
)

// purpose is what the signatures of this room are for.
const purpose = "approval"

// Matter is what is approved. All of it binds; a change of any part is another
// matter.
type Matter struct {
	Tenant       ringfence.TenantID
	Release      ringfence.ReleaseID
	Digest       ringfence.Digest
	PolicyHash   ringfence.Digest
	EvidenceHash ringfence.Digest
}

// whole reports whether nothing is missing: a zero binds nothing and refuses.
func (m Matter) whole() bool {
	return m.Tenant != "" && ringfence.ValidID(string(m.Release), ringfence.PrefixRelease) && !m.Digest.Zero() &&
		!m.PolicyHash.Zero() && !m.EvidenceHash.Zero()
}

// Message is what is signed. For agreeing it is the gate's own message, so
// that the gate can check the signature again: SHA-256("ringfence/approval/v1"
// ‖ 0x00 ‖ tenant ‖ 0x00 ‖ release ‖ 0x00 ‖ digest ‖ policy hash ‖ evidence
// hash). Refusing says "ringfence/refusal/v1" in its place, so that one never
// stands for the other.
func (m Matter) Message(agrees bool) [32]byte {
	word := "ringfence/refusal/v1"
	if agrees {
		word = "ringfence/approval/v1"
	}
	h := sha256.New()
	h.Write([]byte(word + "\x00" + string(m.Tenant) + "\x00" + string(m.Release) + "\x00"))
	h.Write(m.Digest[:])
	h.Write(m.PolicyHash[:])
	h.Write(m.EvidenceHash[:])
	return [32]byte(h.Sum(nil))
}

// Decision is a person's signed answer.
type Decision struct {
	Matter
	Person    ringfence.PersonID
	Agrees    bool
	Reason    string // the person's own words, for the record
	Signature verify.Signature
	At        time.Time
	ExpiresAt time.Time
}

// Approvals takes decisions. It is the gate: it checks that the matter is still
// what the release is, and that the person may decide it, in its own
// transaction. taken is false when it refuses; an error means that it could
// not find out.
type Approvals interface {
	Approval(ctx context.Context, d Decision) (taken bool, err error)
}

// Signer is a person's passkey; *passkey.Staff is one.
type Signer interface {
	BeginSign(ctx context.Context, tenant ringfence.TenantID, person ringfence.PersonID, purpose string, message [32]byte) (handle ringfence.Secret, options json.RawMessage, err error)
	FinishSign(ctx context.Context, tenant ringfence.TenantID, person ringfence.PersonID, purpose string, message [32]byte, handle ringfence.Secret, body []byte) (verify.Signature, bool, error)
}

// Desk runs the ceremonies.
type Desk struct {
	signer    Signer
	approvals Approvals
	life      time.Duration
}

// NewDesk returns a desk. Zero life means Life; more than MaxLife is refused.
func NewDesk(signer Signer, approvals Approvals, life time.Duration) (*Desk, error) {
	if life == 0 {
		life = Life
	}
	if signer == nil || approvals == nil || life < 0 || life > MaxLife {
		return nil, errors.New("approve: needs a signer, a gate, and a life of at most 4 h")
	}
	return &Desk{signer: signer, approvals: approvals, life: life}, nil
}

// Begin starts the ceremony of one person over one matter, as the gate holds
// it now. handle comes back with the assertion.
func (k *Desk) Begin(ctx context.Context, person ringfence.PersonID, m Matter, agrees bool) (handle ringfence.Secret, options json.RawMessage, err error) {
	if !m.whole() {
		return nil, nil, errors.New("approve: a matter with something missing")
	}
	return k.signer.BeginSign(ctx, m.Tenant, person, purpose, m.Message(agrees))
}

// Outcome is what came of a ceremony. The zero value is no.
type Outcome string

// The outcomes.
const (
	OutcomeWrong   Outcome = "wrong"   // the assertion was not right, late, or over another matter
	OutcomeRefused Outcome = "refused" // the gate does not take it from this person or for this release any more
	OutcomeTaken   Outcome = "taken"
)

// Finish judges the assertion over the matter as the gate holds it now; a
// matter that changed since Begin is wrong. A good one goes to the gate.
func (k *Desk) Finish(ctx context.Context, person ringfence.PersonID, m Matter, agrees bool, reason string, handle ringfence.Secret, body []byte) (Outcome, error) {
	if !m.whole() {
		return OutcomeWrong, nil
	}
	sig, ok, err := k.signer.FinishSign(ctx, m.Tenant, person, purpose, m.Message(agrees), handle, body)
	if err != nil || !ok || sig.Person != person || sig.Message != m.Message(agrees) {
		return OutcomeWrong, err
	}
	taken, err := k.approvals.Approval(ctx, Decision{Matter: m, Person: person, Agrees: agrees, Reason: reason,
		Signature: sig, At: sig.At, ExpiresAt: sig.At.Add(k.life)})
	if err != nil || !taken {
		return OutcomeRefused, err
	}
	return OutcomeTaken, nil
}
