package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ringfence/ringfence/web/problem"
)

// maxKnown bounds how many names a limiter remembers; past it the table is
// emptied, which only ever forgets slowness.
const maxKnown = 10_000

// limiter slows down whoever guesses: so many tries a minute for one name (a
// person, a service account, an address). It may be lost at a restart; what
// must not be lost is counted in the store by verify and gate.
type limiter struct {
	every time.Duration
	burst int

	mu    sync.Mutex
	names map[string]*rate.Limiter // guarded by mu
}

// spend takes one try of name, or returns the problem too-many.
func (l *limiter) spend(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names == nil || len(l.names) >= maxKnown {
		l.names = map[string]*rate.Limiter{}
	}
	one := l.names[name]
	if one == nil {
		one = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.names[name] = one
	}
	if one.Allow() {
		return nil
	}
	p := problem.New(problem.TooMany, "Wait a little and try again.")
	p.RetrySeconds = int(l.every/time.Second) + 1
	return p
}
