package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/store/redis"
)

// banShare tells other nodes whom this one ignores, and ignores whom they do.
type banShare struct {
	made chan redis.Ban
	list *redis.Bans
}

// maxUntold bounds what waits to be told; past it a ban stays with this node.
const maxUntold = 256

// joinBans sets up the telling; without a shared store each node is alone.
func (a *app) joinBans(edge *b2bua.Config) {
	if a.shared == nil {
		return
	}
	b := &banShare{made: make(chan redis.Ban, maxUntold), list: a.shared.Bans()}
	edge.Banned = func(source netip.Addr, until time.Time) {
		select {
		case b.made <- redis.Ban{Source: source, Until: until}:
		default:
		}
	}
	a.banned = b
}

// share runs until ctx ends. What fails is left: the next second asks again.
func (b *banShare) share(ctx context.Context, ban func(netip.Addr, time.Time)) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-b.made:
			_ = b.list.Add(ctx, m.Source, m.Until)
		case <-every.C:
			list, _ := b.list.List(ctx)
			for _, m := range list {
				ban(m.Source, m.Until)
			}
		}
	}
}

// lifted takes a source off the list, so that it is not ignored again; nodes
// that ignore it already go on for the rest of the ten minutes.
func (b *banShare) lifted(ctx context.Context, source netip.Addr) error {
	if b == nil {
		return nil
	}
	return b.list.Lift(ctx, b2bua.SourceOf(source))
}
