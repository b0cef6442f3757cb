package main

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/siem"
	"github.com/ringfence/ringfence/ledger"
)

// kindSIEM holds the index of the next entry that a receiver gets, by its name.
const kindSIEM ledger.Kind = "siem_position"

const (
	siemEvery = 2 * time.Second
	siemBatch = 500
	siemPause = time.Minute // the longest between tries
)

func siemConfig(s config.SIEM) (siem.Config, error) {
	out := siem.Config{Addr: s.Addr, File: s.File, JSON: s.Format == "ecs"}
	if s.Addr == "" {
		return out, out.Check()
	}
	out.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if s.CA != "" {
		if out.TLS.RootCAs, err = certPool(s.CA); err != nil {
			return out, err
		}
	}
	if s.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return out, err
		}
		out.TLS.Certificates = []tls.Certificate{pair}
	}
	return out, out.Check()
}

// tellSIEM sends a tenant's entries to a receiver until ctx ends. It reads the
// log and holds nothing: a receiver that is away costs no memory and no
// decision waits for it.
func (a *app) tellSIEM(ctx context.Context, tenant ringfence.TenantID, s config.SIEM) {
	cfg, err := siemConfig(s)
	var sender *siem.Sender
	if err == nil {
		sender, err = siem.NewSender(cfg)
	}
	if err != nil {
		a.log.Error("the ledger is not sent", "siem", s.Name, "err", err)
		return
	}
	defer sender.Close()
	wait := siemEvery
	for {
		n, err := a.tellNext(ctx, tenant, s.Name, sender.Send)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = min(2*wait, siemPause)
			a.log.Warn("the ledger is not sent; it is tried again", "siem", s.Name, "tenant", string(tenant), "after", wait.String(), "err", err)
		case n == siemBatch:
			wait = siemEvery
			continue
		default:
			wait = siemEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// tellNext sends the entries that are next and then notes that they were sent:
// a receiver may get some twice and none never.
func (a *app) tellNext(ctx context.Context, tenant ringfence.TenantID, name string, send func(context.Context, []siem.Record) error) (int, error) {
	var next, version int64
	var entries []ledger.Entry
	err := a.store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		next, version, err = ledger.Read[int64](ctx, tx, kindSIEM, name)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		entries, err = tx.Entries(ctx, ledger.EntryQuery{From: next, Limit: siemBatch})
		return err
	})
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	records := make([]siem.Record, 0, len(entries))
	for _, e := range entries { // the subject stays here
		records = append(records, siem.Record{Index: e.Index, At: e.At, Tenant: string(e.Tenant), Event: string(e.Event), Traversal: string(e.Traversal),
			Release: string(e.Release), Challenge: string(e.Challenge), Staff: string(e.Person), Client: e.Client, Data: e.Data})
	}
	if err := send(ctx, records); err != nil {
		return 0, err
	}
	return len(entries), a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		return ledger.Write(ctx, tx, &ledger.Record{Kind: kindSIEM, ID: name, Version: version}, entries[len(entries)-1].Index+1)
	})
}
