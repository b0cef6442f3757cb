package flows

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzProve changes one flow of the shipped scripts. The proof ends and does
// not panic; where no path breaks the policy, random calls break it neither;
// and what it finds replays in the engine.
func FuzzProve(f *testing.F) {
	clean := scriptsFS(f)
	names := keysOf(clean)
	for i, name := range names {
		f.Add(uint8(i), string(clean[name].Data))
	}
	for _, one := range readFaults(f) {
		fsys := one.apply(f, clean)
		f.Add(uint8(slices.Index(names, one.patches[0].file)), string(fsys[one.patches[0].file].Data))
	}
	f.Add(uint8(0), generatedFlow(3, 3))
	f.Fuzz(func(t *testing.T, file uint8, text string) {
		fsys := fstest.MapFS{}
		for name, data := range clean {
			fsys[name] = data
		}
		fsys[names[int(file)%len(names)]] = &fstest.MapFile{Data: []byte(text)}
		b, _ := LoadDir(fsys)
		if b == nil {
			return
		}
		r := Prove(b)
		Raised(b)
		sound := true
		for _, one := range r.Findings {
			sound = sound && (one.Code == "P7" || one.Code == "P8" || one.Code == "P9")
			if one.Call == nil || one.Call.early {
				continue
			}
			at, err := one.Call.Replay(b)
			if err != nil || at != one.Call.Steps[len(one.Call.Steps)-1].Line.Place() {
				t.Errorf("%s: replay comes to %v: %v\n%s", one.Diagnostic, at, err, one.Call.List())
			}
		}
		if !sound {
			return
		}
		for _, x := range second(exercise(t, b, 120, uint64(len(text)))) {
			t.Errorf("the proof has nothing against %s, the judge has: %s %s", x.line.Pos, x.code, x.says)
			return
		}
	})
}

func second[A, B any](_ A, b B) B { return b }

// What is too big to be proved is refused.
func TestProveGivesUp(t *testing.T) {
	var out strings.Builder
	out.WriteString("flow: wide\nstarts: inbound\nlanguage: en\nvars:\n")
	for i := range 20 {
		out.WriteString("  v" + string(rune('a'+i)) + ": number\n")
	}
	out.WriteString("scenes:\n  a:\n")
	for i := range 20 {
		out.WriteString("    - ask: Which?\n      into: v" + string(rune('a'+i)) + "\n      wrong: z\n      silent: z\n")
	}
	for pass := range 2 {
		out.WriteString("    - go: part" + string(rune('0'+pass)) + "\n  part" + string(rune('0'+pass)) + ":\n")
		for i := range 20 {
			out.WriteString("    - if: v" + string(rune('a'+i)) + " > 5\n      then: z\n")
			out.WriteString("    - if: v" + string(rune('a'+i)) + " in [1, 2, 3]\n      then: z\n")
		}
	}
	out.WriteString("    - hangup\n  z:\n    - hangup\n")
	fsys := scriptsFS(t)
	fsys["wide.yaml"] = &fstest.MapFile{Data: []byte(out.String())}
	b, list := LoadDir(fsys)
	if b == nil {
		t.Fatal(list)
	}
	r := Prove(b)
	if r.Clean() || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == "P0" }) {
		t.Errorf("clean after %d states: %v", r.States, r.Diagnostics())
	}
}

// The shipped scripts are listed with what a raised class would need.
func TestRaised(t *testing.T) {
	list := Raised(shipped(t))
	for _, g := range list {
		t.Log(g)
		if g.Class < 4 || g.Lacks == "" {
			t.Errorf("%+v", g)
		}
	}
	if len(list) == 0 {
		t.Error("a C4 release would be C5, which nobody reaches on a call")
	}
}

// Flows that call each other a hundred times each, ten deep: the proof is
// bounded, however many calls that makes.
func TestProveIsBounded(t *testing.T) {
	fsys := scriptsFS(t)
	for depth := range 10 {
		var out strings.Builder
		name := string(rune('a' + depth))
		out.WriteString("flow: deep-" + name + "\nstarts: job\nsubject: customer\nactions: [payment]\nlanguage: en\notherwise: { wrong: z, silent: z, refused: z }\nscenes:\n")
		for scene := range 10 {
			out.WriteString("  s" + string(rune('a'+scene)) + ":\n")
			for range 10 {
				if depth < 9 {
					out.WriteString("    - run: deep-" + string(rune('a'+depth+1)) + "\n")
				} else {
					out.WriteString("    - verify: pin\n      say: Your PIN.\n      down: z\n    - say: Again.\n")
				}
			}
			if scene < 9 {
				out.WriteString("    - go: s" + string(rune('a'+scene+1)) + "\n")
			} else if depth == 0 {
				out.WriteString("    - hangup\n")
			} else {
				out.WriteString("    - return: ok\n")
			}
		}
		out.WriteString("  z:\n    - hangup\n")
		fsys["deep-"+name+".yaml"] = &fstest.MapFile{Data: []byte(out.String())}
	}
	b, list := LoadDir(fsys)
	if b == nil {
		t.Fatal(list)
	}
	if r := Prove(b); r.Clean() || r.States > 5*maxStates {
		t.Errorf("%d states, clean %v", r.States, r.Clean())
	}
}
