package gate

import (
	"context"
	"errors"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// enrols runs an enrolment in a transaction, as an invitation does.
func (w *world) enrols(f func(context.Context, ledger.Tx, ringfence.Authenticator) error, a ringfence.Authenticator) error {
	return w.g.cfg.Store.Update(context.Background(), ten, func(tx ledger.Tx) error { return f(context.Background(), tx, a) })
}

// A member of staff makes their first passkey on an invitation, and no other
// thing.
func TestStaffEnrolOnePasskey(t *testing.T) {
	const bob = ringfence.PersonID("per_bob")
	for name, tt := range map[string]struct {
		status ringfence.Status
		a      ringfence.Authenticator
		has    *ringfence.Authenticator
		want   error
	}{
		"a first passkey":        {ringfence.StatusActive, ringfence.Authenticator{Type: ringfence.AuthPasskey}, nil, nil},
		"a PIN":                  {ringfence.StatusActive, ringfence.Authenticator{Type: ringfence.AuthPIN}, nil, ErrForbidden},
		"somebody suspended":     {ringfence.StatusSuspended, ringfence.Authenticator{Type: ringfence.AuthPasskey}, nil, ErrForbidden},
		"a second passkey":       {ringfence.StatusActive, ringfence.Authenticator{Type: ringfence.AuthPasskey}, &ringfence.Authenticator{Type: ringfence.AuthPasskey, Status: ringfence.StatusActive}, ErrForbidden},
		"after one that is gone": {ringfence.StatusActive, ringfence.Authenticator{Type: ringfence.AuthPasskey}, &ringfence.Authenticator{Type: ringfence.AuthPasskey, Status: ringfence.StatusRemoved}, nil},
		"beside an app":          {ringfence.StatusActive, ringfence.Authenticator{Type: ringfence.AuthPasskey}, &ringfence.Authenticator{Type: ringfence.AuthTOTP, Status: ringfence.StatusActive}, nil},
		"nobody":                 {"", ringfence.Authenticator{Type: ringfence.AuthPasskey}, nil, ErrNotFound},
	} {
		w := newWorld(t)
		if tt.status != "" {
			w.put(ledger.KindPerson, string(bob), "", nil, ringfence.Person{ID: bob, Tenant: ten, Status: tt.status})
		}
		if tt.has != nil {
			tt.has.ID, tt.has.Subject = "aut_has", ringfence.SubjectID(bob)
			w.authenticator(*tt.has)
		}
		tt.a.ID, tt.a.Subject = "aut_new", ringfence.SubjectID(bob)
		if err := w.enrols(w.g.EnrolStaff, tt.a); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if n, want := count(w, "person.bound"), map[bool]int{true: 1}[tt.want == nil]; n != want {
			t.Errorf("%s: %d entries", name, n)
		}
		if tt.want != nil {
			continue
		}
		// another keeper confirms it: staffkey_test.go has who need not wait
		if a := w.read("aut_new"); a.Status != ringfence.StatusPending || !a.BoundAt.Equal(w.now) || !a.StoredAt.Equal(w.now) {
			t.Errorf("%s: stored as %+v", name, a)
		}
	}
}

// A subject makes a passkey or codes on a link; they wait for an action.
func TestSubjectsEnrolWhatWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		status ringfence.Status
		typ    ringfence.AuthenticatorType
		want   error
	}{
		"a passkey":          {ringfence.StatusActive, ringfence.AuthPasskey, nil},
		"codes":              {ringfence.StatusActive, ringfence.AuthRecovery, nil},
		"a PIN":              {ringfence.StatusActive, ringfence.AuthPIN, ErrForbidden},
		"somebody suspended": {ringfence.StatusSuspended, ringfence.AuthPasskey, ErrForbidden},
		"codes of such":      {ringfence.StatusSuspended, ringfence.AuthRecovery, ErrForbidden},
		"nobody":             {"", ringfence.AuthPasskey, ErrNotFound},
	} {
		w := newWorld(t)
		sub := id[ringfence.SubjectID]("sub")
		if tt.status != "" {
			w.put(ledger.KindSubject, string(sub), sub, nil, ringfence.Subject{ID: sub, Tenant: ten, Status: tt.status})
		}
		err := w.enrols(w.g.EnrolSubject, ringfence.Authenticator{ID: "aut_new", Subject: sub, Type: tt.typ, Status: ringfence.StatusActive})
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if tt.want != nil {
			continue
		}
		if a := w.read("aut_new"); a.Status != ringfence.StatusPending || !a.BoundAt.Equal(w.now) {
			t.Errorf("%s: stored as %+v", name, a)
		}
		for _, rec := range w.records(ledger.KindAuthenticator) {
			if rec.ID == "aut_new" && rec.Subject != sub {
				t.Errorf("%s: not under the key of its subject", name)
			}
		}
		if count(w, "authenticator.added") != 1 {
			t.Errorf("%s: %d entries", name, count(w, "authenticator.added"))
		}
	}
}
