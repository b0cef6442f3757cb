package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

// fakeDrills keeps what it was asked for.
type fakeDrills struct {
	runs bool
	by   ringfence.PersonID
	only []string
}

func (f *fakeDrills) Drills() []Drill {
	return []Drill{{Name: "spoofed", Does: "shows a number", Layer: "flow"}}
}

func (f *fakeDrills) DrillReports(context.Context, ringfence.TenantID) ([]DrillReport, bool, error) {
	return []DrillReport{{ID: "drl_1", OK: true, Stopped: 1, Results: []DrillResult{{Drill: f.Drills()[0], Outcome: DrillStopped}}}}, f.runs, nil
}

func (f *fakeDrills) StartDrill(_ context.Context, _ ringfence.TenantID, by ringfence.PersonID, only []string) (string, error) {
	switch {
	case f.runs:
		return "", ErrDrillRuns
	case len(only) > 0 && only[0] != "spoofed":
		return "", ErrNoDrill
	}
	f.runs, f.by, f.only = true, by, only
	return "drl_2", nil
}

func TestDrills(t *testing.T) {
	f := &fakeDrills{}
	d := newDesktop(t, func(c *Config) { c.Drills = f })
	risk := d.person("Rita", ringfence.RoleRisk)
	cookie := d.signIn(risk)
	if got := d.ask(cookie, "POST", "/v1/drills", map[string]any{"only": []string{"unknown"}}); got.Code != http.StatusUnprocessableEntity {
		t.Errorf("an unknown drill answered %d %s", got.Code, got.Body)
	}
	got := d.ask(cookie, "POST", "/v1/drills", map[string]any{"only": []string{"spoofed"}})
	if got.Code != http.StatusAccepted || !strings.Contains(got.Body.String(), "drl_2") || f.by != risk.ID || len(f.only) != 1 {
		t.Errorf("a drill answered %d %s, by %s, only %v", got.Code, got.Body, f.by, f.only)
	}
	if got := d.ask(cookie, "POST", "/v1/drills", map[string]any{}); got.Code != http.StatusConflict {
		t.Errorf("a second drill answered %d %s", got.Code, got.Body)
	}
	list := d.ask(cookie, "GET", "/v1/drills", nil)
	for _, want := range []string{`"running":true`, `"drl_1"`, `"outcome":"stopped"`, `"shows a number"`} {
		if !strings.Contains(list.Body.String(), want) {
			t.Errorf("the list lacks %s: %s", want, list.Body)
		}
	}
}

func TestWithoutDrills(t *testing.T) {
	d := newDesktop(t)
	cookie := d.signIn(d.person("Rita", ringfence.RoleRisk))
	if got := d.ask(cookie, "POST", "/v1/drills", map[string]any{}); got.Code != http.StatusServiceUnavailable {
		t.Errorf("a server without drills answered %d %s", got.Code, got.Body)
	}
	if got := d.ask(cookie, "GET", "/v1/drills", nil); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"drills":[]`) {
		t.Errorf("the empty list is %d %s", got.Code, got.Body)
	}
}

// A run in which something got through, failed or ended early is not OK, and
// neither is one that stopped nothing.
func TestDrillReportIsJudged(t *testing.T) {
	of := func(outcomes ...DrillOutcome) DrillReport {
		var r DrillReport
		for _, o := range outcomes {
			r.Results = append(r.Results, DrillResult{Outcome: o})
		}
		r.Judge()
		return r
	}
	for _, bad := range [][]DrillOutcome{nil, {DrillNotApplicable}, {DrillStopped, DrillThrough}, {DrillStopped, DrillFailed}, {DrillStopped, ""}} {
		if of(bad...).OK {
			t.Errorf("%v is OK", bad)
		}
	}
	if r := of(DrillStopped, DrillNotApplicable); !r.OK || r.Stopped != 1 || r.NotApplicable != 1 {
		t.Errorf("a good run is %+v", r)
	}
	early := DrillReport{Error: "the engine did not start", Results: []DrillResult{{Outcome: DrillStopped}}}
	if early.Judge(); early.OK {
		t.Error("a run that ended early is OK")
	}
}
