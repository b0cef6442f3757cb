package shelf

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// Find returns the hash of a bundle that was in force from the first eight or
// more digits of it.
func (s *Shelf) Find(ctx context.Context, tenant ringfence.TenantID, prefix string) (hash string, err error) {
	st, err := s.Status(ctx, tenant)
	if err != nil || len(prefix) < 8 {
		return "", err
	}
	for _, p := range st.History {
		if !strings.HasPrefix(p.Bundle, prefix) {
			continue
		}
		if hash != "" && hash != p.Bundle {
			return "", nil // two fit
		}
		hash = p.Bundle
	}
	return hash, nil
}

// Rollback brings a bundle back that was in force before, signed over
// flows.ApprovalMessage. To a policy that is equal or stricter one person is
// enough, and it takes effect at once; to a looser one it takes two, one of
// role risk, and 24 hours. A ramp and a bundle that waits are dropped by it;
// with the hash of what is in force that is all it does.
func (s *Shelf) Rollback(ctx context.Context, tenant ringfence.TenantID, hash string, a Approval) (out Result, err error) {
	before, err := s.inForce(ctx, tenant)
	if err != nil {
		return out, err
	}
	known, err := s.Status(ctx, tenant)
	if err != nil {
		return out, err
	}
	if !known.was(hash) {
		return Result{Bundle: hash, Refused: RefuseUnknown}, nil
	}
	b, err := s.read(ctx, tenant, hash)
	if err == nil {
		err = errors.Join(s.prove(b), s.accept(tenant, b))
	}
	if err != nil {
		return Result{Bundle: hash, Refused: RefuseBytes, Why: err.Error()}, nil
	}
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		out = Result{Bundle: hash}
		return s.rollback(ctx, tx, b, a, before, &out)
	})
	if err == nil && !out.From.IsZero() {
		err = s.Refresh(ctx, tenant)
	}
	return out, err
}

func (s *Shelf) rollback(ctx context.Context, tx ledger.Tx, b *flows.Bundle, a Approval, before standing, out *Result) error {
	st, version, err := readState(ctx, tx)
	if err != nil {
		return err
	}
	if version != before.version {
		return ledger.ErrConflict
	}
	if s.hashOf(st) == out.Bundle && st.Next == nil && st.Ramp == nil {
		out.Refused = RefuseInForce
		return nil
	}
	msg := flows.ApprovalMessage(b.Hash())
	if _, out.Refused, err = s.signed(ctx, tx, a, msg, signers); err != nil || out.Refused != Done {
		return err
	}
	out.Changes, _ = before.changes(b)
	out.Looser = before.current == nil || flows.PolicyLooser(before.current, b) || before.ramp != nil && flows.PolicyLooser(before.ramp, b)
	want := 1
	if out.Looser {
		want = 2
	}
	d, draftVersion, err := s.sign(ctx, tx, st, PublishRequest{Bundle: b, Approval: a})
	if err != nil {
		return err
	}
	out.Signed = persons(d.Signed)
	if out.Refused, err = s.enough(ctx, tx, msg, d.Signed, want, out.Looser); err != nil {
		return err
	}
	if out.Refused != Done {
		out.Proposed, d.Looser = true, out.Looser
		rec := ledger.Record{Kind: kindDraft, ID: out.Bundle, Version: draftVersion, Sort: d.At.UnixNano()}
		if err := ledger.Write(ctx, tx, &rec, d); err != nil {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "approval.given", Person: a.Person, Object: out.Bundle, Data: map[string]string{"what": "rollback"}})
		return err
	}
	if draftVersion > 0 {
		if err := tx.Delete(ctx, kindDraft, out.Bundle, draftVersion); err != nil {
			return err
		}
	}
	w := Waiting{Bundle: out.Bundle, From: tx.Now(), How: howRolledBack, By: out.Signed}
	if out.Looser {
		w.From = tx.Now().Add(before.wait(tx.Now()))
	}
	out.From = w.From
	return s.schedule(ctx, tx, st, version, b, w, d.Signed, out.Looser)
}

// Status is what stands on the shelf of a tenant, for people.
type Status struct {
	Current string        `json:"current"`
	Next    *Waiting      `json:"next,omitempty"`
	Ramp    *Ramp         `json:"ramp,omitempty"`
	History []Publication `json:"history,omitempty"`
	Drafts  []Proposal    `json:"proposals,omitempty"`
}

// Proposal is a bundle that waits for a signature.
type Proposal struct {
	Bundle string               `json:"bundle"`
	At     time.Time            `json:"at"`
	Share  Share                `json:"share,omitzero"` // not zero: it begins as a ramp
	Looser bool                 `json:"looser"`
	Signed []ringfence.PersonID `json:"signed"`
}

func (s Status) was(hash string) bool { return state{History: s.History}.was(hash) }

// Status reads what is in force, waits, is ramped and was proposed.
func (s *Shelf) Status(ctx context.Context, tenant ringfence.TenantID) (out Status, err error) {
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		st, _, err := readState(ctx, tx)
		if err != nil {
			return err
		}
		out = Status{Current: s.hashOf(st), Next: st.Next, Ramp: st.Ramp, History: st.History}
		drafts, err := ledger.Rows[draft](ctx, tx, kindDraft, ledger.Query{})
		if err != nil {
			return err
		}
		for _, d := range drafts {
			if tx.Now().Sub(d.At) <= draftLife && d.Base == out.Current {
				out.Drafts = append(out.Drafts, Proposal{Bundle: d.Bundle, At: d.At, Share: d.Share, Looser: d.Looser, Signed: persons(d.Signed)})
			}
		}
		return nil
	})
	return out, err
}

// Proposed returns a bundle that waits for a signature, wherever it was
// proposed; ledger.ErrNotFound for any other. It is proved anew.
func (s *Shelf) Proposed(ctx context.Context, tenant ringfence.TenantID, hash string) (*flows.Bundle, error) {
	st, err := s.Status(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(st.Drafts, func(p Proposal) bool { return p.Bundle == hash }) {
		return nil, ledger.ErrNotFound
	}
	return s.read(ctx, tenant, hash)
}
