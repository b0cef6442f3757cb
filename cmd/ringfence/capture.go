package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/trace"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// Bounds of captures.
const (
	capturesAtOnce = 4
	captureLife    = time.Hour // of a file that is done
	captureLooks   = 200 * time.Millisecond
)

// captures are the packets of calls that somebody asked for.
type captures struct {
	a   *app
	mu  sync.Mutex
	all []*capture // oldest first; guarded by mu
}

// capture is one of them.
type capture struct {
	web.Capture // its Done is guarded by captures.mu
	ask         web.CaptureAsk
	packets     *trace.Capture
}

// Begin implements web.Captures.
func (cs *captures) Begin(ctx context.Context, ask web.CaptureAsk) (web.Capture, error) {
	calls := cs.a.runner.Live(ask.Tenant)
	i := slices.IndexFunc(calls, func(v ringfence.LiveCall) bool { return string(v.Traversal) == ask.Call || v.Reference == ask.Call })
	if i < 0 || ask.Call == "" {
		return web.Capture{}, web.ErrNoCall
	}
	c := &capture{ask: ask, packets: &trace.Capture{}}
	c.ID, c.Traversal, c.Until = ringfence.NewID[string]("cap"), calls[i].Traversal, time.Now().Add(ask.For)
	if !cs.add(c) {
		return web.Capture{}, web.ErrBusy
	}
	if err := cs.write(ctx, ask.Tenant, ledger.Entry{Event: "capture.shown", Traversal: c.Traversal, Person: ask.By.Person, Client: ask.By.Client, Object: c.ID,
		Data: map[string]string{"reason": ask.Reason, "seconds": strconv.Itoa(int(ask.For / time.Second))}}); err != nil {
		cs.drop(c)
		return web.Capture{}, err
	}
	cs.a.book.Follow(c.packets)
	cs.a.work.Go(func() { cs.run(c) })
	return c.Capture, nil
}

// add takes a capture in unless one of the call runs, or too many do, and
// forgets files that are too old.
func (cs *captures) add(c *capture) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	old := time.Now().Add(-captureLife)
	cs.all = slices.DeleteFunc(cs.all, func(o *capture) bool { return o.Done && o.Until.Before(old) })
	running := 0
	for _, o := range cs.all {
		if !o.Done {
			running++
			if o.Traversal == c.Traversal {
				return false
			}
		}
	}
	if running >= capturesAtOnce {
		return false
	}
	if n := 4 * capturesAtOnce; len(cs.all) >= n {
		i := slices.IndexFunc(cs.all, func(o *capture) bool { return o.Done })
		cs.all = slices.Delete(cs.all, i, i+1)
	}
	cs.all = append(cs.all, c)
	return true
}

func (cs *captures) drop(c *capture) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.all = slices.DeleteFunc(cs.all, func(o *capture) bool { return o == c })
}

// run adds the legs of the call as they come, until it is over.
func (cs *captures) run(c *capture) {
	stops := map[ringfence.LegID]func(){}
	defer func() {
		for _, stop := range stops {
			stop()
		}
		cs.a.book.Unfollow(c.packets)
		cs.mu.Lock()
		c.Done = true
		cs.mu.Unlock()
	}()
	every, end := time.NewTicker(captureLooks), time.NewTimer(c.ask.For)
	defer every.Stop()
	defer end.Stop()
	for {
		cs.legs(c, stops)
		live := func(v ringfence.LiveCall) bool { return v.Traversal == c.Traversal }
		if !slices.ContainsFunc(cs.a.runner.Live(c.ask.Tenant), live) {
			return
		}
		select {
		case <-every.C:
		case <-end.C:
			return
		case <-cs.a.stopping:
			return
		}
	}
}

// legs adds what the ledger names as legs of the call.
func (cs *captures) legs(c *capture, stops map[ringfence.LegID]func()) {
	ctx, cancel := context.WithTimeout(cs.a.life, 10*time.Second)
	defer cancel()
	ids, err := cs.a.legsOf(ctx, c.ask.Tenant, c.Traversal)
	if err != nil {
		cs.a.log.Warn("capture: legs of the call are not known", "traversal", string(c.Traversal), "err", err)
	}
	for _, id := range ids {
		cs.a.book.Add(c.packets, id)
		if stops[id] != nil {
			continue
		}
		if stop, ok := cs.a.ua.Capture(id, c.packets); ok {
			stops[id] = stop
		}
	}
}

// isOf reports whether who asked for a capture may have it now.
func (c *capture) isOf(tenant ringfence.TenantID, by gate.Actor) bool {
	return !by.Zero() && c.ask.Tenant == tenant && c.ask.By == by && time.Now().Before(c.Until.Add(captureLife))
}

// Of implements web.Captures.
func (cs *captures) Of(tenant ringfence.TenantID, by gate.Actor) (out []web.Capture) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.all {
		if c.isOf(tenant, by) {
			out = append(out, c.Capture)
		}
	}
	return out
}

// Take implements web.Captures. Nothing leaves without an entry.
func (cs *captures) Take(ctx context.Context, tenant ringfence.TenantID, id string, by gate.Actor) (web.Capture, []byte, error) {
	cs.mu.Lock()
	i := slices.IndexFunc(cs.all, func(c *capture) bool { return c.ID == id && c.isOf(tenant, by) })
	var c *capture
	var shown web.Capture
	if i >= 0 {
		c, shown = cs.all[i], cs.all[i].Capture
	}
	cs.mu.Unlock()
	if c == nil {
		return web.Capture{}, nil, web.ErrNoCall
	}
	var file bytes.Buffer
	if _, err := c.packets.WriteTo(&file); err != nil {
		return web.Capture{}, nil, err
	}
	sum := sha256.Sum256(file.Bytes())
	packets, lost := c.packets.Count()
	err := cs.write(ctx, tenant, ledger.Entry{Event: "capture.exported", Traversal: c.Traversal, Person: by.Person, Client: by.Client, Object: c.ID, Data: map[string]string{
		"reason": c.ask.Reason, "sha256": hex.EncodeToString(sum[:]), "packets": strconv.Itoa(packets), "lost": strconv.Itoa(lost)}})
	if err != nil {
		return web.Capture{}, nil, err
	}
	return shown, file.Bytes(), nil
}

func (cs *captures) write(ctx context.Context, tenant ringfence.TenantID, e ledger.Entry) error {
	return cs.a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		_, err := tx.Append(ctx, e)
		return err
	})
}
