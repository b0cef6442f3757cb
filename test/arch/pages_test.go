package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// A page of rows does not tell that there is more. Whoever needs the whole reads
// it with ledger.All, Rows or AllEntries; whoever means a bound names it, so that
// a reader finds what happens beyond. A written number of more than a few rows,
// or the store's own default, is taken for everything sooner or later.
func TestNoListIsCutInSilence(t *testing.T) {
	const few = 5
	for _, s := range tree(t) {
		if s.test || s.room == "ledger" || in(s.room, "store/...") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if n, ok := limitOf(n).(*ast.BasicLit); ok && n.Kind == token.INT {
					if rows, _ := strconv.Atoi(n.Value); rows > few {
						t.Errorf("%s: a limit of %s: read everything with ledger.All, or name the bound and what is beyond it", s.line(n), n.Value)
					}
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "List" && f.Sel.Name != "Entries" {
					return true
				}
				for _, arg := range n.Args {
					if q, ok := arg.(*ast.CompositeLit); ok && queries(q) && limitOf(q) == nil {
						t.Errorf("%s: no limit, which means 200: read everything with ledger.All, or name the bound", s.line(q))
					}
				}
			}
			return true
		})
	}
}

// queries reports a literal that selects rows.
func queries(l *ast.CompositeLit) bool {
	name := ""
	switch x := l.Type.(type) {
	case *ast.SelectorExpr:
		name = x.Sel.Name
	case *ast.Ident:
		name = x.Name
	}
	return slices.Contains([]string{"Query", "EntryQuery", "Filter"}, name)
}

// limitOf is the limit that a literal selects rows with; nil is none.
func limitOf(l *ast.CompositeLit) ast.Expr {
	if !queries(l) {
		return nil
	}
	for _, e := range l.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Limit" {
				return kv.Value
			}
		}
	}
	return nil
}
