package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const tinyDir = "test/mutate/testdata/tiny"

// A whole run over a package that has one mutant of each fate.
func TestFates(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := &laboratory{top: top, dir: t.TempDir(), room: room{"tiny", []string{tinyDir}, []string{tinyDir}}, src: map[string][]byte{}}
	if err := l.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bin", "results.jsonl")
	known, err := openResults(file, l)
	if err != nil {
		t.Fatal(err)
	}
	o := options{workers: 2, every: 1}
	if err := l.runAll(t.Context(), o, known); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, s := range l.chosen(o) {
		have[s.Kind+" "+s.Func] = known.of(s)
	}
	want := map[string]string{arithmetic + " -": killed, negation + " Less": killed, boundary + " Less": killed, arithmetic + " Sum": lived,
		negative + " Unseen": notReached, negation + " Last": killed, boundary + " Last": lived}
	if !maps.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
	equivalent := "At 0 both ways give 0.\n\t" + boundary + " " + tinyDir + "/tiny.go Last 7: if a > 0 {\n"
	list, err := readEquivalents(equivalent)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if report(&out, l.room, l.chosen(o), known, fitting(&out, l.sites, list), 70) {
		t.Error("four of six are 70 %")
	}
	if !strings.Contains(out.String(), "7 mutants: 4 killed, 1 lived, 1 not reached, 1 equivalent, 0 timed out, 0 not viable, 0 unknown: 66.7 % killed") {
		t.Errorf("have %s", out.String())
	}
	if !report(&out, l.room, l.chosen(o), known, list, 66) {
		t.Error("four of six are not 66 %")
	}
	known.close()
	again, err := openResults(file, l)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if len(again.all) != 7 {
		t.Errorf("%d results are known of seven", len(again.all))
	}
}

// Each operator has its mutants, a text has none, and what stands in a constant
// is not switched.
func TestSites(t *testing.T) {
	for code, want := range map[string]string{
		"var a = b == c":                "CONDITIONALS_NEGATION - 11 Not",
		"var a = b < c":                 "CONDITIONALS_NEGATION - 11 Not, CONDITIONALS_BOUNDARY - 11 Lt",
		"var a = b >= c":                "CONDITIONALS_NEGATION - 11 Not, CONDITIONALS_BOUNDARY - 11 Ge",
		"var a = b % c":                 "ARITHMETIC_BASE - 11 Rem",
		"var a = -b":                    "INVERT_NEGATIVES - 9 Neg",
		"var a = b && c":                "INVERT_LOGICAL - 11 And",
		`var a = b + "x"`:               "",
		`var a = "x" + b + c`:           "",
		"var a = string(b) + c":         "",
		"func (x T) f() { a++; b-- }":   "INCREMENT_DECREMENT f 19 Inc, INCREMENT_DECREMENT f 24 Dec",
		"const a = 2 * 3":               "ARITHMETIC_BASE - 13 alone",
		"func f() { const a = 2 - 3 }":  "ARITHMETIC_BASE f 24 alone",
		"func f() int { return 2 / x }": "ARITHMETIC_BASE f 25 Quo",
	} {
		sites, err := sitesOf("/", "x.go", []byte("package x\n"+code+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, s := range sites {
			call := s.call
			if !s.switched {
				call = "alone"
			}
			have = append(have, fmt.Sprint(s.Kind, " ", s.Func, " ", s.Column, " ", call))
			if s.Line != 2 || s.Text != code {
				t.Errorf("%s: at line %d, %q", code, s.Line, s.Text)
			}
		}
		if strings.Join(have, ", ") != want {
			t.Errorf("%s: %s", code, strings.Join(have, ", "))
		}
	}
	if _, err := sitesOf("/", "x.go", []byte("no Go")); err == nil {
		t.Error("anything is Go")
	}
}

// Switches stand inside one another, and every line stays where it was.
func TestPlanted(t *testing.T) {
	src := "package x\n\nfunc f(a, b, c int) bool {\n\ta++\n\treturn a+b*-c < 3 &&\n\t\ta == b\n}\n"
	sites, err := sitesOf("/", "x.go", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sites {
		s.ID = i + 1
	}
	have := string(planted([]byte(src), sites))
	want := "package x; import mutant_ \"" + mutantPath + "\"\n\nfunc f(a, b, c int) bool {\n\tmutant_.Inc(1, &a)\n" +
		"\treturn mutant_.And(2, mutant_.Not(3, mutant_.Lt(4, mutant_.Add(5, a,mutant_.Mul(6, b,mutant_.Neg(7, c))) , 3)) , \n" +
		"func() bool { return mutant_.Not(8, a == b)})\n}\n\nvar _ = mutant_.Not[bool]\n"
	if have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
	if strings.Count(have, "\n")-2 != strings.Count(src, "\n") {
		t.Error("lines have moved")
	}
	for i, instead := range []string{"a--", "||", "a+b*-c >= 3", "a+b*-c <= 3", "a-b*-c", "a+b/-c", "a+b*+c", "a != b"} {
		if one := string(single([]byte(src), sites[i])); !strings.Contains(one, instead) || len(sites) != 8 {
			t.Errorf("mutant %d of %d alone: %s", i+1, len(sites), one)
		}
	}
}

// Who was killed stays so while their file is the same; all others are tried
// again when anything changed.
func TestResultsAreKept(t *testing.T) {
	dead, alive := &site{Kind: negation, File: "a.go", Line: 1}, &site{Kind: boundary, File: "a.go", Line: 1}
	file := filepath.Join(t.TempDir(), "results.jsonl")
	lab := func(src, tests string) *laboratory {
		return &laboratory{src: map[string][]byte{"a.go": []byte(src)}, fingerprint: tests}
	}
	first, err := openResults(file, lab("source", "tests"))
	if err != nil {
		t.Fatal(err)
	}
	first.add(dead, killed)
	first.add(alive, lived)
	first.close()
	if f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0); err == nil {
		fmt.Fprintln(f, "half a li")
		f.Close()
	}
	for name, tt := range map[string]struct{ src, tests, dead, alive string }{
		"nothing changed":    {"source", "tests", killed, lived},
		"other tests":        {"source", "more tests", killed, ""},
		"another source":     {"other source", "tests", "", ""},
		"all is another one": {"other source", "more tests", "", ""},
	} {
		r, err := openResults(file, lab(tt.src, tt.tests))
		if err != nil {
			t.Fatal(err)
		}
		if r.of(dead) != tt.dead || r.of(alive) != tt.alive {
			t.Errorf("%s: %q and %q", name, r.of(dead), r.of(alive))
		}
		r.close()
	}
}

// A list without reasons is refused, and one that fits nothing counts for
// nothing.
func TestEquivalents(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                                      {},
		"It is\nso.\n\tA\n\tB\n\nOr so.\n\tC\n": {"A": "It is so.", "B": "It is so.", "C": "Or so."},
		"\tA\n":                                 nil,
		"So.\n\n\tA\n":                          nil,
		"So.\n\tA\nOr so.\n\tB\n":               nil,
		"So.\n\tA\n\n\nSo.\n\tA\n":              nil,
	} {
		have, err := readEquivalents(text)
		if (err != nil) != (want == nil) || err == nil && !maps.Equal(have, want) {
			t.Errorf("%q: %v, %v", text, have, err)
		}
	}
	one, twin, other := &site{Kind: "K", File: "a.go", Func: "f", Column: 1, Text: "x"}, &site{Kind: "K", File: "a.go", Func: "g", Column: 1, Text: "y"}, &site{Kind: "K", File: "a.go", Func: "g", Column: 1, Text: "y"}
	list := map[string]string{one.place(): "so", twin.place(): "so", "K a.go f 1: gone": "so", "K b.go f 1: of another room": "so"}
	var out bytes.Buffer
	if have := fitting(&out, []*site{one, twin, other}, list); len(have) != 1 || have[one.place()] != "so" {
		t.Errorf("have %v", have)
	}
	if strings.Count(out.String(), "\n") != 2 || !strings.Contains(out.String(), "names 0 mutants: K a.go f 1: gone") || !strings.Contains(out.String(), "names 2 mutants") {
		t.Errorf("have %s", out.String())
	}
	if list, err := readEquivalents(equivalentText); err != nil || slices.Contains(slices.Collect(maps.Values(list)), "") {
		t.Errorf("the list of the project: %v", err)
	}
}

// A report is enough when no more lived than may, all are known, and somebody was
// killed at all.
func TestReport(t *testing.T) {
	s := func(line int) *site {
		return &site{Kind: "K", File: "a.go", Line: line, Func: "f", Column: line, Text: "x"}
	}
	for name, tt := range map[string]struct {
		became []string
		listed int // how many from the first on are in the list
		enough bool
	}{
		"nine of ten":            {[]string{killed, killed, killed, killed, killed, killed, killed, killed, killed, lived}, 0, true},
		"eight of ten":           {[]string{killed, killed, killed, killed, killed, killed, killed, killed, notReached, lived}, 0, false},
		"none":                   {nil, 0, false},
		"nobody killed":          {[]string{timedOut, notViable}, 0, false},
		"one unknown":            {[]string{killed, ""}, 0, false},
		"one lived and is alike": {[]string{lived, killed}, 1, true},
		"one that never ends":    {[]string{timedOut, killed}, 0, true},
		"one alike and killed":   {[]string{killed, killed}, 1, true},
	} {
		known := &results{all: map[string]string{}}
		var sites []*site
		list := map[string]string{}
		for i, became := range tt.became {
			sites = append(sites, s(i))
			known.all[s(i).String()] = became
			if i < tt.listed {
				list[s(i).place()] = "so"
			}
		}
		var out bytes.Buffer
		if have := report(&out, room{name: "r"}, sites, known, list, 90); have != tt.enough {
			t.Errorf("%s: %v: %s", name, have, out.String())
		}
		if killedAlike := strings.Contains(out.String(), "but killed"); killedAlike != (name == "one alike and killed") {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}

// Quick tests are asked together and first, the others one by one, the shortest
// first.
func TestParts(t *testing.T) {
	b := &testBinary{took: map[string]time.Duration{"A": time.Minute, "B": quick, "C": 2 * time.Second, "D": 0}}
	for _, tt := range []struct{ tests, want string }{
		{"A B C D", "[[B D] [C] [A]]"}, {"A", "[[A]]"}, {"B", "[[B]]"}, {"", "[]"},
	} {
		if have := fmt.Sprint(b.parts(strings.Fields(tt.tests))); have != tt.want {
			t.Errorf("%s: %s", tt.tests, have)
		}
	}
	if have := b.patience([]string{"C", "D"}); have != 50*time.Second {
		t.Errorf("patience of %s", have)
	}
	if have := testsIn("TestA\nBenchmarkB\nFuzzC\nExampleD\nok  \tgithub.com/x\t0.1s\n"); !slices.Equal(have, []string{"TestA", "FuzzC", "ExampleD"}) {
		t.Errorf("tests %q", have)
	}
}

// A sample is each n-th mutant, and turned logic only where it is asked for.
func TestChosen(t *testing.T) {
	l := &laboratory{}
	for i := range 10 {
		l.sites = append(l.sites, &site{ID: i, Kind: negation})
		l.sites = append(l.sites, &site{ID: 100 + i, Kind: logical})
	}
	for _, tt := range []struct {
		o    options
		want int
	}{{options{every: 1}, 10}, {options{every: 3}, 4}, {options{every: 10}, 1}, {options{every: 1, logical: true}, 20}, {options{every: 4, logical: true}, 5}} {
		if have := l.chosen(tt.o); len(have) != tt.want || have[0].ID != 0 {
			t.Errorf("%+v: %d", tt.o, len(have))
		}
	}
}

// A test that fails, panics or is ended by the machine has noticed; one that was
// stopped for its time has not.
func TestJudged(t *testing.T) {
	ended := func(script string) error { return exec.Command("sh", "-c", script).Run() }
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"passes": {ended("true"), lived}, "fails": {ended("exit 1"), killed}, "panics": {ended("exit 2"), killed},
		"is killed": {ended("kill -9 $$"), killed}, "is slow": {errSlow, timedOut}, "cannot run": {context.Canceled, ""},
	} {
		if have, err := judged(nil, tt.err); have != tt.want || (err != nil) != (tt.want == "") || err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v", name, have, err)
		}
	}
}
