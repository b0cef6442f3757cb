package main

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/siprec"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
)

// siprecMoment begins a recording session with each recorder of the line.
func (a *app) siprecMoment(ctx context.Context, m runner.Moment) {
	for _, r := range a.cfg.Media.Recorders {
		a.siprecTo(ctx, m, r)
	}
}

// siprecTo is a function of its own so that a call without recorders does not
// pay for what it captures.
func (a *app) siprecTo(ctx context.Context, m runner.Moment, r config.Recorder) {
	a.copyTo(m, "recorder/"+r.Name, r.Lines, func(tap *rtp.Tap, news <-chan talk) {
		if why := a.recordSession(ctx, r, m, tap, news); why != "" {
			a.log.Warn("a recorder has no session any more", "recorder", r.Name, "traversal", string(m.Traversal), "why", why)
		}
	})
}

// recordSession sends a call to a recorder until either ends. It says why the
// session ended before the call did. Whatever the recorder does, the call goes
// on.
func (a *app) recordSession(ctx context.Context, r config.Recorder, m runner.Moment, tap *rtp.Tap, news <-chan talk) (why string) {
	defer tap.Close()
	now := time.Now()
	meta := siprec.NewMetadata(m.Reference, now)
	meta.Agent(string(m.Person), now)
	meta.Hold(m.CallerHolds, m.AgentHolds)
	text, err := meta.XML()
	if err != nil {
		return err.Error()
	}
	user := r.User
	if user == "" {
		user = "recorder"
	}
	var caller, agent siprec.Queue
	leg, err := a.ua.PlaceRecording(ctx, ringfence.Placement{To: user, Trunk: r.Trunk, UUI: m.Reference, During: m.Caller.ID(), Purpose: "recording"},
		b2bua.Recorder{Metadata: text, Streams: [2]b2bua.Source{&caller, &agent}})
	if err != nil {
		return err.Error()
	}
	live, over := context.WithCancel(ctx)
	defer over()
	cuts := make(chan bool, 1)
	a.work.Go(func() { // ends with the tap, which the call's end or ours closes
		defer over()
		siprec.Feed(tap, &caller, &agent, func(on bool) { latest(cuts, on) })
	})
	defer func() { a.wentOut(ctx, m, "recording.ended", "recorder/"+r.Name, why) }()
	a.wentOut(ctx, m, "recording.started", "recorder/"+r.Name, "")
	return a.keepTold(live, leg, meta, news, cuts)
}

// keepTold keeps a recorder told of who speaks and of secrets, for which it is
// paused, until its leg is over. live ends with the call.
func (a *app) keepTold(live context.Context, leg *b2bua.Leg, meta *siprec.Metadata, news <-chan talk, cuts <-chan bool) (why string) {
	answered, stale, paused, told := false, false, false, false
	over := live.Done()
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
		case t := <-news:
			stale = meta.Agent(string(t.person), time.Now()) || stale
			stale = meta.Hold(t.callerHolds, t.agentHolds) || stale
		case paused = <-cuts:
		}
		if answered && (stale || paused != told) && over != nil {
			a.describe(live, leg, meta, paused)
			stale, told = false, paused
		}
	}
}

// describe tells a recorder anew who speaks, and whether it is paused. One that
// refuses goes on with what it knew, and hears nothing of a secret all the same.
func (a *app) describe(live context.Context, leg *b2bua.Leg, meta *siprec.Metadata, paused bool) {
	ctx, cancel := context.WithTimeout(live, 10*time.Second)
	defer cancel()
	text, err := meta.XML()
	if err == nil {
		err = leg.Describe(ctx, text, paused)
	}
	if err != nil && live.Err() == nil {
		a.log.Warn("a recorder was not told who speaks", "leg", string(leg.ID()), "paused", paused, "err", err)
	}
}
