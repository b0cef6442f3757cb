package config

import (
	"net/url"
	"strings"
)

// checkWebhooks judges where executors are told that a release is ready.
func (c *Config) checkWebhooks(p *problems) {
	names := map[string]bool{}
	for _, e := range c.Executors {
		if names[e.Name] {
			p.add("executors: %s stands twice: each executor needs a name of its own", e.Name)
		}
		names[e.Name] = true
		if e.Webhook == "" {
			continue
		}
		u, err := url.Parse(e.Webhook)
		if err != nil || u.Host == "" || u.Scheme != "https" && !Loopback(u.Hostname()+":0") {
			p.add("executors.%s.webhook is no https address: write one such as https://core.example.com/hook", e.Name)
		}
		if !strings.HasPrefix(e.Secret.Reveal(), "whsec_") {
			p.add("executors.%s.webhook_secret: want whsec_ and the base64 of 24 to 64 random bytes (file: or env:)", e.Name)
		}
		for _, n := range e.WebhookNetworks {
			if n.Bits() == 0 {
				p.add("executors.%s.webhook_networks: %s is everything: name the network that the executor is in", e.Name, n)
			}
		}
	}
}
