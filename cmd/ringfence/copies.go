package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/ledger"
)

// talk is who speaks with a caller, and who of the two holds the other.
type talk struct {
	person                  ringfence.PersonID
	callerHolds, agentHolds bool
}

// latest puts v into a channel of one place, over what nobody has read yet. Only
// one goroutine at a time may do so.
func latest[T any](ch chan T, v T) {
	select {
	case <-ch:
	default:
	}
	ch <- v
}

// copies are the calls whose audio goes to recorders and services that listen
// now, so that a call has one copy each, and how to tell each of the talk.
type copies struct {
	mu   sync.Mutex
	live map[string]chan talk // by leg and whom it goes to; guarded by mu
}

// begin returns where a new copy hears of the talk. It tells the one that there
// is instead, and returns nil, and starts none unless may is set.
func (c *copies) begin(key string, t talk, may bool) <-chan talk {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.live[key]; ch != nil {
		latest(ch, t)
		return nil
	}
	if !may {
		return nil
	}
	if c.live == nil {
		c.live = map[string]chan talk{}
	}
	c.live[key] = make(chan talk, 1)
	return c.live[key]
}

func (c *copies) end(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, key)
}

// copyTo runs one copy of a call's audio to somebody, once an agent speaks,
// where it is one of the lines and the caller was told and did not say no.
func (a *app) copyTo(m runner.Moment, to string, lines []string, run func(*rtp.Tap, <-chan talk)) {
	line, ok := a.lineOf(m.Line.Name)
	leg, isTapped := m.Caller.(tapped)
	talks := m.Kind == runner.MomentJoined || m.Kind == runner.MomentHeld
	if !talks || !ok || !isTapped || !slices.Contains(lines, line.Name) || !a.mayRecord(line, m) {
		return
	}
	key := string(leg.ID()) + "/" + to
	news := a.copies.begin(key, talk{m.Person, m.CallerHolds, m.AgentHolds}, m.Kind == runner.MomentJoined)
	if news == nil {
		return
	}
	tap := leg.Tap()
	a.work.Go(func() {
		defer a.copies.end(key)
		run(tap, news)
	})
}

// wentOut writes down that a call's audio goes to somebody else's machine, or
// does so no more: to which, as kind/name, and why it ended before the call.
func (a *app) wentOut(ctx context.Context, m runner.Moment, event ledger.Event, to, why string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	kind, _, _ := strings.Cut(to, "/")
	e := ledger.Entry{Event: event, Traversal: m.Traversal, Leg: m.Caller.ID(), Object: to, Data: map[string]string{"to": kind}}
	if why != "" {
		e.Data["why"] = why
	}
	err := a.store.Update(ctx, m.Tenant, func(tx ledger.Tx) error {
		_, err := tx.Append(ctx, e)
		return err
	})
	if err != nil {
		a.log.Error("ledger entry not written", "event", string(event), "traversal", string(m.Traversal), "err", err)
	}
}
