// Package postgres is the truth of several nodes: one PostgreSQL, written by
// all. It implements ledger.Store.
//
// Every Update of a tenant passes one writer a node, which runs all that are
// waiting as savepoints of one transaction; a lock of the tenant inside the
// database lets one node's transaction in at a time, until its commit is
// durable, on the synchronous standby too. Time is the database's.
//
// What it is trusted for: durability and order. An attacker who can write the
// tables can delete rows or put back an older copy of the whole; rows and
// entries that they change or forge do not verify, and a roll-back shows
// against a checkpoint kept outside.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/rows"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config opens a store. The zero value is refused: it names no database.
type Config struct {
	// URL names the database (postgres://user@host/name?sslmode=verify-full).
	// Off loopback anything less than verify-full is refused.
	URL string
	// Password wins over one in URL.
	Password string
	// Master opens the keys of tenants and subjects; nil is an error.
	Master *seal.Master
	// Conns bounds the connections for reading, and those for writing; zero
	// means 8, at most 100.
	Conns int
	// Tool says that this is a command beside the nodes, not one of them.
	Tool bool
	// NoStandby accepts several nodes without a synchronous standby: whoever
	// sets it may lose acknowledged releases with the machine of the database.
	NoStandby bool

	times times // zero: as in practice
}

// times bound how long things may last.
type times struct {
	stalled  time.Duration // a session may stand still inside a transaction
	lock     time.Duration // a writer waits for another node's
	tx       time.Duration // a transaction lasts up to its COMMIT, which nothing bounds
	patience time.Duration // callers wait for a COMMIT before they are told that it is in doubt; it goes on
}

var inPractice = times{stalled: 15 * time.Second, lock: 20 * time.Second, tx: 30 * time.Second, patience: 30 * time.Second}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	cfg   Config
	write *pgxpool.Pool
	read  *pgxpool.Pool
	keys  *rows.Keys
	state health

	closing chan struct{}
	once    sync.Once
	work    sync.WaitGroup

	mu    sync.Mutex
	lanes map[ringfence.TenantID]*lane // guarded by mu
}

// Open connects, brings the schema up to date and asserts the settings that
// durability rests on.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.URL == "" || cfg.Master == nil {
		return nil, errors.New("postgres store: want the address of a database and a master key")
	}
	if cfg.Conns == 0 {
		cfg.Conns = 8
	}
	if cfg.times == (times{}) {
		cfg.times = inPractice
	}
	if cfg.Conns < 0 || cfg.Conns > 100 {
		return nil, fmt.Errorf("postgres store: %d connections is not within 1 to 100", cfg.Conns)
	}
	pc, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, pc.ConnConfig); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, keys: rows.NewKeys(cfg.Master), closing: make(chan struct{}), lanes: map[ringfence.TenantID]*lane{}}
	if s.write, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return nil, fmt.Errorf("postgres store: %w", err)
	}
	if s.read, err = pgxpool.NewWithConfig(ctx, pc.Copy()); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("postgres store: %w", err)
	}
	if err := s.begin(ctx); err != nil {
		s.write.Close()
		s.read.Close()
		return nil, err
	}
	return s, nil
}

// begin takes the first look at the database and goes on looking.
func (s *Store) begin(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	if err := s.state.unsafe(); err != nil {
		return err
	}
	s.work.Go(func() { s.watch(context.WithoutCancel(ctx)) })
	return nil
}

// Sessions of ours say who they are, end when their node falls asleep inside a
// transaction, and never cancel a COMMIT.
const (
	nodePrefix  = "ringfence/"
	toolName    = "ringfence tool"
	connectWait = 5 * time.Second
)

func poolConfig(cfg Config) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres store: the address of the database is malformed: want postgres://user@host/name?sslmode=verify-full")
	}
	if cfg.Password != "" {
		pc.ConnConfig.Password = cfg.Password
	}
	if err := overTLS(pc.ConnConfig); err != nil {
		return nil, err
	}
	pc.MaxConns, pc.MaxConnIdleTime = int32(cfg.Conns), 5*time.Minute
	c := pc.ConnConfig
	c.ConnectTimeout = connectWait
	c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	c.OnNotice = keepWarning
	name := nodePrefix + ringfence.NewID[string](ringfence.PrefixEvent)
	if cfg.Tool {
		name = toolName
	}
	for k, v := range map[string]string{
		"application_name": name, "timezone": "UTC", "client_min_messages": "warning", "statement_timeout": "0",
		"idle_in_transaction_session_timeout": milliseconds(cfg.times.stalled), "lock_timeout": milliseconds(cfg.times.lock),
	} {
		c.RuntimeParams[k] = v
	}
	return pc, nil
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// overTLS refuses a way to the database on which others could read or answer.
func overTLS(c *pgx.ConnConfig) error {
	ways := []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}
	for _, w := range append(ways, c.Fallbacks...) {
		if onThisMachine(w.Host) || w.TLSConfig != nil && !w.TLSConfig.InsecureSkipVerify {
			continue
		}
		return fmt.Errorf("postgres store: %s is reached without a verified certificate: add sslmode=verify-full and sslrootcert to store.postgres", w.Host)
	}
	return nil
}

func onThisMachine(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// migrate brings the schema up to date, one node at a time.
func migrate(ctx context.Context, c *pgx.ConnConfig) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	c = c.Copy()
	c.RuntimeParams["application_name"] = toolName
	db := stdlib.OpenDB(*c)
	up, err := goose.NewProvider(goose.DialectPostgres, db, sub, goose.WithSessionLocker(locker))
	if err == nil {
		_, err = up.Up(ctx)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("postgres store: migrations: %w", withoutSecrets(err))
	}
	return nil
}

// withoutSecrets rewords what a connection attempt says: host and cause, no
// user and no parameters.
func withoutSecrets(err error) error {
	var connect *pgconn.ConnectError
	var network *net.OpError
	switch {
	case !errors.As(err, &connect):
		return err
	case errors.As(err, &network):
		return fmt.Errorf("the database cannot be reached: %v", network.Err)
	default:
		return fmt.Errorf("the database cannot be reached: %v", connect.Unwrap())
	}
}

var errClosed = errors.New("postgres store: closed")

// Close waits for running transactions and closes the connections. Closing
// twice is harmless. Updates that come later fail.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		close(s.closing)
		s.mu.Unlock()
		s.work.Wait()
		s.write.Close()
		s.read.Close()
	})
	return nil
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	select {
	case <-s.closing:
		return errClosed
	default:
	}
	pooled, err := s.read.Acquire(ctx)
	if err != nil {
		return unavailable(fmt.Errorf("view: %w", withoutSecrets(err)))
	}
	defer pooled.Release()
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.times.tx)
	defer cancel()
	c := &conn{ctx: detached, pg: pooled.Conn()}
	b, err := c.start(tenant, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if err != nil {
		c.abandon()
		return unavailable(fmt.Errorf("view: %w", err))
	}
	recent := rows.NewRecent()
	recent.At(b.size, b.turn)
	t := rows.Begin(detached, rows.Config{DB: c, Keys: s.keys, Tenant: tenant, Now: b.now(), Recent: recent, ReadOnly: true})
	switch err = t.Run(f); {
	case err == nil:
		t.Keep()
	case t.Broken():
		err = unavailable(err)
	}
	if _, end := c.pg.Exec(detached, "ROLLBACK"); end != nil {
		err = errors.Join(err, unavailable(fmt.Errorf("view: %w", end)))
	}
	return err
}
