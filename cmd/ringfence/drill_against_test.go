package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

func address(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := targetOf(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// attackFromOutside drills the two listeners of the battlefield as the command
// does: whatever can be tried from there is stopped.
func attackFromOutside(t *testing.T, b *battlefield) {
	for name, origin := range map[string]string{"staff": b.staff, "callers": b.public} {
		t.Run(name, func(t *testing.T) {
			r := drillOutside(t.Context(), address(t, origin), nil)
			if !r.OK || r.Stopped < 10 {
				var out bytes.Buffer
				t.Error(printDrill(&out, r, false), out.String())
			}
		})
	}
}

// open is a listener that lets everything through and repeats what it is told.
func open(staff bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch path := r.URL.Path; {
		case err != nil, staff && path == "/l", !staff && path == "/.well-known/jwks.json":
			http.NotFound(w, r)
		case path == "/.well-known/jwks.json":
			io.WriteString(w, `{"keys":[]}`)
		case path == "/v1/login/begin":
			io.WriteString(w, `{"ceremony":"c","options":{"challenge":"AAAAAAAAAAAAAAAAAAAAAA","rpId":"`+r.URL.Hostname()+`127.0.0.1"}}`)
		case strings.HasSuffix(path, "/look"), path == "/stop":
			io.WriteString(w, `{"outcome":"open"}`)
		case path == "/call":
			w.Write(body[4:5]) // something of the reference
		default:
			w.Header().Set("Access-Control-Allow-Origin", "*")
			io.WriteString(w, r.Host+r.Header.Get("X-Forwarded-Host")+string(body))
		}
	})
}

// A drill that cannot fail is worth nothing: a listener without any guard is
// found out by every attack there is.
func TestDrillAgainstFindsWhatIsOpen(t *testing.T) {
	found := map[string]web.DrillOutcome{}
	for _, staff := range []bool{true, false} {
		s := httptest.NewServer(open(staff))
		defer s.Close()
		r := drillOutside(t.Context(), address(t, s.URL), nil)
		if r.OK || r.Through == 0 || r.Error != "" {
			t.Errorf("an open listener: %+v", r)
		}
		for _, x := range r.Results {
			found[x.Name] = x.Outcome
			if x.Outcome != web.DrillThrough && x.Name != "outside-old-tls" {
				t.Errorf("staff %v: %s is %s: %s", staff, x.Name, x.Outcome, x.Says)
			}
		}
	}
	if len(found) != len(outsideAttacks) {
		t.Errorf("%d attacks were tried, want %d", len(found), len(outsideAttacks))
	}
	old := httptest.NewTLSServer(open(true))
	defer old.Close()
	stranger := newStranger(address(t, old.URL))
	if v, err := outsideTLS(t.Context(), stranger); err != nil || v.outcome != web.DrillStopped {
		t.Errorf("a listener of TLS 1.2 and later: %+v %v", v, err)
	}
	plain := newStranger(&url.URL{Scheme: "http", Host: "desk.example"})
	if v, err := outsideTLS(t.Context(), plain); err != nil || v.outcome != web.DrillThrough {
		t.Errorf("a listener without TLS: %+v %v", v, err)
	}
}

func TestDrillAgainstIsNoRingfence(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if r := drillOutside(t.Context(), address(t, s.URL), nil); r.OK || r.Error == "" || len(r.Results) != 0 {
		t.Errorf("%+v", r)
	}
	s.Close()
	if r := drillOutside(t.Context(), address(t, s.URL), nil); r.OK || r.Error == "" {
		t.Errorf("nobody there: %+v", r)
	}
}

func TestDrillAgainstRefuses(t *testing.T) {
	own := config.Config{}
	own.Web.Staff.URL, own.Web.Public.URL = "https://Desk.example.com:8443", "https://call.example.com"
	for text, want := range map[string]bool{"http://127.0.0.1:8080": true, "http://localhost:1": true, "http://[::1]:1": true, "https://desk.example.com:9": true,
		"https://call.example.com": true, "https://example.com": false, "http://10.0.0.1": false, "http://127.0.0.1.evil.example": false,
		"http://localhost.evil.example": false, "https://desk.example.com.evil.example": false, "http://0.0.0.0:80": false, "http://2130706433": false} {
		u := address(t, text)
		if got := mayAttack(own, u, false) == ""; got != want {
			t.Errorf("%s may be attacked: %v", text, got)
		}
		if mayAttack(own, u, true) != "" || mayAttack(config.Config{}, &url.URL{}, false) == "" {
			t.Errorf("%s with consent is refused, or nothing without it is not", text)
		}
	}
	for _, text := range []string{"", "localhost", "ftp://localhost", "http://", "http://u:p@localhost", "http://localhost/v1", "http://localhost?x=1", "http://localhost#x", "http://:80", "://"} {
		if _, err := targetOf(text); err == nil {
			t.Errorf("%q is an address", text)
		}
	}
	empty := filepath.Join(t.TempDir(), "ringfence.yaml")
	if err := os.WriteFile(empty, []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]drillCmd{"a host of nobody's": {Against: []string{"https://example.com"}}, "no address": {Against: []string{"x"}},
		"no such attack":                {Against: []string{"http://localhost:1"}, Only: []string{"guessed-pin"}},
		"a configuration that is wrong": {configFlag: configFlag{Config: empty}, Against: []string{"http://localhost:1"}}} {
		var exit *exitError
		if err := c.Run(context.Background()); !errors.As(err, &exit) || exit.code != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
