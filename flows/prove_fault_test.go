package flows

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ringfence/ringfence/policy"
)

// fault is one mutation of the shipped scripts, as testdata/faults writes it:
//
//	# what is wrong
//	file: customer-line.yaml
//	--- find
//	…
//	--- replace
//	…
//	want: P1 callback-bank-change.yaml @ - release: bank_change
//
// want names a code, a file and how the flagged line begins; "silent" is a
// change that must not be flagged.
type fault struct {
	name    string
	patches []faultPatch
	code    string
	file    string
	line    string
}

type faultPatch struct{ file, find, replace string }

func readFaults(t testing.TB) []fault {
	t.Helper()
	files, err := filepath.Glob("testdata/faults/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []fault
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f *fault
		var into *string
		for i, line := range strings.Split(string(raw), "\n") {
			name, isName := strings.CutPrefix(line, "# ")
			target, isFile := strings.CutPrefix(line, "file: ")
			want, isWant := strings.CutPrefix(line, "want: ")
			switch {
			case isName && (f == nil || f.code != ""):
				out = append(out, fault{name: name})
				f, into = &out[len(out)-1], nil
			case f == nil && strings.TrimSpace(line) == "":
			case f == nil:
				t.Fatalf("%s:%d: a fault begins with its name", file, i+1)
			case isFile:
				f.patches = append(f.patches, faultPatch{file: target})
			case line == "--- find":
				into = &f.patches[len(f.patches)-1].find
			case line == "--- replace":
				into = &f.patches[len(f.patches)-1].replace
			case isWant:
				into = nil
				f.code, f.file, _ = strings.Cut(want, " ")
				f.file, f.line, _ = strings.Cut(f.file, " @ ")
			case into != nil:
				*into += line + "\n"
			case strings.TrimSpace(line) != "":
				t.Fatalf("%s:%d: %q has no place in a fault", file, i+1, line)
			}
		}
	}
	return out
}

// scriptsFS reads the shipped scripts without recordings and translations, so
// that a changed text is not a fault of its own.
func scriptsFS(t testing.TB) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	src := os.DirFS("../scripts")
	names, err := fs.Glob(src, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(src, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(raw), "\ntranslations: [de]\n", "\ntranslations: []\n", 1))}
	}
	return out
}

// apply returns the scripts with the fault in them.
func (f fault) apply(t testing.TB, clean fstest.MapFS) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	for name, file := range clean {
		out[name] = file
	}
	for _, p := range f.patches {
		file, ok := out[p.file]
		if !ok && p.find == "" {
			out[p.file] = &fstest.MapFile{Data: []byte(p.replace)}
			continue
		}
		if !ok {
			t.Fatalf("%s: there is no %s", f.name, p.file)
		}
		out[p.file] = &fstest.MapFile{Data: []byte(p.apply(t, f.name, string(file.Data)))}
	}
	return out
}

// apply replaces the one stretch that find describes; a line "…" in it stands
// for any lines, and the last line may be the beginning of one.
func (p faultPatch) apply(t testing.TB, name, src string) string {
	t.Helper()
	var form strings.Builder
	lines := strings.Split(strings.TrimSuffix(p.find, "\n"), "\n")
	for i, line := range lines {
		switch {
		case line == "…":
			form.WriteString(`(?:.*\n)*?`)
		case i+1 < len(lines):
			form.WriteString(regexp.QuoteMeta(line) + `\n`)
		default:
			form.WriteString(regexp.QuoteMeta(line))
		}
	}
	whole := regexp.MustCompile(form.String() + `\n`)
	part := regexp.MustCompile(form.String())
	with := p.replace
	if !whole.MatchString(src) {
		whole, with = part, strings.TrimSuffix(p.replace, "\n")
	}
	at := whole.FindAllStringIndex(src, -1)
	if p.find == "" || len(at) != 1 {
		t.Fatalf("%s: %q stands %d times in %s", name, p.find, len(at), p.file)
	}
	return src[:at[0][0]] + with + src[at[0][1]:]
}

// judged is everything that lint and proof say; texts that only lack their
// translation are no faults of a flow.
func judged(fsys fs.FS) (*Bundle, Report, []Diagnostic) {
	b, list := LoadDir(fsys)
	var out []Diagnostic
	for _, d := range list {
		if d.Severity == policy.SeverityError {
			out = append(out, d)
		}
	}
	if b == nil {
		return nil, Report{}, out
	}
	r := Prove(b)
	return b, r, append(out, r.Diagnostics()...)
}

// wantAt finds the line that a fault is to be flagged at.
func (f fault) wantAt(fsys fstest.MapFS) int {
	text, nth := f.line, 1
	if n, rest, ok := strings.Cut(text, "x "); ok && len(n) == 1 && n[0] >= '2' && n[0] <= '9' { // "2x - hangup": the second such line
		text, nth = rest, int(n[0]-'0')
	}
	for i, line := range strings.Split(string(fsys[f.file].Data), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), text) {
			if nth--; nth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// Every fault is flagged at its line by its property, and harmless changes are
// not flagged at all.
func TestFaultCorpus(t *testing.T) {
	clean := scriptsFS(t)
	faults := readFaults(t)
	count := 0
	codes := map[string]int{}
	for _, f := range faults {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			fsys := f.apply(t, clean)
			_, _, found := judged(fsys)
			if f.code == "silent" {
				for _, d := range found {
					t.Errorf("a harmless change is flagged: %s", d)
				}
				return
			}
			count++
			codes[f.code]++
			at := f.wantAt(fsys)
			for _, d := range found {
				if d.Code == f.code && d.File == f.file && d.Line == at {
					return
				}
			}
			var have strings.Builder
			for _, d := range found {
				fmt.Fprintf(&have, "\n  %s", d)
			}
			t.Errorf("not flagged by %s at %s:%d (%s); have:%s", f.code, f.file, at, f.line, have.String())
		})
	}
	if count < 60 {
		t.Errorf("%d faults, want 60 or more", count)
	}
	t.Logf("%d faults, %d harmless changes; by code %v", count, len(faults)-count, codes)
}
