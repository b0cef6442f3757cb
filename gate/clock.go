package gate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// KindClock is one record: whether the clock stepped and nobody has confirmed it.
const KindClock ledger.Kind = "clock"

const clockID = "clock"

const (
	// maxBehind is how far the wall clock may be before the newest entry.
	maxBehind = 2 * time.Second
	// maxStep is how far the wall clock may get ahead of the monotonic one.
	maxStep = time.Minute
	// markEvery is how often the time is kept for the next start.
	markEvery = 20 * time.Second
)

// Clock watches the time by which holds and permits go (invariant 28): that of a
// process whose store takes it from there, or that of a database. A wall clock before the newest entry refuses until it has
// caught up; one that stepped forward freezes holds and permits until a person
// with role risk confirms the time, restarts included. What stepped while
// nothing ran is told by how long the machine has run; over a start of the
// machine nothing tells, and more than a minute away counts as a step. The zero
// Clock, and a tenant that was never looked at, refuse.
type Clock struct {
	store ledger.Store
	read  func() (wall time.Time, since time.Duration)
	boot  func() (id string, up time.Duration)
	// shared: several nodes keep one time, each for all.
	shared bool

	mu      sync.Mutex
	tenants map[ringfence.TenantID]clockState // guarded by mu
}

type clockState struct {
	wall    time.Time     // when the tenant was first looked at, or the time confirmed
	since   time.Duration // the monotonic clock then
	newest  time.Time     // entry
	stepped bool          // and not confirmed
	lost    bool          // the store could not be read
}

// clockRow is what stands in the store.
type clockRow struct {
	Frozen bool               `json:"frozen"`
	At     time.Time          `json:"at"`
	By     ringfence.PersonID `json:"by,omitempty"`
	// Seen is the trusted time, and Boot and Up what the machine said then of
	// how long it had run; zero before the first look.
	Seen time.Time     `json:"seen,omitzero"`
	Boot string        `json:"boot,omitempty"`
	Up   time.Duration `json:"up,omitempty"`
}

// ahead is how far the clock is ahead of what passed since the time was kept.
// Before it was ever kept nothing can be said.
func (r clockRow) ahead(wall, newest time.Time, boot string, up time.Duration) time.Duration {
	switch {
	case r.Seen.IsZero():
		return 0
	case boot != "" && boot == r.Boot:
		return max(0, wall.Sub(r.Seen)-(up-r.Up))
	case newest.After(r.Seen):
		r.Seen = newest
	}
	if d := wall.Sub(r.Seen); d > maxStep {
		return d
	}
	return 0
}

// NewClock returns a clock over a store.
func NewClock(store ledger.Store) *Clock {
	start := time.Now()
	return &Clock{store: store, tenants: map[ringfence.TenantID]clockState{}, boot: machineBoot, read: func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(start) // the difference is monotonic
	}}
}

// NewSharedClock returns a clock over a store whose time several nodes share: now is
// that time as this node saw it last. Every node holds it against its own monotonic
// clock, and one confirmation counts for all.
func NewSharedClock(store ledger.Store, now func() time.Time) *Clock {
	c := NewClock(store)
	c.shared = true
	start := time.Now()
	c.read = func() (time.Time, time.Duration) { return now().Round(0), time.Since(start) }
	return c
}

// Frozen says why nothing of C2 and above may go now, or "".
func (c *Clock) Frozen(tenant ringfence.TenantID) policy.Reason {
	if c == nil || c.read == nil {
		return policy.ReasonClock
	}
	wall, since := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	s, looked := c.tenants[tenant]
	switch {
	case looked && s.lost:
		return policy.ReasonStore
	case !looked || s.stepped || s.step(wall, since) > maxStep || s.newest.Sub(wall) > maxBehind:
		return policy.ReasonClock
	default:
		return ""
	}
}

// step is how much more time the wall clock says has passed.
func (s clockState) step(wall time.Time, since time.Duration) time.Duration {
	return wall.Sub(s.wall) - (since - s.since)
}

// Look compares the clock with the newest entry and with itself; call it at the
// start and every second. A step is written down, once. A start that cannot
// read the store is no look: the tenant stays refused.
func (c *Clock) Look(ctx context.Context, tenant ringfence.TenantID) error {
	wall, since := c.read()
	boot, up := c.boot()
	newest, row, version, err := c.stored(ctx, tenant)
	c.mu.Lock()
	s, looked := c.tenants[tenant]
	if !looked && err != nil {
		c.mu.Unlock()
		return err
	}
	if !looked {
		s.wall, s.since = wall.Add(-row.ahead(wall, newest, boot, up)), since
	}
	if s.lost = err != nil; err == nil {
		if s.stepped && !row.Frozen { // another node was told that the time is right
			s.wall, s.since = wall, since
		}
		s.newest, s.stepped = newest, row.Frozen
	}
	step := s.step(wall, since)
	c.tenants[tenant] = s
	c.mu.Unlock()
	if err != nil || row.Frozen {
		return err
	}
	if step <= maxStep {
		return c.keep(ctx, tenant, version, row, clockRow{At: row.At, By: row.By, Seen: wall.Add(-step), Boot: boot, Up: up})
	}
	err = c.write(ctx, tenant, version, clockRow{Frozen: true, At: wall}, ledger.Entry{Event: "clock.frozen",
		Data: map[string]string{"step_seconds": fmt.Sprint(int64(step.Seconds()))}})
	if err == nil {
		c.set(tenant, func(s *clockState) { s.stepped = true })
	}
	return err
}

// keep writes the time down for the next start, now and then. Another process
// on the same store may have done so meanwhile.
func (c *Clock) keep(ctx context.Context, tenant ringfence.TenantID, version int64, old, now clockRow) error {
	if d := now.Seen.Sub(old.Seen); (c.shared || old.Boot == now.Boot) && !old.Seen.IsZero() && 0 <= d && d < markEvery {
		return nil
	}
	err := c.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		rec := ledger.Record{Kind: KindClock, ID: clockID, Version: version}
		return ledger.Write(ctx, tx, &rec, now)
	})
	if errors.Is(err, ledger.ErrConflict) {
		return nil
	}
	return err
}

// Confirm lets holds and permits go on: a person with role risk says that the
// clock is right now. ErrConflict when nothing is frozen.
func (c *Clock) Confirm(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, why string) error {
	if why == "" {
		return &InvalidError{Field: "why", Says: "is missing"}
	}
	boot, up := c.boot()
	right, _ := c.read()
	err := c.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(by))
		if err != nil && !missing(err) {
			return err
		}
		if err != nil || !p.Has(ringfence.RoleRisk, tx.Now()) {
			return ErrForbidden
		}
		row, version, err := ledger.Read[clockRow](ctx, tx, KindClock, clockID)
		if missing(err) || err == nil && !row.Frozen {
			return ErrConflict
		} else if err != nil {
			return err
		}
		return putClock(ctx, tx, version, clockRow{At: tx.Now(), By: by, Seen: right, Boot: boot, Up: up}, ledger.Entry{Event: "clock.confirmed", Person: by, Data: map[string]string{"why": why}})
	})
	if err == nil {
		wall, since := c.read()
		c.set(tenant, func(s *clockState) { s.wall, s.since, s.stepped = wall, since, false })
	}
	return err
}

func (c *Clock) set(tenant ringfence.TenantID, with func(*clockState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.tenants[tenant]
	with(&s)
	c.tenants[tenant] = s
}

// stored reads when the newest entry was written, and whether a step waits.
func (c *Clock) stored(ctx context.Context, tenant ringfence.TenantID) (newest time.Time, row clockRow, version int64, err error) {
	err = c.store.View(ctx, tenant, func(tx ledger.Tx) error {
		newest = time.Time{}
		head, err := ledger.HeadOf(ctx, tx)
		if err != nil {
			return err
		}
		if head.Size > 0 {
			last, err := tx.Entries(ctx, ledger.EntryQuery{From: head.Size - 1, Limit: 1})
			if err != nil || len(last) != 1 {
				return errors.Join(err, ErrNotFound)
			}
			newest = last[0].At
		}
		row, version, err = ledger.Read[clockRow](ctx, tx, KindClock, clockID)
		if missing(err) {
			row, version, err = clockRow{}, 0, nil
		}
		return err
	})
	return newest, row, version, err
}

func (c *Clock) write(ctx context.Context, tenant ringfence.TenantID, version int64, row clockRow, e ledger.Entry) error {
	return c.store.Update(ctx, tenant, func(tx ledger.Tx) error { return putClock(ctx, tx, version, row, e) })
}

func putClock(ctx context.Context, tx ledger.Tx, version int64, row clockRow, e ledger.Entry) error {
	rec := ledger.Record{Kind: KindClock, ID: clockID, Version: version}
	if err := ledger.Write(ctx, tx, &rec, row); err != nil {
		return err
	}
	_, err := tx.Append(ctx, e)
	return err
}
