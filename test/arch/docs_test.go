package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// A document that names a test as its proof is wrong the day the test goes.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	have := map[string]bool{}
	for _, s := range tree(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				have[f.Name.Name] = true
			}
		}
	}
	named := 0
	for _, doc := range []string{"docs/threat-model.md", "README.md"} {
		raw, err := os.ReadFile(filepath.Join(root, doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testName.FindAllStringSubmatch(string(raw), -1) {
			if named++; !have[m[1]] {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test: looked for the wrong thing")
	}
}

var pageName = regexp.MustCompile(`[A-Za-z0-9_-]+\.md\b`)

// A comment that names a page names one that its reader has.
func TestCommentsNamePagesThatExist(t *testing.T) {
	have := map[string]bool{}
	walk(t, func(path string) { have[filepath.Base(path)] = true })
	named := 0
	for _, s := range tree(t) {
		for _, g := range s.file.Comments {
			for _, page := range pageName.FindAllString(g.Text(), -1) {
				if named++; !have[page] {
					t.Errorf("%s names %s, which does not exist", s.line(g), page)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no comment names a page: looked for the wrong thing")
	}
}
