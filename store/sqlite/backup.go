package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"

	"github.com/ringfence/ringfence/store/rows"
)

// Snapshot writes the database of a data folder, as of one moment and whole,
// into another folder, where none may be yet. It disturbs nobody who writes.
func Snapshot(ctx context.Context, dir, into string) error {
	from, to := filepath.Join(dir, fileName), filepath.Join(into, fileName)
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("no store in %s: %w", dir, err)
	}
	if err := vacant(to); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+from+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return errors.Join(os.Chmod(to, 0o600), syncPath(to), syncPath(into))
}

func vacant(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: name an empty folder", path)
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Build makes the database of a folder, where none may be yet, of what feed
// hands over.
func Build(ctx context.Context, dir string, feed rows.Feed) (err error) {
	path := filepath.Join(dir, fileName)
	if err := vacant(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "rwc"))
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, db.Close()); err == nil {
			err = errors.Join(os.Chmod(path, 0o600), syncPath(path), syncPath(dir))
		}
	}()
	if err := migrate(ctx, db); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stmts := map[string]*sql.Stmt{}
	err = feed(func(t rows.Table, values []any) error {
		s := stmts[t.Name]
		if s == nil {
			if s, err = tx.PrepareContext(ctx, t.Insert()); err != nil {
				return err
			}
			stmts[t.Name] = s
		}
		_, err := s.ExecContext(ctx, values...)
		return err
	})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return tx.Commit()
}

// Rows hands over every row of the database of a folder, which may be of an
// older schema: it is copied, and the copy brought up to date, first.
func Rows(ctx context.Context, dir, scratch string) (rows.Feed, error) {
	if err := Snapshot(ctx, dir, scratch); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(filepath.Join(scratch, fileName), "rw"))
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func(row func(rows.Table, []any) error) (err error) {
		defer func() { err = errors.Join(err, db.Close()) }()
		for _, t := range rows.Tables {
			if err := each(ctx, db, t, row); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		return nil
	}, nil
}

func each(ctx context.Context, db *sql.DB, t rows.Table, row func(rows.Table, []any) error) error {
	found, err := db.QueryContext(ctx, t.Select())
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		values, at := make([]any, len(t.Columns)), make([]any, len(t.Columns))
		for i := range values {
			at[i] = &values[i]
		}
		if err := found.Scan(at...); err != nil {
			return err
		}
		if err := row(t, values); err != nil {
			return err
		}
	}
	return found.Err()
}

// migrate brings a schema up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	up, err := goose.NewProvider(goose.DialectSQLite3, db, sub)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := up.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}
