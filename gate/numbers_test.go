package gate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// The clock is trusted up to two seconds behind the newest entry and a minute
// ahead of itself, and not a moment more.
func TestClockNumbers(t *testing.T) {
	for _, tt := range []struct {
		behind, step time.Duration
		want         policy.Reason
	}{
		{0, 0, ""}, {time.Second, 0, ""}, {2 * time.Second, 0, ""}, {2*time.Second + 1, 0, policy.ReasonClock},
		{0, time.Minute, ""}, {0, time.Minute + 1, policy.ReasonClock},
	} {
		w := newWorld(t)
		w.entry(ledger.Entry{Event: "config.changed"})
		h := &hands{wall: w.now.Add(-tt.behind), since: time.Hour} // the process runs for an hour already
		c := w.clock(h)
		w.looked(c)
		h.pass(tt.step, 0)
		w.looked(c)
		if have := c.Frozen(ten); have != tt.want {
			t.Errorf("%s behind, a step of %s: %q", tt.behind, tt.step, have)
		}
		if n := count(w, "clock.frozen"); (n > 0) != (tt.step > time.Minute) {
			t.Errorf("a step of %s: %d entries", tt.step, n)
		}
	}
}

// What cannot be read of the clock's own row refuses.
func TestClockStumbles(t *testing.T) {
	w := newWorld(t)
	h := &hands{wall: w.now}
	c := w.clock(h)
	c.store = w.g.cfg.Store
	w.entry(ledger.Entry{Event: "config.changed"})
	w.looked(c)
	h.pass(time.Hour, 0)
	w.looked(c)
	if err := c.Confirm(t.Context(), ten, risk, "the time service was replaced"); err != nil {
		t.Fatal(err)
	}
	if e := w.last("clock.confirmed"); e.Person != risk || e.Data["why"] == "" || c.Frozen(ten) != "" {
		t.Errorf("confirmed: %+v, %q", e, c.Frozen(ten))
	}
	if e := w.last("clock.frozen"); e.Data["step_seconds"] != "3600" {
		t.Errorf("frozen: %+v", e)
	}
}

// From C2 on nothing goes while the clock is not trusted; below it does.
func TestFrozenFromC2(t *testing.T) {
	for class, stops := range map[ringfence.Class]bool{ringfence.C1: false, ringfence.C2: true, ringfence.C3: true} {
		r := &turn{r: &row{Release: Release{State: StatePermitted, Permit: "prm", Class: class}}, now: epoch,
			g: &Gate{cfg: Config{Frozen: func(ringfence.TenantID) policy.Reason { return policy.ReasonClock }}}}
		if err := r.redeemable(permit{ID: "prm", Expires: epoch.Add(1)}); (err != nil) != stops || stops && !errors.Is(err, ErrHeld) {
			t.Errorf("redeemed at %s: %v", class, err)
		}
	}
	c2 := strings.NewReplacer("class: C1", "class: C2", "[attested, known_number, pin]", "[totp]").Replace(cardOrder)
	for order, want := range map[string]bool{cardOrder: false, c2: true} {
		w := newWorld(t, "actions:\n  bank_change:", order)
		r := w.card()
		w.frozen = policy.ReasonClock
		w.prove(r, "attested", "known_number", "pin", "totp")
		if r, v := w.released(r.ID); slices.Contains(v.Reasons, policy.ReasonClock) != want || (r.State == StateReady) == want {
			t.Errorf("at %s: %s %+v", v.Class, r.State, v)
		}
	}
}

// A permit that ends now is over; who issued it is named.
func TestPermitNumbers(t *testing.T) {
	w := newWorld(t)
	r := w.ready()
	c, err := w.g.ReadPermit(w.permit(r.ID))
	if err != nil || c.Issuer != "ringfence" || c.Expires-c.IssuedAt != int64(permitLife/time.Second) {
		t.Errorf("%+v, %v", c, err)
	}
	if n := len(w.store.Entries(ten)); c.Index != int64(n-1) {
		t.Errorf("the permit's entry is %d of %d", c.Index, n)
	}
	w.g.cfg.Issuer = "other"
	if _, err := w.g.ReadPermit(w.must2(w.g.sign(Claims{Issuer: "ringfence"}))); !errors.Is(err, ErrForbidden) {
		t.Errorf("of another issuer: %v", err)
	}
	for size, ok := range map[int]bool{maxPermitBytes: true, maxPermitBytes + 1: false, maxPermitBytes + 2: false} {
		for pad := range 8 { // base64 has not every length
			token := w.must2(w.g.sign(Claims{Issuer: "other", Head: strings.Repeat("x", size*3/4-pad-200)}))
			for more := 0; len(token) < size && more < 300; more++ {
				token = w.must2(w.g.sign(Claims{Issuer: "other", Head: strings.Repeat("x", size*3/4-pad-200+more)}))
			}
			if len(token) != size {
				continue
			}
			if _, err := w.g.ReadPermit(token); (err == nil) != ok {
				t.Errorf("a permit of %d bytes: %v", size, err)
			}
			break
		}
	}
}

func (w *world) must2(s string, err error) string {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// At C5 there is a week to come with papers, else a day.
func TestLifeOfARelease(t *testing.T) {
	w := lostWorld(t)
	if r := w.startAgain(); !r.ExpiresAt.Equal(w.now.Add(7 * 24 * time.Hour)) {
		t.Errorf("at %s until %s", r.Class, r.ExpiresAt)
	}
	w = newWorld(t)
	if r := w.opened("payment"); !r.ExpiresAt.Equal(w.now.Add(24 * time.Hour)) {
		t.Errorf("at %s until %s", r.Class, r.ExpiresAt)
	}
}

// Only what no proof mends denies at once.
func TestHopeless(t *testing.T) {
	for r := range sentences {
		want := r == policy.ReasonPolicy || r == policy.ReasonMandate || r == policy.ReasonWrongSubject
		if hopeless(r) != want {
			t.Errorf("%s: %v", r, !want)
		}
	}
}

// An import is signed by who signed it, finds people by their names, and gives
// mandates of its own subjects only.
func TestImportTellsWhoAndWhat(t *testing.T) {
	ctx := context.Background()
	w, in := importWorld(t)
	sub := in.Subjects[0].ID
	in.Subjects[0].Record["first_name"] = "Eve Marie"
	in.Mandates = []Mandate{{ID: "man_1", Subject: sub, Person: sub, Types: []string{"payment"}, Until: w.now.Add(year), Since: w.now.Add(-year)}}
	if err := w.g.Import(ctx, ten, in, w.sign(in, admin1, admin2)...); err != nil {
		t.Fatal(err)
	}
	e := w.last("reference.imported")
	if e.Person != admin1 || !strings.HasPrefix(e.Data["signed_1"], string(admin1)+" ") || !strings.HasPrefix(e.Data["signed_2"], string(admin2)+" ") {
		t.Errorf("signed by %+v", e)
	}
	if m := w.last("mandate.added"); m.Object != "man_1" || m.Subject != sub {
		t.Errorf("the mandate: %+v", m)
	}
	if all := w.records(KindMandate); len(all) != 1 || all[0].Subject != sub {
		t.Errorf("mandates: %+v", all)
	}
	for _, rec := range w.records(ledger.KindSubject) {
		if want := map[string]string{"kind": "customer", "customer:account": "87654321", NameKey("eve"): "customer", NameKey("marie"): "customer"}; rec.ID == string(sub) && !maps.Equal(rec.Keys, want) {
			t.Errorf("found by %v", rec.Keys)
		}
	}
	for name, spoil := range map[string]func(*Mandate){"no id": func(m *Mandate) { m.ID = "" }, "of another": func(m *Mandate) { m.Subject = ann }} {
		w, in := importWorld(t)
		in.Mandates = []Mandate{{ID: "man_1", Subject: in.Subjects[0].ID}}
		spoil(&in.Mandates[0])
		var bad *InvalidError
		if err := w.g.Import(ctx, ten, in, w.sign(in, admin1, admin2)...); !errors.As(err, &bad) || bad.Field != "mandates" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a person can compare with papers are names, and what identifies.
func TestPapers(t *testing.T) {
	p := loadPolicy(t)
	s := ringfence.Subject{Kind: "customer", Record: map[string]string{"account": "12345678", "first_name": "Ann", "balance": "5 GBP", "balance_band": "low"}}
	if have := Papers(p, s); !maps.Equal(have, map[string]string{"account": "12345678", "first_name": "Ann"}) {
		t.Errorf("have %v", have)
	}
	s.Record = map[string]string{"first_name": "", "account": "12345678"}
	if have := Papers(p, s); !maps.Equal(have, map[string]string{"account": "12345678"}) {
		t.Errorf("without a name: %v", have)
	}
	s.Kind = "robot"
	if len(Papers(p, s)) != 0 || len(Papers(nil, s)) != 0 {
		t.Error("papers of nobody")
	}
}

// What comes back is as young as a new one, and what stops keeps its age.
func TestAgeAfterSuspension(t *testing.T) {
	w := lifeWorld(t)
	aut, old := id[ringfence.AuthenticatorID]("aut"), w.now.Add(-year)
	w.authenticator(ringfence.Authenticator{ID: aut, Tenant: ten, Subject: ann, Type: ringfence.AuthTOTP, BoundAt: old, StoredAt: old, Failures: 3, Status: ringfence.StatusActive})
	if err := w.g.Suspend(t.Context(), ten, ann, string(aut), manager, "lost"); err != nil {
		t.Fatal(err)
	}
	if a := w.read(aut); a.Status != ringfence.StatusSuspended || !a.BoundAt.Equal(old) || a.Failures != 3 {
		t.Errorf("stopped: %+v", a)
	}
	r := w.must(w.openWith("come_back", Actor{Person: agent}, map[string]string{"resume": string(aut)}))
	if r = w.done(r, "passkey"); r.State != StateExecuted {
		t.Fatalf("have %s %s", r.State, r.Why)
	}
	if a := w.read(aut); a.Status != ringfence.StatusActive || !a.BoundAt.After(old.Add(year)) || a.Failures != 0 {
		t.Errorf("came back: %+v", a)
	}
}

// Over is over on every page of a call.
func TestEndOfALongCall(t *testing.T) {
	for _, entries := range []int{0, 999, 1000, 1001, 2000} {
		for _, over := range []bool{true, false} {
			w := newWorld(t)
			w.g = w.open(w.store)
			err := w.store.Update(t.Context(), ten, func(tx ledger.Tx) error {
				for range entries {
					if _, err := tx.Append(t.Context(), ledger.Entry{Event: "leg.placed", Traversal: trv}); err != nil {
						return err
					}
				}
				if over {
					_, err := tx.Append(t.Context(), ledger.Entry{Event: "traversal.ended", Traversal: trv})
					return err
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			err = w.store.View(t.Context(), ten, func(tx ledger.Tx) error {
				have, err := ended(t.Context(), tx, trv)
				if have != over {
					t.Errorf("%d entries: over is %v, want %v", entries, have, over)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A settled payment makes its payee known, one that failed does not.
func TestReconciledPayee(t *testing.T) {
	for outcome, known := range map[Outcome]int{OutcomeExecuted: 1, OutcomeFailed: 0, OutcomeUnknown: 0, "": 0} {
		w := newWorld(t)
		w.person(ringfence.Person{ID: "per_ops", Roles: []ringfence.Role{ringfence.RoleOps}})
		r := w.opened("payment")
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		w.released(r.ID)
		w.pass(12 * time.Hour)
		if r = w.look(r.ID); r.State != StateReady {
			t.Fatalf("have %s", r.State)
		}
		red, err := w.g.Redeem(t.Context(), ten, executor, w.permit(r.ID), Key{})
		if err != nil {
			t.Fatal(err)
		}
		w.must(w.g.Report(t.Context(), ten, executor, red.Permit, OutcomeUnknown))
		_, err = w.g.Reconcile(t.Context(), ten, r.ID, "per_ops", outcome)
		if ok := outcome == OutcomeExecuted || outcome == OutcomeFailed; (err == nil) != ok {
			t.Errorf("%q: %v", outcome, err)
		}
		if n := len(w.records(KindPayee)); n != known {
			t.Errorf("%q: %d payees", outcome, n)
		}
	}
}
