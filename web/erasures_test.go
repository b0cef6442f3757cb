package web

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// signs signs what waits under a path, and returns status and whether all is
// done.
func (w witnessing) signs(at string) (int, bool) {
	w.s.t.Helper()
	got := w.s.ask(w.cookie, "POST", at+"/begin", nil)
	if got.Code != 200 {
		return got.Code, false
	}
	begun := decode[struct {
		Ceremony string
		Options  json.RawMessage
	}](w.s.t, got)
	body, err := w.key.Assert(begun.Options)
	if err != nil {
		w.s.t.Fatal(err)
	}
	got = w.s.ask(w.cookie, "POST", at+"/finish", map[string]any{"ceremony": begun.Ceremony, "response": json.RawMessage(body)})
	return got.Code, got.Code == 200 && decode[struct{ Done bool }](w.s.t, got).Done
}

// A subject is erased by two persons of the right roles and by nobody else, and
// not while an action is under way. Afterwards nothing finds them.
func TestASubjectIsErasedByTwo(t *testing.T) {
	s := newStaffed(t)
	for kind, row := range map[ledger.Kind]any{
		ledger.KindSubject: ringfence.Subject{ID: sub, Tenant: ringfence.DefaultTenant, Kind: "customer", Status: ringfence.StatusActive, Record: map[string]string{"account": "10002000"}},
		ledger.KindContactPoint: ringfence.ContactPoint{ID: "cpt_00000000000000000000000001", Tenant: ringfence.DefaultTenant, Subject: sub, Type: ringfence.ContactMobile,
			Value: "447700900917", Status: ringfence.StatusActive},
	} {
		err := s.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			rec := ledger.Record{Kind: kind, ID: string(sub), Subject: sub, Keys: map[string]string{"customer:account": "10002000", "subject": string(sub)}}
			return ledger.Write(t.Context(), tx, &rec, row)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ada, bo := s.witnessing("Ada", ringfence.RoleAdmin), s.witnessing("Bo", ringfence.RoleRisk)
	priya := s.person("Priya", ringfence.RoleAgent)
	agent, ops := s.signIn(priya), s.signIn(s.person("Omar", ringfence.RoleOps))
	erase, draft := "/v1/subjects/"+string(sub)+"/erase", "/v1/erasures/"+string(sub)
	why := map[string]any{"reason": "asked by letter of 20 November"}
	if s.ask(agent, "POST", erase, why).Code != 403 || s.ask(ops, "POST", erase, why).Code != 403 {
		t.Error("somebody without the role proposes an erasure")
	}
	if w := s.ask(ada.cookie, "POST", "/v1/subjects/sub_00000000000000000000000009/erase", why); w.Code != 404 {
		t.Errorf("nobody is to be erased: %d", w.Code)
	}
	if w := s.ask(ada.cookie, "POST", erase, map[string]any{}); w.Code != 422 {
		t.Errorf("without a reason: %d", w.Code)
	}
	s.calls.change(trv, northwind(priya.ID))
	open := decode[releaseView](t, s.ask(agent, "POST", "/v1/actions", map[string]any{"type": "statement", "traversal": trv, "fields": map[string]string{"from_date": "2026-01-01", "copies": "1"}},
		"Idempotency-Key", "an-open-action"))
	if w := s.ask(ada.cookie, "POST", erase, why); w.Code != 422 || !strings.Contains(w.Body.String(), "under way") {
		t.Errorf("with an action under way: %d %s", w.Code, w.Body)
	}
	s.ask(agent, "POST", "/v1/releases/"+string(open.ID)+"/cancel", map[string]any{})
	if w := s.ask(ada.cookie, "POST", erase, why); w.Code != 204 {
		t.Fatalf("proposed: %d %s", w.Code, w.Body)
	}
	forged := map[string]any{"ceremony": strings.Repeat("0", 32), "response": map[string]any{}}
	if w := s.ask(bo.cookie, "POST", draft+"/finish", forged); w.Code != 422 {
		t.Errorf("a made-up signature: %d", w.Code)
	}
	for range 2 {
		if code, done := ada.signs(draft); code != 200 || done {
			t.Fatalf("one person: %d %v", code, done)
		}
	}
	list := decode[struct{ Erasures []erasureView }](t, s.ask(bo.cookie, "GET", "/v1/erasures", nil)).Erasures
	if len(list) != 1 || list[0].Subject != sub || list[0].Mine || len(list[0].Signed) != 1 || list[0].By != "Ada" {
		t.Errorf("what waits: %+v", list)
	}
	if s.ask(bo.cookie, "GET", "/v1/subjects/"+string(sub), nil).Code != 200 {
		t.Error("erased by one")
	}
	if code, done := bo.signs(draft); code != 200 || !done {
		t.Fatalf("two persons: %d %v", code, done)
	}
	if w := s.ask(bo.cookie, "GET", "/v1/subjects/"+string(sub), nil); w.Code != 404 {
		t.Errorf("after it: %d %s", w.Code, w.Body)
	}
	if w := s.ask(bo.cookie, "GET", "/v1/subjects?kind=customer&field=account&value=10002000", nil); strings.Contains(w.Body.String(), string(sub)) {
		t.Error("found by the value that identified them")
	}
	if code, _ := bo.signs(draft); code != 404 {
		t.Errorf("signed once more: %d", code)
	}
	told := 0
	for _, e := range s.store.Entries(ringfence.DefaultTenant) {
		if e.Event == "subject.erased" {
			told++
			if e.Object != string(sub) || e.Subject != "" || e.Data["signed_1"] == "" || e.Data["signed_2"] == "" || e.Data["reason"] == "" {
				t.Errorf("the entry is %+v", e)
			}
		}
	}
	if told != 1 {
		t.Errorf("the log tells it %d times", told)
	}
}
