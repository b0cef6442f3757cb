package voice

import (
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

var (
	englishSmall = [...]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
		"ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"}
	englishTens     = [...]string{2: "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}
	englishOrdinals = [...]string{1: "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
		"ninth", "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth",
		"seventeenth", "eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third",
		"twenty-fourth", "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth", "twenty-ninth",
		"thirtieth", "thirty-first"}
	englishScales = []struct {
		size uint64
		word string
	}{{1_000_000_000, "billion"}, {1_000_000, "million"}, {1000, "thousand"}}
	englishMoney = map[string][4]string{ // one, many, one hundredth, many hundredths
		"GBP": {"pound", "pounds", "penny", "pence"},
		"EUR": {"euro", "euros", "cent", "cents"},
		"USD": {"dollar", "dollars", "cent", "cents"},
	}
)

// english is the grammar of British English.
func english() *grammar {
	g := &grammar{
		number:  func(n uint64, _ bool) []string { return englishNumber(n) },
		money:   englishAmount,
		date:    englishDate,
		minus:   "minus",
		point:   "point",
		letters: "abcdefghijklmnopqrstuvwxyz@.-_+/&*#",
		fold:    foldLatin,
	}
	for n := range uint64(100) {
		g.words = append(g.words, englishBelowHundred(n))
	}
	g.words = append(g.words, "hundred", "thousand", "million", "billion", "and", "minus", "point")
	for _, currency := range []string{"GBP", "EUR", "USD"} {
		m := englishMoney[currency]
		g.words = appendNew(g.words, m[:]...)
	}
	for _, o := range englishOrdinals[1:] {
		g.words = append(g.words, "the "+o+" of")
	}
	for m := time.January; m <= time.December; m++ {
		g.words = append(g.words, m.String())
	}
	return g
}

func englishBelowHundred(n uint64) string {
	switch {
	case n < 20:
		return englishSmall[n]
	case n%10 == 0:
		return englishTens[n/10]
	}
	return englishTens[n/10] + "-" + englishSmall[n%10]
}

func englishNumber(n uint64) []string {
	if n < 100 {
		return []string{englishBelowHundred(n)}
	}
	if n < 1000 {
		out := []string{englishBelowHundred(n / 100), "hundred"}
		if n%100 > 0 {
			out = append(out, "and", englishBelowHundred(n%100))
		}
		return out
	}
	var out []string
	for _, s := range englishScales {
		if n >= s.size {
			out = append(append(out, englishNumber(n/s.size)...), s.word)
			n %= s.size
		}
	}
	if n > 0 && n < 100 {
		out = append(out, "and")
	}
	if n > 0 {
		out = append(out, englishNumber(n)...)
	}
	return out
}

// englishAmount says "twelve pounds fifty", and "twelve pounds and five pence"
// where "twelve pounds five" might be heard as fifty.
func englishAmount(whole, minor uint64, currency string) ([]string, bool) {
	m, ok := englishMoney[currency]
	if !ok {
		return nil, false
	}
	if whole == 0 && minor > 0 {
		return append(englishNumber(minor), plural(minor, m[2], m[3])), true
	}
	out := append(englishNumber(whole), plural(whole, m[0], m[1]))
	switch {
	case minor == 0:
	case minor < 10:
		out = append(append(append(out, "and"), englishNumber(minor)...), plural(minor, m[2], m[3]))
	default:
		out = append(out, englishNumber(minor)...)
	}
	return out, true
}

func englishDate(t time.Time) []string {
	out := []string{"the " + englishOrdinals[t.Day()] + " of", t.Month().String()}
	year := uint64(t.Year())
	century, rest := year/100, year%100
	switch {
	case year/10%100 == 0: // 2000 to 2009: two thousand and five
		return append(out, englishNumber(year)...)
	case rest == 0: // nineteen hundred
		return append(out, englishBelowHundred(century), "hundred")
	case rest < 10: // nineteen hundred and five
		return append(out, englishBelowHundred(century), "hundred", "and", englishBelowHundred(rest))
	}
	return append(out, englishBelowHundred(century), englishBelowHundred(rest))
}

// foldLatin takes the accents off a Latin letter: é is spelt e.
func foldLatin(r rune) string {
	switch r {
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'ø':
		return "o"
	case 'ł':
		return "l"
	case 'đ', 'ð':
		return "d"
	case 'þ':
		return "th"
	}
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		if r >= 0x300 && r <= 0x36f { // combining marks
			return -1
		}
		return 0
	}, norm.NFD.String(string(r)))
	if strings.ContainsRune(base, 0) {
		return ""
	}
	return base
}

func plural(n uint64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func appendNew(list []string, more ...string) []string {
next:
	for _, m := range more {
		for _, have := range list {
			if have == m {
				continue next
			}
		}
		list = append(list, m)
	}
	return list
}
