package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence/b2bua/voice"
)

var signNames = map[string]string{
	"@": "at", ".": "dot", "-": "dash", "_": "underscore", "+": "plus", "/": "slash", "&": "ampersand",
	"*": "star", "#": "hash", "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss",
}

// fileName is where a recording is kept. Long texts are told apart by the
// start of their hash.
func fileName(k voice.Kind, text string) string {
	switch k {
	case voice.KindDigit:
		return text + ".wav"
	case voice.KindLetter:
		if name := signNames[text]; name != "" {
			text = name
		}
		return "letter-" + text + ".wav"
	case voice.KindWord:
		return "word-" + slug(text, 40) + ".wav"
	}
	sum := sha256.Sum256([]byte(text))
	return slug(text, 40) + "-" + hex.EncodeToString(sum[:3]) + ".wav"
}

var plainLetters = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss")

// slug keeps letters and digits, at most n of them, and makes dashes of what
// stands between.
func slug(text string, n int) string {
	var out []byte
	for _, r := range plainLetters.Replace(strings.ToLower(text)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			out = append(out, byte(r))
		case len(out) > 0 && out[len(out)-1] != '-' && r != '\'':
			out = append(out, '-')
		}
	}
	return strings.Trim(string(out[:min(n, len(out))]), "-")
}

func writeIndex(name string, entries []voice.Entry) error {
	var b bytes.Buffer
	b.WriteString("# kind, file, text; written by scripts/audio/render.sh\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "%s\t%s\t%s\n", e.Kind, e.File, e.Text)
	}
	if _, err := voice.ParseIndex(b.Bytes()); err != nil {
		return fmt.Errorf("%s:%w", name, err)
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

const sourcesHead = `# Where the recordings come from. Written by scripts/audio/render.sh.
#
# Each was spoken by the program and voice of its language, resampled to 8 kHz
# (b2bua/voice.Resample) with its sibilants folded into the telephone band and
# weak consonants lifted, brought to -19 dB of full scale, cut at its silent
# ends and written as G.711 µ-law by scripts/audio/gen. Tones and hold music
# are computed by b2bua/voice and are the project's own.
#
# Below, parted by tabs: SHA-256 of the file, the file, the command (OUT is
# the file before that treatment).
`

// writeSources describes every recording of every language.
func writeSources(audio string) error {
	var b bytes.Buffer
	b.WriteString(sourcesHead)
	for _, s := range speakers {
		entries, err := readIndex(filepath.Join(audio, s.language, voice.IndexFile))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n# language %s\n# program  %s, Debian package %s %s\n# voice    %s\n# licence  %s\n",
			s.language, s.program, s.pkg, debianVersion(s.pkg), s.voice, s.licence)
		for _, e := range entries {
			wav, err := os.ReadFile(filepath.Join(audio, s.language, e.File))
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%x\t%s/%s\t%s\n", sha256.Sum256(wav), s.language, e.File, s.command(e))
		}
	}
	return os.WriteFile(filepath.Join(audio, "SOURCES"), b.Bytes(), 0o644)
}

func readIndex(name string) ([]voice.Entry, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return voice.ParseIndex(b)
}

// debianVersion is the installed version of a package, or "unknown version".
func debianVersion(pkg string) string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", pkg).Output()
	if err != nil {
		return "unknown version"
	}
	return string(out)
}
