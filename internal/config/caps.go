package config

// TrunkCaps bound the calls in progress with a trunk. Zero means the default
// named.
type TrunkCaps struct {
	Calls      int `koanf:"calls"`            // both ways; the limit of all
	Kept       int `koanf:"kept"`             // of them, for call-backs of calls in progress; a tenth with outbound, at least one of four or more; -1 = none
	PerAddress int `koanf:"calls_per_source"` // that came from one address of it; that of sip.limits
}

func (t TrunkCaps) check(p *problems, key string) {
	notNegative(p, key+".calls", t.Calls)
	notNegative(p, key+".calls_per_source", t.PerAddress)
	if t.Kept > 0 && t.Kept >= t.Calls {
		p.add("%s.kept is %d of %d calls: keep fewer than calls, so that somebody can call, or leave it out", key, t.Kept, t.Calls)
	}
}

func notNegative(p *problems, key string, have int) {
	if have < 0 {
		p.add("%s is %d: write how many, or leave it out for the default", key, have)
	}
}

// checkCaps judges the caps on calls of everybody and of tenants.
func (c *Config) checkCaps(p *problems) {
	l := c.SIP.Limits
	notNegative(p, "sip.limits.calls", l.Calls)
	notNegative(p, "sip.limits.calls_per_source", l.PerAddress)
	if most := c.mostCalls(); l.Reserve < 0 || l.Reserve > most {
		p.add("sip.limits.reserve is %d: want at most sip.limits.calls, which is %d, or leave it out", l.Reserve, most)
	}
	for _, t := range c.Tenants {
		notNegative(p, "tenants."+t.ID+".calls", t.Calls)
	}
}

// defaultCalls is sip.limits.calls where it says nothing.
const defaultCalls = 1000

func (c *Config) mostCalls() int {
	if c.SIP.Limits.Calls > 0 {
		return c.SIP.Limits.Calls
	}
	return defaultCalls
}

// TenantCalls is how many callers of each tenant there may be at once.
func (c *Config) TenantCalls() map[string]int {
	out := map[string]int{}
	for _, t := range c.Tenants {
		switch out[t.ID] = t.Calls; {
		case t.Calls > 0:
		case len(c.Tenants) > 1:
			out[t.ID] = (c.mostCalls() + 1) / 2
		default:
			out[t.ID] = c.mostCalls()
		}
	}
	return out
}
