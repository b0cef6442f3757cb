// Package problem is the one table of what the HTTP surfaces of ringfence
// answer when they do not do what was asked: RFC 9457 problem details, each
// with a type, a status and a title that never change.
//
// A refusal by policy carries RFC 9470's error word and, for staff and service
// accounts only, what is missing and the fastest way on. No problem carries a
// secret, a full number or the text of an inner error.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/ringfence/ringfence"
)

// Kind names a problem; its type URI is "urn:ringfence:problem:" + Kind.
type Kind string

// The kinds. They are part of the API and are never renamed.
const (
	InvalidBody          Kind = "invalid-body"
	Unauthenticated      Kind = "unauthenticated"
	InsufficientEvidence Kind = "insufficient-evidence"
	Forbidden            Kind = "forbidden"
	NotFound             Kind = "not-found"
	Conflict             Kind = "conflict"
	Held                 Kind = "held"
	Expired              Kind = "expired"
	TooLarge             Kind = "too-large"
	Unprocessable        Kind = "unprocessable"
	TooMany              Kind = "too-many"
	InDoubt              Kind = "in-doubt"
	Unavailable          Kind = "unavailable"
	// Internal is a bug of ours; its cause stands in the log only.
	Internal Kind = "internal"
)

// Row is one line of the table.
type Row struct {
	Kind   Kind
	Status int
	Title  string
}

// Table holds every kind once.
var Table = [...]Row{
	{InvalidBody, http.StatusBadRequest, "The request cannot be read"},
	{Unauthenticated, http.StatusUnauthorized, "Sign in first"},
	{InsufficientEvidence, http.StatusForbidden, "More proof is needed"},
	{Forbidden, http.StatusForbidden, "Not allowed"},
	{NotFound, http.StatusNotFound, "There is no such thing"},
	{Conflict, http.StatusConflict, "It has changed meanwhile"},
	{Held, http.StatusConflict, "It is on hold"},
	{Expired, http.StatusGone, "It has expired"},
	{TooLarge, http.StatusRequestEntityTooLarge, "The request is too large"},
	{Unprocessable, http.StatusUnprocessableEntity, "A value is not acceptable"},
	{TooMany, http.StatusTooManyRequests, "Too many requests"},
	{InDoubt, http.StatusServiceUnavailable, "The outcome is in doubt: ask again with the same key"},
	{Unavailable, http.StatusServiceUnavailable, "Not available now"},
	{Internal, http.StatusInternalServerError, "Something went wrong on our side"},
}

// Field is one value of the request that is not acceptable.
type Field struct {
	Location string `json:"location" doc:"where, e.g. body.fields.amount"`
	Message  string `json:"message"`
}

// Problem is an answer in the form of RFC 9457.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Code is RFC 9470's error word, or empty.
	Code string `json:"error,omitempty"`
	// Missing and Next stand only in answers to staff and service accounts.
	Missing []ringfence.Fact `json:"missing,omitempty"`
	Next    string           `json:"next,omitempty"`
	Errors  []Field          `json:"errors,omitempty"`
	// RetrySeconds is sent as Retry-After; zero means not at all.
	RetrySeconds int `json:"-"`
}

// New returns the problem of kind with a sentence for its reader. An unknown
// kind is Internal.
func New(kind Kind, detail string) *Problem {
	row := Table[len(Table)-1]
	for _, r := range Table {
		if r.Kind == kind {
			row = r
		}
	}
	p := &Problem{Type: "urn:ringfence:problem:" + string(row.Kind), Title: row.Title, Status: row.Status, Detail: detail}
	if row.Kind == InsufficientEvidence {
		p.Code = "insufficient_user_authentication" // RFC 9470, section 3
	}
	return p
}

// Kind returns the kind that p's type names.
func (p *Problem) Kind() Kind { return Kind(p.Type[len("urn:ringfence:problem:"):]) }

// Error returns title and detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// GetStatus returns the HTTP status; huma asks for it by this name.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType turns JSON into problem JSON; huma asks for it by this name.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Write answers with p.
func (p *Problem) Write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // a Problem holds only strings and numbers
		panic("problem: " + err.Error())
	}
	p.Headers(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	w.Write(body)
}

// Headers sets what the answer owes beside its body: WWW-Authenticate for a
// missing sign-in (RFC 9110, section 15.5.2), Retry-After, and no caching.
func (p *Problem) Headers(h http.Header) {
	h.Set("Cache-Control", "no-store")
	switch {
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="ringfence"`)
	case p.Code != "":
		h.Set("WWW-Authenticate", `Bearer error="`+p.Code+`"`)
	}
	if p.RetrySeconds > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetrySeconds))
	}
}

// Is reports whether p is of the kind.
func Is(p *Problem, kind Kind) bool { return p != nil && p.Kind() == kind }
