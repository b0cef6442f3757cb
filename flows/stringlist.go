package flows

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ringfence/ringfence/policy"
)

// StringState says how a text stands in a language.
type StringState string

// The states of a text.
const (
	StringDone    StringState = "done"
	StringMissing StringState = "missing" // the flow lists the language and has no translation
	StringDiffers StringState = "differs" // the translation speaks other names than the text
	StringStale   StringState = "stale"   // no flow says the text any more
	StringOwn     StringState = "own"     // the flow's own language: only a recording can be added
)

// StringRow is one text that callers hear, in one language.
type StringRow struct {
	Source string      `json:"source"`
	Said   string      `json:"said"`
	Audio  []string    `json:"audio"`
	Flow   string      `json:"flow"`
	File   string      `json:"file"`
	Line   int         `json:"line"`
	State  StringState `json:"state"`
	Hint   string      `json:"hint,omitempty"`
	// Leads: a caller is led by it to key a code or to say yes, so a change of
	// it counts as looser.
	Leads bool `json:"leads,omitempty"`
}

// LanguagesOf lists the languages of a set of files: those flows are written in
// or list as translations, and those there are prompts for.
func LanguagesOf(files []File) []string {
	b := compile(files, &diags{})
	var out []string
	for _, f := range b.order {
		out = append(append(out, f.Language), f.Translations...)
	}
	for _, f := range files {
		if lang, ok := strings.CutPrefix(f.Path, "prompts/"); ok {
			out = append(out, strings.TrimSuffix(lang, ".yaml"))
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(lang string) bool { return !langTag.MatchString(lang) })
}

// Strings lists what callers hear in a language, in the order of the flows,
// each text once, and then what no flow says any more. It works on a set that
// is not complete.
func Strings(files []File, lang string) []StringRow {
	b := compile(files, &diags{})
	say := &prompts{byText: map[string]map[string]*prompt{}}
	for _, f := range files {
		if f.Path == "prompts/"+lang+".yaml" {
			say.read(f.Path, f.Data, &diags{})
		}
	}
	out, at := []StringRow{}, map[string]int{}
	var sources []string
	for _, f := range b.order {
		own, listed := f.Language == lang, slices.Contains(f.Translations, lang)
		for _, t := range f.texts() {
			found := say.byText[t.Source][lang]
			if !own && !listed && found == nil {
				continue
			}
			if i, ok := at[t.Source]; ok {
				out[i].Leads = out[i].Leads || leads(f, t)
				continue
			}
			at[t.Source] = len(out)
			sources = append(sources, t.Source)
			row := StringRow{Source: t.Source, Audio: []string{}, Flow: f.Name, File: t.File, Line: t.Line, State: StringMissing, Leads: leads(f, t)}
			row.judge(say, found, t, own)
			out = append(out, row)
		}
	}
	for _, one := range say.list {
		if _, ok := at[one.text]; ok || slices.Contains(EngineTexts(), one.text) {
			continue
		}
		row := StringRow{Source: one.text, Said: one.said, Audio: append([]string{}, one.audio...), File: one.File, Line: one.Line, State: StringStale, Hint: "take it out"}
		if near := nearest(one.text, sources); near != "" {
			row.Hint = "the text is now: " + near
		}
		out = append(out, row)
	}
	return out
}

// judge says how a text stands, by what was found for it.
func (r *StringRow) judge(say *prompts, found *prompt, t *Text, own bool) {
	if own {
		r.State, r.Said = StringOwn, t.Source
	}
	if found == nil {
		return
	}
	r.Audio = append(r.Audio, found.audio...)
	if own || found.said == "" {
		return
	}
	d := &diags{}
	r.State, r.Said = StringDone, found.said
	if say.pieces(found, t, d); len(d.list) > 0 {
		r.State, r.Hint = StringDiffers, d.list[0].Message
	}
}

// leads reports a text by which a person is led to key a code or to say yes.
func leads(f *Flow, t *Text) bool {
	for _, s := range f.Scenes {
		for _, l := range s.Lines {
			if l.Text == t {
				return l.Verb == Reach || len(t.Codes) > 0
			}
		}
	}
	return true // what given stands for is read back
}

// SetString writes a translation, its recordings or both into the text of a
// prompts file, and leaves everything else of it as it is. Neither takes the
// entry out. The diagnostics say why the file cannot be changed.
func SetString(file string, src []byte, source, said string, audio []string) ([]byte, []Diagnostic) {
	lang := strings.TrimSuffix(strings.TrimPrefix(file, "prompts/"), ".yaml")
	d := &diags{}
	src = oneBreak(src)
	root := listDocument(file, src, d)
	if policy.Failed(d.list) {
		return nil, d.list
	}
	if root == nil {
		root = &yaml.Node{}
	}
	out := putEntry(string(src), root, source, promptEntry(source, lang, said, audio))
	if !holdsEntry(file, out, source, said, audio) {
		d.add(Pos{file, 1, 1}, "T1", "change it in the file itself", "this text cannot be put into the file from here")
		return nil, d.list
	}
	return []byte(out), nil
}

// breaks are what ends a line to the YAML reader: a carriage return by itself
// (YAML 1.2, section 5.4), and NEL, LS and PS as in YAML 1.1.
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// oneBreak ends lines as putEntry counts them.
func oneBreak(src []byte) []byte { return []byte(breaks.Replace(string(src))) }

// putEntry puts an entry in the place of the one for source, or at the end.
func putEntry(src string, root *yaml.Node, source, entry string) string {
	lines := strings.SplitAfter(src, "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	} else {
		lines[n-1] += "\n"
	}
	from, to := len(lines), len(lines)
	for i, n := range root.Content {
		if indent := strings.Repeat(" ", max(0, n.Column-3)); i == 0 && indent != "" && entry != "" {
			entry = indent + strings.ReplaceAll(strings.TrimSuffix(entry, "\n"), "\n", "\n"+indent) + "\n"
		}
		if promptText(n) != source {
			continue
		}
		if from = n.Line - 1; i+1 < len(root.Content) {
			to = root.Content[i+1].Line - 1
		}
		for to > from+1 && (strings.TrimSpace(lines[to-1]) == "" || strings.HasPrefix(strings.TrimSpace(lines[to-1]), "#")) {
			to--
		}
		break
	}
	return strings.Join(lines[:from], "") + entry + strings.Join(lines[to:], "")
}

// holdsEntry reads a prompts file back: it holds what was to be written.
func holdsEntry(file, src, source, said string, audio []string) bool {
	d := &diags{}
	say := &prompts{byText: map[string]map[string]*prompt{}}
	say.read(file, []byte(src), d)
	if policy.Failed(d.list) {
		return false
	}
	for _, one := range say.list {
		if one.text == source {
			return one.said == said && slices.Equal(one.audio, audio)
		}
	}
	return said == "" && len(audio) == 0
}

func promptText(n *yaml.Node) string {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "text" {
			return n.Content[i+1].Value
		}
	}
	return ""
}

func promptEntry(source, lang, said string, audio []string) string {
	if said == "" && len(audio) == 0 {
		return ""
	}
	out := "- text: " + quoteIf(source) + "\n"
	if said != "" {
		out += "  " + lang + ": " + quoteIf(said) + "\n"
	}
	if len(audio) > 0 {
		quoted := make([]string, len(audio))
		for i, a := range audio {
			quoted[i] = fmt.Sprintf("%q", a)
		}
		out += "  audio: [" + strings.Join(quoted, ", ") + "]\n"
	}
	return out
}
