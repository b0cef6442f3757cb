package twiliotest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// packages are the Fields that Lookup v2 documents.
var packages = []string{"validation", "caller_name", "sim_swap", "call_forwarding", "line_status", "line_type_intelligence", "identity_match",
	"reassigned_number", "sms_pumping_risk", "phone_number_quality_score", "pre_fill"}

// identity are the query parameters that only identity_match takes.
var identity = []string{"FirstName", "LastName", "AddressLine1", "AddressLine2", "City", "State", "PostalCode", "AddressCountryCode", "NationalId", "DateOfBirth"}

// Asked returns the query of each Lookup request so far.
func (s *Server) Asked() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// checkLookup returns what of a request the contract does not allow.
func checkLookup(r *http.Request) string {
	q := r.URL.Query()
	fields := strings.Split(q.Get("Fields"), ",")
	for name, values := range q {
		if len(values) != 1 || name != "Fields" && name != "CountryCode" && name != "LastVerifiedDate" && !slices.Contains(identity, name) {
			return "parameter " + name
		}
		if slices.Contains(identity, name) && !slices.Contains(fields, "identity_match") {
			return name + " without identity_match"
		}
		if !utf8.ValidString(values[0]) || values[0] == "" || len(values[0]) > 256 {
			return "the value of " + name
		}
	}
	for i, f := range fields {
		if !slices.Contains(packages, f) || slices.Contains(fields[:i], f) {
			return "Fields: " + f
		}
	}
	switch {
	case !e164.MatchString(r.PathValue("number")):
		return "number"
	case r.URL.EscapedPath() != "/v2/PhoneNumbers/"+r.PathValue("number"):
		return "the path is escaped in another way: " + r.URL.EscapedPath()
	case r.ContentLength > 0:
		return "a body on a GET"
	}
	return ""
}

func (s *Server) lookup(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(w, r, "lookups.twilio.com") {
		return
	}
	if why := checkLookup(r); why != "" {
		s.complain("lookup: %s", why)
		fail(w, 400, 20001, why)
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Query())
	s.mu.Unlock()
	if s.broken(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, s.said(r.PathValue("number"), strings.Split(r.URL.Query().Get("Fields"), ",")))
}

// broken plays the faults that a Lookup can have.
func (s *Server) broken(w http.ResponseWriter, r *http.Request) bool {
	switch s.faulty() {
	case FaultServer:
		fail(w, 500, 20500, "An internal server error has occurred")
	case FaultReject:
		fail(w, 403, 60606, "Package is not enabled for your account")
	case FaultBusy:
		fail(w, 429, 20429, "Too Many Requests")
	case FaultRedirect:
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
	case FaultCut:
		panic(http.ErrAbortHandler) // cuts the connection, logs nothing
	case FaultSilent:
		select {
		case <-s.release:
		case <-r.Context().Done():
		}
	case FaultJunk:
		fmt.Fprint(w, "<html>ok</html>")
	case FaultHuge:
		fmt.Fprint(w, `{"phone_number":"`+r.PathValue("number")+`","sim_swap":{"last_sim_swap":{"last_sim_swap_date":"2019-04-27T10:18:50Z"}},"padding":"`+
			strings.Repeat("x", 1<<20)+`"}`)
	default:
		return false
	}
	return true
}

// said is what the network says, with null for every package not asked for.
func (s *Server) said(number string, fields []string) string {
	s.mu.Lock()
	body := s.Lookups[number]
	s.mu.Unlock()
	answer := map[string]json.RawMessage{}
	if body == "" {
		body = `{"phone_number":"` + number + `","valid":true}`
	}
	if json.Unmarshal([]byte(body), &answer) != nil {
		return body // the test wants it to be broken
	}
	for _, p := range packages {
		if !slices.Contains(fields, p) {
			answer[p] = json.RawMessage("null")
		}
	}
	out, _ := json.Marshal(answer) // was JSON a moment ago
	return string(out)
}
