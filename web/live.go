package web

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
)

// boards shares one reading of the live calls between all consoles of a
// tenant, so that two hundred calls and fifty consoles cost one reading and
// one encoding a change.
type boards struct {
	calls Board

	mu   sync.Mutex
	last map[ringfence.TenantID]*board // guarded by mu
	hubs map[ringfence.TenantID]*hub   // guarded by mu
}

// hub reads a tenant's live calls at every change and wakes the consoles; it
// lives as long as there is one. Changes that come while it reads are one.
type hub struct {
	done, over chan struct{}
	consoles   map[chan struct{}]bool // guarded by boards.mu
}

// watch returns a channel that holds a value whenever there is a newer reading
// than latest gave since the last receive, and a function that ends the watch.
func (b *boards) watch(tenant ringfence.TenantID) (woken <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hubs[tenant]
	if h == nil {
		h = &hub{done: make(chan struct{}), over: make(chan struct{}), consoles: map[chan struct{}]bool{}}
		if b.hubs == nil {
			b.hubs = map[ringfence.TenantID]*hub{}
		}
		b.hubs[tenant] = h
		changed, stop := b.calls.Watch(tenant)
		go b.run(tenant, h, changed, stop)
	}
	h.consoles[c] = true
	return c, func() { b.leave(tenant, h, c) }
}

// leave ends one watch; the last one ends the hub and waits for it.
func (b *boards) leave(tenant ringfence.TenantID, h *hub, c chan struct{}) {
	b.mu.Lock()
	delete(h.consoles, c)
	last := len(h.consoles) == 0
	if last {
		delete(b.hubs, tenant)
	}
	b.mu.Unlock()
	if last {
		close(h.done)
		<-h.over
	}
}

func (b *boards) run(tenant ringfence.TenantID, h *hub, changed <-chan struct{}, stop func()) {
	defer close(h.over)
	defer stop()
	for {
		select {
		case <-h.done:
			return
		case <-changed:
		}
		b.at(tenant, time.Now())
		b.mu.Lock()
		for c := range h.consoles {
			select {
			case c <- struct{}{}:
			default:
			}
		}
		b.mu.Unlock()
	}
}

// latest returns the newest reading.
func (b *boards) latest(tenant ringfence.TenantID) *board { return b.at(tenant, time.Time{}) }

// board is one reading of a tenant's live calls.
type board struct {
	readAt time.Time // before the reading began
	calls  []*liveCall
	around around
}

// liveCall is one call of a board, encoded at most once.
type liveCall struct {
	ringfence.LiveCall
	once sync.Once
	text []byte
}

// JSON returns the call as the console reads it.
func (c *liveCall) JSON() []byte {
	c.once.Do(func() { c.text, _ = json.Marshal(clean(c.LiveCall)) }) // strings, times and numbers always marshal
	return c.text
}

// at returns a reading that began no earlier than woken; any for the zero time.
func (b *boards) at(tenant ringfence.TenantID, woken time.Time) *board {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.last[tenant]
	if old != nil && !old.readAt.Before(woken) {
		return old
	}
	known := map[ringfence.TraversalID]*liveCall{}
	if old != nil {
		for _, c := range old.calls {
			known[c.Traversal] = c
		}
	}
	next := &board{readAt: time.Now()}
	for _, c := range b.calls.Live(tenant) {
		same := known[c.Traversal]
		if same == nil || same.Version != c.Version || same.Owner != c.Owner {
			same = &liveCall{LiveCall: c}
		}
		next.calls = append(next.calls, same)
	}
	slices.SortFunc(next.calls, func(a, b *liveCall) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Traversal, b.Traversal))
	})
	next.around = aroundOf(next.calls)
	if b.last == nil {
		b.last = map[ringfence.TenantID]*board{}
	}
	b.last[tenant] = next
	return next
}

// sees reports whether the principal may see the call: its owner does, and
// those who watch over the floor. Nobody else learns that it exists.
func (p principal) sees(c ringfence.LiveCall) bool {
	if p.client.ID != "" {
		return true // the scope traversals was checked by the rule
	}
	return c.Owner != "" && c.Owner == p.person.ID || p.watches()
}

// watches reports whether the person watches over every call.
func (p principal) watches() bool {
	return p.has(ringfence.RoleSupervisor) || p.has(ringfence.RoleRisk)
}

// longest is how much of one stranger's sentence a console shows.
const longest = 300

// clean strips what a stranger's text could do to a screen: control and
// bidirectional characters, and length without end. Texts of ours may quote a
// stranger's, so they are cleaned as well.
func clean(c ringfence.LiveCall) ringfence.LiveCall {
	c.Caller, c.CallerName, c.Claim = plain(c.Caller), plain(c.CallerName), plain(c.Claim)
	c.Playing, c.SayNow, c.Alert = plainWords(c.Playing, longest), plainWords(c.SayNow, longest), plainWords(c.Alert, longest)
	c.Evidence, c.Timeline = slices.Clone(c.Evidence), slices.Clone(c.Timeline)
	for i := range c.Evidence {
		c.Evidence[i].Says, c.Evidence[i].Source = plainWords(c.Evidence[i].Says, longest), plain(c.Evidence[i].Source)
	}
	for i := range c.Timeline {
		c.Timeline[i].Text = plainWords(c.Timeline[i].Text, longest)
	}
	return c
}
