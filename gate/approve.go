package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Approval is another person's decision, bound to exactly one release, action,
// policy and set of evidence.
type Approval struct {
	ID            ringfence.ApprovalID      `json:"id"`
	Release       ringfence.ReleaseID       `json:"release"`
	Person        ringfence.PersonID        `json:"person"`
	Groups        []string                  `json:"groups"`
	Authenticator ringfence.AuthenticatorID `json:"authenticator"`
	Digest        ringfence.Digest          `json:"digest"`
	Policy        ringfence.Digest          `json:"policy"`
	EvidenceHash  ringfence.Digest          `json:"evidence_hash"`
	Assertion     []byte                    `json:"assertion"` // the WebAuthn assertion over ApprovalMessage
	At            time.Time                 `json:"at"`
	ExpiresAt     time.Time                 `json:"expires_at"`
	Withdrawn     time.Time                 `json:"withdrawn,omitzero"`
}

// ApprovalInput is what verify/approve hands over after its ceremony.
type ApprovalInput struct {
	Release       ringfence.ReleaseID
	Person        ringfence.PersonID
	Authenticator ringfence.AuthenticatorID // the approver's passkey
	// Digest, Policy and EvidenceHash are what the approver was shown; if the
	// release is no longer that, the approval is refused.
	Digest, Policy, EvidenceHash ringfence.Digest
	Assertion                    []byte
}

// ApprovalMessage is the 32 bytes that an approver's passkey signs:
// SHA-256("ringfence/approval/v1" ‖ 0x00 ‖ tenant ‖ 0x00 ‖ release ‖ 0x00 ‖ digest ‖
// policy hash ‖ evidence-set hash).
func ApprovalMessage(r Release) [32]byte {
	h := sha256.New()
	h.Write([]byte("ringfence/approval/v1\x00" + string(r.Tenant) + "\x00" + string(r.ID) + "\x00"))
	h.Write(r.Digest[:])
	h.Write(r.Policy[:])
	h.Write(r.EvidenceHash[:])
	return [32]byte(h.Sum(nil))
}

// Approve records a colleague's approval and moves the release on if release
// was asked for. It refuses with self_approval whoever opened the action or
// was on one of its calls, and with ErrForbidden whoever is not of the group,
// whose role or passkey is younger than its waiting time, or whose assertion
// does not verify.
func (g *Gate) Approve(ctx context.Context, tenant ringfence.TenantID, in ApprovalInput) (Release, Verdict, error) {
	var v Verdict
	r, err := g.changeJudging(ctx, tenant, in.Release, func(t *turn) error {
		if t.r.State != StatePendingApproval {
			return stateError(t.r.State)
		}
		if in.Digest != t.r.Digest || in.Policy != t.r.Policy || in.EvidenceHash != t.r.EvidenceHash || in.EvidenceHash.Zero() {
			return ErrConflict
		}
		took, err := t.tookPart(in.Person)
		if err != nil {
			return err
		}
		if took {
			v = Verdict{Class: t.r.Class, Reasons: []policy.Reason{policy.ReasonSelfApproval}, Next: sentences[policy.ReasonSelfApproval]}
			return nil
		}
		groups, err := t.approver(in)
		if err != nil {
			return err
		}
		a := Approval{ID: ringfence.NewID[ringfence.ApprovalID](ringfence.PrefixApproval), Release: t.r.ID, Person: in.Person, Groups: groups,
			Authenticator: in.Authenticator, Digest: in.Digest, Policy: in.Policy, EvidenceHash: in.EvidenceHash,
			Assertion: in.Assertion, At: t.now, ExpiresAt: t.now.Add(approvalLife)}
		if err := t.putApproval(a, 0); err != nil {
			return err
		}
		sum := sha256.Sum256(in.Assertion)
		_, err = t.tx.Append(t.ctx, ledger.Entry{Event: "approval.given", Subject: t.r.Subject, Release: t.r.ID, Person: a.Person,
			Object: string(a.ID), Data: map[string]string{"digest": a.Digest.String(), "policy": a.Policy.String(),
				"evidence_set": a.EvidenceHash.String(), "assertion_sha256": ringfence.Digest(sum).String()}})
		if err != nil {
			return err
		}
		v, err = t.advance(Actor{Flow: "approval"}, false)
		return err
	})
	return r, v, err
}

func stateError(s State) error {
	switch s {
	case StateHeld:
		return ErrHeld
	case StateExpired:
		return ErrExpired
	default:
		return ErrConflict
	}
}

func (t *turn) putApproval(a Approval, version int64) error {
	rec := ledger.Record{Kind: KindApproval, ID: string(a.ID), Version: version, Subject: t.r.Subject,
		Keys: map[string]string{"release": string(a.Release), "person": string(a.Person)}, Sort: a.At.UnixNano()}
	return ledger.Write(t.ctx, t.tx, &rec, a)
}

// approver judges person, group, waiting times and signature.
func (t *turn) approver(in ApprovalInput) ([]string, error) {
	p, _, err := ledger.Read[ringfence.Person](t.ctx, t.tx, ledger.KindPerson, string(in.Person))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, ErrForbidden
	} else if err != nil {
		return nil, err
	}
	group := t.r.Approvals.Group
	if group == "" || p.Status != ringfence.StatusActive || t.now.Before(p.Since) || !slices.Contains(p.Groups, group) {
		return nil, ErrForbidden
	}
	keys, err := ledger.Rows[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, bySubject(in.Person))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(keys, func(a ringfence.Authenticator) bool { return a.ID == in.Authenticator })
	d := desk{g: t.g, ctx: t.ctx, tx: t.tx, tenant: t.r.Tenant, now: t.now}
	if i < 0 || keys[i].Status != ringfence.StatusActive || !passkeyCounts(keys, keys[i], t.now, d.wait()) {
		return nil, ErrForbidden
	}
	if t.g.cfg.CheckApproval == nil {
		return nil, ErrForbidden
	}
	if err := t.g.cfg.CheckApproval(t.ctx, keys[i], ApprovalMessage(t.r.Release), in.Assertion); err != nil {
		return nil, ErrForbidden
	}
	return p.Groups, nil
}

// passkeyCounts: the first passkey counts as soon as the person's roles do; a
// later one only after the waiting time from when it was bound (invariant 20).
func passkeyCounts(all []ringfence.Authenticator, a ringfence.Authenticator, now time.Time, wait time.Duration) bool {
	first := !slices.ContainsFunc(all, func(o ringfence.Authenticator) bool {
		return o.Type == ringfence.AuthPasskey && o.StoredAt.Before(a.StoredAt)
	})
	return a.Type == ringfence.AuthPasskey && !a.StoredAt.IsZero() && (first || now.Sub(later(a.StoredAt, a.BoundAt)) >= wait)
}

// tookPart reports whether a person opened the action, asked for anything of
// it, or was on any leg of its traversal (invariant 13): whoever stands in an
// entry of either but for approving, lifting or raising an alarm.
func (t *turn) tookPart(person ringfence.PersonID) (bool, error) {
	if person == "" || t.r.Opener.Knows(person) {
		return true, nil
	}
	for _, q := range []ledger.EntryQuery{{Release: t.r.ID}, {Traversal: t.r.Traversal}} {
		if q.Release == "" && q.Traversal == "" {
			continue
		}
		for e, err := range ledger.AllEntries(t.ctx, t.tx, q) {
			if err != nil {
				return true, err
			}
			if e.Person == person && tookPartBy(e) {
				return true, nil
			}
		}
	}
	return false, nil
}

func tookPartBy(e ledger.Entry) bool {
	switch e.Event {
	case "approval.given", "approval.refused", "approval.withdrawn", "hold.placed", "hold.lifted", "alert.raised",
		"release.held", "release.denied":
		return false
	default:
		return true
	}
}

// approvals reads the approvals that count: bound to this release as it is, not
// withdrawn, of somebody who still could give it with the same passkey, and at the
// move out of pending_approval not expired.
func (t *turn) approvals() ([]policy.Approval, error) {
	if t.r.EvidenceHash.Zero() {
		return nil, nil // none can be bound to it yet
	}
	rows, err := ledger.Rows[Approval](t.ctx, t.tx, KindApproval, ledger.Query{Key: "release", Value: string(t.r.ID)})
	if err != nil {
		return nil, err
	}
	var out []policy.Approval
	for _, a := range rows {
		open := t.r.State == StatePendingApproval || t.r.State == StateHeld
		expired := open && !t.now.Before(a.ExpiresAt)
		groups, err := t.stands(a)
		if err != nil {
			return nil, err
		}
		if len(groups) == 0 || a.Digest != t.r.Digest || a.Policy != t.r.Policy || a.EvidenceHash != t.r.EvidenceHash || !a.Withdrawn.IsZero() || expired {
			continue
		}
		took, err := t.tookPart(a.Person)
		if err != nil {
			return nil, err
		}
		if !took {
			out = append(out, policy.Approval{ID: a.ID, Person: a.Person, Groups: groups})
		}
	}
	return out, nil
}

// stands lists the groups for which an approval still stands: none when whoever
// gave it was suspended since, or the passkey that signed it was taken away. A
// stolen one may have signed before anybody noticed.
func (t *turn) stands(a Approval) ([]string, error) {
	by, err := t.personNamed(a.Person)
	if err != nil || by.Status != ringfence.StatusActive {
		return nil, err
	}
	key, _, err := ledger.Read[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, string(a.Authenticator))
	if err != nil && !missing(err) {
		return nil, err
	}
	if err != nil || key.Status != ringfence.StatusActive || string(key.Subject) != string(a.Person) {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(a.Groups), func(g string) bool { return !slices.Contains(by.Groups, g) }), nil
}

// RefuseApproval records that a colleague said no; the release is held for
// review.
func (g *Gate) RefuseApproval(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, person ringfence.PersonID) (Release, error) {
	return g.change(ctx, tenant, id, func(t *turn) error {
		if t.r.State != StatePendingApproval {
			return stateError(t.r.State)
		}
		p, _, err := ledger.Read[ringfence.Person](t.ctx, t.tx, ledger.KindPerson, string(person))
		if err != nil || p.Status != ringfence.StatusActive || !slices.Contains(p.Groups, t.r.Approvals.Group) {
			return ErrForbidden
		}
		if _, err := t.entry("approval.refused", Actor{Person: person}, map[string]string{"digest": t.r.Digest.String()}); err != nil {
			return err
		}
		return t.hold("approval_refused", Actor{Person: person}, time.Time{})
	})
}

// WithdrawApproval takes an approval back before the permit is redeemed; a
// release that stood on it is held for review.
func (g *Gate) WithdrawApproval(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, approval ringfence.ApprovalID, person ringfence.PersonID) (Release, error) {
	return g.change(ctx, tenant, id, func(t *turn) error {
		a, version, err := ledger.Read[Approval](t.ctx, t.tx, KindApproval, string(approval))
		switch {
		case err != nil:
			return err
		case a.Release != id:
			return ErrNotFound
		case a.Person != person:
			return ErrForbidden
		case !t.r.State.BeforeRedeemed() || !a.Withdrawn.IsZero():
			return ErrConflict
		}
		a.Withdrawn = t.now
		if err := t.putApproval(a, version); err != nil {
			return err
		}
		if _, err := t.tx.Append(t.ctx, ledger.Entry{Event: "approval.withdrawn", Release: id, Subject: t.r.Subject, Person: person, Object: string(approval)}); err != nil {
			return err
		}
		if t.r.State == StatePendingApproval {
			return nil
		}
		return t.hold("approval_withdrawn", Actor{Person: person}, time.Time{})
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
