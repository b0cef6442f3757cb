package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/scripts"
	"github.com/ringfence/ringfence/web"
)

// trialNumber is whom the built-in telephone says it is: a number of Ofcom's
// for drama, which nobody has.
const trialNumber = "447700900123"

// trialSaid is how many of the newest sentences of a call are kept.
const trialSaid = 12

// trial is the built-in telephone, one call a tenant. It calls a listener on
// loopback as a carrier would, and is there in labs only: while deliver.outbox
// is set, which is refused off loopback.
type trial struct {
	a *app

	mu    sync.Mutex
	calls map[ringfence.TenantID]*trialCall // the newest; guarded by mu
}

// trialCall is one call. Everything in it is guarded by trial.mu.
type trialCall struct {
	now     web.TrialCall
	changed chan struct{} // closed and replaced at a change
	line    *lab.Line     // nil until it is answered
	stop    context.CancelFunc
}

var _ web.Trial = (*trial)(nil)

// entry finds where a line takes calls of a peer on this machine.
func (t *trial) entry(l config.Line) (netip.AddrPort, bool) {
	addrs := t.a.ua.Addrs()
	for _, one := range t.a.cfg.SIP.Listeners {
		at, bound := addrs[one.Name]
		if one.Transport != "udp" || !bound || !at.Addr().IsLoopback() {
			continue
		}
		for _, peer := range t.a.cfg.SIP.Trunks {
			here := len(one.Trunks) == 0 || slices.Contains(one.Trunks, peer.Name)
			takes := len(l.Trunks) == 0 && !peer.Agents || slices.Contains(l.Trunks, peer.Name)
			local := slices.ContainsFunc(peer.Sources, func(p netip.Prefix) bool { return p.Contains(at.Addr()) })
			if udp := peer.Transport == "" || peer.Transport == "udp"; here && takes && local && udp && peer.SRTP != "required" {
				return at, true
			}
		}
	}
	return netip.AddrPort{}, false
}

// Lines implements web.Trial.
func (t *trial) Lines(tenant ringfence.TenantID) (out []web.TrialLine, why string) {
	if !t.a.cfg.Deliver.Outbox {
		return nil, "The built-in telephone is for trying things out: it is there while every SIP listener is on loopback and deliver.outbox is true."
	}
	for _, l := range t.a.cfg.Lines {
		if _, ok := t.entry(l); !ok || tenantOr(l.Tenant) != tenant {
			continue
		}
		for _, n := range l.Numbers {
			if n = strings.TrimPrefix(n, "+"); n != "" && strings.Trim(n, "0123456789") == "" {
				out = append(out, web.TrialLine{Name: l.Name, Number: n})
			}
		}
	}
	if len(out) == 0 {
		return nil, "No line can be called from this machine over UDP: a trunk with 127.0.0.1 among its sources is needed."
	}
	return out, ""
}

// Call implements web.Trial.
func (t *trial) Call(tenant ringfence.TenantID, number string) error {
	lines, _ := t.Lines(tenant)
	if !slices.ContainsFunc(lines, func(l web.TrialLine) bool { return l.Number == number }) {
		return web.ErrNoCall
	}
	var at netip.AddrPort
	for _, l := range t.a.cfg.Lines {
		if slices.ContainsFunc(l.Numbers, func(n string) bool { return strings.TrimPrefix(n, "+") == number }) && tenantOr(l.Tenant) == tenant {
			at, _ = t.entry(l)
		}
	}
	t.mu.Lock()
	old := t.calls[tenant]
	if old != nil && (old.now.State == "calling" || old.now.State == "talking") {
		t.mu.Unlock()
		return web.ErrBusy
	}
	ctx, stop := context.WithCancel(t.a.life)
	c := &trialCall{now: web.TrialCall{State: "calling", Version: 1}, changed: make(chan struct{}), stop: stop}
	if old != nil {
		c.now.Version = old.now.Version + 1
		close(old.changed)
		old.changed = make(chan struct{})
	}
	if t.calls == nil {
		t.calls = map[ringfence.TenantID]*trialCall{}
	}
	t.calls[tenant] = c
	t.mu.Unlock()
	t.a.work.Go(func() { t.run(ctx, c, at, number) })
	return nil
}

// run is one call, until either side hangs up or the program stops.
func (t *trial) run(ctx context.Context, c *trialCall, at netip.AddrPort, number string) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t.a.work.Go(func() {
		select {
		case <-t.a.stopping:
			stop()
		case <-ctx.Done():
		}
	})
	err := t.talk(ctx, c, at, number)
	t.change(c, func() {
		c.now.State, c.line = "over", nil
		if err != nil {
			c.now.Why = "The call was not taken."
			t.a.log.Warn("the built-in telephone got no call through", "err", err)
		}
	})
	c.stop()
}

func (t *trial) talk(ctx context.Context, c *trialCall, at netip.AddrPort, number string) (err error) {
	library, err := voice.Open(scripts.Audio())
	if err != nil {
		return err
	}
	phone, err := lab.NewExchange(lab.ExchangeConfig{Name: "built-in", Library: library})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, phone.Close()) }()
	phone.Connect(at)
	line, err := phone.Person("Built-in telephone", trialNumber).Call(ctx, lab.Dial{To: number})
	if err != nil {
		return fmt.Errorf("call %s: %w", at, err)
	}
	defer line.Hangup()
	t.change(c, func() { c.now.State, c.line = "talking", line })
	for {
		heard, err := line.Next(ctx)
		if err != nil {
			return nil // it is over, or we are
		}
		t.change(c, func() { c.say(heard) })
	}
}

// say adds what the caller heard. Digits may be codes, which stand on no page of
// staff.
func (c *trialCall) say(h voice.Heard) {
	if h.Digit == 0 {
		c.now.Said = append(slices.Clone(c.now.Said), h.Text)
	} else if n := len(c.now.Said); n == 0 || !strings.HasPrefix(c.now.Said[n-1], "•") {
		c.now.Said = append(slices.Clone(c.now.Said), "•")
	} else {
		c.now.Said = slices.Clone(c.now.Said)
		c.now.Said[n-1] += " •"
	}
	c.now.Said = c.now.Said[max(0, len(c.now.Said)-trialSaid):]
}

// change changes a call and tells whoever waits for it.
func (t *trial) change(c *trialCall, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
	c.now.Version++
	close(c.changed)
	c.changed = make(chan struct{})
}

// Key implements web.Trial.
func (t *trial) Key(tenant ringfence.TenantID, keys string) error {
	t.mu.Lock()
	var line *lab.Line
	if c := t.calls[tenant]; c != nil {
		line = c.line
	}
	t.mu.Unlock()
	if line == nil {
		return web.ErrNoCall
	}
	return line.Call().Press(keys)
}

// HangUp implements web.Trial.
func (t *trial) HangUp(tenant ringfence.TenantID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.calls[tenant]; c != nil {
		c.stop()
	}
}

// State implements web.Trial.
func (t *trial) State(tenant ringfence.TenantID) (web.TrialCall, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.calls[tenant]
	if c == nil {
		c = &trialCall{now: web.TrialCall{State: "idle"}, changed: make(chan struct{})}
		if t.calls == nil {
			t.calls = map[ringfence.TenantID]*trialCall{}
		}
		t.calls[tenant] = c
		c.stop = func() {}
	}
	return c.now, c.changed
}
