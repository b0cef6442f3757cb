package rows

import "context"

// DB is one connection inside a database transaction. Statements mark their
// arguments by ?, in order. It is used by one goroutine at a time.
type DB interface {
	// Exec runs a statement that must change exactly want rows, or any number
	// if want is Any. It may be put off until the next Change, Query or Flush,
	// which then fails in its place.
	Exec(ctx context.Context, want int64, query string, args ...any) error
	// Change runs a statement and returns how many rows it changed.
	Change(ctx context.Context, query string, args ...any) (int64, error)
	// Query hands each row to scan.
	Query(ctx context.Context, query string, scan func(Scanner) error, args ...any) error
	// Flush runs what was put off.
	Flush(ctx context.Context) error
}

// Any is the number of rows that Exec is told when it does not matter.
const Any int64 = -1

// Scanner reads the columns of one row.
type Scanner interface{ Scan(dest ...any) error }

// Found is what a driver found, before the first row. Whoever has it closes it.
type Found interface {
	Scanner
	Next() bool
	Err() error
}

// Each hands each row found to scan, up to the first error.
func Each(found Found, scan func(Scanner) error) error {
	for found.Next() {
		if err := scan(found); err != nil {
			return err
		}
	}
	return found.Err()
}
