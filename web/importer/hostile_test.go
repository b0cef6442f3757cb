package importer

import (
	"fmt"
	"strings"
	"testing"
)

// What tools of every kind make of a file, and what somebody makes who wants two
// readers to read two things.
func TestHostileFilesAreRefused(t *testing.T) {
	row := func(cells ...string) string { return "kind,account,first_name\n" + strings.Join(cells, ",") + "\n" }
	for name, text := range map[string]string{
		"a million columns":            "kind" + strings.Repeat(",account", 1_000_000) + "\ncustomer,10002000\n",
		"a million empty columns":      "kind,account" + strings.Repeat(",", 1_000_000) + "\n",
		"a NUL":                        row("customer", "10002000", "Da\x00na"),
		"a mark in the middle":         row("customer", "10002000", "Da\ufeffna"),
		"a mark in front of a cell":    row("customer", "\ufeff10002000", "Dana"),
		"Arabic digits":                row("customer", "\u0661\u0660\u0660\u0660\u0662\u0660\u0660\u0660", "Dana"),
		"full-width digits":            row("customer", "\uff11\uff10\uff10\uff10\uff12\uff10\uff10\uff10", "Dana"),
		"a line break in a cell":       row("customer", "10002000", "\"Da\nna\""),
		"a carriage return in a cell":  row("customer", "10002000", "\"Da\rna\""),
		"a formula for a number":       row("customer", "=10002000", "Dana"),
		"a formula in quotes":          row("customer", "\"=\"\"10002000\"\"\"", "Dana"),
		"a number with an exponent":    row("customer", "1.0002E+07", "Dana"),
		"an apostrophe in front":       row("customer", "'10002000", "Dana"),
		"a column in another alphabet": "kind,acc\u043eunt\ncustomer,10002000\n",
		"a column with a blank":        "kind, account\ncustomer,10002000\n",
		"a column in capitals":         "kind,Account\ncustomer,10002000\n",
		"a column twice, by two names": "kind,account,record.account\ncustomer,10002000,10002001\n",
		"old line ends":                "kind,account\rcustomer,10002000\r",
		"a header in every line":       "kind,account\nkind,account\n",
		"one cell of a megabyte":       row("customer", "10002000", strings.Repeat("a", 1<<20)),
		"a bidi mark around a name":    row("customer", "10002000", "\u2067Dana\u2069"),
	} {
		t.Run(name, func(t *testing.T) {
			parsed, report := read(t, CSV, text)
			if parsed != nil || len(report.Faults) == 0 {
				t.Fatalf("taken: %+v", report)
			}
			if says := fmt.Sprint(report.Faults); len(says) > 100_000 {
				t.Errorf("%d bytes of faults", len(says))
			}
		})
	}
	for _, name := range []string{"=HYPERLINK(1)", "+Dana", "-Dana", "@SUM(1)"} {
		parsed, report := read(t, CSV, row("customer", "10002000", name))
		if parsed == nil || len(report.Notes) != 1 || !strings.Contains(report.Notes[0].Says, "formula") || strings.Contains(fmt.Sprint(report.Notes), name) {
			t.Errorf("%s: %+v", name, report)
		}
	}
}
