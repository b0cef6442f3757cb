package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
)

// now is the store's clock (invariant 28: on SQLite, the process clock).
func now() time.Time { return time.Now().UTC() }

// job is one Update on its way through the writer.
type job struct {
	ctx    context.Context
	tenant ringfence.TenantID
	f      func(ledger.Tx) error
	tx     *rows.Tx
	err    error
	done   chan struct{}
}

// Update implements ledger.Store. It waits for the commit even when ctx ends
// meanwhile, because an outcome must not be left unknown; only before its turn
// does the end of ctx take it out of the queue. f runs on the writer's
// goroutine and must neither call Update nor wait for anything.
func (s *Store) Update(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	j := &job{ctx: ctx, tenant: tenant, f: f, done: make(chan struct{})}
	select {
	case s.queue <- j:
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
	case <-s.closing:
		s.writer.Wait()
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

// inside runs jobs as savepoints of one transaction and answers them all. The
// one that computes ahead waits meanwhile: what is remembered is ours.
func (s *Store) inside(ctx context.Context, c *conn, jobs []*job) {
	err := c.Exec(ctx, rows.Any, "BEGIN IMMEDIATE")
	if err == nil {
		if err = s.check(ctx, c); err != nil {
			err = errors.Join(err, c.Exec(ctx, rows.Any, "ROLLBACK"))
		}
	}
	if err == nil {
		failpoint.Hit(failpoint.StoreBegun)
		end := "COMMIT"
		if len(jobs) == 1 { // alone it needs no savepoint, whose journal grows with what is written
			if jobs[0].err = s.do(ctx, c, jobs[0]); jobs[0].err != nil {
				end = "ROLLBACK"
			}
		} else {
			for _, j := range jobs {
				j.err = s.run(ctx, c, j)
			}
		}
		failpoint.Hit(failpoint.StoreFilled)
		if err = c.Exec(ctx, rows.Any, end); err != nil {
			err = fmt.Errorf("commit: %w", errors.Join(err, c.Exec(ctx, rows.Any, "ROLLBACK")))
			s.keys.Forget()
			clear(s.recent)
		}
	}
	failpoint.Hit(failpoint.StoreCommitted)
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
	failpoint.Hit(failpoint.StoreAnswered)
}

// check forgets everything when another connection has changed the file since.
func (s *Store) check(ctx context.Context, c *conn) error {
	foreign, err := s.foreign(ctx, c)
	for _, l := range s.recent {
		if l.Stale(); foreign {
			l.Forget()
		}
	}
	return err
}

// foreign reports whether another connection has changed the file since it was
// asked last.
func (s *Store) foreign(ctx context.Context, c *conn) (bool, error) {
	var now int64
	if err := c.Query(ctx, "PRAGMA data_version", func(r rows.Scanner) error { return r.Scan(&now) }); err != nil {
		return false, err
	}
	was := s.seen
	s.seen = now
	return now != was, nil
}

// recentOf is what the writer remembers of a tenant.
func (s *Store) recentOf(tenant ringfence.TenantID) *rows.Recent {
	l := s.recent[tenant]
	if l == nil {
		l = rows.NewRecent()
		s.recent[tenant] = l
	}
	return l
}

// run gives one job its savepoint; what it did is undone when it fails.
func (s *Store) run(ctx context.Context, c *conn, j *job) error {
	if err := c.Exec(ctx, rows.Any, "SAVEPOINT job"); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	if err := s.do(ctx, c, j); err != nil {
		return errors.Join(err, c.Exec(ctx, rows.Any, "ROLLBACK TO job"), c.Exec(ctx, rows.Any, "RELEASE job"))
	}
	return c.Exec(ctx, rows.Any, "RELEASE job")
}

// do runs one job; after an error what it wrote has to be undone.
func (s *Store) do(ctx context.Context, c *conn, j *job) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	j.tx = rows.Begin(ctx, rows.Config{DB: c, Keys: s.keys, Tenant: j.tenant, Now: now(), Recent: s.recentOf(j.tenant)})
	if err := j.tx.Run(j.f); err != nil {
		j.tx.Undo()
		return err
	}
	j.tx.Keep()
	return nil
}
