// Package stihttp puts the authentication and verification services of
// stirshaken behind the HTTP interface of ATIS-1000082, and reaches a call
// placement service (RFC 8816, ATIS-1000096) as a client.
//
//	POST /stir/v1/signing        signingRequest      → signingResponse
//	POST /stir/v1/verification   verificationRequest → verificationResponse
//
// It refuses whom Authorize does not name: a nil Authorize refuses all. A bad
// PASSporT is a 200 with a verstat and a reason, as the interface has it; the
// 4xx are for requests that cannot be understood.
package stihttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
)

// MaxBodyBytes bounds a request body: ten Identity values and some more.
const MaxBodyBytes = 192 << 10

// Service is the two services. The zero value refuses everybody.
type Service struct {
	// Authorize names the tenant that a request speaks for; false refuses it
	// with 401. It sees the request before its body is read. Nil refuses all.
	Authorize func(*http.Request) (ringfence.TenantID, bool)
	// CustomerKnown says that the tenant vouches for knowing its callers, which
	// attestation B needs. Nil means no.
	CustomerKnown func(ringfence.TenantID) bool
	Verifier      *stirshaken.Verifier // nil: no verification service
	Signer        *stirshaken.Signer   // nil: no authentication service
	// InFlight bounds the requests that are served at once; more are refused
	// with 503. Zero means 256.
	InFlight int
	// Now is the time a request is judged at; nil means time.Now.
	Now func() time.Time
}

// Handler returns the service's handler. The Service must not change after it.
func (s *Service) Handler() http.Handler {
	most := s.InFlight
	if most <= 0 {
		most = 256
	}
	slots := make(chan struct{}, most)
	mux := http.NewServeMux()
	mux.HandleFunc("/stir/v1/signing", s.serve(slots, s.sign))
	mux.HandleFunc("/stir/v1/verification", s.serve(slots, s.verify))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fault(w, svcNotFound, "") })
	return mux
}

// exception is one of the errors of ATIS-1000082, section 5.3: status, id and
// text in one table.
type exception struct {
	status int
	id     string
	text   string
}

var (
	svcNoBody       = exception{http.StatusBadRequest, "SVC4000", "Error: Missing request body."}
	svcMissing      = exception{http.StatusBadRequest, "SVC4001", "Error: Missing mandatory parameter '%1'."}
	svcAccept       = exception{http.StatusNotAcceptable, "SVC4002", "Error: Requested response body type '%1' is not supported."}
	svcNotFound     = exception{http.StatusNotFound, "SVC4003", "Error: Requested resource was not found."}
	svcType         = exception{http.StatusUnsupportedMediaType, "SVC4004", "Error: Unsupported request body type, expected 'application/json'."}
	svcValue        = exception{http.StatusBadRequest, "SVC4005", "Error: Invalid '%1' parameter value."}
	svcParse        = exception{http.StatusBadRequest, "SVC4006", "Error: Failed to parse received message body."}
	svcLength       = exception{http.StatusLengthRequired, "SVC4007", "Error: Missing mandatory Content-Length header."}
	svcTooLarge     = exception{http.StatusRequestEntityTooLarge, "SVC4006", "Error: Message body is too long."}
	polMethod       = exception{http.StatusMethodNotAllowed, "POL4050", "Error: Method not allowed."}
	polUnauthorized = exception{http.StatusUnauthorized, "POL4010", "Error: Not authorized."}
	polRefused      = exception{http.StatusForbidden, "POL4030", "Error: Not signed: %1."}
	polBusy         = exception{http.StatusServiceUnavailable, "POL5030", "Error: Too many requests."}
	polInternal     = exception{http.StatusInternalServerError, "POL5000", "Error: Internal Server Error. Please try again later."}
)

func fault(w http.ResponseWriter, e exception, variable string) {
	kind := "serviceException"
	if strings.HasPrefix(e.id, "POL") {
		kind = "policyException"
	}
	body := map[string]any{"messageId": e.id, "text": e.text}
	if strings.Contains(e.text, "%1") {
		body["variables"] = []string{variable}
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	answer(w, e.status, map[string]any{"requestError": map[string]any{kind: body}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body)
}

// serve checks what both services check before the body's content.
func (s *Service) serve(slots chan struct{}, do func(context.Context, http.ResponseWriter, []byte, ringfence.TenantID, time.Time)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if id := r.Header.Get("X-RequestID"); id != "" && len(id) <= 128 {
			w.Header().Set("X-RequestID", id)
		}
		var tenant ringfence.TenantID
		allowed := false
		if s.Authorize != nil {
			tenant, allowed = s.Authorize(r)
		}
		switch {
		case !allowed:
			fault(w, polUnauthorized, "")
			return
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			fault(w, polMethod, "")
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			w.Header().Set("Retry-After", "1")
			fault(w, polBusy, "")
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			fault(w, svcType, "")
			return
		}
		if a := r.Header.Get("Accept"); a != "" && !strings.Contains(a, "application/json") && !strings.Contains(a, "*/*") && !strings.Contains(a, "application/*") {
			fault(w, svcAccept, a)
			return
		}
		if r.ContentLength < 0 {
			fault(w, svcLength, "")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			fault(w, svcTooLarge, "")
			return
		case err != nil:
			fault(w, svcParse, "")
			return
		case len(body) == 0:
			fault(w, svcNoBody, "")
			return
		}
		now := time.Now
		if s.Now != nil {
			now = s.Now
		}
		do(r.Context(), w, body, tenant, now())
	}
}

// decode reads a body under one wrapper member. JSON with two readings was
// turned away by stirshaken.CheckJSON first.
func decode(body []byte, into any) bool {
	return stirshaken.CheckJSON(body) == nil && json.Unmarshal(body, into) == nil
}

// tnOf and dests read the parties of a request; numbers may have visual
// separators and a plus sign, as callers of the interface send them.
type tnOf struct {
	TN  string `json:"tn"`
	URI string `json:"uri"`
}

func (t *tnOf) party() (stirshaken.Party, bool) {
	if t == nil || (t.TN == "") == (t.URI == "") {
		return stirshaken.Party{}, false
	}
	if t.URI != "" {
		return stirshaken.Party{URI: t.URI}, true
	}
	tn, ok := stirshaken.Home{}.Canonical(t.TN)
	return stirshaken.Party{TN: tn}, ok
}

type dests struct {
	TN  []string `json:"tn"`
	URI []string `json:"uri"`
}

func (d *dests) parties() ([]stirshaken.Party, bool) {
	if d == nil || len(d.TN)+len(d.URI) == 0 || len(d.TN)+len(d.URI) > stirshaken.MaxDestinations {
		return nil, false
	}
	var out []stirshaken.Party
	for _, s := range d.TN {
		tn, ok := stirshaken.Home{}.Canonical(s)
		if !ok {
			return nil, false
		}
		out = append(out, stirshaken.Party{TN: tn})
	}
	for _, s := range d.URI {
		if s == "" {
			return nil, false
		}
		out = append(out, stirshaken.Party{URI: s})
	}
	return out, true
}

// sign answers a signingRequest (ATIS-1000082, section 5.1).
func (s *Service) sign(ctx context.Context, w http.ResponseWriter, body []byte, tenant ringfence.TenantID, now time.Time) {
	var msg struct {
		Request *struct {
			Attest *string `json:"attest"`
			Dest   *dests  `json:"dest"`
			Iat    *int64  `json:"iat"`
			Orig   *tnOf   `json:"orig"`
			OrigID *string `json:"origid"`
			Div    *tnOf   `json:"div"`
		} `json:"signingRequest"`
	}
	if !decode(body, &msg) {
		fault(w, svcParse, "")
		return
	}
	if s.Signer == nil {
		fault(w, svcNotFound, "")
		return
	}
	r := msg.Request
	switch {
	case r == nil:
		fault(w, svcMissing, "signingRequest")
		return
	case r.Attest == nil && r.Div == nil:
		fault(w, svcMissing, "attest")
		return
	case r.Dest == nil:
		fault(w, svcMissing, "dest")
		return
	case r.Iat == nil:
		fault(w, svcMissing, "iat")
		return
	case r.Orig == nil:
		fault(w, svcMissing, "orig")
		return
	case r.OrigID == nil && r.Div == nil:
		fault(w, svcMissing, "origid")
		return
	}
	req := stirshaken.SigningRequest{Iat: time.Unix(*r.Iat, 0)}
	var ok bool
	if req.Orig, ok = r.Orig.party(); !ok {
		fault(w, svcValue, "orig")
		return
	}
	if req.Dest, ok = r.Dest.parties(); !ok {
		fault(w, svcValue, "dest")
		return
	}
	var signed stirshaken.Signed
	var refusal stirshaken.SigningRefusal
	var err error
	if r.Div != nil {
		req.PPT = stirshaken.PPTDiv
		if req.Div, ok = r.Div.party(); !ok {
			fault(w, svcValue, "div")
			return
		}
		signed, refusal, err = s.Signer.Sign(req, now)
	} else {
		req.Attest, req.OrigID = ringfence.Attest(*r.Attest), *r.OrigID
		if req.Attest == ringfence.AttestNone {
			fault(w, svcValue, "attest")
			return
		}
		if req.OrigID == "" {
			fault(w, svcValue, "origid")
			return
		}
		customer := s.CustomerKnown != nil && s.CustomerKnown(tenant)
		signed, refusal, err = s.Signer.SignFor(ctx, tenant, customer, req, now)
	}
	switch {
	case err != nil:
		fault(w, polInternal, "")
	case refusal != "":
		signingFault(w, refusal)
	default:
		answer(w, http.StatusOK, map[string]any{"signingResponse": map[string]string{"identity": signed.Identity}})
	}
}

// signingFault tells a malformed value from a signature that is not due.
func signingFault(w http.ResponseWriter, refusal stirshaken.SigningRefusal) {
	switch refusal {
	case stirshaken.SignAttest:
		fault(w, svcValue, "attest")
	case stirshaken.SignOrig:
		fault(w, svcValue, "orig")
	case stirshaken.SignDest:
		fault(w, svcValue, "dest")
	case stirshaken.SignIat:
		fault(w, svcValue, "iat")
	case stirshaken.SignOrigID:
		fault(w, svcValue, "origid")
	case stirshaken.SignDiv:
		fault(w, svcValue, "div")
	case stirshaken.SignNoKey, stirshaken.SignExpired:
		fault(w, polInternal, "")
	default:
		fault(w, polRefused, string(refusal))
	}
}

// verify answers a verificationRequest (ATIS-1000082, section 5.2). identity
// may be one value or a list of them.
func (s *Service) verify(ctx context.Context, w http.ResponseWriter, body []byte, _ ringfence.TenantID, now time.Time) {
	var msg struct {
		Request *struct {
			From     *tnOf           `json:"from"`
			To       *dests          `json:"to"`
			Time     *int64          `json:"time"`
			Identity json.RawMessage `json:"identity"`
		} `json:"verificationRequest"`
	}
	if !decode(body, &msg) {
		fault(w, svcParse, "")
		return
	}
	if s.Verifier == nil {
		fault(w, svcNotFound, "")
		return
	}
	r := msg.Request
	switch {
	case r == nil:
		fault(w, svcMissing, "verificationRequest")
		return
	case r.From == nil:
		fault(w, svcMissing, "from")
		return
	case r.To == nil:
		fault(w, svcMissing, "to")
		return
	case r.Time == nil:
		fault(w, svcMissing, "time")
		return
	case len(r.Identity) == 0:
		fault(w, svcMissing, "identity")
		return
	}
	req, bad := request(r.From, r.To, *r.Time, r.Identity)
	if bad != "" {
		fault(w, svcValue, bad)
		return
	}
	v := s.Verifier.Verify(ctx, req, stirshaken.Peer{}, now)
	out := map[string]any{"verstat": v.Verstat()}
	if code, phrase := v.Response(); code != 0 {
		out["reasonCode"], out["reasonText"], out["reasonDesc"] = code, phrase, v.Reason.Sentence()
	} else {
		out["attest"], out["origid"] = string(v.Attest), v.OrigID
	}
	answer(w, http.StatusOK, map[string]any{"verificationResponse": out})
}

// request turns the JSON into the header fields it was taken from: time is the
// Date header field, to may name several called parties, of which the first
// stands for To.
func request(from *tnOf, to *dests, at int64, identity json.RawMessage) (stirshaken.Request, string) {
	var req stirshaken.Request
	caller, ok := from.party()
	if !ok || !plain(caller) {
		return req, "from"
	}
	called, ok := to.parties()
	if !ok || !plain(called[0]) {
		return req, "to"
	}
	if at < 0 || at > 1<<40 {
		return req, "time"
	}
	var one string
	if json.Unmarshal(identity, &one) == nil {
		req.Identity = []string{one}
	} else if json.Unmarshal(identity, &req.Identity) != nil || len(req.Identity) == 0 {
		return req, "identity"
	}
	req.From, req.To = "<"+uri(caller)+">", "<"+uri(called[0])+">"
	req.Date = time.Unix(at, 0).UTC().Format(http.TimeFormat)
	return req, ""
}

func plain(p stirshaken.Party) bool { return !strings.ContainsAny(p.URI, "<>\"\r\n\t ") }

func uri(p stirshaken.Party) string {
	if p.TN != "" {
		return "tel:+" + string(p.TN)
	}
	return p.URI
}

// retryable reports whether a status is worth another try, for the CPS client.
func retryable(status int) bool { return status == http.StatusTooManyRequests || status >= 500 }

func statusText(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }
