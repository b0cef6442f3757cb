package flows

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ringfence/ringfence/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares have with a file, or writes it.
func golden(t *testing.T, file, have string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != have {
		t.Errorf("%s:\nhave:\n%s\nwant:\n%s", file, have, want)
	}
}

// caseFS reads a case: one flow, or several files that "=== name" separates,
// beside the policy of testdata.
func caseFS(t testing.TB, file string) fstest.MapFS {
	t.Helper()
	pol, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"policy.yaml": {Data: pol}}
	name, part := "flow.yaml", []string{}
	for _, line := range strings.SplitAfter(string(src), "\n") {
		if next, ok := strings.CutPrefix(line, "=== "); ok {
			fsys[name] = &fstest.MapFile{Data: []byte(strings.Join(part, ""))}
			name, part = strings.TrimSpace(next), nil
			continue
		}
		part = append(part, line)
	}
	fsys[name] = &fstest.MapFile{Data: []byte(strings.Join(part, ""))}
	return fsys
}

// Every message has a case, and says its line, what is wrong and what to write.
func TestLintMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/lint/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			b, list := LoadDir(caseFS(t, file))
			var out strings.Builder
			for _, d := range list {
				if d.Severity == policy.SeverityWarning {
					out.WriteString("warning: ")
				}
				out.WriteString(d.String() + "\n")
			}
			if (b == nil) != policy.Failed(list) {
				t.Error("a bundle with errors, or none without")
			}
			if len(list) == 0 {
				t.Error("nothing found")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", out.String())
		})
	}
}

// Every code of the loader is shown by some golden file.
func TestLintCodesAreAllShown(t *testing.T) {
	files, _ := filepath.Glob("testdata/lint/*.want")
	var seen []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(raw), "\n") {
			if words := strings.Fields(strings.TrimPrefix(line, "warning: ")); len(words) > 1 {
				seen = append(seen, words[1])
			}
		}
	}
	for _, code := range []string{"Y1", "Y2", "Y3", "Y4", "L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "E7", "T1", "T2", "W1", "W2"} {
		if !slices.Contains(seen, code) {
			t.Errorf("no case shows %s", code)
		}
	}
}

func TestNoPolicy(t *testing.T) {
	b, list := LoadDir(fstest.MapFS{"f.yaml": {Data: []byte("flow: f\n")}})
	if b != nil || len(list) != 1 || list[0].Code != "L9" {
		t.Errorf("have %v", list)
	}
}
