package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

func TestErase(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	e := Erasure{Subject: ann, Reason: "asked by letter"}
	sign := func(e Erasure, who ...ringfence.PersonID) (out []Signature) {
		msg, err := ErasureMessage(ten, e)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range who {
			aut := ringfence.AuthenticatorID("aut_" + p)
			out = append(out, Signature{Person: p, Authenticator: aut, Assertion: assertionOf(aut, msg)})
		}
		return out
	}
	admin := ringfence.PersonID("per_admin")
	w.person(ringfence.Person{ID: admin, Roles: []ringfence.Role{ringfence.RoleAdmin}})
	other := e
	other.Subject = acme
	for name, sigs := range map[string][]Signature{"nobody": nil, "one": sign(e, risk), "one twice": sign(e, risk, risk), "an agent": sign(e, risk, agent),
		"a supervisor": sign(e, risk, manager), "about another subject": sign(other, risk, admin), "of another key": {sign(e, risk)[0], {Person: admin, Authenticator: "aut_per_risk", Assertion: sign(e, risk)[0].Assertion}}} {
		if err := w.g.Erase(ctx, ten, e, sigs...); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	both := sign(e, risk, admin)
	var bad *InvalidError
	if err := w.g.Erase(ctx, ten, Erasure{Subject: ann}, both...); !errors.As(err, &bad) {
		t.Errorf("without a reason: %v", err)
	}
	nobody := Erasure{Subject: "sub_nobody", Reason: "asked"}
	if err := w.g.Erase(ctx, ten, nobody, sign(nobody, risk, admin)...); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	r := w.ready()
	token := w.permit(r.ID)
	for _, step := range []string{"a permit is out", "it is redeemed", "nobody knows whether it was done"} {
		if err := w.g.Erase(ctx, ten, e, both...); !errors.As(err, &bad) || bad.Field != "subject" {
			t.Errorf("%s: %v", step, err)
		}
		switch step {
		case "a permit is out":
			if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err != nil {
				t.Fatal(err)
			}
		case "it is redeemed":
			w.must(w.g.Report(ctx, ten, executor, w.look(r.ID).Permit, OutcomeUnknown))
		default:
			w.must(w.g.Reconcile(ctx, ten, r.ID, risk, OutcomeExecuted))
		}
	}
	before := len(w.store.Entries(ten))
	if err := w.g.Erase(ctx, ten, e, both...); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []ledger.Kind{ledger.KindSubject, ledger.KindContactPoint, ledger.KindAuthenticator, ledger.KindEvidence, KindRelease, KindPermit, KindPayee} {
		for _, rec := range w.records(kind) {
			if strings.Contains(string(rec.Body), `"`+string(ann)+`"`) {
				t.Errorf("%s %s is left", kind, rec.ID)
			}
		}
	}
	entries := w.store.Entries(ten)
	if len(entries) != before+1 || entries[before].Event != "subject.erased" || entries[before].Object != string(ann) || entries[before].Data["signed_2"] == "" {
		t.Errorf("the log says %+v", entries[before:])
	}
	if !slices.ContainsFunc(entries, func(e ledger.Entry) bool { return e.Event == "release.redeemed" && e.Release == r.ID }) {
		t.Error("the log forgot the release")
	}
	if _, err := w.g.Lookup(ctx, ten, r.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("its action: %v", err)
	}
	if w.opened("invoice").Subject != acme {
		t.Error("somebody else was erased too")
	}
}
