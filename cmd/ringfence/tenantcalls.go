package main

import (
	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
)

// tenantOfCall tells whose call one to a number over a trunk is, as
// routing.Line does, and how many of its callers there may be at once. It is
// asked for every INVITE, those of a flood too, so the lines are sorted once.
func tenantOfCall(cfg config.Config) func(trunk, called string) (ringfence.TenantID, int) {
	r := &routing{cfg: cfg}
	most := map[ringfence.TenantID]int{}
	for id, n := range cfg.TenantCalls() {
		most[tenantOr(id)] = n
	}
	owners := map[string]map[string]ringfence.TenantID{} // by trunk and number
	for _, t := range cfg.SIP.Trunks {
		owners[t.Name] = map[string]ringfence.TenantID{}
		for _, l := range cfg.Lines {
			for _, n := range l.Numbers {
				if line, ok := r.find(t.Name, n); ok {
					owners[t.Name][digitsOf(n)] = tenantOr(line.Tenant)
				}
			}
		}
	}
	return func(trunk, called string) (ringfence.TenantID, int) {
		tenant := owners[trunk][digitsOf(called)]
		return tenant, most[tenant]
	}
}
