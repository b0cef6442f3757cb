package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

const (
	admin1 = ringfence.PersonID("per_admin1")
	admin2 = ringfence.PersonID("per_admin2")
)

func id[T ~string](prefix string) T { return ringfence.NewID[T](prefix) }

// importWorld has staff and nobody else.
func importWorld(t *testing.T, edits ...string) (*world, Import) {
	w := newWorld(t, edits...)
	w.person(ringfence.Person{ID: admin1, Roles: []ringfence.Role{ringfence.RoleAdmin}})
	w.person(ringfence.Person{ID: admin2, Roles: []ringfence.Role{ringfence.RoleRisk}})
	sub := id[ringfence.SubjectID]("sub")
	old := w.now.Add(-2 * year)
	return w, Import{Source: "crm export",
		Subjects: []ringfence.Subject{{ID: sub, Kind: "customer", Record: map[string]string{"account": "87654321", "first_name": "Eve", "balance": "1250 GBP"}}},
		ContactPoints: []ringfence.ContactPoint{{ID: id[ringfence.ContactPointID]("cpt"), Subject: sub, Type: ringfence.ContactMobile,
			Value: "442079460000", VerifiedAt: old, ChangedAt: old}},
		Authenticators: []ringfence.Authenticator{{ID: id[ringfence.AuthenticatorID]("aut"), Subject: sub, Type: ringfence.AuthPIN, BoundAt: old, Secret: ringfence.Secret("x")}},
		Payees:         []Payee{{Subject: sub, Account: "/12345678", Since: old}},
	}
}

func (w *world) sign(in Import, who ...ringfence.PersonID) []Signature {
	msg, err := ImportMessage(ten, in)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []Signature
	for _, p := range who {
		aut := ringfence.AuthenticatorID("aut_" + p)
		out = append(out, Signature{Person: p, Authenticator: aut, Assertion: assertionOf(aut, msg)})
	}
	return out
}

func TestImportRefuses(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name  string
		spoil func(*Import)
		who   []ringfence.PersonID
	}{
		{"unsigned", nil, nil},
		{"one signature", nil, []ringfence.PersonID{admin1}},
		{"one person twice", nil, []ringfence.PersonID{admin1, admin1}},
		{"an agent", nil, []ringfence.PersonID{admin1, agent}},
		{"a stranger", nil, []ringfence.PersonID{admin1, "per_x"}},
		{"no source", func(in *Import) { in.Source = "" }, []ringfence.PersonID{admin1, admin2}},
		{"unknown kind", func(in *Import) { in.Subjects[0].Kind = "robot" }, []ringfence.PersonID{admin1, admin2}},
		{"unknown field", func(in *Import) { in.Subjects[0].Record["iban"] = "x" }, []ringfence.PersonID{admin1, admin2}},
		{"bad value", func(in *Import) { in.Subjects[0].Record["account"] = "1" }, []ringfence.PersonID{admin1, admin2}},
		{"bad id", func(in *Import) { in.Subjects[0].ID = "sub_1" }, []ringfence.PersonID{admin1, admin2}},
		{"bad number", func(in *Import) { in.ContactPoints[0].Value = "+442079460000" }, []ringfence.PersonID{admin1, admin2}},
		{"bad type", func(in *Import) { in.ContactPoints[0].Type = "pigeon" }, []ringfence.PersonID{admin1, admin2}},
		{"contact of somebody on file", func(in *Import) { in.ContactPoints[0].Subject = ann }, []ringfence.PersonID{admin1, admin2}},
		{"authenticator of somebody on file", func(in *Import) { in.Authenticators[0].Subject = ann }, []ringfence.PersonID{admin1, admin2}},
		{"payee of somebody on file", func(in *Import) { in.Payees[0].Subject = ann }, []ringfence.PersonID{admin1, admin2}},
		{"mandate of somebody on file", func(in *Import) { in.Mandates = []Mandate{{ID: "m", Subject: ann}} }, []ringfence.PersonID{admin1, admin2}},
		{"one account for two", func(in *Import) {
			twin := in.Subjects[0]
			twin.ID = id[ringfence.SubjectID]("sub")
			in.Subjects = append(in.Subjects, twin)
		}, []ringfence.PersonID{admin1, admin2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, in := importWorld(t)
			if tt.spoil != nil {
				tt.spoil(&in)
			}
			if err := w.g.Import(ctx, ten, in, w.sign(in, tt.who...)...); err == nil {
				t.Error("was taken")
			}
			if n := len(w.store.Entries(ten)); n != 0 {
				t.Errorf("%d entries", n)
			}
		})
	}
	t.Run("changed after signing", func(t *testing.T) {
		w, in := importWorld(t)
		sigs := w.sign(in, admin1, admin2)
		in.ContactPoints[0].Value = "442079460001"
		if err := w.g.Import(ctx, ten, in, sigs...); !errors.Is(err, ErrForbidden) {
			t.Errorf("have %v", err)
		}
	})
}

func TestInvariant15OnlyTheFirstImportCarriesAges(t *testing.T) {
	ctx := context.Background()
	contact := func(w *world, in Import) ringfence.ContactPoint {
		var c ringfence.ContactPoint
		err := w.store.View(ctx, ten, func(tx ledger.Tx) (err error) {
			c, _, err = ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, string(in.ContactPoints[0].ID))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	w, in := importWorld(t)
	if err := w.g.Import(ctx, ten, in, w.sign(in, admin1, admin2)...); err != nil {
		t.Fatal(err)
	}
	if c := contact(w, in); !c.ChangedAt.Equal(w.now.Add(-2*year)) || !c.StoredAt.Equal(w.now) || c.Status != ringfence.StatusActive {
		t.Errorf("first import: %+v", c)
	}
	if err := w.g.Import(ctx, ten, in, w.sign(in, admin1, admin2)...); err == nil {
		t.Error("an import changed what is on file")
	}
	w, in = importWorld(t)
	w.opened("payment")
	if err := w.g.Import(ctx, ten, in, w.sign(in, admin1, admin2)...); err != nil {
		t.Fatal(err)
	}
	if c := contact(w, in); !c.ChangedAt.Equal(w.now) || !c.VerifiedAt.Equal(w.now) {
		t.Errorf("a later import carried an age: %+v", c)
	}
	w, in = importWorld(t)
	in.ContactPoints[0].ChangedAt = w.now.Add(time.Hour)
	if err := w.g.Import(ctx, ten, in, w.sign(in, admin1, admin2)...); err != nil {
		t.Fatal(err)
	}
	if c := contact(w, in); c.ChangedAt.After(w.now) {
		t.Errorf("a date of the future: %+v", c)
	}
}

// changes adds actions on contact points and authenticators to the policy.
var changes = []string{"actions:\n", `actions:
  number_change:
    class: C4
    says: change the telephone number on file
    about: customer
    like: contact_change
    carries: { contact: text, number: tn }
    needs: [pin, callback, confirmed, passkey]
    hold: 12h
    outlives_call: true
  passkey_add:
    class: C4
    says: add a passkey
    about: customer
    like: authenticator_reset
    carries: { type: "one of [passkey, totp]", fingerprint: text }
    needs: [pin, callback, confirmed, passkey]
  passkey_remove:
    class: C4
    says: remove a passkey
    about: customer
    like: authenticator_reset
    carries: { authenticator: text }
    needs: [pin, callback, confirmed, passkey]
  empty_change:
    class: C4
    says: change nothing
    about: customer
    like: contact_change
    carries: { note: text }
    needs: [pin, callback, confirmed, passkey]
`}

func selfWorld(t *testing.T) *world {
	w := newWorld(t, changes...)
	w.g.cfg.Executor = func(ringfence.TenantID, string) string { return Self }
	return w
}

// cooled opens an action with everything proved and waits out its hold.
func (w *world) cooled(typ string, fields map[string]string) Release {
	w.t.Helper()
	r, _, err := w.g.Open(context.Background(), ten, OpenRequest{Type: typ, Subject: ann, Fields: fields, Traversal: trv, By: Actor{Person: agent}})
	w.must(r, err)
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	if got, v := w.released(r.ID); got.State != StateCooling {
		w.t.Fatalf("%s %+v", got.State, v)
	}
	w.pass(12 * time.Hour)
	return w.look(r.ID)
}

func TestContactChangesAreExecutedActions(t *testing.T) {
	ctx := context.Background()
	w := selfWorld(t)
	r := w.cooled("number_change", map[string]string{"contact": "cpt_asub_ann", "number": "442079460123"})
	w.pass(0)
	if r = w.look(r.ID); r.State != StateExecuted {
		t.Fatalf("have %s %s", r.State, r.Why)
	}
	points := []ringfence.ContactPoint{}
	w.store.View(ctx, ten, func(tx ledger.Tx) (err error) {
		points, err = ledger.Rows[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, bySubject(ann))
		return err
	})
	i := slices.IndexFunc(points, func(c ringfence.ContactPoint) bool { return c.Value == "442079460123" })
	j := slices.IndexFunc(points, func(c ringfence.ContactPoint) bool { return c.ID == "cpt_asub_ann" })
	if i < 0 || points[i].Status != ringfence.StatusActive || !points[i].ChangedAt.Equal(w.now) {
		t.Errorf("the new number: %+v", points)
	}
	if j < 0 || points[j].Status != ringfence.StatusRemoved || points[j].RemovedAt.IsZero() {
		t.Errorf("the old number must stay as removed: %+v", points)
	}
	for _, event := range []ledger.Event{"release.permitted", "release.redeemed", "release.executed", "contact_point.added", "contact_point.removed"} {
		if n := count(w, event); n != 1 {
			t.Errorf("%d entries of %s", n, event)
		}
	}
	if _, _, err := w.g.Permit(ctx, ten, r.ID, Self); err == nil {
		t.Error("a permit of the gate's own action left")
	}
	for name, fields := range map[string]map[string]string{
		"somebody else's": {"contact": "cpt_asub_acme", "number": "442079460999"},
		"of nobody":       {"contact": "cpt_x", "number": "442079460999"},
		"removed already": {"contact": "cpt_asub_ann", "number": "442079460999"},
	} {
		t.Run(name, func(t *testing.T) {
			w := selfWorld(t)
			if name == "removed already" {
				w.contact(ringfence.ContactPoint{ID: "cpt_asub_ann", Subject: ann, Status: ringfence.StatusRemoved, RemovedAt: w.now.Add(-year)})
				w.contact(ringfence.ContactPoint{ID: "cpt_osub_ann", Subject: ann, Type: ringfence.ContactMobile, VerifiedAt: w.now, ChangedAt: w.now.Add(-year), Status: ringfence.StatusActive})
			}
			var bad *InvalidError
			_, _, err := w.g.Open(ctx, ten, OpenRequest{Type: "number_change", Subject: ann, Fields: fields, Traversal: trv, By: Actor{Person: agent}})
			if !errors.As(err, &bad) || bad.Field != "contact" {
				t.Errorf("opened: %v", err)
			}
			if count(w, "contact_point.added") != 0 || count(w, "contact_point.removed") != 0 {
				t.Error("half of it was done")
			}
		})
	}
	w = selfWorld(t) // what goes while the action waits
	r, _, err := w.g.Open(ctx, ten, OpenRequest{Type: "number_change", Subject: ann, Fields: map[string]string{"contact": "cpt_bsub_ann", "number": "442079460999"}, Traversal: trv, By: Actor{Person: agent}})
	w.must(r, err)
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	w.released(r.ID)
	gone := w.now.Add(-time.Second) // of a clock that is not ours: the action does not see it as a change
	w.contact(ringfence.ContactPoint{ID: "cpt_bsub_ann", Subject: ann, Status: ringfence.StatusRemoved, VerifiedAt: gone.Add(-year), ChangedAt: gone.Add(-year), RemovedAt: gone})
	w.pass(12 * time.Hour)
	w.pass(0)
	if r = w.look(r.ID); r.State != StateExecFailed || count(w, "contact_point.added") != 0 {
		t.Errorf("half of it was done: %s %s", r.State, r.Why)
	}
	w = selfWorld(t)
	r = w.cooled("empty_change", map[string]string{"note": "hello"})
	w.pass(0)
	if r = w.look(r.ID); r.State != StateExecFailed {
		t.Errorf("a change of nothing: %s", r.State)
	}
}

func TestAuthenticatorChanges(t *testing.T) {
	ctx := context.Background()
	w := selfWorld(t)
	secret := ringfence.Secret("a credential")
	sum := sha256.Sum256(secret)
	r := w.cooled("passkey_add", map[string]string{"type": "passkey", "fingerprint": hex.EncodeToString(sum[:])})
	w.pass(0)
	if r = w.look(r.ID); r.State != StateReady {
		t.Fatalf("it must wait for its credential: %s", r.State)
	}
	good := ringfence.Authenticator{ID: id[ringfence.AuthenticatorID]("aut"), Type: ringfence.AuthPasskey, Secret: secret}
	for name, spoil := range map[string]func(*ringfence.Authenticator){
		"another secret": func(a *ringfence.Authenticator) { a.Secret = ringfence.Secret("other") },
		"no secret":      func(a *ringfence.Authenticator) { a.Secret = nil },
		"another type":   func(a *ringfence.Authenticator) { a.Type = ringfence.AuthTOTP },
		"no id":          func(a *ringfence.Authenticator) { a.ID = "" },
	} {
		a := good
		spoil(&a)
		if _, _, err := w.g.Bind(ctx, ten, r.ID, a); err == nil {
			t.Errorf("%s was bound", name)
		}
	}
	good.Subject, good.BoundAt = acme, w.now.Add(-year) // a told owner and age count for nothing
	if got, _, err := w.g.Bind(ctx, ten, r.ID, good); err != nil || got.State != StateExecuted {
		t.Fatalf("%v %s", err, got.State)
	}
	var a ringfence.Authenticator
	w.store.View(ctx, ten, func(tx ledger.Tx) (err error) {
		a, _, err = ledger.Read[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, string(good.ID))
		return err
	})
	if a.Subject != ann || !a.BoundAt.Equal(w.now) || a.Status != ringfence.StatusActive {
		t.Errorf("bound as %+v", a)
	}
	if _, _, err := w.g.Bind(ctx, ten, r.ID, good); err == nil {
		t.Error("bound twice")
	}
	w = selfWorld(t)
	r = w.cooled("passkey_remove", map[string]string{"authenticator": "aut_passkey"})
	w.pass(0)
	if r = w.look(r.ID); r.State != StateExecuted || count(w, "authenticator.removed") != 1 {
		t.Errorf("have %s %s", r.State, r.Why)
	}
}

func TestInvariant33NewEpochVoidsWhatWasOpen(t *testing.T) {
	ctx := context.Background()
	w, _ := importWorld(t)
	done := w.ready()
	red, err := w.g.Redeem(ctx, ten, executor, w.permit(done.ID), Key{})
	if err != nil {
		t.Fatal(err)
	}
	out := w.ready()
	token := w.permit(out.ID)
	waiting := w.opened("bank_change")
	held := w.opened("payment")
	w.must(w.g.Hold(ctx, ten, held.ID, Actor{Person: agent}))
	e := Epoch{Store: "head", Reason: "restored from Tuesday's copy"}
	msg, err := EpochMessage(ten, e)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(who ringfence.PersonID) Signature {
		aut := ringfence.AuthenticatorID("aut_" + who)
		return Signature{Person: who, Authenticator: aut, Assertion: assertionOf(aut, msg)}
	}
	for name, sigs := range map[string][]Signature{"nobody": nil, "one": {sign(admin1)}, "one twice": {sign(admin1), sign(admin1)}, "an agent": {sign(admin1), sign(agent)}} {
		if err := w.g.NewEpoch(ctx, ten, e, sigs...); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := w.look(waiting.ID).State; s != StatePendingEvidence {
		t.Fatalf("voided unsigned: %s", s)
	}
	if err := w.g.NewEpoch(ctx, ten, e, sign(admin1), sign(admin2)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Release{out, waiting, held} {
		if s := w.look(r.ID).State; s != StateInvalidated {
			t.Errorf("have %s", s)
		}
	}
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err == nil {
		t.Error("a permit from before the restore was redeemed")
	}
	if r := w.must(w.g.Report(ctx, ten, executor, red.Permit, OutcomeExecuted)); r.State != StateExecuted {
		t.Errorf("what was redeemed can no longer be reported: %s", r.State)
	}
}
