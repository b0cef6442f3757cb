package flows

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/policy"
)

// Phrase is one text that a voice must be able to speak.
type Phrase struct {
	Source   string `json:"source"`   // as the flow or the engine has it, with its {} places
	Language string `json:"language"` // the language it is spoken in
	Text     string `json:"text"`     // the translation; equal to Source in the flow's own language
	Flow     string `json:"flow,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// Phrases lists every text of the bundle in every language it is spoken in,
// the engine's own sentences included, each once.
func (b *Bundle) Phrases() []Phrase {
	var out []Phrase
	seen := map[[2]string]bool{}
	add := func(p Phrase) {
		if key := [2]string{p.Language, p.Source}; !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	languages := []string{"en"}
	for _, f := range b.order {
		for _, lang := range append([]string{f.Language}, f.Translations...) {
			if !slices.Contains(languages, lang) {
				languages = append(languages, lang)
			}
			for _, t := range f.texts() {
				if pieces, ok := t.byLang[lang]; ok {
					add(Phrase{Source: t.Source, Language: lang, Text: unpiece(pieces), Flow: f.Name, Line: t.Line})
				}
			}
		}
	}
	for _, lang := range languages {
		for _, source := range EngineTexts() {
			if said, ok := EngineText(source, lang); ok {
				add(Phrase{Source: source, Language: lang, Text: said})
			}
		}
	}
	return out
}

// unpiece writes pieces as a script has them.
func unpiece(pieces []Piece) string {
	var out strings.Builder
	for _, p := range pieces {
		switch {
		case p.Code != "":
			out.WriteString(p.Code)
		case p.Name.Kind != NoName:
			out.WriteString("{" + p.Name.Full)
			if p.Last > 0 {
				fmt.Fprintf(&out, "|last %d", p.Last)
			}
			if p.Spell {
				out.WriteString("|spell")
			}
			if p.Slow {
				out.WriteString("|slow")
			}
			out.WriteString("}")
		default:
			out.WriteString(p.Fixed)
		}
	}
	return out.String()
}

// Skeleton writes prompts/<lang>.yaml for every text of the flows, in the order
// of the files, with the translations that the bundle has already. It works on
// a set that lacks translations; problems of the set are returned.
func Skeleton(files []File, lang string) (string, []Diagnostic) {
	d := &diags{}
	b := compile(files, d)
	say := &prompts{byText: map[string]map[string]*prompt{}}
	for _, f := range files {
		if f.Path == "prompts/"+lang+".yaml" {
			say.read(f.Path, f.Data, &diags{})
		}
	}
	list := slices.DeleteFunc(d.sorted(), func(one Diagnostic) bool { return one.Code == "T1" || one.Code == "T2" })
	var out strings.Builder
	seen := map[string]bool{}
	for _, f := range b.order {
		if f.Language == lang {
			continue
		}
		head := fmt.Sprintf("# %s\n", f.Name)
		for _, t := range f.texts() {
			if seen[t.Source] {
				continue
			}
			seen[t.Source] = true
			said := ""
			if old := say.byText[t.Source][lang]; old != nil {
				said = old.said
			}
			out.WriteString(head + "- text: " + quoteIf(t.Source) + "\n  " + lang + ": " + quoteIf(said) + "\n")
			head = ""
		}
	}
	return out.String(), list
}

// SkeletonOf is Skeleton of a folder.
func SkeletonOf(fsys fs.FS, lang string) (string, []Diagnostic) {
	d := &diags{}
	files := readFiles(fsys, d)
	if !langTag.MatchString(lang) {
		d.add(Pos{"prompts", 1, 1}, "L9", "de, fr-CA", "%q is not a language tag", clip(lang))
	}
	if policy.Failed(d.list) {
		return "", d.list
	}
	return Skeleton(files, lang)
}
