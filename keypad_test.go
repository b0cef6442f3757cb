package ringfence

import "testing"

func TestKeypad(t *testing.T) {
	for ref, want := range map[string]string{"k7m2": "", "K7 M2": "", "K7Ä": "", "": "", "K7M2P9QX": "57627979",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ": "22233344455566677778889999", "0123456789": "0123456789"} {
		if got := Keypad(ref); got != want {
			t.Errorf("%q is keyed %q, want %q", ref, got, want)
		}
	}
}
