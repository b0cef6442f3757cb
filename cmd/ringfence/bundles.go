package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/flows/shelf"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/verify/passkey"
)

// newShelf returns the bundles of an installation. base is in force for whom
// nothing was published.
func newShelf(cfg config.Config, store ledger.Store, base *flows.Bundle, staff passkey.RP, log *slog.Logger) (*shelf.Shelf, error) {
	check, err := passkey.CheckApproval(staff)
	if err != nil {
		return nil, err
	}
	return shelf.New(shelf.Config{
		Store: store, Base: base, CheckPasskey: check, SingleOperator: cfg.SingleOperator, Log: log, Prove: proved,
		Audio: scriptsOf(cfg, nil), CheckAudio: playable,
		Accept: func(tenant ringfence.TenantID, b *flows.Bundle) error { return hasLines(cfg, tenant, b) },
	})
}

// playable says why a recording cannot be played to a caller.
func playable(wav []byte) error {
	clip, err := voice.ReadWAV(wav)
	if err == nil && (len(clip) == 0 || len(clip) > voice.MaxClipSeconds*voice.Rate) {
		err = fmt.Errorf("want up to %d seconds of sound", voice.MaxClipSeconds)
	}
	return err
}

// proved proves a bundle by this very version of the engine.
func proved(b *flows.Bundle) (flows.Certificate, error) {
	r := flows.Prove(b)
	if r.Clean() {
		return r.Certificate(), nil
	}
	for _, d := range r.Diagnostics() {
		if policy.Failed([]policy.Diagnostic{d}) {
			return flows.Certificate{}, errors.New(d.String())
		}
	}
	return flows.Certificate{}, errors.New("nothing was proved")
}

// hasLines reports a line of the tenant that names no inbound flow of the
// bundle.
func hasLines(cfg config.Config, tenant ringfence.TenantID, b *flows.Bundle) error {
	for _, l := range cfg.Lines {
		if tenantOr(l.Tenant) != tenant || l.Kind != "" {
			continue
		}
		if f, ok := b.Flow(l.Flow); !ok || f.Starts != flows.StartsInbound {
			return fmt.Errorf("lines.%s.flow: there is no inbound flow %q", l.Name, l.Flow)
		}
	}
	return nil
}

// tenants are those of the configuration, and the one that is always there.
func tenants(cfg config.Config) []ringfence.TenantID {
	out := []ringfence.TenantID{ringfence.DefaultTenant}
	for _, t := range cfg.Tenants {
		if id := tenantOr(t.ID); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// joinShelf takes up what was published. What cannot be loaded refuses the
// start: the scripts of the configuration may be looser.
func (a *app) joinShelf(ctx context.Context) (err error) {
	if a.shelf, err = newShelf(a.cfg, a.store, a.base, a.verify.staffRP, a.log); err != nil {
		return err
	}
	var errs []error
	for _, t := range tenants(a.cfg) {
		if err := a.shelf.Refresh(ctx, t); err != nil {
			errs = append(errs, fmt.Errorf("tenant %s: %w (ringfence flow status tells more; publish a bundle that holds)", t, err))
		}
	}
	return errors.Join(errs...)
}

// policies gives the gate the policies of the bundles on the shelf.
type policies struct{ shelf *shelf.Shelf }

// Current implements gate.Policies.
func (p policies) Current(t ringfence.TenantID) *policy.Policy { return p.shelf.Policy(t) }

// ByHash implements gate.Policies.
func (p policies) ByHash(t ringfence.TenantID, hash [32]byte) *policy.Policy {
	return p.shelf.PolicyByHash(t, hash)
}

// Also implements gate.Ramping.
func (p policies) Also(t ringfence.TenantID) []*policy.Policy { return p.shelf.Also(t) }
