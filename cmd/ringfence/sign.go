package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/stirshaken"
)

// numbers are those that the configuration says are our own: they may be
// signed with attestation A.
type numbers struct {
	home  stirshaken.Home
	ours  []string
	since time.Time
}

// Proves implements stirshaken.Inventory.
func (n numbers) Proves(_ context.Context, _ ringfence.TenantID, tn ringfence.TN) (string, time.Time, bool, error) {
	known := slices.ContainsFunc(n.ours, func(text string) bool {
		own, ok := n.home.Canonical(text)
		return ok && own == tn
	})
	return "configuration", n.since, known, nil
}

// newSign returns what signs the calls we place, nil without a key.
func newSign(cfg config.STIR, log *slog.Logger) (func(ctx context.Context, from, to string) []string, error) {
	if cfg.Sign.Key == "" {
		return nil, nil
	}
	h := home(cfg.Home)
	signer := &stirshaken.Signer{Inventory: numbers{home: h, ours: cfg.Numbers, since: time.Now()}}
	if err := signer.LoadKey(cfg.Sign.Key, cfg.Sign.Cert, cfg.Sign.URL); err != nil {
		return nil, fmt.Errorf("stirshaken.sign: %w", err)
	}
	return func(ctx context.Context, from, to string) []string {
		orig, okFrom := h.Canonical(from)
		dest, okTo := h.Canonical(to)
		if !okFrom || !okTo {
			return nil
		}
		signed, refusal, err := signer.SignFor(ctx, ringfence.DefaultTenant, true, stirshaken.SigningRequest{
			Orig: stirshaken.Party{TN: orig}, Dest: []stirshaken.Party{{TN: dest}}, OrigID: cfg.Sign.OrigID}, time.Now())
		if err != nil || refusal != "" {
			log.Warn("call not signed", "why", string(refusal), "err", err)
			return nil
		}
		return []string{signed.Identity}
	}, nil
}
