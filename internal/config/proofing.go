package config

import (
	"strings"
	"time"
)

// Proofing is an identity-proofing provider that is asked over HTTPS (see
// docs/proofing.md). Without one, only two members of staff can witness.
type Proofing struct {
	Name     string        `koanf:"name"`
	URL      string        `koanf:"url"`
	Token    Secret        `koanf:"token"`
	Key      string        `koanf:"key"`      // file with the provider's public key, a JWK
	Audience string        `koanf:"audience"` // who we are in its results
	Timeout  time.Duration `koanf:"timeout"`  // 2s; at most 10s
}

// On reports whether there is one.
func (p Proofing) On() bool { return p.URL != "" || p.Name != "" }

func (c *Config) checkProofing(p *problems) {
	one := c.Verify.Proofing
	if !one.On() {
		return
	}
	if !strings.HasPrefix(one.URL, "https://") && !strings.HasPrefix(one.URL, "http://127.0.0.1") && !strings.HasPrefix(one.URL, "http://localhost") {
		p.add("verify.proofing.url is %q: want an https address", one.URL)
	}
	if one.Name == "" || one.Key == "" || one.Audience == "" || one.Token.Reveal() == "" {
		p.add("verify.proofing: name, url, token, key and audience are all needed; take the section out to do without a provider")
	}
	if one.Timeout < 0 || one.Timeout > 10*time.Second {
		p.add("verify.proofing.timeout is %s: want at most 10s", one.Timeout)
	}
}
