package verify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// legWord is word for the PIN, a fact about a leg.
type legWord struct{ word }

func (w legWord) Spec() verify.Spec {
	s := w.word.Spec()
	s.Fact, s.Strength = ringfence.FactPIN, ringfence.StrengthKnowledge
	return s
}

func TestObserveWritesNothingThatDoesNotHold(t *testing.T) {
	w := verifytest.New(t)
	v := w.Verifier(word{})
	s, other := w.Subject("10002000"), w.Subject("10002001")
	w.Contact(s, ringfence.ContactMobile, "447700900123")
	w.Contact(s, ringfence.ContactPost, "447700900125")
	young := ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint)
	for i, status := range []ringfence.Status{ringfence.StatusRemoved, ringfence.StatusSuspended, ringfence.StatusPending, ""} {
		id := ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint)
		w.Put(ledger.KindContactPoint, string(id), map[string]string{"subject": string(s)}, ringfence.ContactPoint{ID: id, Subject: s,
			Type: ringfence.ContactMobile, Value: "44770090020" + string(rune('0'+i)), ChangedAt: time.Now().AddDate(-1, 0, 0), Status: status})
	}
	w.Put(ledger.KindContactPoint, string(young), map[string]string{"subject": string(s)}, ringfence.ContactPoint{ID: young, Subject: s,
		Type: ringfence.ContactMobile, Value: "447700900124", ChangedAt: time.Now().Add(-time.Hour), Status: ringfence.StatusActive})
	good := verify.Observation{Traversal: "trv_1", Leg: verifytest.Leg(), Subject: s, Fact: ringfence.FactKnownNumber, Number: "447700900123", NotYounger: 24 * time.Hour}
	for name, spoil := range map[string]func(*verify.Observation){
		"no number":              func(o *verify.Observation) { o.Number = "" },
		"a stranger's number":    func(o *verify.Observation) { o.Number = "447700900999" },
		"a prefix of it":         func(o *verify.Observation) { o.Number = "44770090012" },
		"a young number":         func(o *verify.Observation) { o.Number = "447700900124" },
		"a post address":         func(o *verify.Observation) { o.Number = "447700900125" },
		"a removed number":       func(o *verify.Observation) { o.Number = "447700900200" },
		"a suspended number":     func(o *verify.Observation) { o.Number = "447700900201" },
		"a pending number":       func(o *verify.Observation) { o.Number = "447700900202" },
		"a number of no status":  func(o *verify.Observation) { o.Number = "447700900203" },
		"somebody else's number": func(o *verify.Observation) { o.Subject = other },
		"nobody":                 func(o *verify.Observation) { o.Subject = "sub_nobody" },
		"no subject":             func(o *verify.Observation) { o.Subject = "" },
		"no leg":                 func(o *verify.Observation) { o.Leg = "" },
		"no traversal":           func(o *verify.Observation) { o.Traversal = "" },
	} {
		o := good
		spoil(&o)
		if e, ok, err := v.Observe(t.Context(), verifytest.Tenant, o); ok || err != nil || e.ID != "" {
			t.Errorf("%s: %+v %v %v", name, e, ok, err)
		}
	}
	for _, f := range []ringfence.Fact{"", "pin", "callback", "passkey", "identified", "approved", "proofed"} {
		o := good
		o.Fact = f
		if _, ok, err := v.Observe(t.Context(), verifytest.Tenant, o); ok || err == nil {
			t.Errorf("%q was observed", f)
		}
	}
	if n := len(w.List(ledger.KindEvidence)); n != 0 {
		t.Errorf("%d rows of evidence, want none", n)
	}
	e, ok, err := v.Observe(t.Context(), verifytest.Tenant, good)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	stored := verifytest.Read[ringfence.Evidence](w, ledger.KindEvidence, string(e.ID))
	want(t, "leg", stored.Leg, good.Leg)
	want(t, "digest", stored.Digest, ringfence.Digest{})
	want(t, "release", stored.Release, ringfence.ReleaseID(""))
	want(t, "strength", stored.Strength, ringfence.Strength(""))
	want(t, "number named", stored.ContactPoint != "", true)
	last := w.Store.Entries(verifytest.Tenant)
	want(t, "its hash stands in the entry", len(last[len(last)-1].Data["evidence_sha256"]), 64)
}

// Invariant 17: a leg that went to somebody else carries no signature any more,
// and a PIN that was on its way when it did is nobody's.
func TestObserveAndPINOnAChangedLeg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := verifytest.New(t)
		v := w.Verifier(legWord{})
		s := w.Subject("10002000")
		w.Authenticator(string(s), ringfence.AuthTOTP, ringfence.Secret("swordfish"))
		leg := verifytest.Leg()
		ask := func() verify.Challenge {
			time.Sleep(time.Second)
			c, err := v.Create(t.Context(), verifytest.Tenant, verify.Request{Traversal: "trv_1", Leg: leg, Subject: s, Method: ringfence.FactPIN})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Issue(t.Context(), verifytest.Tenant, c.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Present(t.Context(), verifytest.Tenant, c.ID); err != nil {
				t.Fatal(err)
			}
			return c
		}
		key := func(c verify.Challenge) verify.Outcome {
			r, err := v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Leg: leg, Value: ringfence.Secret("swordfish")})
			if err != nil {
				t.Fatal(err)
			}
			return r.Outcome
		}
		before := ask()
		time.Sleep(time.Second)
		if err := v.VoidLeg(t.Context(), verifytest.Tenant, "trv_1", leg); err != nil {
			t.Fatal(err)
		}
		if err := v.VoidLeg(t.Context(), verifytest.Tenant, "trv_1", leg); err != nil { // and once more
			t.Fatal(err)
		}
		want(t, "a PIN asked of the party before", key(before), verify.OutcomeWrong)
		o := verify.Observation{Traversal: "trv_1", Leg: leg, Subject: s, Fact: ringfence.FactAttested}
		if _, ok, err := v.Observe(t.Context(), verifytest.Tenant, o); ok || err != nil {
			t.Errorf("attested on a leg that changed: %v %v", ok, err)
		}
		want(t, "a PIN asked of the party after", key(ask()), verify.OutcomeSatisfied)
		o.Leg = verifytest.Leg()
		if _, ok, err := v.Observe(t.Context(), verifytest.Tenant, o); !ok || err != nil {
			t.Errorf("attested on another leg: %v %v", ok, err)
		}
	})
}
