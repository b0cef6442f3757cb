package main

import (
	"context"
	"slices"

	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/record"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
)

// tapped is what a leg of the telephone edge gives to those who attend a call.
type tapped interface {
	runner.Leg
	Tap() *rtp.Tap
	Stats() rtp.Stats
}

var _ tapped = (*b2bua.Leg)(nil)

// attend tells recorder, forks and supervisors who hears whom. It is called on
// the traversal's goroutine and does not wait.
func (a *app) attend(ctx context.Context, m runner.Moment) {
	a.recordMoment(ctx, m)
	a.supers.moment(a.ua, m)
	a.traceMoment(m)
	a.pastMoment(m)
	a.forkMoment(ctx, m)
	a.siprecMoment(ctx, m)
}

// lineOf is the configuration of a line.
func (a *app) lineOf(name string) (config.Line, bool) {
	i := slices.IndexFunc(a.cfg.Lines, func(l config.Line) bool { return l.Name == name })
	if i < 0 {
		return config.Line{}, false
	}
	return a.cfg.Lines[i], true
}

// recordMoment begins a recording where the line says so and the caller was
// told; a call to an emergency number never is.
func (a *app) recordMoment(ctx context.Context, m runner.Moment) {
	line, ok := a.lineOf(m.Line.Name)
	leg, isTapped := m.Caller.(tapped)
	begins := m.Kind == runner.MomentAnswered || m.Kind == runner.MomentJoined
	if !ok || !isTapped || !line.Record.On || !begins || !a.mayRecord(line, m) {
		return
	}
	info := leg.Info()
	if m.Kind == runner.MomentAnswered && line.Record.From == "agent" {
		return
	}
	consent := line.Record.Consent
	if consent == "" {
		consent = "notice"
	}
	a.recorder.Start(ctx, record.Call{Tenant: m.Tenant, Traversal: m.Traversal, Leg: info.ID, Line: line.Name, Reference: m.Reference,
		Class: line.Record.ClassOr(), Consent: consent}, func() record.Tap { return leg.Tap() })
	if m.Kind == runner.MomentJoined {
		a.recorder.With(info.ID, m.Person)
	}
}

// mayRecord reports whether the caller was told and did not say no.
func (a *app) mayRecord(line config.Line, m runner.Moment) bool {
	number := digitsOf(m.Caller.Info().Called)
	if slices.ContainsFunc(a.cfg.SIP.Emergency.Numbers, func(n string) bool { return digitsOf(n) == number }) {
		return false
	}
	return m.Consented || line.Record.Consent == "flow"
}
