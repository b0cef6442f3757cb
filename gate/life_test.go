package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// lifeActions are the changes of the directory that a policy may name.
const lifeActions = `actions:
  set_pin:
    class: C4
    says: set a new telephone PIN
    about: customer
    like: authenticator_reset
    carries: { new_pin: secret digits 6 }
    needs: [callback, confirmed, passkey or totp, approved]
    approvals: { group: payments_manager, count: 1 }
  new_passkey:
    class: C4
    says: add a passkey
    about: customer
    like: authenticator_reset
    carries: { type: "one of [passkey, totp]", check: digits 6, fingerprint: secret text }
    needs: [callback, confirmed, passkey or totp, approved]
    approvals: { group: payments_manager, count: 1 }
  first_passkey:
    class: C4
    says: add a first passkey
    about: customer
    like: first_authenticator
    carries: { type: "one of [passkey, totp]", check: digits 6, fingerprint: secret text }
    needs: [callback, confirmed, approved]
    approvals: { group: payments_manager, count: 1 }
  come_back:
    class: C4
    says: use again what was stopped
    about: customer
    like: authenticator_reset
    carries: { resume: text }
    needs: [passkey, approved]
    approvals: { group: payments_manager, count: 1 }
  bank_change:`

func lifeWorld(t *testing.T, edits ...string) *world {
	w := newWorld(t, append([]string{"actions:\n  bank_change:", lifeActions}, edits...)...)
	w.g.cfg.Executor = func(_ ringfence.TenantID, action string) string {
		if a, ok := w.policies.Current(ten).Action(action); ok && Performs(a) {
			return Self
		}
		return executor
	}
	w.g.cfg.Keep = func(_ context.Context, k Keeping) (Kept, error) {
		pin := string(k.Values["new_pin"])
		switch {
		case pin == "111111":
			return Kept{Field: "new_pin", Refused: "the same digit again and again"}, nil
		case len(k.Own) > 0 && strings.Contains(strings.Join(k.Own, " "), pin):
			return Kept{Type: ringfence.AuthPIN, Barred: "part of one of your own numbers"}, nil
		}
		return Kept{Type: ringfence.AuthPIN, Secret: ringfence.Secret("argon2id of " + pin + " after " + string(k.Before))}, nil
	}
	return w
}

func (w *world) openWith(typ string, by Actor, fields map[string]string) (Release, error) {
	r, _, err := w.g.Open(context.Background(), ten, OpenRequest{Type: typ, Subject: ann, Fields: fields, Traversal: trv, By: by, AskedBy: AskedPhone})
	return r, err
}

// done proves a change of the directory, has it approved, and waits.
func (w *world) done(r Release, facts ...ringfence.Fact) Release {
	w.t.Helper()
	w.prove(r, facts...)
	r, _ = w.released(r.ID)
	if r.State == StatePendingApproval {
		r, _, _ = w.g.Approve(context.Background(), ten, approval(r, manager))
	}
	w.pass(12 * time.Hour)
	w.pass(time.Second)
	return w.look(r.ID)
}

func (w *world) authenticators(typ ringfence.AuthenticatorType, status ringfence.Status) (out []ringfence.Authenticator) {
	w.t.Helper()
	err := w.store.View(context.Background(), ten, func(tx ledger.Tx) error {
		all, err := ledger.Rows[ringfence.Authenticator](context.Background(), tx, ledger.KindAuthenticator, bySubject(ann))
		for _, a := range all {
			if a.Type == typ && a.Status == status {
				out = append(out, a)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

var flow = Actor{Flow: "enrol-pin"}

// A PIN is keyed by the caller, kept as what the method checks, and stands in
// no release, answer or entry (invariants 11 and 12).
func TestInvariant11APINIsKeptNowhereInClear(t *testing.T) {
	w := lifeWorld(t)
	const chosen = "583920"
	fields := func() map[string]string { return map[string]string{"new_pin": chosen} }
	for name, by := range map[string]Actor{"an agent": {Person: agent}, "a client": {Client: "crm"}, "a client behind a flow": {Client: "crm", Flow: "x"}, "an agent behind a flow": {Person: agent, Flow: "x"}} {
		var bad *InvalidError
		if _, err := w.openWith("set_pin", by, fields()); !errors.As(err, &bad) || strings.Contains(err.Error(), chosen) {
			t.Errorf("%s set a PIN: %v", name, err)
		}
	}
	w.g.cfg.Executor = func(ringfence.TenantID, string) string { return executor }
	if _, err := w.openWith("set_pin", flow, fields()); err == nil {
		t.Error("a PIN goes to an executor")
	}
	w = lifeWorld(t)
	keep := w.g.cfg.Keep
	w.g.cfg.Keep = nil
	if _, err := w.openWith("set_pin", flow, fields()); err == nil {
		t.Error("a PIN is taken that nothing keeps")
	}
	w.g.cfg.Keep = func(context.Context, Keeping) (Kept, error) { return Kept{Type: ringfence.AuthPIN}, nil }
	if _, err := w.openWith("set_pin", flow, fields()); err == nil {
		t.Error("an empty authenticator is enrolled")
	}
	w.g.cfg.Keep = keep
	var bad *InvalidError
	if _, err := w.openWith("set_pin", flow, map[string]string{"new_pin": "111111"}); !errors.As(err, &bad) || bad.Field != "new_pin" {
		t.Errorf("a weak PIN: %v", err)
	}
	r := w.must(w.openWith("set_pin", flow, fields()))
	if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateExecuted {
		t.Fatal(r.State, r.Why)
	}
	now, old := w.authenticators(ringfence.AuthPIN, ringfence.StatusActive), w.authenticators(ringfence.AuthPIN, ringfence.StatusRemoved)
	if len(now) != 1 || len(old) != 1 || old[0].ID != "aut_pin" || !now[0].BoundAt.Equal(w.now.Add(-time.Second)) && !now[0].BoundAt.Equal(w.now) {
		t.Errorf("active %+v, removed %+v", now, old)
	}
	for _, rec := range w.records(KindRelease) {
		if strings.Contains(string(rec.Body), chosen) {
			t.Error("the PIN stands in the release")
		}
	}
	for _, e := range w.store.Entries(ten) {
		for _, v := range e.Data {
			if strings.Contains(v, chosen) {
				t.Errorf("the PIN stands in %s", e.Event)
			}
		}
	}
}

func (w *world) records(kind ledger.Kind) (out []ledger.Record) {
	w.t.Helper()
	if err := w.store.View(context.Background(), ten, func(tx ledger.Tx) (err error) {
		out, err = tx.List(context.Background(), kind, ledger.Query{Limit: 1000})
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// What is wrong for this subject only is told when it would be done: at once,
// it would tell a stranger about the subject (invariant 23).
func TestInvariant23WhatIsBarredIsToldLate(t *testing.T) {
	w := lifeWorld(t)
	w.contact(ringfence.ContactPoint{ID: id[ringfence.ContactPointID]("cpt"), Tenant: ten, Subject: ann, Type: ringfence.ContactLandline,
		Value: "442058392000", StoredAt: w.now.Add(-year), ChangedAt: w.now.Add(-year), VerifiedAt: w.now.Add(-year), Status: ringfence.StatusActive})
	q := OpenRequest{Type: "set_pin", Subject: "sub_nobody", Fields: map[string]string{"new_pin": "583920"}, Traversal: trv, By: flow}
	_, told, err := w.g.Pretend(context.Background(), ten, q)
	if err != nil {
		t.Errorf("nobody is told %v", err)
	}
	r := w.must(w.openWith("set_pin", flow, q.Fields))
	if told.Decision != StepUp || !slices.Contains(told.Missing, ringfence.FactCallback) || !strings.HasPrefix(told.Next, "Still needed: ") || !strings.HasPrefix(r.Why, "Still needed: ") {
		t.Errorf("somebody is asked for %q, nobody for %q", r.Why, told.Next)
	}
	if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateExecFailed || !strings.Contains(r.Why, "own numbers") {
		t.Errorf("have %s: %s", r.State, r.Why)
	}
	if have := w.authenticators(ringfence.AuthPIN, ringfence.StatusActive); len(have) != 1 || have[0].ID != "aut_pin" {
		t.Errorf("active: %+v", have)
	}
	q.Fields = map[string]string{"new_pin": "111111"}
	_, _, known := w.g.Pretend(context.Background(), ten, q)
	if _, nobody := w.openWith("set_pin", flow, q.Fields); known == nil || nobody == nil || known.Error() != nobody.Error() {
		t.Errorf("a weak PIN: %v and %v", known, nobody)
	}
}

func (w *world) pend(subject ringfence.SubjectID, typ ringfence.AuthenticatorType, secret string) map[string]string {
	w.authenticator(ringfence.Authenticator{ID: id[ringfence.AuthenticatorID]("aut"), Tenant: ten, Subject: subject, Type: typ,
		Secret: ringfence.Secret(secret), StoredAt: w.now, BoundAt: w.now, Status: ringfence.StatusPending})
	print := Fingerprint(ringfence.Secret(secret))
	return map[string]string{"type": string(typ), "fingerprint": print, "check": CheckDigits(print)}
}

// What waits to be enrolled counts when its action was released, no sooner.
func TestEnrolmentOfWhatWaits(t *testing.T) {
	w := lifeWorld(t)
	fields := w.pend(ann, ringfence.AuthPasskey, "a new passkey")
	wrong := map[string]string{"type": fields["type"], "fingerprint": fields["fingerprint"], "check": "000000"}
	if _, err := w.openWith("new_passkey", Actor{Client: "enrolment"}, wrong); err == nil {
		t.Error("check digits that are not those of the fingerprint")
	}
	for name, f := range map[string]map[string]string{
		"somebody else's": w.pend(acme, ringfence.AuthPasskey, "theirs"),
		"another type":    {"type": "totp", "fingerprint": fields["fingerprint"], "check": fields["check"]},
		"nothing pending": {"type": "passkey", "fingerprint": Fingerprint(nil), "check": CheckDigits(Fingerprint(nil))},
	} {
		r := w.must(w.openWith("new_passkey", Actor{Client: "enrolment"}, f))
		if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateReady && r.State != StateExpired {
			t.Errorf("%s: %s %s", name, r.State, r.Why)
		}
	}
	if n := len(w.authenticators(ringfence.AuthPasskey, ringfence.StatusActive)); n != 1 {
		t.Fatalf("%d active passkeys, want the old one", n)
	}
	r := w.must(w.openWith("new_passkey", Actor{Client: "enrolment"}, fields))
	if r = w.done(r, "callback", "confirmed", "passkey"); r.State != StateExecuted {
		t.Fatal(r.State, r.Why)
	}
	have := w.authenticators(ringfence.AuthPasskey, ringfence.StatusActive)
	if len(have) != 2 {
		t.Errorf("active: %+v", have)
	}
}

// 2.7: the first authenticator of a subject needs a call-back to an old number
// and a colleague; whoever has one already is asked for it (invariant 29).
func TestFirstAuthenticator(t *testing.T) {
	w := lifeWorld(t)
	fields := w.pend(ann, ringfence.AuthPasskey, "a first passkey")
	by := Actor{Client: "enrolment"}
	r := w.must(w.openWith("first_passkey", by, fields))
	if r = w.done(r, "callback", "confirmed"); r.State != StatePendingEvidence && r.State != StateExpired {
		t.Errorf("somebody with a passkey: %s %s", r.State, r.Why)
	}
	remove := func(at time.Duration, status ringfence.Status) *world {
		w := lifeWorld(t)
		for _, typ := range []ringfence.AuthenticatorType{ringfence.AuthPIN, ringfence.AuthTOTP, ringfence.AuthPasskey} {
			a := ringfence.Authenticator{ID: ringfence.AuthenticatorID("aut_" + typ), Tenant: ten, Subject: ann, Type: typ,
				BoundAt: w.now.Add(-year), StoredAt: w.now.Add(-year), Status: status}
			if status == ringfence.StatusRemoved {
				a.RemovedAt = w.now.Add(-at)
			}
			w.authenticator(a)
		}
		return w
	}
	for name, w := range map[string]*world{"removed yesterday": remove(24*time.Hour, ringfence.StatusRemoved), "suspended": remove(0, ringfence.StatusSuspended)} {
		fields := w.pend(ann, ringfence.AuthPasskey, "a first passkey")
		r := w.must(w.openWith("first_passkey", by, fields))
		if r = w.done(r, "callback", "confirmed"); r.State == StateExecuted || r.State == StateReady {
			t.Errorf("%s: %s", name, r.State)
		}
	}
	w = remove(31*24*time.Hour, ringfence.StatusRemoved)
	fields = w.pend(ann, ringfence.AuthPasskey, "a first passkey")
	r = w.must(w.openWith("first_passkey", by, fields))
	if r = w.done(r, "callback", "confirmed"); r.State != StateExecuted {
		t.Errorf("nobody's first: %s %s", r.State, r.Why)
	}
	w = remove(31*24*time.Hour, ringfence.StatusRemoved)
	young := w.now.Add(-29 * 24 * time.Hour)
	for _, c := range []string{"cpt_a", "cpt_b"} {
		w.contact(ringfence.ContactPoint{ID: ringfence.ContactPointID(c + string(ann)), Tenant: ten, Subject: ann, Type: ringfence.ContactMobile,
			VerifiedAt: young, ChangedAt: young, StoredAt: young, Status: ringfence.StatusActive})
	}
	r = w.must(w.openWith("first_passkey", by, w.pend(ann, ringfence.AuthPasskey, "a first passkey")))
	if r = w.done(r, "callback", "confirmed"); r.State == StateExecuted {
		t.Error("a number of 29 days is enough")
	}
}

// Stopping takes one person and no time; coming back is a C4 action, and what
// comes back is young.
func TestSuspendAndResume(t *testing.T) {
	ctx := context.Background()
	w := lifeWorld(t)
	aut, cpt := id[ringfence.AuthenticatorID]("aut"), id[ringfence.ContactPointID]("cpt")
	old := w.now.Add(-year)
	w.authenticator(ringfence.Authenticator{ID: aut, Tenant: ten, Subject: ann, Type: ringfence.AuthTOTP, BoundAt: old, StoredAt: old, Status: ringfence.StatusActive})
	w.contact(ringfence.ContactPoint{ID: cpt, Tenant: ten, Subject: ann, Type: ringfence.ContactMobile, Value: "447700900555", VerifiedAt: old, ChangedAt: old, StoredAt: old, Status: ringfence.StatusActive})
	for name, err := range map[string]error{
		"an agent":         w.g.Suspend(ctx, ten, ann, string(aut), agent, "lost"),
		"a stranger":       w.g.Suspend(ctx, ten, ann, string(aut), "per_x", "lost"),
		"nobody":           w.g.Suspend(ctx, ten, ann, string(aut), "", "lost"),
		"no reason":        w.g.Suspend(ctx, ten, ann, string(aut), risk, ""),
		"another subject":  w.g.Suspend(ctx, ten, acme, string(aut), risk, "lost"),
		"another tenant":   w.g.Suspend(ctx, "ten_b", ann, string(aut), risk, "lost"),
		"no such thing":    w.g.Suspend(ctx, ten, ann, string(id[ringfence.AuthenticatorID]("aut")), risk, "lost"),
		"something else":   w.g.Suspend(ctx, ten, ann, string(ann), risk, "lost"),
		"a contact's twin": w.g.Suspend(ctx, ten, acme, string(cpt), risk, "lost"),
	} {
		if err == nil {
			t.Errorf("%s suspended it", name)
		}
	}
	for _, one := range []string{string(aut), string(cpt)} {
		if err := w.g.Suspend(ctx, ten, ann, one, manager, "lost"); err != nil {
			t.Fatal(err)
		}
		if err := w.g.Suspend(ctx, ten, ann, one, manager, "lost"); !errors.Is(err, ErrConflict) {
			t.Errorf("twice: %v", err)
		}
	}
	w.pass(time.Hour)
	for _, one := range []string{string(aut), string(cpt)} {
		r := w.must(w.openWith("come_back", Actor{Person: agent}, map[string]string{"resume": one}))
		if r = w.done(r, "passkey"); r.State != StateExecuted {
			t.Fatal(r.State, r.Why)
		}
	}
	back := w.authenticators(ringfence.AuthTOTP, ringfence.StatusActive)
	for _, a := range back {
		if a.ID == aut && w.now.Sub(a.BoundAt) > 100*time.Hour {
			t.Errorf("it came back as old as it was: %v", a.BoundAt)
		}
	}
	var bad *InvalidError
	if _, err := w.openWith("come_back", Actor{Person: agent}, map[string]string{"resume": string(aut)}); !errors.As(err, &bad) {
		t.Errorf("what is not suspended comes back: %v", err)
	}
}
