package web

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// contentPolicy allows nothing but our own files: no inline script or style,
// no data: URL, no frame, and no string that becomes script (Trusted Types).
// media-src is for recorded calls, which are played while they are read.
// report-uri and not report-to: browsers send its reports at once.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'; " +
	"report-uri /csp-report"

// permissions switches off what no page of ours uses, and keeps passkeys and the
// microphone of the softphone.
const permissions = "camera=(), geolocation=(), microphone=(self), payment=(), usb=(), publickey-credentials-get=(self), publickey-credentials-create=(self)"

const (
	// maxReportBytes bounds a violation report.
	maxReportBytes = 16 << 10
	// loudReports is how many reports are logged each; later only one of as many.
	loudReports = 100
)

// secured sets the headers every answer carries, and refuses cross-site
// requests that could change something.
func (s *Server) secured(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, errCrossSite)
	}))
	guarded := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recovered(w, r)
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", permissions)
		if s.secure(r) {
			h.Set("Strict-Transport-Security", "max-age=63072000")
		}
		if r.URL.Path == "/csp-report" { // browsers send reports without an origin we could judge
			next.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// recovered turns a panic into a bare 500: one request ends, its cause stands
// in the log, the process and every other call go on.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	switch cause := recover(); {
	case cause == nil:
	case cause == http.ErrAbortHandler:
		panic(cause)
	default:
		s.log.ErrorContext(r.Context(), "panic", slog.String("route", r.Pattern), ringfence.Panicked(cause))
		problem.New(problem.Internal, "").Write(w)
	}
}

// cspReport takes a violation report. Its text is a stranger's, so only a few
// fields are kept, cut short, and only in the log.
func (s *Server) cspReport(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReportBytes))
	if err != nil {
		s.refuse(w, r, errTooLarge)
		return
	}
	var one struct {
		Report struct {
			Directive string `json:"effective-directive"`
			Blocked   string `json:"blocked-uri"`
			Document  string `json:"document-uri"`
		} `json:"csp-report"`
	}
	if json.Unmarshal(body, &one) != nil { // the newer form: an array of reports
		var many []struct {
			Body struct {
				Directive string `json:"effectiveDirective"`
				Blocked   string `json:"blockedURL"`
				Document  string `json:"documentURL"`
			} `json:"body"`
		}
		if json.Unmarshal(body, &many) == nil && len(many) > 0 {
			b := many[0].Body
			one.Report.Directive, one.Report.Blocked, one.Report.Document = b.Directive, b.Blocked, b.Document
		}
	}
	if n := s.reports.Add(1); n > loudReports && n%loudReports != 0 { // a stranger's flood fills no log
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.log.WarnContext(r.Context(), "content policy violated",
		slog.String("directive", short(one.Report.Directive)),
		slog.String("blocked", short(originOf(one.Report.Blocked))))
	w.WriteHeader(http.StatusNoContent)
}

// originOf is what of an address is no secret: its path, query and fragment may
// hold a token. A word such as inline stays.
func originOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err == nil && u.Host != "":
		return u.Scheme + "://" + u.Host
	case strings.Trim(address, "abcdefghijklmnopqrstuvwxyz-") == "":
		return address
	}
	return "no address"
}

// short cuts a stranger's text for the log.
func short(text string) string {
	if len(text) > 120 {
		return text[:120]
	}
	return text
}
