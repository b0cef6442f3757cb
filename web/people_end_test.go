package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

// ends reads a stream to its end, and returns the events that came.
func (r *reader) ends() (names []string) {
	r.t.Helper()
	for r.scan.Scan() {
		if name, ok := strings.CutPrefix(r.scan.Text(), "event: "); ok {
			names = append(names, name)
		}
	}
	if err := r.scan.Err(); err != nil {
		r.t.Fatalf("the stream did not end by itself: %v (after %v)", err, names)
	}
	return names
}

// Whoever is suspended is out at once, wherever they are: streams, calls in
// every browser and at the desk, and what they had begun to sign.
func TestASuspendedPersonIsOutAtOnce(t *testing.T) {
	phones := newFakePhones()
	s := newStaffed(t, func(c *Config) { c.Softphones, c.Heartbeat = phones, time.Hour })
	boss := s.signIn(s.person("Ada", ringfence.RoleAdmin))
	omar := s.witnessing("Omar", ringfence.RoleRisk)
	s.change(omar.person, func(p *ringfence.Person) { p.Roles = append(p.Roles, ringfence.RoleAgent) })
	s.calls.change(trv, northwind(omar.person.ID))
	phones.set(omar.person.ID, PhoneCall{Leg: ringingLeg, Live: true, Since: time.Now()})
	other := s.signIn(omar.person) // in another browser
	streams := []*reader{}
	for _, cookie := range []*http.Cookie{omar.cookie, other} {
		streams = append(streams, s.stream(s.origin, func(r *http.Request) { r.AddCookie(cookie) }))
	}
	if w := s.ask(omar.cookie, "POST", "/v1/softphone", map[string]any{"on": true}); w.Code != 204 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	draft := decode[struct{ ID string }](t, s.ask(boss, "POST", "/v1/people/drafts", map[string]any{"name": "Nina", "email": "nina@example.com", "roles": []string{"agent"}})).ID
	begun := decode[struct {
		Ceremony string
		Options  json.RawMessage
	}](t, s.ask(omar.cookie, "POST", "/v1/people/drafts/"+draft+"/begin", map[string]any{}))
	response, err := omar.key.Assert(begun.Options)
	if err != nil {
		t.Fatal(err)
	}

	if w := s.ask(boss, "POST", "/v1/people/"+string(omar.person.ID)+"/suspend", nil); w.Code != 204 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, stream := range streams {
		if names := stream.ends(); !slices.Contains(names, "signed_out") {
			t.Errorf("a stream ended with %v", names)
		}
	}
	if !slices.Contains(phones.told, "hang up") {
		t.Errorf("the calls in the browser went on: %v", phones.told)
	}
	if !slices.Contains(s.calls.heard(), "hang up") {
		t.Errorf("the live call went on: %v", s.calls.heard())
	}
	if s.Reachable(ringfence.DefaultTenant, omar.person.ID) {
		t.Error("calls still ring in the browser")
	}
	for _, cookie := range []*http.Cookie{omar.cookie, other} {
		if w := s.ask(cookie, "GET", "/v1/me", nil); w.Code != 401 {
			t.Errorf("a session answered %d", w.Code)
		}
	}
	// Let in again by two, nothing of before is there any more.
	s.change(omar.person, func(p *ringfence.Person) { p.Status = ringfence.StatusActive })
	again := s.signIn(omar.person)
	if w := s.ask(again, "POST", "/v1/people/drafts/"+draft+"/finish", map[string]any{"ceremony": begun.Ceremony, "response": json.RawMessage(response)}); w.Code != 422 {
		t.Errorf("a signature that was begun before: %d %s", w.Code, w.Body)
	}
	if w := s.ask(omar.cookie, "GET", "/v1/me", nil); w.Code != 401 {
		t.Errorf("a session of before came back: %d", w.Code)
	}
}

// A stream of another node, which nobody rings there, finds out by itself.
func TestAStreamFindsOutThatItsPersonIsStopped(t *testing.T) {
	phones := newFakePhones()
	s := newStaffed(t, func(c *Config) { c.Softphones, c.Heartbeat = phones, time.Hour })
	omar := s.person("Omar", ringfence.RoleAgent)
	cookie := s.signIn(omar)
	stream := s.stream(s.origin, func(r *http.Request) { r.AddCookie(cookie) })
	phones.set(omar.ID, PhoneCall{Leg: ringingLeg, Live: true, Since: time.Now()})
	s.change(omar, func(p *ringfence.Person) { p.Status = ringfence.StatusSuspended })
	if names := stream.ends(); !slices.Contains(names, "signed_out") {
		t.Errorf("the stream ended with %v", names)
	}
	if !slices.Contains(phones.told, "hang up") {
		t.Errorf("the calls in the browser went on: %v", phones.told)
	}
}

// The stream of a service account ends with the account.
func TestTheStreamOfAnEndedAccountEnds(t *testing.T) {
	d := newDesktop(t)
	origin := serve(t, d.Staff())
	boss := d.signIn(d.person("Ada", ringfence.RoleAdmin))
	c, credential, err := d.CreateClient(t.Context(), ringfence.DefaultTenant, Client{Name: "siem", Scopes: []Scope{ScopeEvents}}, "")
	if err != nil {
		t.Fatal(err)
	}
	stream := d.stream(origin, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+string([]byte(credential))) })
	if w := d.ask(boss, "POST", "/v1/clients/"+c.ID+"/remove", nil); w.Code != 204 {
		t.Fatal(w.Code)
	}
	stream.ends()
}

// A reset is asked for by one and signed by another, and ends with a link.
func TestAResetEndsPasskeyAndSessions(t *testing.T) {
	s := newStaffed(t)
	ada, rita, omar := s.witnessing("Ada", ringfence.RoleAdmin), s.witnessing("Rita", ringfence.RoleRisk), s.witnessing("Omar", ringfence.RoleAgent)
	at, path := "/v1/people/"+string(omar.person.ID), "/v1/people/resets/"+string(omar.person.ID)
	if w := s.ask(omar.cookie, "POST", at+"/reset", map[string]any{"why": "x"}); w.Code != 403 {
		t.Errorf("an agent asked: %d", w.Code)
	}
	for _, why := range []string{" ", "call 020 7946 0991"} {
		if w := s.ask(ada.cookie, "POST", at+"/reset", map[string]any{"why": why}); w.Code != 422 {
			t.Errorf("%q: %d", why, w.Code)
		}
	}
	if w := s.ask(ada.cookie, "POST", path+"/begin", map[string]any{}); w.Code != 404 {
		t.Errorf("nobody asked: %d", w.Code)
	}
	if w := s.ask(ada.cookie, "POST", at+"/reset", map[string]any{"why": "Laptop stolen."}); w.Code != 204 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := s.ask(ada.cookie, "POST", path+"/begin", map[string]any{}); w.Code != 403 {
		t.Errorf("who asked begins to sign: %d", w.Code)
	}
	begun := decode[struct {
		Ceremony string
		Options  json.RawMessage
	}](t, s.ask(rita.cookie, "POST", path+"/begin", map[string]any{}))
	response, err := rita.key.Assert(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]any{"ceremony": begun.Ceremony, "response": json.RawMessage(response)}
	if w := s.ask(ada.cookie, "POST", path+"/finish", last); w.Code != 403 {
		t.Errorf("who asked finishes: %d", w.Code)
	}
	w := s.ask(rita.cookie, "POST", path+"/finish", last)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "/invite#") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := s.ask(omar.cookie, "GET", "/v1/me", nil); w.Code != 401 {
		t.Errorf("their session goes on: %d", w.Code)
	}
	if w := s.ask(rita.cookie, "POST", path+"/begin", map[string]any{}); w.Code != 404 {
		t.Errorf("a second time: %d", w.Code)
	}
}
