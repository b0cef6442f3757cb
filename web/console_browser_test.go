package web

import (
	"testing"
	"time"

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
	if n := d.PolicyReports(); n != 0 {
		t.Errorf("%d content policy reports", n)
	}
}
