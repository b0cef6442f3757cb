package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/b2bua/voice"
)

const root = "../.."

// Everything that the shipped flows say has its recording, and nothing else
// has one.
func TestAllIsRecorded(t *testing.T) {
	texts, err := readTexts(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range speakers {
		dir := filepath.Join(root, "audio", s.language)
		have, err := readIndex(filepath.Join(dir, voice.IndexFile))
		if err != nil {
			t.Fatal(err)
		}
		recorded := make(map[voice.Entry]bool)
		for _, e := range have {
			recorded[e] = true
		}
		want := wanted(s.language, texts[s.language])
		for _, e := range want {
			if !recorded[e] {
				t.Errorf("%s: no recording of %s %q: run scripts/audio/render.sh", s.language, e.Kind, e.Text)
			}
			if _, err := os.Stat(filepath.Join(dir, e.File)); err != nil {
				t.Error(err)
			}
		}
		if len(have) > len(want) {
			t.Errorf("%s: %d recordings, %d wanted: run scripts/audio/render.sh", s.language, len(have), len(want))
		}
	}
}

// SOURCES names every recording that is there, with its hash.
func TestSources(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "audio", "SOURCES"))
	if err != nil {
		t.Fatal(err)
	}
	stated := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if col := strings.Split(line, "\t"); len(col) == 3 {
			stated[col[1]] = col[0]
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "audio", "*", "*.wav"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, f := range files {
		wav, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.ToSlash(strings.TrimPrefix(f, filepath.Join(root, "audio")+string(filepath.Separator)))
		sum := sha256.Sum256(wav)
		if got := hex.EncodeToString(sum[:]); stated[name] != got {
			t.Errorf("%s: SOURCES says %q, the file is %s", name, stated[name], got)
		}
		delete(stated, name)
	}
	for name := range stated {
		t.Errorf("SOURCES names %s, which is not there", name)
	}
}

func TestFileName(t *testing.T) {
	for _, tt := range []struct {
		kind       voice.Kind
		have, want string
	}{
		{voice.KindDigit, "7", "7.wav"},
		{voice.KindLetter, "a", "letter-a.wav"},
		{voice.KindLetter, "@", "letter-at.wav"},
		{voice.KindLetter, "ß", "letter-ss.wav"},
		{voice.KindWord, "the third of", "word-the-third-of.wav"},
		{voice.KindWord, "fünf", "word-fuenf.wav"},
		{voice.KindText, "Goodbye", "goodbye-c015ad.wav"},
	} {
		if got := fileName(tt.kind, tt.have); got != tt.want {
			t.Errorf("fileName(%s, %q) = %q, want %q", tt.kind, tt.have, got, tt.want)
		}
	}
}
