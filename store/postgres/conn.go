package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/store/rows"
)

// conn is one connection inside a transaction. What it is told to do and need
// not answer waits, and travels with the next question: one round trip.
//
// Statements run under the transaction's own context, not under that of the
// caller: a caller who leaves must not cut off the others of the batch.
type conn struct {
	ctx   context.Context
	pg    *pgx.Conn
	queue []statement
	sent  int  // how often the queue was sent
	wrote bool // something was told to change
}

type statement struct {
	query string
	args  []any
	want  int64
}

// Exec implements rows.DB.
func (c *conn) Exec(_ context.Context, want int64, query string, args ...any) error {
	c.wrote = true
	c.queue = append(c.queue, statement{dollars(query), args, want})
	return nil
}

// Change implements rows.DB.
func (c *conn) Change(_ context.Context, query string, args ...any) (n int64, err error) {
	c.wrote = true
	err = c.send(&statement{dollars(query), args, rows.Any}, func(r pgx.BatchResults) error {
		tag, err := r.Exec()
		n = tag.RowsAffected()
		return err
	})
	return n, err
}

// Query implements rows.DB.
func (c *conn) Query(_ context.Context, query string, scan func(rows.Scanner) error, args ...any) error {
	return c.send(&statement{dollars(query), args, rows.Any}, func(r pgx.BatchResults) error { return eachRow(r, scan) })
}

// Flush implements rows.DB.
func (c *conn) Flush(context.Context) error {
	if len(c.queue) == 0 {
		return nil
	}
	return c.send(nil, nil)
}

// otherError is a change of fewer or more rows than it had to be.
type otherError struct{ changed, want int64 }

func (e *otherError) Error() string {
	return fmt.Sprintf("%d rows changed, want %d: somebody writes without the lock", e.changed, e.want)
}

// Ask implements rows.Fetcher.
func (c *conn) Ask(_ context.Context, all []rows.Question) (err error) {
	if err := c.Flush(c.ctx); err != nil {
		return err
	}
	b := &pgx.Batch{}
	for _, q := range all {
		b.Queue(dollars(q.Query), q.Args...)
	}
	r := c.pg.SendBatch(c.ctx, b)
	defer func() {
		if end := r.Close(); err == nil {
			err = end
		}
	}()
	for _, q := range all {
		if err := eachRow(r, q.Scan); err != nil {
			return err
		}
	}
	return nil
}

func eachRow(r pgx.BatchResults, scan func(rows.Scanner) error) error {
	found, err := r.Query()
	if err != nil {
		return err
	}
	defer found.Close()
	return rows.Each(found, scan)
}

// send sends the queue and, behind it, a last statement whose answer is read.
func (c *conn) send(last *statement, read func(pgx.BatchResults) error) (err error) {
	queue := bundled(c.queue)
	c.queue = nil
	c.sent++
	b := &pgx.Batch{}
	for _, s := range queue {
		b.Queue(s.query, s.args...)
	}
	if last != nil {
		b.Queue(last.query, last.args...)
	}
	r := c.pg.SendBatch(c.ctx, b)
	defer func() {
		if end := r.Close(); err == nil {
			err = end
		}
	}()
	for _, s := range queue {
		tag, err := r.Exec()
		if err != nil {
			return err
		}
		if s.want != rows.Any && tag.RowsAffected() != s.want {
			return &otherError{changed: tag.RowsAffected(), want: s.want}
		}
	}
	if last == nil {
		return nil
	}
	return read(r)
}

// lockTenant lets one writer of a tenant in at a time, until its transaction
// has ended, the wait for the standby included.
const lockTenant = `SELECT pg_advisory_xact_lock(hashtextextended($1, 1919508078))`

// beginning is what a transaction learns as it opens.
type beginning struct {
	now   func() time.Time // the database's time, going on by our own monotonic clock
	stamp int64            // of the last transaction that wrote
	size  int64            // of the log
	turn  int64            // of the keys
}

const readBeginning = `SELECT clock_timestamp(), COALESCE((SELECT stamp FROM writers WHERE tenant_id = ?), 0), e.* FROM (` + rows.ReadEdge + `) e`

// start opens a transaction; with lock it waits until no other writes.
func (c *conn) start(tenant ringfence.TenantID, begin string, lock ...statement) (b beginning, err error) {
	c.queue = append(append(c.queue, statement{query: begin, want: rows.Any}), lock...)
	var at time.Time
	err = c.Query(c.ctx, readBeginning, func(s rows.Scanner) error { return s.Scan(&at, &b.stamp, &b.size, &b.turn) }, tenant, tenant, tenant)
	began := time.Now()
	b.now = func() time.Time { return at.Add(time.Since(began)).UTC() }
	return b, err
}

var rewritten sync.Map // query with ? -> query with $1; the queries are a few fixed ones

// dollars numbers the arguments of a query, as PostgreSQL wants it. No query
// of package rows has a question mark in a text.
func dollars(query string) string {
	if q, ok := rewritten.Load(query); ok {
		return q.(string)
	}
	var b strings.Builder
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	rewritten.Store(query, b.String())
	return b.String()
}

// warning is where a connection keeps the last warning it was sent.
const warning = "ringfence.warning"

// keepWarning runs on the goroutine that uses the connection.
func keepWarning(pg *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		pg.CustomData()[warning] = n.Code + " " + n.Message
	}
}

// warned returns the last warning since it was asked before, or "".
func (c *conn) warned() string {
	said, _ := c.pg.PgConn().CustomData()[warning].(string)
	delete(c.pg.PgConn().CustomData(), warning)
	return said
}
