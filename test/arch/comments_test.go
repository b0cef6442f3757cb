package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

func TestEachPackageHasOneComment(t *testing.T) {
	rooms := map[string][]string{} // room -> files with a package comment
	for _, s := range tree(t) {
		have := rooms[s.room]
		if s.file.Doc != nil {
			have = append(have, s.path)
		}
		rooms[s.room] = have
	}
	for room, files := range rooms {
		if slices.Sort(files); len(files) != 1 {
			t.Errorf("room %s: %d files have a package comment, want one: %v", room, len(files), files)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range tree(t) {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverExported(d) && d.Doc == nil && !plainMethod(d) {
					t.Errorf("%s: %s has no comment", s.line(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if name, documented := exported(d, spec); name != "" && !documented {
						t.Errorf("%s: %s has no comment", s.line(spec), name)
					}
				}
			}
		}
	}
}

// plainMethod is a method that everybody knows from the standard library.
func plainMethod(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"String", "Error", "Unwrap", "Is", "Len", "Less", "Swap", "Read", "Write", "Close",
		"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "Format", "GoString", "LogValue", "ServeHTTP", "RoundTrip"}, d.Name.Name)
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// exported returns the exported name that a declaration makes. In a group of
// constants or variables the comment of the group, one on the line or one
// above an earlier line of the same run is enough.
func exported(d *ast.GenDecl, spec ast.Spec) (name string, documented bool) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			return s.Name.Name, s.Doc != nil || s.Comment != nil || d.Doc != nil
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				return n.Name, s.Doc != nil || s.Comment != nil || d.Doc != nil
			}
		}
	}
	return "", false
}

func TestNoTODOWithoutItsIssue(t *testing.T) {
	for _, s := range tree(t) {
		for _, g := range s.file.Comments {
			for _, c := range g.List {
				for _, word := range []string{"TO" + "DO", "FIX" + "ME", "X" + "XX"} {
					if _, after, ok := strings.Cut(c.Text, word); ok && !strings.HasPrefix(after, "(#") && !strings.HasPrefix(after, " (#") {
						t.Errorf("%s: %s without the number of its issue", s.line(c), word)
					}
				}
			}
		}
	}
}
