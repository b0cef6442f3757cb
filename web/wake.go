package web

import (
	"sync"

	"github.com/ringfence/ringfence"
)

// bell wakes whoever in this process waits for something of a tenant. It
// carries nothing: woken readers read the store. The zero bell is ready.
type bell struct {
	mu      sync.Mutex
	waiting map[ringfence.TenantID]map[chan struct{}]bool // guarded by mu
}

// watch returns a channel that holds a value after each ring, and a function
// that ends the watch.
func (b *bell) watch(tenant ringfence.TenantID) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = map[ringfence.TenantID]map[chan struct{}]bool{}
	}
	if b.waiting[tenant] == nil {
		b.waiting[tenant] = map[chan struct{}]bool{}
	}
	b.waiting[tenant][ch] = true
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting[tenant], ch)
	}
}

// ring wakes the tenant's watchers; it never blocks.
func (b *bell) ring(tenant ringfence.TenantID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.waiting[tenant] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
