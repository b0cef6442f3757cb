package config

import "slices"

// Recorder is a session recording server (RFC 7866) that gets a copy of calls.
type Recorder struct {
	Name  string   `koanf:"name"`
	Trunk string   `koanf:"trunk"` // by which it is reached; outbound, with an address
	User  string   `koanf:"user"`  // user part of its address; empty = recorder
	Lines []string `koanf:"lines"` // whose callers are told by record.notice, or by their flow (record.consent: flow)
}

func (c *Config) checkRecorders(p *problems) {
	seen := map[string]bool{}
	for _, r := range c.Media.Recorders {
		key := "media.recorders." + r.Name
		if r.Name == "" || seen[r.Name] || len(r.Lines) == 0 {
			p.add("%s: a recorder needs a name of its own and lines", key)
		}
		seen[r.Name] = true
		i := slices.IndexFunc(c.SIP.Trunks, func(t Trunk) bool { return t.Name == r.Trunk })
		switch {
		case i < 0:
			p.add("%s.trunk: there is no trunk %q", key, r.Trunk)
		case !c.SIP.Trunks[i].Outbound || c.SIP.Trunks[i].Delayed || len(c.SIP.Trunks[i].Addrs) == 0 && c.SIP.Trunks[i].Host == "":
			p.add("%s.trunk: trunk %q needs outbound: true, addrs or host, and no delayed_offer", key, r.Trunk)
		}
		for _, name := range r.Lines {
			c.checkTold(p, key, name)
		}
	}
}

// checkTold judges whether the callers of a line whose calls are copied are told.
func (c *Config) checkTold(p *problems, key, name string) {
	i := slices.IndexFunc(c.Lines, func(l Line) bool { return l.Name == name })
	if i < 0 {
		p.add("%s.lines: there is no line %q", key, name)
	} else if r := c.Lines[i].Record; r.Consent != "flow" && r.Notice == "" {
		p.add("lines.%s.record.notice: write what callers are told before a service listens, or say consent: flow", name)
	}
}
