package main

import (
	"context"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// supervisions are the supervisors who are in a call now, at most one a call.
type supervisions struct {
	mu   sync.Mutex
	live map[ringfence.TraversalID]*supervision // guarded by mu
}

// supervision is one supervisor in one call.
type supervision struct {
	act runner.Act
	leg *b2bua.Leg

	mu       sync.Mutex // guards what follows
	how      string
	answered bool
	ends     runner.Ends
}

var ways = map[string]rtp.Supervision{"listen": rtp.Listen, "whisper": rtp.Whisper, "barge": rtp.Barge}

// supervisor lets the web put supervisors into calls.
type supervisor struct{ a *app }

func (a *app) supervision() web.Supervision { return supervisor{a} }

// Supervise implements web.Supervision.
func (s supervisor) Supervise(ctx context.Context, who web.Act, how string) error {
	a, act := s.a, act(who)
	v := a.supers.of(act.Traversal)
	switch {
	case v != nil && v.act.By != act.By:
		return web.ErrBusy
	case how == "leave" && v == nil:
		return web.ErrNoCall
	case how == "leave":
		v.leg.Hangup(ringfence.EndHangup)
		return nil
	case v != nil:
		return forWeb(s.change(ctx, v, how))
	}
	ends, err := a.runner.Ends(ctx, act)
	if err != nil {
		return forWeb(err)
	}
	place, err := a.placeOf(ctx, act)
	if err != nil {
		return err
	}
	leg, err := a.ua.Place(a.life, ringfence.Placement{Trunk: a.routing.agentTrunk(), To: place, Name: "ringfence", Purpose: "supervisor"})
	if err != nil {
		return err
	}
	v = &supervision{act: act, leg: leg, how: how, ends: ends}
	if !a.supers.add(v) {
		leg.Hangup(ringfence.EndHangup)
		for range leg.Events() {
			continue
		}
		return web.ErrBusy
	}
	a.work.Go(func() { s.follow(v) })
	return nil
}

// placeOf is where the supervisor is rung.
func (a *app) placeOf(ctx context.Context, who runner.Act) (string, error) {
	var p ringfence.Person
	err := a.store.View(ctx, who.Tenant, func(tx ledger.Tx) (err error) {
		p, _, err = ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(who.By))
		return err
	})
	if err == nil && p.Place == "" {
		err = web.ErrNoPlace
	}
	return p.Place, err
}

// follow leads the supervisor's leg to its end.
func (s supervisor) follow(v *supervision) {
	defer s.a.supers.remove(v)
	for e := range v.leg.Events() {
		if e.Kind != ringfence.LegAnswered {
			continue
		}
		v.mu.Lock()
		v.answered = true
		how := v.how
		v.mu.Unlock()
		if err := s.change(s.a.life, v, how); err != nil {
			s.a.log.Error("supervisor not let in", "traversal", string(v.act.Traversal), "err", err)
			v.leg.Hangup(ringfence.EndHangup)
		}
	}
	v.mu.Lock()
	answered := v.answered
	v.mu.Unlock()
	if answered {
		_ = s.a.runner.Attended(s.a.life, v.act, "left", !s.a.cfg.Media.SilentSupervision) // the call may be over too
	}
}

// change writes down what the supervisor may do, and then lets them.
func (s supervisor) change(ctx context.Context, v *supervision, how string) error {
	v.mu.Lock()
	v.how = how
	answered := v.answered
	v.mu.Unlock()
	if !answered {
		return nil // written once somebody listens
	}
	if err := s.a.runner.Attended(ctx, v.act, how, !s.a.cfg.Media.SilentSupervision); err != nil {
		return err
	}
	return v.apply(s.a.ua)
}

func (v *supervision) apply(ua *b2bua.UA) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.answered {
		return nil
	}
	return ua.Supervise(v.ends.Caller, v.ends.Agent, v.leg.ID(), ways[v.how])
}

// moment keeps a supervisor in a call that was joined anew, and ends with it.
func (s *supervisions) moment(ua *b2bua.UA, m runner.Moment) {
	v := s.of(m.Traversal)
	if v == nil {
		return
	}
	switch m.Kind {
	case runner.MomentEnded:
		v.leg.Hangup(ringfence.EndHangup)
	case runner.MomentJoined:
		v.mu.Lock()
		v.ends.Caller, v.ends.Agent = m.Caller.ID(), m.Agent.ID()
		v.mu.Unlock()
		if err := v.apply(ua); err != nil {
			v.leg.Hangup(ringfence.EndHangup)
		}
	}
}

func (s *supervisions) of(id ringfence.TraversalID) *supervision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[id]
}

func (s *supervisions) add(v *supervision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[v.act.Traversal] != nil {
		return false
	}
	if s.live == nil {
		s.live = map[ringfence.TraversalID]*supervision{}
	}
	s.live[v.act.Traversal] = v
	return true
}

func (s *supervisions) remove(v *supervision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[v.act.Traversal] == v {
		delete(s.live, v.act.Traversal)
	}
}
