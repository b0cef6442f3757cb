package web

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

func request(t testing.TB, method, path string, body any, headers ...string) *http.Request {
	t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	r := httptest.NewRequest(method, "http://localhost"+path, in)
	r.Host = "localhost:8443"
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if method == "POST" {
		r.Header.Set("Idempotency-Key", ringfence.NewID[string]("key"))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

var allRoles = []ringfence.Role{ringfence.RoleAgent, ringfence.RoleSupervisor, ringfence.RoleOps, ringfence.RoleRisk, ringfence.RoleAuditor, ringfence.RoleAdmin}

// example fills the places of a route's pattern with ids of nothing.
func example(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("{$}", "", "{file...}", "console.js", "{id}", "rel_00000000000000000000000000",
		"{pass}", "acc_0", "{leg}", "leg_00000000000000000000000000", "{release}", "rel_00000000000000000000000000", "{ref}", "ABCD2345").Replace(path)
	return method, path
}

// Every route of the staff listener is in the table, and admits exactly the
// roles that the table names: each is tried.
func TestEveryRouteWithEveryRole(t *testing.T) {
	d := newDesktop(t)
	for _, r := range access {
		if !d.routes.used[r.pattern] {
			t.Errorf("%s is in the table but not served", r.pattern)
		}
	}
	var cookies = map[ringfence.Role]*http.Cookie{}
	for _, role := range allRoles {
		cookies[role] = d.signIn(d.person(string(role), role))
	}
	for _, r := range access {
		if r.pattern == "GET /v1/events" || r.pattern == "POST /v1/logout" {
			continue // tried beside their own tests: one does not end, the other ends the session
		}
		method, path := example(r.pattern)
		nobody := d.ask(nil, method, path, nil)
		switch {
		case r.open && (nobody.Code == 401 || nobody.Code == 403 || nobody.Code == 303):
			t.Errorf("%s is open but answered %d to nobody", r.pattern, nobody.Code)
		case !r.open && r.page && nobody.Code != http.StatusSeeOther:
			t.Errorf("%s answered %d to nobody, want the login page", r.pattern, nobody.Code)
		case !r.open && !r.page && nobody.Code != http.StatusUnauthorized:
			t.Errorf("%s answered %d to nobody, want 401", r.pattern, nobody.Code)
		}
		if r.open {
			continue
		}
		for _, role := range allRoles {
			admitted := false
			for _, want := range r.roles {
				admitted = admitted || want == role
			}
			got := d.ask(cookies[role], method, path, nil)
			refused := got.Code == http.StatusForbidden && strings.Contains(got.Body.String(), "Your role does not include this")
			if refused == admitted || got.Code == http.StatusUnauthorized {
				t.Errorf("%s as %s answered %d %s", r.pattern, role, got.Code, got.Body)
			}
		}
	}
}

// A role that begins tomorrow, a suspended person and a person without roles
// may do nothing today.
func TestRolesCountFromTheirDayOn(t *testing.T) {
	d := newDesktop(t)
	for name, change := range map[string]func(*ringfence.Person){
		"role from tomorrow": func(p *ringfence.Person) { p.Since = time.Now().Add(24 * time.Hour) },
		"no role":            func(p *ringfence.Person) { p.Roles = nil },
		"suspended":          func(p *ringfence.Person) { p.Status = ringfence.StatusSuspended },
		"zero status":        func(p *ringfence.Person) { p.Status = "" },
	} {
		t.Run(name, func(t *testing.T) {
			p := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID]("per"), Tenant: ringfence.DefaultTenant, Status: ringfence.StatusActive,
				Roles: []ringfence.Role{ringfence.RoleAgent}}
			change(&p)
			d.put(p.Tenant, ledger.KindPerson, string(p.ID), nil, p)
			if got := d.ask(d.signIn(p), "GET", "/v1/me", nil); got.Code != 401 && got.Code != 403 {
				t.Errorf("answered %d", got.Code)
			}
		})
	}
}

func TestServiceAccounts(t *testing.T) {
	d := newDesktop(t)
	for name, c := range map[string]Client{
		"no name":                     {Scopes: []Scope{ScopeEvents}},
		"no scope":                    {Name: "erp"},
		"unknown scope":               {Name: "erp", Scopes: []Scope{"everything"}},
		"execute without an executor": {Name: "erp", Scopes: []Scope{ScopeExecute}},
		"an executor without execute": {Name: "erp", Scopes: []Scope{ScopeEvents}, Executor: "erp"},
	} {
		if _, _, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, c, ""); err == nil {
			t.Errorf("%s: was stored", name)
		}
	}
	c, secret, err := d.CreateClient(t.Context(), ringfence.DefaultTenant,
		Client{Name: "erp", Scopes: []Scope{ScopeEvents}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(c.SecretHash, string(secret)) || len(secret) < 60 {
		t.Errorf("the credential has %d characters", len(secret))
	}
	good := "Bearer " + string([]byte(secret))
	rule := rule{scope: ScopeEvents}
	for name, try := range map[string]struct {
		header, from string
		want         int
	}{
		"right":                {good, "192.0.2.9:4000", 200},
		"other network":        {good, "198.51.100.1:4000", 401},
		"other secret":         {good[:len(good)-1] + "_", "192.0.2.9:4000", 401},
		"other tenant":         {strings.Replace(good, "default", "ten_00000000000000000000000000", 1), "192.0.2.9:4000", 401},
		"no such tenant":       {strings.Replace(good, "default", "ten_x", 1), "192.0.2.9:4000", 401},
		"no such account":      {"Bearer default.cli_00000000000000000000000000.x", "192.0.2.9:4000", 401},
		"basic":                {"Basic " + good[7:], "192.0.2.9:4000", 401},
		"no secret":            {"Bearer default." + c.ID + ".", "192.0.2.9:4000", 401},
		"nothing":              {"Bearer", "192.0.2.9:4000", 401},
		"address out of order": {good, "somewhere", 401},
	} {
		r := request(t, "GET", "/", nil, "Authorization", try.header)
		r.RemoteAddr = try.from
		w := httptest.NewRecorder()
		d.guard(rule, func(w http.ResponseWriter, _ *http.Request) {})(w, r)
		if w.Code != try.want {
			t.Errorf("%s: answered %d, want %d", name, w.Code, try.want)
		}
	}
	r := request(t, "GET", "/v1/me", nil, "Authorization", good)
	r.RemoteAddr = "192.0.2.9:4000"
	w := httptest.NewRecorder()
	if d.Staff().ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("a service account on a person's route got %d", w.Code)
	}
}

// A scope opens its own routes of a service account, all of them and no other:
// each route is tried with each scope. Pages and open routes have none.
func TestEveryRouteWithEveryScope(t *testing.T) {
	d := newDesktop(t)
	for _, scope := range scopes {
		c := Client{Name: string(scope), Scopes: []Scope{scope}}
		key := newProofKey(t)
		if scope == ScopeExecute {
			c.Executor, c.Key = "core", key.thumb
		}
		_, secret, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, c, "")
		if err != nil {
			t.Fatal(err)
		}
		credential, opened := string([]byte(secret)), 0
		for _, r := range access {
			if r.open || r.scope == ScopeEvents && scope == ScopeEvents {
				continue // open to all; or a stream, which does not end
			}
			method, path := example(r.pattern)
			w := d.ask(nil, method, path, nil, "Authorization", "DPoP "+credential, "DPoP", key.proof(t, method, path, credential, nil))
			refused := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "Your role does not include this")
			if refused == (r.scope == scope) || w.Code == http.StatusUnauthorized {
				t.Errorf("%s with the scope %s answered %d %s", r.pattern, scope, w.Code, w.Body)
			}
			if !refused {
				opened++
			}
		}
		if opened == 0 && scope != ScopeEvents {
			t.Errorf("the scope %s opens nothing", scope)
		}
	}
}
