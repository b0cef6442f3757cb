package gate

import (
	"slices"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// During a ramp a release needs what both policies ask, whichever is the
// stricter one.
func TestRampNeverGrantsLessThanBoth(t *testing.T) {
	more := []string{"[passkey or totp, callback, confirmed]", "[passkey or totp, callback, confirmed, pin]"}
	for _, c := range []struct {
		name           string
		inForce, ramps []string
	}{{"the ramp asks for more", nil, more}, {"the one in force asks for more", more, nil}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.ready()
			w.policies.set(loadPolicy(t, c.inForce...))
			w.policies.also = []*policy.Policy{loadPolicy(t, c.ramps...)}
			token, v, err := w.g.Permit(t.Context(), ten, r.ID, executor)
			if err != nil || token != "" || v.Decision != StepUp || !slices.Equal(v.Missing, []ringfence.Fact{"pin"}) {
				t.Errorf("have %v %+v, want the pin asked for", err, v)
			}
		})
	}
	t.Run("nobody can read the policy of the ramp", func(t *testing.T) {
		w := newWorld(t)
		r := w.ready()
		w.policies.also = []*policy.Policy{nil}
		if token, v, err := w.g.Permit(t.Context(), ten, r.ID, executor); err != nil || token != "" || v.Decision != Refuse {
			t.Errorf("a ramp without a policy: %v %+v", err, v)
		}
	})
	t.Run("speech", func(t *testing.T) {
		loose, tight := loadPolicy(t, "[totp or passkey or callback]", "[totp or passkey or callback or otp]"), loadPolicy(t)
		facts := policy.NewFactSet(ringfence.FactIdentified, ringfence.FactOTP)
		for _, g := range []Guard{{}, {policies: []*policy.Policy{nil}}, {policies: []*policy.Policy{loose, tight}}, {policies: []*policy.Policy{tight, loose}}} {
			g.low, g.high = facts, facts
			if g.MaySpeak("customer.balance") || len(g.policies) < 2 && g.MayConnect("customer_service") {
				t.Errorf("%d policies: something is let go that one of them holds", len(g.policies))
			}
		}
		if g := (Guard{policies: []*policy.Policy{loose}, low: facts, high: facts}); !g.MaySpeak("customer.balance") {
			t.Error("what every policy allows is refused")
		}
	})
}
