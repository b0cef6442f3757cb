package config

import (
	"slices"
	"strings"
	"time"
)

// Recording says where recordings lie and how long they are kept. Whether a
// call is recorded is said by its line; by default none is.
type Recording struct {
	// Folder is where the encrypted files lie. Empty = <data>/recordings.
	Folder string `koanf:"folder"`
	// KeepFreeMiB is how much of its disk a new recording leaves free; 0 = 1024.
	KeepFreeMiB int64 `koanf:"keep_free_mib"`
	// RetentionDays is how many days each class is kept. Empty = standard: 90.
	RetentionDays map[string]int `koanf:"retention_days"`
}

// LineRecord says whether calls of a line are recorded.
type LineRecord struct {
	On bool `koanf:"on"`
	// From is answer (default), or agent: only once an agent speaks.
	From  string `koanf:"from"`
	Class string `koanf:"class"` // of retention; empty = standard
	// Consent is notice (default): Notice is spoken before the flow begins. Or
	// flow: the line's own flow says it.
	Consent string `koanf:"consent"`
	Notice  string `koanf:"notice"`
	Decline string `koanf:"decline"` // the key by which a caller says no; empty = none
}

// maxRetentionDays is ten years.
const maxRetentionDays = 3660

// Retention is how long each class is kept.
func (r Recording) Retention() map[string]time.Duration {
	out := map[string]time.Duration{}
	for class, days := range r.RetentionDays {
		out[class] = time.Duration(days) * 24 * time.Hour
	}
	if len(out) == 0 {
		out["standard"] = 90 * 24 * time.Hour
	}
	return out
}

// ClassOr is the class of retention.
func (r LineRecord) ClassOr() string {
	if r.Class == "" {
		return "standard"
	}
	return r.Class
}

func (c *Config) checkRecording(p *problems) {
	for class, days := range c.Media.Recording.RetentionDays {
		if days < 1 || days > maxRetentionDays {
			p.add("media.recording.retention_days.%s is %d: want 1 to %d days", class, days, maxRetentionDays)
		}
	}
	classes := c.Media.Recording.Retention()
	for _, l := range c.Lines {
		r, key := l.Record, "lines."+l.Name+".record"
		if !r.On {
			continue
		}
		if _, ok := classes[r.ClassOr()]; !ok {
			p.add("%s.class: there is no class %q in media.recording.retention_days", key, r.ClassOr())
		}
		if r.From != "" {
			p.oneOf(key+".from", r.From, "answer", "agent")
		}
		if r.Consent != "" {
			p.oneOf(key+".consent", r.Consent, "notice", "flow")
		}
		if r.Consent != "flow" && strings.TrimSpace(r.Notice) == "" {
			p.add("%s.notice: write what callers are told, or say consent: flow if the line's flow tells them", key)
		}
		if len(r.Decline) > 1 || strings.Trim(r.Decline, "0123456789*#") != "" {
			p.add("%s.decline is %q: want one key", key, r.Decline)
		}
		for _, n := range c.SIP.Emergency.Numbers {
			if slices.Contains(l.Numbers, n) {
				p.add("%s: %s is an emergency number, and those calls are never recorded", key, n)
			}
		}
	}
}
