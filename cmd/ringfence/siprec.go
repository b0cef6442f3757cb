package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/siprec"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
)

// sessions are the recording sessions that run now, and how to tell each who
// speaks with the caller.
type sessions struct {
	mu   sync.Mutex
	live map[string]chan ringfence.PersonID // by leg and recorder; guarded by mu
}

// begin returns where a new session hears of agents, or tells the one there is.
func (s *sessions) begin(key string, agent ringfence.PersonID) (<-chan ringfence.PersonID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.live[key]; ch != nil {
		select {
		case ch <- agent:
		default: // it is told of a later one
		}
		return nil, false
	}
	if s.live == nil {
		s.live = map[string]chan ringfence.PersonID{}
	}
	s.live[key] = make(chan ringfence.PersonID, 4)
	return s.live[key], true
}

func (s *sessions) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, key)
}

// siprecMoment begins a recording session with each recorder of the line, once
// an agent speaks, where the caller was told and did not say no.
func (a *app) siprecMoment(ctx context.Context, m runner.Moment) {
	line, ok := a.lineOf(m.Line.Name)
	leg, isTapped := m.Caller.(tapped)
	if m.Kind != runner.MomentJoined || !ok || !isTapped || !a.mayRecord(line, m) {
		return
	}
	for _, r := range a.cfg.Media.Recorders {
		if !slices.Contains(r.Lines, line.Name) {
			continue
		}
		key := string(leg.ID()) + "/" + r.Name
		agents, fresh := a.srs.begin(key, m.Person)
		if !fresh {
			continue
		}
		tap := leg.Tap()
		a.work.Go(func() {
			defer a.srs.end(key)
			if why := a.recordSession(ctx, r, m, tap, agents); why != "" {
				a.log.Warn("a recorder has no session any more", "recorder", r.Name, "traversal", string(m.Traversal), "why", why)
			}
		})
	}
}

// recordSession sends a call to a recorder until either ends. It says why the
// session ended before the call did. Whatever the recorder does, the call goes
// on.
func (a *app) recordSession(ctx context.Context, r config.Recorder, m runner.Moment, tap *rtp.Tap, agents <-chan ringfence.PersonID) (why string) {
	defer tap.Close()
	now := time.Now()
	meta := siprec.NewMetadata(m.Reference, now)
	meta.Agent(string(m.Person), now)
	text, err := meta.XML()
	if err != nil {
		return err.Error()
	}
	user := r.User
	if user == "" {
		user = "recorder"
	}
	var caller, agent siprec.Queue
	leg, err := a.ua.PlaceRecording(ctx, ringfence.Placement{To: user, Trunk: r.Trunk, UUI: m.Reference, Purpose: "recording"},
		b2bua.Recorder{Metadata: text, Streams: [2]b2bua.Source{&caller, &agent}})
	if err != nil {
		return err.Error()
	}
	over := make(chan struct{})
	a.work.Go(func() { // ends with the tap, which the call's end or ours closes
		defer close(over)
		siprec.Feed(tap, &caller, &agent)
	})
	defer func() { a.wentOut(ctx, m, "recording.ended", "recorder", r.Name, why) }()
	a.wentOut(ctx, m, "recording.started", "recorder", r.Name, "")
	return a.keepTold(ctx, leg, meta, agents, over)
}

// wentOut writes down that a call's audio goes to somebody else's machine, or
// does so no more: which, and why it ended before the call.
func (a *app) wentOut(ctx context.Context, m runner.Moment, event ledger.Event, kind, name, why string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	e := ledger.Entry{Event: event, Traversal: m.Traversal, Leg: m.Caller.ID(), Object: kind + "/" + name, Data: map[string]string{"to": kind}}
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

// keepTold keeps a recorder told of who speaks, until the call or its leg is over.
func (a *app) keepTold(ctx context.Context, leg *b2bua.Leg, meta *siprec.Metadata, agents <-chan ringfence.PersonID, over <-chan struct{}) (why string) {
	answered, stale := false, false
	for {
		select {
		case <-over:
			leg.Hangup(ringfence.EndHangup)
			over = nil
		case e, open := <-leg.Events():
			switch {
			case !open:
				return why
			case e.Kind == ringfence.LegEnded && over != nil:
				why = string(e.Cause)
			case e.Kind == ringfence.LegAnswered:
				answered = true
			}
		case person := <-agents:
			stale = meta.Agent(string(person), time.Now()) || stale
		}
		if answered && stale && over != nil {
			stale = false
			a.describe(ctx, leg, meta)
		}
	}
}

// describe tells a recorder anew who speaks. One that refuses goes on with what
// it knew.
func (a *app) describe(ctx context.Context, leg *b2bua.Leg, meta *siprec.Metadata) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := meta.XML()
	if err == nil {
		err = leg.Describe(ctx, text)
	}
	if err != nil {
		a.log.Warn("a recorder was not told who speaks", "leg", string(leg.ID()), "err", err)
	}
}
