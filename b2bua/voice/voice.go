package voice

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence"
)

// Bounds on one line.
const (
	maxParts       = 64
	maxValueRunes  = 140
	maxTextRunes   = 2000
	maxLineSamples = 3 * 60 * Rate
)

// The silences around the pieces of a line, besides those of a value.
const (
	pauseLead     = 250 * time.Millisecond // before the first piece: a telephone opens its jitter buffer, and lines follow each other
	pausePiece    = 120 * time.Millisecond // after text that a value follows, and after a value
	pauseSentence = 320 * time.Millisecond // after a sentence
)

// Recording is an operator's own recording of fixed text. It wins over a
// shipped one of the same text.
type Recording struct {
	Language string // BCP 47
	Text     string // a whole stretch between variables, or one sentence of it
	Clip     ringfence.Clip
}

// Config is what a Voice speaks with. The zero value speaks nothing.
type Config struct {
	Library    *Library    // the shipped recordings; nil = none
	Recordings []Recording // the operator's own
	TTS        TTS         // nil = none: unknown text is spelt
	TTSVoice   string      // handed to the TTS; its meaning is the TTS's
	CacheDir   string      // where TTS audio of fixed text is kept; empty = in memory only
	Warn       func(error) // told of a cache that cannot be written; nil = nobody is
	// File returns the WAV file of a SHA-256, for parts that name their
	// recording; nil = there are none. A part whose file cannot be had, or cannot
	// be read, is spoken as if it named none, and Warn is told.
	File func(ctx context.Context, sha ringfence.Digest) ([]byte, error)
}

// Voice renders lines. It is safe for concurrent use.
type Voice struct {
	lib   *Library
	own   map[clipKey]ringfence.Clip
	tts   TTS
	voice string
	cache *cache
	warn  func(error)

	mu     sync.Mutex                 // guards below
	lines  map[clipKey]ringfence.Clip // by text, of lines that are one recording
	stable map[clipKey]bool
	files  map[ringfence.Digest]ringfence.Clip
	file   func(context.Context, ringfence.Digest) ([]byte, error)
}

// maxFiles bounds the recordings by hash that are kept decoded.
const maxFiles = 512

// New returns a Voice. It makes the cache folder and fails when it cannot, or
// when an own recording is empty or longer than MaxClipSeconds.
func New(c Config) (*Voice, error) {
	v := &Voice{lib: c.Library, own: make(map[clipKey]ringfence.Clip), tts: c.TTS, voice: c.TTSVoice, warn: c.Warn,
		stable: make(map[clipKey]bool), files: make(map[ringfence.Digest]ringfence.Clip), file: c.File}
	for _, r := range c.Recordings {
		if len(r.Clip) == 0 || len(r.Clip) > MaxClipSeconds*Rate || keyOf(KindText, r.Text) == "" {
			return nil, fmt.Errorf("recording of %q in %s: empty or too long", r.Text, r.Language)
		}
		v.own[clipKey{r.Language, KindText, keyOf(KindText, r.Text)}] = r.Clip
	}
	var err error
	v.cache, err = newCache(c.CacheDir)
	return v, err
}

// Render returns the line as audio: a multiple of FrameSamples long, so that
// clips laid end to end stay aligned to packets. The clip is shared: nobody may
// write to it. It fails when any part cannot
// be spoken whole or the TTS does not answer; no error holds the text of a
// secret part. ctx bounds the TTS.
func (v *Voice) Render(ctx context.Context, s ringfence.Speech) (ringfence.Clip, error) {
	p, err := v.planWith(s, func(sha ringfence.Digest) ringfence.Clip { return v.named(ctx, sha) })
	if err != nil {
		return nil, err
	}
	whole, fixed := p.whole()
	if fixed {
		if clip := v.line(whole); clip != nil {
			return clip, nil
		}
	}
	clip := make(ringfence.Clip, 0, 4*Rate)
	clip = appendSilence(clip, pauseLead)
	for i, st := range p.steps {
		piece, err := v.perform(ctx, p.language, st)
		switch {
		case err != nil && st.secret:
			return nil, errors.New("a secret part: no recording for it")
		case err != nil:
			return nil, err
		case len(clip)+len(piece) > maxLineSamples:
			return nil, fmt.Errorf("line longer than %d s", maxLineSamples/Rate)
		}
		if i == len(p.steps)-1 {
			clip = padFrame(append(clip, toLastSound(piece)...))
			if fixed {
				clip = slices.Clip(slices.Clone(clip))
				v.keepLine(whole, clip)
			}
			return clip, nil
		}
		clip = padFrame(append(clip, piece...))
		clip = appendSilence(clip, st.pause)
	}
	return clip, nil
}

// maxLines bounds the finished lines that are kept.
const maxLines = 256

// whole is what names a line that is one recording of fixed text, so that every
// call that hears it shares one clip.
func (p plan) whole() (clipKey, bool) {
	if len(p.steps) != 1 {
		return clipKey{}, false
	}
	st := p.steps[0]
	return clipKey{p.language, st.kind, keyOf(st.kind, st.text)}, st.clip == nil && st.say == "" && !st.secret && st.kind == KindText
}

func (v *Voice) line(k clipKey) ringfence.Clip {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lines[k]
}

func (v *Voice) keepLine(k clipKey, c ringfence.Clip) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lines == nil {
		v.lines = map[clipKey]ringfence.Clip{}
	}
	if len(v.lines) < maxLines {
		v.lines[k] = c
	}
}

// toLastSound cuts the silence off the end of a line. A key pressed after the last
// syllable is an answer to the whole line, and the line is over with its clip.
func toLastSound(piece ringfence.Clip) ringfence.Clip {
	const faint = 64 // of 32,767: below the noise of a telephone line
	for n := len(piece); n > 0; n-- {
		if v := piece[n-1]; v > faint || v < -faint {
			return piece[:n]
		}
	}
	return piece
}

// Missing returns the fixed text of the line that has no recording and that no
// TTS will speak, sentence by sentence: Render spells it letter by letter.
// `config check` prints it. A value that will be spelt is no miss.
func (v *Voice) Missing(s ringfence.Speech) []string {
	p, _ := v.plan(s)
	return p.missing
}

// Prepare has the TTS speak, and keeps, the fixed stretches of scripts' texts
// that have no recording, so that the first caller does not wait for it. It
// stops at the first failure. A translation is made known here as fixed text:
// the Source of a translated line is the text it was translated from.
func (v *Voice) Prepare(ctx context.Context, language string, sources ...string) error {
	for _, source := range sources {
		for _, text := range Fixed(source) {
			v.know(v.languageOf(language), text)
			s := ringfence.Speech{Language: language, Source: source, Parts: []ringfence.SpeechPart{{Text: text}}}
			if keyOf(KindText, text) == "" {
				continue
			}
			p, err := v.plan(s)
			if err != nil {
				return err
			}
			for _, st := range p.steps {
				if st.say == "" {
					continue
				}
				if _, err := v.perform(ctx, p.language, st); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// know notes that text is fixed text of a script.
func (v *Voice) know(language, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stable[clipKey{language, KindText, keyOf(KindText, text)}] = true
}

func (v *Voice) known(language, key string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stable[clipKey{language, KindText, key}]
}

// step is one recording, or one stretch for the TTS.
type step struct {
	unit
	clip   ringfence.Clip // recorded by name; nil = none
	say    string         // for the TTS
	fixed  bool           // say is fixed text: it may be cached
	secret bool
}

type plan struct {
	language string
	grammar  *grammar // nil for a language without one
	steps    []step
	missing  []string
	fixed    []string // the fixed stretches of the source, as looked up; nil without a source
}

func (v *Voice) plan(s ringfence.Speech) (plan, error) {
	return v.planWith(s, func(ringfence.Digest) ringfence.Clip { return nil })
}

// named returns the recording of a hash; nil when it cannot be had.
func (v *Voice) named(ctx context.Context, sha ringfence.Digest) ringfence.Clip {
	if v.file == nil || sha.Zero() {
		return nil
	}
	v.mu.Lock()
	clip := v.files[sha]
	v.mu.Unlock()
	if clip != nil {
		return clip
	}
	raw, err := v.file(ctx, sha)
	if err == nil && sha256.Sum256(raw) != sha {
		err = errors.New("it is another file")
	}
	if err == nil {
		clip, err = ReadWAV(raw)
	}
	if err != nil || len(clip) == 0 || len(clip) > MaxClipSeconds*Rate {
		if v.warn != nil {
			v.warn(fmt.Errorf("recording %s is not played: %v", sha, err))
		}
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.files) < maxFiles {
		v.files[sha] = clip
	}
	return clip
}

func (v *Voice) planWith(s ringfence.Speech, named func(ringfence.Digest) ringfence.Clip) (plan, error) {
	p := plan{language: v.languageOf(s.Language)}
	p.grammar = grammars[baseLanguage(p.language)]
	if len(s.Parts) > maxParts {
		return p, fmt.Errorf("line of %d parts, at most %d", len(s.Parts), maxParts)
	}
	if s.Source != "" {
		for _, f := range Fixed(s.Source) {
			p.fixed = append(p.fixed, keyOf(KindText, f))
		}
	}
	for _, part := range s.Parts {
		if part.As == ringfence.SayText && !part.Secret {
			if clip := named(part.Recorded); clip != nil {
				p.steps = append(p.steps, step{unit: unit{pause: pauseAfter(part.Text)}, clip: clip})
				continue
			}
		}
		if err := v.planPart(&p, part); err != nil {
			return p, err
		}
	}
	if len(p.steps) == 0 {
		return p, errors.New("line without anything to say")
	}
	return p, nil
}

// languageOf is the language whose recordings speak the tag: itself, else its
// base ("en" for "en-GB").
func (v *Voice) languageOf(tag string) string {
	if base := baseLanguage(tag); !v.lib.speaks(tag) && v.lib.speaks(base) {
		return base
	}
	return tag
}

func (v *Voice) planPart(p *plan, part ringfence.SpeechPart) error {
	limit := maxValueRunes
	if part.As == ringfence.SayText && !part.Secret {
		limit = maxTextRunes
	}
	if n := utf8.RuneCountInString(part.Text); n > limit {
		return fmt.Errorf("part of %d letters, at most %d", n, limit)
	}
	if part.As == ringfence.SayText && !part.Secret {
		return v.planText(p, part.Text)
	}
	return v.planValue(p, part)
}

// planText plans fixed text, or a value that is text.
func (v *Voice) planText(p *plan, text string) error {
	key := keyOf(KindText, text)
	if key == "" { // the full stop after a value
		if n := len(p.steps); n > 0 && text != "" {
			p.steps[n-1].pause = max(p.steps[n-1].pause, pauseSentence)
		}
		return nil
	}
	if v.recorded(p.language, text) {
		p.steps = append(p.steps, recordedStep(text))
		return nil
	}
	sentences := Sentences(text)
	all := !slices.ContainsFunc(sentences, func(s string) bool {
		return keyOf(KindText, s) != "" && !v.recorded(p.language, s)
	})
	if !all && v.tts != nil {
		p.steps = append(p.steps, step{
			unit: unit{pause: pauseAfter(text)}, say: text,
			fixed: slices.Contains(p.fixed, key) || v.known(p.language, key),
		})
		return nil
	}
	for _, s := range sentences {
		switch {
		case keyOf(KindText, s) == "":
		case v.recorded(p.language, s):
			p.steps = append(p.steps, recordedStep(s))
		default:
			if p.fixed == nil || slices.Contains(p.fixed, key) || v.known(p.language, key) {
				p.missing = append(p.missing, s)
			}
			if err := v.planSpelt(p, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func recordedStep(text string) step {
	return step{unit: unit{KindText, text, pauseAfter(text)}}
}

// pauseAfter is the silence after a stretch of text.
func pauseAfter(text string) time.Duration {
	if r, _ := utf8.DecodeLastRuneInString(strings.TrimSpace(text)); r == '.' || r == '?' || r == '!' {
		return pauseSentence
	}
	return pausePiece
}

// recorded reports whether fixed text has a recording, of whichever owner.
func (v *Voice) recorded(language, text string) bool {
	_, own := v.own[clipKey{language, KindText, keyOf(KindText, text)}]
	return own || v.lib.has(language, KindText, text)
}

func (v *Voice) perform(ctx context.Context, language string, st step) (ringfence.Clip, error) {
	if st.clip != nil {
		return st.clip, nil
	}
	if st.say != "" {
		return v.speak(ctx, language, st)
	}
	if own, ok := v.own[clipKey{language, st.kind, keyOf(st.kind, st.text)}]; ok {
		return own, nil
	}
	clip, err := v.lib.clip(language, st.kind, st.text)
	if err == nil && clip == nil {
		err = fmt.Errorf("no recording of a %s in language %q: %w", st.kind, language, ErrUnspeakable)
	}
	return clip, err
}

func padFrame(c ringfence.Clip) ringfence.Clip {
	if over := len(c) % FrameSamples; over > 0 {
		c = append(c, make(ringfence.Clip, FrameSamples-over)...)
	}
	return c
}

// appendSilence adds silence, rounded up to whole frames.
func appendSilence(c ringfence.Clip, d time.Duration) ringfence.Clip {
	frames := (d + 20*time.Millisecond - 1) / (20 * time.Millisecond)
	return append(c, make(ringfence.Clip, int(frames)*FrameSamples)...)
}
