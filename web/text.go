package web

import (
	"strings"
	"unicode"

	"github.com/ringfence/ringfence/web/problem"
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

// forLedger is what a person says that the ledger keeps for ever: at least one
// printable character and at most 200, and no number of anybody's.
func forLedger(text string) (string, error) {
	says := strings.TrimSpace(plainWords(text, 200))
	switch {
	case says == "":
		return "", problem.New(problem.Unprocessable, "Say what you found or did, in plain words.")
	case holdsNumber(says):
		return "", problem.New(problem.Unprocessable, "Leave telephone and account numbers out: the ledger keeps this for ever.")
	}
	return says, nil
}

// reference brings a call reference as people write it, in groups and any
// case, into the form in which it is stored.
func reference(text string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text))
}
