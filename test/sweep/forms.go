package sweep

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// form is one way to write a secret down.
type form struct {
	name  string
	bytes []byte
	// digits says that it is a few digits only, so that longer runs of digits
	// and letters hold it by chance.
	digits bool
}

// minForm is the shortest text that is looked for in an encoding: what is
// shorter stands in random bytes by chance.
const minForm = 6

// minNumber is how many digits stand nowhere by chance.
const minNumber = 10

// forms are the ways to write value: itself, and the encodings that programs
// use on the way.
func forms(value []byte) (out []form) {
	text := string(value)
	add := func(name, s string) {
		if s == "" || len(s) < minForm && name != "plain" {
			return
		}
		same := func(f form) bool { return string(f.bytes) == s }
		if !slices.ContainsFunc(out, same) {
			out = append(out, form{name, []byte(s), len(s) < minNumber && onlyDigits(s)})
		}
	}
	add("plain", text)
	for i := range 3 {
		add("base64", core(base64.RawStdEncoding, value, i))
		add("base64url", core(base64.RawURLEncoding, value, i))
	}
	add("hex", hex.EncodeToString(value))
	add("hex", strings.ToUpper(hex.EncodeToString(value)))
	if len(value) >= 8 {
		add("base32", strings.TrimRight(base32.StdEncoding.EncodeToString(value), "="))
		add("base32", strings.ToLower(strings.TrimRight(base32.StdEncoding.EncodeToString(value), "=")))
		add("lower case", strings.ToLower(text))
		add("upper case", strings.ToUpper(text))
	}
	add("URL-encoded", url.QueryEscape(text))
	add("URL-encoded", url.PathEscape(text))
	add("URL-encoded", each(value, "%%%02X", ""))
	add("URL-encoded", each(value, "%%%02x", ""))
	for _, quoted := range quotes(text) {
		add("JSON", quoted)
	}
	add("JSON", each(value, `\u%04x`, ""))
	add("HTML", each(value, "&#%d;", ""))
	add("octal", each(value, `\%03o`, ""))
	for name, sep := range map[string]string{"spaced": " ", "dashed": "-", "dotted": ".", "listed": ",", "listed apart": ", ", "lines": "\n", "JSON list": `","`} {
		add(name, each(value, "%c", sep))
	}
	add("bytes", each(value, "%d", " "))
	add("bytes", each(value, "%d", ","))
	add("hex dump", each(value, "%02x", " "))
	add("reversed", reversed(text))
	wide := utf16.Encode([]rune(text))
	add("UTF-16LE", pairs(wide, func(v uint16) string { return string([]byte{byte(v), byte(v >> 8)}) }))
	add("UTF-16BE", pairs(wide, func(v uint16) string { return string([]byte{byte(v >> 8), byte(v)}) }))
	if onlyDigits(text) {
		add("in words", inWords(text, "zero one two three four five six seven eight nine"))
		add("in words", inWords(text, "null eins zwei drei vier fünf sechs sieben acht neun"))
		for name, sum := range digests(value) {
			add(name, hex.EncodeToString(sum))
			add(name, base64.RawStdEncoding.EncodeToString(sum))
			add(name, base64.RawURLEncoding.EncodeToString(sum))
		}
	}
	return out
}

// digests are of short secrets: a hash of one is as good as itself.
func digests(value []byte) map[string][]byte {
	one, two, three := sha256.Sum256(value), sha1.Sum(value), md5.Sum(value)
	return map[string][]byte{"SHA-256": one[:], "SHA-1": two[:], "MD5": three[:]}
}

// core is what base64 of any text has in common that holds value at a place
// whose remainder by three is shift.
func core(e *base64.Encoding, value []byte, shift int) string {
	text := e.EncodeToString(append(make([]byte, shift), value...))
	first := []int{0, 2, 3}[shift]
	last := (shift + len(value)) * 8 / 6 // characters that the value alone decides
	if first >= last {
		return ""
	}
	return text[first:last]
}

// quotes writes text as JSON does, with HTML's characters escaped and as they are.
func quotes(text string) (out []string) {
	for _, html := range []bool{true, false} {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if e.Encode(text) == nil {
			quoted := strings.TrimSpace(b.String())
			out = append(out, quoted[1:len(quoted)-1])
		}
	}
	return out
}

func each(value []byte, verb, sep string) string {
	parts := make([]string, len(value))
	for i, b := range value {
		parts[i] = fmt.Sprintf(verb, b)
	}
	return strings.Join(parts, sep)
}

func pairs(units []uint16, write func(uint16) string) string {
	var b strings.Builder
	for _, u := range units {
		b.WriteString(write(u))
	}
	return b.String()
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func inWords(digits, names string) string {
	words := strings.Fields(names)
	out := make([]string, len(digits))
	for i := range digits {
		out[i] = words[digits[i]-'0']
	}
	return strings.Join(out, " ")
}

func onlyDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
