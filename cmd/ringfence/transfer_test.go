package main

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

// A phone reaches what the configuration lists, by extension, and what is rung
// is what is configured.
func TestTransferTo(t *testing.T) {
	store := &ledgertest.Memory{}
	long := time.Now().AddDate(-1, 0, 0)
	people := []ringfence.Person{
		{ID: "per_ada", Place: "sip:201@192.0.2.1"},
		{ID: "per_bo", Place: "sip:202@192.0.2.2:5070;transport=tcp"},
		{ID: "per_twin", Place: "sip:203@192.0.2.1"},
		{ID: "per_other", Place: "sip:203@192.0.2.3"},
		{ID: "per_gone", Place: "sip:204@192.0.2.1", Status: ringfence.StatusSuspended},
		{ID: "per_boss", Place: "sip:205@192.0.2.1", Roles: []ringfence.Role{ringfence.RoleSupervisor}},
	}
	ctx := t.Context()
	if err := store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for _, p := range people {
			p.Tenant, p.Since = ringfence.DefaultTenant, long
			if p.Status == "" {
				p.Status = ringfence.StatusActive
			}
			if p.Roles == nil {
				p.Roles = []ringfence.Role{ringfence.RoleAgent}
			}
			if err := ledger.Write(ctx, tx, &ledger.Record{Kind: ledger.KindPerson, ID: string(p.ID)}, p); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		transfer    []string
		tenant      ringfence.TenantID
		to          string
		person, uri string
		queue       string
	}{
		"nothing is listed":         {to: "202"},
		"only a queue is listed":    {transfer: []string{"desk"}, to: "202"},
		"an unknown extension":      {transfer: []string{"agents"}, to: "299"},
		"none":                      {transfer: []string{"agents", "desk"}},
		"two have the extension":    {transfer: []string{"agents"}, to: "203"},
		"suspended":                 {transfer: []string{"agents"}, to: "204"},
		"no agent":                  {transfer: []string{"agents"}, to: "205"},
		"another tenant's":          {transfer: []string{"agents", "desk"}, tenant: "other", to: "202"},
		"another tenant's queue":    {transfer: []string{"agents", "desk"}, tenant: "other", to: "desk"},
		"a queue that is not named": {transfer: []string{"agents", "desk"}, to: "board"},
		"a whole address":           {transfer: []string{"agents"}, to: "sip:202@192.0.2.2"},
		"an agent":                  {transfer: []string{"agents"}, to: "202", person: "per_bo", uri: "sip:202@192.0.2.2:5070;transport=tcp"},
		"a queue":                   {transfer: []string{"desk"}, to: "desk", queue: "desk"},
		"a queue by its extension":  {transfer: []string{"desk"}, to: "300", queue: "desk"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &routing{store: store, cfg: config.Config{
				SIP:    config.SIP{Trunks: []config.Trunk{{Name: "carrier", Transfer: []string{"agents"}}, {Name: "phones", Agents: true, Transfer: c.transfer}}},
				Queues: []config.Queue{{Name: "desk", URI: "sip:300@192.0.2.9"}, {Name: "board", URI: "sip:301@192.0.2.9"}}}}
			tenant := c.tenant
			if tenant == "" {
				tenant = ringfence.DefaultTenant
			}
			got, ok := r.TransferTo(ctx, tenant, c.to)
			if ok != (c.person != "" || c.queue != "") || string(got.Place.Person) != c.person || got.Place.URI != c.uri || got.Queue != c.queue {
				t.Errorf("%q leads to %+v, %v", c.to, got, ok)
			}
			if ok && c.person != "" && !got.Place.MayTransfer {
				t.Error("the colleague's phone may not transfer in turn")
			}
		})
	}
}
