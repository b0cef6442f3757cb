package pin_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// quick is the least cost New takes.
var quick = pin.Cost{Passes: 2, MemoryKiB: 19 * 1024, Lanes: 1}

func method(tb testing.TB) *pin.Method {
	tb.Helper()
	m, err := pin.New(verifytest.Pepper, quick)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		pepper ringfence.Secret
		cost   pin.Cost
	}{
		{"a short pepper", verifytest.Pepper[:31], quick},
		{"little memory", verifytest.Pepper, pin.Cost{Passes: 3, MemoryKiB: 8 << 10, Lanes: 1}},
		{"one pass over little memory", verifytest.Pepper, pin.Cost{Passes: 1, MemoryKiB: 19 << 10, Lanes: 1}},
		{"no lane", verifytest.Pepper, pin.Cost{Passes: 3, MemoryKiB: 64 << 10}},
		{"more than a machine has", verifytest.Pepper, pin.Cost{Passes: 3, MemoryKiB: 2 << 20, Lanes: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := pin.New(c.pepper, c.cost); err == nil {
				t.Error("have no error")
			}
		})
	}
}

func TestJudge(t *testing.T) {
	own := []string{"+44 7700 900123", "10002000", "1984-03-17"}
	for _, c := range []struct {
		pin  string
		want pin.Refusal
	}{
		{"", pin.RefusedForm}, {"12345", pin.RefusedForm}, {"48213a", pin.RefusedForm}, {"４８２１３７", pin.RefusedForm}, {"4821374821371", pin.RefusedForm},
		{"111111", pin.RefusedRepeat}, {"121212", pin.RefusedRepeat}, {"483483", pin.RefusedRepeat}, {"484848", pin.RefusedRepeat}, {"447447", pin.RefusedRepeat}, {"447744", pin.RefusedRepeat},
		{"123456", pin.RefusedRun}, {"987654", pin.RefusedRun}, {"246802", pin.RefusedRun}, {"567890", pin.RefusedRun},
		{"170384", pin.RefusedDate}, {"031784", pin.RefusedDate}, {"840317", pin.RefusedDate}, {"121999", pin.RefusedDate}, {"199912", pin.RefusedDate}, {"17031984", pin.RefusedDate}, {"19840317", pin.RefusedDate},
		{"700900", pin.RefusedOwn}, {"770090", pin.RefusedOwn}, {"10002000", pin.RefusedOwn}, {"910002000", pin.RefusedOwn},
		{"482137", ""}, {"907351", ""}, {"48213796", ""},
	} {
		t.Run(c.pin, func(t *testing.T) {
			if have := pin.Judge(ringfence.Secret(c.pin), own...); have != c.want {
				t.Errorf("have %q, want %q", have, c.want)
			}
		})
	}
}

func enrol(t *testing.T, m *pin.Method, c pin.Choice) ringfence.Secret {
	t.Helper()
	s, why, err := m.Enrol(t.Context(), c)
	if err != nil || why != "" {
		t.Fatal(why, err)
	}
	return s
}

func TestEnrolRefuses(t *testing.T) {
	m := method(t)
	secret := func(s string) ringfence.Secret { return ringfence.Secret(s) }
	first := enrol(t, m, pin.Choice{PIN: secret("482137")})
	for _, c := range []struct {
		name   string
		choice pin.Choice
		want   pin.Refusal
	}{
		{"a run", pin.Choice{PIN: secret("123456")}, pin.RefusedRun},
		{"the same again", pin.Choice{PIN: secret("482137"), Before: first}, pin.RefusedUsed},
		{"a duress PIN one finger away", pin.Choice{PIN: secret("482137"), Duress: secret("482138")}, pin.RefusedDuress},
		{"the same duress PIN", pin.Choice{PIN: secret("482137"), Duress: secret("482137")}, pin.RefusedDuress},
		{"a duress PIN that is a date", pin.Choice{PIN: secret("482137"), Duress: secret("170384")}, pin.RefusedDate},
		{"an initial PIN of letters", pin.Choice{PIN: secret("abcdef"), Initial: true}, pin.RefusedForm},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, why, err := m.Enrol(t.Context(), c.choice)
			if err != nil || why != c.want {
				t.Errorf("have %q, %v; want %q", why, err, c.want)
			}
		})
	}
	// The last five may not come back; the sixth before may.
	record, used := first, []string{"482137"}
	for _, p := range []string{"907351", "614928", "350862", "729416", "853097"} {
		record = enrol(t, m, pin.Choice{PIN: secret(p), Before: record})
		used = append(used, p)
	}
	for i, p := range used {
		_, why, err := m.Enrol(t.Context(), pin.Choice{PIN: secret(p), Before: record})
		want := pin.RefusedUsed
		if i == 0 {
			want = ""
		}
		if err != nil || why != want {
			t.Errorf("%d changes ago: have %q, %v; want %q", len(used)-1-i, why, err, want)
		}
	}
}

func check(t *testing.T, m *pin.Method, record ringfence.Secret, keyed string) verify.Verdict {
	t.Helper()
	a := verify.Attempt{Answer: verify.Answer{Value: ringfence.Secret(keyed)}}
	if record != nil {
		a.Authenticators = []ringfence.Authenticator{{ID: "aut_1", Secret: record}}
	}
	v, err := m.Check(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCheck(t *testing.T) {
	m := method(t)
	plain := enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137")})
	under := enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137"), Duress: ringfence.Secret("907351")})
	first := enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137"), Initial: true})
	for _, c := range []struct {
		name, keyed string
		record      ringfence.Secret
		want        verify.Verdict
	}{
		{"right", "482137", plain, verify.Verdict{OK: true, Authenticator: "aut_1"}},
		{"wrong", "482138", plain, verify.Verdict{}},
		{"empty", "", plain, verify.Verdict{}},
		{"longer", "4821370", plain, verify.Verdict{}},
		{"nobody's", "482137", nil, verify.Verdict{}},
		{"under duress", "907351", under, verify.Verdict{OK: true, Duress: true, Authenticator: "aut_1"}},
		{"not under duress", "482137", under, verify.Verdict{OK: true, Authenticator: "aut_1"}},
		{"duress without opting in", "907351", plain, verify.Verdict{}},
		{"a first PIN", "482137", first, verify.Verdict{OK: true, MustChange: true, Authenticator: "aut_1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			have := check(t, m, c.record, c.keyed)
			have.Secret, c.want.Secret = nil, nil
			if have.OK != c.want.OK || have.Duress != c.want.Duress || have.MustChange != c.want.MustChange || have.Authenticator != c.want.Authenticator {
				t.Errorf("have %+v, want %+v", have, c.want)
			}
		})
	}
	t.Run("another pepper", func(t *testing.T) {
		other, err := pin.New(ringfence.Secret("another pepper of thirty-two bytes"), quick)
		if err != nil {
			t.Fatal(err)
		}
		if check(t, other, plain, "482137").OK {
			t.Error("a record is worth something without its pepper")
		}
	})
	t.Run("a damaged record", func(t *testing.T) {
		for _, bad := range []string{"", "{}", "null", `{"v":1,"salt":"","tag":"","duress":""}`} {
			a := verify.Attempt{Authenticators: []ringfence.Authenticator{{Secret: ringfence.Secret(bad)}}}
			if v, err := m.Check(t.Context(), a); err == nil || v.OK {
				t.Errorf("%q: have %v, %v; want an error", bad, v, err)
			}
		}
	})
	t.Run("a caller that left", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		v, _ := m.Check(ctx, verify.Attempt{Answer: verify.Answer{Value: ringfence.Secret("482137")}})
		if v.OK {
			t.Error("nobody was there, and it is right")
		}
	})
}

// Invariants 11, 23, 26: nothing of a PIN is in the record, and the record of
// who opted in looks like that of who did not.
func TestRecordTellsNothing(t *testing.T) {
	m := method(t)
	plain := enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137")})
	under := enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137"), Duress: ringfence.Secret("907351")})
	if len(plain) != len(under) {
		t.Errorf("records of %d and %d bytes tell who opted in", len(plain), len(under))
	}
	for _, r := range []ringfence.Secret{plain, under} {
		if bytes.Contains(r, []byte("482137")) || bytes.Contains(r, []byte("907351")) {
			t.Error("the record holds a PIN")
		}
	}
	if bytes.Equal(plain, enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137")})) {
		t.Error("the same PIN gives the same record")
	}
}

func TestRandomPINsAreAllowed(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		p := pin.Random()
		if why := pin.Judge(p); why != "" {
			t.Errorf("have %q for a random PIN", why)
		}
		seen[string(p)] = true
	}
	if len(seen) < 190 {
		t.Errorf("200 random PINs were only %d different ones", len(seen))
	}
}

// The whole life: enrol, answer wrongly and rightly, under duress, as nobody.
func TestWholeLife(t *testing.T) {
	w := verifytest.New(t)
	m := method(t)
	v := w.Verifier(m)
	sub := w.Subject("10002000")
	w.Authenticator(string(sub), ringfence.AuthPIN, enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137"), Duress: ringfence.Secret("907351")}))
	ask := func(s ringfence.SubjectID, keyed string) verify.Result {
		c, err := v.Create(t.Context(), verifytest.Tenant, verify.Request{Traversal: verifytest.Traversal(), Subject: s, Method: ringfence.FactPIN,
			Release: verifytest.Release(), Digest: verifytest.Digest(1)})
		if err == nil {
			_, err = v.Present(t.Context(), verifytest.Tenant, c.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret(keyed)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := ask(sub, "482137")
	if !r.Satisfied() || r.Evidence.Release != "" || !r.Evidence.Digest.Zero() {
		t.Errorf("have %+v, want a leg fact without a digest (invariant 7)", r.Evidence)
	}
	if r := ask(sub, "907351"); !r.Satisfied() || len(w.List(verify.KindAlarm)) != 1 {
		t.Errorf("duress: have %s and %d alarms", r.Outcome, len(w.List(verify.KindAlarm)))
	}
	if r := ask(sub, "482138"); r.Outcome != verify.OutcomeWrong {
		t.Errorf("wrong: have %s", r.Outcome)
	}
	// A known subject without a PIN and nobody at all answer alike.
	bare := w.Subject("20003000")
	a, b := ask(bare, "482137"), ask("sub_nobody", "482137")
	if a.Outcome != verify.OutcomeWrong || b.Outcome != verify.OutcomeWrong || a.TriesLeft != b.TriesLeft {
		t.Errorf("without a PIN: have %v and %v", a, b)
	}
	if slices.Contains(w.Events(), "challenge.undeliverable") {
		t.Error("an absent PIN shows in the log")
	}
}

func BenchmarkCheckDefaultCost(b *testing.B) {
	m, err := pin.New(verifytest.Pepper, pin.Cost{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Check(b.Context(), verify.Attempt{Answer: verify.Answer{Value: ringfence.Secret("482137")}}); err != nil {
			b.Fatal(err)
		}
	}
}

// One PIN tried with many subjects: no single lock sees it.
func TestSprayStopsPINsInT0Only(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := verifytest.New(t), method(t)
		cfg := w.Config()
		cfg.Limits.Spray = 3
		v, err := verify.New(cfg, m)
		if err != nil {
			t.Fatal(err)
		}
		sub := w.Subject("10002000")
		w.Authenticator(string(sub), ringfence.AuthPIN, enrol(t, m, pin.Choice{PIN: ringfence.Secret("482137")}))
		ask := func(s ringfence.SubjectID, tier verify.Tier, keyed string) verify.Outcome {
			c, err := v.Create(t.Context(), verifytest.Tenant, verify.Request{Traversal: verifytest.Traversal(), Subject: s, Method: ringfence.FactPIN, Tier: tier})
			if err == nil {
				_, err = v.Present(t.Context(), verifytest.Tenant, c.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret(keyed)})
			if err != nil {
				t.Fatal(err)
			}
			return r.Outcome
		}
		for i := range 3 {
			ask(ringfence.SubjectID("sub_"+string(rune('a'+i))), verify.T0, "907351")
		}
		if have := ask(sub, verify.T0, "482137"); have != verify.OutcomeSatisfied {
			t.Errorf("below the limit: have %s", have)
		}
		ask("sub_d", verify.T0, "907351")
		if have := ask(sub, verify.T0, "482137"); have != verify.OutcomeWrong {
			t.Errorf("over the limit in T0: have %s", have)
		}
		if have := ask(sub, verify.T1, "482137"); have != verify.OutcomeSatisfied {
			t.Errorf("over the limit in T1: have %s", have)
		}
		if !slices.Contains(w.Events(), "alert.raised") {
			t.Error("no alarm was raised")
		}
		time.Sleep(2 * time.Hour)
		if have := ask(sub, verify.T0, "482137"); have != verify.OutcomeSatisfied {
			t.Errorf("two hours later: have %s", have)
		}
	})
}
