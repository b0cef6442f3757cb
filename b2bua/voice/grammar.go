package voice

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/policy"
)

// ErrUnspeakable is returned, wrapped, when a value cannot be spoken whole:
// an unknown currency, a date that is none, a letter without a recording.
var ErrUnspeakable = errors.New("value cannot be spoken")

// unit is one recording of a value and the silence after it.
type unit struct {
	kind  Kind
	text  string
	pause time.Duration
}

// The silences between the pieces of a value.
const (
	pauseWithin = 40 * time.Millisecond  // between the words of one number
	pauseDigit  = 140 * time.Millisecond // between digits or letters
	pauseGroup  = 300 * time.Millisecond // where the eye would see a space
	pauseSlow   = 600 * time.Millisecond // between digits of a slow part
)

// grammar says which recordings the values of one language are made of.
type grammar struct {
	// number returns the words of n. Attributive is the form before a noun
	// ("ein Euro", not "eins Euro"); English has but one.
	number func(n uint64, attributive bool) []string
	// money returns the words of an amount of whole and hundredths, negative
	// amounts excepted; ok is false for a currency without words.
	money func(whole, minor uint64, currency string) (words []string, ok bool)
	date  func(t time.Time) []string
	minus string
	point string
	// letters are the letters and signs spelt one by one, lower case.
	letters string
	// fold maps a letter that is not spelt to letters that are.
	fold func(r rune) string
	// words is everything number, money and date may return.
	words []string
}

var grammars = map[string]*grammar{"en": english(), "de": german()}

// Item is one piece of audio that a language's grammar needs.
type Item struct {
	Kind Kind
	Text string
}

// Inventory lists what must be recorded so that every value can be spoken in
// the language without a TTS. It is empty for a language without a grammar.
func Inventory(language string) []Item {
	g := grammars[language]
	if g == nil {
		return nil
	}
	var items []Item
	for d := '0'; d <= '9'; d++ {
		items = append(items, Item{KindDigit, string(d)})
	}
	for _, r := range g.letters {
		items = append(items, Item{KindLetter, string(r)})
	}
	for _, w := range g.words {
		items = append(items, Item{KindWord, w})
	}
	return items
}

func words(ws []string) []unit {
	out := make([]unit, len(ws))
	for i, w := range ws {
		out[i] = unit{KindWord, w, pauseWithin}
	}
	return out
}

// maxNumber is the greatest number with words; beyond it digits are spoken.
const maxNumber = 999_999_999_999

// sayNumber speaks a decimal number: a sign, digits, and perhaps a point and
// digits after it.
func (g *grammar) sayNumber(text string) ([]unit, error) {
	rest, negative := strings.CutPrefix(text, "-")
	whole, fraction, pointed := strings.Cut(rest, ".")
	if !allDigits(whole) || pointed && !allDigits(fraction) {
		return nil, fmt.Errorf("number: %w", ErrUnspeakable)
	}
	var out []unit
	if negative {
		out = words([]string{g.minus})
	}
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || n > maxNumber {
		out = append(out, digits(whole, pauseDigit)...)
	} else {
		out = append(out, words(g.number(n, false))...)
	}
	if pointed {
		out = append(out, words([]string{g.point})...)
		out = append(out, digits(fraction, pauseDigit)...)
	}
	return out, nil
}

// sayMoney speaks "<minor units> <ISO 4217>". A currency without words of its
// own is spoken as a decimal number and its code, never as minor units.
func (g *grammar) sayMoney(text string) ([]unit, error) {
	amount, currency, ok := strings.Cut(text, " ")
	abs, negative := strings.CutPrefix(amount, "-")
	exponent, known := currencyExponent(currency)
	if !ok || !known || !allDigits(abs) {
		return nil, fmt.Errorf("money: %w", ErrUnspeakable)
	}
	n, err := strconv.ParseUint(abs, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("money: %w", ErrUnspeakable)
	}
	if exponent == 2 && n/100 <= maxNumber {
		if ws, ok := g.money(n/100, n%100, currency); ok {
			if negative {
				ws = append([]string{g.minus}, ws...)
			}
			return words(ws), nil
		}
	}
	out, err := g.sayNumber(decimal(amount, exponent))
	if err != nil {
		return nil, err
	}
	out[len(out)-1].pause = pauseDigit
	for _, r := range strings.ToLower(currency) {
		out = append(out, unit{KindLetter, string(r), pauseDigit})
	}
	return out, nil
}

// decimal writes minor units with their point: "-1250" and 2 give "-12.50".
func decimal(minor string, exponent int) string {
	abs, negative := strings.CutPrefix(minor, "-")
	if exponent > 0 {
		if short := exponent + 1 - len(abs); short > 0 {
			abs = strings.Repeat("0", short) + abs
		}
		abs = abs[:len(abs)-exponent] + "." + abs[len(abs)-exponent:]
	}
	if negative {
		return "-" + abs
	}
	return abs
}

// currencyExponent returns how many digits of a currency's amount are minor
// units; false for what is no ISO 4217 code.
func currencyExponent(code string) (int, bool) {
	if len(code) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return 0, false
	}
	return policy.Exponent(code), true
}

// sayDate speaks YYYY-MM-DD.
func (g *grammar) sayDate(text string) ([]unit, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1000 {
		return nil, fmt.Errorf("date: %w", ErrUnspeakable)
	}
	return words(g.date(t)), nil
}

// spell speaks text sign by sign: digits, letters, and the signs of addresses.
// Other signs part groups. A letter or digit without a recording is an error.
func (g *grammar) spell(text string, pause time.Duration) ([]unit, error) {
	var out []unit
	for _, r := range strings.ToLower(text) {
		said := string(r)
		if !g.spelt(r) {
			said = g.fold(r)
		}
		if said == "" {
			if speechless(r) {
				if len(out) > 0 {
					out[len(out)-1].pause = max(pause, pauseGroup)
				}
				continue
			}
			return nil, fmt.Errorf("spelling: %w", ErrUnspeakable)
		}
		for _, r := range said {
			kind := KindLetter
			if r >= '0' && r <= '9' {
				kind = KindDigit
			}
			out = append(out, unit{kind, string(r), pause})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("spelling: %w", ErrUnspeakable)
	}
	return out, nil
}

func (g *grammar) spelt(r rune) bool {
	return r >= '0' && r <= '9' || strings.ContainsRune(g.letters, r)
}

// speechless reports whether a sign may be passed over when spelling: spaces
// and punctuation, but nothing that tells two values apart.
func speechless(r rune) bool {
	return strings.ContainsRune(" \t\n\u00a0,;:!?'\"’‘“”()–—", r)
}

func digits(text string, pause time.Duration) []unit {
	out := make([]unit, 0, len(text))
	for _, r := range text {
		out = append(out, unit{KindDigit, string(r), pause})
	}
	return out
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
