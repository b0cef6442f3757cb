package passkey_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger/ledgertest"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/verifytest"
)

type office struct {
	*scene
	staff *passkey.Staff
	priya ringfence.PersonID
	key   *passkeytest.Authenticator
	aut   ringfence.AuthenticatorID
}

func newOffice(t *testing.T) *office {
	t.Helper()
	s := &scene{World: verifytest.New(t)}
	staff, err := passkey.NewStaff(ledgertest.Stumbling{Store: s.Store, T: t}, rp)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{scene: s, staff: staff, priya: s.Person("Priya", ringfence.RoleAgent), key: passkeytest.New(origin)}
	o.aut = s.enrol(string(o.priya), o.key)
	return o
}

func (o *office) login(key *passkeytest.Authenticator) (ringfence.Person, bool) {
	o.TB.Helper()
	handle, options, err := o.staff.BeginLogin(o.TB.Context(), verifytest.Tenant)
	if err != nil {
		o.TB.Fatal(err)
	}
	body, err := key.Assert(options)
	if err != nil {
		o.TB.Fatal(err)
	}
	p, ok, err := o.staff.FinishLogin(o.TB.Context(), verifytest.Tenant, handle, body)
	if err != nil {
		o.TB.Fatal(err)
	}
	return p, ok
}

func TestLogin(t *testing.T) {
	o := newOffice(t)
	p, ok := o.login(o.key)
	if !ok || p.ID != o.priya {
		t.Errorf("have %v %v, want Priya", p.ID, ok)
	}
	want(t, "counter", o.ReadAuthenticator(o.aut).SignCount, 1)
	events := o.Events()
	want(t, "entry", events[len(events)-1], "person.signed_in")
	want(t, "ceremonies left", len(o.List(passkey.KindCeremony)), 0)
}

func TestLoginRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*office)
	}{
		{"without user verification", func(o *office) { o.key.NoUV = true }},
		{"from another origin", func(o *office) { o.key.Origin = "https://staff.acme.example" }},
		{"a suspended person", func(o *office) {
			o.Put("person", string(o.priya), nil, ringfence.Person{ID: o.priya, Tenant: verifytest.Tenant, Status: ringfence.StatusSuspended})
		}},
		{"a suspended passkey", func(o *office) {
			a := o.ReadAuthenticator(o.aut)
			a.Status = ringfence.StatusSuspended
			o.PutAuthenticator(a)
		}},
		{"a pending passkey", func(o *office) {
			a := o.ReadAuthenticator(o.aut)
			a.Status = ringfence.StatusPending
			o.PutAuthenticator(a)
		}},
		{"a counter that went back", func(o *office) { o.login(o.key); o.key.Rewind(0) }},
		{"a subject's passkey", func(o *office) {
			o.key = passkeytest.New(origin)
			o.enrol(string(o.Subject("10002000")), o.key)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			c.change(o)
			if p, ok := o.login(o.key); ok || p.ID != "" {
				t.Errorf("have %v %v, want nobody", p.ID, ok)
			}
		})
	}
	t.Run("the same assertion twice", func(t *testing.T) {
		o := newOffice(t)
		handle, options, err := o.staff.BeginLogin(t.Context(), verifytest.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		body := o.assertWith(options)
		for i, good := range []bool{true, false} {
			_, ok, err := o.staff.FinishLogin(t.Context(), verifytest.Tenant, handle, body)
			if err != nil || ok != good {
				t.Errorf("time %d: have %v, %v", i+1, ok, err)
			}
		}
	})
	t.Run("late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			handle, options, err := o.staff.BeginLogin(t.Context(), verifytest.Tenant)
			if err != nil {
				t.Fatal(err)
			}
			body := o.assertWith(options)
			time.Sleep(passkey.Ceremony)
			if _, ok, _ := o.staff.FinishLogin(t.Context(), verifytest.Tenant, handle, body); ok {
				t.Error("a late assertion logs in")
			}
		})
	})
	t.Run("a signature as a login", func(t *testing.T) {
		o := newOffice(t)
		handle, options, err := o.staff.BeginSign(t.Context(), verifytest.Tenant, o.priya, "approval", sha256.Sum256([]byte("login")))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := o.staff.FinishLogin(t.Context(), verifytest.Tenant, handle, o.assertWith(options)); ok {
			t.Error("a signature logs in")
		}
	})
}

func (o *office) assertWith(options []byte) []byte {
	o.TB.Helper()
	body, err := o.key.Assert(options)
	if err != nil {
		o.TB.Fatal(err)
	}
	return body
}

func TestSign(t *testing.T) {
	o := newOffice(t)
	message := sha256.Sum256([]byte("ringfence/bundle/v1\x00bundle"))
	other := sha256.Sum256([]byte("another"))
	anna := o.Person("Anna", ringfence.RoleRisk)
	for _, c := range []struct {
		name    string
		person  ringfence.PersonID
		purpose string
		message [32]byte
		good    bool
	}{
		{"as begun", o.priya, "bundle", message, true},
		{"another message", o.priya, "bundle", other, false},
		{"another purpose", o.priya, "approval", message, false},
		{"another person", anna, "bundle", message, false},
		{"nobody", "", "bundle", message, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			handle, options, err := o.staff.BeginSign(t.Context(), verifytest.Tenant, o.priya, "bundle", message)
			if err != nil {
				t.Fatal(err)
			}
			body := o.assertWith(options)
			sig, ok, err := o.staff.FinishSign(t.Context(), verifytest.Tenant, c.person, c.purpose, c.message, handle, body)
			if err != nil || ok != c.good {
				t.Fatalf("have %v, %v; want %v", ok, err, c.good)
			}
			if !ok {
				if sig.Person != "" {
					t.Error("a refused signature has a person")
				}
				return
			}
			if err := passkey.Verify(rp, sig); err != nil {
				t.Errorf("an auditor: %v", err)
			}
			check, err := passkey.CheckApproval(rp)
			if err != nil {
				t.Fatal(err)
			}
			assertion, err := json.Marshal(sig)
			if err != nil {
				t.Fatal(err)
			}
			stored := o.ReadAuthenticator(o.aut)
			if err := check(t.Context(), stored, message, assertion); err != nil {
				t.Errorf("the gate: %v", err)
			}
			annas := stored
			annas.Subject = ringfence.SubjectID(anna)
			second := o.ReadAuthenticator(o.enrol(string(o.priya), passkeytest.New(origin)))
			second.ID = stored.ID
			for name, bad := range map[string]error{
				"another message": check(t.Context(), stored, other, assertion),
				"another person":  check(t.Context(), annas, message, assertion),
				"another key":     check(t.Context(), second, message, assertion),
				"nothing":         check(t.Context(), stored, message, nil),
			} {
				if bad == nil {
					t.Errorf("the gate takes %s", name)
				}
			}
			for name, change := range map[string]func(*verify.Signature){
				"message":  func(s *verify.Signature) { s.Message = other },
				"random":   func(s *verify.Signature) { s.Random = make([]byte, 32) },
				"key":      func(s *verify.Signature) { s.PublicKey = s.PublicKey[:len(s.PublicKey)-1] },
				"data":     func(s *verify.Signature) { s.AuthenticatorData = append([]byte{1}, s.AuthenticatorData[1:]...) },
				"no flags": func(s *verify.Signature) { s.AuthenticatorData = s.AuthenticatorData[:32] },
			} {
				forged := sig
				change(&forged)
				if passkey.Verify(rp, forged) == nil {
					t.Errorf("a changed %s verifies", name)
				}
			}
			if passkey.Verify(passkey.RP{ID: "acme.example", Origins: []string{"https://acme.example"}, Name: "x"}, sig) == nil {
				t.Error("it verifies for another relying party")
			}
		})
	}
	if _, _, err := o.staff.BeginSign(t.Context(), verifytest.Tenant, anna, "bundle", message); err == nil {
		t.Error("a person without a passkey begins to sign")
	}
	for _, purpose := range []string{"", "login"} {
		if _, _, err := o.staff.BeginSign(t.Context(), verifytest.Tenant, o.priya, purpose, message); err == nil {
			t.Errorf("purpose %q is taken", purpose)
		}
	}
	if _, _, err := o.staff.BeginSign(t.Context(), verifytest.Tenant, o.priya, "bundle", [32]byte{}); err == nil {
		t.Error("an empty message is taken")
	}
}

func TestInviteRefuses(t *testing.T) {
	t.Run("twice", func(t *testing.T) {
		w := verifytest.New(t)
		r, who := registrar(t, w), string(w.Person("Priya"))
		token, err := r.Invite(t.Context(), verifytest.Tenant, who, "Priya")
		if err != nil {
			t.Fatal(err)
		}
		register := func() bool {
			options, ok, err := r.Begin(t.Context(), verifytest.Tenant, token)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return false
			}
			body, err := passkeytest.New(origin).Register(options)
			if err != nil {
				t.Fatal(err)
			}
			_, ok, err = r.Finish(t.Context(), verifytest.Tenant, token, body)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		want(t, "once", register(), true)
		want(t, "twice", register(), false)
		_, open, err := r.Look(t.Context(), verifytest.Tenant, token)
		want(t, "open", open, false)
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("after its life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := verifytest.New(t)
			r := registrar(t, w)
			token, err := r.Invite(t.Context(), verifytest.Tenant, "per_x", "x")
			if err != nil {
				t.Fatal(err)
			}
			inv, open, err := r.Look(t.Context(), verifytest.Tenant, token)
			if err != nil || !open || inv.Name != "x" {
				t.Error(inv, open, err)
			}
			time.Sleep(passkey.InviteLife)
			_, ok, err := r.Begin(t.Context(), verifytest.Tenant, token)
			want(t, "begins", ok, false)
			if err != nil {
				t.Error(err)
			}
		})
	})
	for _, c := range []struct {
		name   string
		change func(*passkeytest.Authenticator)
	}{
		{"without user verification", func(a *passkeytest.Authenticator) { a.NoUV = true }},
		{"from another origin", func(a *passkeytest.Authenticator) { a.Origin = "https://evil.example" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := verifytest.New(t)
			r := registrar(t, w)
			token, err := r.Invite(t.Context(), verifytest.Tenant, "per_x", "x")
			if err != nil {
				t.Fatal(err)
			}
			options, _, err := r.Begin(t.Context(), verifytest.Tenant, token)
			if err != nil {
				t.Fatal(err)
			}
			a := passkeytest.New(origin)
			c.change(a)
			body, err := a.Register(options)
			if err != nil {
				t.Fatal(err)
			}
			_, ok, err := r.Finish(t.Context(), verifytest.Tenant, token, body)
			want(t, "registered", ok, false)
			if err != nil {
				t.Error(err)
			}
			want(t, "authenticators", len(w.List("authenticator")), 0)
			_, ok, _ = r.Finish(t.Context(), verifytest.Tenant, token, body)
			want(t, "the ceremony again", ok, false)
		})
	}
	t.Run("a token that is none", func(t *testing.T) {
		r := registrar(t, verifytest.New(t))
		if _, ok, err := r.Begin(t.Context(), verifytest.Tenant, ringfence.Secret("00")); ok || err != nil {
			t.Error(ok, err)
		}
		if _, ok, err := r.Finish(t.Context(), verifytest.Tenant, ringfence.Secret("00"), nil); ok || err != nil {
			t.Error(ok, err)
		}
	})
}
