package voice

import (
	"errors"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

func spokenAs(t *testing.T, lang string, as ringfence.SayAs, value string) string {
	t.Helper()
	units, err := grammars[lang].value(ringfence.SpeechPart{As: as, Text: value})
	if err != nil {
		t.Fatalf("%s %s %q: %v", lang, as, value, err)
	}
	var ws []string
	for _, u := range units {
		ws = append(ws, u.text)
	}
	return strings.Join(ws, " ")
}

func TestValues(t *testing.T) {
	for _, tt := range []struct {
		lang       string
		as         ringfence.SayAs
		have, want string
	}{
		{"en", ringfence.SayNumber, "0", "zero"},
		{"en", ringfence.SayNumber, "42", "forty-two"},
		{"en", ringfence.SayNumber, "100", "one hundred"},
		{"en", ringfence.SayNumber, "105", "one hundred and five"},
		{"en", ringfence.SayNumber, "1005", "one thousand and five"},
		{"en", ringfence.SayNumber, "12345", "twelve thousand three hundred and forty-five"},
		{"en", ringfence.SayNumber, "2000000", "two million"},
		{"en", ringfence.SayNumber, "999999999999", "nine hundred and ninety-nine billion nine hundred and ninety-nine million nine hundred and ninety-nine thousand nine hundred and ninety-nine"},
		{"en", ringfence.SayNumber, "1000000000000", "1 0 0 0 0 0 0 0 0 0 0 0 0"},
		{"en", ringfence.SayNumber, "-3.05", "minus three point 0 5"},
		{"en", ringfence.SayMoney, "1250 GBP", "twelve pounds fifty"},
		{"en", ringfence.SayMoney, "1205 GBP", "twelve pounds and five pence"},
		{"en", ringfence.SayMoney, "1201 GBP", "twelve pounds and one penny"},
		{"en", ringfence.SayMoney, "100 GBP", "one pound"},
		{"en", ringfence.SayMoney, "50 GBP", "fifty pence"},
		{"en", ringfence.SayMoney, "0 EUR", "zero euros"},
		{"en", ringfence.SayMoney, "199 USD", "one dollar ninety-nine"},
		{"en", ringfence.SayMoney, "-1250 GBP", "minus twelve pounds fifty"},
		{"en", ringfence.SayMoney, "980000 GBP", "nine thousand eight hundred pounds"},
		{"en", ringfence.SayMoney, "1250 CHF", "twelve point 5 0 c h f"},
		{"en", ringfence.SayMoney, "5 CHF", "zero point 0 5 c h f"},
		{"en", ringfence.SayMoney, "1250 JPY", "one thousand two hundred and fifty j p y"},
		{"en", ringfence.SayMoney, "1250 KWD", "one point 2 5 0 k w d"},
		{"en", ringfence.SayDate, "2026-05-03", "the third of May twenty twenty-six"},
		{"en", ringfence.SayDate, "2005-12-31", "the thirty-first of December two thousand and five"},
		{"en", ringfence.SayDate, "1999-01-01", "the first of January nineteen ninety-nine"},
		{"en", ringfence.SayDate, "1905-02-02", "the second of February nineteen hundred and five"},
		{"en", ringfence.SayDate, "1900-02-02", "the second of February nineteen hundred"},
		{"en", ringfence.SayDigits, "55556666", "5 5 5 5 6 6 6 6"},
		{"en", ringfence.SaySpell, "GB29 X", "g b 2 9 x"},
		{"en", ringfence.SaySpell, "jo.e@x.org", "j o . e @ x . o r g"},
		{"en", ringfence.SayName, "Zoë O'Brien-Groß", "z o e o b r i e n - g r o s s"},
		{"de", ringfence.SayNumber, "0", "null"},
		{"de", ringfence.SayNumber, "1", "eins"},
		{"de", ringfence.SayNumber, "21", "einundzwanzig"},
		{"de", ringfence.SayNumber, "101", "einhundert eins"},
		{"de", ringfence.SayNumber, "1000", "ein tausend"},
		{"de", ringfence.SayNumber, "101101", "einhundert ein tausend einhundert eins"},
		{"de", ringfence.SayNumber, "2000001", "zwei Millionen eins"},
		{"de", ringfence.SayNumber, "1001000000", "eine Milliarde eine Million"},
		{"de", ringfence.SayMoney, "1250 EUR", "zwölf Euro fünfzig"},
		{"de", ringfence.SayMoney, "1205 EUR", "zwölf Euro und fünf Cent"},
		{"de", ringfence.SayMoney, "101 GBP", "ein Pfund und ein Penny"},
		{"de", ringfence.SayMoney, "10100 EUR", "einhundert ein Euro"},
		{"de", ringfence.SayMoney, "121 USD", "ein Dollar einundzwanzig"},
		{"de", ringfence.SayMoney, "1 EUR", "ein Cent"},
		{"de", ringfence.SayMoney, "1250 CHF", "zwölf Komma 5 0 c h f"},
		{"de", ringfence.SayDate, "2026-05-03", "der dritte Mai zwei tausend sechsundzwanzig"},
		{"de", ringfence.SayDate, "1999-03-31", "der einunddreißigste März neunzehnhundert neunundneunzig"},
		{"de", ringfence.SayName, "Jörg Groß", "j ö r g g r o ß"},
	} {
		if got := spokenAs(t, tt.lang, tt.as, tt.have); got != tt.want {
			t.Errorf("%s %s %q: %q, want %q", tt.lang, tt.as, tt.have, got, tt.want)
		}
	}
}

// Two amounts never sound alike, and every word said is in the inventory.
func TestAmountsAreUnambiguous(t *testing.T) {
	for lang, g := range grammars {
		have := make(map[Item]bool)
		for _, it := range Inventory(lang) {
			have[it] = true
		}
		said := make(map[string]uint64)
		for _, minor := range []uint64{0, 1, 5, 10, 15, 50, 99} {
			for whole := uint64(0); whole < 1_200_000; whole += 1 + whole/97 {
				n := whole*100 + minor
				ws, ok := g.money(whole, minor, "GBP")
				if !ok {
					t.Fatal("no words for GBP")
				}
				text := strings.Join(ws, " ")
				if other, twice := said[text]; twice {
					t.Errorf("%s: %d and %d are both %q", lang, n, other, text)
				}
				said[text] = n
				for _, w := range ws {
					if !have[Item{KindWord, w}] {
						t.Fatalf("%s: %q of %d is not in the inventory", lang, w, n)
					}
				}
			}
		}
		for _, day := range []string{"1100-01-01", "1234-02-28", "1900-12-31", "2000-02-29", "2007-08-30", "2030-11-11"} {
			units, err := g.sayDate(day)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range units {
				if !have[Item{u.kind, u.text}] {
					t.Errorf("%s: %q of %s is not in the inventory", lang, u.text, day)
				}
			}
		}
	}
}

func FuzzSpell(f *testing.F) {
	f.Add("Zoë O'Brien", true)
	f.Add("GB29 NWBK 6016 1331 9268 19", false)
	f.Add("￿\x00\u202e7", false)
	f.Fuzz(func(t *testing.T, s string, german bool) {
		g := grammars["en"]
		if german {
			g = grammars["de"]
		}
		units, err := g.spell(s, pauseDigit)
		if (err == nil) == (len(units) == 0) || err != nil && !errors.Is(err, ErrUnspeakable) {
			t.Fatalf("%d units, %v", len(units), err)
		}
		// No digit is lost or made up.
		if err == nil {
			var want, got strings.Builder
			for _, r := range s {
				if r >= '0' && r <= '9' {
					want.WriteRune(r)
				}
			}
			for _, u := range units {
				if u.kind == KindDigit {
					got.WriteString(u.text)
				}
			}
			if got.String() != want.String() {
				t.Fatalf("digits %s, spoken %s", want.String(), got.String())
			}
		}
	})
}
