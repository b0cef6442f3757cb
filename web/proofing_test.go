package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/proofing"
)

// withProofing lets the gate of the desktop judge witnesses, as cmd joins them.
func withProofing(d **desktop) func(*Config) {
	return func(cfg *Config) {
		v, err := verify.New(verify.Config{Store: cfg.Store, Pepper: ringfence.Secret(strings.Repeat("p", 32))})
		if err != nil {
			panic(err)
		}
		desk, err := proofing.NewDesk(v, func(ctx context.Context, tx verify.Tx, tenant ringfence.TenantID, id ringfence.ReleaseID, signed []verify.Signature) (proofing.Matter, error) {
			var sigs []gate.Signature
			for _, one := range signed {
				assertion, err := json.Marshal(one)
				if err != nil {
					return proofing.Matter{}, err
				}
				sigs = append(sigs, gate.Signature{Person: one.Person, Authenticator: one.Authenticator, Assertion: assertion})
			}
			r, err := (*d).gate.Witnessed(ctx, tx, tenant, id, sigs...)
			return proofing.Matter{Subject: r.Proves, Release: r.ID, Digest: r.Digest}, err
		}, nil)
		if err != nil {
			panic(err)
		}
		cfg.Proofing = desk
	}
}

// witnessing is a member of staff with a passkey and a session.
type witnessing struct {
	s      *staffed
	person ringfence.Person
	cookie *http.Cookie
	key    *passkeytest.Authenticator
}

func (s *staffed) witnessing(name string, role ringfence.Role) witnessing {
	s.t.Helper()
	p := s.person(name, role)
	w := witnessing{s, p, s.signIn(p), passkeytest.New(s.origin)}
	_, token, _ := strings.Cut(s.invite(p), "#")
	options, ok, err := s.keys.Invites.Begin(s.t.Context(), p.Tenant, ringfence.Secret(token))
	if err != nil || !ok {
		s.t.Fatal(ok, err)
	}
	body, err := w.key.Register(options)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, ok, err := s.keys.Invites.Finish(s.t.Context(), p.Tenant, ringfence.Secret(token), body); err != nil || !ok {
		s.t.Fatal(ok, err)
	}
	return w
}

// sign signs as the console does and returns status and answer.
func (w witnessing) sign(r releaseView) (int, bool) {
	w.s.t.Helper()
	at := "/v1/releases/" + string(r.ID) + "/proofing/"
	got := w.s.ask(w.cookie, "POST", at+"begin", map[string]any{"digest": r.Digest})
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
	got = w.s.ask(w.cookie, "POST", at+"finish", map[string]any{"digest": r.Digest, "ceremony": begun.Ceremony, "response": json.RawMessage(body)})
	return got.Code, got.Code == 200 && decode[struct{ Done bool }](w.s.t, got).Done
}

func TestTwoColleaguesProofAnIdentity(t *testing.T) {
	var d *desktop
	s := newStaffed(t, withProofing(&d))
	d = s.desktop
	s.dana()
	priya, omar, audit := s.witnessing("Priya", ringfence.RoleAgent), s.witnessing("Omar", ringfence.RoleAgent), s.witnessing("Alma", ringfence.RoleAuditor)
	owner := s.person("Olga", ringfence.RoleAgent)
	s.calls.change(trv, northwind(owner.ID))
	opened := s.ask(s.signIn(owner), "POST", "/v1/actions", map[string]any{"type": "start_again", "traversal": trv, "asked_by": "in_person", "fields": map[string]string{"holder": "Dana Example"}})
	if opened.Code != 201 {
		t.Fatalf("%d %s", opened.Code, opened.Body)
	}
	r := decode[releaseView](t, opened)
	if code, _ := priya.sign(r); code != 409 {
		t.Errorf("inside the first call: %d", code)
	}
	s.calls.end(trv)
	if err := s.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		_, err := tx.Append(t.Context(), ledger.Entry{Event: "traversal.ended", Traversal: trv})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if code, _ := audit.sign(r); code != 403 {
		t.Errorf("an auditor witnessed: %d", code)
	}
	other := r
	other.Digest[0]++
	if code, _ := priya.sign(other); code != 409 {
		t.Errorf("another action: %d", code)
	}
	forged := map[string]any{"digest": r.Digest, "ceremony": strings.Repeat("0", 32), "response": map[string]any{}}
	if w := s.ask(priya.cookie, "POST", "/v1/releases/"+string(r.ID)+"/proofing/finish", forged); w.Code != 422 {
		t.Errorf("a made-up signature: %d %s", w.Code, w.Body)
	}
	shown := decode[struct {
		Fields  []approvalField
		Subject map[string]string
	}](t, s.ask(priya.cookie, "GET", "/v1/releases/"+string(r.ID)+"/proofing", nil))
	if len(shown.Fields) != 1 || shown.Fields[0].Value != "Dana Example" || shown.Subject["account"] != "10002000" {
		t.Errorf("shown %+v", shown)
	}
	for range 2 { // one person is one, however often they sign
		if code, done := priya.sign(r); code != 200 || done {
			t.Fatalf("one colleague: %d %v", code, done)
		}
	}
	if waits := decode[struct{ Waiting string }](t, s.ask(omar.cookie, "GET", "/v1/releases/"+string(r.ID)+"/proofing", nil)); waits.Waiting != "Priya" {
		t.Errorf("waits for %q", waits.Waiting)
	}
	if code, done := omar.sign(r); code != 200 || !done {
		t.Fatalf("two colleagues: %d %v", code, done)
	}
	_, v, err := s.gate.Evaluate(t.Context(), ringfence.DefaultTenant, r.ID)
	if err != nil || !v.EvidenceComplete || v.Decision == gate.Allow {
		t.Errorf("proofed, approvals missing: %+v %v", v, err)
	}
}

func TestProofingIsRefusedWhereNothingAsksForIt(t *testing.T) {
	var d *desktop
	s := newStaffed(t, withProofing(&d))
	d = s.desktop
	s.dana()
	priya := s.witnessing("Priya", ringfence.RoleAgent)
	owner := s.person("Olga", ringfence.RoleAgent)
	s.calls.change(trv, northwind(owner.ID))
	mine := s.signIn(owner)
	r := decode[releaseView](t, s.ask(mine, "POST", "/v1/actions", map[string]any{"type": "start_again", "traversal": trv, "asked_by": "in_person", "fields": map[string]string{"holder": "Dana Example"}}))
	at := "/v1/releases/" + string(r.ID) + "/proofing"
	if w := s.ask(priya.cookie, "GET", "/v1/releases/rel_00000000000000000000000001/proofing", nil); w.Code != 404 {
		t.Errorf("no such release: %d", w.Code)
	}
	if w := s.ask(mine, "POST", at+"/session", nil); w.Code != 409 {
		t.Errorf("no provider: %d %s", w.Code, w.Body)
	}
	if w := s.ask(mine, "POST", at+"/fetch", nil); w.Code != 409 {
		t.Errorf("nothing to fetch: %d %s", w.Code, w.Body)
	}
	if w := s.ask(mine, "POST", "/v1/releases/"+string(r.ID)+"/cancel", map[string]any{"why": "test"}); w.Code != 200 {
		t.Fatalf("cancel: %d", w.Code)
	}
	if w := s.ask(priya.cookie, "GET", at, nil); w.Code != 404 {
		t.Errorf("a cancelled action is shown: %d", w.Code)
	}
	without := newDesktop(t)
	if w := without.ask(without.signIn(without.person("Priya", ringfence.RoleAgent)), "GET", at, nil); w.Code != 503 && w.Code != 404 {
		t.Errorf("not set up: %d", w.Code)
	}
}
