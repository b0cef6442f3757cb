package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// drillOptions are what a drill is about.
type drillOptions struct {
	Tenant  ringfence.TenantID
	Attacks []attack
	By      ringfence.PersonID
	ID      string // empty = a new one
	Story   *transcript
	// Bundle replaces the scripts of the configuration: what a tenant published.
	// Audio reads its recordings.
	Bundle *flows.Bundle
	Audio  func(context.Context, ringfence.Digest) ([]byte, error)
	// Weaken, in tests, takes a layer out of the engine before the attacks.
	Weaken func(*drillWorld)
}

const (
	// drillPatience bounds a run, stagePatience one attack of it.
	drillPatience = 15 * time.Minute
	stagePatience = 3 * time.Minute
	// drillCrowd is how many attacks run at a time.
	drillCrowd = 8
)

func errorIn[E error](err error) (E, bool) {
	var e E
	ok := errors.As(err, &e)
	return e, ok
}

func newDrillID() string { return ringfence.NewID[string]("drl") }

// runDrill opens the second ringfence, attacks it and closes it. The report
// tells what went wrong.
func runDrill(ctx context.Context, cfg config.Config, o drillOptions) (r web.DrillReport) {
	if o.ID == "" {
		o.ID = newDrillID()
	}
	r = web.DrillReport{ID: o.ID, By: o.By, Began: time.Now().UTC(), Results: []web.DrillResult{}}
	defer func() { r.Ended = time.Now().UTC(); r.Judge() }()
	ctx, cancel := context.WithTimeout(ctx, drillPatience)
	defer cancel()
	w, err := newDrillWorld(ctx, cfg, o)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Bundle = w.bundle.HashText()
	if o.Weaken != nil {
		o.Weaken(w)
	}
	r.Results = w.attackAll(ctx, o.Attacks)
	r.Results = append(r.Results, w.accounted(ctx))
	if err := w.close(context.WithoutCancel(ctx)); err != nil {
		r.Error = "stopping: " + err.Error()
	}
	return r
}

// attackAll carries out the attacks, several at a time, and returns what came
// of each in their order.
func (w *drillWorld) attackAll(ctx context.Context, chosen []attack) []web.DrillResult {
	out := make([]web.DrillResult, len(chosen))
	for _, last := range []bool{false, true} {
		w.attackWith(ctx, chosen, last, out)
	}
	return out
}

// attackWith carries out the attacks that come last, or the others.
func (w *drillWorld) attackWith(ctx context.Context, chosen []attack, last bool, out []web.DrillResult) {
	room := make(chan struct{}, drillCrowd)
	var all sync.WaitGroup
	for i, a := range chosen {
		if a.last != last {
			continue
		}
		all.Go(func() {
			if a.stage == nil { // a stage waits for its lane; it must not keep others out
				room <- struct{}{}
				defer func() { <-room }()
			}
			began := time.Now()
			v := w.carryOut(ctx, a)
			out[i] = web.DrillResult{Drill: a.Drill, Outcome: v.outcome, Says: v.says, Seconds: time.Since(began).Seconds()}
		})
	}
	all.Wait()
}

func (w *drillWorld) carryOut(ctx context.Context, a attack) verdict {
	if a.stage != nil {
		return w.staged(ctx, a)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stagePatience, errors.New("waited in vain"))
	defer cancel()
	v, err := a.play(ctx, w)
	if err != nil {
		return unplayed(err)
	}
	return v
}

// unplayed is the verdict of an attack that ended before it was one.
func unplayed(err error) verdict {
	if na, ok := errorIn[*lacking](err); ok {
		return notApplicable("%s", na.what)
	}
	return broken(err)
}

// stageRun is a stage whose attacks are one story: it is played once.
type stageRun struct {
	once     sync.Once
	verdicts map[string]verdict
	err      error
}

func (w *drillWorld) staged(ctx context.Context, a attack) verdict {
	w.stagesMu.Lock()
	if w.stages[a.stageName] == nil {
		w.stages[a.stageName] = &stageRun{}
	}
	run := w.stages[a.stageName]
	w.stagesMu.Unlock()
	run.once.Do(func() {
		run.verdicts = map[string]verdict{}
		run.err = w.onLane(ctx, a, func(name string, v verdict) { run.verdicts[name] = v })
	})
	if v, ok := run.verdicts[a.Name]; ok {
		return v
	}
	if run.err != nil {
		return unplayed(run.err)
	}
	return broken(errors.New("the attack was not reached"))
}

// onLane plays a stage on a call with an agent, over the next lane that is
// free. Waiting for it is no part of the attack.
func (w *drillWorld) onLane(ctx context.Context, a attack, tell func(string, verdict)) error {
	main, err := w.mainAction()
	if err != nil {
		return err
	}
	if w.laneCount == 0 {
		return &lacking{"policy opens no queue without a proof"}
	}
	var l *lane
	select {
	case l = <-w.lanes:
		defer func() { w.rested(ctx, l); w.lanes <- l }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	soon, cancel := context.WithTimeoutCause(ctx, stagePatience, errors.New("waited in vain"))
	defer cancel()
	call, err := w.begun(soon, l, main, w.victims[a.of()])
	if err != nil {
		return err
	}
	defer call.end()
	return a.stage(soon, w, call, tell)
}

// rested waits until the agent of a lane has no call any more and takes the
// next: a queue whose people are busy sends callers away.
func (w *drillWorld) rested(ctx context.Context, l *lane) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	own := func(c ringfence.LiveCall) bool { return c.Owner == l.agent.person.ID }
	for slices.ContainsFunc(w.app.runner.Live(ringfence.DefaultTenant), own) || !slices.Contains(w.app.ready(ringfence.DefaultTenant), l.agent.person.ID) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lacking says what the configuration has not, so that it cannot be attacked.
type lacking struct{ what string }

func (l *lacking) Error() string { return "not applicable: " + l.what }

// accounted judges the whole run by the second ringfence's own records: nothing
// was permitted or done but what its subject approved, and the record is whole.
func (w *drillWorld) accounted(ctx context.Context) web.DrillResult {
	began := time.Now()
	v := w.account(ctx)
	return web.DrillResult{Drill: web.Drill{Name: "the-books", Does: "after all attacks the executor's journal and the audit record are read", Layer: "ledger"},
		Outcome: v.outcome, Says: v.says, Seconds: time.Since(began).Seconds()}
}

func (w *drillWorld) account(ctx context.Context) verdict {
	approved := w.approvedReleases()
	for _, b := range w.bank.Bank.Journal() {
		if !slices.Contains(approved, b.Release) {
			return through("the executor did %s, which nobody approved", b.Release)
		}
	}
	entries, err := w.entries(ctx)
	if err != nil {
		return broken(err)
	}
	redeemed := map[ringfence.ReleaseID]int{}
	for _, e := range entries {
		switch e.Event {
		case "release.redeemed":
			redeemed[e.Release]++
			fallthrough
		case "release.ready", "release.permitted", "release.executed":
			looks := e.Event == "release.ready" && w.wasForced(e.Release)
			if !looks && !slices.Contains(approved, e.Release) {
				return through("%s of %s, which nobody approved", e.Event, e.Release)
			}
		}
	}
	for id, n := range redeemed {
		if n > 1 {
			return through("%s was redeemed %d times", id, n)
		}
	}
	report, err := w.audit(ctx)
	if err != nil {
		return broken(err)
	}
	if !report.OK() || report.Size == 0 {
		return through("the audit record does not verify")
	}
	return stopped("%d entries verify; nothing was permitted but what was approved", report.Size)
}

// entries reads the whole record of the second ringfence.
func (w *drillWorld) entries(ctx context.Context) (out []ledger.Entry, err error) {
	err = w.app.store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		out = nil
		for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{}) {
			if err != nil {
				return fmt.Errorf("reading the record: %w", err)
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// proofsOf lists which of the facts stand as proved for a subject.
func (w *drillWorld) proofsOf(ctx context.Context, id ringfence.SubjectID, facts ...ringfence.Fact) (out []ringfence.Fact, err error) {
	err = w.app.store.View(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		out = nil
		rows, err := ledger.Rows[ringfence.Evidence](ctx, tx, ledger.KindEvidence, ledger.Query{Key: "subject", Value: string(id)})
		for _, e := range rows {
			if slices.Contains(facts, e.Fact) {
				out = append(out, e.Fact)
			}
		}
		return err
	})
	return out, err
}
