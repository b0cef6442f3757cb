package web

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
)

func states(ps []Presence) (out []string) {
	for _, p := range ps {
		out = append(out, string(p.Person)+" "+p.State)
	}
	return out
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := &fakeCalls{}
		s := &Server{cfg: Config{Calls: calls}}
		const tenant = ringfence.DefaultTenant
		check := func(when string, want ...string) {
			t.Helper()
			if got := states(s.Present(tenant)); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		s.present.set(tenant, "per_a", false)
		check("without a console")
		leaveA := s.present.come(tenant, "per_a")
		time.Sleep(time.Second)
		leaveB := s.present.come(tenant, "per_b")
		check("both there", "per_a ready", "per_b ready")
		time.Sleep(time.Second)
		calls.change(trv, func(c *ringfence.LiveCall) { c.Owner = "per_a"; c.State = "talking" })
		check("one on a call", "per_b ready", "per_a busy")
		time.Sleep(time.Minute)
		check("still", "per_b ready", "per_a busy")
		for _, state := range []string{"suspended", "in_flow", "queued"} {
			calls.change(trv, func(c *ringfence.LiveCall) { c.Owner = "per_a"; c.State = state })
			check("their caller is called back: "+state, "per_b ready", "per_a ready")
		}
		calls.change(trv, func(c *ringfence.LiveCall) { c.Owner = "per_a"; c.State = "step_up" })
		check("parked during a check", "per_b ready", "per_a busy")
		calls.end(trv)
		check("after the call the other was idle longer", "per_b ready", "per_a ready")
		s.present.set(tenant, "per_b", true)
		check("one away", "per_a ready", "per_b away")
		leaveA()
		check("a moment after the tab closed", "per_a ready", "per_b away")
		again := s.present.come(tenant, "per_a")
		time.Sleep(time.Minute)
		check("the tab came back", "per_a ready", "per_b away")
		again()
		leaveB()
		time.Sleep(presenceGrace + time.Second)
		check("both gone")
	})
}

// fakeJobs takes on one job.
type fakeJobs struct{ got []Job }

func (f *fakeJobs) Start(_ context.Context, j Job) (Started, error) {
	f.got = append(f.got, j)
	return Started{Traversal: trv, Reference: "K7M2P9QX", Code: ringfence.Secret("4711")}, nil
}

func TestOnlyACustomerChannelGetsCarryCodesAndOnce(t *testing.T) {
	jobs := &fakeJobs{}
	d := newDesktop(t, func(c *Config) { c.Jobs = jobs })
	d.dana()
	account := func(c Client) []string {
		_, secret, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, c, "")
		if err != nil {
			t.Fatal(err)
		}
		return []string{"Authorization", "Bearer " + string([]byte(secret))}
	}
	bank := account(Client{Name: "bank app", Scopes: []Scope{ScopeJobs, ScopeActions}, Channel: "bank app, passkey login"})
	erp := account(Client{Name: "erp", Scopes: []Scope{ScopeJobs, ScopeActions}})
	open := map[string]any{"type": "statement", "fields": map[string]string{"from_date": "2026-01-01", "copies": "1"}, "subject": sub}
	mine := decode[releaseView](t, d.ask(nil, "POST", "/v1/actions", open, bank...))
	theirs := decode[releaseView](t, d.ask(nil, "POST", "/v1/actions", open, erp...))
	job := func(id ringfence.ReleaseID) map[string]any {
		return map[string]any{"flow": "is-this-you", "release": id, "login_at": "2026-11-21T12:00:00Z"}
	}
	priya := d.signIn(d.person("Priya", ringfence.RoleAgent, ringfence.RoleAdmin))
	for name, c := range map[string]struct {
		cookie  *http.Cookie
		headers []string
		release ringfence.ReleaseID
		want    int
	}{
		"staff":               {priya, nil, mine.ID, 403},
		"no customer channel": {nil, erp, theirs.ID, 403},
		"another's release":   {nil, bank, theirs.ID, 404},
		"no such release":     {nil, bank, "rel_zzzzzzzzzzzzzzzzzzzzzzzzzz", 404},
	} {
		if w := d.ask(c.cookie, "POST", "/v1/jobs", job(c.release), c.headers...); w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	key := append(bank, "Idempotency-Key", "job-000001")
	w := d.ask(nil, "POST", "/v1/jobs", job(mine.ID), key...)
	if got := decode[struct{ Code string }](t, w); w.Code != 202 || got.Code != "4711" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := d.ask(nil, "POST", "/v1/jobs", job(mine.ID), key...); w.Code != 409 {
		t.Errorf("told again: %d %s", w.Code, w.Body)
	}
	if len(jobs.got) != 1 {
		t.Errorf("started %v", jobs.got)
	}
}
