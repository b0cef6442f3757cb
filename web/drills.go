package web

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// ErrDrillRuns says that a drill runs already: one at a time.
var ErrDrillRuns = errors.New("web: a drill runs already")

// ErrNoDrill says that a drill was asked for that does not exist.
var ErrNoDrill = errors.New("web: there is no such drill")

// Drills runs attacks against a second ringfence that has this one's
// configuration, and keeps what came of them.
type Drills interface {
	// Drills lists the attacks there are.
	Drills() []Drill
	// DrillReports returns what was kept of past runs, newest first, at most 50,
	// and whether one runs now.
	DrillReports(ctx context.Context, tenant ringfence.TenantID) (reports []DrillReport, running bool, err error)
	// StartDrill begins a run of the named attacks, of all when none is named. It
	// does not wait for its end, and returns ErrDrillRuns and ErrNoDrill.
	StartDrill(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, only []string) (id string, err error)
}

// Drill is one attack.
type Drill struct {
	Name  string `json:"name"`
	Does  string `json:"does" doc:"what the attacker does, in one sentence"`
	Layer string `json:"layer" doc:"what has to stop it"`
}

// DrillOutcome is what came of one attack.
type DrillOutcome string

// The outcomes. Through is the only bad one; Failed means that nobody knows.
const (
	DrillStopped       DrillOutcome = "stopped"
	DrillThrough       DrillOutcome = "through"
	DrillNotApplicable DrillOutcome = "not_applicable" // the configuration has nothing to attack
	DrillFailed        DrillOutcome = "failed"         // the attack could not be carried out
)

// DrillResult is one attack of a run.
type DrillResult struct {
	Drill
	Outcome DrillOutcome `json:"outcome" enum:"stopped,through,not_applicable,failed"`
	Says    string       `json:"says" doc:"what was seen"`
	Seconds float64      `json:"seconds"`
}

// DrillReport is one run.
type DrillReport struct {
	ID     string             `json:"id"`
	Began  time.Time          `json:"began"`
	Ended  time.Time          `json:"ended"`
	By     ringfence.PersonID `json:"by,omitempty" doc:"who started it; empty for the command line"`
	Bundle string             `json:"bundle" doc:"hash of the flows and policy that were attacked"`
	// OK says that everything that could be tried was tried and stopped.
	OK            bool          `json:"ok"`
	Stopped       int           `json:"stopped"`
	Through       int           `json:"through"`
	NotApplicable int           `json:"not_applicable"`
	Failed        int           `json:"failed"`
	Error         string        `json:"error,omitempty" doc:"why the run ended early"`
	Results       []DrillResult `json:"results"`
}

// Judge counts the results. A run in which nothing was stopped is not OK.
func (r *DrillReport) Judge() {
	count := map[DrillOutcome]int{}
	for _, x := range r.Results {
		count[x.Outcome]++
	}
	r.Stopped, r.Through, r.NotApplicable = count[DrillStopped], count[DrillThrough], count[DrillNotApplicable]
	r.Failed = len(r.Results) - r.Stopped - r.Through - r.NotApplicable
	r.OK = r.Stopped > 0 && r.Through == 0 && r.Failed == 0 && r.Error == ""
}

type (
	drillsOut struct {
		Body struct {
			Drills  []Drill       `json:"drills"`
			Running bool          `json:"running"`
			Reports []DrillReport `json:"reports" doc:"newest first"`
		}
	}
	drillIn struct {
		Body struct {
			Only []string `json:"only,omitempty" maxItems:"100" doc:"names of attacks; none = all"`
		}
	}
	drillOut struct {
		Body struct {
			ID string `json:"id"`
		}
	}
)

func (s *Server) drillAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/drills", Summary: "The attacks that can be drilled, and what came of past runs"},
		func(ctx context.Context, _ *struct{}) (*drillsOut, error) {
			out := &drillsOut{}
			out.Body.Drills, out.Body.Reports = []Drill{}, []DrillReport{}
			if s.cfg.Drills == nil {
				return out, nil
			}
			reports, running, err := s.cfg.Drills.DrillReports(ctx, who(ctx).tenant)
			out.Body.Drills, out.Body.Running = s.cfg.Drills.Drills(), running
			out.Body.Reports = append(out.Body.Reports, reports...)
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/drills", Summary: "Run attacks against this configuration", DefaultStatus: 202,
		Description: "They are run against a second ringfence of the same configuration, with people, telephones, keys and a store of its own. One run at a time."}, s.startDrill)
}

func (s *Server) startDrill(ctx context.Context, in *drillIn) (*drillOut, error) {
	if s.cfg.Drills == nil {
		return nil, problem.New(problem.Unavailable, "Drills are run from the command line here: ringfence drill.")
	}
	p, out := who(ctx), &drillOut{}
	id, err := s.cfg.Drills.StartDrill(ctx, p.tenant, p.person.ID, in.Body.Only)
	switch {
	case errors.Is(err, ErrDrillRuns):
		return nil, problem.New(problem.Conflict, "A drill runs already. Wait for its end.")
	case errors.Is(err, ErrNoDrill):
		return nil, problem.New(problem.Unprocessable, "There is no such attack. GET /v1/drills names them.")
	}
	out.Body.ID = id
	return out, err
}
