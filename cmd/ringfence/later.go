package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

const (
	// laterWait is how long a note waits for others to be written with.
	laterWait = 50 * time.Millisecond
	// laterMost is how many are written in one transaction.
	laterMost = 100
)

// later writes what nobody waits for, many notes in one transaction: what a
// call can be looked up by, and its trace. Its zero value is ready.
type later struct {
	mu    sync.Mutex // guards everything below
	notes map[ringfence.TenantID][]laterNote
}

// laterNote is one thing to write. write may run more than once.
type laterNote struct {
	what      string // it failed, for the log
	brief     bool   // not worth writing when another of this kind and traversal follows
	traversal ringfence.TraversalID
	write     func(ctx context.Context, tx ledger.Tx) error
}

// add has a note written within a moment, after those that were added before.
// The end of the process waits for it.
func (l *later) add(a *app, tenant ringfence.TenantID, n laterNote) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.notes == nil {
		l.notes = map[ringfence.TenantID][]laterNote{}
	}
	waiting, running := l.notes[tenant]
	waiting = slices.DeleteFunc(waiting, func(old laterNote) bool {
		return old.brief && old.traversal == n.traversal && old.what == n.what
	})
	l.notes[tenant] = append(waiting, n)
	if !running {
		a.work.Go(func() { l.run(a, tenant) })
	}
}

// run writes a tenant's notes until there are none.
func (l *later) run(a *app, tenant ringfence.TenantID) {
	for {
		select {
		case <-time.After(laterWait):
		case <-a.stopping:
		}
		notes := l.take(tenant)
		if len(notes) == 0 {
			return
		}
		for len(notes) > 0 {
			n := min(len(notes), laterMost)
			a.writeNotes(tenant, notes[:n])
			notes = notes[n:]
		}
	}
}

// take returns what waits; when that is nothing, the run is over.
func (l *later) take(tenant ringfence.TenantID) []laterNote {
	l.mu.Lock()
	defer l.mu.Unlock()
	notes := l.notes[tenant]
	if len(notes) == 0 {
		delete(l.notes, tenant)
		return nil
	}
	l.notes[tenant] = nil
	return notes
}

// writeNotes writes them all at once or, if one of them does not let itself be
// written, each by itself.
func (a *app) writeNotes(tenant ringfence.TenantID, notes []laterNote) {
	ctx, cancel := context.WithTimeout(a.life, 10*time.Second)
	defer cancel()
	err := a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		for _, n := range notes {
			if err := n.write(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	if len(notes) == 1 {
		a.log.Error(notes[0].what, "traversal", string(notes[0].traversal), "err", err)
		return
	}
	for i := range notes {
		a.writeNotes(tenant, notes[i:i+1])
	}
}
