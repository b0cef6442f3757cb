package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/store/storetest"
)

// address returns the server that test/services.sh started. Without one the
// test fails in CI and is skipped elsewhere.
func address(t testing.TB) string {
	t.Helper()
	at := os.Getenv("TEST_POSTGRES")
	if at == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no TEST_POSTGRES: run the tests through test/services.sh")
		}
		t.Skip("no TEST_POSTGRES: run the tests through test/services.sh")
	}
	return at
}

func newMaster(t testing.TB) *seal.Master {
	t.Helper()
	m, err := seal.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs statements as the owner of the server.
func run(t testing.TB, at string, statements ...string) {
	t.Helper()
	connect(t, at, statements...).Close(t.Context())
}

// connect opens a session of its own and runs statements in it.
func connect(t testing.TB, at string, statements ...string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.WithoutCancel(t.Context())) })
	for _, s := range statements {
		if _, err := c.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return c
}

// ask returns the one number that a query gives.
func ask(t testing.TB, at, query string) (n int64) {
	t.Helper()
	c := connect(t, at)
	defer c.Close(t.Context())
	if err := c.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// database makes an empty database of its own and returns its address.
func database(t testing.TB) string {
	t.Helper()
	at := address(t)
	raw := make([]byte, 8)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	name := "t" + hex.EncodeToString(raw)
	run(t, at, "CREATE DATABASE "+name)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestPostgresKeepsTheContract(t *testing.T) {
	address(t)
	storetest.Run(t, func(t *testing.T) ledger.Store { return open(t, Config{URL: database(t), Master: newMaster(t)}) })
}
