package flows

import (
	"slices"
	"strings"
	"testing"
)

func stringFiles(prompts string) []File {
	files := []File{
		{Path: "policy.yaml", Data: []byte("policy: p\nbase_currency: GBP\nsubjects:\n  customer: { first_name: name }\nactions: {}\nconnect: { desk: [] }\n")},
		{Path: "a.yaml", Data: []byte("flow: a\nstarts: inbound\nsubject: customer\nlanguage: en\ntranslations: [de]\nscenes:\n  one:\n    - say: Welcome to us.\n    - say: \"Goodbye: see you.\"\n    - hangup\n")},
	}
	if prompts != "" {
		files = append(files, File{Path: "prompts/de.yaml", Data: []byte(prompts)})
	}
	return files
}

func stateOf(rows []StringRow, source string) StringState {
	for _, r := range rows {
		if r.Source == source {
			return r.State
		}
	}
	return ""
}

func TestStringsSayHowEachTextStands(t *testing.T) {
	rows := Strings(stringFiles("- text: Welcome to us.\n  de: Willkommen {call.hour}.\n- text: Welcome to usx.\n  de: Willkommen.\n"), "de")
	for source, want := range map[string]StringState{"Welcome to us.": StringDiffers, "Goodbye: see you.": StringMissing, "Welcome to usx.": StringStale} {
		if have := stateOf(rows, source); have != want {
			t.Errorf("%s: %s, want %s", source, have, want)
		}
	}
	if have := stateOf(Strings(stringFiles(""), "en"), "Welcome to us."); have != StringOwn {
		t.Errorf("in its own language: %s", have)
	}
	if have := LanguagesOf(stringFiles("- text: x\n  de: y\n")); !slices.Equal(have, []string{"de", "en"}) {
		t.Errorf("languages %v", have)
	}
	if rows := Strings([]File{{Path: "a.yaml", Data: []byte("flow: [")}}, "de"); len(rows) != 0 {
		t.Errorf("of a broken set: %v", rows)
	}
}

func TestSetStringTouchesOnlyItsEntry(t *testing.T) {
	const src = "# head\n- text: Welcome to us.\n  de: Willkommen.\n\n# second\n- text: \"Goodbye: see you.\"\n  de: Tschüss.\n"
	for name, c := range map[string]struct {
		src, source, said string
		audio             []string
		want              string
	}{
		"change":    {src, "Welcome to us.", "Hallo.", nil, "# head\n- text: Welcome to us.\n  de: Hallo.\n\n# second\n- text: \"Goodbye: see you.\"\n  de: Tschüss.\n"},
		"recording": {src, "Goodbye: see you.", "Tschüss.", []string{"de/bye.wav"}, src + "  audio: [\"de/bye.wav\"]\n"},
		"new":       {"- text: a\n  de: b", "c", "d: e", nil, "- text: a\n  de: b\n- text: c\n  de: \"d: e\"\n"},
		"take out":  {"- text: a\n  de: b\n- text: c\n  de: d\n", "a", "", nil, "- text: c\n  de: d\n"},
		"empty":     {"", "a", "b", nil, "- text: a\n  de: b\n"},
		"indented":  {"  - text: a\n    de: b\n", "c", "d", nil, "  - text: a\n    de: b\n  - text: c\n    de: d\n"},
	} {
		got, list := SetString("prompts/de.yaml", []byte(c.src), c.source, c.said, c.audio)
		if string(got) != c.want {
			t.Errorf("%s: have %q %v, want %q", name, got, list, c.want)
		}
	}
	for name, src := range map[string]string{"flow style": "[{text: a, de: b}, {text: c, de: d}]\n", "broken": "- text: [\n"} {
		if got, list := SetString("prompts/de.yaml", []byte(src), "a", "x", nil); len(list) == 0 {
			t.Errorf("%s was changed to %q", name, got)
		}
	}
}

// What is written is read back the same, whatever stands in it, or nothing is
// written.
func FuzzSetString(f *testing.F) {
	f.Add("- text: a\n  de: b\n", "a", "c")
	f.Add("", "x: #", "'\"\n- text: y")
	f.Add("# only\n", "{code}", "  ")
	f.Fuzz(func(t *testing.T, src, source, said string) {
		got, list := SetString("prompts/de.yaml", []byte(src), source, said, nil)
		if len(list) > 0 {
			return
		}
		again, list := SetString("prompts/de.yaml", got, source, said, nil)
		if len(list) > 0 || !holdsEntry("prompts/de.yaml", string(again), source, said, nil) && said != "" {
			t.Errorf("%q cannot be read back: %v", got, list)
		}
		if strings.TrimSpace(src) == "" && said == "" && strings.TrimSpace(string(got)) != "" {
			t.Errorf("nothing became %q", got)
		}
	})
}
