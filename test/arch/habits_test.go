package arch

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Tests wait on events. Inside a bubble of testing/synctest a sleep takes no
// time, so files that use it may.
func TestNobodySleeps(t *testing.T) {
	reasons := map[string]string{
		"b2bua/egress.go":                 "waits microseconds for the SIP stack, which tells nobody",
		"verify/verifytest/verifytest.go": "used inside bubbles only",
	}
	eachCall(t, "time", "Sleep", func(s source, at ast.Node) {
		if !s.importsPath("testing/synctest") && reasons[s.path] == "" {
			t.Errorf("%s sleeps: wait on an event with a deadline", s.line(at))
		}
	})
}

// A context comes from whoever asks; only cmd and tests begin one.
func TestContextsComeFromCallers(t *testing.T) {
	reasons := map[string]string{
		"b2bua/ua.go":                     "says BYE when the caller's own context is over",
		"b2bua/stream.go":                 "bounds a TLS handshake that no request asked for yet",
		"b2bua/peer/peer.go":              "a phone for tests and the demo that lives until Close",
		"verify/verifytest/verifytest.go": "sets up tests",
		"web/limit.go":                    "counts a try whatever becomes of whoever made it",
		"internal/lab/authority.go":       "bounds the end of a server that no request is waiting for",
	}
	for _, name := range []string{"Background", "TODO"} {
		eachCall(t, "context", name, func(s source, at ast.Node) {
			if !s.test && !in(s.room, "cmd/...", "test/...") && reasons[s.path] == "" {
				t.Errorf("%s begins a context of its own", s.line(at))
			}
		})
	}
}

// With CI=true a test that cannot run fails; a file that skips must look.
func TestSkipsLookForCI(t *testing.T) {
	for _, s := range tree(t) {
		if !s.test || s.room == "test/arch" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(root, s.path))
		if err != nil {
			t.Fatal(err)
		}
		if skips.Match(raw) && !strings.Contains(string(raw), `"CI"`) {
			t.Errorf("%s skips a test without looking for CI", s.path)
		}
	}
}

var skips = regexp.MustCompile(`\b[tbf]\.Skip(f|Now)?\(`)

var (
	statement = regexp.MustCompile(`(?is)\b(SELECT\b.*\bFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM)\b`)
	table     = regexp.MustCompile(`(?is)CREATE TABLE (\w+) \((.*?)\n\)`)
)

// Every query is one tenant's.
func TestQueriesNameTheTenant(t *testing.T) {
	for _, s := range tree(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			for part := range strings.SplitSeq(text, ";") {
				if statement.MatchString(part) && !strings.Contains(part, "tenant_id") && !strings.Contains(part, "sqlite_") {
					t.Errorf("%s: a query without tenant_id: %s", s.line(n), part)
				}
				if statement.MatchString(part) && !in(s.room, "store/...") {
					t.Errorf("%s: a query outside store", s.line(n))
				}
			}
			return true
		})
	}
}

func TestTablesHaveATenant(t *testing.T) {
	found := 0
	walk(t, func(p string) {
		if !strings.HasSuffix(p, ".sql") {
			return
		}
		raw, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range table.FindAllStringSubmatch(string(raw), -1) {
			if found++; !strings.Contains(m[2], "tenant_id") {
				t.Errorf("%s: table %s has no tenant_id", p, m[1])
			}
		}
	})
	if found == 0 {
		t.Error("found no table: looked in the wrong place")
	}
}

// eachCall visits every use of pkg.name.
func eachCall(t *testing.T, pkg, name string, visit func(s source, at ast.Node)) {
	t.Helper()
	for _, s := range tree(t) {
		if !s.importsPath(pkg) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
					visit(s, n)
				}
			}
			return true
		})
	}
}
