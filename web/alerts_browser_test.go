package web

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// An alert appears without a refresh, with a count at the top of every page,
// and is closed with a note by keyboard only.
func TestAlertsPage(t *testing.T) {
	d := newDesktop(t)
	rita := d.person("Rita <b>Reyes</b>", ringfence.RoleRisk)
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(rita))
	b.visit("/alerts")
	b.see("Nothing to look at")
	b.looks("alerts-none")
	d.raise(map[string]string{"alarm": "duress"})
	d.raise(map[string]string{"text": "reported by the agent: <img src=x onerror=alert(1)> said he was from the bank, with a very long word: " + "Donaudampfschifffahrtsgesellschaftskapitänswitwenrente"})
	if err := d.TakeAlerts(t.Context(), ringfence.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	b.see("Somebody acts under pressure")
	if err := d.SetConditions(t.Context(), ringfence.DefaultTenant, []AlertKind{AlertTrunk}, []Condition{{AlertTrunk, "carrier", "carrier does not answer at 198.51.100.2:5061."}}); err != nil {
		t.Fatal(err)
	}
	b.see("A trunk does not answer")
	b.until(`document.querySelector('nav [href="/alerts"] .count')?.textContent.startsWith("3")`, "the count is not 3")
	if err := d.SetConditions(t.Context(), ringfence.DefaultTenant, []AlertKind{AlertTrunk}, nil); err != nil {
		t.Fatal(err)
	}
	b.see("Over by itself")
	b.looks("alerts-open")

	// by keyboard: the first alert's button, the note, Enter
	js[chromedp.Void](b, `document.querySelector('.alerts button').focus();undefined`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.activeElement.tagName === "INPUT"`, "the field of the note has no focus")
	b.do(chromedp.KeyEvent("rang 020 7946 0991"), chromedp.KeyEvent(kb.Enter))
	b.allowed = append(b.allowed, "422")
	b.see("Leave telephone and account numbers out")
	b.looks("alerts-note")
	js[chromedp.Void](b, `document.activeElement.select();undefined`)
	b.do(chromedp.KeyEvent("Carrier told, it was a fibre."), chromedp.KeyEvent(kb.Enter))
	b.see("Noted, under your name.")
	b.gone("A trunk does not answer")
	b.until(`document.querySelector('nav [href="/alerts"] .count')?.textContent.startsWith("2")`, "the count is not 2")
	b.focus("a-state")
	b.do(chromedp.KeyEvent("L"))
	b.see("Carrier told, it was a fibre.")
	b.until(`location.search === "?state=done"`, "the filter is not in the address")
	b.looks("alerts-done")
	d.quietly(t)
}

// steppedClock is frozen until risk says that the time is right.
type steppedClock struct{ says atomic.Pointer[string] }

func (c *steppedClock) Frozen(ringfence.TenantID) policy.Reason {
	if c.says.Load() != nil {
		return ""
	}
	return policy.ReasonClock
}

func (c *steppedClock) Confirm(_ context.Context, _ ringfence.TenantID, by ringfence.PersonID, why string) error {
	why = string(by) + ": " + why
	c.says.Store(&why)
	return nil
}

// Risk confirms the time where the alert says that it is not trusted, with the
// note; nobody else is offered that.
func TestTheTimeIsConfirmedOnTheAlertsPage(t *testing.T) {
	var stepped steppedClock
	d := newDesktop(t, func(c *Config) { c.Clock = &stepped })
	rita, otto := d.person("Rita", ringfence.RoleRisk), d.person("Otto", ringfence.RoleOps)
	if err := d.WatchAlerts(t.Context(), ringfence.DefaultTenant, nil, nil); err != nil {
		t.Fatal(err)
	}
	b := open(t, serve(t, d.Staff()))
	for _, who := range []ringfence.Person{otto, rita} {
		b.with(d.signIn(who))
		b.visit("/alerts")
		b.see("The clock is not trusted")
		b.press("Acknowledge")
		b.see("What you found or did")
		if has := js[bool](b, `document.body.innerText.includes("The time is right")`); has != (who.ID == rita.ID) {
			t.Errorf("%s is offered to confirm: %v", who.Name, has)
		}
	}
	b.until(`document.activeElement.tagName === "INPUT"`, "the field of the note has no focus")
	b.do(chromedp.KeyEvent("The machine was off over night."))
	b.looks("alerts-clock")
	b.press("The time is right")
	b.see("Noted, under your name.")
	if says := stepped.says.Load(); says == nil {
		t.Error("nothing was confirmed")
	} else if *says != string(rita.ID)+": The machine was off over night." {
		t.Errorf("confirmed: %q", *says)
	}
	d.quietly(t)
}

// Whoever may not see an alert does not see its kind in the filter either, and
// an auditor closes nothing.
func TestAlertsPageOfAnAuditor(t *testing.T) {
	d := newDesktop(t)
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(d.person("Axel", ringfence.RoleAuditor)))
	d.raise(map[string]string{"alarm": "duress"})
	d.raise(map[string]string{"alarm": "spray"})
	b.visit("/alerts")
	b.see("One PIN is tried on many people")
	if js[bool](b, `document.body.innerText.includes("pressure") || !!document.querySelector('option[value="duress"]') || !!document.querySelector(".alerts button")`) {
		t.Error("the auditor sees more than they may")
	}
}
