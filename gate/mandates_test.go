package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

func (w *world) mandate(id string, limit int64) {
	w.put(KindMandate, id, ann, map[string]string{"subject": string(ann)}, Mandate{ID: id, Person: acme, Subject: ann, Types: []string{"payment"},
		Limit: limit, Until: w.now.Add(year), Since: w.now.Add(-year), Status: ringfence.StatusActive})
}

// An action ends the mandate that it names, unless that has ended meanwhile.
func TestAMandateEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(w *world)
		want      State
	}{
		"as it stood":       {func(*world) {}, StateExecuted},
		"removed meanwhile": {func(w *world) { w.endMandate(ringfence.StatusRemoved, ann) }, StateExecFailed},
		"somebody else's":   {func(w *world) { w.endMandate(ringfence.StatusActive, acme) }, StateExecFailed},
	} {
		w := changeWorld(t)
		w.mandate("man_1", 100)
		r := w.must(w.openWith("stop_acting", Actor{Person: agent}, map[string]string{"mandate": "man_1", "since": w.now.Add(-year).Format(time.DateOnly)}))
		w.prove(r, "passkey", "callback", "confirmed")
		r, _ = w.released(r.ID)
		r, _, _ = w.g.Approve(t.Context(), ten, approval(r, manager))
		tt.meanwhile(w)
		w.pass(12 * time.Hour)
		w.pass(time.Second)
		if r = w.look(r.ID); r.State != tt.want {
			t.Errorf("%s: %s %s", name, r.State, r.Why)
		}
		if ended := count(w, "mandate.removed") == 1; ended != (tt.want == StateExecuted) {
			t.Errorf("%s: ended is %v", name, ended)
		}
		if m := w.mandates()[0]; tt.want == StateExecuted && m.Status != ringfence.StatusRemoved {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func (w *world) endMandate(s ringfence.Status, of ringfence.SubjectID) {
	w.put(KindMandate, "man_1", ann, map[string]string{"subject": string(ann)}, Mandate{ID: "man_1", Subject: of, Since: w.now.Add(-year), Status: s})
}

// What is asked for under a mandate in a day adds up to its limit and no further.
func TestRoomOfAMandate(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	w.mandate("man_1", 2500)
	for i, want := range []bool{true, true, false} { // of a thousand each
		q := request("payment")
		q.Represents = acme
		r, v, err := w.g.Open(t.Context(), ten, q)
		w.must(r, err)
		if have := r.State == StatePendingEvidence; have != want {
			t.Errorf("payment %d: %s %+v", i+1, r.State, v)
		}
	}
	q := request("payment")
	q.Represents, q.Fields["amount"] = acme, "50000 GBP"
	if r, _, err := w.g.Open(t.Context(), ten, q); err != nil || r.State != StatePendingEvidence {
		t.Errorf("what is left: %s, %v", r.State, err)
	}
	q.Fields = fieldsOf("payment")
	q.Fields["amount"] = "1 GBP"
	if r, _, err := w.g.Open(t.Context(), ten, q); err != nil || r.State == StatePendingEvidence {
		t.Errorf("a penny more: %s, %v", r.State, err)
	}
}

// Amounts of one day and currency add up; what does not add up is over every
// limit.
func TestSumsOfADay(t *testing.T) {
	for name, tt := range map[string]struct {
		others []string
		want   string
	}{
		"alone":             {nil, "100000 GBP"},
		"two more":          {[]string{"50000 GBP", "1 GBP"}, "150001 GBP"},
		"more than itself":  {[]string{"900000 GBP"}, "1000000 GBP"},
		"another currency":  {[]string{"50000 EUR"}, "100000 "},
		"that comes first":  {[]string{"50000 EUR", "5 GBP"}, "100000 "},
		"too much to count": {[]string{"9223372036854775807 GBP"}, "100000 "},
		"unreadable":        {[]string{"lots"}, "100000 "},
	} {
		w := newWorld(t)
		w.knownPayee()
		r := w.opened("payment")
		for i, amount := range tt.others {
			o := row{Release: w.look(r.ID)}
			o.ID, o.Fields = ringfence.ReleaseID("rel_"+string(rune('a'+i))), map[string]string{"payee": "Ann Example", "account": "12345678", "amount": amount}
			w.put(KindRelease, string(o.ID), ann, o.keys(), o)
		}
		err := w.store.View(t.Context(), ten, func(tx ledger.Tx) error {
			full, _, err := ledger.Read[row](t.Context(), tx, KindRelease, string(r.ID))
			if err != nil {
				return err
			}
			c, err := (&turn{g: w.g, ctx: t.Context(), tx: tx, r: &full, now: w.now}).gather()
			if have := c.Ask.Sums["amount"]; have != tt.want {
				t.Errorf("%s: %q, want %q", name, have, tt.want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A permit that lapsed is followed by another, without a tick between.
func TestPermitAfterALapse(t *testing.T) {
	w := newWorld(t)
	r := w.ready()
	first := w.permit(r.ID)
	if _, _, err := w.g.Permit(t.Context(), ten, r.ID, executor); err == nil {
		t.Error("two permits at a time")
	}
	w.now = w.now.Add(permitLife)
	if second := w.permit(r.ID); second == first {
		t.Error("the same permit again")
	}
	if _, err := w.g.Redeem(t.Context(), ten, executor, first, Key{}); err == nil {
		t.Error("the permit that lapsed is redeemed")
	}
	if w.last("release.permitted"); count(w, "release.permitted") != 2 || w.g.JWK().KeyID == "" {
		t.Errorf("%d permits", count(w, "release.permitted"))
	}
}

// A landline that comes is one, and everything else that rings is a mobile.
func TestALandlineComes(t *testing.T) {
	const lines = `actions:
  line_add:
    class: C4
    says: add a telephone number
    about: customer
    like: contact_change
    carries: { type: "one of [mobile, landline]", number: tn }
    needs: [pin, callback, confirmed, passkey]
    hold: 12h
    outlives_call: true
`
	for _, typ := range []ringfence.ContactType{ringfence.ContactMobile, ringfence.ContactLandline} {
		w := newWorld(t, "actions:\n", lines)
		w.g.cfg.Executor = func(ringfence.TenantID, string) string { return Self }
		r := w.cooled("line_add", map[string]string{"type": string(typ), "number": "442079460123"})
		w.pass(0)
		if r = w.look(r.ID); r.State != StateExecuted {
			t.Fatalf("%s: %s %s", typ, r.State, r.Why)
		}
		var points []ringfence.ContactPoint
		err := w.store.View(t.Context(), ten, func(tx ledger.Tx) (err error) {
			points, err = ledger.Rows[ringfence.ContactPoint](t.Context(), tx, ledger.KindContactPoint, bySubject(ann))
			return err
		})
		if err != nil || !slices.ContainsFunc(points, func(c ringfence.ContactPoint) bool { return c.Value == "442079460123" && c.Type == typ }) {
			t.Errorf("%s: %+v, %v", typ, points, err)
		}
	}
}
