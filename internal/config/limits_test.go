package config

import "testing"

func TestLimitsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		limits VerifyLimits
		wrong  int
	}{
		"none":                   {VerifyLimits{}, 0},
		"smaller":                {VerifyLimits{ContactHour: 1, ContactDay: 1, AgentMinute: 1, TenantHour: 1, CallsHour: 1, CallsDay: 1, Spray: 1}, 0},
		"at the bounds":          {VerifyLimits{ContactHour: 20, ContactDay: 50, AgentMinute: 60, TenantHour: 100_000, CallsHour: 10, CallsDay: 20, Spray: 10_000}, 0},
		"past them":              {VerifyLimits{ContactHour: 21, ContactDay: 51, AgentMinute: 61, TenantHour: 100_001, CallsHour: 11, CallsDay: 21, Spray: 10_001}, 7},
		"negative":               {VerifyLimits{ContactHour: -1, Spray: -1}, 2},
		"a prefix":               {VerifyLimits{PrefixHour: map[string]int{"44": 100}}, 0},
		"a prefix not allowed":   {VerifyLimits{PrefixHour: map[string]int{"881": 1}}, 1},
		"a prefix without a cap": {VerifyLimits{PrefixHour: map[string]int{"44": 0}}, 1},
	} {
		c := Config{Verify: Verify{Prefixes: []string{"+44"}, Limits: tt.limits}}
		p := &problems{}
		if c.checkLimits(p); len(p.all) != tt.wrong {
			t.Errorf("%s: %v", name, p.all)
		}
	}
}
