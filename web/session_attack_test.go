package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/passkey"
)

// A page that is left open reads what changes, for ever. It keeps nobody's
// session alive.
func TestAPageThatReadsIsIdle(t *testing.T) {
	d := newDesktop(t)
	var offset time.Duration
	d.store.Clock = func() time.Time { return time.Now().Add(offset) }
	cookie := d.signIn(d.person("priya", ringfence.RoleAgent))
	for _, path := range []string{"/v1/me", "/v1/traversals", "/v1/approvals", "/v1/me?_method=POST"} {
		offset += 5 * time.Minute
		d.ask(cookie, "GET", path, nil, "X-HTTP-Method-Override", "POST")
	}
	if got := d.ask(cookie, "GET", "/v1/me", nil); got.Code != 401 {
		t.Errorf("after 20 minutes in which nobody did anything: %d", got.Code)
	}
}

// A person has ten sessions at most: the next one ends the oldest, and nobody
// else's.
func TestTooManySessionsEndTheOldest(t *testing.T) {
	d := newDesktop(t)
	var offset time.Duration
	d.store.Clock = func() time.Time { return time.Now().Add(offset) }
	priya := d.person("Priya", ringfence.RoleAgent)
	other := d.signIn(d.person("Omar", ringfence.RoleAgent))
	var all []*http.Cookie
	for range maxSessions + 2 {
		offset += time.Second
		all = append(all, d.signIn(priya))
	}
	for i, c := range append(all, other) {
		want := 200
		if i < 2 {
			want = 401
		}
		if got := d.ask(c, "GET", "/v1/me", nil); got.Code != want {
			t.Errorf("session %d: %d, want %d", i+1, got.Code, want)
		}
	}
}

// Signing out in one browser ends the streams of that session at once, and not
// those of another.
func TestSigningOutEndsTheStreamsOfTheSession(t *testing.T) {
	d := newDesktop(t, func(c *Config) { c.Heartbeat = time.Hour })
	origin := serve(t, d.Staff())
	priya := d.person("Priya", ringfence.RoleAgent)
	one, two := d.signIn(priya), d.signIn(priya)
	tab := d.stream(origin, func(r *http.Request) { r.AddCookie(one) })
	if w := d.ask(one, "POST", "/v1/logout", nil); w.Code != 204 {
		t.Fatal(w.Code)
	}
	if names := tab.ends(); !slices.Contains(names, "signed_out") {
		t.Errorf("the stream ended with %v", names)
	}
	if w := d.ask(two, "GET", "/v1/me", nil); w.Code != 200 {
		t.Errorf("the other browser: %d", w.Code)
	}
}

// What strangers begin does not pile up, and what is in use stays.
func TestSweep(t *testing.T) {
	p := newIDP(t)
	s := newStaffed(t, withSSO(p))
	var offset time.Duration
	s.store.Clock = func() time.Time { return time.Now().Add(offset) }
	old := s.signIn(s.person("Old", ringfence.RoleAgent))
	begin := func() {
		for _, r := range []*http.Request{httptest.NewRequest("GET", "http://localhost/login/sso", nil), request(t, "POST", "/v1/login/begin", map[string]any{})} {
			w := httptest.NewRecorder()
			s.Staff().ServeHTTP(w, r)
			if w.Code >= 400 {
				t.Fatal(w.Code, w.Body)
			}
		}
		s.invite(s.person("New", ringfence.RoleAgent))
	}
	left := func() (n int) {
		err := s.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
			n = 0
			for _, kind := range []ledger.Kind{kindSession, kindSSO, passkey.KindCeremony, passkey.KindInvite} {
				rows, err := tx.List(context.Background(), kind, ledger.Query{Limit: 100})
				if err != nil {
					return err
				}
				n += len(rows)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	begin()
	offset = 25 * time.Hour
	fresh := s.signIn(s.person("Fresh", ringfence.RoleAgent))
	begin()
	if n := left(); n != 8 {
		t.Fatalf("%d rows before", n)
	}
	if err := s.Sweep(t.Context(), ringfence.DefaultTenant); err != nil || left() != 4 {
		t.Errorf("%d rows are left, want 4: %v", left(), err)
	}
	if w := s.ask(old, "GET", "/v1/me", nil); w.Code != 401 {
		t.Errorf("a session that was over: %d", w.Code)
	}
	if w := s.ask(fresh, "GET", "/v1/me", nil); w.Code != 200 {
		t.Errorf("a session in use: %d", w.Code)
	}
}
