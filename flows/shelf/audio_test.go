package shelf

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// recorded is the stricter set with an own recording, and the folder in which
// that lies.
func recorded(t *testing.T, wav string) (*flows.Bundle, fstest.MapFS) {
	t.Helper()
	files := stricter(t).Files()
	for i, f := range files {
		if f.Path == "prompts/de.yaml" {
			files[i].Data = bytes.Replace(f.Data, []byte("- text: Goodbye.\n"), []byte("- text: Goodbye.\n  audio: de/mine.wav\n"), 1)
		}
	}
	files = append(files, flows.File{Path: "audio/de/mine.wav", SHA: sha256.Sum256([]byte(wav))})
	b, list := flows.LoadFiles(files)
	if b == nil {
		t.Fatal(list)
	}
	return b, fstest.MapFS{"audio/de/mine.wav": {Data: []byte(wav)}}
}

func TestRecordingsArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.cfg.CheckAudio = func(wav []byte) error {
			if string(wav) == "noise" {
				return errors.New("no WAV file")
			}
			return nil
		}
		o.Shelf = o.process()
		b, folder := recorded(t, "a voice")
		bad, noise := recorded(t, "noise")
		put := func(b *flows.Bundle, audio fstest.MapFS, name string) Result {
			t.Helper()
			out, err := o.Publish(t.Context(), tenant, PublishRequest{Bundle: b, Approval: sign(name, b), Audio: audio})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for name, got := range map[string]Result{
			"no folder":      put(b, nil, "olga"),
			"another file":   put(b, noise, "olga"),
			"cannot be read": put(bad, noise, "olga"),
		} {
			if got.Refused != RefuseBytes || !strings.Contains(got.Why, "audio/de/mine.wav") {
				t.Errorf("%s: %+v, want %q", name, got, RefuseBytes)
			}
		}
		sha := ringfence.Digest(sha256.Sum256([]byte("a voice")))
		if _, err := o.Audio(t.Context(), sha); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("before: %v", err)
		}
		if got := put(b, folder, "olga"); !got.Proposed {
			t.Fatalf("%+v", got)
		}
		if got := put(b, nil, "omar"); got.Refused != Done { // it is stored with the first signature
			t.Fatalf("%+v", got)
		}
		other := o.process() // on another machine, without the folder
		if raw, err := other.Audio(t.Context(), sha); err != nil || string(raw) != "a voice" {
			t.Errorf("on another node: %q, %v", raw, err)
		}
		if other.Current(tenant).HashText() != b.HashText() {
			t.Error("the bundle is not in force there")
		}
	})
}
