package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// Another agent's call answers like one that does not exist, on every command.
func TestForeignCallsDoNotExist(t *testing.T) {
	d := newDesktop(t)
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	mine, foreign := d.signIn(priya), d.signIn(omar)
	bodies := map[string]any{
		"step-ups": map[string]any{"flow": "step-up-code"}, "step-ups/cancel": nil, "hang-up": nil, "pressure": nil,
		"identify":  map[string]any{"kind": "customer", "field": "account", "value": "10002000"},
		"hand-over": map[string]any{"to": omar.ID}, "report": map[string]any{"text": "odd"},
	}
	for verb, body := range bodies {
		real := d.ask(foreign, "POST", "/v1/traversals/"+string(trv)+"/"+verb, body)
		made := d.ask(foreign, "POST", "/v1/traversals/trv_zzzzzzzzzzzzzzzzzzzzzzzzzz/"+verb, body)
		if real.Code != 404 || real.Body.String() != made.Body.String() {
			t.Errorf("%s on another's call answered %d %s; on none %d %s", verb, real.Code, real.Body, made.Code, made.Body)
		}
	}
	if got := d.calls.heard(); len(got) != 0 {
		t.Errorf("the switchboard was told %q", got)
	}
	for verb, body := range bodies {
		if got := d.ask(mine, "POST", "/v1/traversals/"+string(trv)+"/"+verb, body); got.Code >= 300 {
			t.Errorf("%s on one's own call answered %d %s", verb, got.Code, got.Body)
		}
	}
	want := []string{"cancel", "hand over to " + string(omar.ID), "hang up", "identify customer account 10002000", "pressure", "report odd", "step-up step-up-code "}
	got := d.calls.heard()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	// A list shows one's own only.
	var list struct{ Traversals []ringfence.LiveCall }
	json.Unmarshal(d.ask(foreign, "GET", "/v1/traversals", nil).Body.Bytes(), &list)
	if len(list.Traversals) != 0 {
		t.Errorf("Omar sees %v", list.Traversals)
	}
}

func TestSupervisorSeesAndTakesOver(t *testing.T) {
	d := newDesktop(t)
	priya, sam := d.person("Priya", ringfence.RoleAgent), d.person("Sam", ringfence.RoleSupervisor)
	risk := d.person("Rita", ringfence.RoleRisk, ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	if got := d.ask(d.signIn(sam), "POST", "/v1/traversals/"+string(trv)+"/hand-over", map[string]any{"to": risk.ID}); got.Code != 204 {
		t.Errorf("a supervisor's hand-over answered %d %s", got.Code, got.Body)
	}
	// Risk sees the call but does not act on it.
	if got := d.ask(d.signIn(risk), "POST", "/v1/traversals/"+string(trv)+"/hang-up", nil); got.Code != 403 {
		t.Errorf("risk hung up another's call: %d", got.Code)
	}
}

func TestRefusedStepUps(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	cookie := d.signIn(priya)
	path := "/v1/traversals/" + string(trv) + "/step-ups"
	for name, c := range map[string]struct {
		body any
		want int
	}{
		"no flow":      {map[string]any{}, 422},
		"hostile flow": {map[string]any{"flow": "../x"}, 422},
		"unknown flow": {map[string]any{"flow": "no-such-flow"}, 422},
		"right":        {map[string]any{"flow": "step-up-code"}, 202},
		"no body":      {nil, 400},
	} {
		if got := d.ask(cookie, "POST", path, c.body); got.Code != c.want {
			t.Errorf("%s: answered %d %s", name, got.Code, got.Body)
		}
	}
	if got := d.ask(cookie, "POST", path, map[string]any{"flow": "step-up-passkey"}); got.Code != 409 {
		t.Errorf("a second flow at once: answered %d %s", got.Code, got.Body)
	}
}

func TestTakingAWhisperedCall(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	d.calls.change(trv, northwind(""))
	cookie := d.signIn(priya)
	if got := d.ask(cookie, "POST", "/v1/traversals/take", map[string]any{"code": "0000"}); got.Code != 404 {
		t.Errorf("a wrong code answered %d", got.Code)
	}
	if got := d.ask(cookie, "POST", "/v1/traversals/take", map[string]any{"code": "4711"}); got.Code != 200 || !strings.Contains(got.Body.String(), string(trv)) {
		t.Errorf("the right code answered %d %s", got.Code, got.Body)
	}
	last := 0
	for range 10 {
		last = d.ask(cookie, "POST", "/v1/traversals/take", map[string]any{"code": "0000"}).Code
	}
	if last != 429 {
		t.Errorf("the tenth guess answered %d", last)
	}
}

// reader reads server-sent events.
type reader struct {
	t    testing.TB
	scan *bufio.Scanner
	stop func()
}

func (d *desktop) stream(origin string, set func(*http.Request)) *reader {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	r, err := http.NewRequestWithContext(ctx, "GET", origin+"/v1/events", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	set(r)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		d.t.Fatalf("the stream answered %s", answer.Status)
	}
	d.t.Cleanup(func() { cancel(); answer.Body.Close() })
	return &reader{t: d.t, scan: bufio.NewScanner(answer.Body), stop: cancel}
}

// next returns the next event's id, name and data.
func (r *reader) next() (id, name, data string) {
	r.t.Helper()
	for r.scan.Scan() {
		key, value, _ := strings.Cut(r.scan.Text(), ": ")
		switch {
		case key == "id":
			id = value
		case key == "event":
			name = value
		case key == "data":
			data = value
		case key == "" && name != "":
			return id, name, data
		}
	}
	r.t.Fatalf("the stream ended: %v", r.scan.Err())
	return
}

func TestStreamShowsOnesOwnCalls(t *testing.T) {
	d := newDesktop(t)
	origin := serve(t, d.Staff())
	priya, omar := d.person("Priya", ringfence.RoleAgent), d.person("Omar", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	cookie := d.signIn(priya)
	s := d.stream(origin, func(r *http.Request) { r.AddCookie(cookie) })
	next := func() (id, name, data string) { // queues are not what this is about
		for name = "floor"; name == "floor"; {
			id, name, data = s.next()
		}
		return id, name, data
	}
	if _, name, data := next(); name != "call" || !strings.Contains(data, "Dana Reed") {
		t.Fatalf("first came %s %s", name, data)
	}
	if _, name, _ := next(); name != "ready" {
		t.Fatalf("then came %s", name)
	}
	// Hostile text is made inert on its way out.
	d.calls.change(trv, func(c *ringfence.LiveCall) {
		c.CallerName = "evil\u202e\u0007\n<script>" + strings.Repeat("x", 500)
	})
	_, _, data := next()
	var c ringfence.LiveCall
	if err := json.Unmarshal([]byte(data), &c); err != nil || strings.ContainsAny(c.CallerName, "\u202e\u0007\n") || len(c.CallerName) > 90 {
		t.Errorf("shown as %q (%v)", c.CallerName, err)
	}
	// Handed over, it is gone.
	d.calls.change(trv, func(c *ringfence.LiveCall) { c.Owner = omar.ID })
	if _, name, data := next(); name != "gone" || !strings.Contains(data, string(trv)) {
		t.Errorf("after the hand-over came %s %s", name, data)
	}
}

func TestServiceAccountFollowsTheLedger(t *testing.T) {
	d := newDesktop(t)
	origin := serve(t, d.Staff())
	_, secret, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, Client{Name: "siem", Scopes: []Scope{ScopeEvents}}, "")
	if err != nil {
		t.Fatal(err)
	}
	auth := func(last string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+string([]byte(secret)))
			if last != "" {
				r.Header.Set("Last-Event-ID", last)
			}
		}
	}
	write := func(n int) {
		err := d.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			for range n {
				if _, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write(3)
	s := d.stream(origin, auth("1"))
	for want := 2; want < 4; want++ {
		if id, name, _ := s.next(); id != fmt.Sprint(want) || name != "alert.raised" {
			t.Errorf("got %s %s, want entry %d", id, name, want)
		}
	}
	write(1)
	if id, _, _ := s.next(); id != "4" {
		t.Errorf("got entry %s, want 4", id)
	}
	bad := httptest.NewRecorder()
	r := request(t, "GET", "/v1/events", nil, "Last-Event-ID", "x")
	auth("x")(r)
	if d.Staff().ServeHTTP(bad, r); bad.Code != 422 {
		t.Errorf("a senseless Last-Event-ID answered %d", bad.Code)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	d.calls.change(trv, northwind(priya.ID))
	cookie := d.signIn(priya)
	path := "/v1/traversals/" + string(trv) + "/report"
	ask := func(key string, text string) *httptest.ResponseRecorder {
		return d.ask(cookie, "POST", path, map[string]any{"text": text}, "Idempotency-Key", key)
	}
	for name, key := range map[string]string{"none": "", "too short": "abc", "too long": strings.Repeat("k", 129)} {
		if got := ask(key, "x"); got.Code != 400 {
			t.Errorf("%s: answered %d", name, got.Code)
		}
	}
	first := ask("key-00000001", "odd")
	again := ask("key-00000001", "odd")
	if first.Code != 204 || again.Code != 204 || again.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("answered %d, then %d %v", first.Code, again.Code, again.Header())
	}
	if got := ask("key-00000001", "other"); got.Code != 409 {
		t.Errorf("the same key with another body answered %d", got.Code)
	}
	if got := d.calls.heard(); !slices.Equal(got, []string{"report odd"}) {
		t.Errorf("done %q", got)
	}
	// Many at once do it once.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { ask("key-00000002", "race") })
	}
	wg.Wait()
	if n := len(slices.DeleteFunc(d.calls.heard(), func(s string) bool { return s != "report race" })); n != 1 {
		t.Errorf("done %d times", n)
	}
	// A store that fails refuses, and nothing is done.
	d.store.Fail = func() error { return fmt.Errorf("disk") }
	got := ask("key-00000003", "lost")
	d.store.Fail = nil
	if got.Code < 500 || slices.Contains(d.calls.heard(), "report lost") {
		t.Errorf("with a failing store: %d, told %q", got.Code, d.calls.heard())
	}
	if strings.Contains(got.Body.String(), "disk") {
		t.Errorf("the inner error leaked: %s", got.Body)
	}
}

func TestLedgerIsShownWithProof(t *testing.T) {
	d := newDesktop(t)
	cookie := d.signIn(d.person("Ada", ringfence.RoleAuditor))
	err := d.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for i := range 7 {
			if _, err := tx.Append(t.Context(), ledger.Entry{Event: "alert.raised", Traversal: ringfence.TraversalID(fmt.Sprintf("trv_%026d", i%2))}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var page struct {
		Entries []ledger.Entry
		Size    int64
		Next    *int64
	}
	read := func(query string) int {
		page.Entries, page.Next = nil, nil
		w := d.ask(cookie, "GET", "/v1/ledger/entries"+query, nil)
		json.Unmarshal(w.Body.Bytes(), &page)
		return w.Code
	}
	if code := read("?limit=3"); code != 200 || len(page.Entries) != 3 || page.Size != 7 || page.Next == nil || *page.Next != 3 {
		t.Errorf("page: %d %+v", code, page)
	}
	if code := read("?limit=3&newest=true"); code != 200 || page.Entries[0].Index != 6 || *page.Next != 3 {
		t.Errorf("newest: %d %+v", code, page)
	}
	if code := read("?traversal=" + string(trv)); code != 200 || len(page.Entries) != 3 || page.Next != nil {
		t.Errorf("of one call: %d %+v", code, page)
	}
	for _, query := range []string{"?limit=0", "?limit=201", "?from=-1", "?event=made.up", "?traversal=a&release=b", "?x=1", "?limit=a"} {
		if code := read(query); code != 422 && code != 400 {
			t.Errorf("%s answered %d", query, code)
		}
	}
	w := d.ask(cookie, "GET", "/v1/ledger/proof?index=4", nil)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"root"`) {
		t.Errorf("proof: %d %s", w.Code, w.Body)
	}
	for _, query := range []string{"?index=7", "?index=6&size=3", "?index=1&size=99", ""} {
		if w := d.ask(cookie, "GET", "/v1/ledger/proof"+query, nil); w.Code != 404 && w.Code != 422 {
			t.Errorf("proof%s answered %d", query, w.Code)
		}
	}
}

func TestDirectoryShowsNoMoreThanItMay(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	sub := ringfence.SubjectID("sub_00000000000000000000000001")
	p := ringfence.ContactPoint{ID: "cpt_1", Subject: sub, Type: ringfence.ContactMobile, Value: "447700900917", StoredAt: time.Now(), Status: ringfence.StatusActive}
	d.put(ringfence.DefaultTenant, ledger.KindContactPoint, "cpt_1", map[string]string{"subject": string(sub)}, p)
	m := ringfence.ContactPoint{ID: "cpt_2", Subject: sub, Type: ringfence.ContactEmail, Value: "dana.reed@northwind.example", StoredAt: time.Now(), Status: ringfence.StatusActive}
	d.put(ringfence.DefaultTenant, ledger.KindContactPoint, "cpt_2", map[string]string{"subject": string(sub)}, m)
	d.put(ringfence.DefaultTenant, ledger.KindSubject, string(sub), nil, ringfence.Subject{ID: sub, Tenant: ringfence.DefaultTenant, Kind: "customer", Status: ringfence.StatusActive})
	cookie := d.signIn(priya)
	if got := d.ask(cookie, "GET", "/v1/contact-points?subject="+string(sub), nil); got.Code != 404 {
		t.Errorf("without a call about the subject: %d", got.Code)
	}
	d.calls.change(trv, northwind(priya.ID))
	got := d.ask(cookie, "GET", "/v1/contact-points?subject="+string(sub), nil)
	if got.Code != 200 || !strings.Contains(got.Body.String(), `"…17"`) || !strings.Contains(got.Body.String(), `"…ed@…"`) {
		t.Errorf("answered %d %s", got.Code, got.Body)
	}
	for _, leak := range []string{"447700", "dana", "northwind.example"} {
		if strings.Contains(got.Body.String(), leak) {
			t.Errorf("shows %q: %s", leak, got.Body)
		}
	}
}

func TestUnknownErrorsShowNothing(t *testing.T) {
	d := newDesktop(t)
	p := d.problemOf(request(t, "GET", "/", nil), fmt.Errorf("dial tcp 10.0.0.1: secret"))
	if p.Kind() != problem.Internal || strings.Contains(p.Error(), "10.0.0.1") {
		t.Errorf("got %v", p)
	}
}
