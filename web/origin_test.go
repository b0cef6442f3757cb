package web

import "testing"

// A browser reports the whole address of what it blocked, and that may hold a
// token or what somebody typed.
func TestReportsAreLoggedByTheirOrigin(t *testing.T) {
	for have, want := range map[string]string{
		"https://example.com/path/739261?token=abcdef#739261": "https://example.com",
		"https://739261@example.com:8443/":                    "https://example.com:8443",
		"inline":                                              "inline",
		"trusted-types-sink":                                  "trusted-types-sink",
		"data:text/plain,739261":                              "no address",
		"739261":                                              "no address",
		"":                                                    "",
		"https://[":                                           "no address",
	} {
		if got := originOf(have); got != want {
			t.Errorf("%q is logged as %q, want %q", have, got, want)
		}
	}
}
