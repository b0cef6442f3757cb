package voice

import "time"

var (
	germanSmall = [...]string{"null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun",
		"zehn", "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"}
	germanTens     = [...]string{2: "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"}
	germanOrdinals = [...]string{1: "erste", "zweite", "dritte", "vierte", "fünfte", "sechste", "siebte", "achte",
		"neunte", "zehnte", "elfte", "zwölfte", "dreizehnte", "vierzehnte", "fünfzehnte", "sechzehnte",
		"siebzehnte", "achtzehnte", "neunzehnte", "zwanzigste", "einundzwanzigste", "zweiundzwanzigste",
		"dreiundzwanzigste", "vierundzwanzigste", "fünfundzwanzigste", "sechsundzwanzigste",
		"siebenundzwanzigste", "achtundzwanzigste", "neunundzwanzigste", "dreißigste", "einunddreißigste"}
	germanMonths = [...]string{1: "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August",
		"September", "Oktober", "November", "Dezember"}
	germanMoney = map[string][3]string{ // unit, one hundredth, many hundredths
		"GBP": {"Pfund", "Penny", "Pence"},
		"EUR": {"Euro", "Cent", "Cent"},
		"USD": {"Dollar", "Cent", "Cent"},
	}
)

// german is the grammar of German.
func german() *grammar {
	g := &grammar{
		number:  germanNumber,
		money:   germanAmount,
		date:    germanDate,
		minus:   "minus",
		point:   "Komma",
		letters: "abcdefghijklmnopqrstuvwxyzäöüß@.-_+/&*#",
		fold:    foldLatin,
	}
	for n := range uint64(100) {
		g.words = append(g.words, germanBelowHundred(n))
	}
	for n := uint64(1); n < 10; n++ {
		g.words = append(g.words, germanHundreds(n))
	}
	g.words = append(g.words, "ein", "tausend", "eine Million", "Millionen", "eine Milliarde", "Milliarden",
		"und", "minus", "Komma")
	for _, currency := range []string{"GBP", "EUR", "USD"} {
		m := germanMoney[currency]
		g.words = appendNew(g.words, m[:]...)
	}
	for century := uint64(11); century < 20; century++ {
		g.words = append(g.words, germanBelowHundred(century)+"hundert")
	}
	for _, o := range germanOrdinals[1:] {
		g.words = append(g.words, "der "+o)
	}
	g.words = append(g.words, germanMonths[1:]...)
	return g
}

func germanBelowHundred(n uint64) string {
	switch {
	case n < 20:
		return germanSmall[n]
	case n%10 == 0:
		return germanTens[n/10]
	}
	return germanOne(n%10) + "und" + germanTens[n/10]
}

func germanHundreds(n uint64) string { return germanOne(n) + "hundert" }

// germanOne is a number below ten inside a longer word: einundzwanzig.
func germanOne(n uint64) string {
	if n == 1 {
		return "ein"
	}
	return germanSmall[n]
}

func germanNumber(n uint64, attributive bool) []string {
	if n == 0 {
		return []string{germanSmall[0]}
	}
	var out []string
	for _, s := range []struct {
		size      uint64
		one, many string
	}{{1_000_000_000, "eine Milliarde", "Milliarden"}, {1_000_000, "eine Million", "Millionen"}} {
		switch k := n / s.size; {
		case k == 1:
			out = append(out, s.one)
		case k > 1:
			out = append(append(out, germanBelowThousand(k, true)...), s.many)
		}
		n %= s.size
	}
	if k := n / 1000; k > 0 {
		out = append(append(out, germanBelowThousand(k, true)...), "tausend")
		n %= 1000
	}
	if n > 0 {
		out = append(out, germanBelowThousand(n, attributive)...)
	}
	return out
}

func germanBelowThousand(n uint64, attributive bool) []string {
	var out []string
	if n >= 100 {
		out = append(out, germanHundreds(n/100))
		n %= 100
	}
	switch {
	case n == 1 && attributive:
		out = append(out, "ein")
	case n > 0:
		out = append(out, germanBelowHundred(n))
	}
	return out
}

// germanAmount says "zwölf Euro fünfzig", and "zwölf Euro und fünf Cent" where
// "zwölf Euro fünf" might be heard as fünfzig.
func germanAmount(whole, minor uint64, currency string) ([]string, bool) {
	m, ok := germanMoney[currency]
	if !ok {
		return nil, false
	}
	hundredths := append(germanNumber(minor, true), plural(minor, m[1], m[2]))
	if whole == 0 && minor > 0 {
		return hundredths, true
	}
	out := append(germanNumber(whole, true), m[0])
	switch {
	case minor == 0:
	case minor < 10:
		out = append(append(out, "und"), hundredths...)
	default:
		out = append(out, germanNumber(minor, false)...)
	}
	return out, true
}

// germanDate says "der dritte Mai zweitausend sechsundzwanzig"; the years
// 1100 to 1999 are counted in hundreds.
func germanDate(t time.Time) []string {
	out := []string{"der " + germanOrdinals[t.Day()], germanMonths[t.Month()]}
	year := uint64(t.Year())
	if year < 1100 || year > 1999 {
		return append(out, germanNumber(year, false)...)
	}
	out = append(out, germanBelowHundred(year/100)+"hundert")
	if year%100 > 0 {
		out = append(out, germanBelowHundred(year%100))
	}
	return out
}
