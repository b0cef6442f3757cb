package main

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web"
)

// attackDefences turns what defends against who is defended: alarms until nobody
// looks, stops of other people's payments, keys of other accounts.
func attackDefences(t *testing.T, b *battlefield) {
	say := func(id ringfence.ReleaseID) reply {
		return b.send(t, ask{by: &b.opener, method: "POST", url: "/v1/releases/" + string(id) + "/reject", body: "{}"})
	}
	t.Run("a no said thirty times", func(t *testing.T) {
		id := b.ready(t)
		for range 30 {
			if got := say(id); got.status != 200 || got.member("state") != "held" {
				t.Fatal(got)
			}
		}
		if n := b.events(t, "alert.raised", id); n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
	})
	t.Run("a no that is too late, thirty times", func(t *testing.T) {
		id, token := b.permit(t)
		if got := b.redeem(t, &b.bank, token); got.status != 200 {
			t.Fatal(got)
		}
		for range 30 {
			refused(t, say(id), 409)
		}
		if n := b.events(t, "alert.raised", id); n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
	})
	for name, token := range map[string]string{"no mac": "", "zeros": strings.Repeat("0", 32), "a short one": "00", "capitals": strings.Repeat("A", 32), "a long one": strings.Repeat("0", 64)} {
		t.Run("somebody else's payment stopped with "+name, func(t *testing.T) {
			id := b.ready(t)
			b.send(t, ask{method: "POST", url: "/stop", origin: b.public, body: `{"token":"` + string(id) + "." + token + `"}`})
			if got := b.send(t, ask{by: &b.opener, method: "GET", url: "/v1/releases/" + string(id)}); got.member("state") != "ready" {
				t.Errorf("stopped: %s", got)
			}
		})
	}
	t.Run("a key of another account of the house", func(t *testing.T) {
		other := b.account(ringfence.DefaultTenant, web.Client{Name: "third crm", Scopes: []web.Scope{web.ScopeActions, web.ScopeReleases}})
		body := mustJSON(t, map[string]any{"type": "newsletter", "subject": b.subject, "fields": map[string]string{"topic": "shared by two"}})
		one := b.send(t, ask{by: &b.opener, method: "POST", url: "/v1/actions", key: "shared-by-two-accounts", body: body})
		two := b.send(t, ask{by: &other, method: "POST", url: "/v1/actions", key: "shared-by-two-accounts", body: body})
		if one.status != 201 || two.status != 201 || one.member("id") == two.member("id") || one.member("digest") == two.member("digest") {
			t.Errorf("two accounts have one release: %s, %s", one, two)
		}
	})
	t.Run("reports of browsers that flood the log", func(t *testing.T) {
		for _, body := range []string{`{"csp-report":{"effective-directive":"x\ny"}}`, "[]", "{", strings.Repeat("a", 10_000), ""} {
			if got := b.send(t, ask{method: "POST", url: "/csp-report", body: body}); got.status != 204 || got.body != "" {
				t.Errorf("answered %s", got)
			}
		}
		refused(t, b.send(t, ask{method: "POST", url: "/csp-report", body: strings.Repeat("a", 20_000)}), 413)
	})
}
