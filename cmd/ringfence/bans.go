package main

import (
	"context"
	"net/netip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// bans shows the web whom the edge ignores.
type bans struct{ a *app }

// Bans implements web.Bans.
func (b bans) Bans() (out []web.Ban) {
	for _, one := range b.a.ua.Bans() {
		source := one.Source.String()
		if one.Source.IsSingleIP() {
			source = one.Source.Addr().String()
		}
		out = append(out, web.Ban{Source: source, Until: one.Until})
	}
	return out
}

// Lift implements web.Bans.
func (b bans) Lift(ctx context.Context, tenant ringfence.TenantID, by gate.Actor, source netip.Addr, why string) (bool, error) {
	if !b.a.ua.Unban(source) {
		return false, nil
	}
	if err := b.a.banned.lifted(ctx, source); err != nil {
		return true, err
	}
	return true, b.a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		_, err := tx.Append(ctx, ledger.Entry{Event: "config.changed", Person: by.Person, Client: by.Client, Object: source.String(), Data: map[string]string{"what": "ban lifted", "why": why}})
		return err
	})
}
