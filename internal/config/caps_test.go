package config

import (
	"maps"
	"testing"
)

func TestCapsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		sip    SIPLimits
		trunk  TrunkCaps
		tenant int
		wrong  int
	}{
		"none":               {},
		"all":                {SIPLimits{Calls: 10, Reserve: 10, PerAddress: 5}, TrunkCaps{Calls: 4, Kept: 3, PerAddress: 2}, 7, 0},
		"nothing kept":       {trunk: TrunkCaps{Kept: -1}},
		"negative":           {SIPLimits{Calls: -1, Reserve: -1, PerAddress: -1}, TrunkCaps{Calls: -1, PerAddress: -1}, -1, 6},
		"all is kept":        {trunk: TrunkCaps{Calls: 3, Kept: 3}, wrong: 1},
		"kept of no cap":     {trunk: TrunkCaps{Kept: 3}, wrong: 1},
		"reserve past calls": {sip: SIPLimits{Calls: 10, Reserve: 11}, wrong: 1},
		"past the default":   {sip: SIPLimits{Reserve: 1001}, wrong: 1},
	} {
		c := Config{SIP: SIP{Limits: tt.sip, Trunks: []Trunk{{Name: "t", TrunkPeer: TrunkPeer{TrunkCaps: tt.trunk}}}}, Tenants: []Tenant{{ID: "a", Calls: tt.tenant}}}
		p := &problems{}
		c.checkCaps(p)
		if c.checkPeers(p); len(p.all) != tt.wrong {
			t.Errorf("%s: %v", name, p.all)
		}
	}
}

// TestTenantCalls: a tenant that says nothing has everything when it is alone,
// and leaves half to the others when it is not.
func TestTenantCalls(t *testing.T) {
	for name, tt := range map[string]struct {
		calls   int
		tenants []Tenant
		want    map[string]int
	}{
		"alone":     {0, []Tenant{{ID: "a"}}, map[string]int{"a": 1000}},
		"two":       {7, []Tenant{{ID: "a"}, {ID: "b", Calls: 2}}, map[string]int{"a": 4, "b": 2}},
		"two of 1k": {0, []Tenant{{ID: "a"}, {ID: "b"}}, map[string]int{"a": 500, "b": 500}},
	} {
		c := Config{SIP: SIP{Limits: SIPLimits{Calls: tt.calls}}, Tenants: tt.tenants}
		if got := c.TenantCalls(); !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
