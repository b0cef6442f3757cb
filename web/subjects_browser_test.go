package web

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/verify/passkey"
)

// A supervisor finds somebody by a number, stops a stolen telephone at once,
// and asks for a new number: an action, whose missing proof is said.
func TestSubjectsPage(t *testing.T) {
	d := newDesktop(t, func(c *Config) { c.Home = stirshaken.Home{Country: "44", International: "00", Trunk: "0"} })
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(d.person("Sam", ringfence.RoleSupervisor)))
	b.visit("/subjects")
	b.see("Nobody is on file yet.")
	d.onFile(ringfence.DefaultTenant)
	d.customer(7, "Ana-María Wolfeschlegelsteinhausenbergerdorff", "442079460991")
	b.visit("/subjects")
	b.see("Customer, account …16")
	b.fill("s-text", "020 7946 0991")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.see("1 found")
	b.see("…07")
	b.looks("subjects-found")
	b.fill("s-text", "0991")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.see("Nobody found")
	b.looks("subjects-nobody")

	b.visit("/subjects?id=" + string(fileSubject))
	b.see("Mobile …23")
	b.see("Passkey")
	b.see("Known")
	b.looks("subject")
	// by keyboard: stop the telephone
	js[chromedp.Void](b, `document.querySelector('[aria-label="Stop mobile …23 at once"]').focus();undefined`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.activeElement.id === "stop-why"`, "the reason has no focus")
	b.looks("subject-stop")
	b.do(chromedp.KeyEvent("Telephone was stolen"), chromedp.KeyEvent(kb.Enter))
	b.see("Stopped. It comes back only by an action of its own.")
	b.see("Bring back…")
	if got := d.entries("contact_point.suspended"); len(got) != 1 || got[0].Subject != fileSubject {
		t.Errorf("%+v", got)
	}
	js[chromedp.Void](b, `[...document.querySelectorAll("li")].find(l => l.innerText.includes("Put a new telephone number") && !l.querySelector("li")).querySelector("button").click();undefined`)
	b.see("Nothing changes yet")
	b.fill("f-new_number", "none of yours")
	b.press("Ask for it")
	b.allowed = append(b.allowed, "422")
	b.see("New number: ")
	b.fill("f-new_number", "020 7946 0777")
	b.looks("subject-ask")
	b.press("Ask for it")
	b.see("Asked for. Nothing has changed yet.")
	b.looks("subject-asked")
	b.press("Done")
	b.see("Under way")
	b.see("Waits for proof")
	b.looks("subject-way")
	js[chromedp.Void](b, `document.querySelector('[aria-label^="Cancel: put a new"]').click();undefined`)
	b.see("Cancelled.")
	b.gone("Under way")
	if got := d.entries("contact_point.added"); len(got) != 0 {
		t.Errorf("a page changed the directory: %+v", got)
	}
	b.visit("/subjects?id=sub_00000000000000000000000099")
	b.allowed = append(b.allowed, "404")
	b.see("There is no such subject.")
	d.quietly(t)
}

// A link to make a passkey goes to a number on file, and its code is told once.
func TestInvitationFromTheSubjectsPage(t *testing.T) {
	d := newDesktop(t)
	d.onFile(ringfence.DefaultTenant)
	origin := serve(t, d.Staff())
	reg, err := passkey.NewRegistrar(d.store, passkey.RP{ID: "localhost", Origins: []string{origin}, Name: "Northwind"}, passkey.EnrolFunc(d.gate.EnrolSubject))
	if err != nil {
		t.Fatal(err)
	}
	d.cfg.Passkeys = func(ringfence.TenantID) Passkeys { return Passkeys{Enrol: reg} }
	sent := make(chan string, 1)
	d.cfg.PostLink = func(_ context.Context, _ ringfence.TenantID, to ringfence.ContactPoint, _ ringfence.PersonID, link ringfence.Secret) error {
		sent <- to.Value + " " + string([]byte(link))
		return nil
	}
	b := open(t, origin)
	b.with(d.signIn(d.person("Sam", ringfence.RoleSupervisor)))
	b.visit("/subjects?id=" + string(fileSubject))
	b.keyed("Invite to make a passkey…")
	b.see("neither is enough alone")
	b.looks("subject-invite")
	b.keyed("Make the link")
	b.see("Tell them this code:")
	link := <-sent
	_, token, _ := strings.Cut(link, "#")
	if says := js[string](b, "document.body.innerText"); token == "" || strings.Contains(says, token) {
		t.Errorf("the link that went to the telephone stands on the page as well: %s", says)
	}
	b.looks("subject-invited")
	b.keyed("Done")
	b.gone("Tell them this code:")
	d.quietly(t)
}

// An auditor reads and changes nothing.
func TestSubjectsPageOfAnAuditor(t *testing.T) {
	d := newDesktop(t)
	d.onFile(ringfence.DefaultTenant)
	d.put(ringfence.DefaultTenant, ledger.KindContactPoint, "cpt_00000000000000000000000004", map[string]string{"subject": string(fileSubject)}, ringfence.ContactPoint{
		ID: "cpt_00000000000000000000000004", Subject: fileSubject, Type: ringfence.ContactEmail, Value: "<img src=x>@example.com", Source: "<script>alert(1)</script>", Status: ringfence.StatusActive})
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(d.person("Axel", ringfence.RoleAuditor)))
	b.visit("/subjects?id=" + string(fileSubject))
	b.see("<script>alert(1)</script>")
	b.see("Something new")
	if n := js[int](b, `document.querySelectorAll("main button").length`); n != 0 {
		t.Errorf("an auditor has %d buttons", n)
	}
}
