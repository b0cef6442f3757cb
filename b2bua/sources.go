package b2bua

import (
	"cmp"
	"net/netip"
	"slices"
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

	tell func(source netip.Addr, until time.Time) // of a ban; nil tells nobody
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
	source = SourceOf(source)
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
		if s.tell != nil {
			s.tell(source, b.banned)
		}
	}
	return false
}

// forgetLocked keeps the bans first, then the sources of the last seconds.
func (s *sources) forgetLocked(now time.Time) {
	kept := make(map[netip.Addr]*bucket)
	keep := func(ok func(*bucket) bool) {
		for a, b := range s.by {
			if len(kept) < maxSources/2 && ok(b) {
				kept[a] = b
			}
		}
	}
	keep(func(b *bucket) bool { return now.Before(b.banned) })
	keep(func(b *bucket) bool { return now.Sub(b.last) < 2*time.Second })
	s.by = kept
}

// SourceOf is what is counted for an address: itself, or the /64 of IPv6.
func SourceOf(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.Is6() {
		p, _ := a.Prefix(64) // 64 bits are never too many
		return p.Addr()
	}
	return a
}

// Ban is a source that is ignored.
type Ban struct {
	Source netip.Prefix // an address, or the /64 of IPv6
	Until  time.Time
}

// Bans lists the sources that are ignored now, the longest first. None of them
// is a trunk: those are never ignored.
func (u *UA) Bans() []Ban { return u.strange.bans(time.Now()) }

func (s *sources) bans(now time.Time) (out []Ban) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, b := range s.by {
		if now.Before(b.banned) {
			bits := 32
			if a.Is6() {
				bits = 64
			}
			out = append(out, Ban{Source: netip.PrefixFrom(a, bits), Until: b.banned})
		}
	}
	slices.SortFunc(out, func(a, b Ban) int { return cmp.Or(b.Until.Compare(a.Until), a.Source.Addr().Compare(b.Source.Addr())) })
	return out
}

// Ban ignores a stranger until then, for ten minutes at most, as if it had sent
// too much here.
func (u *UA) Ban(source netip.Addr, until time.Time) {
	u.strange.ban(SourceOf(source), until, time.Now())
}

func (s *sources) ban(source netip.Addr, until, now time.Time) {
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
	if most := now.Add(banTime); until.After(most) {
		until = most
	}
	if until.After(b.banned) {
		b.banned = until
	}
}

// Unban listens to a source again. It reports whether it was ignored.
func (u *UA) Unban(a netip.Addr) bool { return u.strange.unban(a, time.Now()) }

func (s *sources) unban(a netip.Addr, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.by[SourceOf(a)]
	if b == nil || !now.Before(b.banned) {
		return false
	}
	delete(s.by, SourceOf(a))
	return true
}
