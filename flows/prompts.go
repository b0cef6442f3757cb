package flows

import (
	"path"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// prompt is one entry of prompts/<tag>.yaml: a source text with its
// translation, its recording, or both.
type prompt struct {
	Pos
	text  string
	lang  string
	said  string // "" = only recorded
	audio []string
	used  bool
}

type prompts struct {
	byText map[string]map[string]*prompt // source text, then language
	list   []*prompt
	untold map[string]bool // what was reported as missing, by language and text
}

// readPrompts reads one file; its name is the language.
func (p *prompts) read(file string, src []byte, d *diags) {
	lang := strings.TrimSuffix(path.Base(file), path.Ext(file))
	root := listDocument(file, src, d)
	if root == nil {
		return
	}
	if !langTag.MatchString(lang) {
		d.add(Pos{file, 1, 1}, "T1", "prompts/de.yaml", "the file is not named after a language")
		return
	}
	in := &parser{file: file, d: d}
	for _, n := range root.Content {
		one := &prompt{Pos: in.at(n), lang: lang}
		for _, e := range in.pairs(n, "a prompt") {
			switch e.key.Value {
			case "text":
				one.text = in.text(e.val)
			case lang:
				one.said = in.text(e.val)
			case "audio":
				for _, a := range in.list(e.val) {
					one.audio = append(one.audio, a.Value)
				}
			default:
				in.bad(e.key, "L4", "text, "+lang+", audio", "%s has no place in a prompt of %s", clip(e.key.Value), file)
			}
		}
		switch {
		case one.text == "":
			in.bad(n, "T1", "- text: the text as the flow has it", "the prompt has no text")
		case p.byText[one.text][lang] != nil:
			in.bad(n, "T1", "take one of them out", "this text stands here twice, first in line %d", p.byText[one.text][lang].Line)
		default:
			if p.byText[one.text] == nil {
				p.byText[one.text] = map[string]*prompt{}
			}
			p.byText[one.text][lang] = one
			p.list = append(p.list, one)
		}
	}
}

// recorded reports recordings that are not there.
func (p *prompts) recorded(files []File, d *diags) {
	for _, one := range p.list {
		for _, name := range one.audio {
			if !slices.ContainsFunc(files, func(f File) bool { return f.Path == "audio/"+name }) {
				d.add(one.Pos, "T1", "put it there, or take audio out", "there is no recording audio/%s", clip(name))
			}
		}
	}
}

func listDocument(file string, src []byte, d *diags) *yaml.Node {
	if strings.TrimSpace(string(src)) == "" {
		return nil
	}
	return anyDocument(file, src, yaml.SequenceNode, "a list of prompts", "- text: Welcome.", d)
}

// translate gives a text its translations, and reports those that are missing
// (T1) or speak other names (T2).
func (p *prompts) translate(f *Flow, t *Text, d *diags) {
	t.byLang = map[string][]Piece{f.Language: t.Pieces}
	for _, lang := range append([]string{f.Language}, f.Translations...) {
		found := p.byText[t.Source][lang]
		if found != nil {
			found.used = true
			if len(found.audio) > 0 {
				if t.audio == nil {
					t.audio = map[string][]string{}
				}
				t.audio[lang] = found.audio
			}
		}
		if lang == f.Language {
			continue
		}
		if found == nil || found.said == "" {
			if !slices.ContainsFunc(p.list, func(o *prompt) bool { return o.lang == lang }) {
				continue // said once for the whole file
			}
			if p.told(lang, t.Source) {
				continue
			}
			d.add(t.Pos, "T1", "- text: "+quoteIf(t.Source)+"\\n  "+lang+": …", "prompts/%s.yaml has no translation of: %s", lang, clip(t.Source))
			continue
		}
		pieces := p.pieces(found, t, d)
		if pieces != nil {
			t.byLang[lang] = pieces
		}
	}
}

// told reports whether a text without a translation was reported before: many
// flows may speak it, and it stands in the file once.
func (p *prompts) told(lang, source string) bool {
	key := lang + " " + source
	if p.untold == nil {
		p.untold = map[string]bool{}
	}
	before := p.untold[key]
	p.untold[key] = true
	return before
}

// pieces compiles a translation; its names are those of the source, no more
// and no fewer.
func (p *prompts) pieces(found *prompt, t *Text, d *diags) []Piece {
	raw, err := splitText(found.said)
	if err != nil {
		d.add(found.Pos, "T2", "", "%v", err)
		return nil
	}
	bySource := map[string]Piece{}
	for _, piece := range t.Pieces {
		if key := pieceKey(piece); key != "" {
			bySource[key] = piece
		}
	}
	var out []Piece
	seen := map[string]bool{}
	for _, r := range raw {
		if r.name == "" {
			out = append(out, Piece{Fixed: r.fixed})
			continue
		}
		piece, ok := bySource[r.name]
		if !ok {
			d.add(found.Pos, "T2", "", "the translation speaks {%s}, the text does not", r.name)
			return nil
		}
		seen[r.name] = true
		if piece.Last != r.last {
			d.add(found.Pos, "T2", "", "the translation speaks {%s} in another length than the text", r.name)
			return nil
		}
		piece.Spell, piece.Slow = r.spell, r.slow
		out = append(out, piece)
	}
	for _, key := range keysOf(bySource) {
		if !seen[key] {
			d.add(found.Pos, "T2", "", "the translation does not speak {%s}", key)
			return nil
		}
	}
	return out
}

// record gives the stretches of a text their recordings: one for each between
// the {} places, in order.
func (p *prompts) record(t *Text, files []File, d *diags) {
	for _, lang := range keysOf(t.audio) {
		var at []int
		for i, piece := range t.byLang[lang] {
			if strings.IndexFunc(piece.Fixed, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) >= 0 {
				at = append(at, i)
			}
		}
		names := t.audio[lang]
		if len(at) != len(names) {
			found := p.byText[t.Source][lang]
			d.add(found.Pos, "T1", "audio: a list, one recording for each stretch of fixed text", "the text has %d stretches around its {} places, and audio names %d", len(at), len(names))
			continue
		}
		pieces := slices.Clone(t.byLang[lang])
		for i, name := range names {
			for _, f := range files {
				if f.Path == "audio/"+name {
					pieces[at[i]].Recorded = f.SHA
				}
			}
		}
		t.byLang[lang] = pieces
	}
}

func pieceKey(p Piece) string {
	if p.Code != "" {
		return strings.Trim(p.Code, "{}")
	}
	return p.Name.Full
}

// stale reports prompts whose text no flow says any more.
func (p *prompts) stale(texts []string, d *diags) {
	for _, one := range p.list {
		if one.used || slices.Contains(EngineTexts(), one.text) {
			continue
		}
		hint := "take it out"
		if near := nearest(one.text, texts); near != "" {
			hint = "the text is now: " + near
		}
		d.warn(one.Pos, "T1", hint, "no flow says this any more: %s", clip(one.text))
	}
}

// quoteIf quotes a text that YAML would read as something else.
func quoteIf(text string) string {
	if text == "" || strings.Contains(text, ": ") || strings.Contains(text, " #") || strings.HasSuffix(text, ":") ||
		strings.ContainsAny(text[:1], "{}[]!&*%@`|>'\"#-?,") || strings.Contains(text, "\n") {
		return quote(text)
	}
	return text
}
