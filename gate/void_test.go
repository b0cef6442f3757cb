package gate

import (
	"context"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

const cardOrder = `actions:
  card_order:
    class: C1
    says: send a new card to the address on file
    about: customer
    carries: { card: digits 4 }
    needs: [attested, known_number, pin]
  bank_change:`

func (w *world) card() Release {
	w.t.Helper()
	q := request("card_order")
	q.Fields = map[string]string{"card": "1234"}
	r, _, err := w.g.Open(context.Background(), ten, q)
	return w.must(r, err)
}

func (w *world) voidLeg(leg ringfence.LegID) {
	w.put(ledger.KindLegVoid, string(leg), "", map[string]string{"traversal": string(trv)}, ledger.LegVoid{Traversal: trv, Leg: leg, At: w.now})
}

// Leg facts release what the first row of C1 lists, and nothing above it.
func TestInvariant09LegFactsReleaseC1(t *testing.T) {
	for name, facts := range map[string][]ringfence.Fact{
		"no signature": {"known_number", "pin"}, "no number": {"attested", "pin"}, "no PIN": {"attested", "known_number"}} {
		w := newWorld(t, "actions:\n  bank_change:", cardOrder)
		r := w.card()
		w.prove(r, facts...)
		if r, v := w.released(r.ID); v.Decision == Allow || r.State != StatePendingEvidence {
			t.Errorf("%s: %s %+v", name, r.State, v)
		}
	}
	w := newWorld(t, "actions:\n  bank_change:", cardOrder)
	r := w.card()
	w.prove(r, "attested", "known_number", "pin")
	if r, v := w.released(r.ID); r.State != StateReady {
		t.Errorf("all three: %s %+v", r.State, v)
	}
}

// Invariant 17: what a leg proved goes with whoever held it; what is bound to
// an action stays proved for it; what the new party proves counts, what the
// carrier signed never again.
func TestInvariant17ALegThatWentToSomebodyElse(t *testing.T) {
	w := newWorld(t, "actions:\n  bank_change:", cardOrder)
	r := w.card()
	w.prove(r, "attested", "known_number", "pin")
	q := GuardRequest{Traversal: trv, Leg: "leg_1", Subject: ann, SIMSwap: ringfence.No}
	speaks := func(field string) bool {
		g, err := w.g.Guard(context.Background(), ten, q)
		if err != nil {
			t.Fatal(err)
		}
		return g.MaySpeak(field)
	}
	if !speaks("customer.balance_band") {
		t.Fatal("the leg that proved it hears nothing")
	}
	w.voidLeg("leg_2")
	if !speaks("customer.balance_band") {
		t.Error("another leg's change voids this one")
	}
	w.voidLeg("leg_1")
	if speaks("customer.balance_band") {
		t.Error("the new party hears what the old one proved")
	}
	if r, v := w.released(r.ID); v.Decision == Allow || r.State != StatePendingEvidence {
		t.Errorf("void leg facts released: %s %+v", r.State, v)
	}
	w.now = w.now.Add(time.Second)
	w.prove(r, "pin")
	if r, v := w.released(r.ID); v.Decision == Allow {
		t.Errorf("the old signature counts for the new party: %s", r.State)
	}
	w.prove(r, "attested", "known_number")
	if r, v := w.released(r.ID); v.Decision == Allow {
		t.Errorf("a signature written after the change counts: %s", r.State)
	}

	w.knownPayee()
	p := w.opened("payment")
	w.prove(p, "totp", "callback", "confirmed")
	w.voidLeg("leg_1")
	if p, v := w.released(p.ID); p.State != StateReady {
		t.Errorf("what is bound to the action is void too: %s %+v", p.State, v)
	}
	q.Release = p.ID
	if speaks("payment.payee") {
		t.Error("the new party hears the action that the old one approved")
	}
}

// What was frozen when release was asked for stays: it was right then, and the
// person approved exactly that.
func TestInvariant17AfterTheSetIsFrozen(t *testing.T) {
	w := newWorld(t)
	r := w.opened("bank_change")
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	r, _ = w.released(r.ID)
	if r.State != StateCooling {
		t.Fatal(r.State)
	}
	w.voidLeg("leg_1")
	w.pass(12 * time.Hour)
	if r := w.look(r.ID); r.State != StateReady {
		t.Errorf("have %s, %s", r.State, r.Why)
	}
}
