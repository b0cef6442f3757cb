package flows

import (
	"strings"

	"github.com/ringfence/ringfence"
)

// freeze builds the speech of texts that never vary, so that speaking them
// allocates nothing.
func (t *Text) freeze() {
	if t.varies {
		return
	}
	t.fixed = make(map[string]ringfence.Speech, len(t.byLang))
	for lang, pieces := range t.byLang {
		var b strings.Builder
		for _, p := range pieces {
			b.WriteString(p.Fixed)
		}
		part := ringfence.SpeechPart{Text: b.String()}
		if len(pieces) == 1 {
			part.Recorded = pieces[0].Recorded
		}
		t.fixed[lang] = ringfence.Speech{Language: lang, Source: t.Source, Parts: []ringfence.SpeechPart{part}}
	}
}

// language picks the language a text is spoken in: the call's, else its own.
func (t *Text) language(f *Flow, want string) string {
	if _, ok := t.byLang[want]; ok {
		return want
	}
	return f.Language
}
