package config

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Signals say who is asked about numbers on file and about the accounts that
// are paid (see docs/signals.md). Without anybody to ask, every signal is
// unknown, and what depends on one waits or is refused.
type Signals struct {
	// Lookup are the packages of Twilio's Lookup that are asked when
	// deliver.twilio is set. Empty = sim_swap, call_forwarding and
	// line_type_intelligence; [none] asks nothing. identity_match sends the
	// person's name.
	Lookup []string `koanf:"lookup"`
	// Services are services of one's own.
	Services  []SignalService `koanf:"services"`
	Timeout   time.Duration   `koanf:"timeout"`    // of each; 2s; at most 10s
	Keep      time.Duration   `koanf:"keep"`       // how long an answer serves again; 1m; at most 5m
	PerMinute int             `koanf:"per_minute"` // questions to all of them; 600
}

// SignalService is asked over HTTPS; both sides sign.
type SignalService struct {
	Name    string   `koanf:"name"`
	URL     string   `koanf:"url"`
	Secret  Secret   `koanf:"secret"` // whsec_ and base64
	Answers []string `koanf:"answers"`
}

// SignalAnswers are the signals that a service can give.
var SignalAnswers = []string{"sim_swap", "diversion", "forwarding", "line_type", "prepaid", "number_match", "name_check"}

var lookupPackages = []string{"sim_swap", "call_forwarding", "line_type_intelligence", "identity_match"}

// Packages are the packages of Lookup to ask.
func (s Signals) Packages() []string {
	switch {
	case len(s.Lookup) == 0:
		return lookupPackages[:3]
	case slices.Contains(s.Lookup, "none"):
		return nil
	default:
		return s.Lookup
	}
}

func (c *Config) checkSignals(p *problems) {
	s := c.Verify.Signals
	for _, name := range s.Lookup {
		if !slices.Contains(lookupPackages, name) && (name != "none" || len(s.Lookup) > 1) {
			p.add("verify.signals.lookup: %q is no package: want some of %s, or none alone", name, strings.Join(lookupPackages, ", "))
		}
	}
	if len(s.Lookup) > 0 && s.Lookup[0] != "none" && c.Deliver.Twilio.AccountSID == "" {
		p.add("verify.signals.lookup: there is nobody to ask: set deliver.twilio")
	}
	if s.Timeout < 0 || s.Timeout > 10*time.Second {
		p.add("verify.signals.timeout is %s: want at most 10s", s.Timeout)
	}
	if s.Keep < 0 || s.Keep > 5*time.Minute {
		p.add("verify.signals.keep is %s: want at most 5m, so that a SIM change shows", s.Keep)
	}
	if s.PerMinute < 0 || s.PerMinute > 100_000 {
		p.add("verify.signals.per_minute is %d: want 1 to 100000, or leave it out", s.PerMinute)
	}
	seen := map[string]bool{}
	for _, one := range s.Services {
		one.check(p)
		if seen[one.Name] {
			p.add("verify.signals.services: %s is there twice: each needs a name of its own", one.Name)
		}
		seen[one.Name] = true
	}
}

func (s SignalService) check(p *problems) {
	key := "verify.signals.services." + s.Name
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1") {
		p.add("%s.url is %q: want an https address", key, s.URL)
	}
	if s.Name == "" || s.Secret.Reveal() == "" || len(s.Answers) == 0 {
		p.add("%s: name, url, secret and answers are all needed", key)
	}
	for _, a := range s.Answers {
		if !slices.Contains(SignalAnswers, a) {
			p.add("%s.answers: %q is no signal of a service: want some of %s", key, a, strings.Join(SignalAnswers, ", "))
		}
	}
}
