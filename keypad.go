package ringfence

// keypad is the key of each letter, from A, on a telephone (ITU-T E.161).
const keypad = "22233344455566677778889999"

// Keypad is a call reference as it is keyed on a telephone: digits stay, each
// letter becomes the key that bears it. Several references are keyed alike, so
// the result alone names none. Anything else than digits and capital letters
// makes it empty.
func Keypad(reference string) string {
	out := []byte(reference)
	for i, c := range out {
		switch {
		case c >= 'A' && c <= 'Z':
			out[i] = keypad[c-'A']
		case c < '0' || c > '9':
			return ""
		}
	}
	return string(out)
}
