package b2bua

import (
	"strings"
	"testing"
)

// FuzzReferTo: whatever a phone writes, what comes out names one user part and
// holds nothing that could become a header field of its own.
func FuzzReferTo(f *testing.F) {
	f.Add("<sip:202@127.0.0.1>")
	f.Add("<sip:202@127.0.0.1?Replaces=c%3Bto-tag%3Da%3Bfrom-tag%3Db>;x=y")
	f.Add("sip:a;b=c@h")
	f.Fuzz(func(t *testing.T, v string) {
		ref, r := referral([]string{v})
		switch {
		case r != nil:
		case ref.To == "" || strings.ContainsAny(ref.To, " \t\r\n<>\"@;"):
			t.Errorf("%q names %q", v, ref.To)
		case strings.ContainsAny(ref.Replaces, " \t\r\n<>,"):
			t.Errorf("%q replaces %q", v, ref.Replaces)
		}
	})
}
