package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence/internal/failpoint"
	"github.com/ringfence/ringfence/store/rows"
)

// commit is the writer's side that writes. It ends when write does.
func (s *Store) commit(ctx context.Context, c *conn) {
	defer c.close()
	for l := range s.load {
		if l.inside {
			s.inside(ctx, c, l.jobs)
		} else {
			s.put(ctx, c, l)
		}
		s.landed <- l
	}
}

// put commits what was computed ahead and answers its jobs. They are not
// answered when it turns out before the COMMIT that it does not fit what is
// there; the COMMIT itself is tried once.
func (s *Store) put(ctx context.Context, c *conn, l *load) {
	err := c.Exec(ctx, rows.Any, "BEGIN IMMEDIATE")
	if err == nil {
		failpoint.Hit(failpoint.StoreBegun)
		if err = s.fill(ctx, c, l); err != nil {
			err = errors.Join(err, c.Exec(ctx, rows.Any, "ROLLBACK"))
		}
	}
	if err != nil {
		l.unanswered, l.unknown = true, true
		return
	}
	failpoint.Hit(failpoint.StoreFilled)
	if err = c.Exec(ctx, rows.Any, "COMMIT"); err != nil {
		err = fmt.Errorf("commit: %w", errors.Join(err, c.Exec(ctx, rows.Any, "ROLLBACK")))
		l.unknown = true
	}
	failpoint.Hit(failpoint.StoreCommitted)
	answer(l.jobs, err)
	failpoint.Hit(failpoint.StoreAnswered)
}

// errOvertaken says that somebody else has written since a load was computed.
var errOvertaken = errors.New("sqlite store: another process has written meanwhile")

// fill writes a load, if nobody else has written since it was computed.
func (s *Store) fill(ctx context.Context, c *conn, l *load) error {
	foreign, err := s.foreign(ctx, c)
	if err == nil && foreign {
		err = errOvertaken
	}
	for tenant, f := range l.flights {
		size, turn, known := f.Edge()
		if !known || err != nil {
			continue
		}
		err = c.Query(ctx, rows.ReadEdge, func(r rows.Scanner) error {
			var haveSize, haveTurn int64
			if err := r.Scan(&haveSize, &haveTurn); err != nil {
				return err
			}
			if haveSize != size || haveTurn != turn {
				return errOvertaken
			}
			return nil
		}, tenant, tenant)
	}
	for _, st := range l.todo {
		if err != nil {
			return err
		}
		err = c.Exec(ctx, st.want, st.query, st.args...)
	}
	return err
}

// answer ends jobs; with an error it is that of them all.
func answer(jobs []*job, err error) {
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}
