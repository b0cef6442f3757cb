package runner

import (
	"context"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// lag measures how long calls wait for the store. Its zero value is ready.
type lag struct {
	mu    sync.Mutex // guards everything below
	next  uint64
	open  map[uint64]time.Time // what waits now, since when
	worst time.Duration        // of what ended since it was last asked
}

// begin counts one wait; the returned function ends it.
func (l *lag) begin() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[uint64]time.Time{}
	}
	id, since := l.next, time.Now()
	l.next++
	l.open[id] = since
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, id)
		l.worst = max(l.worst, time.Since(since))
	}
}

// take returns the longest wait since it was last called, of those that go on
// too.
func (l *lag) take() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	worst, now := l.worst, time.Now()
	for _, since := range l.open {
		worst = max(worst, now.Sub(since))
	}
	l.worst = 0
	return worst
}

// Lag tells how long a call waited for the store at most since it was last
// asked: new calls are not to be taken faster than the store writes.
func (r *Runner) Lag() time.Duration { return r.lag.take() }

// update runs f in a transaction and measures how long that took.
func (r *Runner) update(ctx context.Context, tenant ringfence.TenantID, f func(ledger.Tx) error) error {
	defer r.lag.begin()()
	return r.cfg.Store.Update(ctx, tenant, f)
}
