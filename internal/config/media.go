package config

import "net/netip"

// checkMedia judges where media is received.
func (c *Config) checkMedia(p *problems) {
	if c.Media.Bind != "" {
		if _, err := netip.ParseAddr(c.Media.Bind); err != nil {
			p.add("media.bind: %q is no IP address", c.Media.Bind)
		}
	}
	for _, text := range c.Media.External {
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			p.add("media.external: %q is no IP address that a browser could send to", text)
		}
	}
}
