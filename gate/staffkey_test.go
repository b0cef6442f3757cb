package gate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

const (
	ada  = ringfence.PersonID("per_ada")
	bo   = ringfence.PersonID("per_bo")
	nina = ringfence.PersonID("per_nina") // who was invited
)

// keeping is a world with two keepers, an agent, and somebody new.
func keeping(t *testing.T) *world {
	w := newWorld(t)
	w.person(ringfence.Person{ID: ada, Roles: []ringfence.Role{ringfence.RoleAdmin}})
	w.person(ringfence.Person{ID: bo, Roles: []ringfence.Role{ringfence.RoleRisk}})
	w.put(ledger.KindPerson, string(nina), "", nil, ringfence.Person{ID: nina, Tenant: ten, Roles: []ringfence.Role{ringfence.RoleAdmin},
		StoredAt: w.now, Since: w.now.Add(-year), Status: ringfence.StatusActive})
	return w
}

// enrolled has somebody make a passkey on an invitation.
func (w *world) enrolled(id ringfence.PersonID, key ringfence.AuthenticatorID, invited ...ringfence.PersonID) error {
	return w.store.Update(w.t.Context(), ten, func(tx ledger.Tx) error {
		return w.g.EnrolStaff(w.t.Context(), tx, ringfence.Authenticator{ID: key, Tenant: ten, Subject: ringfence.SubjectID(id), Type: ringfence.AuthPasskey,
			Secret: ringfence.Secret(key), Status: ringfence.StatusActive, Invited: invited})
	})
}

func (w *world) stored(key ringfence.AuthenticatorID) (a ringfence.Authenticator) {
	w.t.Helper()
	err := w.store.View(w.t.Context(), ten, func(tx ledger.Tx) (err error) {
		a, _, err = ledger.Read[ringfence.Authenticator](w.t.Context(), tx, ledger.KindAuthenticator, string(key))
		return err
	})
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		w.t.Fatal(err)
	}
	return a
}

// confirm has by sign, with the key of with, over the passkey of.
func (w *world) confirm(by, with ringfence.PersonID, of ringfence.Authenticator, check string) error {
	w.t.Helper()
	msg, err := StaffKeyMessage(ten, of)
	if err != nil {
		w.t.Fatal(err)
	}
	aut := ringfence.AuthenticatorID("aut_" + with)
	return w.g.ConfirmStaffKey(w.t.Context(), ten, nina, check, Signature{Person: by, Authenticator: aut, Assertion: assertionOf(aut, msg)})
}

func TestInvariant20WhoInvitesCannotBecomeTwo(t *testing.T) {
	ctx := context.Background()
	w := keeping(t)
	if err := w.enrolled(nina, "aut_new", ada); err != nil {
		t.Fatal(err)
	}
	a := w.stored("aut_new")
	check := CheckDigits(Fingerprint(a.Secret))
	if a.Status != ringfence.StatusPending {
		t.Fatalf("made on an invitation: %+v", a)
	}
	if err := w.enrolled(nina, "aut_second", bo); !errors.Is(err, ErrForbidden) {
		t.Errorf("a second one beside the one that waits: %v", err)
	}
	other := a
	other.ID = "aut_other"
	swapped := a
	swapped.Secret = ringfence.Secret("another credential")
	wrong := "000000"
	if wrong == check {
		wrong = "000001"
	}
	for name, try := range map[string]func() error{
		"who invited":               func() error { return w.confirm(ada, ada, a, check) },
		"who invited, as another":   func() error { return w.confirm(bo, ada, a, check) },
		"the person, with that key": func() error { return w.confirm(nina, "new", a, check) },
		"an agent":                  func() error { return w.confirm(agent, agent, a, check) },
		"nobody":                    func() error { return w.confirm("", bo, a, check) },
		"wrong digits":              func() error { return w.confirm(bo, bo, a, wrong) },
		"no digits":                 func() error { return w.confirm(bo, bo, a, "") },
		"over another passkey":      func() error { return w.confirm(bo, bo, other, check) },
		"over another credential":   func() error { return w.confirm(bo, bo, swapped, check) },
		"unsigned": func() error {
			return w.g.ConfirmStaffKey(ctx, ten, nina, check, Signature{Person: bo, Authenticator: "aut_per_bo"})
		},
	} {
		if err := try(); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	msg, err := PersonMessage(ten, ringfence.Person{ID: nina})
	if err != nil {
		t.Fatal(err)
	}
	pending := Signature{Person: nina, Authenticator: "aut_new", Assertion: assertionOf("aut_new", msg)}
	if _, err := w.g.PutPerson(ctx, ten, ringfence.Person{ID: ringfence.NewID[ringfence.PersonID]("per")}, pending, pending); !errors.Is(err, ErrForbidden) {
		t.Errorf("a passkey that waits signed: %v", err)
	}
	if err := w.confirm(bo, bo, a, check); err != nil {
		t.Fatal(err)
	}
	if w.stored("aut_new").Status != ringfence.StatusActive {
		t.Error("it was confirmed and does not count")
	}
	if err := w.confirm(bo, bo, a, check); !errors.Is(err, ErrNotFound) {
		t.Errorf("confirmed twice: %v", err)
	}
}

func TestInvariant20TheMachinesLink(t *testing.T) {
	w := keeping(t)
	if err := w.enrolled(nina, "aut_new"); err != nil || w.stored("aut_new").Status != ringfence.StatusPending {
		t.Errorf("a person whom two signed for, on the machine's link: %v", err)
	}
	first := newWorld(t)
	first.put(ledger.KindPerson, string(nina), "", nil, ringfence.Person{ID: nina, Status: ringfence.StatusActive, Founder: true})
	if err := first.enrolled(nina, "aut_bad", nina); err != nil || first.stored("aut_bad").Status != ringfence.StatusPending {
		t.Errorf("a founder on somebody's invitation: %v", err)
	}
	if err := first.g.DropStaffKey(t.Context(), ten, nina, risk); err != nil {
		t.Fatal(err)
	}
	if err := first.enrolled(nina, "aut_new"); err != nil || first.stored("aut_new").Status != ringfence.StatusActive {
		t.Errorf("a founder on the machine's link: %v", err)
	}
	first.put(ledger.KindAuthenticator, "aut_new", "", map[string]string{"subject": string(nina)}, ringfence.Authenticator{ID: "aut_new",
		Subject: ringfence.SubjectID(nina), Type: ringfence.AuthPasskey, Status: ringfence.StatusRemoved})
	if err := first.enrolled(nina, "aut_again"); err != nil || first.stored("aut_again").Status != ringfence.StatusPending {
		t.Errorf("a founder's second passkey, on the machine's link: %v", err)
	}
}

func TestASingleOperatorConfirmsWhatTheyInvited(t *testing.T) {
	w := keeping(t)
	w.g.cfg.SingleOperator = true
	if err := w.enrolled(nina, "aut_new", ada); err != nil {
		t.Fatal(err)
	}
	a := w.stored("aut_new")
	check := CheckDigits(Fingerprint(a.Secret))
	if err := w.confirm(nina, "new", a, check); !errors.Is(err, ErrForbidden) {
		t.Errorf("the person themselves: %v", err)
	}
	if err := w.confirm(ada, ada, a, check); err != nil {
		t.Error(err)
	}
}

func TestAPasskeyThatWaitsIsDropped(t *testing.T) {
	w := keeping(t)
	if err := w.g.DropStaffKey(t.Context(), ten, nina, ada); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing waits: %v", err)
	}
	if err := w.enrolled(nina, "aut_new", ada); err != nil {
		t.Fatal(err)
	}
	if err := w.g.DropStaffKey(t.Context(), ten, nina, agent); !errors.Is(err, ErrForbidden) {
		t.Errorf("by an agent: %v", err)
	}
	if err := w.g.DropStaffKey(t.Context(), ten, nina, ada); err != nil || w.stored("aut_new").ID != "" {
		t.Errorf("by a keeper: %v", err)
	}
	if err := w.g.DropStaffKey(t.Context(), ten, manager, ada); !errors.Is(err, ErrNotFound) {
		t.Errorf("what counts was dropped: %v", err)
	}
}

// A staff passkey that replaces another waits its day from when it was
// confirmed, however long ago it was made.
func TestInvariant20TheDayBeginsWithTheConfirmation(t *testing.T) {
	old := ringfence.Authenticator{ID: "aut_1", Type: ringfence.AuthPasskey, StoredAt: epoch.Add(-year)}
	a := ringfence.Authenticator{ID: "aut_2", Type: ringfence.AuthPasskey, StoredAt: epoch, BoundAt: epoch.Add(48 * time.Hour)}
	both := []ringfence.Authenticator{old, a}
	if passkeyCounts(both, a, epoch.Add(72*time.Hour-1), staffWait) || !passkeyCounts(both, a, epoch.Add(72*time.Hour), staffWait) {
		t.Error("the day does not begin with the confirmation")
	}
}
