package verify

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// ProofedLife is how old a proofing of an identity may be when it is written
// down; the policy asks again when it is used.
const ProofedLife = 24 * time.Hour

// Proofed is an identity that was proofed outside the telephone, for one action.
type Proofed struct {
	Challenge ringfence.ChallengeID // one proofing; gives one Evidence row and never a second
	Subject   ringfence.SubjectID
	Release   ringfence.ReleaseID
	Digest    ringfence.Digest
	At        time.Time          // when the person was proofed, not when we heard of it
	By        ringfence.PersonID // the member of staff whose signature completes it; empty for a provider's finding
	// Presented: every field of the action was shown to the person (invariant 31).
	Presented bool
	// Data says in the entry how it was found; without a secret.
	Data map[string]string
}

// Proofed writes the Evidence of an identity that was proofed, in the
// transaction of the room that collected it (verify/proofing). ok is false, and
// nothing is written, for what names no action, for a subject who is not active,
// and for a time that is too long ago or still to come. A challenge that gave
// its row already is ErrConflict.
func (v *Verifier) Proofed(ctx context.Context, tx Tx, tenant ringfence.TenantID, p Proofed) (e ringfence.Evidence, ok bool, err error) {
	age := tx.Now().Sub(p.At)
	if !ringfence.ValidID(string(p.Challenge), ringfence.PrefixChallenge) || p.Release == "" || p.Digest.Zero() || p.At.IsZero() ||
		age < 0 || age > ProofedLife {
		return ringfence.Evidence{}, false, nil
	}
	s, _, err := load[ringfence.Subject](ctx, tx, ledger.KindSubject, string(p.Subject))
	if err != nil || p.Subject == "" || s.ID != p.Subject || s.Status != ringfence.StatusActive {
		return ringfence.Evidence{}, false, err
	}
	e = ringfence.Evidence{ID: evidenceID(p.Challenge), Tenant: tenant, Subject: p.Subject, Fact: ringfence.FactProofed,
		Strength: ringfence.StrengthProofed, Challenge: p.Challenge, Release: p.Release, Digest: p.Digest, Presented: p.Presented, At: p.At}
	hash, err := writeEvidence(ctx, tx, e)
	if err != nil {
		return ringfence.Evidence{}, false, err
	}
	data := map[string]string{"method": string(ringfence.FactProofed), "evidence": string(e.ID), "evidence_sha256": hash}
	for k, word := range p.Data {
		data[k] = word
	}
	_, err = tx.Append(ctx, Entry{Event: "challenge.satisfied", Subject: p.Subject, Release: p.Release, Challenge: p.Challenge, Person: p.By, Data: data})
	return e, err == nil, err
}
