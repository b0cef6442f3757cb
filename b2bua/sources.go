package b2bua

import (
	"net/netip"
	"sync"
	"time"
)

// maxSources bounds the table of rates. A flood from more addresses than this
// shares what is left: the oldest half is forgotten.
const maxSources = 20000

// banAfter is how many messages over its rate a stranger may send before it is
// ignored for banTime, unread.
const (
	banAfter = 200
	banTime  = 10 * time.Minute
)

// sources counts messages by source: a token bucket each.
type sources struct {
	mu sync.Mutex
	by map[netip.Addr]*bucket
}

type bucket struct {
	tokens float64
	last   time.Time
	over   int
	banned time.Time // until
}

// take reports whether one more may come at now, given rate a second and a burst
// of the same size. A rate of zero is none.
func (b *bucket) take(rate int, now time.Time) bool {
	if rate <= 0 {
		return true
	}
	if b.last.IsZero() {
		b.tokens, b.last = float64(rate), now
	}
	b.tokens = min(float64(rate), b.tokens+now.Sub(b.last).Seconds()*float64(rate))
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// take reports whether source may have one more message at now, given rate a
// second and a burst of the same size.
func (s *sources) take(source netip.Addr, rate int, ban bool, now time.Time) bool {
	if source.Is6() {
		p, _ := source.Prefix(64)
		source = p.Addr()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.by[source]
	if b == nil {
		if s.by == nil || len(s.by) >= maxSources {
			s.forgetLocked(now)
		}
		b = &bucket{}
		s.by[source] = b
	}
	if now.Before(b.banned) {
		return false
	}
	if b.take(rate, now) {
		return true
	}
	if b.over++; ban && b.over >= banAfter {
		b.banned, b.over = now.Add(banTime), 0
	}
	return false
}

// forgetLocked keeps the bans and the sources of the last seconds.
func (s *sources) forgetLocked(now time.Time) {
	kept := make(map[netip.Addr]*bucket)
	for a, b := range s.by {
		if len(kept) < maxSources/2 && (now.Before(b.banned) || now.Sub(b.last) < 2*time.Second) {
			kept[a] = b
		}
	}
	s.by = kept
}
