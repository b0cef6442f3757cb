package runner

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// kindTrace holds what happened on each traversal, under the subject's key.
const kindTrace ledger.Kind = "trace"

const (
	// traceLife is how long a trace is kept.
	traceLife = 30 * 24 * time.Hour
	// traceSweep is how many old traces are taken away at once, with every
	// traceEvery-th new one.
	traceSweep = 128
	traceEvery = 16
)

// Recording is what is kept of a traversal's flows: outcomes and cells, no
// digit and no value.
type Recording struct {
	Traversal ringfence.TraversalID `json:"traversal"`
	Reference string                `json:"reference"`
	Line      string                `json:"line"`
	Runs      []flows.Trace         `json:"runs"` // the line's flow, then console flows
	At        time.Time             `json:"-"`    // when it was kept; filled by Recordings
}

// Shadows is what Bundles may implement too: a bundle that follows new calls
// without effect, and what became of that.
type Shadows interface {
	// Shadow returns the bundle that follows; nil = none does.
	Shadow(ringfence.TenantID) *flows.Bundle
	// Followed is told of each run of a flow that was followed to its end. It
	// must not block.
	Followed(ringfence.TenantID, ringfence.TraversalID, flows.Followed)
}

// tape records one session and lets a shadow follow it.
type tape struct {
	*flows.Recorder
	shadow *flows.Follower // nil: nothing follows
}

// record begins the tape of a session. A fault of it never reaches the call.
func (t *traversal) record(flow string, f flows.Facts, s *flows.State, effects []flows.Effect) *tape {
	out := &tape{}
	t.taped(&out, func() {
		now := time.Now()
		out.Recorder = flows.NewRecorder(t.bundle, flow, f, now)
		if shadows, ok := t.r.cfg.Bundles.(Shadows); ok {
			if b := shadows.Shadow(t.tenant); b != nil && b != t.bundle {
				out.shadow = flows.NewShadow(b, t.bundle.HashText(), flow, t.masked(f))
				out.Follow(out.shadow)
			}
		}
		out.Saw(now, s, flows.Input{}, effects)
	})
	return out
}

// taped runs something of a tape; when it panics the tape ends, and the call
// goes on.
func (t *traversal) taped(at **tape, do func()) {
	defer func() {
		if p := recover(); p != nil {
			t.r.cfg.Log.Error("a recording panicked; the call goes on without", "traversal", string(t.id), ringfence.Panicked(p))
			*at = nil
		}
	}()
	do()
}

// masked takes secret fields out of what a shadow starts with.
func (t *traversal) masked(f flows.Facts) flows.Facts {
	a, ok := t.bundle.Policy().Action(f.Action)
	if !ok {
		return f
	}
	f.Payload = maps.Clone(f.Payload)
	for _, field := range a.Carries {
		if field.Type.Secret && f.Payload[field.Name] != "" {
			f.Payload[field.Name] = flows.SecretValue
		}
	}
	return f
}

// saw takes a step of the session that runs.
func (t *traversal) saw(in flows.Input, effects []flows.Effect) {
	if s := t.session; s.tape != nil {
		t.taped(&s.tape, func() { s.tape.Saw(time.Now(), s.state, in, effects) })
	}
}

// runs are the traces so far, that of the session that runs included.
func (t *traversal) runs() []flows.Trace {
	out := t.traces[:len(t.traces):len(t.traces)]
	if t.session != nil && t.session.tape != nil {
		out = append(out, t.session.tape.Trace())
	}
	return out
}

// endTape keeps the trace of a session that ends, and reports its shadow.
func (t *traversal) endTape() {
	s := t.session
	if s.tape == nil {
		return
	}
	t.traces = t.runs()
	if s.tape.shadow == nil {
		return
	}
	t.taped(&s.tape, func() {
		var rep flows.Followed
		if s.state.Ended {
			rep = s.tape.shadow.Done()
		} else { // the call ended under it, or was left to another process
			rep = s.tape.shadow.Lost("the call was not followed to its end")
		}
		t.r.cfg.Bundles.(Shadows).Followed(t.tenant, t.id, rep)
	})
}

// keepTrace writes the recording. What this process began and never stored is
// not looked for.
func (t *traversal) keepTrace(ctx context.Context, tx ledger.Tx) error {
	runs := t.runs()
	if len(runs) == 0 {
		return nil
	}
	rec := ledger.Record{Kind: kindTrace, ID: string(t.id), Subject: t.knownSubject(), Sort: tx.Now().UnixNano()}
	if t.stored {
		old, err := tx.Get(ctx, kindTrace, rec.ID)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		rec.Version = old.Version
	}
	return ledger.Write(ctx, tx, &rec, Recording{Traversal: t.id, Reference: t.live.Reference, Line: t.line.Name, Runs: runs})
}

// sweepTraces takes some old recordings away.
func sweepTraces(ctx context.Context, tx ledger.Tx) error {
	past, err := tx.List(ctx, kindTrace, ledger.Query{To: tx.Now().Add(-traceLife).UnixNano(), Limit: traceSweep})
	if err != nil {
		return err
	}
	for _, r := range past {
		if err := tx.Delete(ctx, r.Kind, r.ID, r.Version); err != nil {
			return err
		}
	}
	return nil
}

// writeEnd writes that the traversal has ended, with its recording. A recording
// that cannot be kept does not keep the entry out.
func (t *traversal) writeEnd(ctx context.Context) {
	entry := ledger.Entry{Event: "traversal.ended", Traversal: t.id, Subject: t.knownSubject()}
	sweeps := t.r.ends.Add(1)%traceEvery == 1
	err := t.r.cfg.Store.Update(ctx, t.tenant, func(tx ledger.Tx) error {
		if err := t.keepTrace(ctx, tx); err != nil {
			return err
		}
		if sweeps {
			if err := sweepTraces(ctx, tx); err != nil {
				return err
			}
		}
		for _, e := range append(t.owed[:len(t.owed):len(t.owed)], entry) {
			if _, err := tx.Append(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.r.cfg.Log.Warn("recording not kept", "traversal", string(t.id), "err", err)
		t.r.entry(ctx, t.tenant, append(t.owed, entry)...)
	}
	t.owed = nil
}

// restoreTape goes on with the recording of a suspended traversal.
func (t *traversal) restoreTape(ctx context.Context) {
	var rec Recording
	err := t.r.cfg.Store.View(ctx, t.tenant, func(tx ledger.Tx) (err error) {
		rec, _, err = ledger.Read[Recording](ctx, tx, kindTrace, string(t.id))
		return err
	})
	if n := len(rec.Runs); err == nil && n > 0 && rec.Runs[n-1].Bundle == t.bundle.HashText() {
		t.traces = rec.Runs[: n-1 : n-1]
		t.session.tape = &tape{Recorder: flows.ResumeRecorder(t.bundle, rec.Runs[n-1], t.session.state, time.Now())}
	}
}

// ReadRecording returns what is kept of a traversal; ledger.ErrNotFound when
// nothing is: it is still under way, older than 30 days, or its subject was
// erased.
func ReadRecording(ctx context.Context, store ledger.Store, tenant ringfence.TenantID, id ringfence.TraversalID) (rec Recording, err error) {
	err = store.View(ctx, tenant, func(tx ledger.Tx) error {
		rec, _, err = ledger.Read[Recording](ctx, tx, kindTrace, string(id))
		return err
	})
	return rec, err
}

// recordingsListed is how many recordings there are to choose from.
const recordingsListed = 200

// Recordings lists what is kept, newest first, at most 200.
func Recordings(ctx context.Context, store ledger.Store, tenant ringfence.TenantID) (out []Recording, err error) {
	err = store.View(ctx, tenant, func(tx ledger.Tx) error {
		rows, err := tx.List(ctx, kindTrace, ledger.Query{Desc: true, Limit: recordingsListed})
		if err != nil {
			return err
		}
		for _, row := range rows {
			rec, _, err := ledger.Read[Recording](ctx, tx, kindTrace, row.ID)
			if errors.Is(err, ledger.ErrNotFound) {
				continue // its subject was erased
			}
			if err != nil {
				return err
			}
			rec.At = time.Unix(0, row.Sort).UTC()
			out = append(out, rec)
		}
		return nil
	})
	return out, err
}

// ReplayRecording plays every run of a recorded call against a draft, in the
// name of a person: that one did so stands in the ledger before anything is
// told. Nothing else comes of it.
func ReplayRecording(ctx context.Context, store ledger.Store, tenant ringfence.TenantID, by ringfence.PersonID, id ringfence.TraversalID, draft *flows.Bundle) ([]flows.Followed, error) {
	if draft == nil || by == "" {
		return nil, errors.New("runner: a replay needs a draft and somebody who asks for it")
	}
	rec, err := ReadRecording(ctx, store, tenant, id)
	if err != nil {
		return nil, err
	}
	err = store.Update(ctx, tenant, func(tx ledger.Tx) error {
		_, err := tx.Append(ctx, ledger.Entry{Event: "replay.run", Traversal: id, Person: by, Data: map[string]string{"bundle": draft.HashText()}})
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []flows.Followed
	for _, run := range rec.Runs {
		got, err := flows.Replay(draft, run)
		if err != nil {
			return nil, err
		}
		out = append(out, got)
	}
	return out, nil
}
