package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/ledger"
)

var _ runner.Transfers = (*routing)(nil)

// transfers are the places at which agents' phones may have a call go on, as the
// agents' trunk lists them.
func (r *routing) transfers() []string {
	for _, t := range r.cfg.SIP.Trunks {
		if t.Agents {
			return t.Transfer
		}
	}
	return nil
}

// TransferTo implements runner.Transfers. A phone names an extension, so the user
// part decides: that of an agent's place, or of a queue's address, or the queue's
// name. What is rung is what is configured, never what the phone wrote.
func (r *routing) TransferTo(ctx context.Context, tenant ringfence.TenantID, to string) (runner.Target, bool) {
	allowed := r.transfers()
	for _, q := range r.cfg.Queues {
		if tenantOr(q.Tenant) == tenant && slices.Contains(allowed, q.Name) && (q.Name == to || q.URI != "" && userOf(q.URI) == to) {
			return runner.Target{Queue: q.Name}, true
		}
	}
	if !slices.Contains(allowed, "agents") || to == "" {
		return runner.Target{}, false
	}
	place, ok := r.agentAt(ctx, tenant, to)
	return runner.Target{Place: place}, ok
}

// agentAt finds the one agent whose phone has an extension. Two of them are none.
func (r *routing) agentAt(ctx context.Context, tenant ringfence.TenantID, extension string) (runner.Place, bool) {
	var found []runner.Place
	now := time.Now()
	err := r.store.View(ctx, tenant, func(tx ledger.Tx) error {
		found = nil
		people, err := ledger.Rows[ringfence.Person](ctx, tx, ledger.KindPerson, ledger.Query{})
		for _, p := range people {
			if place, ok := r.place(tenant, p); ok && p.Has(ringfence.RoleAgent, now) && userOf(place.URI) == extension {
				found = append(found, place)
			}
		}
		return err
	})
	if err != nil || len(found) != 1 {
		return runner.Place{}, false
	}
	return found[0], true
}

// userOf is the user part of a SIP URI; empty if it has none.
func userOf(uri string) string {
	_, rest, sip := strings.Cut(uri, "sip:")
	user, _, ok := strings.Cut(rest, "@")
	if !sip || !ok {
		return ""
	}
	user, _, _ = strings.Cut(user, ";")
	return user
}
