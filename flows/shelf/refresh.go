package shelf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Refresh takes up what was published since the last time, here or by another
// process. On an error what ran goes on; at the first time nothing runs then:
// the base is no way out, for it may be looser than what was published.
func (s *Shelf) Refresh(ctx context.Context, tenant ringfence.TenantID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		settled, err := s.refresh(ctx, tenant)
		if err != nil || !settled {
			return err
		}
	}
}

// refresh reports settled when a waiting bundle has come into force and there
// is more to read.
func (s *Shelf) refresh(ctx context.Context, tenant ringfence.TenantID) (settled bool, err error) {
	old := s.view(tenant)
	next := view{byHash: map[string]*flows.Bundle{}, policies: map[[32]byte]*policy.Policy{}}
	if old != nil {
		maps.Copy(next.byHash, old.byHash)
		maps.Copy(next.policies, old.policies)
	}
	same, due := false, false
	stored := map[string]storedBundle{}
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		rec, err := tx.Get(ctx, kindState, stateID)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		waits := func(st state) bool { return st.Next != nil && !tx.Now().Before(st.Next.From) }
		if same = old != nil && rec.Version == old.version && !waits(old.state); same {
			return nil
		}
		if next.state, next.version, err = readState(ctx, tx); err != nil {
			return err
		}
		due = waits(next.state)
		return s.missing(ctx, tx, next, stored)
	})
	switch {
	case err != nil:
		return false, err
	case same:
		return false, nil
	case due:
		return true, s.settle(ctx, tenant, *next.state.Next)
	}
	return false, s.show(tenant, next, stored)
}

// missing reads the bundles that are not in memory yet. One that is gone is
// left out: whether that matters is seen when it is needed.
func (s *Shelf) missing(ctx context.Context, tx ledger.Tx, v view, into map[string]storedBundle) error {
	for _, p := range v.state.History {
		if v.byHash[p.Bundle] != nil || p.Bundle == s.cfg.Base.HashText() {
			continue
		}
		b, _, err := ledger.Read[storedBundle](ctx, tx, kindBundle, p.Bundle)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return fmt.Errorf("bundle %s: %w", short(p.Bundle), err)
		}
		into[p.Bundle] = b
	}
	return nil
}

// show compiles what was read and swaps the pointer, or leaves all as it is.
func (s *Shelf) show(tenant ringfence.TenantID, v view, stored map[string]storedBundle) error {
	v.keep(s.cfg.Base)
	failed := map[string]error{}
	for hash, row := range stored {
		b, err := s.take(hash, row)
		if err != nil {
			failed[hash] = err
			continue
		}
		v.keep(b)
	}
	current, ramp := v.state.Current, ""
	if current == "" {
		current = s.cfg.Base.HashText()
	}
	if v.state.Ramp != nil {
		ramp = v.state.Ramp.Bundle
	}
	for _, hash := range []string{current, ramp} {
		if hash == "" {
			continue
		}
		b := v.byHash[hash]
		if b == nil {
			return errors.Join(fmt.Errorf("shelf: bundle %s cannot be used", short(hash)), failed[hash])
		}
		if err := s.accept(tenant, b); err != nil {
			return err
		}
	}
	v.current, v.ramp = v.byHash[current], v.byHash[ramp]
	for hash, err := range failed {
		s.cfg.Log.Warn("a bundle of the past is of no use any more: what began with it is refused", "tenant", string(tenant), "bundle", hash, "err", err)
	}
	p, _ := s.views.LoadOrStore(tenant, &atomic.Pointer[view]{})
	p.(*atomic.Pointer[view]).Store(&v)
	return nil
}

func (v view) keep(b *flows.Bundle) {
	v.byHash[b.HashText()] = b
	if p := b.Policy(); v.policies[p.Hash()] == nil {
		v.policies[p.Hash()] = b.Policy()
	}
}

// settle brings a waiting bundle into force, if it holds under this version
// and nobody was quicker.
func (s *Shelf) settle(ctx context.Context, tenant ringfence.TenantID, w Waiting) error {
	b, err := s.read(ctx, tenant, w.Bundle)
	if err == nil {
		err = s.accept(tenant, b)
	}
	if err != nil {
		return err
	}
	return s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		st, version, err := readState(ctx, tx)
		if err != nil || st.Next == nil || st.Next.Bundle != w.Bundle || tx.Now().Before(st.Next.From) {
			return err
		}
		w := *st.Next
		st.Next = nil
		return s.enforce(ctx, tx, st, version, b, w)
	})
}

// read loads a stored bundle, whether it was ever in force or not.
func (s *Shelf) read(ctx context.Context, tenant ringfence.TenantID, hash string) (*flows.Bundle, error) {
	if hash == s.cfg.Base.HashText() {
		return s.cfg.Base, nil
	}
	var row storedBundle
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		row, _, err = ledger.Read[storedBundle](ctx, tx, kindBundle, hash)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", short(hash), err)
	}
	return s.take(hash, row)
}

// Remember keeps the base of this process, so that a call or a release that
// begins with it is still understood after an upgrade.
func (s *Shelf) Remember(ctx context.Context, tenant ringfence.TenantID) error {
	audio, err := s.audioOf(ctx, tenant, s.cfg.Base, s.cfg.Audio)
	if err != nil {
		return err
	}
	return s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		st, version, err := readState(ctx, tx)
		if err != nil || st.was(s.cfg.Base.HashText()) || st.Current != "" {
			return err
		}
		if err := storeAudio(ctx, tx, audio); err != nil {
			return err
		}
		if err := s.withBase(ctx, tx, &st); err != nil {
			return err
		}
		return writeState(ctx, tx, st, version)
	})
}

// withBase adds the base to what was in force.
func (s *Shelf) withBase(ctx context.Context, tx ledger.Tx, st *state) error {
	base := s.cfg.Base
	if st.Current != "" || st.was(base.HashText()) {
		return nil
	}
	if err := s.storeBundle(ctx, tx, base); err != nil {
		return err
	}
	st.note(Publication{Bundle: base.HashText(), Policy: base.Policy().Hash(), How: "base", At: tx.Now()})
	return nil
}

func (s *Shelf) storeBundle(ctx context.Context, tx ledger.Tx, b *flows.Bundle) error {
	_, err := tx.Get(ctx, kindBundle, b.HashText())
	if !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	rec := ledger.Record{Kind: kindBundle, ID: b.HashText(), Sort: tx.Now().UnixNano()}
	row := storedBundle{Canonical: b.Canonical(), StoredAt: tx.Now()}
	if s.cfg.Prove != nil {
		c, err := s.certify(b)
		if err != nil {
			return err
		}
		row.Certificate = c.Canonical()
	}
	return ledger.Write(ctx, tx, &rec, row)
}
