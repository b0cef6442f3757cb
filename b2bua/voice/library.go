package voice

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/ringfence/ringfence"
)

// Kind is what a recording holds.
type Kind string

// The kinds. Digits and letters are the only audio a secret is made of.
const (
	KindDigit  Kind = "digit"  // Text is 0–9
	KindLetter Kind = "letter" // Text is one lower-case letter or one sign of an address
	KindWord   Kind = "word"   // a piece of the grammar: "forty-two", "pounds", "the third of"
	KindText   Kind = "text"   // fixed text of a script
)

// Entry names one recording of a language.
type Entry struct {
	Kind Kind
	File string // relative to the language's folder
	Text string
}

// Bounds on an index file.
const (
	maxIndexBytes   = 1 << 20
	maxIndexEntries = 10000
)

// IndexFile is the name of the list of recordings in each language's folder:
// a line each, kind, file and text parted by tabs. A line that begins with #
// is a comment.
const IndexFile = "INDEX"

// Library holds the recordings of some languages. It is safe for concurrent
// use. Audio is read when it is first needed and then kept.
type Library struct {
	fsys  fs.FS
	byKey map[clipKey]string // path
	order map[string][]Entry // by language, as listed

	mu    sync.Mutex // guards below
	clips map[string]ringfence.Clip
}

type clipKey struct {
	language string
	kind     Kind
	text     string
}

// Open reads the index of every language folder in fsys, which is laid out as
// the shipped scripts/audio: en/INDEX, en/*.wav, de/INDEX, and so on. A folder
// without an index is not a language. It reads no audio: Check does.
func Open(fsys fs.FS) (*Library, error) {
	dirs, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	lib := &Library{
		fsys:  fsys,
		byKey: make(map[clipKey]string),
		order: make(map[string][]Entry),
		clips: make(map[string]ringfence.Clip),
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		name := path.Join(d.Name(), IndexFile)
		b, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("recordings: %w", err)
		}
		entries, err := ParseIndex(b)
		if err != nil {
			return nil, fmt.Errorf("%s:%w", name, err)
		}
		lib.add(d.Name(), entries)
	}
	return lib, nil
}

func (l *Library) add(language string, entries []Entry) {
	l.order[language] = entries
	for _, e := range entries {
		l.byKey[clipKey{language, e.Kind, keyOf(e.Kind, e.Text)}] = path.Join(language, e.File)
	}
}

// ParseIndex reads an index. An error begins with the number of its line.
func ParseIndex(b []byte) ([]Entry, error) {
	if len(b) > maxIndexBytes {
		return nil, fmt.Errorf("1: index larger than %d bytes", maxIndexBytes)
	}
	var entries []Entry
	seen := make(map[clipKey]bool)
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		col := strings.Split(line, "\t")
		if len(col) != 3 {
			return nil, fmt.Errorf("%d: want kind, file and text parted by tabs", n)
		}
		e := Entry{Kind: Kind(col[0]), File: col[1], Text: col[2]}
		switch e.Kind {
		case KindDigit, KindLetter, KindWord, KindText:
		default:
			return nil, fmt.Errorf("%d: kind %q: want digit, letter, word or text", n, col[0])
		}
		if !fs.ValidPath(e.File) || path.Ext(e.File) != ".wav" {
			return nil, fmt.Errorf("%d: file %q: want a .wav file below this folder", n, e.File)
		}
		k := clipKey{"", e.Kind, keyOf(e.Kind, e.Text)}
		if k.text == "" || seen[k] {
			return nil, fmt.Errorf("%d: text %q is empty or stands twice", n, e.Text)
		}
		seen[k] = true
		if entries = append(entries, e); len(entries) > maxIndexEntries {
			return nil, fmt.Errorf("%d: more than %d recordings", n, maxIndexEntries)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("1: %v", err)
	}
	return entries, nil
}

// Languages returns the languages that have an index, sorted.
func (l *Library) Languages() []string {
	var out []string
	for lang := range l.order {
		out = append(out, lang)
	}
	slices.Sort(out)
	return out
}

// Entries returns the recordings of a language in the order of its index. The
// caller must not change them.
func (l *Library) Entries(language string) []Entry { return l.order[language] }

// Check reads every recording and returns all that is wrong with them.
func (l *Library) Check() error {
	var all []error
	for _, lang := range l.Languages() {
		for _, e := range l.order[lang] {
			if _, err := l.read(path.Join(lang, e.File)); err != nil {
				all = append(all, err)
			}
		}
	}
	return errors.Join(all...)
}

// clip returns the recording of text, nil when there is none.
func (l *Library) clip(language string, kind Kind, text string) (ringfence.Clip, error) {
	if l == nil {
		return nil, nil
	}
	name, ok := l.byKey[clipKey{language, kind, keyOf(kind, text)}]
	if !ok {
		return nil, nil
	}
	return l.read(name)
}

// has reports whether there is a recording of text.
func (l *Library) has(language string, kind Kind, text string) bool {
	if l == nil {
		return false
	}
	_, ok := l.byKey[clipKey{language, kind, keyOf(kind, text)}]
	return ok
}

// speaks reports whether anything is recorded in the language.
func (l *Library) speaks(language string) bool {
	return l != nil && len(l.order[language]) > 0
}

func (l *Library) read(name string) (ringfence.Clip, error) {
	l.mu.Lock()
	c, ok := l.clips[name]
	l.mu.Unlock()
	if ok {
		return c, nil
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	defer f.Close()
	b, err := readBounded(f, MaxWAVBytes)
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", name, err)
	}
	c, err = ReadWAV(b)
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", name, err)
	}
	l.mu.Lock()
	l.clips[name] = c
	l.mu.Unlock()
	return c, nil
}

// keyOf is how a text is looked up. Fixed text matches whatever the spaces in
// it and the stops around it; anything else that was changed no longer does.
func keyOf(kind Kind, text string) string {
	if kind != KindText {
		return text
	}
	return strings.Trim(strings.Join(strings.Fields(text), " "), " .,;:")
}
