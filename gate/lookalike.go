package gate

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// lookAlikes are letters of other alphabets that nobody can tell from Latin
// ones (Unicode TS 39, confusables: the single-letter ones).
const lookAlikes = "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁһԛԝӏ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονα"

// disguised reports a text without a Latin letter whose every letter looks like
// one, and a text with letters or figures in fancy dress: full-width, circled,
// mathematical, ligatures.
func disguised(s string) bool {
	if strings.ContainsFunc(s, dressedUp) {
		return true
	}
	letters := 0
	for _, r := range s {
		switch {
		case strings.ContainsRune(lookAlikes, r):
			letters++
		case unicode.IsLetter(r):
			return false
		}
	}
	return letters > 1
}

// dressedUp reports a character beyond Latin-1 that stands for plain letters or
// figures (Unicode's compatibility forms).
func dressedUp(r rune) bool {
	if r <= unicode.MaxLatin1 {
		return false
	}
	plain := norm.NFKC.String(string(r))
	return plain != string(r) && strings.ContainsFunc(plain, func(p rune) bool { return p >= '0' && p <= '9' || p >= 'A' && p <= 'Z' || p >= 'a' && p <= 'z' })
}
