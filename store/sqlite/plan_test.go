package sqlite

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
	"github.com/ringfence/ringfence/store/storetest"
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

// Nothing that a room asks for grows with what is on file: each statement finds
// its rows by an index, in the order in which they are wanted, and by more than
// whose they are.
func TestNoStatementScans(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Master: newMaster(t), Volatile: true, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	storetest.Ask(t, single{s, c})
	looked := 0
	for query := range c.stmts {
		if !tables.MatchString(query) || strings.HasPrefix(query, "INSERT") {
			continue
		}
		plan := explain(t, c, query)
		looked++
		tenantOnly := strings.Contains(plan, "(tenant_id=?)") && strings.Count(query, "tenant_id = ?") < strings.Count(query, "?")-1
		if strings.Contains(plan, "SCAN") && !strings.Contains(plan, "SCAN CONSTANT ROW") || strings.Contains(plan, "TEMP B-TREE") || tenantOnly {
			t.Errorf("%s\n\t%s", query, plan)
		}
	}
	if looked < 25 {
		t.Errorf("only %d statements were looked at", looked)
	}
}

var tables = regexp.MustCompile(`(FROM|UPDATE) (records|record_keys|entries|hashes|box_keys|checkpoints|key_turns)`)

// single is a store of one connection, which so prepares every statement there is.
type single struct {
	s *Store
	c *conn
}

func (o single) Update(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	return o.do(ctx, rows.Config{DB: o.c, Keys: o.s.keys, Tenant: tenant, Now: now(), Recent: rows.NewRecent()}, f)
}

func (o single) View(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	return o.do(ctx, rows.Config{DB: o.c, Keys: o.s.keys, Tenant: tenant, Now: now(), Recent: rows.NewRecent(), ReadOnly: true}, f)
}

func (o single) do(ctx context.Context, cfg rows.Config, f func(ledger.Tx) error) error {
	if err := o.c.Exec(ctx, rows.Any, "BEGIN"); err != nil {
		return err
	}
	tx := rows.Begin(ctx, cfg)
	if err := tx.Run(f); err != nil {
		return errors.Join(err, o.c.Exec(ctx, rows.Any, "ROLLBACK"))
	}
	if err := o.c.Exec(ctx, rows.Any, "COMMIT"); err != nil {
		return err
	}
	tx.Committed()
	return nil
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
