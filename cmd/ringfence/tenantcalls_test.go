package main

import (
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
)

// TestTenantOfCall: a call counts for the tenant whose line takes it, and for
// nobody where none does.
func TestTenantOfCall(t *testing.T) {
	cfg := config.Config{Tenants: []config.Tenant{{ID: "default"}, {ID: "b", Calls: 3}},
		SIP: config.SIP{Limits: config.SIPLimits{Calls: 9}, Trunks: []config.Trunk{{Name: "carrier"}, {Name: "other"}, {Name: "phones", Agents: true}}},
		Lines: []config.Line{{Name: "one", Numbers: []string{"+44 20 7946 0001"}}, {Name: "two", Tenant: "b", Numbers: []string{"442079460002", "442079460001"}},
			{Name: "three", Tenant: "b", Numbers: []string{"7"}, Trunks: []string{"phones"}}, {Name: "intake", Kind: "intake"}}}
	of, r := tenantOfCall(cfg), &routing{cfg: cfg}
	for _, trunk := range []string{"carrier", "other", "phones"} {
		for _, called := range []string{"442079460001", "+442079460001", "442079460002", "+44 (20) 7946-0002", "7", "", "+", "ada", "442079460003"} {
			var want ringfence.TenantID
			if line, ok := r.Line(trunk, called); ok {
				want = line.Tenant
			}
			most := map[ringfence.TenantID]int{"default": 5, "b": 3}[want]
			if got, n := of(trunk, called); got != want || n != most {
				t.Errorf("%s calls %q: %q %d, want %q %d", trunk, called, got, n, want, most)
			}
		}
	}
}
