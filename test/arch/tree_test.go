package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/ringfence/ringfence"
	root   = "../.."
)

// source is one Go file of the project.
type source struct {
	path    string // from the root, with slashes
	room    string // its folder; "." = package ringfence
	test    bool
	file    *ast.File
	fset    *token.FileSet
	imports []string
}

// line is where in the file something stands, for messages.
func (s source) line(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// importsPath reports whether the file imports a package of that path.
func (s source) importsPath(want string) bool {
	for _, p := range s.imports {
		if p == want {
			return true
		}
	}
	return false
}

// tree reads all Go files of the project.
func tree(t *testing.T) []source {
	t.Helper()
	var out []source
	walk(t, func(p string) {
		if !strings.HasSuffix(p, ".go") {
			return
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(root, p), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s := source{path: p, room: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), file: f, fset: fset}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			s.imports = append(s.imports, name)
		}
		out = append(out, s)
	})
	if len(out) < 100 {
		t.Fatalf("found %d Go files: looked in the wrong place", len(out))
	}
	return out
}

// walk names every file of the project that a person writes.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch name := d.Name(); {
			case p == root:
				return nil
			case strings.HasPrefix(name, "."), strings.HasPrefix(name, "_"), name == "node_modules", name == "testdata", name == "third_party", name == "dist", name == "bin", name == "data":
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// in reports whether room is dir, or below it where the pattern ends in "/...".
func in(room string, patterns ...string) bool {
	for _, p := range patterns {
		if dir, below := strings.CutSuffix(p, "/..."); room == dir || below && strings.HasPrefix(room, dir+"/") {
			return true
		}
	}
	return false
}
