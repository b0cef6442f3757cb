package shelf

import (
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger/ledgertest"
)

func (o *office) rollback(b *flows.Bundle, name string) Result {
	o.t.Helper()
	out, err := o.Rollback(o.t.Context(), tenant, b.HashText(), sign(name, b))
	if err != nil {
		o.t.Fatal(err)
	}
	return out
}

func TestRollbackRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.publish(stricter(t), "olga", "omar")
		if got := o.rollback(looser(t), "rita"); got.Refused != RefuseUnknown {
			t.Errorf("never in force: got %+v, want %q", got, RefuseUnknown)
		}
		proposed := variant(t, "hold: 12h", "hold: 22h")
		o.publish(proposed, "olga")
		if got := o.rollback(proposed, "omar"); got.Refused != RefuseUnknown {
			t.Errorf("only proposed: got %+v, want %q", got, RefuseUnknown)
		}
		if got := o.rollback(stricter(t), "rita"); got.Refused != RefuseInForce {
			t.Errorf("in force: got %+v, want %q", got, RefuseInForce)
		}
		// The shipped one is looser than what is in force.
		if got := o.rollback(shipped(t), "rita"); got.Refused != RefuseMoreSign || !got.Looser {
			t.Errorf("looser, one person: got %+v, want %q", got, RefuseMoreSign)
		}
		if got := o.rollback(shipped(t), "agnes"); got.Refused != RefuseSigner {
			t.Errorf("an agent: got %+v, want %q", got, RefuseSigner)
		}
		o.inForceIs(stricter(t))
		if got := o.rollback(shipped(t), "olga"); got.Refused != Done || time.Until(got.From) != 24*time.Hour {
			t.Errorf("two persons: got %+v, want in 24 h", got)
		}
		o.inForceIs(stricter(t))
	})
}

func TestRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.publish(looser(t), "olga", "rita")
		time.Sleep(25 * time.Hour)
		if err := o.Refresh(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		o.inForceIs(looser(t))
		if got := o.rollback(shipped(t), "olga"); got.Refused != Done || got.From.After(time.Now()) {
			t.Fatalf("got %+v, want at once, by one person", got)
		}
		o.inForceIs(shipped(t))
		if got := o.entries("policy.rolled_back"); got != 1 {
			t.Errorf("%d entries, want 1", got)
		}
		// A rollback to what is in force drops what waits.
		o.publish(variant(t, "fresh: 15m", "fresh: 19m"), "olga", "rita")
		if got := o.rollback(shipped(t), "omar"); got.Refused != Done {
			t.Errorf("got %+v, want the waiting one dropped", got)
		}
		time.Sleep(25 * time.Hour)
		if err := o.Refresh(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		o.inForceIs(shipped(t))
	})
}

func TestEnrolKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t) // four persons: nobody is exempt
		o.person("nina", ringfence.RoleOps)
		o.person("adam", ringfence.RoleAdmin)
		adam := keyOf("adam").Public().(ed25519.PublicKey)
		o.put(kindKey, KeyID(adam), nil, Key{ID: KeyID(adam), Person: id("adam"), Public: adam, Status: ringfence.StatusActive, Since: time.Now()})
		public := keyOf("nina").Public().(ed25519.PublicKey)
		enrol := func(names ...string) KeyResult {
			t.Helper()
			var sigs []Approval
			msg := KeyMessage(tenant, id("nina"), public)
			for _, name := range names {
				key := keyOf(name)
				sigs = append(sigs, Approval{Person: id(name), Key: KeyID(key.Public().(ed25519.PublicKey)), Signature: ed25519.Sign(key, msg[:])})
			}
			out, err := o.EnrolKey(t.Context(), tenant, id("nina"), public, sigs...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for _, c := range []struct {
			name string
			by   []string
			want Refusal
		}{{"nobody", nil, RefuseMoreSign}, {"one", []string{"rita"}, RefuseMoreSign}, {"the same twice", []string{"rita"}, RefuseMoreSign},
			{"ops", []string{"olga"}, RefuseSigner}, {"herself", []string{"nina"}, RefuseSigner}} {
			if got := enrol(c.by...); got.Refused != c.want {
				t.Errorf("%s: got %+v, want %q", c.name, got, c.want)
			}
		}
		o.publish(stricter(t), "olga")
		if got := o.publish(stricter(t), "nina"); got.Refused != RefuseKey {
			t.Errorf("a key without signatures: got %+v, want %q", got, RefuseKey)
		}
		if got := enrol("adam"); got.Refused != Done || time.Until(got.Since) != 24*time.Hour {
			t.Fatalf("got %+v, want a key that signs tomorrow", got)
		}
		if got := o.publish(stricter(t), "nina"); got.Refused != RefuseKey {
			t.Errorf("today: got %+v, want %q", got, RefuseKey)
		}
		time.Sleep(24 * time.Hour)
		if got := o.publish(stricter(t), "nina"); got.Refused != Done {
			t.Errorf("tomorrow: got %+v, want in force", got)
		}
		if got, err := o.EnrolKey(t.Context(), tenant, id("omar"), public); err != nil || got.Refused != RefuseTaken {
			t.Errorf("the same key for another: got %+v, %v, want %q", got, err, RefuseTaken)
		}
	})
}

func TestFirstTwoEnrolAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, store: &ledgertest.Memory{}}
		o.cfg = Config{Store: o.store, Base: shipped(t)}
		o.Shelf = o.process()
		o.person("nina", ringfence.RoleOps)
		o.person("rita", ringfence.RoleRisk)
		for _, name := range []string{"nina", "rita"} {
			got, err := o.EnrolKey(t.Context(), tenant, id(name), keyOf(name).Public().(ed25519.PublicKey))
			if err != nil || got.Refused != Done || got.Since.After(time.Now()) {
				t.Errorf("%s: got %+v, %v, want enrolled at once", name, got, err)
			}
		}
		got, err := o.EnrolKey(t.Context(), tenant, id("nina"), keyOf("another").Public().(ed25519.PublicKey))
		if err != nil || got.Refused != RefuseMoreSign {
			t.Errorf("a second key: got %+v, %v, want %q", got, err, RefuseMoreSign)
		}
		if got := o.publish(stricter(t), "nina", "rita"); got.Refused != Done {
			t.Errorf("got %+v, want in force", got)
		}
	})
}
