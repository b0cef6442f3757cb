package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence"
)

const trv = ringfence.TraversalID("trv_00000000000000000000000001")

// northwind is a call as the runner would show it.
func northwind(owner ringfence.PersonID) func(*ringfence.LiveCall) {
	return func(c *ringfence.LiveCall) {
		*c = ringfence.LiveCall{Tenant: ringfence.DefaultTenant, Traversal: trv, Version: c.Version, Reference: "K7M2P9QX", Direction: ringfence.Inbound,
			Began: time.Now().Add(-72 * time.Second), State: "talking", Line: "main", Owner: owner, Caller: "+44 20 7946 0991", CallerName: "NORTHWIND",
			Attest: ringfence.AttestPartial, StirOK: ringfence.Yes,
			StirSays: "The carrier knows this customer but does not vouch for the number. It does not prove who is speaking.",
			Claim:    "Dana Reed, Northwind Supplies", Subject: "sub_00000000000000000000000001", SubjectKind: "customer",
			Evidence: []ringfence.LiveEvidence{
				{Fact: ringfence.FactAttested, Says: "Attestation B is not enough.", Good: ringfence.No, At: time.Now().Add(-70 * time.Second), Source: "call signature"},
				{Fact: ringfence.FactPIN, Says: "Keyed on this call.", Good: ringfence.Yes, At: time.Now().Add(-40 * time.Second), Source: "this leg"},
			},
			SayNow: "I am sending a link to the phone we hold for you.",
			Timeline: []ringfence.LiveEvent{{At: time.Now().Add(-72 * time.Second), Text: "Call from +44 20 7946 0991 on trunk carrier-a"},
				{At: time.Now().Add(-70 * time.Second), Text: "Signature checked: attestation B"},
				{At: time.Now().Add(-55 * time.Second), Text: "Telephone PIN: wrong", Bad: true},
				{At: time.Now().Add(-40 * time.Second), Text: "Telephone PIN: right"}, {At: time.Now().Add(-20 * time.Second), Text: "Priya took the call"}},
		}
	}
}

func TestCallAppearsWithoutRefresh(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("No call for you now")
	b.see("Live")
	b.looks("console-empty")
	d.calls.change(trv, northwind(priya.ID))
	b.see("Dana Reed")
	b.see("does not vouch for the number")
	b.looks("console-call")
	d.calls.change(trv, func(c *ringfence.LiveCall) {
		c.State, c.Playing = "step_up", "The caller hears: We have sent a link to your phone."
	})
	b.see("We have sent a link")
	b.looks("console-running")
	d.calls.end(trv)
	b.see("No call for you now")
	d.quietly(t)
}

// Browsers allow six connections to a server on HTTP/1.1: eight tabs share one
// stream, and when the tab that holds it goes, another one takes over.
func TestEightTabsShareOneStream(t *testing.T) {
	d := newDesktop(t)
	var streams atomic.Int32
	origin := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/events" {
			streams.Add(1)
			defer streams.Add(-1)
		}
		d.Staff().ServeHTTP(w, r)
	}))
	priya := d.person("Priya", ringfence.RoleAgent)
	first := open(t, origin)
	first.with(d.signIn(priya))
	first.visit("/console")
	first.see("Live")
	tabs := []*tab{first}
	for range 7 {
		b := first.another()
		b.visit("/console")
		b.see("No call for you now")
		tabs = append(tabs, b)
	}
	d.calls.change(trv, northwind(priya.ID))
	for _, b := range tabs {
		b.see("Dana Reed")
	}
	if n := streams.Load(); n != 1 {
		t.Errorf("%d streams for eight tabs", n)
	}
	first.visit("/approvals") // the leading tab leaves; it may lead again
	d.calls.change(trv, func(c *ringfence.LiveCall) { c.Claim = "Dana Reed of Leeds" })
	for _, b := range tabs[1:] {
		b.see("Dana Reed of Leeds")
	}
}

// A server that goes away and comes back needs no refresh: what ended meanwhile
// is gone, what began is there.
func TestLostConnectionHealsItself(t *testing.T) {
	d := newDesktop(t)
	var down atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		d.Staff().ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	priya := d.person("Priya", ringfence.RoleAgent)
	b := open(t, "http://localhost"+srv.URL[strings.LastIndex(srv.URL, ":"):])
	b.allowed = append(b.allowed, "ERR_")
	b.with(d.signIn(priya))
	d.calls.change(trv, northwind(priya.ID))
	b.visit("/console")
	b.see("Dana Reed")
	down.Store(true)
	srv.CloseClientConnections()
	b.see("Reconnecting")
	b.see("Dana Reed") // what was known stays on the screen
	b.looks("console-reconnecting")
	d.calls.end(trv)
	d.calls.change("trv_00000000000000000000000002", func(c *ringfence.LiveCall) {
		northwind(priya.ID)(c)
		c.Traversal, c.Claim = "trv_00000000000000000000000002", "Kit Marlow"
	})
	down.Store(false)
	b.see("Kit Marlow")
	b.gone("Dana Reed")
	b.see("Live")
}

// A session that ends while the page is open takes the page to the login.
func TestEndedSessionLeavesTheConsole(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	b.visit("/console")
	b.see("No call for you now")
	b.allowed = append(b.allowed, "401")
	d.change(priya, func(p *ringfence.Person) { p.Status = ringfence.StatusSuspended })
	// The stream may have taken the page away already: then there is nothing to press.
	_, _ = chromedp.Run(b.ctx, chromedp.Evaluate[any](`void [...document.querySelectorAll("button")].find(e => e.textContent.trim() === "Ready")?.click()`))
	b.see("Sign in")
}

// Several calls at once, and text that wants to be more than text.
func TestHostileTextIsInert(t *testing.T) {
	d := newDesktop(t)
	priya := d.person("Priya", ringfence.RoleAgent)
	b := open(t, serve(t, d.Staff()))
	b.with(d.signIn(priya))
	hostile := "<img src=x onerror=alert(1)>\u202e\u2066moc.live\u0000\u0085 " + strings.Repeat("W", 300)
	d.calls.change(trv, func(c *ringfence.LiveCall) {
		northwind(priya.ID)(c)
		c.Caller, c.CallerName, c.Claim, c.SayNow, c.Alert, c.Playing = hostile, hostile, hostile, hostile, hostile, hostile
		c.Timeline = []ringfence.LiveEvent{{At: time.Now(), Text: hostile}}
		c.Evidence = []ringfence.LiveEvidence{{Fact: "pin", Says: hostile, Source: hostile}}
	})
	d.calls.change("trv_00000000000000000000000002", func(c *ringfence.LiveCall) {
		northwind(priya.ID)(c)
		c.Traversal = "trv_00000000000000000000000002"
	})
	b.visit("/console")
	b.see("<img src=x onerror=alert(1)>")
	b.looks("console-hostile")
	if n := js[int](b, "document.images.length"); n != 0 {
		t.Errorf("%d images", n)
	}
	d.quietly(t)
}
