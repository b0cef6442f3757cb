package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web"
)

// attackAsking bends how a request came, who asks, and who is who.
func attackAsking(t *testing.T, b *battlefield) {
	pay := func(t *testing.T, by *party, key, askedBy string) reply {
		body := map[string]any{"type": "payment", "subject": b.subject, "fields": map[string]string{"payee": "Northwind", "amount": "100 GBP", "account": "20003000"}}
		if askedBy != "" {
			body["asked_by"] = askedBy
		}
		return b.send(t, ask{by: by, method: "POST", url: "/v1/actions", key: key, body: mustJSON(t, body)})
	}
	t.Run("by e-mail or letter asks for more, and nothing for less", func(t *testing.T) {
		class := func(askedBy string) string {
			body := map[string]any{"type": "newsletter", "subject": b.subject, "fields": map[string]string{"topic": "asked"}}
			if askedBy != "" {
				body["asked_by"] = askedBy
			}
			got := b.send(t, ask{by: &b.opener, method: "POST", url: "/v1/actions", body: mustJSON(t, body)})
			if got.status != 201 {
				t.Fatalf("%s: %s", askedBy, got)
			}
			return got.member("class")
		}
		unsaid := class("")
		for _, by := range []string{"phone", "in_person"} {
			if c := class(by); c != unsaid {
				t.Errorf("asked by %s: %s, unsaid %s", by, c, unsaid)
			}
		}
		for _, by := range []string{"email", "letter"} {
			if c := class(by); c <= unsaid {
				t.Errorf("asked by %s: %s, unsaid %s", by, c, unsaid)
			}
		}
	})
	for _, by := range []string{"Email", "e-mail", " email", "phone,email", "fax", "none", "\u0435mail", "email\x00"} {
		t.Run(fmt.Sprintf("asked by %q", by), func(t *testing.T) { refused(t, pay(t, &b.opener, "", by), 400, 422) })
	}
	t.Run("asked again in another way under the same key", func(t *testing.T) {
		first := pay(t, &b.opener, "asked-in-two-ways", "email")
		if first.status != 201 {
			t.Fatal(first)
		}
		for _, by := range []string{"phone", ""} {
			refused(t, pay(t, &b.opener, "asked-in-two-ways", by), 409)
		}
		if again := pay(t, &b.opener, "asked-in-two-ways", "email"); again.member("id") != first.member("id") || again.member("class") != first.member("class") {
			t.Errorf("the same again: %s", again)
		}
	})
	t.Run("the key of another account", func(t *testing.T) {
		other := b.account(ringfence.DefaultTenant, web.Client{Name: "portal", Scopes: []web.Scope{web.ScopeActions, web.ScopeReleases}})
		mine, theirs := pay(t, &b.opener, "one-key-two-accounts", "phone"), pay(t, &other, "one-key-two-accounts", "phone")
		if mine.status != 201 || theirs.status != 201 || mine.member("id") == theirs.member("id") {
			t.Errorf("%s and %s", mine, theirs)
		}
		refused(t, b.send(t, ask{by: &other, method: "GET", url: "/v1/releases/" + mine.member("id")}), 404)
	})
	t.Run("a second account of a colleague", func(t *testing.T) {
		email := b.drillWorld.staff.henry.person.Email
		for _, e := range []string{email, strings.ToUpper(email)} {
			p := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson), Name: "Henry", Email: e, Roles: []ringfence.Role{ringfence.RoleRisk}}
			if err := b.addPerson(t.Context(), p); err == nil {
				t.Errorf("%s has two accounts", e)
			}
		}
	})
	t.Run("our name where another is written", func(t *testing.T) {
		got := b.send(t, ask{method: "GET", url: "/", header: map[string]string{"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}})
		if strings.Contains(got.body, "evil.example") || strings.Contains(got.header.Get("Location"), "evil") {
			t.Errorf("leads to %s: %s", got.header.Get("Location"), got.body)
		}
		for _, url := range []string{"//evil.example/", "/login?next=https://evil.example", "/login/sso?back=//evil.example", "/\\evil.example", "/%2f%2fevil.example"} {
			got := b.send(t, ask{method: "GET", url: url})
			if at := got.header.Get("Location"); strings.Contains(at, "evil") && !strings.HasPrefix(at, "/") || strings.HasPrefix(at, "//") || strings.HasPrefix(at, "/\\") {
				t.Errorf("%s leads to %s", url, at)
			}
		}
	})
}
