package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Check digits 00, 01 and 99 leave the rest of 97, 98 and 02. An account that is
// disputed under one text must not come back under another.
func TestAnIBANHasOneText(t *testing.T) {
	good, twin := map[string]bool{}, map[string]string{"97": "00", "98": "01", "02": "99"}
	for n := range 2000 {
		bban := fmt.Sprintf("NWBK601613%08d", n)
		for dd := range 100 {
			iban := fmt.Sprintf("GB%02d%s", dd, bban)
			if validIBAN(iban) {
				good[iban[2:4]] = true
				if good[bban] {
					t.Fatalf("a second way to write %s", bban)
				}
				good[bban] = true
			}
		}
	}
	for real, other := range twin {
		if !good[real] || good[other] {
			t.Errorf("%s: %v, %s: %v", real, good[real], other, good[other])
		}
	}
}

// A passkey that was stolen may have signed before anybody noticed: its approvals
// fall with it, and those of whoever was suspended, as long as nothing is redeemed.
func TestApprovalsFallWithTheirPasskey(t *testing.T) {
	stop := map[string]func(*world){
		"the passkey is removed": func(w *world) {
			w.authenticator(ringfence.Authenticator{ID: "aut_per_manager", Subject: ringfence.SubjectID(manager), Type: ringfence.AuthPasskey, Status: ringfence.StatusRemoved, StoredAt: epoch})
		},
		"the passkey is suspended": func(w *world) {
			w.authenticator(ringfence.Authenticator{ID: "aut_per_manager", Subject: ringfence.SubjectID(manager), Type: ringfence.AuthPasskey, Status: ringfence.StatusSuspended, StoredAt: epoch})
		},
		"the passkey is somebody else's": func(w *world) {
			w.authenticator(ringfence.Authenticator{ID: "aut_per_manager", Subject: ringfence.SubjectID(manager2), Type: ringfence.AuthPasskey, Status: ringfence.StatusActive, StoredAt: epoch})
		},
		"the approver is suspended": func(w *world) {
			w.person(ringfence.Person{ID: manager, Groups: []string{"payments_manager"}, Status: ringfence.StatusSuspended})
		},
		"the approver leaves the group": func(w *world) { w.person(ringfence.Person{ID: manager}) },
		"nothing":                       nil,
	}
	for name, stop := range stop {
		for _, ready := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", ready ", ready), func(t *testing.T) {
				w := newWorld(t)
				w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Tenant: ten, Subject: ann, Type: ringfence.AuthPIN, Status: ringfence.StatusRemoved})
				r := w.opened("bank_change")
				w.prove(r, "pin", "totp", "callback", "confirmed")
				r, _ = w.released(r.ID)
				r, _, err := w.g.Approve(t.Context(), ten, approval(r, manager))
				if w.must(r, err); r.State != StateCooling {
					t.Fatal(r.State, r.Why)
				}
				if ready {
					w.pass(12 * time.Hour)
					if r = w.look(r.ID); r.State != StateReady {
						t.Fatal(r.State, r.Why)
					}
				}
				if stop != nil {
					stop(w)
				}
				if !ready {
					w.pass(12 * time.Hour)
				}
				token, _, err := w.g.Permit(t.Context(), ten, r.ID, executor)
				if went := token != ""; went != (stop == nil) || err != nil && stop == nil {
					t.Errorf("permit %v, %v, now %s", went, err, w.look(r.ID).State)
				}
			})
		}
	}
}

// Who made a service account was shown its credential: what it opens, they may
// have opened (invariant 13: persons, not accounts).
func TestInvariant13TheMakerOfAnAccount(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	q := request("invoice")
	q.By = Actor{Client: "cli_crm", Maker: manager}
	r, _, err := w.g.Open(t.Context(), ten, q)
	w.must(r, err)
	w.prove(r, "callback", "confirmed")
	r, _, err = w.g.AskApproval(t.Context(), ten, r.ID, q.By)
	w.must(r, err)
	_, v, err := w.g.Approve(t.Context(), ten, approval(r, manager))
	if err != nil || !slices.Contains(v.Reasons, policy.ReasonSelfApproval) {
		t.Errorf("its maker approves: %v %+v", err, v)
	}
	if _, v, err = w.g.Approve(t.Context(), ten, approval(r, manager2)); err != nil || slices.Contains(v.Reasons, policy.ReasonSelfApproval) {
		t.Errorf("a colleague: %v %+v", err, v)
	}
}

// One person has one account; the address of somebody who was suspended is not
// free.
func TestInvariant13OneAccountAPerson(t *testing.T) {
	w := newWorld(t)
	w.person(ringfence.Person{ID: "per_admin1", Roles: []ringfence.Role{ringfence.RoleAdmin}})
	w.person(ringfence.Person{ID: "per_admin2", Roles: []ringfence.Role{ringfence.RoleAdmin}})
	put := func(p ringfence.Person) error {
		msg, err := PersonMessage(ten, p)
		if err != nil {
			t.Fatal(err)
		}
		var sigs []Signature
		for _, who := range []ringfence.PersonID{"per_admin1", "per_admin2"} {
			aut := ringfence.AuthenticatorID("aut_" + who)
			sigs = append(sigs, Signature{Person: who, Authenticator: aut, Assertion: assertionOf(aut, msg)})
		}
		_, err = w.g.PutPerson(t.Context(), ten, p, sigs...)
		return err
	}
	one := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID]("per"), Name: "Sam", Email: "sam@bank.example", Roles: []ringfence.Role{ringfence.RoleAgent}}
	if err := put(one); err != nil {
		t.Fatal(err)
	}
	one.Roles = []ringfence.Role{ringfence.RoleSupervisor}
	if err := put(one); err != nil {
		t.Errorf("the same person: %v", err)
	}
	if err := w.g.SuspendPerson(t.Context(), ten, one.ID, risk, nil); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"sam@bank.example", "Sam@Bank.Example"} {
		again := one
		again.ID, again.Email = ringfence.NewID[ringfence.PersonID]("per"), email
		var bad *InvalidError
		if err := put(again); !errors.As(err, &bad) || bad.Field != "email" {
			t.Errorf("%s again: %v", email, err)
		}
	}
}

// A lock finds every open release of a subject, however many were opened and
// ended after it.
func TestLockBehindThousands(t *testing.T) {
	w := newWorld(t)
	r := w.opened("payment")
	w.now = w.now.Add(time.Second)
	err := w.store.Update(t.Context(), ten, func(tx ledger.Tx) error {
		for n := range 1100 {
			id := ringfence.ReleaseID(fmt.Sprintf("rel_%026d", n))
			rec := ledger.Record{Kind: KindRelease, ID: string(id), Subject: ann, Sort: w.now.UnixNano(), Keys: map[string]string{"subject": string(ann), "traversal": string(trv)}}
			if err := ledger.Write(t.Context(), tx, &rec, row{Release: Release{ID: id, Tenant: ten, Subject: ann, State: StateCancelled, Type: "payment", RequestedAt: w.now}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.g.Lock(context.Background(), ten, ann, Actor{Flow: "alert"}); err != nil {
		t.Fatal(err)
	}
	if r = w.look(r.ID); r.State != StateHeld {
		t.Errorf("locked, and %s", r.State)
	}
}

// A first payment that nobody says the person asked for is not held as short as
// one that they asked for.
func TestAFirstPaymentIsAskedForInPerson(t *testing.T) {
	for _, tt := range []struct {
		by     AskedBy
		on     ringfence.TraversalID
		person bool
	}{
		{AskedPhone, "", true}, {AskedPerson, "", true}, {AskedUnsaid, trv, true},
		{AskedUnsaid, "", false}, {AskedEmail, trv, false}, {AskedLetter, trv, false}, {"PHONE", trv, false},
	} {
		c := Case{AskedBy: tt.by}
		c.Ask.Traversal = tt.on
		if c.inPerson() != tt.person {
			t.Errorf("%q on %q: %v", tt.by, tt.on, !tt.person)
		}
	}
}

// What a reviewer or an opener writes never leaves a canonical form with two
// readings: fields are sorted, numbers are text, nothing of another field leaks in.
func TestCanonicalHasOneReading(t *testing.T) {
	r := Release{ID: "rel_1", Tenant: ten, Nonce: strings.Repeat("0", 32), Type: "payment", Subject: ann, Fields: map[string]string{"b": "1\",\"a\":\"2", "a": "</script>\u2028"}}
	one, d1, err := Canonical(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Fields = map[string]string{"a": "</script>\u2028", "b": "1\",\"a\":\"2"}
	two, d2, err := Canonical(r)
	if err != nil || string(one) != string(two) || d1 != d2 {
		t.Errorf("%s\n%s %v", one, two, err)
	}
	r.Fields["b"] = "1"
	if _, d3, _ := Canonical(r); d3 == d1 {
		t.Error("another action has the same digest")
	}
}

// What was proved by something that is said to be stolen falls with it, in classes
// that ask for no age as well, to the permit and on the line.
func TestProofsFallWithTheirAuthenticator(t *testing.T) {
	for _, status := range []ringfence.Status{ringfence.StatusSuspended, ringfence.StatusRemoved, ringfence.StatusPending} {
		w := newWorld(t, "actions:\n  bank_change:", cardOrder)
		stop := func() {
			w.authenticator(ringfence.Authenticator{ID: "aut_pin", Tenant: ten, Subject: ann, Type: ringfence.AuthPIN, BoundAt: w.now.Add(-year), Status: status})
		}
		knows := func() bool {
			g, err := w.g.Guard(t.Context(), ten, GuardRequest{Traversal: trv, Leg: "leg_1", Subject: ann, SIMSwap: ringfence.No})
			if err != nil {
				t.Fatal(err)
			}
			return slices.Contains(g.Facts(), ringfence.FactPIN)
		}
		r := w.card()
		w.prove(r, "attested", "known_number", "pin")
		if r, v := w.released(r.ID); r.State != StateReady || !knows() {
			t.Fatalf("%s %+v", r.State, v)
		}
		stop()
		if token, _, err := w.g.Permit(t.Context(), ten, r.ID, executor); token != "" || knows() {
			t.Errorf("%s: a permit (%v), or it is still known on the line", status, err)
		}
	}
}
