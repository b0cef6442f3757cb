package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
)

// site is one place of the source and what stands there otherwise: a mutant.
type site struct {
	ID     int    `json:"-"` // from 1 over the run
	Kind   string `json:"kind"`
	File   string `json:"file"` // from the top of the module
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"` // the line as it stands
	Func   string `json:"func"` // the function it is in; "-" for none

	from, op, opEnd, right, to int    // offsets of the expression, its operator and what is right of it
	call                       string // the function of package mutant that takes its place
	instead                    string // the operator for a copy without switches
	depth                      int
	switched                   bool
}

func (s *site) String() string {
	return fmt.Sprintf("%s at %s:%d:%d", s.Kind, s.File, s.Line, s.Column)
}

// The kinds are those that go-gremlins has on by default, by its names.
const (
	boundary   = "CONDITIONALS_BOUNDARY"
	negation   = "CONDITIONALS_NEGATION"
	arithmetic = "ARITHMETIC_BASE"
	increment  = "INCREMENT_DECREMENT"
	negative   = "INVERT_NEGATIVES"
	logical    = "INVERT_LOGICAL"
)

type change struct{ kind, call, instead string }

var changes = map[token.Token][]change{
	token.EQL: {{negation, "Not", "!="}}, token.NEQ: {{negation, "Not", "=="}},
	token.LSS: {{negation, "Not", ">="}, {boundary, "Lt", "<="}}, token.LEQ: {{negation, "Not", ">"}, {boundary, "Le", "<"}},
	token.GTR: {{negation, "Not", "<="}, {boundary, "Gt", ">="}}, token.GEQ: {{negation, "Not", "<"}, {boundary, "Ge", ">"}},
	token.ADD: {{arithmetic, "Add", "-"}}, token.SUB: {{arithmetic, "Sub", "+"}}, token.MUL: {{arithmetic, "Mul", "/"}},
	token.QUO: {{arithmetic, "Quo", "*"}}, token.REM: {{arithmetic, "Rem", "*"}},
	token.LAND: {{logical, "And", "||"}}, token.LOR: {{logical, "Or", "&&"}},
}

// sitesOf finds the mutants of one file.
func sitesOf(top, file string, src []byte) ([]*site, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, filepath.Join(top, file), src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &finder{file: file, src: src, fset: fset}
	for _, d := range tree.Decls {
		f.fn = "-"
		if fn, ok := d.(*ast.FuncDecl); ok {
			f.fn = fn.Name.Name
		}
		decl, _ := d.(*ast.GenDecl)
		f.walk(d, 1, decl != nil && decl.Tok == token.CONST)
	}
	return f.found, nil
}

type finder struct {
	file  string
	fn    string // in which the walk is
	src   []byte
	fset  *token.FileSet
	found []*site
}

// walk finds mutants under a node. What stands in a constant declaration cannot
// be switched while the program runs.
func (f *finder) walk(n ast.Node, depth int, constant bool) {
	ast.Inspect(n, func(m ast.Node) bool {
		if m == nil || m == n {
			return true
		}
		f.look(m, depth, constant)
		decl, _ := m.(*ast.GenDecl)
		f.walk(m, depth+1, constant || decl != nil && decl.Tok == token.CONST)
		return false
	})
}

func (f *finder) look(n ast.Node, depth int, constant bool) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op == token.ADD && hasText(n) {
			return // there is no other operator on strings
		}
		for i, c := range changes[n.Op] {
			f.add(&site{Kind: c.kind, call: c.call, instead: c.instead, from: f.at(n.X.Pos()), op: f.at(n.OpPos), opEnd: f.at(n.OpPos) + len(n.Op.String()), right: f.at(n.Y.Pos()), to: f.at(n.End()), depth: 2*depth + i, switched: !constant})
		}
	case *ast.UnaryExpr:
		if n.Op == token.SUB {
			f.add(&site{Kind: negative, call: "Neg", instead: "+", from: f.at(n.Pos()), op: f.at(n.OpPos), opEnd: f.at(n.OpPos) + 1, to: f.at(n.End()), depth: 2 * depth, switched: !constant})
		}
	case *ast.IncDecStmt:
		call, instead := "Inc", "--"
		if n.Tok == token.DEC {
			call, instead = "Dec", "++"
		}
		f.add(&site{Kind: increment, call: call, instead: instead, from: f.at(n.Pos()), op: f.at(n.TokPos), opEnd: f.at(n.TokPos) + 2, to: f.at(n.End()), depth: 2 * depth, switched: true})
	}
}

// hasText tells whether a sum is one of strings, as far as can be seen.
func hasText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.ParenExpr:
		return hasText(e.X)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (hasText(e.X) || hasText(e.Y))
	case *ast.CallExpr:
		name, _ := e.Fun.(*ast.Ident)
		return name != nil && name.Name == "string"
	}
	return false
}

func (f *finder) add(s *site) {
	p := f.fset.Position(token.Pos(1 + s.op))
	s.File, s.Func, s.Line, s.Column, s.Text = f.file, f.fn, p.Line, p.Column, lineAt(f.src, s.op)
	f.found = append(f.found, s)
}

func (f *finder) at(p token.Pos) int { return f.fset.Position(p).Offset }

// lineAt is the line around an offset, without its indent.
func lineAt(src []byte, at int) string {
	from, to := at, at
	for from > 0 && src[from-1] != '\n' {
		from--
	}
	for to < len(src) && src[to] != '\n' {
		to++
	}
	for from < to && src[from] == '\t' {
		from++
	}
	return string(src[from:to])
}
