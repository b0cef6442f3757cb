package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

const (
	// maxOffset is how far a node's clock may be from the database's
	// (invariant 28).
	maxOffset = 2 * time.Second
	// lookEvery and lookStale are how often the database is looked at, and how
	// old the last look may be.
	lookEvery = 2 * time.Second
	lookStale = 10 * time.Second
)

// Health is what the last look at the database saw.
type Health struct {
	At       time.Time
	Said     time.Time     // what the database said that it was then
	Err      error         // the look failed
	Offset   time.Duration // of this node's clock from the database's
	Nodes    int           // with a session now, this one included
	Standbys int           // connected, streaming and synchronous
	Settings error         // what makes durability a guess
}

// health keeps the last Health.
type health struct {
	mu   sync.Mutex
	last Health // guarded by mu
}

func (h *health) set(to Health) {
	h.mu.Lock()
	h.last = to
	h.mu.Unlock()
}

func (h *health) unsafe() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last.Settings
}

// compare notes how far the clock is off, given when the question was sent
// and what time the database said it was.
func (h *health) compare(sent, said time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last.Offset = offset(sent, time.Now(), said)
}

// offset is how far the clock must at least be off: said lies between the
// sending and the receiving if it is right.
func offset(sent, received, said time.Time) time.Duration {
	switch sent, received = sent.Round(0), received.Round(0); {
	case said.Before(sent):
		return sent.Sub(said)
	case said.After(received):
		return received.Sub(said)
	default:
		return 0
	}
}

// Health returns what the last look saw.
func (s *Store) Health() Health {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.last
}

// Time is what the database's clock shows: what it said at the last look, and how
// long that was ago by this node's monotonic clock. A step of it shows at the next
// look.
func (s *Store) Time() time.Time {
	h := s.Health()
	return h.Said.Add(time.Since(h.At))
}

// Frozen says why nothing of C2 and above may go now, or "": the clock is off,
// the database cannot be asked, or several nodes rely on one disk. It has the
// form that the gate asks for.
func (s *Store) Frozen(ringfence.TenantID) policy.Reason {
	switch err := s.Fit(); {
	case err == nil:
		return ""
	case errors.Is(err, errClock):
		return policy.ReasonClock
	default:
		return policy.ReasonStore
	}
}

var errClock = errors.New("the clock is off")

// Fit says why this node should not be sent calls, or nil.
func (s *Store) Fit() error {
	h := s.Health()
	switch {
	case h.Err != nil:
		return fmt.Errorf("the database cannot be asked: %w", h.Err)
	case time.Since(h.At) > lookStale:
		return fmt.Errorf("the database has not answered since %s", h.At.UTC().Format(time.RFC3339))
	case h.Settings != nil:
		return h.Settings
	case h.Offset > maxOffset || h.Offset < -maxOffset:
		return fmt.Errorf("%w: by %s from the database's: mend the time service of this machine", errClock, h.Offset.Round(time.Millisecond))
	case h.Nodes > 1 && h.Standbys == 0 && !s.cfg.NoStandby:
		return fmt.Errorf("%d nodes and no synchronous standby connected: connect one that synchronous_standby_names lists (and GRANT pg_monitor to this role, so that it is seen)", h.Nodes)
	default:
		return nil
	}
}

// watch looks at the database until the store closes.
func (s *Store) watch(ctx context.Context) {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-every.C:
		}
		looking, cancel := context.WithTimeout(ctx, lookStale)
		if err := s.look(looking); err != nil {
			h := s.Health()
			h.Err = err
			s.state.set(h)
		}
		cancel()
	}
}

// look asks the database for everything that Health tells.
func (s *Store) look(ctx context.Context) error {
	var said time.Time
	var nodes, standbys int
	var fsync, pages, commit string
	sent := time.Now()
	err := s.read.QueryRow(ctx, `SELECT clock_timestamp(),
  (SELECT count(DISTINCT application_name) FROM pg_stat_activity /* no tenant_id: sessions */ WHERE datname = current_database() AND starts_with(application_name, $1)),
  (SELECT count(*) FROM pg_stat_replication /* no tenant_id: standbys */ WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')),
  current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')`, nodePrefix).
		Scan(&said, &nodes, &standbys, &fsync, &pages, &commit)
	if err != nil {
		return withoutSecrets(err)
	}
	s.state.set(Health{At: time.Now(), Said: said, Offset: offset(sent, time.Now(), said), Nodes: nodes, Standbys: standbys, Settings: settings(fsync, pages, commit)})
	return nil
}

// settings refuses a database that acknowledges what it may lose.
func settings(fsync, pages, commit string) error {
	switch {
	case fsync != "on":
		return fmt.Errorf("postgres store: fsync is %s: set fsync = on, or acknowledged releases are lost with the power", fsync)
	case pages != "on":
		return fmt.Errorf("postgres store: full_page_writes is %s: set full_page_writes = on, or a torn page loses what was acknowledged", pages)
	case commit != "on" && commit != "remote_apply":
		return fmt.Errorf("postgres store: synchronous_commit is %s: set synchronous_commit = on (or remote_apply), or a COMMIT is answered before it is durable", commit)
	default:
		return nil
	}
}
