package runner

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
)

// Staff are the people of a queue as they are now.
type Staff struct {
	// Ready are the places of those who may be rung, the longest idle first.
	Ready []Place
	// Busy counts those who are there and on a call: they may be ready soon.
	Busy int
}

// there reports whether anybody is, who could take a call now or soon.
func (s Staff) there() bool { return len(s.Ready)+s.Busy > 0 }

// lookAgain is how often the board looks who has become ready while a caller
// waits.
const lookAgain = time.Second

// lookTime bounds one look at the people of a queue.
const lookTime = 5 * time.Second

// board holds the callers who wait for people, first come first served over all
// queues, and who is being rung for whom. Nobody is rung for two callers at
// once. The zero board is ready.
type board struct {
	mu      sync.Mutex
	waiting []*connectWait // by the time they came; guarded by mu
	rung    map[rungKey]*connectWait
	changes uint64 // of waiting and rung: a look that began before one is stale
	kick    chan struct{}
	running bool
}

// rungKey is one member of staff.
type rungKey struct {
	tenant ringfence.TenantID
	person ringfence.PersonID
}

// join puts a caller at the end of the line.
func (b *board) join(w *connectWait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, w)
	b.changes++
	if b.running {
		b.wakeLocked()
		return
	}
	b.running, b.kick, b.rung = true, make(chan struct{}, 1), map[rungKey]*connectWait{}
	go b.run()
}

func (b *board) wakeLocked() {
	b.changes++
	if b.running {
		select {
		case b.kick <- struct{}{}:
		default:
		}
	}
}

// wake looks again at once: somebody may have become ready.
func (b *board) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wakeLocked()
}

// leave takes a caller off the board, and whoever was rung for them is free.
func (b *board) leave(w *connectWait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = slices.DeleteFunc(b.waiting, func(x *connectWait) bool { return x == w })
	for k, by := range b.rung {
		if by == w {
			delete(b.rung, k)
		}
	}
	b.wakeLocked()
}

// passed notes that somebody did not take this caller. They are not rung for
// this caller again until they have been away or on a call.
func (b *board) passed(w *connectWait, who ringfence.PersonID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := rungKey{w.t.tenant, who}
	if b.rung[k] == w {
		delete(b.rung, k)
		w.passed[who] = true
	}
	b.wakeLocked()
}

// run looks who may be rung for whom, as long as anybody waits.
func (b *board) run() {
	every := time.NewTicker(lookAgain)
	defer every.Stop()
	for b.look() {
		select {
		case <-b.kick:
		case <-every.C:
		}
	}
}

// look serves the callers in their order. It reports false when nobody waits
// any more; the board is at rest then.
func (b *board) look() bool {
	b.mu.Lock()
	line, changes := slices.Clone(b.waiting), b.changes
	b.running = len(line) > 0
	b.mu.Unlock()
	if len(line) == 0 {
		return false
	}
	staff := people(line)
	b.mu.Lock()
	defer b.mu.Unlock()
	if changes != b.changes {
		b.wakeLocked() // who was ready may have been rung meanwhile
		return true
	}
	for _, w := range line {
		b.serve(w, staff[queueKey{w.t.tenant, w.queue}])
	}
	return true
}

type queueKey struct {
	tenant ringfence.TenantID
	queue  string
}

// people asks each queue once who is there.
func people(line []*connectWait) map[queueKey]Staff {
	out := map[queueKey]Staff{}
	for _, w := range line {
		k := queueKey{w.t.tenant, w.queue}
		if _, asked := out[k]; !asked {
			out[k] = w.look()
		}
	}
	return out
}

// look asks for others too: it goes on when this caller hangs up meanwhile.
func (w *connectWait) look() Staff {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.ctx), lookTime)
	defer cancel()
	return w.staff(ctx)
}

// serve offers a caller to everybody who may be rung for them, or to the one
// who has waited longest; when nobody is left to hope for, it gives up. mu is
// held.
func (b *board) serve(w *connectWait, s Staff) {
	if w.over {
		return
	}
	for who := range w.passed {
		if !slices.ContainsFunc(s.Ready, func(p Place) bool { return p.Person == who }) {
			delete(w.passed, who)
		}
	}
	var offer []Place
	taken, rings := 0, 0
	for _, p := range w.order(s.Ready) {
		switch by := b.rung[rungKey{w.t.tenant, p.Person}]; {
		case by == w:
			rings++
		case by != nil:
			taken++
		case !w.passed[p.Person] && (w.all || len(offer) == 0):
			offer = append(offer, p)
		}
	}
	if !w.all && b.ringsFor(w) {
		return
	}
	for _, p := range offer {
		b.rung[rungKey{w.t.tenant, p.Person}] = w
		w.offered = true
	}
	switch {
	case len(offer) > 0:
		go w.t.post(func() { w.t.offered(w, offer) })
	case rings == 0 && !b.ringsFor(w) && taken+s.Busy == 0:
		w.over = true
		go w.t.post(func() { w.t.nobody(w) })
	}
}

// ringsFor reports whether anybody is being rung for a caller. mu is held.
func (b *board) ringsFor(w *connectWait) bool {
	for _, by := range b.rung {
		if by == w {
			return true
		}
	}
	return false
}

// order puts whom the caller is to go back to first.
func (w *connectWait) order(ready []Place) []Place {
	i := slices.IndexFunc(ready, func(p Place) bool { return p.Person == w.first && w.first != "" })
	if i <= 0 {
		return ready
	}
	return slices.Concat(ready[i:i+1], ready[:i], ready[i+1:])
}

// offered rings those who were chosen for this caller.
func (t *traversal) offered(w *connectWait, places []Place) {
	if t.waiting != w {
		return // who left took the offers back
	}
	for _, p := range places {
		if t.ring(t.ctx, p, w.each) {
			w.rang = true
		} else {
			t.r.board.passed(w, p.Person)
		}
	}
}

// nobody ends a wait in which nobody is left who could take the caller.
func (t *traversal) nobody(w *connectWait) {
	if t.waiting != w {
		return
	}
	switch {
	case w.rang:
		t.connected(w, flows.Silent)
	case w.offered:
		t.connected(w, flows.Down)
	default:
		t.connected(w, flows.Closed)
	}
}
