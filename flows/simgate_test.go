package flows

import (
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// The simulator's gate knows of a person's authenticators what the real one
// does: the easier way to a first one is closed to whoever has any.
func TestFirstAuthenticatorOnlyForWhoHasNone(t *testing.T) {
	b := changedLoose(t, "policy.yaml", "says: set a new telephone PIN\n    about: customer\n    like: authenticator_reset\n    carries: { new_pin: secret digits 6 }\n    needs: [callback, confirmed, passkey or totp, approved]",
		"says: set a new telephone PIN\n    about: customer\n    like: first_authenticator\n    carries: { new_pin: secret digits 6 }\n    needs: [callback, confirmed, approved]")
	for _, c := range []struct {
		name  string
		world func(*World)
		want  bool
	}{
		{"a PIN", func(w *World) { w.TOTP, w.Passkey = false, false }, false},
		{"an app", func(w *World) { w.PIN, w.Passkey = "", false }, false},
		{"a passkey", func(w *World) { w.PIN, w.TOTP = "", false }, false},
		{"nothing", func(w *World) { w.PIN, w.TOTP, w.Passkey = "", false, false }, true},
	} {
		f, _ := b.Flow("enrol-pin")
		w := DefaultWorld(b, f)
		c.world(&w)
		m, err := NewSimulator(b, "enrol-pin", w)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.start(); err != nil {
			t.Fatal(err)
		}
		m.releases["set_pin"] = &simRelease{approvals: 1}
		m.state.NewLeg = true
		m.prove("identified", "", 0)
		m.prove("callback", "set_pin", 0)
		m.prove("confirmed", "set_pin", 0)
		got := b.pol.Evaluate(m.policyCase("set_pin"))
		if got.Satisfied != c.want {
			t.Errorf("who has %s: satisfied %v, want %v: %v", c.name, got.Satisfied, c.want, got.Reasons)
		}
	}
}

// What was proved on one leg opens nothing on another, as for the prover: the
// simulator must not play what the prover refuses.
func TestProofsCountOnTheirLegOnly(t *testing.T) {
	b := shipped(t)
	f, _ := b.Flow("customer-line")
	m, err := NewSimulator(b, "customer-line", DefaultWorld(b, f))
	if err != nil {
		t.Fatal(err)
	}
	for _, fact := range []ringfence.Fact{ringfence.FactPIN, ringfence.FactOTP, ringfence.FactTOTP, ringfence.FactPasskey, ringfence.FactCallback, ringfence.FactConfirmed} {
		m.evidence = nil
		m.prove(ringfence.FactIdentified, "", 0)
		m.prove(fact, "", 0)
		if have, want := m.facts(0), policy.NewFactSet(ringfence.FactIdentified, fact); have != want {
			t.Errorf("%s on its leg: %v", fact, have)
		}
		if have := m.facts(1); have != policy.NewFactSet(ringfence.FactIdentified) {
			t.Errorf("%s on another leg: %v", fact, have)
		}
	}
}
