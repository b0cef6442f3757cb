package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
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

// newSigner returns the authentication service, nil without a key.
func newSigner(cfg config.STIR) (*stirshaken.Signer, error) {
	if cfg.Sign.Key == "" {
		return nil, nil
	}
	signer := &stirshaken.Signer{Inventory: numbers{home: home(cfg.Home), ours: cfg.Numbers, since: time.Now()}}
	if err := loadKey(signer, cfg); err != nil {
		return nil, fmt.Errorf("stirshaken.sign: %w", err)
	}
	return signer, nil
}

// loadKey reads key and certificate from their files.
func loadKey(signer *stirshaken.Signer, cfg config.STIR) error {
	load := signer.LoadKey
	if u, err := url.Parse(cfg.Sign.URL); err == nil && slices.Contains(cfg.LabHosts, u.Host) {
		load = signer.LoadLabKey // start is refused with lab hosts off loopback
	}
	return load(cfg.Sign.Key, cfg.Sign.Cert, cfg.Sign.URL)
}

// newSign returns what signs the calls we place, nil without a signer.
func newSign(signer *stirshaken.Signer, cfg config.STIR, log *slog.Logger) func(ctx context.Context, from, to string) []string {
	if signer == nil {
		return nil
	}
	h := home(cfg.Home)
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
	}
}

// ownNumbers tells which numbers are our own: those of the configuration and
// those of the lines. One of them as the caller of a call to us is a lie.
func ownNumbers(cfg config.Config) func(ringfence.TN) bool {
	h := home(cfg.STIR.Home)
	own := map[ringfence.TN]bool{}
	add := func(texts []string) {
		for _, text := range texts {
			if tn, ok := h.Canonical(text); ok {
				own[tn] = true
			}
		}
	}
	add(cfg.STIR.Numbers)
	for _, l := range cfg.Lines {
		add(l.Numbers)
	}
	return func(tn ringfence.TN) bool { return own[tn] }
}

// filesEvery is how often the files of STIR/SHAKEN are looked at.
const filesEvery = 10 * time.Second

// watchSTIR takes a new list of approved authorities, and a new signing key
// with its certificate, when the files change. What cannot be read leaves what
// is in force as it is.
func (a *app) watchSTIR(ctx context.Context) {
	c := a.cfg.STIR
	trust, key := changedAt(c.Roots), changedAt(c.Sign.Key, c.Sign.Cert)
	every := time.NewTicker(filesEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if at := changedAt(c.Roots); !at.Equal(trust) {
			trust = at
			a.takeTrust()
		}
		if at := changedAt(c.Sign.Key, c.Sign.Cert); !at.Equal(key) && a.sign != nil {
			key = at
			a.takeKey()
		}
	}
}

func (a *app) takeTrust() {
	list, err := stirshaken.LoadTrustList(a.cfg.STIR.Roots)
	if err != nil {
		a.log.Error("stirshaken.roots not taken", "err", err)
		return
	}
	a.stir.SetTrust(list)
	a.log.Info("stirshaken.roots taken", "authorities", list.Len())
}

func (a *app) takeKey() {
	if err := loadKey(a.sign, a.cfg.STIR); err != nil {
		a.log.Error("stirshaken.sign not taken", "err", err)
		return
	}
	a.log.Info("stirshaken.sign taken")
}

// changedAt is when the newest of the files was written.
func changedAt(paths ...string) (newest time.Time) {
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}
