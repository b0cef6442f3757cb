package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/seal"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/store/postgres"
	"github.com/ringfence/ringfence/store/redis"
	"github.com/ringfence/ringfence/store/sqlite"
)

// truth is the store, whichever the configuration names.
type truth interface {
	ledger.Store
	SaveCheckpoint(ctx context.Context, tenant ringfence.TenantID, size int64, note []byte) error
	Checkpoint(ctx context.Context, tenant ringfence.TenantID) ([]byte, error)
	Close() error
}

// opener says for whom a store is opened.
type opener struct {
	volatile bool // the folder may forget: the demo and tests
	tool     bool // a command beside the nodes
}

func openTruth(ctx context.Context, cfg config.Config, master *seal.Master, o opener) (truth, error) {
	if cfg.Store.OnPostgres() {
		return postgres.Open(ctx, postgres.Config{URL: cfg.Store.Postgres, Password: cfg.Store.Password.Reveal(), Master: master,
			Conns: cfg.Store.Connections, Tool: o.tool, NoStandby: cfg.Store.Standby == "waived"})
	}
	return sqlite.Open(ctx, sqlite.Config{Dir: cfg.Data, Master: master, Volatile: o.volatile})
}

// marks is where PASSporTs that were presented are remembered; nil is this
// process's memory.
func (a *app) marks(ctx context.Context) (stirshaken.Marks, error) {
	if a.cfg.Store.Redis == "" {
		return nil, nil
	}
	s, err := redis.Open(ctx, redis.Config{URL: a.cfg.Store.Redis, Password: a.cfg.Store.RedisPassword.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("store.redis: %w", err)
	}
	a.shared = s
	return s.Marks(), nil
}

// whenFit answers GET /healthz with 503 while this node's database or clock is
// not as it must be, so that a load balancer sends its calls elsewhere.
func (a *app) whenFit(h http.Handler) http.Handler {
	s, ok := a.store.(interface{ Fit() error })
	if !ok {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && s.Fit() != nil {
			http.Error(w, "not fit", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// frozen says why nothing of C2 and above may go now, or "".
func (a *app) frozen(tenant ringfence.TenantID) policy.Reason {
	if s, ok := a.store.(*postgres.Store); ok {
		return cmp.Or(s.Frozen(tenant), a.clock.Frozen(tenant))
	}
	return a.clock.Frozen(tenant)
}

// joinClock watches the time that the store goes by: the database's, or this
// process's.
func (a *app) joinClock(ctx context.Context) error {
	if s, ok := a.store.(*postgres.Store); ok {
		a.clock = gate.NewSharedClock(s, s.Time)
	} else {
		a.clock = gate.NewClock(a.store)
	}
	var failed []error
	for _, t := range a.cfg.Tenants {
		failed = append(failed, a.clock.Look(ctx, tenantOr(t.ID)))
	}
	return errors.Join(failed...)
}

// lookAtClock is called every second.
func (a *app) lookAtClock(ctx context.Context, tenant ringfence.TenantID) error {
	if a.clock == nil {
		return nil
	}
	return a.clock.Look(ctx, tenant)
}
