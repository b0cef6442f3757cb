package voice

import "strings"

// Sentences cuts fixed text after each full stop, question mark or
// exclamation mark that a space or the end follows. Recordings are kept by
// the sentence, so that "Goodbye." is stored once and a changed sentence
// leaves its neighbours their recordings.
func Sentences(text string) []string {
	var out []string
	text = strings.Join(strings.Fields(text), " ")
	start := 0
	for i := range len(text) {
		if !strings.ContainsRune(".?!", rune(text[i])) || i+1 < len(text) && text[i+1] != ' ' {
			continue
		}
		out = append(out, strings.TrimSpace(text[start:i+1]))
		start = i + 1
	}
	if last := strings.TrimSpace(text[start:]); last != "" {
		out = append(out, last)
	}
	return out
}

// Fixed returns the stretches of a script's text between its {variables}. A
// brace that is never closed belongs to the text.
func Fixed(source string) []string {
	var out []string
	for {
		open := strings.IndexByte(source, '{')
		if open < 0 {
			return append(out, source)
		}
		end := strings.IndexByte(source[open:], '}')
		if end < 0 {
			return append(out, source)
		}
		out = append(out, source[:open])
		source = source[open+end+1:]
	}
}

// Pieces returns what must be recorded so that the text of a script can be
// spoken: each sentence of each stretch between its variables, as a recording
// is looked up.
func Pieces(source string) []string {
	var out []string
	for _, stretch := range Fixed(source) {
		for _, s := range Sentences(stretch) {
			if key := keyOf(KindText, s); key != "" {
				out = append(out, key)
			}
		}
	}
	return out
}

// baseLanguage is the first subtag of a BCP 47 tag, lower case.
func baseLanguage(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return base
}
