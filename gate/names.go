package gate

import (
	"slices"
	"strings"
	"unicode"
)

// maxNameWords bounds by how many words of a name a subject is found.
const maxNameWords = 8

// NameWords cuts a name into the words by which a subject is found: lower
// case, of at least two letters, the first eight.
func NameWords(name string) (out []string) {
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len([]rune(word)) >= 2 && len(out) < maxNameWords && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

// NameKey is the look-up key of a subject whose name has the word; its value is
// the subject's kind. Stores keep a keyed hash of it only.
func NameKey(word string) string { return "name:" + word }
