package shelf

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

const (
	// shadowLife is how long a shadow follows calls when nothing is said;
	// maxShadowLife how long it may.
	shadowLife    = 24 * time.Hour
	maxShadowLife = 30 * 24 * time.Hour
	// maxDifferent bounds the points that are told apart, maxFollowed the calls
	// that wait to be counted.
	maxDifferent = 200
	maxFollowed  = 1000
	examples     = 3
)

// Shadow is a bundle that follows live calls with no effect, and how it took
// them. It holds no digit and no value of a call.
type Shadow struct {
	Bundle string             `json:"bundle"`
	By     ringfence.PersonID `json:"by"`
	Since  time.Time          `json:"since"`
	Until  time.Time          `json:"until"` // no call that begins later is followed
	// Calls are the runs of a flow that were followed: Same asked and said the
	// same, Words other words, Differs something else, Unknown not to the end.
	Calls       int                `json:"calls"`
	Same        int                `json:"same"`
	Words       int                `json:"words"`
	Differs     int                `json:"differs"`
	Unknown     int                `json:"unknown"`
	Differences []ShadowDifference `json:"differences,omitempty"` // most frequent first
}

// ShadowDifference is one point where the shadow did otherwise.
type ShadowDifference struct {
	flows.Difference
	Calls    int                     `json:"calls"`
	Examples []ringfence.TraversalID `json:"examples,omitempty"` // to be replayed
}

// Runs reports whether it follows calls that begin now.
func (s Shadow) Runs(now time.Time) bool { return s.Bundle != "" && now.Before(s.Until) }

// shadowing is what this process follows calls with, and what it has not
// counted yet.
type shadowing struct {
	mu      sync.Mutex
	version int64
	shadow  Shadow
	bundle  *flows.Bundle
	told    []told
}

type told struct {
	bundle string
	call   ringfence.TraversalID
	rep    flows.Followed
}

func (s *Shelf) shadowing(tenant ringfence.TenantID) *shadowing {
	out, _ := s.shadows.LoadOrStore(tenant, &shadowing{})
	return out.(*shadowing)
}

// StartShadow lets a bundle follow the calls that begin from now on, for life
// (zero: 24 h, at most 30 days), in place of one that did. It changes nothing
// on any call, so one person who may sign bundles is enough, and no signature
// is asked for; the bundle must load and be proved all the same.
func (s *Shelf) StartShadow(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, by ringfence.PersonID, life time.Duration) (out Result, err error) {
	if b == nil {
		return Result{Refused: RefuseBytes, Why: "there is none"}, nil
	}
	if life == 0 {
		life = shadowLife
	}
	if life < 0 || life > maxShadowLife {
		return Result{}, errors.New("shelf: a shadow follows for up to 30 days")
	}
	hash := b.HashText()
	if _, err := s.load(hash, b.Canonical()); err != nil {
		return Result{Bundle: hash, Refused: RefuseBytes, Why: err.Error()}, nil
	}
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		out = Result{Bundle: hash}
		if out.Refused, err = maySign(ctx, tx, by); err != nil || out.Refused != Done {
			return err
		}
		st, _, err := readState(ctx, tx)
		if err != nil {
			return err
		}
		if st.Ramp == nil && s.hashOf(st) == hash { // it would follow nothing but itself
			out.Refused = RefuseInForce
			return nil
		}
		if err := s.storeBundle(ctx, tx, b); err != nil {
			return err
		}
		out.From = tx.Now()
		return writeShadow(ctx, tx, Shadow{Bundle: hash, By: by, Since: out.From, Until: out.From.Add(life)}, by, "started")
	})
	if err == nil && out.Refused == Done {
		err = s.refreshShadow(ctx, tenant)
	}
	return out, err
}

// StopShadow lets no call that begins from now on be followed. What was found
// stays until another shadow begins.
func (s *Shelf) StopShadow(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID) (out Result, err error) {
	err = s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		out = Result{}
		if out.Refused, err = maySign(ctx, tx, by); err != nil || out.Refused != Done {
			return err
		}
		sh, _, err := readShadow(ctx, tx)
		if err != nil {
			return err
		}
		if !sh.Runs(tx.Now()) {
			out.Refused = RefuseNoShadow
			return nil
		}
		out.Bundle, out.From = sh.Bundle, tx.Now()
		sh.Until = tx.Now()
		return writeShadow(ctx, tx, sh, by, "stopped")
	})
	if err == nil && out.Refused == Done {
		err = s.refreshShadow(ctx, tenant)
	}
	return out, err
}

// maySign reports whether a person may sign bundles.
func maySign(ctx context.Context, tx ledger.Tx, by ringfence.PersonID) (Refusal, error) {
	p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(by))
	if errors.Is(err, ledger.ErrNotFound) {
		return RefuseSigner, nil
	}
	if err != nil || !slices.ContainsFunc(signers, func(r ringfence.Role) bool { return p.Has(r, tx.Now()) }) {
		return RefuseSigner, err
	}
	return Done, nil
}

func readShadow(ctx context.Context, tx ledger.Tx) (Shadow, int64, error) {
	sh, version, err := ledger.Read[Shadow](ctx, tx, kindShadow, stateID)
	if errors.Is(err, ledger.ErrNotFound) {
		return Shadow{}, 0, nil
	}
	return sh, version, err
}

func writeShadow(ctx context.Context, tx ledger.Tx, sh Shadow, by ringfence.PersonID, what string) error {
	_, version, err := readShadow(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Append(ctx, ledger.Entry{Event: "config.changed", Person: by, Object: sh.Bundle,
		Data: map[string]string{"shadow": what, "until": sh.Until.UTC().Format(time.RFC3339)}})
	if err != nil {
		return err
	}
	rec := ledger.Record{Kind: kindShadow, ID: stateID, Version: version}
	return ledger.Write(ctx, tx, &rec, sh)
}

// ShadowStatus returns the shadow of a tenant that runs or ran last, and what
// was found. The zero Shadow means that there was none.
func (s *Shelf) ShadowStatus(ctx context.Context, tenant ringfence.TenantID) (out Shadow, err error) {
	err = s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		out, _, err = readShadow(ctx, tx)
		return err
	})
	return out, err
}

// Shadow returns the bundle that follows calls which begin now; nil = none.
func (s *Shelf) Shadow(tenant ringfence.TenantID) *flows.Bundle {
	sh := s.shadowing(tenant)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.bundle == nil || !sh.shadow.Runs(time.Now()) {
		return nil
	}
	return sh.bundle
}

// Followed takes how a run of a flow was followed; Run counts it. It does not
// block; when nobody counts, what comes last is dropped.
func (s *Shelf) Followed(tenant ringfence.TenantID, call ringfence.TraversalID, rep flows.Followed) {
	sh := s.shadowing(tenant)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.told) < maxFollowed {
		rep.Steps = nil
		sh.told = append(sh.told, told{rep.To, call, rep})
	}
}

// refreshShadow takes up what was started or stopped, here or elsewhere.
func (s *Shelf) refreshShadow(ctx context.Context, tenant ringfence.TenantID) error {
	var now Shadow
	var version int64
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		now, version, err = readShadow(ctx, tx)
		return err
	})
	sh := s.shadowing(tenant)
	sh.mu.Lock()
	same := version == sh.version || now.Bundle == sh.shadow.Bundle && now.Until.Equal(sh.shadow.Until)
	if err == nil && same {
		sh.version, sh.shadow = version, now
	}
	sh.mu.Unlock()
	if err != nil || same {
		return err
	}
	var b *flows.Bundle
	if now.Runs(time.Now()) {
		if b, err = s.read(ctx, tenant, now.Bundle); err != nil {
			return err
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.version, sh.shadow, sh.bundle = version, now, b
	return nil
}

// keepFollowed counts what was told since the last time.
func (s *Shelf) keepFollowed(ctx context.Context, tenant ringfence.TenantID) error {
	sh := s.shadowing(tenant)
	sh.mu.Lock()
	list := sh.told
	sh.told = nil
	sh.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	err := s.cfg.Store.Update(ctx, tenant, func(tx ledger.Tx) error {
		now, version, err := readShadow(ctx, tx)
		if err != nil || version == 0 {
			return err
		}
		for _, one := range list {
			if one.bundle == now.Bundle {
				now.count(one.call, one.rep)
			}
		}
		rec := ledger.Record{Kind: kindShadow, ID: stateID, Version: version}
		return ledger.Write(ctx, tx, &rec, now)
	})
	if err != nil { // it is counted the next time
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.told = append(list, sh.told...)
		sh.told = sh.told[:min(len(sh.told), maxFollowed)]
	}
	return err
}

func (s *Shadow) count(call ringfence.TraversalID, rep flows.Followed) {
	s.Calls++
	switch rep.Result {
	case flows.FollowedSame:
		s.Same++
	case flows.FollowedWords:
		s.Words++
	case flows.FollowedDiffers:
		s.Differs++
	default:
		s.Unknown++
	}
	for _, d := range rep.Differences {
		at := slices.IndexFunc(s.Differences, func(o ShadowDifference) bool { return o.Difference == d })
		if at < 0 {
			if len(s.Differences) >= maxDifferent {
				continue
			}
			s.Differences = append(s.Differences, ShadowDifference{Difference: d})
			at = len(s.Differences) - 1
		}
		one := &s.Differences[at]
		one.Calls++
		if len(one.Examples) < examples && !slices.Contains(one.Examples, call) {
			one.Examples = append(one.Examples, call)
		}
	}
	slices.SortStableFunc(s.Differences, func(a, b ShadowDifference) int { return b.Calls - a.Calls })
}
