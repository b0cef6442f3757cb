package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/passkey"
)

// flood writes more records of a kind than one page of the store has, a second
// apart, the last of them now.
func (d *desktop) flood(kind ledger.Kind, keys map[string]string, row func(i int) any) {
	d.t.Helper()
	err := d.store.Update(d.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for i := range ledger.MaxPage + 1 {
			at := tx.Now().Add(time.Duration(i-ledger.MaxPage) * time.Second)
			rec := ledger.Record{Kind: kind, ID: fmt.Sprintf("flood_%04d", i), Keys: keys, Sort: at.UnixNano()}
			if err := ledger.Write(d.t.Context(), tx, &rec, row(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desktop) count(kind ledger.Kind) (n int) {
	d.t.Helper()
	err := d.store.View(d.t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		for _, err := range ledger.All(d.t.Context(), tx, kind, ledger.Query{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// With more service accounts than a page has, an executor still has one
// credential, and one that the configuration no longer names still ends.
func TestServiceAccountsAreAllLookedAt(t *testing.T) {
	d, ctx := newDesktop(t), t.Context()
	d.flood(kindClient, nil, func(i int) any {
		return Client{ID: fmt.Sprintf("flood_%04d", i), Name: "old", Status: ringfence.StatusRemoved}
	})
	bank := Client{Name: "bank", Executor: "bank", Scopes: []Scope{ScopeExecute}, Key: "thumbprint"}
	if err := d.PutClient(ctx, ringfence.DefaultTenant, bank, ringfence.Secret("the-secret-of-the-bank-0123456789")); err != nil {
		t.Fatal(err)
	}
	admin := d.signIn(d.person("Ada", ringfence.RoleAdmin))
	second := map[string]any{"name": "mine", "scopes": []Scope{ScopeExecute}, "executor": "bank", "key": "mine"}
	if w := d.ask(admin, "POST", "/v1/clients", second); w.Code != http.StatusConflict {
		t.Errorf("a second credential: %d %s", w.Code, w.Body)
	}
	if w := d.ask(admin, "GET", "/v1/clients", nil); !strings.Contains(w.Body.String(), ConfiguredClientID("bank")) {
		t.Error("the account is not listed")
	}
	if err := d.DropClients(ctx, ringfence.DefaultTenant, nil); err != nil {
		t.Fatal(err)
	}
	if w := d.ask(admin, "POST", "/v1/clients", second); w.Code != http.StatusCreated {
		t.Errorf("the account that is not named any more was not ended: %d %s", w.Code, w.Body)
	}
}

// However many sessions and begun signatures a stopped person has, all end.
func TestEverySessionEnds(t *testing.T) {
	d := newDesktop(t)
	mallory := d.person("Mallory", ringfence.RoleAgent)
	keys := map[string]string{"person": string(mallory.ID)}
	d.flood(kindSession, keys, func(i int) any {
		return sessionRow{ID: fmt.Sprintf("flood_%04d", i), Person: mallory.ID, Began: time.Now(), Used: time.Now()}
	})
	d.flood(passkey.KindCeremony, keys, func(int) any { return struct{}{} })
	err := d.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error { return d.sweep(mallory.ID)(context.Background(), tx) })
	if err != nil {
		t.Fatal(err)
	}
	if s, c := d.count(kindSession), d.count(passkey.KindCeremony); s+c != 0 {
		t.Errorf("%d sessions and %d signatures are left", s, c)
	}
}

// Somebody who comes last of a large staff is found, listed and named.
func TestEverybodyOfALargeStaff(t *testing.T) {
	d := newDesktop(t)
	d.flood(ledger.KindPerson, nil, func(i int) any {
		return ringfence.Person{ID: ringfence.PersonID(fmt.Sprintf("flood_%04d", i)), Name: "Somebody", Status: ringfence.StatusActive}
	})
	last := d.person("Zacharias", ringfence.RoleAgent)
	admin := d.signIn(d.person("Ada", ringfence.RoleAdmin, ringfence.RoleSupervisor))
	for _, path := range []string{"/v1/people", "/v1/colleagues", "/v1/history?text=zacharias"} {
		if w := d.ask(admin, "GET", path, nil); w.Code != 200 || !strings.Contains(w.Body.String(), string(last.ID)) {
			t.Errorf("%s: %d, %d bytes without them", path, w.Code, w.Body.Len())
		}
	}
	if err := d.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		names, err := staffNames(t.Context(), tx)
		if names[last.ID] != last.Name {
			t.Error("nobody knows their name")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Who had a call is told from the log, however many entries it has.
func TestACallOfManyEntries(t *testing.T) {
	d := newDesktop(t)
	const id = ringfence.TraversalID("trv_01kdcvzz3w0000000000000000")
	entries := make([]ledger.Entry, ledger.MaxPage+1)
	for i := range entries {
		entries[i] = ledger.Entry{Event: "leg.placed", Traversal: id}
	}
	d.log(append(entries, ledger.Entry{Event: "traversal.owned", Traversal: id, Person: "per_owner"})...)
	var call PastCall
	if err := d.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) (err error) {
		if _, err := fromLog(t.Context(), tx, "trv_none"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("a call that is not there: %v", err)
		}
		call, err = fromLog(t.Context(), tx, id)
		return err
	}); err != nil || len(call.People) != 1 {
		body, _ := json.Marshal(call)
		t.Errorf("%s, %v", body, err)
	}
}
