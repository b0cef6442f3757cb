package signals

import (
	"strings"
	"testing"
	"time"
)

// A stranger's remark keeps four figures in a row, what prints, and its first 64
// characters.
func TestPlainEdges(t *testing.T) {
	for said, want := range map[string]string{
		"":                      "",
		"close":                 "close",
		"1234":                  "1234",
		"12345":                 "1234",
		"1234 5678":             "1234 5678",
		"a\x00b\x1b[1mc\nd":     "ab[1mcd",
		"12\u200b34567":         "1234",
		strings.Repeat("ü", 64): strings.Repeat("ü", 64),
		strings.Repeat("ü", 65): strings.Repeat("ü", 64),
	} {
		if have := plain(said); have != want {
			t.Errorf("%q: %q, want %q", said, have, want)
		}
	}
}

// A time-out is ten seconds at most, and what is kept is kept five minutes.
func TestConfigEdges(t *testing.T) {
	for _, tt := range []struct {
		timeout, keep time.Duration
		ok            bool
	}{
		{0, 0, true}, {10 * time.Second, 5 * time.Minute, true}, {10*time.Second + 1, 0, false}, {0, 5*time.Minute + 1, false}, {-1, 0, false}, {0, -1, false},
	} {
		if _, err := New(Config{Timeout: tt.timeout, Keep: tt.keep}); (err == nil) != tt.ok {
			t.Errorf("time-out %s, kept %s: %v", tt.timeout, tt.keep, err)
		}
	}
}

// What several sources say comes in one order, whoever answers first.
func TestOrderOfSignals(t *testing.T) {
	var sources []Source
	for i := len(Names) - 1; i >= 0; i-- {
		sources = append(sources, &fake{name: "of " + Names[i], signal: Names[i], say: says(no)})
	}
	out := desk(t, Config{Sources: sources}).Ask(t.Context(), number("447700900123"))
	var have []string
	for _, s := range out {
		have = append(have, s.Name)
	}
	if strings.Join(have, " ") != strings.Join(Names, " ") {
		t.Errorf("have %q, want %q", have, Names)
	}
}
