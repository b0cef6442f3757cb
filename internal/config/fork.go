package config

import (
	"slices"
	"strings"
)

// Fork is a service that listens to calls: speech, deepfake detection, voice
// biometrics. Its scores are Signals: they may raise what is asked, never
// satisfy it.
type Fork struct {
	Name    string   `koanf:"name"`
	URL     string   `koanf:"url"`     // wss://…
	Token   Secret   `koanf:"token"`   // sent as a bearer credential
	Lines   []string `koanf:"lines"`   // whose callers are told by record.notice, or by their flow (record.consent: flow)
	Signals []string `koanf:"signals"` // that it may give: synthetic_voice, voice_match
}

// ForkSignals are the names that a fork may be allowed to give.
var ForkSignals = []string{"synthetic_voice", "voice_match"}

// Forks reports whether a line's calls are copied to a service or a recorder.
func (c *Config) Forks(line string) bool {
	return slices.ContainsFunc(c.Media.Forks, func(f Fork) bool { return slices.Contains(f.Lines, line) }) ||
		slices.ContainsFunc(c.Media.Recorders, func(r Recorder) bool { return slices.Contains(r.Lines, line) })
}

func (c *Config) checkForks(p *problems) {
	seen := map[string]bool{}
	for _, f := range c.Media.Forks {
		key := "media.forks." + f.Name
		if f.Name == "" || strings.Contains(f.Name, "/") || seen[f.Name] || f.URL == "" || len(f.Lines) == 0 {
			p.add("%s: a fork needs a name of its own without a slash, a url and lines", key)
		}
		seen[f.Name] = true
		for _, s := range f.Signals {
			p.oneOf(key+".signals", s, ForkSignals...)
		}
		for _, name := range f.Lines {
			c.checkTold(p, key, name)
		}
	}
}
