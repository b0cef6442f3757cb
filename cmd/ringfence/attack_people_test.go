package main

import (
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/web"
)

// as is the header of a member of staff's own browser.
func (b *battlefield) as(cookie string) map[string]string {
	return map[string]string{"Cookie": cookie, "Origin": b.staff, "Sec-Fetch-Site": "same-origin"}
}

// recruit has two persons sign for a third, whom nobody has invited yet.
func (b *battlefield) recruit(t *testing.T, name string, roles ...ringfence.Role) ringfence.PersonID {
	t.Helper()
	p := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID](ringfence.PrefixPerson), Name: name, Email: strings.ToLower(name) + "@drill.example", Roles: roles}
	if err := b.addPerson(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// joined makes a passkey on a link, from an address of its own.
func (b *battlefield) joined(t *testing.T, link string) (key *passkeytest.Authenticator, check string) {
	t.Helper()
	key = passkeytest.New(b.staff)
	own := map[string]string{"Origin": b.staff, "Sec-Fetch-Site": "same-origin"}
	_, token, _ := strings.Cut(link, "#")
	begun := b.send(t, ask{method: "POST", url: "/v1/invite/begin", body: mustJSON(t, map[string]string{"token": token}), header: own})
	var got struct{ Options json.RawMessage }
	if err := json.Unmarshal([]byte(begun.body), &got); err != nil || begun.status != 200 {
		t.Fatalf("the link: %s", begun)
	}
	response, err := key.Register(got.Options)
	if err != nil {
		t.Fatal(err)
	}
	made := b.send(t, ask{method: "POST", url: "/v1/invite/finish", header: own, body: mustJSON(t, map[string]any{"token": token, "response": json.RawMessage(response)})})
	if made.status != 200 {
		t.Fatalf("the link: %s", made)
	}
	return key, made.member("check")
}

// begun begins a signature with a session, and returns its ceremony and what a
// key answers to it.
func (b *battlefield) begun(t *testing.T, cookie, path string, in map[string]any, key *passkeytest.Authenticator) (ceremony string, response json.RawMessage, got reply) {
	t.Helper()
	got = b.send(t, ask{method: "POST", url: path + "/begin", body: mustJSON(t, in), header: b.as(cookie)})
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if json.Unmarshal([]byte(got.body), &begun) != nil || got.status != 200 {
		return "", nil, got
	}
	// Whatever passkeys are asked for, an attacker answers with the one they have.
	var options map[string]any
	if err := json.Unmarshal(begun.Options, &options); err != nil {
		t.Fatal(err)
	}
	delete(options, "allowCredentials")
	response, err := key.Assert([]byte(mustJSON(t, options)))
	if err != nil {
		t.Fatal(err)
	}
	return begun.Ceremony, response, got
}

// enters tries to sign in.
func (b *battlefield) enters(t *testing.T, key *passkeytest.Authenticator) reply {
	t.Helper()
	got, _ := b.login(t, key, nil)
	return got
}

// attackStaffKeys has an administrator try to become two persons, by the
// invitation of a colleague whom they sent it to themselves.
func attackStaffKeys(t *testing.T, b *battlefield) {
	grace, henry := b.drillWorld.staff.grace, b.drillWorld.staff.henry
	ghost := b.recruit(t, "Ghost", ringfence.RoleAdmin, ringfence.RoleRisk)
	link, err := grace.Invite(t.Context(), ghost)
	if err != nil {
		t.Fatal(err)
	}
	key, check := b.joined(t, link)
	if len(check) != 6 {
		t.Fatalf("a passkey on an invitation counts at once (%q)", check)
	}
	path := "/v1/people/passkeys/" + string(ghost)
	inviter, _ := b.signedIn(t, grace.key, nil)
	other, _ := b.signedIn(t, henry.key, nil)
	right := map[string]any{"check": check}

	t.Run("it signs in", func(t *testing.T) { refused(t, b.enters(t, key), 401) })
	t.Run("whoever invited confirms it", func(t *testing.T) {
		_, _, got := b.begun(t, inviter, path, right, grace.key)
		refused(t, got, 403)
	})
	t.Run("whoever invited finishes what another began", func(t *testing.T) {
		ceremony, response, _ := b.begun(t, other, path, right, grace.key)
		body := map[string]any{"check": check, "ceremony": ceremony, "response": response}
		refused(t, b.send(t, ask{method: "POST", url: path + "/finish", body: mustJSON(t, body), header: b.as(inviter)}), 403)
	})
	t.Run("it confirms itself in a stolen session", func(t *testing.T) {
		ceremony, response, _ := b.begun(t, other, path, right, key)
		body := map[string]any{"check": check, "ceremony": ceremony, "response": response}
		refused(t, b.send(t, ask{method: "POST", url: path + "/finish", body: mustJSON(t, body), header: b.as(other)}), 422)
	})
	t.Run("it signs for a person in a stolen session", func(t *testing.T) {
		made := b.send(t, ask{method: "POST", url: "/v1/people/drafts", header: b.as(other), body: `{"name":"Third","email":"third@drill.example","roles":["admin"]}`})
		draft := "/v1/people/drafts/" + made.member("id")
		ceremony, response, _ := b.begun(t, other, draft, map[string]any{}, key)
		refused(t, b.send(t, ask{method: "POST", url: draft + "/finish", body: mustJSON(t, map[string]any{"ceremony": ceremony, "response": response}), header: b.as(other)}), 422)
	})
	for name, digits := range map[string]string{"others": otherDigits(check), "none": "", "too few": check[:5], "in other digits": "١٢٣٤٥٦", "an object": "000000\",\"x\":\""} {
		t.Run("confirmed by digits that are "+name, func(t *testing.T) {
			_, _, got := b.begun(t, other, path, map[string]any{"check": digits}, henry.key)
			refused(t, got, 422)
		})
	}
	t.Run("the digits change between beginning and end", func(t *testing.T) {
		ceremony, response, _ := b.begun(t, other, path, right, henry.key)
		body := map[string]any{"check": otherDigits(check), "ceremony": ceremony, "response": response}
		refused(t, b.send(t, ask{method: "POST", url: path + "/finish", body: mustJSON(t, body), header: b.as(other)}), 422)
	})
	t.Run("the signature of something else", func(t *testing.T) {
		made := b.send(t, ask{method: "POST", url: "/v1/people/drafts", header: b.as(other), body: `{"name":"Fourth","email":"fourth@drill.example","roles":["admin"]}`})
		ceremony, response, _ := b.begun(t, other, "/v1/people/drafts/"+made.member("id"), map[string]any{}, henry.key)
		body := map[string]any{"check": check, "ceremony": ceremony, "response": response}
		refused(t, b.send(t, ask{method: "POST", url: path + "/finish", body: mustJSON(t, body), header: b.as(other)}), 422)
	})
	t.Run("an agent confirms it", func(t *testing.T) {
		l := <-b.lanes
		defer func() { b.lanes <- l }()
		cookie, _ := b.signedIn(t, l.agent.key, nil)
		_, _, got := b.begun(t, cookie, path, right, l.agent.key)
		refused(t, got, 403)
	})
	t.Run("a service account confirms it", func(t *testing.T) {
		refused(t, b.send(t, ask{by: &b.opener, method: "POST", url: path + "/begin", body: mustJSON(t, right)}), 403)
	})
	t.Run("nobody confirms it", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "POST", url: path + "/begin", body: mustJSON(t, right), header: b.as("")}), 401)
	})
	t.Run("a passkey that does not wait is confirmed", func(t *testing.T) {
		_, _, got := b.begun(t, other, "/v1/people/passkeys/"+string(grace.person.ID), right, henry.key)
		refused(t, got, 404)
	})
	t.Run("a second invitation beside it", func(t *testing.T) {
		_, err := henry.Invite(t.Context(), ghost)
		if p, ok := errorIn[*lab.Problem](err); !ok || p.Status != 409 {
			t.Errorf("%v", err)
		}
	})
	t.Run("the digits stand on no page of those who confirm", func(t *testing.T) {
		got := b.send(t, ask{method: "GET", url: "/v1/people", header: b.as(other)})
		if strings.Contains(got.body, check) || !strings.Contains(got.body, `"yours":false`) {
			t.Errorf("%s", got)
		}
	})
	t.Run("it still does not sign in", func(t *testing.T) { refused(t, b.enters(t, key), 401) })
	t.Run("what two persons want works, once", func(t *testing.T) {
		ceremony, response, _ := b.begun(t, other, path, right, henry.key)
		last := ask{method: "POST", url: path + "/finish", header: b.as(other), body: mustJSON(t, map[string]any{"check": check, "ceremony": ceremony, "response": response})}
		if got := b.send(t, last); got.status != 204 {
			t.Fatal(got)
		}
		refused(t, b.send(t, last), 404)
		if got := b.enters(t, key); got.status != 204 {
			t.Errorf("a confirmed passkey signs in: %s", got)
		}
		if n := b.events(t, "person.confirmed", ""); n < 1 {
			t.Error("no entry tells of it")
		}
	})
}

// hired is somebody whose passkey two persons let count.
func (b *battlefield) hired(t *testing.T, name string, roles ...ringfence.Role) (ringfence.PersonID, *passkeytest.Authenticator) {
	t.Helper()
	id := b.recruit(t, name, roles...)
	link, err := b.drillWorld.staff.grace.Invite(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	key, check := b.joined(t, link)
	if err := b.drillWorld.staff.henry.Confirm(t.Context(), id, check); err != nil {
		t.Fatal(err)
	}
	return id, key
}

// attackResets has one administrator take over a colleague's account by a reset.
func attackResets(t *testing.T, b *battlefield) {
	grace, henry := b.drillWorld.staff.grace, b.drillWorld.staff.henry
	victim, old := b.hired(t, "Vera", ringfence.RoleRisk)
	session, _ := b.signedIn(t, old, nil)
	asker, _ := b.signedIn(t, grace.key, nil)
	other, _ := b.signedIn(t, henry.key, nil)
	at, path := "/v1/people/"+string(victim), "/v1/people/resets/"+string(victim)
	none := map[string]any{}
	ask1 := ask{method: "POST", url: at + "/reset", body: `{"why":"Lost."}`, header: b.as(asker)}
	t.Run("an invitation beside the passkey", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "POST", url: at + "/invite", body: "{}", header: b.as(asker)}), 409)
	})
	t.Run("signed before anybody asked", func(t *testing.T) {
		_, _, got := b.begun(t, other, path, none, henry.key)
		refused(t, got, 404)
	})
	t.Run("asked for oneself", func(t *testing.T) {
		own := ask1
		own.url = "/v1/people/" + string(grace.person.ID) + "/reset"
		refused(t, b.send(t, own), 403)
	})
	if got := b.send(t, ask1); got.status != 204 {
		t.Fatal(got)
	}
	t.Run("who asked signs", func(t *testing.T) {
		_, _, got := b.begun(t, asker, path, none, grace.key)
		refused(t, got, 403)
	})
	t.Run("whose it is signs", func(t *testing.T) {
		_, _, got := b.begun(t, session, path, none, old)
		refused(t, got, 403)
	})
	t.Run("another's passkey in their session", func(t *testing.T) {
		ceremony, response, _ := b.begun(t, other, path, none, grace.key)
		refused(t, b.send(t, ask{method: "POST", url: path + "/finish", body: mustJSON(t, map[string]any{"ceremony": ceremony, "response": response}), header: b.as(other)}), 422)
	})
	t.Run("the reason changes after it was read", func(t *testing.T) {
		ceremony, response, _ := b.begun(t, other, path, none, henry.key)
		again := ask1
		again.body, again.key = `{"why":"She agrees."}`, ""
		if got := b.send(t, again); got.status != 204 {
			t.Fatal(got)
		}
		refused(t, b.send(t, ask{method: "POST", url: path + "/finish", body: mustJSON(t, map[string]any{"ceremony": ceremony, "response": response}), header: b.as(other)}), 422)
	})
	if got := b.enters(t, old); got.status != 204 {
		t.Fatalf("a request alone ended a passkey: %s", got)
	}
	ceremony, response, _ := b.begun(t, other, path, none, henry.key)
	done := b.send(t, ask{method: "POST", url: path + "/finish", body: mustJSON(t, map[string]any{"ceremony": ceremony, "response": response}), header: b.as(other)})
	if done.status != 200 {
		t.Fatal(done)
	}
	t.Run("the old passkey, and the old session", func(t *testing.T) {
		refused(t, b.enters(t, old), 401)
		refused(t, b.send(t, ask{method: "GET", url: "/v1/me", header: b.as(session)}), 401)
	})
	key, check := b.joined(t, done.member("link"))
	t.Run("who signed uses the link, and confirms", func(t *testing.T) {
		refused(t, b.enters(t, key), 401)
		_, _, got := b.begun(t, other, "/v1/people/passkeys/"+string(victim), map[string]any{"check": check}, henry.key)
		refused(t, got, 403)
	})
	t.Run("the digits of the one before", func(t *testing.T) {
		_, _, got := b.begun(t, asker, "/v1/people/passkeys/"+string(victim), map[string]any{"check": otherDigits(check)}, grace.key)
		refused(t, got, 422)
	})
	t.Run("what two want works", func(t *testing.T) {
		if err := grace.Confirm(t.Context(), victim, check); err != nil {
			t.Fatal(err)
		}
		if got := b.enters(t, key); got.status != 204 {
			t.Error(got)
		}
	})
}

// attackSuspension keeps somebody going who was suspended.
func attackSuspension(t *testing.T, b *battlefield) {
	grace := b.drillWorld.staff.grace
	id, key := b.hired(t, "Sam", ringfence.RoleAdmin, ringfence.RoleRisk)
	session, _ := b.signedIn(t, key, nil)
	parallel, _ := b.signedIn(t, key, nil)
	boss, _ := b.signedIn(t, grace.key, nil)
	made := b.send(t, ask{method: "POST", url: "/v1/people/drafts", header: b.as(session), body: `{"name":"Mole","email":"mole@drill.example","roles":["admin"]}`})
	draft := "/v1/people/drafts/" + made.member("id")
	ceremony, response, _ := b.begun(t, session, draft, map[string]any{}, key)
	stop := ask{method: "POST", url: "/v1/people/" + string(id) + "/suspend", body: "{}", header: b.as(boss)}
	if got := b.send(t, stop); got.status != 204 {
		t.Fatal(got)
	}
	for name, a := range map[string]ask{
		"a session":           {method: "GET", url: "/v1/me", header: b.as(session)},
		"a parallel session":  {method: "GET", url: "/v1/people", header: b.as(parallel)},
		"a stream":            {method: "GET", url: "/v1/events", header: b.as(parallel)},
		"what they had begun": {method: "POST", url: draft + "/finish", body: mustJSON(t, map[string]any{"ceremony": ceremony, "response": response}), header: b.as(session)},
	} {
		t.Run(name, func(t *testing.T) { refused(t, b.send(t, a), 401) })
	}
	t.Run("their passkey signs in", func(t *testing.T) { refused(t, b.enters(t, key), 401) })
	t.Run("their begun signature in another's session", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "POST", url: draft + "/finish", body: mustJSON(t, map[string]any{"ceremony": ceremony, "response": response}), header: b.as(boss)}), 422)
	})
	t.Run("a new invitation", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "POST", url: "/v1/people/" + string(id) + "/invite", body: "{}", header: b.as(boss)}), 409)
	})
	t.Run("a reset", func(t *testing.T) {
		refused(t, b.send(t, ask{method: "POST", url: "/v1/people/" + string(id) + "/reset", body: `{"why":"Back."}`, header: b.as(boss)}), 409)
	})
}

// attackAccounts goes on with what a service account was.
func attackAccounts(t *testing.T, b *battlefield) {
	list := ask{method: "GET", url: "/v1/releases"}
	secret, next := rand.Text(), rand.Text()
	key := newKeyPair(t)
	rotated := web.Client{Name: "rotated", Scopes: []web.Scope{web.ScopeReleases}, Key: thumbOf(t, key)}
	put := func(c web.Client, s string) party {
		t.Helper()
		if err := b.app.web.PutClient(t.Context(), ringfence.DefaultTenant, c, ringfence.Secret(s)); err != nil {
			t.Fatal(err)
		}
		return party{credential: string(ringfence.DefaultTenant) + "." + web.ConfiguredClientID(c.Name) + "." + s, key: key}
	}
	old := put(rotated, secret)
	list.by = &old
	if got := b.send(t, list); got.status != 200 {
		t.Fatal(got)
	}
	now := put(rotated, next)
	t.Run("the secret before", func(t *testing.T) { refused(t, b.send(t, list), 401) })
	list.by = &now
	t.Run("the new secret and the key before", func(t *testing.T) {
		moved := rotated
		thief := now
		moved.Key = thumbOf(t, newKeyPair(t))
		put(moved, next)
		list := list
		list.by = &thief
		refused(t, b.send(t, list), 401)
		put(rotated, next)
	})
	t.Run("both secrets", func(t *testing.T) {
		both := now
		both.credential += secret
		list := list
		list.by = &both
		refused(t, b.send(t, list), 401)
	})
	t.Run("from elsewhere, once it is fixed to a network", func(t *testing.T) {
		if got := b.send(t, list); got.status != 200 {
			t.Fatal(got)
		}
		for _, network := range []string{"192.0.2.0/24", "2001:db8::/32", "127.0.0.0/32", "::ffff:127.0.0.0/104"} {
			fixed := rotated
			fixed.Networks = []netip.Prefix{netip.MustParsePrefix(network)}
			put(fixed, next)
			refused(t, b.send(t, list), 401)
		}
	})
	t.Run("with a scope that was taken", func(t *testing.T) {
		less := rotated
		less.Scopes = []web.Scope{web.ScopeAlerts}
		put(less, next)
		refused(t, b.send(t, list), 403)
	})
	t.Run("a session beside the credential", func(t *testing.T) {
		cookie, _ := b.signedIn(t, b.drillWorld.staff.grace.key, nil)
		list := list
		list.header = b.as(cookie)
		refused(t, b.send(t, list), 403) // who says two things is taken by the lesser
	})
}
