package config

import (
	"strings"
	"testing"
)

func TestForksNeedLinesThatTellCallers(t *testing.T) {
	for _, tt := range []struct {
		name string
		fork Fork
		rec  LineRecord
		want string
	}{
		{"told", Fork{Name: "f", URL: "wss://x", Lines: []string{"a"}, Signals: []string{"synthetic_voice"}}, LineRecord{Notice: "We listen."}, ""},
		{"not told", Fork{Name: "f", URL: "wss://x", Lines: []string{"a"}}, LineRecord{}, "before a service listens"},
		{"no line", Fork{Name: "f", URL: "wss://x", Lines: []string{"b"}}, LineRecord{}, "no line \"b\""},
		{"a proof", Fork{Name: "f", URL: "wss://x", Lines: []string{"a"}, Signals: []string{"attested"}}, LineRecord{Consent: "flow"}, "synthetic_voice or voice_match"},
		{"no address", Fork{Name: "f", Lines: []string{"a"}}, LineRecord{Consent: "flow"}, "a url and lines"},
	} {
		c := Default()
		c.Lines = []Line{{Name: "a", Numbers: []string{"1"}, Flow: "f", Record: tt.rec}}
		c.Media.Forks = []Fork{tt.fork}
		err := c.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: have %v, want %q", tt.name, err, tt.want)
		}
	}
}
