package web

import (
	"net/http"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify/passkey"
)

// staffed is a staff listener over real passkeys.
type staffed struct {
	*desktop
	origin string
	keys   Passkeys
}

func newStaffed(t testing.TB, with ...func(*Config)) *staffed {
	t.Helper()
	s := &staffed{}
	var h http.Handler
	s.origin = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	s.desktop = newDesktop(t, append(with, func(cfg *Config) {
		cfg.StaffURL = s.origin
		cfg.Passkeys = func(ringfence.TenantID) Passkeys { return s.keys }
	})...)
	h = s.Staff()
	rp := passkey.RP{ID: "localhost", Origins: []string{s.origin}, Name: "ringfence"}
	s.desktop.rp = rp
	var err error
	if s.keys.Staff, err = passkey.NewStaff(s.store, rp); err != nil {
		t.Fatal(err)
	}
	if s.keys.Invites, err = passkey.NewRegistrar(s.store, rp, passkey.EnrolFunc(s.gate.EnrolStaff)); err != nil {
		t.Fatal(err)
	}
	return s
}

// invite returns the path of an invitation.
func (s *staffed) invite(p ringfence.Person) string {
	s.t.Helper()
	token, err := s.keys.Invites.Invite(s.t.Context(), p.Tenant, string(p.ID), p.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	return "/invite#" + string([]byte(token))
}

// enter makes a passkey on an invitation and signs in with it.
func (b *tab) enter(s *staffed, p ringfence.Person) {
	b.t.Helper()
	b.passkeys()
	b.visit(s.invite(p))
	b.press("Make a passkey")
	b.see("Your passkey is made")
	b.press("Sign in with a passkey")
	b.see(p.Name)
}

func TestInvitedPersonSignsIn(t *testing.T) {
	s := newStaffed(t)
	priya := s.person("Priya", ringfence.RoleAgent)
	b := open(t, s.origin)
	b.visit("/console")
	b.see("Sign in with a passkey") // nobody is signed in
	b.passkeys()
	b.looks("login")
	link := s.invite(priya)
	b.visit(link)
	b.looks("invite")
	b.press("Make a passkey")
	b.see("Your passkey is made")
	b.looks("invite-done")
	b.press("Sign in with a passkey")
	b.see("No call for you now")
	b.press("Sign out")
	b.see("Sign in")
	b.press("Sign in with a passkey")
	b.see("No call for you now")

	// The invitation is spent, and a session was never made of it.
	b.forget()
	b.visit(link)
	b.allowed = append(b.allowed, "410", "401")
	b.press("Make a passkey")
	b.see("This link was used before")
	b.visit("/console")
	b.see("Sign in with a passkey")
	s.quietly(t)
}

// A suspended person's passkey opens nothing, and the page does not say why.
func TestSuspendedPersonCannotSignIn(t *testing.T) {
	s := newStaffed(t)
	priya := s.person("Priya", ringfence.RoleAgent)
	b := open(t, s.origin)
	b.enter(s, priya)
	s.change(priya, func(p *ringfence.Person) { p.Status = ringfence.StatusSuspended })
	b.allowed = append(b.allowed, "401")
	b.visit("/console")
	b.see("Sign in with a passkey")
	b.press("Sign in with a passkey")
	b.see("This passkey is not known here")
}
