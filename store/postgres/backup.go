package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/store/rows"
)

// Dump hands over every row, as of one moment; it disturbs nobody who writes.
func (s *Store) Dump(ctx context.Context) rows.Feed {
	return func(row func(rows.Table, []any) error) error {
		return pgx.BeginTxFunc(ctx, s.read, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			// Handing over may take longer than a node may stand still.
			if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
				return err
			}
			for _, t := range rows.Tables {
				found, err := tx.Query(ctx, t.Select())
				if err != nil {
					return fmt.Errorf("%s: %w", t.Name, err)
				}
				if err := each(found, t, row); err != nil {
					return fmt.Errorf("%s: %w", t.Name, err)
				}
			}
			return nil
		})
	}
}

func each(found pgx.Rows, t rows.Table, row func(rows.Table, []any) error) error {
	defer found.Close()
	for found.Next() {
		values, err := found.Values()
		if err != nil {
			return err
		}
		if err := row(t, values); err != nil {
			return err
		}
	}
	return found.Err()
}

// loadBatch is how many rows travel at once.
const loadBatch = 500

// Load fills the database with what feed hands over, all or nothing. One that
// holds anything already is refused.
func (s *Store) Load(ctx context.Context, feed rows.Feed) error {
	return pgx.BeginFunc(ctx, s.write, func(tx pgx.Tx) error {
		for _, t := range rows.Tables {
			var full bool
			if err := tx.QueryRow(ctx, "SELECT EXISTS ("+t.Select()+")").Scan(&full); err != nil {
				return err
			}
			if full {
				return errors.New("the database holds records already: restore into an empty one")
			}
		}
		b := &pgx.Batch{}
		err := feed(func(t rows.Table, values []any) error {
			b.Queue(dollars(t.Insert()), values...)
			if b.Len() < loadBatch {
				return nil
			}
			full := b
			b = &pgx.Batch{}
			return tx.SendBatch(ctx, full).Close()
		})
		if err == nil && b.Len() > 0 {
			err = tx.SendBatch(ctx, b).Close()
		}
		return err
	})
}
