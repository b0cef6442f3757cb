package config

import "net"

// HEP sends masked copies of the signalling to a capture server such as Homer.
type HEP struct {
	Addr     string `koanf:"addr"` // host:port, UDP; empty = nobody
	Agent    uint32 `koanf:"agent"`
	Password Secret `koanf:"password"`
}

// SIEM copies the entries of the ledger, without personal data.
type SIEM struct {
	// Syslog is host:port of a server that takes RFC 5424 over TLS (RFC 5425);
	// TLS names its roots (ca) and our certificate.
	Syslog string `koanf:"syslog"`
	TLS    TLS    `koanf:"tls"`
	// File takes one JSON object a line; "-" is standard output.
	File string `koanf:"file"`
}

func (c *Config) checkTelemetry(p *problems) {
	for key, addr := range map[string]string{"telemetry.hep.addr": c.Telemetry.HEP.Addr, "telemetry.siem.syslog": c.Telemetry.SIEM.Syslog} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			p.add("%s is %q: want host:port", key, addr)
		}
	}
}
