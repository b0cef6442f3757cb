package gate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// request is the reset that waits for a person.
func (w *world) request(id ringfence.PersonID) (r StaffReset) {
	w.t.Helper()
	err := w.store.View(w.t.Context(), ten, func(tx ledger.Tx) error {
		all, err := StaffResets(w.t.Context(), tx)
		for _, one := range all {
			if one.Person == id {
				r = one
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// reset has by sign a request, with the key of with.
func (w *world) reset(by, with ringfence.PersonID, r StaffReset, also func(context.Context, ledger.Tx) error) error {
	w.t.Helper()
	msg, err := StaffResetMessage(ten, r)
	if err != nil {
		w.t.Fatal(err)
	}
	aut := ringfence.AuthenticatorID("aut_" + with)
	return w.g.ResetStaff(w.t.Context(), ten, r.Person, Signature{Person: by, Authenticator: aut, Assertion: assertionOf(aut, msg)}, also)
}

func TestInvariant20AResetTakesTwo(t *testing.T) {
	ctx := context.Background()
	w := keeping(t)
	for name, try := range map[string]func() error{
		"an agent":    func() error { return w.g.AskStaffReset(ctx, ten, manager, agent, "lost") },
		"for oneself": func() error { return w.g.AskStaffReset(ctx, ten, ada, ada, "lost") },
		"nobody":      func() error { return w.g.AskStaffReset(ctx, ten, manager, "", "lost") },
	} {
		if err := try(); !errors.Is(err, ErrForbidden) {
			t.Errorf("asked by %s: %v", name, err)
		}
	}
	if err := w.g.AskStaffReset(ctx, ten, manager, ada, " "); err == nil || errors.Is(err, ErrForbidden) {
		t.Errorf("without a reason: %v", err)
	}
	if err := w.g.AskStaffReset(ctx, ten, nina, ada, "lost"); !errors.Is(err, ErrConflict) {
		t.Errorf("of somebody who has no passkey: %v", err)
	}
	if err := w.g.AskStaffReset(ctx, ten, manager, ada, "lost"); err != nil {
		t.Fatal(err)
	}
	r := w.request(manager)
	odd := r
	odd.Why = "stolen"
	for name, try := range map[string]func() error{
		"who asked":             func() error { return w.reset(ada, ada, r, nil) },
		"who asked, as another": func() error { return w.reset(bo, ada, r, nil) },
		"whose it is":           func() error { return w.reset(manager, manager, r, nil) },
		"an agent":              func() error { return w.reset(agent, agent, r, nil) },
		"over another reason":   func() error { return w.reset(bo, bo, odd, nil) },
		"over another's passkeys": func() error {
			o := r
			o.Keys = []ringfence.AuthenticatorID{"aut_per_bo"}
			return w.reset(bo, bo, o, nil)
		},
		"when asked at other time": func() error { o := r; o.At = o.At.Add(time.Second); return w.reset(bo, bo, o, nil) },
	} {
		if err := try(); !errors.Is(err, ErrForbidden) {
			t.Errorf("signed by %s: %v", name, err)
		}
	}
	if w.stored("aut_per_manager").Status != ringfence.StatusActive {
		t.Fatal("the passkey ended by one")
	}
	failed := errors.New("sessions not ended")
	if err := w.reset(bo, bo, r, func(context.Context, ledger.Tx) error { return failed }); !errors.Is(err, failed) || w.stored("aut_per_manager").Status != ringfence.StatusActive {
		t.Errorf("half of it was done: %v", err)
	}
	if err := w.reset(bo, bo, r, nil); err != nil || w.stored("aut_per_manager").Status != ringfence.StatusRemoved {
		t.Fatalf("two persons: %v", err)
	}
	if err := w.reset(bo, bo, r, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	if err := w.enrolled(manager, "aut_next"); err != nil || w.stored("aut_next").Status != ringfence.StatusPending {
		t.Errorf("what follows a reset, on the machine's link: %v", err)
	}
}

func TestAResetIsOfWhatWasAskedFor(t *testing.T) {
	ctx := context.Background()
	w := keeping(t)
	if err := w.g.AskStaffReset(ctx, ten, manager, ada, "lost"); err != nil {
		t.Fatal(err)
	}
	r := w.request(manager)
	w.now = w.now.Add(resetLife + time.Second)
	if err := w.reset(bo, bo, r, nil); !errors.Is(err, ErrNotFound) || w.request(manager).By != "" {
		t.Errorf("a week later: %v", err)
	}
	if err := w.g.AskStaffReset(ctx, ten, manager, ada, "lost again"); err != nil {
		t.Fatal(err)
	}
	r = w.request(manager)
	if err := w.g.SuspendPerson(ctx, ten, ada, bo, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.reset(bo, bo, r, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("whoever asked is suspended: %v", err)
	}
	if err := w.g.AskStaffReset(ctx, ten, manager, risk, "lost"); err != nil {
		t.Fatal(err)
	}
	if err := w.g.DropStaffReset(ctx, ten, manager, agent); !errors.Is(err, ErrForbidden) {
		t.Errorf("an agent dropped it: %v", err)
	}
	if err := w.g.DropStaffReset(ctx, ten, manager, bo); err != nil || w.request(manager).By != "" {
		t.Errorf("a keeper dropped it: %v", err)
	}
}

func TestASingleOperatorResets(t *testing.T) {
	w := keeping(t)
	w.g.cfg.SingleOperator = true
	if err := w.g.AskStaffReset(t.Context(), ten, manager, ada, "lost"); err != nil {
		t.Fatal(err)
	}
	r := w.request(manager)
	if err := w.reset(manager, manager, r, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("whose it is: %v", err)
	}
	if err := w.reset(ada, ada, r, nil); err != nil {
		t.Error(err)
	}
}
