package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/announce"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// newAnnouncer makes the sender of webhooks to the configured executors.
func newAnnouncer(cfg config.Config, store ledger.Store, log *slog.Logger) (*announce.Sender, error) {
	var endpoints []announce.Endpoint
	for _, e := range cfg.Executors {
		if e.Webhook != "" {
			endpoints = append(endpoints, announce.Endpoint{Executor: e.Name, URL: e.Webhook, Secret: ringfence.Secret(e.Secret.Reveal()), Networks: e.WebhookNetworks})
		}
	}
	return announce.New(announce.Config{Store: store, Endpoints: endpoints, Log: log})
}

// announce writes that a release is ready, in the gate's own transaction.
func (a *app) announce(ctx context.Context, tx ledger.Tx, r gate.Release) error {
	return a.hooks.Owe(ctx, tx, announce.Ready{Tenant: r.Tenant, Release: r.ID, Executor: r.Executor, Until: r.ExpiresAt})
}

const (
	// reconcileLook is how often it is asked whether a journal is overdue, and
	// reconcileDue how old the newest one may be.
	reconcileLook = time.Hour
	reconcileDue  = 25 * time.Hour
)

// overdue warns when an executor that redeems has not brought its journal for
// a day: then a change without a release would not be noticed.
func (a *app) overdue(ctx context.Context, tenant ringfence.TenantID) {
	every := time.NewTicker(reconcileLook)
	defer every.Stop()
	for {
		for _, e := range a.cfg.Executors {
			late, err := journalLate(ctx, a.store, tenant, e.Name)
			switch {
			case err != nil && ctx.Err() == nil:
				a.log.Error("reconciliation", "executor", e.Name, "err", err)
			case late:
				a.log.Warn("no journal for over a day: a change without a release would not be noticed", "executor", e.Name)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// journalAmong is among how many of the newest redemptions, by whatever executor,
// one that no journal covers is looked for: an executor that never redeemed
// anything has no journal that would end the search.
const journalAmong = 100_000

// journalLate reports whether the executor redeemed something longer ago than
// a day, after everything that its newest journal covers.
func journalLate(ctx context.Context, store ledger.Store, tenant ringfence.TenantID, executor string) (late bool, err error) {
	err = store.View(ctx, tenant, func(tx ledger.Tx) error {
		late = false
		var covered time.Time
		recs, err := tx.List(ctx, web.KindReconciliation, ledger.Query{Key: "executor", Value: executor, Desc: true, Limit: 1})
		if err != nil {
			return err
		}
		if len(recs) > 0 {
			r, _, err := ledger.Read[web.Reconciliation](ctx, tx, web.KindReconciliation, recs[0].ID)
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
			covered = r.To
		}
		seen := 0
		for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Event: "release.redeemed", Desc: true}) {
			if seen++; err != nil || late || !e.At.After(covered) || seen > journalAmong {
				return err // what is older is covered as well
			}
			late = e.Data["executor"] == executor && tx.Now().Sub(e.At) > reconcileDue
		}
		return nil
	})
	return late, err
}
