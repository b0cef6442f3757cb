package flows

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/ringfence/ringfence/policy"
)

// Change is one difference between two bundles, in a sentence.
type Change struct {
	// Looser asks for a signature of role risk before the new bundle may run.
	Looser bool   `json:"looser"`
	Where  string `json:"where"`
	Says   string `json:"says"`
}

// String writes the change on one line.
func (c Change) String() string {
	if c.Looser {
		return "LOOSER " + c.Where + ": " + c.Says
	}
	return c.Where + ": " + c.Says
}

// Diff says what changed from one bundle to another: scenes by their prose,
// the policy by what is newly enough, and every text, translation or recording
// of reach, confirm and code announcements, which counts as looser because a
// caller is led by it.
func Diff(old, new *Bundle) []Change {
	var out []Change
	add := func(looser bool, where, format string, args ...any) {
		out = append(out, Change{looser, where, fmt.Sprintf(format, args...)})
	}
	for _, name := range bothNames(old, new) {
		before, after := old.flows[name], new.flows[name]
		switch {
		case before == nil:
			add(false, name, "is new")
		case after == nil:
			add(false, name, "is gone")
		default:
			diffFlow(before, after, add)
		}
	}
	for _, c := range policy.Diff(old.pol, new.pol) {
		word := "now asks for more: "
		if c.Looser {
			word = ""
		}
		add(c.Looser, "policy "+c.Where, "%s%s", word, c.Says)
	}
	diffTrusted(old, new, add)
	return out
}

func bothNames(old, new *Bundle) []string {
	names := append(keysOf(old.flows), keysOf(new.flows)...)
	slices.Sort(names)
	return slices.Compact(names)
}

func diffFlow(before, after *Flow, add func(bool, string, string, ...any)) {
	if a, b := startsWords(before), startsWords(after); a != b {
		add(false, before.Name, "%s Before: %s", b, a)
	}
	for _, s := range after.Scenes {
		old := before.scenes[s.Name]
		if old == nil {
			add(false, after.Name, "the scene %s is new", s.Name)
			continue
		}
		var was, is []string
		for _, l := range old.Lines {
			was = append(was, l.read())
		}
		for _, l := range s.Lines {
			is = append(is, l.read())
		}
		for _, line := range is {
			if !slices.Contains(was, line) {
				add(false, after.Name+"/"+s.Name, "now: %s", line)
			}
		}
		for _, line := range was {
			if !slices.Contains(is, line) {
				add(false, after.Name+"/"+s.Name, "no longer: %s", line)
			}
		}
		if slices.Equal(slices.Sorted(slices.Values(was)), slices.Sorted(slices.Values(is))) && !slices.Equal(was, is) {
			add(false, after.Name+"/"+s.Name, "its lines stand in another order")
		}
	}
	for _, s := range before.Scenes {
		if after.scenes[s.Name] == nil {
			add(false, after.Name, "the scene %s is gone", s.Name)
		}
	}
}

// diffTrusted looks at the texts by which a person is led to key a code or to
// say yes.
func diffTrusted(old, new *Bundle, add func(bool, string, string, ...any)) {
	was, is := trusted(old), trusted(new)
	keys := slices.SortedFunc(maps.Keys(is), func(a, b trustedKey) int {
		return cmp.Or(cmp.Compare(a.flow, b.flow), cmp.Compare(a.lang, b.lang), cmp.Compare(a.source, b.source))
	})
	for _, key := range keys {
		said := is[key]
		switch before, known := was[key]; {
		case !known:
			add(true, key.flow, "a text that asks for a code or a yes is new in %s: %s", key.lang, key.source)
		case before != said:
			add(true, key.flow, "a text that asks for a code or a yes is spoken otherwise in %s: %s", key.lang, key.source)
		}
	}
}

type trustedKey struct{ flow, lang, source string }

// trusted maps each such text to how it is spoken: translation and recordings.
func trusted(b *Bundle) map[trustedKey]string {
	out := map[trustedKey]string{}
	for _, f := range b.order {
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				if l.Text == nil || l.Verb != Reach && len(l.Text.Codes) == 0 {
					continue
				}
				for lang, pieces := range l.Text.byLang {
					said := unpiece(pieces)
					for _, name := range l.Text.audio[lang] {
						for _, file := range b.files {
							if file.Path == "audio/"+name {
								said += fmt.Sprintf("|%x", file.SHA)
							}
						}
					}
					out[trustedKey{f.Name, lang, l.Text.Source}] = said
				}
			}
		}
	}
	return out
}
