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
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Life is how long an approval counts: 15 min; at most MaxLife (2-domain.md,
// 2.6).
const (
	Life    = 15 * time.Minute
	MaxLife = 4 * time.Hour
)

// purpose is what the signatures of this room are for.
const purpose = "approval"

// Matter is what is approved. All four bind; a change of any is another matter.
type Matter struct {
	Release      ringfence.ReleaseID
	Digest       ringfence.Digest
	PolicyHash   [32]byte
	EvidenceHash [32]byte
}

// whole reports whether nothing is missing: a zero binds nothing and refuses.
func (m Matter) whole() bool {
	return ringfence.ValidID(string(m.Release), ringfence.PrefixRelease) && !m.Digest.Zero() &&
		m.PolicyHash != [32]byte{} && m.EvidenceHash != [32]byte{}
}

// Message is what is signed: SHA-256("ringfence/approval/v1" ‖ 0x00 ‖ length
// and bytes of the release id ‖ digest ‖ policy hash ‖ evidence hash ‖ 1 or 0).
// The last byte tells agreeing from refusing.
func (m Matter) Message(agrees bool) [32]byte {
	h := sha256.New()
	h.Write([]byte("ringfence/approval/v1\x00"))
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(m.Release)))
	h.Write(n[:])
	h.Write([]byte(m.Release))
	h.Write(m.Digest[:])
	h.Write(m.PolicyHash[:])
	h.Write(m.EvidenceHash[:])
	if agrees {
		h.Write([]byte{1})
	} else {
		h.Write([]byte{0})
	}
	return [32]byte(h.Sum(nil))
}

// Decision is a person's signed answer.
type Decision struct {
	Matter
	Tenant    ringfence.TenantID
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
func (k *Desk) Begin(ctx context.Context, tenant ringfence.TenantID, person ringfence.PersonID, m Matter, agrees bool) (handle ringfence.Secret, options json.RawMessage, err error) {
	if !m.whole() {
		return nil, nil, errors.New("approve: a matter with something missing")
	}
	return k.signer.BeginSign(ctx, tenant, person, purpose, m.Message(agrees))
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
func (k *Desk) Finish(ctx context.Context, tenant ringfence.TenantID, person ringfence.PersonID, m Matter, agrees bool, reason string, handle ringfence.Secret, body []byte) (Outcome, error) {
	if !m.whole() {
		return OutcomeWrong, nil
	}
	sig, ok, err := k.signer.FinishSign(ctx, tenant, person, purpose, m.Message(agrees), handle, body)
	if err != nil || !ok || sig.Person != person || sig.Message != m.Message(agrees) {
		return OutcomeWrong, err
	}
	taken, err := k.approvals.Approval(ctx, Decision{Matter: m, Tenant: tenant, Person: person, Agrees: agrees, Reason: reason,
		Signature: sig, At: sig.At, ExpiresAt: sig.At.Add(k.life)})
	if err != nil || !taken {
		return OutcomeRefused, err
	}
	return OutcomeTaken, nil
}
