package voice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/scripts"
)

func shipped(t testing.TB) *Library {
	t.Helper()
	lib, err := Open(scripts.Audio())
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// sayer is a TTS that remembers what it was told to say.
type sayer struct {
	said []string
	err  error
}

func (s *sayer) Name() string { return "sayer" }

func (s *sayer) Speak(_ context.Context, _, _, text string) (ringfence.Clip, error) {
	s.said = append(s.said, text)
	return ringfence.Clip{1, 2, 3}, s.err
}

func newVoice(t testing.TB, c Config) *Voice {
	t.Helper()
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func text(s string) ringfence.SpeechPart { return ringfence.SpeechPart{Text: s} }

func line(parts ...ringfence.SpeechPart) ringfence.Speech {
	var source strings.Builder
	for _, p := range parts {
		if p.As == ringfence.SayText && !p.Secret {
			source.WriteString(p.Text)
		} else {
			source.WriteString("{x}")
		}
	}
	return ringfence.Speech{Language: "en", Source: source.String(), Parts: parts}
}

func TestRenderRefuses(t *testing.T) {
	secret := "{planted:483950}"
	dead := errors.New("no answer")
	value := func(as ringfence.SayAs, s string) ringfence.Speech {
		return line(ringfence.SpeechPart{As: as, Text: s})
	}
	var many []ringfence.SpeechPart
	for range maxParts + 1 {
		many = append(many, text("Goodbye."))
	}
	for _, tt := range []struct {
		name string
		with Config
		have ringfence.Speech
	}{
		{"the zero voice", Config{}, line(text("Goodbye."))},
		{"nothing to say", Config{}, ringfence.Speech{Language: "en"}},
		{"a language without anything", Config{Library: shipped(t)}, ringfence.Speech{Language: "fr", Parts: []ringfence.SpeechPart{text("Au revoir.")}}},
		{"too many parts", Config{Library: shipped(t)}, line(many...)},
		{"too long a text", Config{Library: shipped(t)}, line(text(strings.Repeat("a", maxTextRunes+1)))},
		{"too long a value", Config{Library: shipped(t)}, value(ringfence.SayDigits, strings.Repeat("1", maxValueRunes+1))},
		{"longer than three minutes", Config{Library: shipped(t)}, line(
			ringfence.SpeechPart{As: ringfence.SayDigits, Slow: true, Text: strings.Repeat("7", 120)},
			ringfence.SpeechPart{As: ringfence.SayDigits, Slow: true, Text: strings.Repeat("7", 120)})},
		{"a number that is none", Config{Library: shipped(t)}, value(ringfence.SayNumber, "12a")},
		{"an amount without currency", Config{Library: shipped(t)}, value(ringfence.SayMoney, "1250")},
		{"an amount with a point", Config{Library: shipped(t)}, value(ringfence.SayMoney, "12.50 GBP")},
		{"a currency that is none", Config{Library: shipped(t)}, value(ringfence.SayMoney, "1250 gbp")},
		{"a date that is none", Config{Library: shipped(t)}, value(ringfence.SayDate, "2026-02-30")},
		{"letters that we cannot spell", Config{Library: shipped(t)}, value(ringfence.SayName, "Анна")},
		{"a name half of which we cannot spell", Config{Library: shipped(t)}, value(ringfence.SayName, "Ann Анна")},
		{"a way of speaking nobody named", Config{Library: shipped(t)}, value("sung", "7")},
		{"a TTS that does not answer", Config{Library: shipped(t), TTS: &sayer{err: dead}}, line(text("Nobody recorded this."))},
		{"a secret nobody can spell", Config{Library: shipped(t), TTS: &sayer{}}, line(ringfence.SpeechPart{Text: secret, Secret: true})},
		{"a secret without recordings", Config{TTS: &sayer{}}, line(ringfence.SpeechPart{As: ringfence.SayDigits, Text: "483950", Secret: true})},
		{"a secret in a language without grammar", Config{TTS: &sayer{}}, ringfence.Speech{Language: "fr",
			Parts: []ringfence.SpeechPart{{As: ringfence.SayDigits, Text: "483950", Secret: true}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clip, err := newVoice(t, tt.with).Render(t.Context(), tt.have)
			if err == nil || clip != nil {
				t.Fatalf("Render = %d samples, %v; want an error", len(clip), err)
			}
			if tt.have.Secret() && strings.ContainsAny(err.Error(), "0123456789") {
				t.Errorf("the error tells of the secret: %v", err)
			}
		})
	}
}

// A secret goes nowhere but into the clip: not to the TTS, not into the cache,
// no matter what type its part claims.
func TestSecretStaysOut(t *testing.T) {
	for _, as := range []ringfence.SayAs{ringfence.SayText, ringfence.SayDigits, ringfence.SayName,
		ringfence.SaySpell, ringfence.SayNumber, ringfence.SayMoney, "anything"} {
		tts, dir := &sayer{}, t.TempDir()
		v := newVoice(t, Config{Library: shipped(t), TTS: tts, CacheDir: dir})
		s := line(text("Nobody recorded this: "), ringfence.SpeechPart{As: as, Text: "739154", Secret: true}, text(", nor that."))
		clip, err := v.Render(t.Context(), s)
		if err != nil {
			t.Fatalf("say-as %q: %v", as, err)
		}
		if want := []string{"Nobody recorded this: ", ", nor that."}; !slices.Equal(tts.said, want) {
			t.Errorf("say-as %q: the TTS was told %q, want %q", as, tts.said, want)
		}
		if heard := hear(t, shipped(t), clip); heard != "739154" {
			t.Errorf("say-as %q: heard %q", as, heard)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(files) != 2 {
			t.Errorf("say-as %q: %d cached files, want the two fixed texts", as, len(files))
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if c, err := ReadWAV(b); err != nil || len(c) != 3 {
				t.Errorf("cached: %d samples, %v", len(c), err)
			}
		}
	}
}

// Values are spoken and forgotten; only fixed text is cached.
func TestCacheHoldsFixedTextOnly(t *testing.T) {
	tts, dir := &sayer{}, t.TempDir()
	v := newVoice(t, Config{Library: shipped(t), TTS: tts, CacheDir: dir})
	s := ringfence.Speech{Language: "en", Source: "Kindly pay {payee} now, it says: {note}.", Parts: []ringfence.SpeechPart{
		text("Kindly pay "), {As: ringfence.SayName, Text: "Planted Holdings"}, text(" now, it says: "), text("urgent, really"), text(".")}}
	for range 2 {
		if _, err := v.Render(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"Kindly pay ", "Planted Holdings", " now, it says: ", "urgent, really", "Planted Holdings", "urgent, really"}
	if !slices.Equal(tts.said, want) {
		t.Errorf("the TTS was told %q, want %q", tts.said, want)
	}
	// Another process finds them; a damaged file is rendered again.
	files, _ := filepath.Glob(filepath.Join(dir, "*.wav"))
	if len(files) != 2 {
		t.Fatalf("%d cached files, want 2", len(files))
	}
	if err := os.WriteFile(files[0], []byte("RIFF"), 0o600); err != nil {
		t.Fatal(err)
	}
	tts.said = nil
	v = newVoice(t, Config{Library: shipped(t), TTS: tts, CacheDir: dir})
	if err := v.Prepare(t.Context(), "en", s.Source); err != nil {
		t.Fatal(err)
	}
	if len(tts.said) != 1 {
		t.Errorf("with one of two files damaged the TTS was told %q", tts.said)
	}
}

func TestMissing(t *testing.T) {
	s := line(text("Goodbye. Nobody recorded this. Thank you."), ringfence.SpeechPart{As: ringfence.SayName, Text: "Jo"})
	if got := newVoice(t, Config{Library: shipped(t)}).Missing(s); !slices.Equal(got, []string{"Nobody recorded this."}) {
		t.Errorf("Missing = %q", got)
	}
	if got := newVoice(t, Config{Library: shipped(t), TTS: &sayer{}}).Missing(s); got != nil {
		t.Errorf("with a TTS: Missing = %q", got)
	}
	own := Recording{Language: "en", Text: "Nobody recorded this.", Clip: ringfence.Clip{9}}
	if got := newVoice(t, Config{Library: shipped(t), Recordings: []Recording{own}}).Missing(s); got != nil {
		t.Errorf("with an own recording: Missing = %q", got)
	}
}

func TestOwnRecordingWins(t *testing.T) {
	own := Recording{Language: "en", Text: "Goodbye", Clip: ringfence.Clip{42}}
	v := newVoice(t, Config{Library: shipped(t), Recordings: []Recording{own}})
	clip, err := v.Render(t.Context(), line(text("Goodbye.")))
	if err != nil || !slices.Contains(clip, 42) {
		t.Errorf("own recording not played: %v", err)
	}
}

func TestRenderIsFrames(t *testing.T) {
	v := newVoice(t, Config{Library: shipped(t)})
	for _, s := range []ringfence.Speech{
		line(text("Goodbye.")),
		line(text("Thank you. "), ringfence.SpeechPart{As: ringfence.SayMoney, Text: "1250 GBP"}, text(".")),
		{Language: "de-AT", Parts: []ringfence.SpeechPart{{As: ringfence.SayDate, Text: "2026-05-03"}}},
	} {
		clip, err := v.Render(t.Context(), s)
		if err != nil || len(clip) == 0 || len(clip)%FrameSamples != 0 {
			t.Errorf("%s: %d samples, %v", s.Text(), len(clip), err)
		}
	}
}

func TestSlowHasPauses(t *testing.T) {
	v := newVoice(t, Config{Library: shipped(t)})
	part := ringfence.SpeechPart{As: ringfence.SayDigits, Text: "4711"}
	fast, err := v.Render(t.Context(), line(part))
	if err != nil {
		t.Fatal(err)
	}
	part.Slow = true
	slow, err := v.Render(t.Context(), line(part))
	if err != nil {
		t.Fatal(err)
	}
	if len(slow) < len(fast)+4*Rate/4 {
		t.Errorf("slow %d samples, fast %d", len(slow), len(fast))
	}
}

func TestShippedRecordings(t *testing.T) {
	lib := shipped(t)
	if err := lib.Check(); err != nil {
		t.Error(err)
	}
	for _, lang := range []string{"en", "de"} {
		for _, it := range Inventory(lang) {
			if !lib.has(lang, it.Kind, it.Text) {
				t.Errorf("%s: no recording of %s %q", lang, it.Kind, it.Text)
			}
		}
		for _, e := range lib.Entries(lang) {
			clip, err := lib.clip(lang, e.Kind, e.Text)
			if err != nil {
				t.Error(err)
				continue
			}
			longest := 20.0
			if e.Kind != KindText {
				longest = 2
			}
			if s := float64(len(clip)) / Rate; s < 0.15 || s > longest {
				t.Errorf("%s/%s: %.2f s", lang, e.File, s)
			}
			if l := level(clip) / 32768; l < 0.02 || l > 0.2 {
				t.Errorf("%s/%s: level %.3f", lang, e.File, l)
			}
			if peak := max(slices.Max(clip), -slices.Min(clip)); peak > 30000 {
				t.Errorf("%s/%s: peak %d", lang, e.File, peak)
			}
		}
	}
}

func ExampleVoice_Missing() {
	lib, _ := Open(scripts.Audio())
	v, _ := New(Config{Library: lib})
	fmt.Println(v.Missing(ringfence.Speech{Language: "en", Source: "Goodbye. See you on Tuesday.",
		Parts: []ringfence.SpeechPart{{Text: "Goodbye. See you on Tuesday."}}}))
	// Output: [See you on Tuesday.]
}

// The Source of a translated line is the text it was translated from, so a
// translation counts as fixed text once it was prepared.
func TestPrepareKnowsTranslations(t *testing.T) {
	tts := &sayer{}
	v := newVoice(t, Config{TTS: tts, CacheDir: t.TempDir()})
	if err := v.Prepare(t.Context(), "nl", "Toets {code} in, en wacht."); err != nil {
		t.Fatal(err)
	}
	s := ringfence.Speech{Language: "nl", Source: "Enter {x}, and wait.", Parts: []ringfence.SpeechPart{
		text("Toets "), text("een naam"), text(" in, en wacht.")}}
	for range 2 {
		if _, err := v.Render(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"Toets ", " in, en wacht.", "een naam", "een naam"}; !slices.Equal(tts.said, want) {
		t.Errorf("the TTS was told %q, want %q", tts.said, want)
	}
}

// A cache that cannot be written costs time, not the call.
func TestCacheThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	var warned error
	v := newVoice(t, Config{TTS: &sayer{}, CacheDir: dir, Warn: func(err error) { warned = err }})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Render(t.Context(), line(text("Nobody recorded this."))); err != nil {
		t.Errorf("Render: %v", err)
	}
	if warned == nil {
		t.Error("nobody was told")
	}
}

func TestCacheFolderThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{CacheDir: file}); err == nil {
		t.Error("New took a file for the cache folder")
	}
}

// A line is over with its last syllable: a key pressed in a silence behind it
// would come before the line was heard, and be no answer.
func TestNoSilenceAtTheEnd(t *testing.T) {
	v := newVoice(t, Config{Library: shipped(t)})
	for _, s := range []ringfence.Speech{
		line(text("Goodbye.")),
		line(text("Thank you. "), ringfence.SpeechPart{As: ringfence.SayMoney, Text: "1250 GBP"}, text(".")),
		line(ringfence.SpeechPart{As: ringfence.SayDigits, Text: "4711", Slow: true, Secret: true}),
	} {
		clip, err := v.Render(t.Context(), s)
		if err != nil || len(clip) < 4*FrameSamples {
			t.Fatalf("%s: %d samples, %v", s.Text(), len(clip), err)
		}
		if last := clip[len(clip)-FrameSamples:]; slices.Max(last) <= 64 && slices.Min(last) >= -64 {
			t.Errorf("%s ends in silence", s.Text())
		}
		if first := clip[:Rate/5]; slices.Max(first) > 64 {
			t.Errorf("%s has no silence to open a jitter buffer", s.Text())
		}
	}
}
