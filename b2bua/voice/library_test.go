package voice

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestParseIndexRefuses(t *testing.T) {
	for _, tt := range []struct{ name, have, want string }{
		{"two columns", "text\ta.wav\n", "1: want kind"},
		{"four columns", "text\ta.wav\tA\tB\n", "1: want kind"},
		{"unknown kind", "# c\nsong\ta.wav\tA\n", `2: kind "song"`},
		{"a file outside", "text\t../a.wav\tA\n", "1: file"},
		{"a file from the root", "text\t/a.wav\tA\n", "1: file"},
		{"no recording", "text\ta.txt\tA\n", "1: file"},
		{"no text", "text\ta.wav\t . \n", "1: text"},
		{"twice", "text\ta.wav\tA.\ntext\tb.wav\tA\n", "2: text"},
		{"too large", strings.Repeat("#", maxIndexBytes+1), "larger"},
		{"too many", func() string {
			var b strings.Builder
			for i := range maxIndexEntries + 1 {
				b.WriteString("text\ta.wav\t" + strings.Repeat("a", 1+i%90) + strings.Repeat("b", i/90) + "\n")
			}
			return b.String()[:min(b.Len(), maxIndexBytes)]
		}(), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseIndex([]byte(tt.have)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseIndex: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLibraryCheck(t *testing.T) {
	lib, err := Open(fstest.MapFS{
		"en/INDEX": {Data: []byte("digit\t1.wav\t1\ndigit\t2.wav\t2\ndigit\t3.wav\t3\n")},
		"en/1.wav": {Data: pcmWAV([]int16{1})},
		"en/2.wav": {Data: []byte("RIFF")},
		"gen/x.go": {Data: []byte("package main")},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = lib.Check()
	if err == nil || !strings.Contains(err.Error(), "2.wav") || !strings.Contains(err.Error(), "3.wav") || strings.Contains(err.Error(), "1.wav") {
		t.Errorf("Check = %v, want the damaged and the absent one", err)
	}
}

func TestFixedAndPieces(t *testing.T) {
	for _, tt := range []struct {
		have string
		want string
	}{
		{"Please note this code. {code}. Thank you.", "Please note this code|Thank you"},
		{"Pay {a|last 4} to {b}{c}.", "Pay|to"},
		{"Open it, enter {code}, check the account and approve. I will wait.", "Open it, enter|check the account and approve|I will wait"},
		{"A { that never ends", "A { that never ends"},
		{"{x}", ""},
		{"  Two \n lines.\tStop?  Yes! ", "Two lines|Stop?|Yes!"},
		{"It is 3.50 or so.", "It is 3.50 or so"},
	} {
		if got := strings.Join(Pieces(tt.have), "|"); got != tt.want {
			t.Errorf("Pieces(%q) = %q, want %q", tt.have, got, tt.want)
		}
	}
}
