package config

// VerifyLimits are the caps on messages and call-backs, and on guessing over
// many subjects. Zero means the default; each may be made smaller, and larger
// up to its bound.
type VerifyLimits struct {
	ContactHour int `koanf:"contact_hour"` // messages a contact point; 5, at most 20
	ContactDay  int `koanf:"contact_day"`  // 10, at most 50
	AgentMinute int `koanf:"agent_minute"` // messages and calls one person causes; 10, at most 60
	TenantHour  int `koanf:"tenant_hour"`  // messages and calls of a tenant; 1,000, at most 100,000
	CallsHour   int `koanf:"calls_hour"`   // call-backs a subject; 3, at most 10
	CallsDay    int `koanf:"calls_day"`    // 5, at most 20
	// Spray is how many subjects may have a wrong PIN from unattested callers
	// within an hour before PINs stop counting there: a thousandth of the
	// subjects. 20; at most 10,000.
	Spray int `koanf:"spray"`
	// PrefixHour caps messages and calls to an allowed prefix, by its digits;
	// a prefix without one has 300.
	PrefixHour map[string]int `koanf:"prefix_hour"`
}

// Cap is the cap of a prefix; 0 = the default.
func (l VerifyLimits) Cap(digits string) int { return l.PrefixHour[digits] }

func (c *Config) checkLimits(p *problems) {
	l := c.Verify.Limits
	for _, one := range []struct {
		key        string
		have, most int
	}{{"contact_hour", l.ContactHour, 20}, {"contact_day", l.ContactDay, 50}, {"agent_minute", l.AgentMinute, 60}, {"tenant_hour", l.TenantHour, 100_000},
		{"calls_hour", l.CallsHour, 10}, {"calls_day", l.CallsDay, 20}, {"spray", l.Spray, 10_000}} {
		if one.have < 0 || one.have > one.most {
			p.add("verify.limits.%s is %d: want 1 to %d, or leave it out", one.key, one.have, one.most)
		}
	}
	allowed := map[string]bool{}
	for _, prefix := range c.Verify.Prefixes {
		allowed[onlyDigits(prefix)] = true
	}
	for prefix, most := range l.PrefixHour {
		switch {
		case !allowed[prefix]:
			p.add("verify.limits.prefix_hour names %s, which is not among verify.prefixes: add it there, digits only here", prefix)
		case most < 1 || most > 100_000:
			p.add("verify.limits.prefix_hour.%s is %d: want 1 to 100000", prefix, most)
		}
	}
}

func onlyDigits(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			out = append(out, s[i])
		}
	}
	return string(out)
}
