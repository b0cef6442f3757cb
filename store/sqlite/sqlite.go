// Package sqlite is the embedded truth: one file in a data folder, WAL,
// synchronous=FULL, one writer. It implements ledger.Store.
//
// Every Update of every goroutine passes one writer, which makes all that are
// waiting durable as one transaction with one fsync. A caller gets its answer
// only after that fsync. While it lasts, the next Updates are computed already:
// see write.
//
// What it is trusted for: durability and order. An attacker who can write the
// file can delete it or put back an older copy of the whole; rows and entries
// that they change or forge do not verify, and a roll-back shows against a
// checkpoint kept outside.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config opens a store. The zero value is refused: it names no folder.
type Config struct {
	// Dir is the data folder; made with mode 0700 when missing.
	Dir string
	// Master opens the keys of tenants and subjects; nil is an error.
	Master *seal.Master
	// Volatile allows a folder on tmpfs or the like, which forgets: for tests
	// and the demo only.
	Volatile bool
	// Readers is how many Views run at once; zero means 4, at most 64.
	Readers int
}

// fileName is the database within the data folder.
const fileName = "ringfence.db"

// maxBatch bounds how many Updates share one commit, so that the first of
// them does not wait for ever.
const maxBatch = 256

// Store is an open database. It is safe for concurrent use.
type Store struct {
	db      *sql.DB
	keys    *rows.Keys
	queue   chan *job
	readers chan *conn
	closing chan struct{}
	once    sync.Once
	writer  sync.WaitGroup
	recent  map[ringfence.TenantID]*rows.Recent // owned by whoever computes: write, and inside while write waits for it
	seen    int64                               // data_version of the database when recent was right; owned by commit
	load    chan *load                          // from write to commit
	landed  chan *load                          // and back
}

// Open opens or makes the store, brings its schema up to date and asserts the
// settings that durability rests on.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Dir == "" || cfg.Master == nil {
		return nil, errors.New("sqlite store: want a data folder and a master key")
	}
	if cfg.Readers == 0 {
		cfg.Readers = 4
	}
	if cfg.Readers < 0 || cfg.Readers > 64 {
		return nil, fmt.Errorf("sqlite store: %d readers is not within 1 to 64", cfg.Readers)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if !cfg.Volatile {
		if err := durableFolder(cfg.Dir); err != nil {
			return nil, err
		}
	}
	db, err := sql.Open("sqlite", dsn(filepath.Join(cfg.Dir, fileName), "rwc"))
	if err != nil {
		return nil, fmt.Errorf("sqlite store: %w", err)
	}
	db.SetMaxOpenConns(cfg.Readers + 3)
	db.SetMaxIdleConns(2)
	s := &Store{db: db, keys: rows.NewKeys(cfg.Master), queue: make(chan *job, maxBatch), readers: make(chan *conn, cfg.Readers), closing: make(chan struct{}),
		load: make(chan *load), landed: make(chan *load, 1), recent: map[ringfence.TenantID]*rows.Recent{}}
	if err := s.start(ctx, cfg.Readers); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func dsn(path, mode string) string {
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)"}}
	return "file:" + path + "?" + q.Encode()
}

func (s *Store) start(ctx context.Context, readers int) error {
	if err := migrate(ctx, s.db); err != nil {
		return err
	}
	w, err := s.connect(ctx, "PRAGMA cache_size = -65536", fmt.Sprint("PRAGMA wal_autocheckpoint = ", maxWALPages))
	if err != nil {
		return err
	}
	for range readers {
		c, err := s.connect(ctx, "PRAGMA cache_size = -16384")
		if err != nil {
			return errors.Join(err, w.Close())
		}
		s.readers <- c
	}
	ahead, err := s.connect(ctx, "PRAGMA cache_size = -16384", "PRAGMA query_only = 1")
	if err != nil {
		return errors.Join(err, w.close())
	}
	if _, err := s.foreign(ctx, w); err != nil {
		return errors.Join(err, w.close(), ahead.close())
	}
	detached := context.WithoutCancel(ctx)
	s.writer.Go(func() { s.commit(detached, w) })
	s.writer.Go(func() { s.write(detached, ahead) })
	s.writer.Go(func() { s.merge(detached) })
	return nil
}

// connect opens one connection, sets what it needs and asserts the settings
// that durability rests on.
func (s *Store) connect(ctx context.Context, pragmas ...string) (*conn, error) {
	raw, err := s.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlite store: %w", err)
	}
	c := &conn{Conn: raw, stmts: map[string]*sql.Stmt{}}
	for _, p := range pragmas {
		if _, err := raw.ExecContext(ctx, p); err != nil {
			return nil, errors.Join(fmt.Errorf("sqlite store: %s: %w", p, err), raw.Close())
		}
	}
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := raw.QueryRowContext(ctx, "PRAGMA "+name).Scan(&got); err != nil {
			return nil, errors.Join(fmt.Errorf("sqlite store: %s: %w", name, err), raw.Close())
		}
		if got != want {
			return nil, errors.Join(fmt.Errorf("sqlite store: %s is %s, want %s: durability cannot be promised", name, got, want), raw.Close())
		}
	}
	return c, nil
}

// Close waits for running transactions and closes the file. Closing twice is
// harmless. Updates that come later fail.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		s.writer.Wait()
		for range cap(s.readers) {
			c := <-s.readers
			err = errors.Join(err, c.close())
		}
		err = errors.Join(err, s.db.Close())
	})
	return err
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	var c *conn
	select {
	case c = <-s.readers:
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.readers <- c }()
	detached := context.WithoutCancel(ctx)
	if err := c.Exec(detached, rows.Any, "BEGIN"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	t := rows.Begin(detached, rows.Config{DB: c, Keys: s.keys, Tenant: tenant, Now: now(), Recent: rows.NewRecent(), ReadOnly: true})
	err := t.Run(f)
	if err == nil {
		t.Keep()
	}
	return errors.Join(err, c.Exec(detached, rows.Any, "ROLLBACK"))
}

var errClosed = errors.New("sqlite store: closed")

// conn is one connection with its prepared statements; one goroutine at a time.
type conn struct {
	*sql.Conn
	stmts map[string]*sql.Stmt
}

// prepare returns the statement of query. No ctx of a caller reaches it or its
// execution: an interrupt would undo what others have in the same transaction,
// and the driver starts a goroutine for each statement that could be interrupted.
func (c *conn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// Exec implements rows.DB; it puts nothing off.
func (c *conn) Exec(ctx context.Context, want int64, query string, args ...any) error {
	n, err := c.Change(ctx, query, args...)
	if err == nil && want != rows.Any && n != want {
		err = fmt.Errorf("%d rows changed, want %d", n, want)
	}
	return err
}

// Change implements rows.DB.
func (c *conn) Change(ctx context.Context, query string, args ...any) (int64, error) {
	ctx = context.WithoutCancel(ctx)
	s, err := c.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query implements rows.DB.
func (c *conn) Query(ctx context.Context, query string, scan func(rows.Scanner) error, args ...any) error {
	ctx = context.WithoutCancel(ctx)
	s, err := c.prepare(ctx, query)
	if err != nil {
		return err
	}
	found, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	return rows.Each(found, scan)
}

// Flush implements rows.DB.
func (c *conn) Flush(context.Context) error { return nil }

func (c *conn) close() error {
	var err error
	for _, s := range c.stmts {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, c.Close())
}
