package sqlite

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence/ledger"
)

// TestEntriesAreFoundByTheirIndex: what asks for the entries of one call reads
// those and not the ledger. The plans are of the statements that the store
// prepared itself.
func TestEntriesAreFoundByTheirIndex(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Master: newMaster(t), Volatile: true, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	asked := map[string]ledger.EntryQuery{
		"entries_traversal": {Traversal: "trv_1", Limit: 10},
		"entries_release":   {Release: "rel_1", Limit: 10},
		"entries_subject":   {Subject: "cus_1", Limit: 10, Desc: true},
		"entries_event":     {Event: "traversal.began", Limit: 10, Desc: true},
	}
	for _, q := range asked {
		if err := s.View(t.Context(), "default", func(tx ledger.Tx) error {
			_, err := tx.Entries(t.Context(), q)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	c := <-s.readers
	defer func() { s.readers <- c }()
	plans := map[string]int{}
	for query := range c.stmts {
		if !strings.Contains(query, "FROM entries") {
			continue
		}
		plan := explain(t, c, query)
		for index := range asked {
			if strings.Contains(plan, "USING INDEX "+index+" ") {
				plans[index]++
			}
		}
		t.Logf("%s: %s", query, plan)
	}
	for index := range asked {
		if plans[index] != 1 {
			t.Errorf("%d statements use %s, want 1", plans[index], index)
		}
	}
}

// explain returns how a statement would be carried out.
func explain(t *testing.T, c *conn, query string) string {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = "1"
	}
	found, err := c.Conn.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	var plan []string
	for found.Next() {
		var id, parent, unused int
		var detail string
		if err := found.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "; ")
}
