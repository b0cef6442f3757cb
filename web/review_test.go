package web

import (
	"net/http"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
)

// heldPayment is a payment of Priya's of which the person said that they did
// not ask for it.
func (s *staffed) heldPayment(priya ringfence.Person) gate.Release {
	s.t.Helper()
	r := s.pendingPayment(priya)
	r, err := s.gate.Reject(s.t.Context(), ringfence.DefaultTenant, r.ID, gate.Actor{Flow: "step-up-answer"})
	if err != nil || r.State != gate.StateHeld {
		s.t.Fatalf("%s: %v", r.State, err)
	}
	return r
}

func (s *staffed) stateOf(id ringfence.ReleaseID) gate.State {
	s.t.Helper()
	r, err := s.gate.Lookup(s.t.Context(), ringfence.DefaultTenant, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.State
}

// says lists what reviewers' words stand in the log of an action.
func (s *staffed) says(id ringfence.ReleaseID) (out []string) {
	s.t.Helper()
	err := s.store.View(s.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		all, err := tx.Entries(s.t.Context(), ledger.EntryQuery{Release: id, Limit: 1000})
		out = nil
		for _, e := range all {
			if e.Data["says"] != "" {
				out = append(out, string(e.Event)+": "+e.Data["says"])
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Nobody decides who has not the role, who took part, or who says nothing; an
// action of another tenant, or none, is not there.
func TestReviewsAreRefused(t *testing.T) {
	s := newApprovals(t)
	priya, rita := s.person("Priya", ringfence.RoleAgent), s.person("Rita", ringfence.RoleRisk)
	r := s.heldPayment(priya)
	s.change(priya, func(p *ringfence.Person) { p.Roles = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleRisk} })
	words := map[string]any{"why": "Rang the customer."}
	for _, what := range []string{"lift", "deny"} {
		path := "/v1/releases/" + string(r.ID) + "/" + what
		for name, tc := range map[string]struct {
			by   ringfence.Person
			path string
			body map[string]any
			want int
		}{
			"whoever opened it":    {priya, path, words, http.StatusForbidden},
			"a supervisor":         {s.person("Sam", ringfence.RoleSupervisor), path, words, http.StatusForbidden},
			"without words":        {rita, path, map[string]any{"why": " \u202e "}, http.StatusUnprocessableEntity},
			"somebody's number":    {rita, path, map[string]any{"why": "rang +44 20 7946 0991"}, http.StatusUnprocessableEntity},
			"no action":            {rita, "/v1/releases/rel_nothing/" + what, words, http.StatusNotFound},
			"somebody not on file": {ringfence.Person{}, path, words, http.StatusUnauthorized},
		} {
			var cookie *http.Cookie
			if tc.by.ID != "" {
				cookie = s.signIn(tc.by)
			}
			if w := s.ask(cookie, "POST", tc.path, tc.body); w.Code != tc.want {
				t.Errorf("%s, %s: %d, want %d: %s", what, name, w.Code, tc.want, w.Body)
			}
		}
	}
	if got := s.stateOf(r.ID); got != gate.StateHeld {
		t.Errorf("it is %s", got)
	}
	if w := s.ask(s.signIn(s.person("Otto", ringfence.RoleOps)), "GET", "/v1/reviews", nil); w.Code != http.StatusForbidden {
		t.Errorf("ops read what is held: %d", w.Code)
	}
}

// A lifted hold releases nothing: it goes back to its colleague. A denial ends
// it. Both stand in the log with the words.
func TestReviewDecides(t *testing.T) {
	s := newApprovals(t)
	priya, rita := s.person("Priya", ringfence.RoleAgent), s.person("Rita", ringfence.RoleRisk)
	r, cookie := s.heldPayment(priya), s.signIn(rita)
	held := decode[struct{ Held []reviewView }](t, s.ask(cookie, "GET", "/v1/reviews", nil)).Held
	if len(held) != 1 || held[0].Release != r.ID || held[0].Duress || len(held[0].Holds) != 1 || held[0].Holds[0].Why != "rejected" || len(held[0].Fields) == 0 {
		t.Fatalf("held: %+v", held)
	}
	path := "/v1/releases/" + string(r.ID)
	if got := decode[releaseView](t, s.ask(cookie, "POST", path+"/lift", map[string]any{"why": "She had misheard."})).State; got != gate.StatePendingApproval {
		t.Errorf("lifted: %s", got)
	}
	if got := decode[releaseView](t, s.ask(cookie, "POST", path+"/hold", nil)).State; got != gate.StateHeld {
		t.Errorf("held again: %s", got)
	}
	if got := decode[releaseView](t, s.ask(cookie, "POST", path+"/deny", map[string]any{"why": "She never asked."})).State; got != gate.StateDenied {
		t.Errorf("denied: %s", got)
	}
	if w := s.ask(cookie, "POST", path+"/lift", map[string]any{"why": "again"}); w.Code != http.StatusConflict || s.stateOf(r.ID) != gate.StateDenied {
		t.Errorf("a denied action came back: %d %s", w.Code, w.Body)
	}
	if got := s.says(r.ID); len(got) != 2 || got[0] != "hold.lifted: She had misheard." || got[1] != "release.denied: She never asked." {
		t.Errorf("the log says %q", got)
	}
	if held := decode[struct{ Held []reviewView }](t, s.ask(cookie, "GET", "/v1/reviews", nil)).Held; len(held) != 0 {
		t.Errorf("still held: %+v", held)
	}
}

// Risk reads what is held on the page of alerts, and decides there.
func TestReviewOnTheAlertsPage(t *testing.T) {
	s := newApprovals(t)
	priya, rita := s.person("Priya", ringfence.RoleAgent), s.person("Rita", ringfence.RoleRisk)
	r := s.heldPayment(priya)
	b := open(t, s.origin)
	b.with(s.signIn(rita))
	b.visit("/alerts")
	b.see("The person said that they did not ask for this")
	b.see("5555 6666")
	b.looks("alerts-held")
	b.press("End the action")
	b.see("Say what you found.")
	b.fill("held-"+string(r.ID), "She never asked for it.")
	b.press("End the action")
	b.see("Ended, under your name.")
	b.gone("The person said that they did not ask for this")
	if got := s.stateOf(r.ID); got != gate.StateDenied {
		t.Errorf("it is %s", got)
	}
	s.quietly(t)
}
