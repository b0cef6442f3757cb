package gate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// OpenRequest asks for an action. Console, flow and API use this one door.
type OpenRequest struct {
	Type    string
	Subject ringfence.SubjectID
	// Represents, when set, is the subject who acts for Subject under a
	// mandate; the evidence is then about them.
	Represents ringfence.SubjectID
	Fields     map[string]string // canonical text by field; money as "1250 GBP" in minor units
	Traversal  ringfence.TraversalID
	By         Actor
	AskedBy    AskedBy
	Bundle     ringfence.Digest
	Key        Key // idempotency; zero = none
}

// Open opens an action. The release comes back in pending_evidence, or denied
// with the reason when no proof could help. It returns an *InvalidError for a
// request that names no action of the policy, no such subject or unusable
// fields, and ErrConflict for a key that came with another body.
func (g *Gate) Open(ctx context.Context, tenant ringfence.TenantID, q OpenRequest) (Release, Verdict, error) {
	r, err := g.newRow(ctx, tenant, q, true)
	if err != nil {
		return Release{}, Verdict{}, err
	}
	var signals []ringfence.Signal
	if g.cfg.Signals != nil {
		signals = g.cfg.Signals(ctx, r.Release)
	}
	fresh := r
	var out Release
	var v Verdict
	err = g.cfg.Store.Update(expecting(ctx, r), tenant, func(tx ledger.Tx) error {
		if old, err := recall(ctx, tx, q.Key); err != nil {
			return err
		} else if old != "" {
			r, _, err := ledger.Read[row](ctx, tx, KindRelease, old)
			out, v = r.public(), Verdict{Class: r.Class, Reasons: r.Reasons, Missing: r.Missing, Approvals: r.Approvals, Next: r.Why}
			if r.State == StatePendingEvidence && len(r.Missing) > 0 {
				v.Decision = StepUp
			}
			return err
		}
		r := fresh
		t := &turn{g: g, ctx: ctx, tx: tx, r: &r, now: tx.Now(), signals: signals}
		if v, err = t.open(q); err != nil {
			return err
		}
		out = r.public()
		return remember(ctx, tx, q.Key, string(r.ID))
	})
	return out, v, err
}

// newRow checks a request. known is false for a subject that does not exist.
func (g *Gate) newRow(ctx context.Context, tenant ringfence.TenantID, q OpenRequest, known bool) (row, error) {
	p := g.cfg.Policies.Current(tenant)
	if p == nil {
		return row{}, errors.New("gate: no policy is in force")
	}
	a, ok := p.Action(q.Type)
	switch {
	case !ok:
		return row{}, &InvalidError{Field: "type", Says: "is no action of the policy"}
	case q.By.Zero():
		return row{}, &InvalidError{Field: "by", Says: "nobody asks"}
	case q.Subject == "":
		return row{}, &InvalidError{Field: "subject", Says: "is missing"}
	case !slices.Contains([]AskedBy{AskedUnsaid, AskedPhone, AskedPerson, AskedEmail, AskedLetter}, q.AskedBy):
		return row{}, &InvalidError{Field: "asked_by", Says: "want phone, in_person, email or letter"}
	}
	flags, err := CheckFields(a, q.Fields)
	if err != nil {
		return row{}, err
	}
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return row{}, err
	}
	r := row{Release: Release{ID: ringfence.NewID[ringfence.ReleaseID](ringfence.PrefixRelease), Tenant: tenant, Type: q.Type,
		Says: a.Says, Subject: q.Subject, Kind: a.About, Proves: q.Subject, Fields: maps.Clone(q.Fields), Flags: flags,
		Nonce: hex.EncodeToString(nonce[:]), Traversal: q.Traversal, Opener: q.By, AskedBy: q.AskedBy,
		Policy: p.Hash(), Bundle: q.Bundle}}
	if q.Represents != "" {
		r.Proves = q.Represents
	}
	if g.cfg.Executor != nil {
		r.Executor = g.cfg.Executor(tenant, q.Type)
	}
	if err := g.keep(ctx, tenant, a, &r, known); err != nil {
		return row{}, err
	}
	_, r.Digest, err = Canonical(r.Release)
	return r, err
}

// open writes the new release: requested, judged, and denied at once when
// nothing that can be got would help.
func (t *turn) open(q OpenRequest) (Verdict, error) {
	t.r.RequestedAt, t.r.ExpiresAt = t.now, t.now.Add(pendingLife)
	if a, ok := t.pinned().Action(t.r.Type); ok && a.Class >= ringfence.C5 {
		t.r.ExpiresAt = t.now.Add(papersLife)
	}
	if _, err := ledgerSubject(t); errors.Is(err, ledger.ErrNotFound) {
		return Verdict{}, ErrNoSubject
	} else if err != nil {
		return Verdict{}, err
	}
	if t.r.pending != nil {
		d := desk{g: t.g, ctx: t.ctx, tx: t.tx, tenant: t.r.Tenant, now: t.now}
		if err := d.putAuthenticator(*t.r.pending, 0); err != nil {
			return Verdict{}, err
		}
	} else if a, ok := t.pinned().Action(t.r.Type); ok {
		if err := t.enrolment(a); err != nil {
			return Verdict{}, err
		}
		if err := t.named(a); err != nil {
			return Verdict{}, err
		}
	}
	data := map[string]string{"type": t.r.Type, "digest": t.r.Digest.String(), "policy": t.r.Policy.String(),
		"bundle": t.r.Bundle.String(), "asked_by": string(t.r.AskedBy), "flags": strings.Join(t.r.Flags, "; ")}
	if _, err := t.entry("release.requested", q.By, data); err != nil {
		return Verdict{}, err
	}
	t.r.State = StatePendingEvidence
	v, err := t.decide()
	if err != nil {
		return v, err
	}
	to := StatePendingEvidence
	if v.Decision == Refuse && slices.ContainsFunc(v.Reasons, hopeless) {
		to = StateDenied
	}
	t.r.State = ""
	if err := t.move(to, q.By, v.Next); err != nil {
		return v, err
	}
	if to == StatePendingEvidence {
		if err := t.alarms(); err != nil {
			return v, err
		}
	}
	return v, t.save(0)
}

func ledgerSubject(t *turn) (ringfence.Subject, error) {
	s, _, err := ledger.Read[ringfence.Subject](t.ctx, t.tx, ledger.KindSubject, string(t.r.Subject))
	return s, err
}

// hopeless reports reasons that no waiting and no proof mends.
func hopeless(r policy.Reason) bool {
	return r == policy.ReasonPolicy || r == policy.ReasonMandate || r == policy.ReasonWrongSubject
}
