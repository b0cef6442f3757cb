package shelf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
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
	if err := s.Refresh(ctx, tenant); err != nil && s.Current(tenant) == nil {
		s.cfg.Log.Warn("what is in force does not load", "err", err)
	}
	before, err := s.inForce(ctx, tenant)
	if err != nil {
		return out, err
	}
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		out = Result{Bundle: hash}
		return s.publish(ctx, tx, q, before, &out)
	})
	if err == nil && !out.From.IsZero() {
		err = s.Refresh(ctx, tenant)
	}
	return out, err
}

// standing is what a change is compared with.
type standing struct {
	version int64
	current *flows.Bundle // nil: it cannot be loaded, and everything is looser
	ramp    *flows.Bundle
}

// inForce reads what is in force. A bundle that this version cannot load any
// more counts as nothing: whatever comes after it is looser.
func (s *Shelf) inForce(ctx context.Context, tenant ringfence.TenantID) (standing, error) {
	var st state
	var now standing
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		st, now.version, err = readState(ctx, tx)
		return err
	})
	if err != nil {
		return now, err
	}
	now.current = s.cfg.Base
	if st.Current != "" {
		if now.current, err = s.read(ctx, tenant, st.Current); err != nil {
			now.current = nil
			s.cfg.Log.Warn("what is in force does not load", "err", err)
		}
	}
	if st.Ramp != nil {
		if now.ramp, err = s.read(ctx, tenant, st.Ramp.Bundle); err != nil {
			now.ramp = nil
			s.cfg.Log.Warn("what is ramped does not load", "err", err)
		}
	}
	return now, nil
}

// changes compares a bundle with what is in force, and looser says whether one
// of those who sign needs role risk. During a ramp both policies hold, so
// leaving either is a step down.
func (n standing) changes(b *flows.Bundle) (list []flows.Change, looser bool) {
	if n.current == nil {
		return []flows.Change{{Looser: true, Where: "all", Says: "what is in force cannot be read any more"}}, true
	}
	list = flows.Diff(n.current, b)
	return list, len(flows.Looser(list)) > 0 || n.ramp != nil && flows.PolicyLooser(n.ramp, b)
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
	if err := storeBundle(ctx, tx, q.Bundle); err != nil {
		return err
	}
	if out.Refused != Done {
		out.Proposed = true
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

// hashOf is the bundle in force by a state.
func (s *Shelf) hashOf(st state) string {
	if st.Current == "" {
		return s.cfg.Base.HashText()
	}
	return st.Current
}

// wait is how long what is looser waits under the policy in force.
func (n standing) wait(now time.Time) time.Duration {
	if n.current == nil {
		return looserWait
	}
	if w, ok := n.current.Policy().Waived("", policy.WaivePolicyWait, now); ok {
		return min(looserWait, max(minWait, w.Duration()))
	}
	return looserWait
}

// schedule brings a bundle into force now or lets it wait; another one that
// waited is dropped, for it was compared with something else.
func (s *Shelf) schedule(ctx context.Context, tx ledger.Tx, st state, version int64, b *flows.Bundle, w Waiting, sigs []Approval, looser bool) error {
	event := ledger.Event("policy." + w.How)
	policyHash := ringfence.Digest(b.Policy().Hash())
	entry := ledger.Entry{Event: event, Object: w.Bundle, Data: listed(map[string]string{"bundle": w.Bundle, "policy": policyHash.String(),
		"before": s.hashOf(st), "looser": fmt.Sprint(looser), "from": w.From.UTC().Format(time.RFC3339), "share": w.Share.String()}, sigs)}
	if len(sigs) > 0 {
		entry.Person = sigs[0].Person
	}
	if err := s.withBase(ctx, tx, &st); err != nil {
		return err
	}
	at, err := tx.Append(ctx, entry)
	if err != nil {
		return err
	}
	st.Entry, st.Next = at, nil
	if w.From.After(tx.Now()) {
		st.Next = &w
		return writeState(ctx, tx, st, version)
	}
	return s.put(ctx, tx, st, version, b, w)
}

// enforce brings a bundle that waited into force, with an entry of its own.
func (s *Shelf) enforce(ctx context.Context, tx ledger.Tx, st state, version int64, b *flows.Bundle, w Waiting) error {
	at, err := tx.Append(ctx, ledger.Entry{Event: ledger.Event("policy." + w.How), Object: w.Bundle,
		Data: map[string]string{"bundle": w.Bundle, "before": s.hashOf(st), "in_force": "its time has come", "share": w.Share.String()}})
	if err != nil {
		return err
	}
	st.Entry = at
	return s.put(ctx, tx, st, version, b, w)
}

func (s *Shelf) put(ctx context.Context, tx ledger.Tx, st state, version int64, b *flows.Bundle, w Waiting) error {
	how := w.How
	if w.Share.zero() {
		st.Current, st.Ramp = w.Bundle, nil
	} else {
		ramp := newRamp(w, tx.Now())
		if st.Ramp != nil && st.Ramp.Bundle == w.Bundle {
			ramp.Salt = st.Ramp.Salt // whoever was in stays in
			if st.Ramp.Stopped == "" {
				ramp.Since = st.Ramp.Since // and is counted on
			}
		}
		how, st.Ramp = "ramped", ramp
	}
	st.note(Publication{Bundle: w.Bundle, Policy: b.Policy().Hash(), How: how, At: tx.Now(), By: w.By})
	return writeState(ctx, tx, st, version)
}
