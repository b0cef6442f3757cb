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
	notes map[ringfence.TenantID]*laterNotes
}

// laterNotes are a tenant's that wait.
type laterNotes struct {
	list  []laterNote
	brief map[laterKey]int // place in list of the brief one
}

// laterKey tells notes that take each other's place from others.
type laterKey struct {
	what      string
	traversal ringfence.TraversalID
}

// laterNote is one thing to write. write may run more than once; nil = another
// has taken its place.
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
	waiting, running := l.notes[tenant]
	if !running {
		if l.notes == nil {
			l.notes = map[ringfence.TenantID]*laterNotes{}
		}
		waiting = &laterNotes{brief: map[laterKey]int{}}
		l.notes[tenant] = waiting
		a.work.Go(func() { l.run(a, tenant) })
	}
	waiting.add(n)
}

// add puts a note behind the others and takes a brief one away that it makes
// useless.
func (w *laterNotes) add(n laterNote) {
	key := laterKey{what: n.what, traversal: n.traversal}
	if i, ok := w.brief[key]; ok {
		w.list[i].write = nil
		delete(w.brief, key)
	}
	if n.brief {
		w.brief[key] = len(w.list)
	}
	w.list = append(w.list, n)
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
	waiting := l.notes[tenant]
	if waiting == nil || len(waiting.list) == 0 {
		delete(l.notes, tenant)
		return nil
	}
	notes := slices.DeleteFunc(waiting.list, func(n laterNote) bool { return n.write == nil })
	waiting.list = nil
	clear(waiting.brief)
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
