package shelf

import (
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

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
