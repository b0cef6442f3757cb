// Package proofing collects the strongest proof there is: somebody was proofed
// in person before two named members of staff, or by an identity-proofing
// provider whose own signed result was fetched. It happens outside the
// telephone and opens what nothing else does (C5, "lost everything").
//
// Vocabulary, in order of need:
//
//   - Matter: whose identity is proofed, for which action. The gate says it, in
//     the same transaction (Judge), and so whether it may be proofed now.
//   - Witness: a member of staff who saw the person and their papers, showed
//     them the action, and signs subject, release and digest with their passkey.
//   - Provider: a service that checks papers and faces. What it found is
//     fetched from it, signed by it, and never taken from anybody who brings it.
//
// It refuses to judge who may witness (that is the gate's) and to believe a
// result that does not name the very session that was begun for this action.
package proofing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// KindProofing is a proofing that has begun, by release.
const KindProofing verify.Kind = "proofing"

// Together is how far the two witnesses' signatures may be apart: they saw the
// person at one time, at one place.
const Together = 30 * time.Minute

// A Matter is whose identity is proofed, and for what.
type Matter struct {
	Subject ringfence.SubjectID
	Release ringfence.ReleaseID
	Digest  ringfence.Digest
	Says    string            // the action in words
	Fields  map[string]string // its fields, as canonical text
	Record  map[string]string // what is on file of the subject: for a provider to compare
}

// Judge says which matter a release is, and refuses when its identity may not
// be proofed now, or one of the signatures is not of a member of staff who may
// witness. No signature asks for the matter alone.
type Judge func(ctx context.Context, tx verify.Tx, tenant ringfence.TenantID, release ringfence.ReleaseID, signed []verify.Signature) (Matter, error)

// Desk collects proofings.
type Desk struct {
	verifier *verify.Verifier
	judge    Judge
	provider Provider // nil = none
}

// NewDesk returns a desk. Without a provider only people can witness.
func NewDesk(v *verify.Verifier, judge Judge, provider Provider) (*Desk, error) {
	if v == nil || judge == nil {
		return nil, errors.New("proofing: want a verifier, and who judges the witnesses")
	}
	return &Desk{verifier: v, judge: judge, provider: provider}, nil
}

// begun is a proofing on its way.
type begun struct {
	Challenge ringfence.ChallengeID `json:"challenge"`
	First     *verify.Signature     `json:"first,omitempty"` // of the first witness
	Session   *session              `json:"session,omitempty"`
}

// session is one at a provider.
type session struct {
	ID        string                `json:"id"`
	Provider  string                `json:"provider"`
	Binding   string                `json:"binding"`
	Challenge ringfence.ChallengeID `json:"challenge"`
	Digest    ringfence.Digest      `json:"digest"`
}

// Witness takes the signature of one witness. done is true when it was the
// second, of another person, soon enough after the first: then the Evidence is
// written. A first signature that waited too long is replaced.
func (d *Desk) Witness(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID, sig verify.Signature) (done bool, err error) {
	err = d.update(ctx, tenant, release, func(tx verify.Tx, b *begun) (err error) {
		done, err = d.witness(ctx, tx, tenant, release, sig, b)
		return err
	})
	return done && err == nil, err
}

func (d *Desk) witness(ctx context.Context, tx verify.Tx, tenant ringfence.TenantID, release ringfence.ReleaseID, sig verify.Signature, b *begun) (bool, error) {
	first := b.First
	if first == nil || first.Person == sig.Person || first.Message != sig.Message || tx.Now().Sub(first.At) > Together {
		m, err := d.judge(ctx, tx, tenant, release, []verify.Signature{sig})
		if err != nil {
			return false, err
		}
		b.First, b.Challenge = &sig, ringfence.NewID[ringfence.ChallengeID](ringfence.PrefixChallenge)
		_, err = tx.Append(ctx, verify.Entry{Event: "challenge.presented", Subject: m.Subject, Release: release, Challenge: b.Challenge, Person: sig.Person,
			Data: map[string]string{"method": string(ringfence.FactProofed), "signed": digestOf(sig)}})
		return false, err
	}
	m, err := d.judge(ctx, tx, tenant, release, []verify.Signature{*first, sig})
	if err != nil {
		return false, err
	}
	_, ok, err := d.verifier.Proofed(ctx, tx, tenant, verify.Proofed{Challenge: b.Challenge, Subject: m.Subject, Release: release, Digest: m.Digest,
		At: first.At, By: sig.Person, Presented: true, Data: map[string]string{"by": "witnesses", "first": string(first.Person),
			"signed_1": digestOf(*first), "signed_2": digestOf(sig)}})
	b.First = nil
	return ok, err
}

// Waiting names the witness who has signed and waits for another, if any.
func (d *Desk) Waiting(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) (first ringfence.PersonID, err error) {
	err = d.verifier.Store().View(ctx, tenant, func(tx verify.Tx) error {
		first = ""
		b, _, err := load(ctx, tx, release)
		if err == nil && b.First != nil && tx.Now().Sub(b.First.At) <= Together {
			first = b.First.Person
		}
		return err
	})
	return first, err
}

// update changes what has begun for a release.
func (d *Desk) update(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID, change func(verify.Tx, *begun) error) error {
	return d.verifier.Store().Update(ctx, tenant, func(tx verify.Tx) error {
		b, version, err := load(ctx, tx, release)
		if err != nil {
			return err
		}
		if err := change(tx, &b); err != nil {
			return err
		}
		body, err := json.Marshal(b)
		if err != nil {
			return err
		}
		return tx.Put(ctx, &verify.Record{Kind: KindProofing, ID: string(release), Version: version, Body: body, Sort: tx.Now().UnixNano()})
	})
}

func load(ctx context.Context, tx verify.Tx, release ringfence.ReleaseID) (b begun, version int64, err error) {
	rec, err := tx.Get(ctx, KindProofing, string(release))
	if errors.Is(err, verify.ErrNotFound) {
		return b, 0, nil
	}
	if err != nil {
		return b, 0, err
	}
	if err := json.Unmarshal(rec.Body, &b); err != nil {
		return b, 0, errors.New("proofing: a damaged record")
	}
	return b, rec.Version, nil
}

func digestOf(sig verify.Signature) string {
	body, err := json.Marshal(sig)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// binding ties a provider's session to one subject and action. It is random as
// well, so that nobody outside can tell for whom it is.
func binding(tenant ringfence.TenantID, m Matter) string {
	var salt [16]byte
	if _, err := rand.Read(salt[:]); err != nil {
		panic("proofing: no randomness: " + err.Error()) // no input can cause it
	}
	h := sha256.New()
	h.Write(salt[:])
	h.Write([]byte(string(tenant) + "\x00" + string(m.Subject) + "\x00" + string(m.Release) + "\x00"))
	h.Write(m.Digest[:])
	return hex.EncodeToString(h.Sum(nil))
}
