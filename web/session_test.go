package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

func TestSessionEnds(t *testing.T) {
	for name, c := range map[string]struct {
		steps []time.Duration // use the session after each
		want  int
	}{
		"at once":                   {[]time.Duration{0}, 200},
		"idle too long":             {[]time.Duration{15 * time.Minute}, 401},
		"just before":               {[]time.Duration{14*time.Minute + 59*time.Second}, 200},
		"kept alive by use":         {[]time.Duration{14 * time.Minute, 14 * time.Minute, 14 * time.Minute}, 200},
		"used, then idle too long":  {[]time.Duration{14 * time.Minute, 15 * time.Minute}, 401},
		"used all day, but too old": {append(repeat(14*time.Minute, 51), 10*time.Minute), 401},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesktop(t)
			var offset time.Duration
			d.store.Clock = func() time.Time { return time.Now().Add(offset) }
			cookie := d.signIn(d.person("priya", ringfence.RoleAgent))
			var got *httptest.ResponseRecorder
			for _, step := range c.steps {
				offset += step
				got = d.ask(cookie, "POST", "/v1/session/touch", nil)
			}
			if got.Code == 204 {
				got = d.ask(cookie, "GET", "/v1/me", nil)
			}
			if got.Code != c.want {
				t.Errorf("answered %d %s, want %d", got.Code, got.Body, c.want)
			}
		})
	}
}

func repeat(d time.Duration, n int) (out []time.Duration) {
	for range n {
		out = append(out, d)
	}
	return out
}

func TestSessionCookie(t *testing.T) {
	d := newDesktop(t, func(c *Config) { c.StaffURL = "https://console.example.com" })
	p := d.person("priya", ringfence.RoleAgent)
	r := httptest.NewRequest("POST", "https://console.example.com/", nil)
	w := httptest.NewRecorder()
	if err := d.newSession(w, r, p.Tenant, p.ID); err != nil {
		t.Fatal(err)
	}
	c := w.Result().Cookies()[0]
	if c.Name != "__Host-ringfence" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %+v", c)
	}
	// Only the hash is stored.
	err := d.store.View(t.Context(), p.Tenant, func(tx ledger.Tx) error {
		rows, err := tx.List(t.Context(), kindSession, ledger.Query{})
		if len(rows) != 1 || rows[0].ID != hashSecret(c.Value) || strings.Contains(string(rows[0].Body), c.Value) {
			t.Errorf("stored %+v", rows)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Signing in again ends the session that was there, so none can be fixed.
	again := httptest.NewRequest("POST", "https://console.example.com/", nil)
	again.AddCookie(c)
	if err := d.newSession(httptest.NewRecorder(), again, p.Tenant, p.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.sessionOf(t.Context(), p.Tenant, hashSecret(c.Value)); !problem.Is(toProblem(err), problem.Unauthenticated) {
		t.Errorf("the old session answered %v", err)
	}
}

func TestLogoutEndsTheSession(t *testing.T) {
	d := newDesktop(t)
	cookie := d.signIn(d.person("priya", ringfence.RoleAgent))
	if got := d.ask(cookie, "POST", "/v1/logout", "{}"); got.Code != 204 {
		t.Fatalf("logout answered %d %s", got.Code, got.Body)
	}
	if got := d.ask(cookie, "GET", "/v1/me", nil); got.Code != 401 {
		t.Errorf("after logout the session answered %d", got.Code)
	}
}

func TestCrossSiteRequestsAreRefused(t *testing.T) {
	d := newDesktop(t)
	cookie := d.signIn(d.person("priya", ringfence.RoleAgent))
	for name, headers := range map[string][]string{
		"cross-site":   {"Sec-Fetch-Site", "cross-site"},
		"same-site":    {"Sec-Fetch-Site", "same-site"},
		"other origin": {"Origin", "https://evil.example"},
		"null origin":  {"Origin", "null"},
	} {
		for _, h := range []http.Handler{d.Staff(), d.Public()} {
			r := request(t, "POST", "/v1/logout", "{}", headers...)
			r.AddCookie(cookie)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 403 || !strings.Contains(w.Body.String(), "another site") {
				t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
			}
		}
	}
	if got := d.ask(cookie, "GET", "/v1/me", nil); got.Code != 200 {
		t.Errorf("the session did not outlive the tries: %d", got.Code)
	}
}

func TestEveryAnswerIsSecured(t *testing.T) {
	d := newDesktop(t)
	for _, path := range []string{"/", "/login", "/assets/console.js", "/v1/me", "/nothing"} {
		for _, h := range []http.Handler{d.Staff(), d.Public()} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request(t, "GET", path, nil))
			csp := w.Header().Get("Content-Security-Policy")
			if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") || strings.Contains(csp, "unsafe") ||
				!strings.Contains(csp, "require-trusted-types-for 'script'; trusted-types 'none'") {
				t.Errorf("%s: policy %q", path, csp)
			}
			for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %s is %q", path, header, got)
				}
			}
		}
	}
}

func TestBadBodies(t *testing.T) {
	d := newDesktop(t)
	for name, c := range map[string]struct {
		body string
		want int
		kind problem.Kind
	}{
		"not JSON":         {`{"token":`, 400, problem.InvalidBody},
		"trailing data":    {`{"token":"0123456789012345678901"} {}`, 400, problem.InvalidBody},
		"twice":            {`{"token":"0123456789012345678901","token":"x123456789012345678901"}`, 400, problem.InvalidBody},
		"other case":       {`{"TOKEN":"0123456789012345678901"}`, 422, problem.Unprocessable},
		"unknown member":   {`{"token":"0123456789012345678901","x":1}`, 422, problem.Unprocessable},
		"too short":        {`{"token":"short"}`, 422, problem.Unprocessable},
		"not UTF-8":        {"{\"token\":\"012345678901234567890\xff\"}", 400, problem.InvalidBody},
		"nested deeply":    {`{"token":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, 400, problem.InvalidBody},
		"too large":        {`{"token":"` + strings.Repeat("a", maxBodyBytes) + `"}`, 413, problem.TooLarge},
		"nothing":          {``, 400, problem.InvalidBody},
		"an array instead": {`[]`, 422, problem.Unprocessable},
	} {
		got := d.ask(nil, "POST", "/v1/invite/begin", c.body)
		var p problem.Problem
		if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil {
			t.Errorf("%s: answered %s", name, got.Body)
			continue
		}
		if got.Code != c.want || p.Kind() != c.kind || got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: answered %d %s %s", name, got.Code, p.Type, got.Body)
		}
		if strings.Contains(got.Body.String(), "x123456789012345678901") || strings.Contains(got.Body.String(), "short\"") {
			t.Errorf("%s: the answer repeats what was sent: %s", name, got.Body)
		}
	}
}

func TestForeignHostsAreNobodys(t *testing.T) {
	d := newDesktop(t, func(c *Config) {
		c.Hosts = map[string]ringfence.TenantID{"console.example.com": ringfence.DefaultTenant}
	})
	if got := d.ask(nil, "GET", "/login", nil); got.Code != 404 {
		t.Errorf("a host of no tenant answered %d", got.Code)
	}
}
