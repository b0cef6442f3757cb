package config

import "net"

// HEP sends masked copies of the signalling to a capture server such as Homer.
type HEP struct {
	Addr     string `koanf:"addr"` // host:port, UDP; empty = nobody
	Agent    uint32 `koanf:"agent"`
	Password Secret `koanf:"password"`
}

func (c *Config) checkTelemetry(p *problems) {
	if addr := c.Telemetry.HEP.Addr; addr != "" {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			p.add("telemetry.hep.addr is %q: want host:port", addr)
		}
	}
}
