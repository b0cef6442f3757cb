package web

import (
	"strings"
	"unicode"
)

// inert reports whether a rune only ever shows itself: no control, no format
// character (which the bidirectional overrides and isolates are), no line or
// paragraph separator, no private use or lone surrogate.
func inert(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}

// plain keeps at most 80 printable characters of a stranger's text.
func plain(text string) string { return plainWords(text, 80) }

// plainWords keeps at most most printable characters of a text.
func plainWords(text string, most int) string {
	var out strings.Builder
	n := 0
	for _, r := range text {
		if n == most {
			return out.String() + "…"
		}
		if inert(r) {
			out.WriteRune(r)
			n++
		}
	}
	return out.String()
}

// reference brings a call reference as people write it, in groups and any
// case, into the form in which it is stored.
func reference(text string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text))
}
