package config

import "net"

// SIEM is a security information system that is told what the ledger is told.
type SIEM struct {
	Name   string `koanf:"name"`   // its position is kept under it
	Addr   string `koanf:"addr"`   // host:port, TLS; or
	File   string `koanf:"file"`   // JSON lines for a collector
	Format string `koanf:"format"` // syslog (RFC 5424; default) or ecs (JSON lines)
	CA     string `koanf:"ca"`     // roots of its certificate; empty = the system's
	Cert   string `koanf:"cert"`   // our client certificate
	Key    string `koanf:"key"`
}

func (c *Config) checkSIEM(p *problems) {
	seen := map[string]bool{}
	for _, s := range c.Telemetry.SIEM {
		key := "telemetry.siem." + s.Name
		if s.Name == "" || seen[s.Name] {
			p.add("%s: a receiver needs a name of its own: its position is kept under it", key)
		}
		seen[s.Name] = true
		if (s.Addr == "") == (s.File == "") {
			p.add("%s: set addr, or file, and not both", key)
		}
		if _, _, err := net.SplitHostPort(s.Addr); s.Addr != "" && err != nil {
			p.add("%s.addr is %q: want host:port", key, s.Addr)
		}
		p.oneOf(key+".format", s.Format, "", "syslog", "ecs")
		if (s.Cert == "") != (s.Key == "") {
			p.add("%s: a client certificate needs both cert and key", key)
		}
	}
}
