package verifytest

import (
	"bytes"
	"regexp"
)

// random is what chance may write the digits of a secret into: identifiers,
// digests and keys in hex, times, and references.
var random = regexp.MustCompile(`[a-z]{3}_[0-9a-z]{26}|[0-9a-fA-F]{32,}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)|"[0-9A-Z]{8}"`)

// Stands reports whether a secret stands in text, other than by chance within an
// identifier, a digest or a time. An empty secret stands nowhere.
func Stands(text []byte, secret string) bool {
	if secret == "" || !bytes.Contains(text, []byte(secret)) {
		return false
	}
	return bytes.Contains(random.ReplaceAll(text, []byte("~")), []byte(secret))
}
