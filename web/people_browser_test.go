package web

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

func TestTwoPersonsAddAThird(t *testing.T) {
	s := newStaffed(t)
	s.dana() // with a subject stored, nobody is exempt any more
	ada, rita := s.person("Ada", ringfence.RoleAdmin), s.person("Rita", ringfence.RoleRisk)
	first, second := open(t, s.origin), open(t, s.origin)
	first.enter(s, ada)
	first.visit("/people")
	first.see("None. An executor")
	first.see("Rita")
	first.press("Add a person")
	first.fill("p-name", "Omar Haddad")
	first.fill("p-email", "omar@example.com")
	first.fill("p-place", "sip:21@pbx.example.com")
	first.looks("people-form")
	first.press("Propose")
	first.see("Proposal by Ada")
	first.press("Sign with a passkey")
	first.see("A second person has to sign as well")
	first.see("1 of 2 signed")
	first.looks("people-proposal")
	first.press("Sign with a passkey")
	first.see("You have signed. Another person has to.")

	second.enter(s, rita)
	second.visit("/people")
	second.see("Omar Haddad")
	second.press("Sign with a passkey")
	second.see("The change is made")
	second.see("Waiting time")
	js[chromedp.Void](second, `document.querySelector('[aria-label="Invite Omar Haddad"]').click();undefined`)
	second.see("/invite#")
	second.looks("people-invitation")
	link := js[string](second, `document.querySelector("code").textContent`)

	third := open(t, s.origin)
	third.passkeys()
	third.visit(strings.TrimPrefix(link, s.origin))
	third.press("Make a passkey")
	third.see("It opens nothing until")
	third.looks("invite-waits")
	digits := js[string](third, `/: ([0-9]{3} [0-9]{3})\./.exec(document.getElementById("says").textContent)[1]`)
	third.allowed = append(third.allowed, "401")
	third.press("Sign in with a passkey")
	third.see("This passkey is not known here")

	second.visit("/people")
	second.see("Somebody else who keeps staff has to confirm it")
	first.visit("/people")
	first.see("Invited by Rita, who could have made it too")
	field := js[string](first, `document.querySelector('[id^="k-per_"]').id`)
	first.fill(field, "000 000")
	first.allowed = append(first.allowed, "422")
	first.press("Confirm with a passkey")
	first.see("The passkey that waits has other digits")
	first.looks("people-passkey")
	first.fill(field, digits)
	first.press("Confirm with a passkey")
	first.see("Confirmed. The passkey counts.")
	third.allowed = append(third.allowed, "403", "404")
	third.press("Sign in with a passkey")
	third.see("Your role does not include this") // signed in; the role waits its day

	first.visit("/people")
	first.see("Reset passkey")
	js[chromedp.Void](first, `document.querySelector('[aria-label="Reset passkey of Omar Haddad"]').click();undefined`)
	first.fill("r-why", "His laptop was stolen.")
	first.press("Ask for the reset")
	first.see("asks that the passkeys of")
	first.press("Sign the reset")
	first.see("Another person has to sign it.")
	second.visit("/people")
	second.see("His laptop was stolen.")
	second.looks("people-reset")
	second.press("Sign the reset")
	second.see("Their passkeys and sessions have ended")
	second.see("/invite#")
	third.allowed = append(third.allowed, "401")
	third.visit("/console")
	third.see("Sign in with a passkey")

	first.visit("/people")
	first.see("Omar Haddad") // both lists are there, so nothing moves any more
	first.see("None. An executor")
	first.press("Add a service account")
	first.fill("c-name", "ERP")
	js[chromedp.Void](first, `[...document.querySelectorAll("label.check")].find(l => l.textContent.trim() === "events").querySelector("input").click();undefined`)
	first.looks("people-account-form")
	first.press("Add")
	first.see("shown once")
	first.see("default.cli_")
	first.looks("people-account")
	if n := s.PolicyReports(); n != 0 {
		t.Errorf("%d content policy reports", n)
	}
}

func TestPeopleAreRefused(t *testing.T) {
	s := newStaffed(t)
	s.dana()
	ada, priya := s.person("Ada", ringfence.RoleAdmin), s.person("Priya", ringfence.RoleAgent)
	admin := s.signIn(ada)
	good := map[string]any{"name": "Omar", "email": "omar@example.com", "roles": []string{"agent"}}
	with := func(key string, value any) map[string]any {
		out := map[string]any{}
		for k, v := range good {
			out[k] = v
		}
		out[key] = value
		return out
	}
	for name, body := range map[string]any{
		"no role": with("roles", []string{}), "made-up role": with("roles", []string{"owner"}), "no address": with("email", "omar"),
		"named address": with("email", "Omar <omar@example.com>"), "no name": with("name", ""), "place": with("place", "https://pbx.example.com"),
	} {
		if w := s.ask(admin, "POST", "/v1/people/drafts", body); w.Code != 422 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := s.ask(admin, "POST", "/v1/people/drafts", with("id", "per_zzzzzzzzzzzzzzzzzzzzzzzzzz")); w.Code != 404 {
		t.Errorf("a change of nobody: %d", w.Code)
	}
	if w := s.ask(s.signIn(priya), "POST", "/v1/people/drafts", good); w.Code != 403 {
		t.Errorf("an agent proposed: %d", w.Code)
	}
	id := decode[struct{ ID ringfence.PersonID }](t, s.ask(admin, "POST", "/v1/people/drafts", good)).ID
	forged := map[string]any{"ceremony": strings.Repeat("0", 32), "response": map[string]any{}}
	if w := s.ask(admin, "POST", "/v1/people/drafts/"+string(id)+"/finish", forged); w.Code != 422 {
		t.Errorf("a made-up signature: %d %s", w.Code, w.Body)
	}
	if w := s.ask(admin, "POST", "/v1/people/"+string(id)+"/invite", nil); w.Code != 404 {
		t.Errorf("an invitation of somebody who is only proposed: %d", w.Code)
	}
	// One person alone stops another, at once: their session ends with them.
	cookie := s.signIn(priya)
	if w := s.ask(admin, "POST", "/v1/people/"+string(priya.ID)+"/suspend", nil); w.Code != 204 {
		t.Errorf("suspend: %d %s", w.Code, w.Body)
	}
	if w := s.ask(cookie, "GET", "/v1/me", nil); w.Code != 401 {
		t.Errorf("a suspended person's session answered %d", w.Code)
	}
	err := s.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		_, err := tx.Get(t.Context(), ledger.KindPerson, string(id))
		return err
	})
	if err == nil {
		t.Error("a proposal without signatures became a person")
	}
}

// A removed service account opens nothing any more, and its credential was
// never kept.
func TestServiceAccountIsRemoved(t *testing.T) {
	s := newDesktop(t)
	admin := s.signIn(s.person("Ada", ringfence.RoleAdmin))
	w := s.ask(admin, "POST", "/v1/clients", map[string]any{"name": "ERP", "scopes": []string{"ledger"}, "networks": []string{"192.0.2.0/24"}})
	made := decode[struct {
		Client     clientView
		Credential string
	}](t, w)
	if w.Code != 201 || made.Credential == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	bearer := []string{"Authorization", "Bearer " + made.Credential}
	if w := s.ask(nil, "GET", "/v1/ledger/entries", nil, bearer...); w.Code != 200 {
		t.Errorf("from its network: %d", w.Code) // httptest's own address is 192.0.2.1
	}
	if w := s.ask(admin, "POST", "/v1/clients/"+made.Client.ID+"/remove", nil); w.Code != 204 {
		t.Errorf("remove: %d", w.Code)
	}
	if w := s.ask(nil, "GET", "/v1/ledger/entries", nil, bearer...); w.Code != 401 {
		t.Errorf("removed: %d", w.Code)
	}
	for name, body := range map[string]any{
		"no scope": map[string]any{"name": "x", "scopes": []string{}}, "network": map[string]any{"name": "x", "scopes": []string{"events"}, "networks": []string{"10.0.0.1"}},
		"executor without key": map[string]any{"name": "x", "scopes": []string{"execute"}, "executor": "core"},
	} {
		if w := s.ask(admin, "POST", "/v1/clients", body); w.Code != 422 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// One administrator alone cannot make a second credential with which to redeem
// what is released for an executor.
func TestAnExecutorHasOneCredential(t *testing.T) {
	s := newDesktop(t)
	admin := s.signIn(s.person("Ada", ringfence.RoleAdmin))
	body := map[string]any{"name": "bank", "scopes": []string{"execute"}, "executor": "bank", "key": strings.Repeat("k", 43)}
	w := s.ask(admin, "POST", "/v1/clients", body)
	if w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	first := decode[struct{ Client clientView }](t, w).Client
	body["name"] = "another"
	if w := s.ask(admin, "POST", "/v1/clients", body); w.Code != 409 {
		t.Errorf("a second credential: %d %s", w.Code, w.Body)
	}
	if w := s.ask(admin, "POST", "/v1/clients/"+first.ID+"/remove", nil); w.Code != 204 {
		t.Fatalf("remove: %d", w.Code)
	}
	if w := s.ask(admin, "POST", "/v1/clients", body); w.Code != 201 {
		t.Errorf("after the end of the first: %d %s", w.Code, w.Body)
	}
}

// The watchers of the pages are awake: a page that breaks a rule is noticed.
func TestWatchersAreAwake(t *testing.T) {
	d := newDesktop(t)
	b := open(t, serve(t, d.Staff()))
	b.visit("/login")
	b.see("Sign in")
	b.allowed = append(b.allowed, "Content Security Policy", "TrustedHTML", "TrustedScript")
	js[chromedp.Void](b, `{ const s = document.createElement("style"); s.textContent = "p{color:red}"; document.head.append(s);
		try { document.body.insertAdjacentHTML("beforeend", "<i>x</i>") } catch {} };undefined`)
	told := func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.messages) > 0 }
	for range 200 {
		if d.PolicyReports() > 0 && told() {
			break
		}
		js[int](b, "new Promise(r => setTimeout(() => r(1), 50))")
	}
	if d.PolicyReports() == 0 {
		t.Error("no content policy report came")
	}
	if !told() {
		t.Error("no console message came")
	}
}
