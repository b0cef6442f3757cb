package rows

import "strings"

// Table is one table as every store has it, for moving all of it.
type Table struct {
	Name    string
	Columns []string
}

// Tables are all that hold anything; what is moved is sealed, and stays so.
var Tables = []Table{
	{"box_keys", []string{"tenant_id", "subject", "wrapped"}},
	{"key_turns", []string{"tenant_id", "turn"}},
	{"records", []string{"tenant_id", "kind", "id", "version", "subject", "sort", "sealed"}},
	{"record_keys", []string{"tenant_id", "kind", "blind", "sort", "id"}},
	{"entries", []string{"tenant_id", "place", "leaf", "event", "traversal", "release", "subject"}},
	{"hashes", []string{"tenant_id", "place", "hash"}},
	{"checkpoints", []string{"tenant_id", "size", "note"}},
}

// TableNamed returns one of Tables.
func TableNamed(name string) (Table, bool) {
	for _, t := range Tables {
		if t.Name == name {
			return t, true
		}
	}
	return Table{}, false
}

// Select reads the whole table, every tenant's.
func (t Table) Select() string {
	return "SELECT " + strings.Join(t.Columns, ", ") + " FROM " + t.Name + " /* every tenant_id */"
}

// Insert writes one row, its values marked by ?; tenant_id is a column of each.
func (t Table) Insert() string {
	return "INSERT /* tenant_id is a column */ INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(t.Columns)-1) + ")"
}

// Feed hands over every row of every table, as of one moment.
type Feed func(row func(t Table, values []any) error) error
