package main

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/postgres"
)

// followEvery is how long what happened on another node may go unnoticed here.
const followEvery = 250 * time.Millisecond

// follow wakes who waits on this node for what another node did: it reads the
// entries that are new. Alone on its store a node needs none of it.
func (a *app) follow(ctx context.Context, tenant ringfence.TenantID) {
	if _, several := a.store.(*postgres.Store); !several {
		return
	}
	every := time.NewTicker(followEvery)
	defer every.Stop()
	next := int64(-1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		seen, err := a.followed(ctx, tenant, next)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("other nodes are not followed", "tenant", string(tenant), "err", err)
			continue
		}
		next = seen
	}
}

// followed wakes for the entries from next on and returns where to go on; with
// next below zero it only looks where the log ends.
func (a *app) followed(ctx context.Context, tenant ringfence.TenantID, next int64) (int64, error) {
	var news []ledger.Entry
	err := a.store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		if next < 0 {
			next, err = tx.Size(ctx)
			return err
		}
		news, err = tx.Entries(ctx, ledger.EntryQuery{From: next, Limit: ledger.MaxPage})
		return err
	})
	for _, e := range news {
		next = e.Index + 1
		a.gate.Wake(e)
		if e.Challenge != "" {
			a.verify.verifier.Refresh(ctx, tenant, e.Challenge)
		}
	}
	return next, err
}
