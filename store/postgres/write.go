package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
)

const (
	// maxBatch bounds how many Updates share one commit, so that the first of
	// them does not wait for ever.
	maxBatch = 256
	// attempts is how often a batch runs that the database broke off before
	// its COMMIT.
	attempts = 4
)

// job is one Update on its way through the writer.
type job struct {
	ctx    context.Context
	tenant ringfence.TenantID
	f      func(ledger.Tx) error
	tx     *rows.Tx
	err    error
	done   chan struct{}
}

// lane is the writer of one tenant on this node.
type lane struct {
	queue  chan *job
	recent *rows.Recent // owned by the writer
	stamp  int64        // of which recent is; owned by the writer
}

// Update implements ledger.Store. It waits for the commit even when ctx ends
// meanwhile, because an outcome must not be left unknown; only before its turn
// does the end of ctx take it out of the queue. f runs on the writer's
// goroutine and must neither call Update nor wait for anything.
func (s *Store) Update(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	l, err := s.lane(ctx, tenant)
	if err != nil {
		return err
	}
	j := &job{ctx: ctx, tenant: tenant, f: f, done: make(chan struct{})}
	select {
	case l.queue <- j:
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
	case <-s.closing:
		s.work.Wait()
		select {
		case <-j.done:
		default:
			return errClosed
		}
	}
	if j.err != nil {
		return j.err
	}
	j.tx.Committed()
	return nil
}

// lane returns the writer of a tenant, started when it is first needed.
func (s *Store) lane(ctx context.Context, tenant ringfence.TenantID) (*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return nil, errClosed
	default:
	}
	l := s.lanes[tenant]
	if l == nil {
		l = &lane{queue: make(chan *job, maxBatch), recent: rows.NewRecent()}
		s.lanes[tenant] = l
		s.work.Go(func() { s.serve(context.WithoutCancel(ctx), l) })
	}
	return l, nil
}

// serve is the writer. It ends when the store closes, after what was queued
// by then.
func (s *Store) serve(ctx context.Context, l *lane) {
	for {
		select {
		case j := <-l.queue:
			s.batch(ctx, l, l.gather(j))
		case <-s.closing:
			for {
				select {
				case j := <-l.queue:
					s.batch(ctx, l, l.gather(j))
				default:
					return
				}
			}
		}
	}
}

// gather takes what else is waiting.
func (l *lane) gather(first *job) []*job {
	jobs := []*job{first}
	for len(jobs) < maxBatch {
		select {
		case j := <-l.queue:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// batch runs jobs in one transaction and answers them all. What the database
// broke off before the COMMIT was sent runs again: nothing of it is there. At
// first it hopes that every record said to be new is, and sends what is written
// together; if one is not, each job runs by itself and finds out.
func (s *Store) batch(ctx context.Context, l *lane, jobs []*job) {
	err := s.try(ctx, l, jobs, true)
	for n := 1; err != nil && n < attempts; n++ {
		var other *otherError
		switch {
		case n == 1 && errors.As(err, &other): // a record was there; that does not pass
		case again(err):
			<-time.After(time.Duration(n)*20*time.Millisecond + rand.N(20*time.Millisecond))
		case n == 1 && len(jobs) > 1 && undone(err): // it is the fault of one of them
		default:
			n = attempts
			continue
		}
		err = s.try(ctx, l, jobs, false)
	}
	if err != nil {
		answer(jobs, unavailable(err))
	}
}

// unavailable marks an error that passes and after which nothing is there.
func unavailable(err error) error {
	if !passes(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
}

// answer ends jobs that have not been answered; with an error it is that of
// them all.
func answer(jobs []*job, err error) {
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}

// brokenError is a batch that ended before its COMMIT was sent.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return "transaction broken off: " + e.cause.Error() }
func (e *brokenError) Unwrap() error { return e.cause }

// undone reports whether a batch was not committed and there was time left.
func undone(err error) bool {
	var broken *brokenError
	var said *pgconn.PgError
	return errors.As(err, &broken) && !errors.Is(err, context.DeadlineExceeded) &&
		!(errors.As(err, &said) && said.Code == lockTaken) // that waited long enough
}

// again reports whether a batch may run again: it was not committed, and for
// a reason that passes.
func again(err error) bool { return undone(err) && passes(err) }

// lockTaken is lock_not_available: another node held the tenant's lock.
const lockTaken = "55P03"

// passes reports whether an error of the database is one of the moment.
func passes(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return true // the connection ended, or there was none
	}
	switch said.Code {
	case "40001", "40P01", // serialization failure, deadlock
		lockTaken,                 // another writer took too long
		"57P01", "57P02", "57P03", // the server stops, or starts
		"25P03", // our session stood still too long
		"25006": // a server that has become a standby
		return true
	default:
		return false
	}
}

// try runs the batch once. It answers the jobs itself when the COMMIT was
// sent; its error means that nothing was committed.
func (s *Store) try(ctx context.Context, l *lane, jobs []*job, hope bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.times.tx)
	defer cancel()
	pooled, err := s.write.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("update: %w", withoutSecrets(err))
	}
	defer pooled.Release()
	c := &conn{ctx: ctx, pg: pooled.Conn()}
	if err := s.fill(c, l, jobs, hope); err != nil {
		for _, j := range jobs {
			if j.tx != nil {
				j.tx.Undo()
			}
		}
		l.recent.Forget()
		s.keys.Forget()
		c.abandon()
		return &brokenError{err}
	}
	failpoint.Hit(failpoint.StoreFilled)
	s.commit(context.WithoutCancel(ctx), c, l, jobs)
	failpoint.Hit(failpoint.StoreAnswered)
	return nil
}

// abandon ends a transaction that must not be committed, and the connection
// with it if it does not follow.
func (c *conn) abandon() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), connectWait)
	defer cancel()
	if _, err := c.pg.Exec(ctx, "ROLLBACK"); err != nil {
		c.pg.Close(ctx)
	}
}

// fill opens the transaction and runs the jobs in it. Its error is one of the
// transaction; those of the jobs stand in them.
func (s *Store) fill(c *conn, l *lane, jobs []*job, hope bool) error {
	before := time.Now()
	tenant := jobs[0].tenant
	b, err := c.start(tenant, "BEGIN ISOLATION LEVEL READ COMMITTED", statement{lockTenant, []any{tenant}, rows.Any})
	if err != nil {
		return err
	}
	s.state.compare(before, b.now())
	if b.stamp != l.stamp {
		l.recent.Forget()
	}
	failpoint.Hit(failpoint.StoreBegun)
	l.recent.At(b.size, b.turn)
	c.wrote = false
	if err := s.fetch(c, l, jobs, b.now()); err != nil {
		return err
	}
	for _, j := range jobs {
		if err := s.run(c, l, j, b.now(), hope); err != nil {
			return err
		}
	}
	if l.stamp = b.stamp; c.wrote {
		l.stamp++
		c.Exec(c.ctx, 1, `INSERT INTO writers (tenant_id, stamp) VALUES (?, ?) ON CONFLICT (tenant_id) DO UPDATE SET stamp = excluded.stamp`, tenant, l.stamp)
	}
	return c.Flush(c.ctx)
}

// fetch asks, for all jobs together, for what they will ask for.
func (s *Store) fetch(c *conn, l *lane, jobs []*job, now time.Time) error {
	wanted := make([]ledger.Reads, len(jobs))
	for i, j := range jobs {
		wanted[i] = ledger.ReadsOf(j.ctx)
	}
	t := rows.Begin(c.ctx, rows.Config{DB: c, Keys: s.keys, Tenant: jobs[0].tenant, Now: now, Recent: l.recent})
	err := t.Fetch(c.ctx, c, wanted)
	t.Keep()
	return err
}

// run runs one job; what it did is undone when it fails. It has a savepoint,
// which is never sent when the whole job travels as one.
func (s *Store) run(c *conn, l *lane, j *job, now time.Time, hope bool) error {
	if j.err = j.ctx.Err(); j.err != nil {
		return nil
	}
	mark, sent := len(c.queue), c.sent
	c.queue = append(c.queue, statement{query: "SAVEPOINT job", want: rows.Any})
	j.tx = rows.Begin(c.ctx, rows.Config{DB: c, Keys: s.keys, Tenant: j.tenant, Now: now, Recent: l.recent, Hopeful: hope})
	j.err = j.tx.Run(j.f)
	if j.err == nil {
		j.tx.Keep()
		if c.sent == sent {
			c.queue = slices.Delete(c.queue, mark, mark+1)
			return nil
		}
		c.queue = append(c.queue, statement{query: "RELEASE SAVEPOINT job", want: rows.Any})
		return nil
	}
	j.tx.Undo()
	if hope && j.tx.Broken() {
		return j.err // perhaps it was another job that could not be
	}
	if again(&brokenError{j.err}) && (c.pg.IsClosed() || isDatabase(j.err)) {
		return j.err
	}
	if c.sent == sent {
		c.queue = c.queue[:mark]
		return nil
	}
	c.queue = []statement{{query: "ROLLBACK TO SAVEPOINT job", want: rows.Any}, {query: "RELEASE SAVEPOINT job", want: rows.Any}}
	return c.Flush(c.ctx)
}

func isDatabase(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said)
}

// commit sends the COMMIT and answers the jobs. Whatever is not a plain yes or
// a plain no of the server is in doubt; nothing cuts the COMMIT off.
func (s *Store) commit(ctx context.Context, c *conn, l *lane, jobs []*job) {
	c.warned()
	outcome := make(chan error, 1)
	go func() { outcome <- committed(ctx, c) }()
	patience := time.NewTimer(s.cfg.times.patience)
	defer patience.Stop()
	var err error
	select {
	case err = <-outcome:
		failpoint.Hit(failpoint.StoreCommitted)
		if err != nil {
			s.forget(ctx, c, l)
		}
		answer(jobs, err)
	case <-patience.C:
		answer(jobs, fmt.Errorf("commit: no answer in %v: %w", s.cfg.times.patience, ledger.ErrInDoubt))
		<-outcome // nobody else may use the connection before
		s.forget(ctx, c, l)
	}
}

// forget drops what was remembered from a transaction whose end is unknown.
func (s *Store) forget(ctx context.Context, c *conn, l *lane) {
	l.recent.Forget()
	s.keys.Forget()
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	c.pg.Close(ctx)
}

// committed sends the COMMIT and says what became of it.
func committed(ctx context.Context, c *conn) error {
	tag, err := c.pg.Exec(ctx, "COMMIT")
	said := c.warned()
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR":
		return fmt.Errorf("commit refused: %w: %w", ledger.ErrUnavailable, err)
	case err != nil:
		return fmt.Errorf("commit: %v: %w", err, ledger.ErrInDoubt)
	case tag.String() == "ROLLBACK":
		return errors.New("commit: the transaction had failed and was rolled back")
	case tag.String() != "COMMIT" || said != "":
		return fmt.Errorf("commit: %s %s: %w", tag, said, ledger.ErrInDoubt)
	default:
		return nil
	}
}
