package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

const sub = ringfence.SubjectID("sub_00000000000000000000000001")

// dana stores the subject of northwind's call, with a phone and a passkey that
// are old enough for anything.
func (d *desktop) dana() {
	d.t.Helper()
	old := time.Now().Add(-2000 * time.Hour)
	d.put(ringfence.DefaultTenant, ledger.KindSubject, string(sub), map[string]string{"customer:account": "10002000", "kind": "customer"},
		ringfence.Subject{ID: sub, Tenant: ringfence.DefaultTenant, Kind: "customer", Status: ringfence.StatusActive, Record: map[string]string{"account": "10002000"}, StoredAt: old})
	d.put(ringfence.DefaultTenant, ledger.KindContactPoint, "cpt_00000000000000000000000001", map[string]string{"subject": string(sub)}, ringfence.ContactPoint{
		ID: "cpt_00000000000000000000000001", Tenant: ringfence.DefaultTenant, Subject: sub, Type: ringfence.ContactMobile, Value: "447700900917",
		VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusActive})
	d.put(ringfence.DefaultTenant, ledger.KindAuthenticator, "aut_00000000000000000000000001", map[string]string{"subject": string(sub)}, ringfence.Authenticator{
		ID: "aut_00000000000000000000000001", Tenant: ringfence.DefaultTenant, Subject: sub, Type: ringfence.AuthPasskey, BoundAt: old, StoredAt: old, Status: ringfence.StatusActive})
}

// prove writes evidence for a release as verify would.
func (d *desktop) prove(r ringfence.ReleaseID, digest ringfence.Digest, fact ringfence.Fact, strength ringfence.Strength) {
	d.t.Helper()
	e := ringfence.Evidence{ID: ringfence.NewID[ringfence.EvidenceID]("evd"), Tenant: ringfence.DefaultTenant, Subject: sub, Fact: fact, Strength: strength,
		Authenticator: "aut_00000000000000000000000001", ContactPoint: "cpt_00000000000000000000000001", Traversal: trv, Release: r, Digest: digest, Presented: true, At: time.Now()}
	d.put(ringfence.DefaultTenant, ledger.KindEvidence, string(e.ID), map[string]string{"release": string(r), "traversal": string(trv), "subject": string(sub)}, e)
}

func decode[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

var statement = map[string]any{"type": "statement", "fields": map[string]string{"from_date": "2026-01-01", "copies": "1"}, "traversal": trv, "asked_by": "phone"}

func changed(change func(map[string]any)) map[string]any {
	out := map[string]any{}
	for k, v := range statement {
		out[k] = v
	}
	change(out)
	return out
}

func TestOpeningAnActionIsRefused(t *testing.T) {
	d := newDesktop(t)
	d.dana()
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	mine := d.signIn(priya)
	for name, c := range map[string]struct {
		cookie *http.Cookie
		body   any
		want   int
	}{
		"another's call":  {d.signIn(omar), statement, 404},
		"no call":         {mine, changed(func(m map[string]any) { delete(m, "traversal") }), 404},
		"no such call":    {mine, changed(func(m map[string]any) { m["traversal"] = "trv_zzzzzzzzzzzzzzzzzzzzzzzzzz" }), 404},
		"another subject": {mine, changed(func(m map[string]any) { m["subject"] = "sub_00000000000000000000000002" }), 422},
		"no such action":  {mine, changed(func(m map[string]any) { m["type"] = "wire_everything" }), 422},
		"field missing":   {mine, changed(func(m map[string]any) { m["fields"] = map[string]string{"copies": "1"} }), 422},
		"field too many": {mine, changed(func(m map[string]any) {
			m["fields"] = map[string]string{"from_date": "2026-01-01", "copies": "1", "x": "y"}
		}), 422},
		"field out of shape": {mine, changed(func(m map[string]any) { m["fields"] = map[string]string{"from_date": "yesterday", "copies": "1"} }), 422},
		"asked by fax":       {mine, changed(func(m map[string]any) { m["asked_by"] = "fax" }), 422},
		"a number as field":  {mine, `{"type":"statement","fields":{"copies":1}}`, 422},
		"supervisor":         {d.signIn(d.person("Sam", ringfence.RoleSupervisor)), statement, 403},
	} {
		got := d.ask(c.cookie, "POST", "/v1/actions", c.body)
		if got.Code != c.want || !strings.HasPrefix(decode[problem.Problem](t, got).Type, "urn:ringfence:problem:") {
			t.Errorf("%s: answered %d %s, want %d", name, got.Code, got.Body, c.want)
		}
	}
	d.calls.change(trv, func(c *ringfence.LiveCall) { c.State = "suspended" })
	if got := d.ask(mine, "POST", "/v1/actions", statement); got.Code != 409 {
		t.Errorf("on a suspended call: answered %d", got.Code)
	}
	d.calls.change(trv, func(c *ringfence.LiveCall) { c.State, c.Subject = "talking", "" })
	if got := d.ask(mine, "POST", "/v1/actions", statement); got.Code != 422 {
		t.Errorf("with nobody identified: answered %d", got.Code)
	}
	if all, _ := d.gate.List(t.Context(), ringfence.DefaultTenant, gate.Filter{}); len(all) != 0 {
		t.Errorf("%d releases were opened", len(all))
	}
}

func TestReleaseAsksTheGate(t *testing.T) {
	d := newDesktop(t)
	d.dana()
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	mine, foreign := d.signIn(priya), d.signIn(omar)
	opened := d.ask(mine, "POST", "/v1/actions", statement)
	r := decode[releaseView](t, opened)
	if opened.Code != 201 || r.State != gate.StatePendingEvidence || r.Decision != "step_up" || r.Next == "" || strings.Contains(opened.Body.String(), "nonce") {
		t.Fatalf("opened %d %s", opened.Code, opened.Body)
	}
	path := "/v1/releases/" + string(r.ID)
	release := map[string]any{"digest": r.Digest}

	// Nothing proved: RFC 9470, with what is missing.
	w := d.ask(mine, "POST", path+"/release", release)
	p := decode[problem.Problem](t, w)
	if w.Code != 403 || p.Code != "insufficient_user_authentication" || len(p.Missing) != 1 || p.Missing[0] != ringfence.FactPasskey || p.Next == "" {
		t.Errorf("unproved: %d %s", w.Code, w.Body)
	}
	// Another action's proof is no proof.
	d.prove(r.ID, ringfence.Digest{9}, ringfence.FactPasskey, ringfence.StrengthPasskey)
	if w := d.ask(mine, "POST", path+"/release", release); w.Code != 403 {
		t.Errorf("with another digest's proof: %d %s", w.Code, w.Body)
	}
	// Another agent cannot see it, ask for it, end it.
	for _, verb := range []string{"", "/release", "/cancel", "/reject"} {
		method := map[bool]string{true: "GET", false: "POST"}[verb == ""]
		if w := d.ask(foreign, method, path+verb, map[string]any{"digest": r.Digest}); w.Code != 404 && w.Code != 422 {
			t.Errorf("another agent's %s%s: %d %s", method, verb, w.Code, w.Body)
		}
	}
	d.prove(r.ID, r.Digest, ringfence.FactPasskey, ringfence.StrengthPasskey)
	if got := decode[releaseView](t, d.ask(mine, "GET", path, nil)); got.Decision != "allow" || got.Fields["copies"] != "1" {
		t.Errorf("proved, it reads %+v", got)
	}
	// A digest that is not the action's is a conflict, even when all is proved.
	for _, digest := range []any{ringfence.Digest{1}.String(), ""} {
		if w := d.ask(mine, "POST", path+"/release", map[string]any{"digest": digest}); w.Code != 409 {
			t.Errorf("digest %v: %d %s", digest, w.Code, w.Body)
		}
	}
	w = d.ask(mine, "POST", path+"/release", release)
	if got := decode[releaseView](t, w); w.Code != 200 || got.State != gate.StateReady && got.State != gate.StateCooling {
		t.Errorf("proved: %d %s", w.Code, w.Body)
	}
	// Stopped by the person, nothing moves it.
	if w := d.ask(mine, "POST", path+"/reject", map[string]any{}); w.Code != 200 {
		t.Errorf("reject: %d %s", w.Code, w.Body)
	}
	w = d.ask(mine, "POST", path+"/release", release)
	if p := decode[problem.Problem](t, w); w.Code != 409 || p.Kind() != problem.Held {
		t.Errorf("held: %d %s", w.Code, w.Body)
	}
}

func TestOnlyTheExecutorGetsThePermitAndOnce(t *testing.T) {
	d := newDesktop(t)
	d.dana()
	priya := d.person("Priya", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	mine := d.signIn(priya)
	r := decode[releaseView](t, d.ask(mine, "POST", "/v1/actions", statement))
	d.prove(r.ID, r.Digest, ringfence.FactPasskey, ringfence.StrengthPasskey)
	if w := d.ask(mine, "POST", "/v1/releases/"+string(r.ID)+"/release", map[string]any{"digest": r.Digest}); w.Code != 200 {
		t.Fatalf("release: %d %s", w.Code, w.Body)
	}
	if err := d.gate.Tick(t.Context(), ringfence.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	client := func(name string, c Client) func(method, path string, body any, headers ...string) *httptest.ResponseRecorder {
		c.Name = name
		key := newProofKey(t)
		if c.Executor != "" {
			c.Key = key.thumb
		}
		_, secret, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, c, "")
		if err != nil {
			t.Fatal(err)
		}
		return func(method, path string, body any, headers ...string) *httptest.ResponseRecorder {
			credential := string([]byte(secret))
			return d.ask(nil, method, path, body, append(headers, "Authorization", "DPoP "+credential, "DPoP", key.proof(t, method, path, credential, nil))...)
		}
	}
	core := client("core", Client{Scopes: []Scope{ScopeExecute, ScopeReleases}, Executor: "core"})
	other := client("other", Client{Scopes: []Scope{ScopeExecute, ScopeReleases}, Executor: "other"})
	erp := client("erp", Client{Scopes: []Scope{ScopeActions, ScopeReleases}})
	path := "/v1/releases/" + string(r.ID) + "/permit"

	if w := d.ask(mine, "POST", path, nil); w.Code != 403 {
		t.Errorf("a person fetched a permit: %d", w.Code)
	}
	if w := erp("POST", path, nil); w.Code != 403 {
		t.Errorf("a service account without the scope: %d", w.Code)
	}
	if w := other("POST", path, nil); w.Code != 404 {
		t.Errorf("another executor: %d %s", w.Code, w.Body)
	}
	list := decode[struct{ Releases []releaseView }](t, core("GET", "/v1/releases", nil))
	if len(list.Releases) != 1 || list.Releases[0].ID != r.ID {
		t.Errorf("ready for the executor: %+v", list)
	}
	w := core("POST", path, nil, "Idempotency-Key", "fetch-0001")
	permit := decode[struct{ Permit string }](t, w).Permit
	if w.Code != 200 || strings.Count(permit, ".") != 2 || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("permit: %d %s", w.Code, w.Body)
	}
	if w := core("POST", path, nil, "Idempotency-Key", "fetch-0001"); w.Code != 409 || strings.Contains(w.Body.String(), permit) {
		t.Errorf("the same key again: %d %s", w.Code, w.Body)
	}
	if w := other("POST", "/v1/permits/redeem", map[string]any{"permit": permit}); w.Code != 403 {
		t.Errorf("another executor redeemed: %d %s", w.Code, w.Body)
	}
	if w := core("POST", "/v1/permits/redeem", map[string]any{"permit": permit[:len(permit)-8] + "AAAAAAAA"}); w.Code != 403 {
		t.Errorf("a bent permit: %d %s", w.Code, w.Body)
	}
	redeem := func(key string) *httptest.ResponseRecorder {
		return core("POST", "/v1/permits/redeem", map[string]any{"permit": permit}, "Idempotency-Key", key)
	}
	w = redeem("redeem-0001")
	got := decode[struct {
		Canonical string
		Permit    ringfence.PermitID
	}](t, w)
	if w.Code != 200 || !strings.Contains(got.Canonical, `"copies":"1"`) || !strings.Contains(got.Canonical, `"nonce"`) {
		t.Fatalf("redeemed: %d %s", w.Code, w.Body)
	}
	if w := redeem("redeem-0001"); w.Code != 200 {
		t.Errorf("the same key after a crash: %d %s", w.Code, w.Body)
	}
	if w := redeem("redeem-0002"); w.Code != 409 {
		t.Errorf("a replay: %d %s", w.Code, w.Body)
	}
	for outcome, want := range map[string]int{"maybe": 422} {
		if w := core("POST", "/v1/permits/"+string(got.Permit)+"/report", map[string]any{"outcome": outcome}); w.Code != want {
			t.Errorf("report %s: %d", outcome, w.Code)
		}
	}
	if w := other("POST", "/v1/permits/"+string(got.Permit)+"/report", map[string]any{"outcome": "executed"}); w.Code != 404 {
		t.Errorf("another executor reported: %d", w.Code)
	}
	if w := core("POST", "/v1/permits/"+string(got.Permit)+"/report", map[string]any{"outcome": "executed"}); w.Code != 204 {
		t.Errorf("report: %d %s", w.Code, w.Body)
	}
	if now := decode[releaseView](t, d.ask(mine, "GET", "/v1/releases/"+string(r.ID), nil)); now.State != gate.StateExecuted {
		t.Errorf("it is %s", now.State)
	}
	// Nothing that web itself keeps holds the action or the permit.
	err := d.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		rows, err := tx.List(t.Context(), kindAnswer, ledger.Query{})
		for _, row := range rows {
			var a answerRow
			if err := json.Unmarshal(row.Body, &a); err != nil {
				return err
			}
			if strings.Contains(string(a.Answer), permit) || strings.Contains(string(a.Answer), "nonce") || strings.Contains(string(a.Answer), "copies") {
				t.Errorf("kept: %s", a.Answer)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestJWKSHoldsThePermitKey(t *testing.T) {
	d := newDesktop(t)
	w := d.ask(nil, "GET", "/.well-known/jwks.json", nil)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"kty":"OKP"`) || strings.Contains(w.Body.String(), `"d":`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
