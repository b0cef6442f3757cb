package config

import (
	"slices"
	"strings"
)

// checkEmergency judges the way of emergency calls. Without numbers there is none.
func (c *Config) checkEmergency(p *problems) {
	e := c.SIP.Emergency
	if len(e.Numbers) == 0 {
		if e.Trunk != "" || len(e.Notify) > 0 {
			p.add("sip.emergency.numbers is empty: name the numbers, such as 112 and 999")
		}
		return
	}
	for _, n := range e.Numbers {
		if len(n) < 2 || len(n) > 6 || strings.Trim(n, "0123456789") != "" {
			p.add("sip.emergency.numbers: %q is none: write digits, such as 112", n)
		}
		for _, l := range c.Lines {
			if slices.Contains(l.Numbers, n) {
				p.add("lines.%s: %s is an emergency number: nobody outside may reach a line by it", l.Name, n)
			}
		}
	}
	i := slices.IndexFunc(c.SIP.Trunks, func(t Trunk) bool { return t.Name == e.Trunk })
	if i < 0 || !c.SIP.Trunks[i].Outbound || c.SIP.Trunks[i].From == "" {
		p.add("sip.emergency.trunk is %q: name a trunk with outbound: true and from, the number to ring back", e.Trunk)
	}
	if !slices.ContainsFunc(c.SIP.Trunks, func(t Trunk) bool { return t.Agents }) {
		p.add("sip.emergency: no trunk has agents: true, so no phone could make such a call")
	}
	if len(e.Notify) == 0 {
		p.add("sip.emergency.notify is empty: name the e-mail addresses that are to know at once")
	}
	for _, to := range e.Notify {
		if name, host, ok := strings.Cut(to, "@"); !ok || name == "" || host == "" {
			p.add("sip.emergency.notify: %q is no e-mail address", to)
		}
	}
}
