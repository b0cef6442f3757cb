package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func b64url(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// change is a door of the listener that takes requests from pages.
func (s *stranger) change() string {
	if s.staff {
		return "/v1/invite/begin"
	}
	return "/l/look"
}

const elsewhere = "https://evil.example"

func outsideCrossSite(ctx context.Context, s *stranger) (verdict, error) {
	for _, path := range []string{s.change(), "/healthz"} {
		got, err := s.send(ctx, http.MethodGet, path, "", map[string]string{"Origin": elsewhere})
		if err != nil {
			return verdict{}, err
		}
		if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed == "*" || allowed == elsewhere {
			return through("%s may be read by every site", path), nil
		}
	}
	return allRefused(ctx, s, try{http.MethodPost, s.change(), "{}", map[string]string{"Origin": elsewhere, "Sec-Fetch-Site": "cross-site"}},
		try{http.MethodPost, s.change(), "{}", map[string]string{"Origin": "null", "Sec-Fetch-Site": "cross-site"}},
		try{http.MethodPost, s.change(), "{}", map[string]string{"Origin": s.origin + ".evil.example", "Sec-Fetch-Site": "same-site", "Content-Type": "text/plain"}})
}

func outsideCarrier(ctx context.Context, s *stranger) (verdict, error) {
	form := url.Values{"AccountSid": {"AC00000000000000000000000000000000"}, "CallStatus": {"completed"}, "MessageStatus": {"delivered"}, "Digits": {"123456"}}.Encode()
	var tries []try
	for _, path := range []string{"/twilio", "/twilio/voice", "/twilio/status", "/webhooks/twilio", "/v1/webhooks", "/v1/twilio/status", "/v1/messages/status"} {
		tries = append(tries, try{http.MethodPost, path, form, map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}})
	}
	return allRefused(ctx, s, tries...)
}

// nothingOf judges that none of the paths gives anything.
func nothingOf(ctx context.Context, s *stranger, paths ...string) (verdict, error) {
	for _, path := range paths {
		got, err := s.send(ctx, http.MethodGet, path, "", nil)
		if err != nil {
			return verdict{}, fmt.Errorf("%s: %w", path, err)
		}
		if got.status == http.StatusOK || strings.Contains(got.body, "root:") {
			return through("%s is answered %d", path, got.status), nil
		}
	}
	return stopped("%d paths give nothing", len(paths)), nil
}

func outsideFiles(ctx context.Context, s *stranger) (verdict, error) {
	return nothingOf(ctx, s, "/assets/..%2f..%2f..%2f..%2fetc/passwd", "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/assets/..%5c..%5cetc%5cpasswd", "/assets//etc/passwd",
		"/assets/%00", "/assets/", "/..%2fringfence.yaml")
}

func outsideInsides(ctx context.Context, s *stranger) (verdict, error) {
	return nothingOf(ctx, s, "/metrics", "/debug/pprof/", "/debug/vars", "/.env", "/.git/config", "/ringfence.yaml", "/ringfence.db", "/backup", "/server-status", "/actuator/env", "/v1/metrics")
}

func outsideHost(ctx context.Context, s *stranger) (verdict, error) {
	for _, header := range []map[string]string{{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}, {"X-Original-URL": "//evil.example/"}} {
		for _, path := range []string{"/", "/login", "/l", "/login/sso?next=//evil.example"} {
			got, err := s.send(ctx, http.MethodGet, path, "", header)
			if err != nil {
				return verdict{}, err
			}
			if strings.Contains(got.body, "evil.example") || strings.Contains(got.header.Get("Location"), "evil.example") {
				return through("the foreign host stands in the answer to %s", path), nil
			}
		}
	}
	return stopped("the foreign host appears in no answer"), nil
}

// outsideHuge accepts a cut connection as a refusal of what is too long.
func outsideHuge(ctx context.Context, s *stranger) (verdict, error) {
	for _, body := range []string{`{"token":"` + strings.Repeat("A", 4<<20) + `"}`, strings.Repeat(`{"token":`, 5000) + "1" + strings.Repeat("}", 5000),
		`{"token":"a","token":"b"}`, `{"token":"a"}{"token":"b"}`, "[]", "\xff\xfe{}"} {
		got, err := s.send(ctx, http.MethodPost, s.change(), body, nil)
		var cut *net.OpError
		if err != nil && (len(body) < 1<<20 || !errors.As(err, &cut)) {
			return verdict{}, err
		}
		if err == nil && got.status >= 500 {
			return through("a body of %d bytes is answered %d", len(body), got.status), nil
		}
		if err == nil && !got.refused() {
			return through("a body with two readings is answered %d", got.status), nil
		}
	}
	return stopped("all refused"), nil
}

func outsideMethods(ctx context.Context, s *stranger) (verdict, error) {
	return allRefused(ctx, s, try{http.MethodTrace, "/", "", nil}, try{http.MethodPut, s.change(), "{}", nil}, try{http.MethodDelete, s.change(), "", nil},
		try{"PROPFIND", "/", "", nil}, try{http.MethodPatch, s.change(), "{}", map[string]string{"X-HTTP-Method-Override": "POST"}})
}

func outsideFramed(ctx context.Context, s *stranger) (verdict, error) {
	path := "/l"
	if s.staff {
		path = "/login"
	}
	got, err := s.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return verdict{}, err
	}
	policy := got.header.Get("Content-Security-Policy")
	switch {
	case got.status != http.StatusOK:
		return verdict{}, fmt.Errorf("%s is answered %d", path, got.status)
	case !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe"):
		return through("the content policy is %q", policy), nil
	case got.header.Get("X-Content-Type-Options") != "nosniff":
		return through("a browser may guess the type of what it gets"), nil
	case s.https && got.header.Get("Strict-Transport-Security") == "":
		return through("a browser may come back without TLS"), nil
	}
	return stopped("no frame, no foreign script, no guessed type"), nil
}

func outsideTLS(ctx context.Context, s *stranger) (verdict, error) {
	u, err := url.Parse(s.origin)
	if err != nil {
		return verdict{}, err
	}
	if !s.https {
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return notApplicable("a loopback address without TLS"), nil
		}
		return through("the listener speaks without TLS, beyond this machine"), nil
	}
	at := u.Host
	if u.Port() == "" {
		at = net.JoinHostPort(u.Hostname(), "443")
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
		InsecureSkipVerify: true}} // whatever certificate: the version is what is asked about
	conn, err := d.DialContext(ctx, "tcp", at)
	if err == nil {
		return through("TLS 1.1 is spoken"), conn.Close()
	}
	return stopped("TLS below 1.2 is refused"), nil
}
