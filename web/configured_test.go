package web

import (
	"errors"
	"testing"

	"github.com/ringfence/ringfence"
)

// A credential that was ended stays ended over restarts: removed by a person, or
// taken out of the configuration.
func TestAnEndedCredentialStaysEnded(t *testing.T) {
	d, ctx := newDesktop(t), t.Context()
	bank := Client{Name: "bank", Executor: "bank", Scopes: []Scope{ScopeReleases}}
	const secret, other = "the-secret-of-the-bank-0123456789", "another-secret-of-the-bank-0123456789"
	asks := func(s string) int {
		return d.ask(nil, "GET", "/v1/releases", nil, "Authorization", "Bearer default."+ConfiguredClientID("bank")+"."+s).Code
	}
	start := func(s ringfence.Secret, want error, named ...string) {
		t.Helper()
		if len(named) > 0 {
			if err := d.PutClient(ctx, ringfence.DefaultTenant, bank, s); !errors.Is(err, want) {
				t.Errorf("stored: %v, want %v", err, want)
			}
		}
		if err := d.DropClients(ctx, ringfence.DefaultTenant, named); err != nil {
			t.Error(err)
		}
	}
	start(ringfence.Secret(secret), nil, "bank")
	if asks(secret) != 200 {
		t.Fatal("the account of the configuration does not work")
	}
	admin := d.signIn(d.person("Ada", ringfence.RoleAdmin))
	if w := d.ask(admin, "POST", "/v1/clients/"+ConfiguredClientID("bank")+"/remove", nil); w.Code != 204 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if start(ringfence.Secret(secret), ErrClientRemoved, "bank"); asks(secret) != 401 {
		t.Error("a restart brought back what a person removed")
	}
	if start(ringfence.Secret(other), nil, "bank"); asks(other) != 200 || asks(secret) != 401 {
		t.Error("another credential does not work, or the old one does")
	}
	if start(nil, nil); asks(other) != 401 {
		t.Error("a credential that the configuration names no more works")
	}
	if start(ringfence.Secret(other), nil, "bank"); asks(other) != 200 {
		t.Error("named again, it does not work")
	}
	own, credential, err := d.CreateClient(ctx, ringfence.DefaultTenant, Client{Name: "ERP", Scopes: []Scope{ScopeReleases}}, "")
	if err != nil {
		t.Fatal(err)
	}
	start(nil, nil)
	if w := d.ask(nil, "GET", "/v1/releases", nil, "Authorization", "Bearer "+string([]byte(credential))); w.Code != 200 {
		t.Errorf("an account that the configuration never named, %s, was removed: %d", own.ID, w.Code)
	}
}
