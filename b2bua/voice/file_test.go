package voice

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/scripts"
)

// A part that names its recording is played from it; when the file is another
// one, no WAV file or not to be had, the line is spoken whole all the same.
func TestNamedRecording(t *testing.T) {
	sound := make(ringfence.Clip, 4*FrameSamples)
	for i := range sound {
		sound[i] = int16(i*7 + 3)
	}
	wav := MuLawWAV(sound)
	sha := ringfence.Digest(sha256.Sum256(wav))
	sound, err := ReadWAV(wav) // as it is heard
	if err != nil {
		t.Fatal(err)
	}
	lib, err := Open(scripts.Audio())
	if err != nil {
		t.Fatal(err)
	}
	line := ringfence.Speech{Language: "en", Source: "Goodbye.", Parts: []ringfence.SpeechPart{{Text: "Goodbye.", Recorded: sha}}}
	for _, c := range []struct {
		name string
		file func(context.Context, ringfence.Digest) ([]byte, error)
		want bool
	}{
		{"it is there", func(context.Context, ringfence.Digest) ([]byte, error) { return wav, nil }, true},
		{"another file", func(context.Context, ringfence.Digest) ([]byte, error) { return MuLawWAV(sound[:FrameSamples]), nil }, false},
		{"not there", func(context.Context, ringfence.Digest) ([]byte, error) { return nil, errors.New("gone") }, false},
		{"nowhere to look", nil, false},
	} {
		v, err := New(Config{Library: lib, File: c.file})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time from memory
			clip, err := v.Render(t.Context(), line)
			if err != nil || len(clip) == 0 {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got := holds(clip, sound); got != c.want {
				t.Errorf("%s: the recording is heard: %v, want %v", c.name, got, c.want)
			}
		}
	}
	secret := line
	secret.Parts = []ringfence.SpeechPart{{Text: "1", As: ringfence.SayDigits, Secret: true, Recorded: sha}}
	v, err := New(Config{Library: lib, File: func(context.Context, ringfence.Digest) ([]byte, error) { return wav, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if clip, err := v.Render(t.Context(), secret); err != nil || holds(clip, sound) {
		t.Errorf("a secret is spoken by a recording that was named: %v", err)
	}
}

func holds(clip, part ringfence.Clip) bool {
	for i := 0; i+len(part) <= len(clip); i++ {
		if slices.Equal(clip[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
