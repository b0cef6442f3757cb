package web

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ringfence/ringfence/web/problem"
)

// Rates counts tries: at most burst at once, and one more after every. It may
// be lost; what must not be lost is counted in the store by verify and gate.
type Rates interface {
	// Spend takes one try of name under the limit what and reports whether there
	// was one. An error means that it could not find out; the try may be counted.
	Spend(ctx context.Context, what, name string, every time.Duration, burst int) (ok bool, err error)
}

// maxKnown is how many names are remembered before those are forgotten who have
// all their tries again. Ten times as many are bounded by forgetting everybody.
const maxKnown = 10_000

// MemoryRates is Rates within one process. The zero value is ready.
type MemoryRates struct {
	mu    sync.Mutex
	names map[string]*rate.Limiter // by limit and name; guarded by mu
	most  int                      // names before the next sweep; guarded by mu
}

// sweep makes room. Whoever is slowed down stays so: strangers who come under
// ever new names would else buy themselves new tries.
func (m *MemoryRates) sweep() {
	if m.names != nil && len(m.names) < max(m.most, maxKnown) {
		return
	}
	for name, one := range m.names {
		if one.Tokens() >= float64(one.Burst()) {
			delete(m.names, name)
		}
	}
	if m.names == nil || len(m.names) >= 10*maxKnown {
		m.names = map[string]*rate.Limiter{}
	}
	m.most = min(2*len(m.names), 10*maxKnown)
}

// Spend implements Rates; it never fails.
func (m *MemoryRates) Spend(_ context.Context, what, name string, every time.Duration, burst int) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	key := what + "\x00" + name
	one := m.names[key]
	if one == nil {
		one = rate.NewLimiter(rate.Every(every), burst)
		m.names[key] = one
	}
	return one.Allow(), nil
}

// leanShare is the part of a limit that one node grants while it cannot find
// out what the others granted: so many nodes together grant no more than the
// limit.
const leanShare = 16

// limiter slows down whoever guesses: so many tries for one name (a person, a
// service account, an address), at this node and, where nodes share rates, at
// all of them together.
type limiter struct {
	what   string
	every  time.Duration
	burst  int
	shared Rates // nil: this node is the only one

	near, lean MemoryRates
}

// spend takes one try of name, or returns the problem too-many. It does not end
// with its caller, who could count less by leaving.
func (l *limiter) spend(name string) error {
	ctx := context.Background()
	ok, _ := l.near.Spend(ctx, l.what, name, l.every, l.burst)
	if l.shared != nil {
		// Counted always, so that losing the others' count grants nothing anew.
		lean, _ := l.lean.Spend(ctx, l.what, name, leanShare*l.every, max(1, l.burst/leanShare))
		if ok {
			var err error
			if ok, err = l.shared.Spend(ctx, l.what, name, l.every, l.burst); err != nil {
				ok = lean
			}
		}
	}
	if ok {
		return nil
	}
	p := problem.New(problem.TooMany, "Wait a little and try again.")
	p.RetrySeconds = int(l.every/time.Second) + 1
	return p
}
