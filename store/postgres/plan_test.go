package postgres

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ringfence/ringfence/store/storetest"
)

// narrower are conditions that leave out few or none of what an index found.
var narrower = regexp.MustCompile(`Filter: (\(version = \$\d+\)|\(\w+ <> ''::text\))\n?`)

var tables = regexp.MustCompile(`(FROM|UPDATE) (records|record_keys|entries|hashes|box_keys|checkpoints|key_turns)`)

// Nothing that a room asks for grows with what is on file: each statement that
// the store prepared finds its rows by an index alone, in the order in which
// they are wanted. Reading a table through and sorting are forbidden to the
// planner here, so it does either only where no index serves.
func TestNoStatementScans(t *testing.T) {
	address(t)
	at := database(t)
	s := open(t, Config{URL: at, Master: newMaster(t)})
	storetest.Ask(t, s)
	for _, fill := range []string{
		`INSERT INTO records SELECT 'filled', 'kind' || i % 10, 'id' || i, 1, 'sub' || i % 2000, i, '' FROM generate_series(1, 20000) i`,
		`INSERT INTO record_keys SELECT 'filled', 'kind' || i % 10, sha256(int4send(i % 5000)), i, 'id' || i FROM generate_series(1, 20000) i`,
		`INSERT INTO entries SELECT 'filled', i, '', 'event' || i % 40, 'trv' || i % 1000, 'rel' || i % 1000, 'sub' || i % 1000 FROM generate_series(1, 20000) i`,
		`ANALYZE`,
	} {
		run(t, at, fill)
	}
	looked := map[string]bool{}
	for _, pool := range []*pgxpool.Pool{s.read, s.write} {
		for _, c := range pool.AcquireAllIdle(t.Context()) {
			explainAll(t, c.Conn(), looked)
			c.Release()
		}
	}
	if len(looked) < 25 {
		t.Errorf("only %d statements were looked at", len(looked))
	}
}

func explainAll(t *testing.T, c *pgx.Conn, looked map[string]bool) {
	t.Helper()
	ctx := t.Context()
	type prepared struct {
		name, query string
		args        int
	}
	found, err := c.Query(ctx, `SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, func(r pgx.CollectableRow) (p prepared, err error) {
		return p, r.Scan(&p.name, &p.query, &p.args)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if !tables.MatchString(p.query) || strings.HasPrefix(p.query, "INSERT") || looked[p.query] {
			continue
		}
		looked[p.query] = true
		plan := planOf(t, c, p.name, p.args)
		if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") || strings.Contains(narrower.ReplaceAllString(plan, ""), "Filter") {
			t.Errorf("%s\n%s", p.query, plan)
		}
	}
}

// planOf is how a prepared statement is carried out for values that are not known.
func planOf(t *testing.T, c *pgx.Conn, name string, args int) (plan string) {
	t.Helper()
	values := strings.TrimSuffix(strings.Repeat("NULL, ", args), ", ")
	err := pgx.BeginFunc(t.Context(), c, func(tx pgx.Tx) error {
		if err := setAll(t.Context(), tx, "plan_cache_mode = force_generic_plan", "enable_seqscan = off", "enable_sort = off", "enable_bitmapscan = off"); err != nil {
			return err
		}
		found, err := tx.Query(t.Context(), fmt.Sprintf("EXPLAIN (COSTS OFF) EXECUTE %s(%s)", pgx.Identifier{name}.Sanitize(), values), pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(found, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func setAll(ctx context.Context, tx pgx.Tx, settings ...string) error {
	for _, s := range settings {
		if _, err := tx.Exec(ctx, "SET LOCAL "+s); err != nil {
			return err
		}
	}
	return nil
}
