package sqlite

import (
	"context"

	"github.com/ringfence/ringfence/store/rows"
)

// look is a connection that reads what is committed. What it reads until end is
// of one snapshot, so that it takes the locks of the file once. It has to end
// when something landed, and before the writer stands still: the write-ahead
// log cannot be put into the file past a snapshot.
type look struct {
	*conn
	begun bool
}

// Query implements rows.DB.
func (l *look) Query(ctx context.Context, query string, scan func(rows.Scanner) error, args ...any) error {
	if !l.begun {
		if err := l.Exec(ctx, rows.Any, "BEGIN"); err != nil {
			return err
		}
		l.begun = true
	}
	return l.conn.Query(ctx, query, scan, args...)
}

// end gives the snapshot up. A connection that cannot is asked again.
func (l *look) end(ctx context.Context) {
	if l.begun {
		l.begun = l.Exec(ctx, rows.Any, "ROLLBACK") != nil
	}
}
