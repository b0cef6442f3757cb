package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// now is the store's clock (invariant 28: on SQLite, the process clock).
func now() time.Time { return time.Now().UTC() }

// job is one Update on its way through the writer.
type job struct {
	ctx    context.Context
	tenant ringfence.TenantID
	f      func(ledger.Tx) error
	tx     *tx
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
	for _, after := range j.tx.after {
		after()
	}
	return nil
}

// write is the one writer. It ends when the store closes, after what was
// queued by then.
func (s *Store) write(ctx context.Context, c *conn) {
	defer c.close()
	for {
		select {
		case j := <-s.queue:
			s.batch(ctx, c, s.gather(j))
		case <-s.closing:
			for {
				select {
				case j := <-s.queue:
					s.batch(ctx, c, s.gather(j))
				default:
					return
				}
			}
		}
	}
}

// gather takes what else is waiting.
func (s *Store) gather(first *job) []*job {
	jobs := []*job{first}
	for len(jobs) < maxBatch {
		select {
		case j := <-s.queue:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// batch runs jobs as savepoints of one transaction and answers them all.
func (s *Store) batch(ctx context.Context, c *conn, jobs []*job) {
	err := c.exec(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		if err = s.recent.check(ctx, c); err != nil {
			err = errors.Join(err, c.exec(ctx, "ROLLBACK"))
		}
	}
	if err == nil {
		for _, j := range jobs {
			j.err = s.run(ctx, c, j)
		}
		if err = c.exec(ctx, "COMMIT"); err != nil {
			err = fmt.Errorf("commit: %w", errors.Join(err, c.exec(ctx, "ROLLBACK")))
			s.keys.forget()
			s.recent.forget()
		}
	}
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}

// run gives one job its savepoint; what it did is undone when it fails.
func (s *Store) run(ctx context.Context, c *conn, j *job) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if err := c.exec(ctx, "SAVEPOINT job"); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	j.tx = &tx{store: s, ctx: ctx, conn: c, tenant: j.tenant, now: now(), recent: &s.recent}
	err := safely(j.f, j.tx)
	if err == nil {
		err = j.tx.err
	}
	if err != nil {
		if j.tx.madeKey {
			s.keys.forget()
		}
		s.recent.undo(j.tx.touched)
		return errors.Join(err, c.exec(ctx, "ROLLBACK TO job"), c.exec(ctx, "RELEASE job"))
	}
	return c.exec(ctx, "RELEASE job")
}

// safely turns a panic of a callback into its error: the writer serves
// everybody and must not die of one.
func safely(f func(ledger.Tx) error, t *tx) (err error) {
	defer func() {
		t.over = true
		if p := recover(); p != nil {
			err = fmt.Errorf("transaction panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return f(t)
}
