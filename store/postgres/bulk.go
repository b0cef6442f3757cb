package postgres

import (
	"reflect"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/store/rows"
)

// bulk is how rows of one table go in by one statement, an array for each
// column, and what must not be overtaken by it.
type bulk struct {
	query string
	// after are the tables behind a deletion from which a new one has to start.
	after []string
}

// bulks are the insertions that a commit has many of, by the statement for one
// row.
var bulks = map[string]bulk{
	dollars(rows.InsertEntry):  {query: `INSERT INTO entries (tenant_id, place, leaf, event, traversal, release, subject) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[])`},
	dollars(rows.InsertHashes): {query: `INSERT INTO hashes (tenant_id, place, hash) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])`},
	dollars(rows.InsertKey): {query: `INSERT INTO record_keys (tenant_id, kind, blind, sort, id) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::text[])`,
		after: []string{"record_keys", "records"}},
	dollars(rows.InsertRecord): {query: `INSERT INTO records (tenant_id, kind, id, version, subject, sort, sealed) SELECT t, k, i, 1, s, o, b FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[]) AS u (t, k, i, s, o, b) ON CONFLICT DO NOTHING`,
		after: []string{"records"}},
}

// bundled puts insertions into the same table together, at the place of the
// first of them. Nothing is bundled across a savepoint.
func bundled(queue []statement) []statement {
	out := make([]statement, 0, len(queue))
	open := map[string]opened{} // by statement
	for _, s := range queue {
		b, many := bulks[s.query]
		if !many {
			closeBehind(open, s.query)
			out = append(out, s)
			continue
		}
		if _, there := open[s.query]; !there {
			open[s.query] = opened{len(out), b.after}
			out = append(out, statement{query: b.query, args: columns(s.args)})
		}
		at := open[s.query].at
		for i, a := range s.args {
			out[at].args[i] = appended(out[at].args[i], a)
		}
		out[at].want += s.want
	}
	return out
}

// opened is an insertion that takes more rows, at its place in the queue.
type opened struct {
	at    int
	after []string
}

func closeBehind(open map[string]opened, query string) {
	if strings.Contains(query, "SAVEPOINT") {
		clear(open)
		return
	}
	words := strings.Fields(query)
	if len(words) < 3 || words[0] != "DELETE" {
		return
	}
	for of, at := range open {
		if slices.Contains(at.after, words[2]) {
			delete(open, of)
		}
	}
}

// columns makes an empty array for each argument, of its type.
func columns(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch a.(type) {
		case []byte:
			out[i] = [][]byte(nil)
		case int64:
			out[i] = []int64(nil)
		default:
			out[i] = []string(nil)
		}
	}
	return out
}

// appended adds a value to the array of its column: bytes, a number or a named
// string.
func appended(column, value any) any {
	switch c := column.(type) {
	case [][]byte:
		return append(c, value.([]byte))
	case []int64:
		return append(c, value.(int64))
	default:
		return append(column.([]string), reflect.ValueOf(value).String())
	}
}
