package gate

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// changeWorld knows actions that name what they change, and who may act.
func changeWorld(t *testing.T) *world {
	return lifeWorld(t, "actions:\n", `actions:
  remove_number:
    class: C4
    says: take a number off your file
    about: customer
    like: contact_change
    carries: { kind: "one of [mobile, landline]", ending: digits 2, contact: secret text }
    needs: [callback, confirmed, passkey or totp, approved]
    approvals: { group: payments_manager, count: 1 }
  drop_key:
    class: C4
    says: remove a PIN, app or passkey
    about: customer
    like: authenticator_reset
    carries: { kind: "one of [pin, totp, passkey, recovery]", since: date, authenticator: secret text }
    needs: [callback, confirmed, passkey or totp, approved]
    approvals: { group: payments_manager, count: 1 }
  let_act:
    class: C4
    says: let somebody act for you
    about: customer
    like: mandate_change
    carries: { representative: name, for: "one of [payment, come_back]", limit: money, until: date, person: secret text }
    needs: [callback, confirmed, passkey or totp, approved]
    approvals: { group: payments_manager, count: 1 }
  stop_acting:
    class: C4
    says: end what somebody may do for you
    about: customer
    like: mandate_change
    carries: { since: date, mandate: secret text }
    needs: [callback, confirmed, passkey or totp, approved]
    approvals: { group: payments_manager, count: 1 }
`)
}

// An action says of what it changes what is true, and can name only what is on
// file for its subject as it stands.
func TestAnActionSaysWhatItChanges(t *testing.T) {
	ctx := context.Background()
	w := changeWorld(t)
	old := w.now.Add(-year)
	mine, theirs := id[ringfence.ContactPointID]("cpt"), id[ringfence.ContactPointID]("cpt")
	for cpt, whose := range map[ringfence.ContactPointID]ringfence.SubjectID{mine: ann, theirs: acme} {
		w.contact(ringfence.ContactPoint{ID: cpt, Tenant: ten, Subject: whose, Type: ringfence.ContactMobile, Value: "447700900555", VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusActive})
	}
	fields, err := w.g.Describe(ctx, ten, "remove_number", ann, string(mine))
	if want := map[string]string{"kind": "mobile", "ending": "55", "contact": string(mine)}; err != nil || !maps.Equal(fields, want) {
		t.Fatalf("%v %v", fields, err)
	}
	for name, one := range map[string]struct{ action, target string }{
		"another subject's": {"remove_number", string(theirs)}, "nothing": {"remove_number", string(id[ringfence.ContactPointID]("cpt"))},
		"not by this action": {"drop_key", string(mine)}, "no action": {"fly", string(mine)}, "no id": {"remove_number", "x"},
	} {
		if _, err := w.g.Describe(ctx, ten, one.action, ann, one.target); err == nil {
			t.Errorf("%s is described", name)
		}
	}
	if _, err := w.g.Describe(ctx, "ten_b", "remove_number", ann, string(mine)); !errors.Is(err, ErrNotFound) {
		t.Errorf("another tenant: %v", err)
	}
	for name, v := range map[string]string{"kind": "landline", "ending": "56", "contact": string(theirs)} {
		lie := maps.Clone(fields)
		lie[name] = v
		var bad *InvalidError
		if _, err := w.openWith("remove_number", Actor{Person: agent}, lie); !errors.As(err, &bad) || bad.Field != name {
			t.Errorf("another %s: %v", name, err)
		}
	}
	r := w.must(w.openWith("remove_number", Actor{Person: agent}, fields))
	if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateExecuted {
		t.Fatal(r.State, r.Why)
	}
	if _, err := w.g.Describe(ctx, ten, "remove_number", ann, string(mine)); !errors.Is(err, ErrNotFound) {
		t.Errorf("what is gone: %v", err)
	}
}

// Who may act for somebody is changed by an action only, counts when it is old
// enough, and is stopped at once.
func TestMandatesAreActions(t *testing.T) {
	ctx := context.Background()
	w := changeWorld(t)
	bob := ringfence.SubjectID("sub_0000000000000000000000bob0")
	w.put(ledger.KindSubject, string(bob), bob, nil, ringfence.Subject{ID: bob, Tenant: ten, Kind: "customer", Record: map[string]string{"first_name": "Bob"}, Status: ringfence.StatusActive})
	good := map[string]string{"representative": "Bob", "person": string(bob), "for": "payment", "limit": "50000 GBP", "until": w.now.AddDate(1, 0, 0).Format(time.DateOnly)}
	for name, v := range map[string]string{"representative": "Bert", "person": string(ann)} {
		lie := maps.Clone(good)
		lie[name] = v
		var bad *InvalidError
		if _, err := w.openWith("let_act", Actor{Person: agent}, lie); !errors.As(err, &bad) || bad.Field != "person" {
			t.Errorf("another %s: %v", name, err)
		}
	}
	for name, v := range map[string]string{"for": "come_back", "limit": "50000 EUR", "until": "2020-01-01"} {
		lie := maps.Clone(good)
		lie[name] = v
		r := w.must(w.openWith("let_act", Actor{Person: agent}, lie))
		if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateExecFailed || !strings.Contains(r.Why, name) {
			t.Errorf("%s: %s %s", name, r.State, r.Why)
		}
	}
	if len(w.mandates()) != 0 {
		t.Fatalf("%+v", w.mandates())
	}
	r := w.must(w.openWith("let_act", Actor{Person: agent}, good))
	if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateExecuted {
		t.Fatal(r.State, r.Why)
	}
	have := w.mandates()
	if len(have) != 1 || have[0].Person != bob || have[0].Subject != ann || have[0].Limit != 500 || have[0].Source != string(r.ID) || have[0].Status != ringfence.StatusActive || w.now.Sub(have[0].Since) > time.Minute {
		t.Fatalf("%+v", have)
	}
	acts := func(want bool) {
		t.Helper()
		r, _, err := w.g.Open(ctx, ten, OpenRequest{Type: "payment", Subject: ann, Represents: bob, Fields: map[string]string{"payee": "Acme", "amount": "100 GBP", "account": "12345678"}, By: Actor{Person: agent}})
		if err != nil || (r.State != StateDenied) != want {
			t.Errorf("%v %s %s", err, r.State, r.Why)
		}
	}
	acts(false) // young
	w.pass(25 * time.Hour)
	acts(true)
	if err := w.g.Suspend(ctx, ten, ann, have[0].ID, risk, "they fell out"); err != nil {
		t.Fatal(err)
	}
	acts(false)
	if err := w.g.Suspend(ctx, ten, ann, have[0].ID, risk, "again"); !errors.Is(err, ErrConflict) {
		t.Errorf("twice: %v", err)
	}
}

func (w *world) mandates() (out []Mandate) {
	w.t.Helper()
	if err := w.store.View(context.Background(), ten, func(tx ledger.Tx) (err error) {
		out, err = ledger.Rows[Mandate](context.Background(), tx, KindMandate, bySubject(ann))
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}
