package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/recovery"
)

// enrolling is the callers' pages with everything that people make there.
type enrolling struct {
	*callers
	key   *passkeytest.Authenticator
	links []string // that were sent
}

func newEnrolling(t *testing.T) *enrolling {
	t.Helper()
	e := &enrolling{callers: newCallers(t)}
	rp := passkey.RP{ID: "localhost", Origins: []string{e.origin}, Name: "Northwind"}
	reg, err := passkey.NewRegistrar(e.store, rp, passkey.EnrolFunc(e.gate.EnrolSubject))
	if err != nil {
		t.Fatal(err)
	}
	codes, err := recovery.New(ringfence.Secret(strings.Repeat("p", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if e.Server.cfg.Recovery, err = recovery.NewDesk(e.verify, codes); err != nil {
		t.Fatal(err)
	}
	e.Server.cfg.Passkeys = func(ringfence.TenantID) Passkeys { return Passkeys{Enrol: reg} }
	e.Server.cfg.PostLink = func(_ context.Context, _ ringfence.TenantID, to ringfence.ContactPoint, _ ringfence.PersonID, link ringfence.Secret) error {
		e.links = append(e.links, to.Value+" "+string([]byte(link)))
		return nil
	}
	e.key = passkeytest.New(e.origin)
	return e
}

// page sends what a caller's page sends.
func (e *enrolling) page(path string, body any) (int, callerOut) {
	e.t.Helper()
	r := request(e.t, "POST", path, body)
	r.RemoteAddr = "192.0.2.1:1"
	w := httptest.NewRecorder()
	e.Public().ServeHTTP(w, r)
	var out callerOut
	if w.Code == http.StatusOK {
		out = decode[callerOut](e.t, w)
	}
	return w.Code, out
}

// make goes the way of the page from an open link to its end.
func (e *enrolling) make(token string) (int, callerOut) {
	e.t.Helper()
	code, begun := e.page("/enrol/begin", map[string]any{"token": token})
	if code != http.StatusOK {
		return code, begun
	}
	ceremony := e.key.Register
	if _, look := e.page("/enrol/look", map[string]any{"token": token}); look.Prove {
		ceremony = e.key.Assert
	}
	body, err := ceremony(begun.Options)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.page("/enrol/finish", map[string]any{"token": token, "response": json.RawMessage(body)})
}

func (e *enrolling) authenticators() (out []ringfence.Authenticator) {
	e.t.Helper()
	if err := e.store.View(e.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) (err error) {
		out, err = verify.Authenticators(e.t.Context(), tx, e.subject)
		return err
	}); err != nil {
		e.t.Fatal(err)
	}
	return out
}

// binds makes everything that waits count, as a released action does.
func (e *enrolling) binds() {
	for _, a := range e.authenticators() {
		a.Status = ringfence.StatusActive
		err := e.store.Update(e.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			_, version, err := ledger.Read[ringfence.Authenticator](e.t.Context(), tx, ledger.KindAuthenticator, string(a.ID))
			if err != nil {
				return err
			}
			return ledger.Write(e.t.Context(), tx, &ledger.Record{Kind: ledger.KindAuthenticator, ID: string(a.ID), Version: version, Keys: map[string]string{"subject": string(a.Subject)}}, a)
		})
		if err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *enrolling) invites(who *http.Cookie, body map[string]any) (int, string, string) {
	e.t.Helper()
	w := e.ask(who, "POST", "/v1/subjects/"+string(e.subject)+"/invite", body)
	if w.Code != http.StatusCreated {
		return w.Code, "", ""
	}
	got := decode[struct{ Code, Link, Sent string }](e.t, w)
	link := got.Link
	if link == "" {
		link = e.links[len(e.links)-1]
		if got.Sent != "…17" || !strings.HasPrefix(link, "447700900917 ") || strings.Contains(w.Body.String(), "#") {
			e.t.Errorf("sent %q, told %s", link, w.Body)
		}
	}
	_, token, _ := strings.Cut(link, "#")
	return w.Code, token, got.Code
}

// A passkey is made with the link and the carry code, waits, is named by the
// same check digits on both sides, and brings recovery codes that are told once.
func TestAPasskeyOnAnInvitedLink(t *testing.T) {
	e := newEnrolling(t)
	boss := e.signIn(e.person("boss", ringfence.RoleSupervisor))
	var contact string
	for _, c := range decode[struct {
		ContactPoints []struct{ ID string } `json:"contact_points"`
	}](t, e.ask(boss, "GET", "/v1/subjects/"+string(e.subject), nil)).ContactPoints {
		contact = c.ID
	}
	for name, body := range map[string]map[string]any{"nobody's": {"contact": "cpt_00000000000000000000000009"}, "another thing": {"contact": "cpt_00000000000000000000000001", "what": "everything"}} {
		if code, _, _ := e.invites(boss, body); code == 201 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code, _, _ := e.invites(e.signIn(e.agent), map[string]any{"contact": contact}); code != 404 {
		t.Errorf("an agent without a call: %d", code)
	}
	_, token, code := e.invites(boss, map[string]any{"contact": contact})
	if c, _ := e.make(token); c == 200 {
		t.Fatal("a passkey without the carry code")
	}
	if _, out := e.page("/enrol/look", map[string]any{"token": token}); !out.NeedsCode {
		t.Error("the page does not ask for the code")
	}
	if _, out := e.page("/enrol/unlock", map[string]any{"token": token, "code": wrong(code)}); out.Outcome != "wrong" || out.TriesLeft != 2 {
		t.Errorf("a wrong code: %+v", out)
	}
	if _, out := e.page("/enrol/unlock", map[string]any{"token": token, "code": code}); out.Outcome != "open" {
		t.Fatalf("the code: %+v", out)
	}
	status, made := e.make(token)
	if status != 200 || len(made.Codes) != recovery.Count || len(made.Fingerprint) != 64 || made.Check != gate.CheckDigits(made.Fingerprint) {
		t.Fatalf("%d %+v", status, made)
	}
	if c, _ := e.make(token); c != 410 {
		t.Errorf("the link twice: %d", c)
	}
	w := e.ask(boss, "GET", "/v1/subjects/"+string(e.subject), nil)
	var passkeys, sets int
	for _, a := range decode[struct {
		Authenticators []struct {
			Type, Status, Check string
			Left                int `json:"codes_left"`
		}
	}](t, w).Authenticators {
		switch {
		case a.Type == "passkey" && a.Status == "pending" && a.Check == made.Check:
			passkeys++
		case a.Type == "recovery" && a.Status == "pending" && a.Left == recovery.Count:
			sets++
		}
	}
	if passkeys != 1 || sets != 1 {
		t.Errorf("on file: %s", w.Body)
	}
	for _, c := range made.Codes {
		for _, a := range e.authenticators() {
			if strings.Contains(string(a.Secret), c) || strings.Contains(string(a.Secret), strings.ReplaceAll(c, "-", "")) {
				t.Error("a code is kept")
			}
		}
	}
	if _, out := e.page("/recover", recoverIn{"10002000", made.Codes[0]}); out.Outcome != "closed" {
		t.Errorf("codes count that wait: %+v", out)
	}
}

// Three wrong carry codes end a link; three links an hour are enough.
func TestLinksAreCounted(t *testing.T) {
	e := newEnrolling(t)
	boss := e.signIn(e.person("boss", ringfence.RoleSupervisor))
	_, token, code := e.invites(boss, map[string]any{})
	for range passkey.CodeTries {
		e.page("/enrol/unlock", map[string]any{"token": token, "code": wrong(code)})
	}
	if _, out := e.page("/enrol/unlock", map[string]any{"token": token, "code": code}); out.Outcome != "closed" {
		t.Errorf("a fourth code: %+v", out)
	}
	e.invites(boss, map[string]any{})
	e.invites(boss, map[string]any{})
	if c, _, _ := e.invites(boss, map[string]any{}); c != 429 {
		t.Errorf("a fourth link: %d", c)
	}
}

// New recovery codes take the passkey that is there.
func TestNewRecoveryCodesTakeAProof(t *testing.T) {
	e := newEnrolling(t)
	boss := e.signIn(e.person("boss", ringfence.RoleSupervisor))
	open := func(what string) string {
		_, token, code := e.invites(boss, map[string]any{"what": what})
		e.page("/enrol/unlock", map[string]any{"token": token, "code": code})
		return token
	}
	if c, _ := e.make(open("recovery_codes")); c != 410 {
		t.Errorf("codes for somebody without a passkey: %d", c)
	}
	_, first := e.make(open("passkey"))
	e.binds()
	mine := e.key
	token := open("recovery_codes")
	stranger := passkeytest.New(e.origin)
	e.key = stranger
	code, begun := e.page("/enrol/begin", map[string]any{"token": token})
	if _, err := stranger.Assert(begun.Options); code != 200 || err == nil {
		t.Errorf("%d: a stranger's device has the passkey", code)
	}
	e.key = mine
	status, made := e.make(token)
	if status != 200 || len(made.Codes) != recovery.Count || made.Codes[0] == first.Codes[0] || made.Check == first.Check {
		t.Fatalf("%d %+v", status, made)
	}
	for _, a := range e.authenticators() {
		if gate.Fingerprint(a.Secret) == made.Fingerprint && (a.Type != ringfence.AuthRecovery || a.Status != ringfence.StatusPending) {
			t.Errorf("made %+v", a)
		}
	}
}

// A recovery code opens an action of class C5 with a new passkey in it, once,
// and nothing else; a wrong one and nobody's say the same.
func TestARecoveryCodeOpensC5Only(t *testing.T) {
	e := newEnrolling(t)
	boss := e.signIn(e.person("boss", ringfence.RoleSupervisor))
	_, token, code := e.invites(boss, map[string]any{})
	e.page("/enrol/unlock", map[string]any{"token": token, "code": code})
	_, made := e.make(token)
	e.binds()
	_, right := e.page("/recover", recoverIn{"10002000", made.Codes[3]})
	if right.Outcome != "open" || right.Session == "" {
		t.Fatalf("%+v", right)
	}
	_, used := e.page("/recover", recoverIn{"10002000", made.Codes[3]})
	_, nobody := e.page("/recover", recoverIn{"10002001", made.Codes[4]})
	_, bad := e.page("/recover", recoverIn{"10002000", "0000-0000-0000-0000"})
	if used.Outcome != "closed" || nobody.Outcome != "closed" || bad.Outcome != "closed" || used.TriesLeft+nobody.TriesLeft+bad.TriesLeft != 0 {
		t.Errorf("%+v %+v %+v", used, nobody, bad)
	}
	e.key = passkeytest.New(e.origin) // the old one is lost
	if list, _ := e.gate.List(t.Context(), ringfence.DefaultTenant, gate.Filter{Subject: e.subject}); len(list) != 0 {
		t.Fatalf("a code alone opened %+v", list)
	}
	status, fresh := e.make(right.Session)
	list, err := e.gate.List(t.Context(), ringfence.DefaultTenant, gate.Filter{Subject: e.subject})
	if err != nil || status != 200 || len(list) != 1 || list[0].Type != "back_again" || list[0].Class != ringfence.C5 || list[0].Opener != (gate.Actor{Flow: "recovery"}) ||
		list[0].Fields["check"] != fresh.Check || list[0].Fields["fingerprint"] != fresh.Fingerprint {
		t.Fatalf("%d %v %+v", status, err, list)
	}
	r, v, err := e.gate.Release(t.Context(), ringfence.DefaultTenant, list[0].ID, gate.Actor{Flow: "x"})
	if err != nil || r.State != gate.StatePendingEvidence || v.Decision == gate.Allow {
		t.Errorf("%v %s", v, r.State)
	}
	for range 8 { // the door is slow for one source
		status, _ = e.page("/recover", recoverIn{"10002000", "x"})
	}
	if status != 429 {
		t.Errorf("guessing on: %d", status)
	}
}
