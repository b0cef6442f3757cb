package web

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/reconcile"
	"github.com/ringfence/ringfence/web/problem"
)

const (
	// maxJournalBody bounds a journal in one request; maxJournalLines what it
	// may hold. Longer ones are cut by the hour, or reconciled offline.
	maxJournalBody  = 4 << 20
	maxJournalLines = 10_000
	// KindReconciliation holds Reconciliation. Keys: executor.
	KindReconciliation ledger.Kind = "reconciliation"
)

// Reconciliation is a report as it is kept.
type Reconciliation struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
	By string    `json:"by"`
	reconcile.Report
}

type (
	journalIn struct {
		Body struct {
			Executor string           `json:"executor,omitempty" maxLength:"80" doc:"whose journal; an executor's own account need not say"`
			From     time.Time        `json:"from" doc:"the journal holds every act from here"`
			To       time.Time        `json:"to" doc:"to here"`
			Lines    []reconcile.Line `json:"lines" maxItems:"10000"`
		}
	}
	reconciliationOut struct{ Body Reconciliation }
	reconciliationsIn struct {
		Executor string `query:"executor" maxLength:"80"`
	}
	reconciliationsOut struct {
		Body struct {
			Reconciliations []Reconciliation `json:"reconciliations"`
		}
	}
	settleIn struct {
		ID   ringfence.ReleaseID `path:"id" maxLength:"40"`
		Body struct {
			Outcome gate.Outcome `json:"outcome" enum:"executed,failed" doc:"what was found out"`
		}
	}
)

// newestReconciliations is how many are listed.
const newestReconciliations = 50

// reconcileAPI takes executors' journals and lets a person settle what is
// unknown.
func (s *Server) reconcileAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/reconciliations", Summary: "Hold an executor's journal against what was redeemed", DefaultStatus: 201,
		Description: "Daily at least. A change without a release is a top alarm; what was redeemed and is not in the journal is of unknown outcome from then on."}, s.takeJournal)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/reconciliations", Summary: "The newest reconciliations"},
		func(ctx context.Context, in *reconciliationsIn) (*reconciliationsOut, error) {
			p, out := who(ctx), &reconciliationsOut{}
			q := ledger.Query{Desc: true, Limit: newestReconciliations}
			if p.client.ID != "" {
				in.Executor = p.client.Executor
			}
			if in.Executor != "" {
				q.Key, q.Value = "executor", in.Executor
			}
			out.Body.Reconciliations = []Reconciliation{}
			return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
				recs, err := tx.List(ctx, KindReconciliation, q)
				for i := 0; err == nil && i < len(recs); i++ {
					var r Reconciliation
					r, _, err = ledger.Read[Reconciliation](ctx, tx, KindReconciliation, recs[i].ID)
					out.Body.Reconciliations = append(out.Body.Reconciliations, r)
				}
				return err
			})
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/reconcile", Summary: "Settle an unknown outcome by what a person found out"},
		func(ctx context.Context, in *settleIn) (*releaseOut, error) {
			r, err := s.cfg.Gate.Reconcile(ctx, who(ctx).tenant, in.ID, who(ctx).person.ID, in.Body.Outcome)
			return &releaseOut{Body: viewOf(r, gate.Verdict{})}, err
		})
}

func (s *Server) takeJournal(ctx context.Context, in *journalIn) (*reconciliationOut, error) {
	p := who(ctx)
	executor := in.Body.Executor
	if p.client.ID != "" {
		executor = p.client.Executor
	}
	w := reconcile.Window{From: in.Body.From.UTC(), To: in.Body.To.UTC()}
	switch {
	case executor == "" || p.client.ID != "" && in.Body.Executor != "" && in.Body.Executor != executor:
		return nil, problem.New(problem.Unprocessable, "Say whose journal it is; an executor brings its own only.")
	case !w.From.Before(w.To) || w.To.Sub(w.From) > 32*24*time.Hour:
		return nil, problem.New(problem.Unprocessable, "The window begins before it ends and is 32 days long at most.")
	}
	for i, l := range in.Body.Lines {
		if says := l.Fault(); says != "" {
			no := problem.New(problem.Unprocessable, "")
			no.Errors = []problem.Field{{Location: fmt.Sprintf("body.lines[%d]", i), Message: says}}
			return nil, no
		}
	}
	out := Reconciliation{ID: ringfence.NewID[string](ringfence.PrefixEvent), By: p.actor()}
	err := s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error {
		facts, err := reconcile.FromLog(ctx, tx, w.From, in.Body.Lines)
		if err != nil {
			return err
		}
		out.At, out.Report = tx.Now(), reconcile.Compare(executor, w, in.Body.Lines, facts)
		return keepReport(ctx, tx, out)
	})
	if err != nil {
		return nil, err
	}
	return &reconciliationOut{Body: out}, s.follow(ctx, p, out)
}

// keepReport stores a report, and raises an alarm for each grave finding.
func keepReport(ctx context.Context, tx ledger.Tx, r Reconciliation) error {
	rec := ledger.Record{Kind: KindReconciliation, ID: r.ID, Keys: map[string]string{"executor": r.Executor}, Sort: r.At.UnixNano()}
	if err := ledger.Write(ctx, tx, &rec, r); err != nil {
		return err
	}
	for _, f := range r.Findings {
		if f.Grave != reconcile.Alarm {
			continue
		}
		release := f.Release
		if !ringfence.ValidID(string(release), ringfence.PrefixRelease) {
			release = ""
		}
		if _, err := tx.Append(ctx, ledger.Entry{Event: "alert.raised", Release: release, Object: r.ID,
			Data: map[string]string{"alarm": "reconciliation", "what": f.What, "executor": r.Executor, "text": f.Says}}); err != nil {
			return err
		}
	}
	return nil
}

// follow makes unknown what was redeemed and is in no journal, and takes the
// executor's own word for what it did not report. A conflict means that
// somebody was faster.
func (s *Server) follow(ctx context.Context, p principal, r Reconciliation) error {
	for _, f := range r.Findings {
		outcome := gate.OutcomeUnknown
		switch {
		case f.What == reconcile.Missing && f.Grave == reconcile.Person:
		case f.What == reconcile.Unreported && p.client.ID != "":
			outcome = gate.Outcome(f.Journal)
		case f.What == reconcile.Unreported:
		default:
			continue
		}
		if _, err := s.cfg.Gate.Report(ctx, p.tenant, r.Executor, f.Permit, outcome); err != nil && !problem.Is(toProblem(err), problem.Conflict) {
			return err
		}
	}
	return nil
}
