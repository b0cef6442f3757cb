package flows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/policy"
)

// Diagnostic is one thing wrong with a file, in an ops person's words. Line and
// Col count from 1; 0 means the file as a whole. Hint says what to do; where a
// line to paste is known, it is that line.
type Diagnostic = policy.Diagnostic

// Pos is a place in a file, counted from 1.
type Pos struct {
	File string
	Line int
	Col  int
}

// String writes file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// maxDiagnostics bounds what one load reports: nobody reads more, and a hostile
// file must not make us write more.
const maxDiagnostics = 500

// diags collects what the loader finds.
type diags struct{ list []Diagnostic }

func (d *diags) add(p Pos, code, hint, format string, args ...any) {
	d.put(Diagnostic{File: p.File, Line: p.Line, Col: p.Col, Code: code, Severity: policy.SeverityError,
		Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (d *diags) warn(p Pos, code, hint, format string, args ...any) {
	d.put(Diagnostic{File: p.File, Line: p.Line, Col: p.Col, Code: code, Severity: policy.SeverityWarning,
		Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (d *diags) put(one Diagnostic) {
	if len(d.list) < maxDiagnostics {
		d.list = append(d.list, one)
	}
}

// sorted returns what was found, by file and place, each thing once.
func (d *diags) sorted() []Diagnostic {
	slices.SortStableFunc(d.list, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(d.list)
}

// meant returns "did you mean x?" for the nearest of known, or "".
func meant(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

func nearest(word string, known []string) string {
	best, bestAt := "", len(word)/3+2
	for _, k := range known {
		if at := distance(strings.ToLower(word), strings.ToLower(k)); at < bestAt {
			best, bestAt = k, at
		}
	}
	return best
}

// distance is the number of letters to insert, drop, change or swap.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// oneOf writes a list for a message: a, b or c.
func oneOf(words []string) string {
	switch len(words) {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
