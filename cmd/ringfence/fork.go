package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/fork"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// kindSignal holds callSignal: what a service that listened said of a call.
// Its id is traversal, fork and name; keys: traversal.
const kindSignal ledger.Kind = "call_signal"

// callSignal is one score with where it came from.
type callSignal struct {
	Name   string        `json:"name"`
	Value  ringfence.Tri `json:"value"`
	Score  float64       `json:"score"`  // negative = none was given
	Source string        `json:"source"` // the fork's name, or client/ and the service account's id
	At     time.Time     `json:"at"`
}

// forkMoment copies a call's audio to the services of its line.
func (a *app) forkMoment(ctx context.Context, m runner.Moment) {
	for _, f := range a.cfg.Media.Forks {
		a.forkTo(ctx, m, f)
	}
}

// forkTo is a function of its own so that a call without forks does not pay for
// what it captures.
func (a *app) forkTo(ctx context.Context, m runner.Moment, f config.Fork) {
	a.copyTo(m, "fork/"+f.Name, f.Lines, func(tap *rtp.Tap, _ <-chan talk) {
		a.wentOut(ctx, m, "recording.started", "fork/"+f.Name, "")
		cfg := fork.Config{URL: f.URL, Token: ringfence.Secret(f.Token.Reveal()), Scores: f.Signals}
		err := fork.Run(ctx, cfg, fork.Call{Reference: m.Reference, Leg: m.Caller.ID()}, tap, func(s fork.Score) { a.scored(ctx, m, f, s) })
		why := ""
		if err != nil {
			why = "the service stopped listening"
			a.log.Warn("a service stopped listening", "fork", f.Name, "traversal", string(m.Traversal), "err", err)
		}
		a.wentOut(ctx, m, "recording.ended", "fork/"+f.Name, why)
	})
}

// scored keeps a score of a service that listens over a WebSocket.
func (a *app) scored(ctx context.Context, m runner.Moment, f config.Fork, s fork.Score) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := a.observe(ctx, m.Tenant, ledger.Entry{Traversal: m.Traversal, Leg: m.Caller.ID()}, callSignal{Name: s.Name, Value: s.Value, Score: s.Score, Source: f.Name})
	if err != nil {
		a.log.Error("score not kept", "fork", f.Name, "traversal", string(m.Traversal), "err", err)
	}
}

// heardSignals lets service accounts push scores.
type heardSignals struct{ a *app }

// Observe implements web.Signals. No fork may be called as a service account is.
func (h heardSignals) Observe(ctx context.Context, tenant ringfence.TenantID, s web.SignalReport) error {
	return h.a.observe(ctx, tenant, ledger.Entry{Traversal: s.Traversal}, callSignal{Name: s.Name, Value: s.Value, Score: s.Score, Source: "client/" + s.Client})
}

// observe keeps a score, with its entry. A service that says the same again says
// nothing new; when it last said so is kept, by the minute.
func (a *app) observe(ctx context.Context, tenant ringfence.TenantID, e ledger.Entry, s callSignal) error {
	id := string(e.Traversal) + "/" + s.Source + "/" + s.Name
	return a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		old, version, err := ledger.Read[callSignal](ctx, tx, kindSignal, id)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		again := err == nil && old.Value == s.Value
		if again && tx.Now().Sub(old.At) < time.Minute {
			return nil
		}
		rec := ledger.Record{Kind: kindSignal, ID: id, Version: version, Sort: tx.Now().UnixNano(), Keys: map[string]string{"traversal": string(e.Traversal)}}
		s.At, e.Event = tx.Now(), "signal.observed"
		if err := ledger.Write(ctx, tx, &rec, s); err != nil || again {
			return err
		}
		e.Data = map[string]string{"name": s.Name, "value": s.Value.String(), "score": strconv.FormatFloat(s.Score, 'f', 3, 64), "source": s.Source}
		_, err = tx.Append(ctx, e)
		return err
	})
}
