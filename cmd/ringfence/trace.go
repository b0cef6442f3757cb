package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/trace"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// kindTrace holds web.CallTrace of calls that ended.
const kindTrace ledger.Kind = "call_trace"

const (
	// traceLife is how long the trace of a call is kept.
	traceLife = 30 * 24 * time.Hour
	// traceSettles is how long the last messages of a call may take.
	traceSettles = 2 * time.Second
)

// joinTrace lets the edge write its book and, where configured, send copies to
// a capture server.
func (a *app) joinTrace(edge *b2bua.Config) error {
	a.book, a.captures = trace.NewBook(), &captures{a: a}
	edge.Book, edge.Measured = a.book, a.metrics.measured
	watch := []func(trace.Message){a.metrics.message}
	if h := a.cfg.Telemetry.HEP; h.Addr != "" {
		hep, err := trace.NewHEP(a.life, trace.HEPConfig{Addr: h.Addr, Agent: h.Agent, Password: h.Password.Reveal()})
		if err != nil {
			return fmt.Errorf("telemetry.hep: %w", err)
		}
		a.hep = hep
		watch = append(watch, hep.Message)
	}
	edge.Watch = func(m trace.Message) {
		for _, w := range watch {
			w(m)
		}
	}
	return nil
}

// traceMoment keeps the trace of a call that ended.
func (a *app) traceMoment(m runner.Moment) {
	if m.Kind != runner.MomentEnded {
		return
	}
	tenant, id, legs := m.Tenant, m.Traversal, m.Legs // and no leg itself: they are large
	a.work.Go(func() {
		select {
		case <-time.After(traceSettles):
		case <-a.stopping:
		}
		t := a.traceOf(id, legs)
		if len(t.Legs) == 0 {
			return
		}
		a.later.add(a, tenant, laterNote{what: "trace of a call not kept", traversal: id, write: func(ctx context.Context, tx ledger.Tx) error {
			err := ledger.Write(ctx, tx, &ledger.Record{Kind: kindTrace, ID: string(id), Sort: tx.Now().UnixNano()}, t)
			if errors.Is(err, ledger.ErrConflict) {
				return nil // kept already
			}
			return err
		}})
	})
}

// traceOf gathers what the book has of a call's legs.
func (a *app) traceOf(id ringfence.TraversalID, legs []ringfence.LegID) web.CallTrace {
	out := web.CallTrace{Traversal: id, Legs: []web.TraceLeg{}}
	for _, leg := range legs {
		if l, ok := a.book.Leg(leg); ok {
			out.Legs = append(out.Legs, viewLeg(l))
		}
	}
	return out
}

// legsOf are the legs of a call, as the ledger names them.
func (a *app) legsOf(ctx context.Context, tenant ringfence.TenantID, id ringfence.TraversalID) (legs []ringfence.LegID, err error) {
	err = a.store.View(ctx, tenant, func(tx ledger.Tx) error {
		legs = nil
		for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Traversal: id}) {
			if err != nil {
				return err
			}
			if e.Event == "traversal.began" || e.Event == "leg.placed" {
				legs = append(legs, e.Leg)
			}
		}
		return nil
	})
	return legs, err
}

func viewLeg(l trace.Leg) web.TraceLeg {
	v := web.TraceLeg{ID: l.ID, Direction: l.Direction, Trunk: l.Trunk, Transport: l.Transport, Cause: l.Cause, More: l.More,
		Ladder: []web.TraceMessage{}, Quality: []web.TraceQuality{}, Whole: viewQuality(l.Whole)}
	for _, m := range l.Lines {
		v.Ladder = append(v.Ladder, web.TraceMessage(m))
	}
	for _, p := range l.Quality {
		v.Quality = append(v.Quality, viewQuality(p))
	}
	return v
}

func viewQuality(p trace.Point) web.TraceQuality {
	millis := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return web.TraceQuality{At: p.At, Loss: p.Loss, RemoteLoss: p.Remote, JitterMS: millis(p.Jitter), RTTMS: millis(p.RTT), MOS: p.MOS, Packets: p.Packets}
}

// traces lets the web show how calls went.
type traces struct{ a *app }

// Trace implements web.Traces. Of a call that is not over, or was until just
// now, the ledger says which legs it has.
func (t traces) Trace(ctx context.Context, tenant ringfence.TenantID, id ringfence.TraversalID) (web.CallTrace, error) {
	var kept web.CallTrace
	err := t.a.store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		kept, _, err = ledger.Read[web.CallTrace](ctx, tx, kindTrace, string(id))
		return err
	})
	if !errors.Is(err, ledger.ErrNotFound) {
		return kept, err
	}
	legs, err := t.a.legsOf(ctx, tenant, id)
	if err != nil {
		return kept, err
	}
	if kept = t.a.traceOf(id, legs); len(kept.Legs) == 0 {
		return kept, ledger.ErrNotFound
	}
	return kept, nil
}

// sweptTraces is how many traces one sweep forgets; the next goes on.
const sweptTraces = 500

// sweepTraces forgets traces that are older than traceLife.
func (a *app) sweepTraces(ctx context.Context, tenant ringfence.TenantID, now time.Time) error {
	return a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		rows, err := tx.List(ctx, kindTrace, ledger.Query{To: now.Add(-traceLife).UnixNano(), Limit: sweptTraces})
		for _, r := range rows {
			err = errors.Join(err, tx.Delete(ctx, kindTrace, r.ID, r.Version))
		}
		return err
	})
}
