package stirshaken

import (
	"container/list"
	"context"
	"crypto/x509"
	"sync"
	"time"
)

// entry is what is known of one x5u. It never changes once it is in the map;
// a new look makes a new entry.
type entry struct {
	x5u     string
	bundle  []*x509.Certificate
	chain   *chain
	refusal *Refusal // why there is no chain
	lab     bool
	pinned  bool      // given, not fetched: never fetched again
	until   time.Time // when to fetch again
	checked time.Time // when the chain was validated
	trust   *TrustList
	crlGen  uint64
}

// flight is one fetch that several callers wait for.
type flight struct {
	done chan struct{}
	e    *entry
}

// certCache maps x5u to validated chains: bounded, least recently used out
// first, one fetch for an x5u at a time.
type certCache struct {
	most  int
	fetch *fetcher
	known *issuers
	wg    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	items   map[string]*list.Element // of *entry
	recent  *list.List
	flights map[string]*flight
}

func newCertCache(most int, f *fetcher) *certCache {
	return &certCache{most: most, fetch: f, known: new(issuers), items: map[string]*list.Element{}, recent: list.New(), flights: map[string]*flight{}}
}

// peek returns the entry for x5u while it may be used at now.
func (c *certCache) peek(x5u string, now time.Time) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.items[x5u]
	if el == nil {
		return nil
	}
	e := el.Value.(*entry)
	if !e.pinned && !now.Before(e.until) {
		return nil
	}
	c.recent.MoveToFront(el)
	return e
}

func (c *certCache) put(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(e)
}

func (c *certCache) putLocked(e *entry) {
	if el := c.items[e.x5u]; el != nil {
		el.Value = e
		c.recent.MoveToFront(el)
		return
	}
	for len(c.items) >= c.most {
		last := c.recent.Back()
		delete(c.items, last.Value.(*entry).x5u)
		c.recent.Remove(last)
	}
	c.items[e.x5u] = c.recent.PushFront(e)
}

// load fetches x5u once for all who ask meanwhile. The fetch has its own
// deadline and outlives a caller that gives up; Close waits for it.
func (c *certCache) load(ctx context.Context, x5u string, now time.Time, build func(*entry)) (*entry, *Refusal) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, refuse(ReasonFetchOff, "closed")
	}
	fl := c.flights[x5u]
	if fl == nil {
		fl = &flight{done: make(chan struct{})}
		c.flights[x5u] = fl
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			e := c.get(context.WithoutCancel(ctx), x5u, now)
			if e.refusal == nil {
				build(e)
			}
			c.mu.Lock()
			c.putLocked(e)
			delete(c.flights, x5u)
			c.mu.Unlock()
			fl.e = e
			close(fl.done)
		}()
	}
	c.mu.Unlock()
	select {
	case <-fl.done:
		return fl.e, nil
	case <-ctx.Done():
		return nil, refuse(ReasonDeadline, "while the certificate was fetched")
	}
}

func (c *certCache) get(ctx context.Context, x5u string, now time.Time) *entry {
	e := &entry{x5u: x5u}
	got, r := c.fetch.get(ctx, x5u, "application/pem-certificate-chain, application/pkix-cert;q=0.5", MaxBundleBytes)
	if r == nil {
		e.bundle, r = parseBundle(got.body, c.known)
	}
	if r != nil {
		e.refusal, e.until = r, now.Add(DefaultNegativeTTL)
		if r.Reason == ReasonFetchBusy {
			e.until = now // a full house is no fault of the server
		}
		return e
	}
	e.lab = got.lab
	e.until = now.Add(got.ttl)
	if end := e.bundle[0].NotAfter; end.Before(e.until) && end.After(now) {
		e.until = end
	}
	return e
}

func (c *certCache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wg.Wait()
}
