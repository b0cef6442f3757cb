package gate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

const startAgain = `actions:
  start_again:
    class: C5
    says: start again
    about: customer
    like: authenticator_reset
    carries: { type: "one of [passkey]", check: digits 6, fingerprint: secret text }
    needs: [proofed, approved]
    approvals: { group: payments_manager, count: 2 }
    hold: 72h
    outlives_call: true
`

// keeps puts an authenticator of ann's on file.
func (w *world) keeps(typ ringfence.AuthenticatorType, status ringfence.Status, secret string) ringfence.AuthenticatorID {
	one := id[ringfence.AuthenticatorID]("aut")
	w.authenticator(ringfence.Authenticator{ID: one, Tenant: ten, Subject: ann, Type: typ, Secret: ringfence.Secret(secret), StoredAt: w.now, BoundAt: w.now, Status: status})
	return one
}

// papers proofs and approves an action of class C5, and waits its three days.
func (w *world) papers(r Release) Release {
	w.t.Helper()
	w.person(ringfence.Person{ID: manager2, Roles: []ringfence.Role{ringfence.RoleSupervisor}, Groups: []string{"payments_manager"}, Team: "north"})
	e := w.evidenceFor(r, "proofed")
	e.Release, e.Digest, e.Traversal, e.Leg, e.Presented = r.ID, r.Digest, "", "", true
	w.putEvidence(e)
	r, _ = w.released(r.ID)
	for _, p := range []ringfence.PersonID{manager, manager2} {
		got, _, err := w.g.Approve(context.Background(), ten, approval(r, p))
		r = w.must(got, err)
	}
	if r.State != StateCooling {
		w.t.Fatal(r.State, r.Why)
	}
	w.pass(71 * time.Hour)
	if got := w.look(r.ID); got.State != StateCooling {
		w.t.Errorf("before three days: %s", got.State)
	}
	w.pass(time.Hour)
	w.pass(time.Second)
	return w.look(r.ID)
}

// Whoever starts again has a new passkey and the recovery codes that were made
// with it, and nothing of what was lost: it may have been found.
func TestStartingAgainTakesAwayWhatWasLost(t *testing.T) {
	w := lifeWorld(t, "actions:\n", startAgain)
	lost := []ringfence.AuthenticatorID{"aut_pin", "aut_totp", "aut_passkey", w.keeps(ringfence.AuthRecovery, ringfence.StatusActive, `{"with":"aut_passkey"}`),
		w.keeps(ringfence.AuthTOTP, ringfence.StatusSuspended, "stopped"), w.keeps(ringfence.AuthPasskey, ringfence.StatusPending, "a thief's"),
		w.keeps(ringfence.AuthRecovery, ringfence.StatusPending, `{"with":"aut_thief"}`)}
	fresh := w.keeps(ringfence.AuthPasskey, ringfence.StatusPending, "the new passkey")
	codes := w.keeps(ringfence.AuthRecovery, ringfence.StatusPending, `{"with":"`+string(fresh)+`"}`)
	fields, err := w.g.Describe(context.Background(), ten, "start_again", ann, string(fresh))
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := w.g.Open(context.Background(), ten, OpenRequest{Type: "start_again", Subject: ann, Fields: fields, By: Actor{Flow: "recovery"}})
	if r = w.must(r, err); r.ExpiresAt.Sub(w.now) != papersLife {
		t.Errorf("it waits for papers until %v", r.ExpiresAt)
	}
	if r = w.papers(r); r.State != StateExecuted {
		t.Fatal(r.State, r.Why)
	}
	status := map[ringfence.AuthenticatorID]ringfence.Status{}
	for _, rec := range w.records(ledger.KindAuthenticator) {
		a := w.read(ringfence.AuthenticatorID(rec.ID))
		if a.Subject == ann {
			status[a.ID] = a.Status
		}
	}
	for _, one := range lost {
		if status[one] != ringfence.StatusRemoved {
			t.Errorf("%s is %s", one, status[one])
		}
	}
	if status[fresh] != ringfence.StatusActive || status[codes] != ringfence.StatusActive || len(status) != len(lost)+2 {
		t.Errorf("%v", status)
	}
}

func (w *world) read(id ringfence.AuthenticatorID) (a ringfence.Authenticator) {
	w.t.Helper()
	if err := w.store.View(context.Background(), ten, func(tx ledger.Tx) (err error) {
		a, _, err = ledger.Read[ringfence.Authenticator](context.Background(), tx, ledger.KindAuthenticator, string(id))
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// A new passkey brings the codes that were made with it and no others, which
// take the place of the old ones.
func TestCodesComeWithTheirPasskey(t *testing.T) {
	w := lifeWorld(t)
	old := w.keeps(ringfence.AuthRecovery, ringfence.StatusActive, `{"with":"aut_passkey"}`)
	other := w.keeps(ringfence.AuthRecovery, ringfence.StatusPending, `{"with":"aut_other"}`)
	fresh := w.keeps(ringfence.AuthPasskey, ringfence.StatusPending, "a new passkey")
	codes := w.keeps(ringfence.AuthRecovery, ringfence.StatusPending, `{"with":"`+string(fresh)+`"}`)
	fields, err := w.g.Describe(context.Background(), ten, "new_passkey", ann, string(fresh))
	if err != nil {
		t.Fatal(err)
	}
	r := w.must(w.openWith("new_passkey", Actor{Person: agent}, fields))
	if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateExecuted {
		t.Fatal(r.State, r.Why)
	}
	for one, want := range map[ringfence.AuthenticatorID]ringfence.Status{old: ringfence.StatusRemoved, other: ringfence.StatusPending, fresh: ringfence.StatusActive, codes: ringfence.StatusActive, "aut_passkey": ringfence.StatusActive} {
		if have := w.read(one).Status; have != want {
			t.Errorf("%s is %s, want %s", one, have, want)
		}
	}
}

// Invariant 33: after a restore nobody knows which codes were used, so none of
// them comes back.
func TestInvariant33RecoveryCodesDoNotComeBack(t *testing.T) {
	w := lifeWorld(t)
	set := w.keeps(ringfence.AuthRecovery, ringfence.StatusActive, `{}`)
	if err := w.g.stopRecoveryCodes(context.Background(), ten, nil); err != nil {
		t.Fatal(err)
	}
	if have := w.read(set).Status; have != ringfence.StatusSuspended {
		t.Fatalf("after a restore it is %s", have)
	}
	var bad *InvalidError
	if _, err := w.openWith("come_back", Actor{Person: agent}, map[string]string{"resume": string(set)}); !errors.As(err, &bad) {
		t.Errorf("they come back: %v", err)
	}
}
