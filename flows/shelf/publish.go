package shelf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// The ways a bundle comes into force.
const (
	howPublished  = "published"
	howRolledBack = "rolled_back"
)

// draft is a proposal with the signatures it has so far.
type draft struct {
	Bundle string             `json:"bundle"`
	Base   string             `json:"base"` // what was in force when it was proposed
	Share  Share              `json:"share,omitzero"`
	By     ringfence.PersonID `json:"by"`
	At     time.Time          `json:"at"`
	Looser bool               `json:"looser,omitempty"`
	Signed []Approval         `json:"signed"`
}

// Result says what became of a publication or rollback.
type Result struct {
	Refused Refusal `json:"refused,omitempty"`
	// Why tells more about a refusal of a bundle's bytes.
	Why    string `json:"why,omitempty"`
	Bundle string `json:"bundle"`
	// Proposed: the signature is kept and another one is missing, as Refused says.
	Proposed bool `json:"proposed,omitempty"`
	// Signed are those who have signed so far.
	Signed []ringfence.PersonID `json:"signed,omitempty"`
	// Changes is the difference to what is in force.
	Changes []flows.Change `json:"changes,omitempty"`
	Looser  bool           `json:"looser"`
	// From is when it takes effect; not zero once there are enough signatures.
	From time.Time `json:"from,omitzero"`
}

// PublishRequest is one signature under a bundle.
type PublishRequest struct {
	Bundle   *flows.Bundle
	Approval Approval
	// Share, when not zero, lets it begin as a ramp.
	Share Share
	// Audio is the folder with the recordings that the bundle names; those that
	// are stored already need not lie there.
	Audio fs.FS
}

// Publish keeps a signature over flows.ApprovalMessage of the bundle. With the
// second, by another person, the bundle comes into force: at once when nothing
// is looser, else 24 hours later. The proposal is void when something else
// came into force meanwhile; the signature then is the first of a new one.
func (s *Shelf) Publish(ctx context.Context, tenant ringfence.TenantID, q PublishRequest) (out Result, err error) {
	if q.Bundle == nil {
		return Result{Refused: RefuseBytes, Why: "there is none"}, nil
	}
	hash := q.Bundle.HashText()
	if hash != s.cfg.Base.HashText() {
		// What is stored is what was signed, and it holds here and now.
		b, err := s.load(hash, q.Bundle.Canonical())
		if err != nil {
			return Result{Bundle: hash, Refused: RefuseBytes, Why: err.Error()}, nil
		}
		q.Bundle = b
	}
	if err := s.accept(tenant, q.Bundle); err != nil {
		return Result{Bundle: hash, Refused: RefuseBytes, Why: err.Error()}, nil
	}
	if err := q.Share.check(); err != nil {
		return Result{}, err
	}
	audio, err := s.audioOf(ctx, tenant, q.Bundle, q.Audio, s.cfg.Audio)
	if err != nil {
		return Result{Bundle: hash, Refused: RefuseBytes, Why: err.Error()}, nil
	}
	if err := s.Refresh(ctx, tenant); err != nil && s.Current(tenant) == nil {
		s.cfg.Log.Warn("what is in force does not load", "err", err)
	}
	before, err := s.inForce(ctx, tenant)
	if err != nil {
		return out, err
	}
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		out = Result{Bundle: hash}
		if err := s.publish(ctx, tx, q, before, &out); err != nil || out.Refused != Done && !out.Proposed {
			return err
		}
		return storeAudio(ctx, tx, audio)
	})
	if err == nil && !out.From.IsZero() {
		err = s.Refresh(ctx, tenant)
	}
	return out, err
}

func (s *Shelf) publish(ctx context.Context, tx ledger.Tx, q PublishRequest, before standing, out *Result) error {
	st, version, err := readState(ctx, tx)
	if err != nil {
		return err
	}
	if version != before.version {
		return ledger.ErrConflict
	}
	ramped := st.Ramp != nil && st.Ramp.Bundle == out.Bundle
	if inForce := s.hashOf(st); inForce == out.Bundle || ramped && !q.Share.zero() {
		out.Refused = RefuseInForce
		return nil
	}
	msg := flows.ApprovalMessage(q.Bundle.Hash())
	if _, out.Refused, err = s.signed(ctx, tx, q.Approval, msg, signers); err != nil || out.Refused != Done {
		return err
	}
	out.Changes, out.Looser = before.changes(q.Bundle)
	d, draftVersion, err := s.sign(ctx, tx, st, q)
	if err != nil {
		return err
	}
	out.Signed = persons(d.Signed)
	if out.Refused, err = s.enough(ctx, tx, msg, d.Signed, 2, out.Looser); err != nil {
		return err
	}
	if err := s.storeBundle(ctx, tx, q.Bundle); err != nil {
		return err
	}
	if out.Refused != Done {
		out.Proposed, d.Looser = true, out.Looser
		rec := ledger.Record{Kind: kindDraft, ID: out.Bundle, Version: draftVersion, Sort: d.At.UnixNano()}
		if err := ledger.Write(ctx, tx, &rec, d); err != nil {
			return err
		}
		_, err := tx.Append(ctx, ledger.Entry{Event: "approval.given", Person: q.Approval.Person, Object: out.Bundle,
			Data: map[string]string{"what": "bundle", "looser": fmt.Sprint(out.Looser)}})
		return err
	}
	if draftVersion > 0 {
		if err := tx.Delete(ctx, kindDraft, out.Bundle, draftVersion); err != nil {
			return err
		}
	}
	w := Waiting{Bundle: out.Bundle, From: tx.Now(), How: howPublished, Share: d.Share, By: out.Signed}
	if out.Looser {
		w.From = tx.Now().Add(before.wait(tx.Now()))
	}
	out.From = w.From
	return s.schedule(ctx, tx, st, version, q.Bundle, w, d.Signed, out.Looser)
}

// sign adds a signature to the proposal of the bundle, or begins one.
func (s *Shelf) sign(ctx context.Context, tx ledger.Tx, st state, q PublishRequest) (draft, int64, error) {
	hash := q.Bundle.HashText()
	d, version, err := ledger.Read[draft](ctx, tx, kindDraft, hash)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return d, version, err
	}
	if err != nil || d.Base != s.hashOf(st) || tx.Now().Sub(d.At) > draftLife || !d.Share.equal(q.Share) {
		d = draft{Bundle: hash, Base: s.hashOf(st), Share: q.Share, By: q.Approval.Person, At: tx.Now()}
	}
	d.Signed = slices.DeleteFunc(d.Signed, func(a Approval) bool { return a.Person == q.Approval.Person })
	d.Signed = append(d.Signed, q.Approval)
	return d, version, nil
}
