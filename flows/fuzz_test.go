package flows

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ringfence/ringfence/policy"
)

func fuzzSeeds(f *testing.F) {
	for _, pattern := range []string{"../scripts/*.yaml", "testdata/lint/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
}

// FuzzLoad: any bytes are a flow or a list of diagnostics with places, never a
// panic or a silent half. A flow that loads reads back from its canonical form
// under the same name, is not changed in meaning by fmt, and its calls end.
func FuzzLoad(f *testing.F) {
	fuzzSeeds(f)
	pol, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	load := func(src []byte) (*Bundle, []Diagnostic) {
		return LoadDir(fstest.MapFS{"policy.yaml": {Data: pol}, "flow.yaml": {Data: src}})
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		b, list := load(src)
		if b == nil {
			if !policy.Failed(list) {
				t.Fatal("refused without saying why")
			}
			for _, d := range list {
				if d.Line < 1 || d.Col < 1 || d.Code == "" || d.Message == "" {
					t.Fatalf("a diagnostic without a place: %+v", d)
				}
			}
			return
		}
		if again, _ := ReadBundle(b.Canonical()); again == nil || again.Hash() != b.Hash() {
			t.Fatal("the canonical form is another bundle")
		}
		neat, list := load(Format(src))
		if neat == nil {
			t.Fatalf("fmt breaks it: %v", list)
		}
		for i, fl := range b.Flows() {
			if neat.Flows()[i].Read() != fl.Read() {
				t.Fatal("fmt changes what it says")
			}
			fl.SVG(MapOptions{})
			callsEnd(t, b, fl)
		}
	})
}

// callsEnd plays a few random calls.
func callsEnd(t *testing.T, b *Bundle, fl *Flow) {
	for seed := range uint64(3) {
		s, effects, err := Start(b, fl.Name, startFacts(b, fl))
		if err != nil {
			return
		}
		d := &driver{t: t, rand: rand.New(rand.NewPCG(seed, 1)), s: s, b: b}
		d.feed(effects)
		for step := 0; !s.Ended; step++ {
			if step > 200000 {
				t.Fatalf("%s: the call does not end; at %v", fl.Name, s.Here())
			}
			d.feed(Step(b, s, d.input()))
		}
	}
}

// FuzzFormat: fmt is idempotent and touches no byte of a block text.
func FuzzFormat(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		once := Format(src)
		if twice := Format(once); !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q and then %q", src, once, twice)
		}
	})
}

// FuzzText: a text that can be split is the sum of its pieces.
func FuzzText(f *testing.F) {
	for _, s := range []string{"Hello {a.b}.", "{x|last 4}", "{x|spell|slow}", "{", "}", "{{x}}", "{a-b}", "no place", "{code}{yes}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		pieces, err := splitText(source)
		if err != nil {
			return
		}
		var fixed, names int
		for _, p := range pieces {
			if p.name == "" {
				if strings.ContainsAny(p.fixed, "{}") {
					t.Fatalf("a brace in fixed text %q", p.fixed)
				}
				fixed += len(p.fixed)
			} else {
				names++
			}
		}
		if names != strings.Count(source, "{") || fixed > len(source) {
			t.Fatalf("%q has %d places, %d were found", source, strings.Count(source, "{"), names)
		}
	})
}

// FuzzBundle: any bytes are a bundle of exactly that name, or refused.
func FuzzBundle(f *testing.F) {
	b, _ := LoadDir(os.DirFS("../scripts"))
	if b == nil {
		f.Fatal("no bundle")
	}
	f.Add([]byte(bundleMagic))
	f.Add(canonical(b.files[len(b.files)-3:]))
	f.Fuzz(func(t *testing.T, raw []byte) {
		files, err := unpack(raw)
		if err == nil && !bytes.Equal(canonical(files), raw) {
			t.Fatal("two sequences of bytes are one bundle")
		}
		ReadBundle(raw)
	})
}

// FuzzResume: any bytes are a state that can be stepped, or refused.
func FuzzResume(f *testing.F) {
	b, _ := LoadDir(os.DirFS("../scripts"))
	if b == nil {
		f.Fatal("no bundle")
	}
	for _, fl := range b.Flows() {
		if s, _, err := Start(b, fl.Name, startFacts(b, fl)); err == nil {
			raw, err := json.Marshal(s)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw, uint8(InOutcome), uint32(2), uint8(OK))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, kind uint8, ref uint32, outcome uint8) {
		s, err := Resume(b, raw)
		if err != nil {
			return
		}
		for range 4 {
			Step(b, s, Input{Kind: InputKind(kind), Ref: Ref(ref), Outcome: Outcome(outcome)})
			Step(b, s, Input{Kind: InDigit, Digit: '1'})
			Step(b, s, Input{Kind: InPlayed, Ref: s.Wait.Play})
			Step(b, s, Input{Kind: InTimer, Ref: s.Wait.Timer})
		}
	})
}

// FuzzTestFile: any bytes are a flow test that runs, or refused.
func FuzzTestFile(f *testing.F) {
	b, _ := LoadDir(os.DirFS("../scripts"))
	if b == nil {
		f.Fatal("no bundle")
	}
	files, _ := filepath.Glob("../scripts/tests/*.yaml")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range splitTests(raw) {
			f.Add(part)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d := &diags{}
		if ft := readTest(b, "t.yaml", src, d); ft != nil && len(d.list) == 0 {
			ft.Run(b)
		}
	})
}
