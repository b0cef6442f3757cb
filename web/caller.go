package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/web/problem"
)

// publicPages registers what callers see. A page takes its token from the
// fragment of its address, which no proxy, log or preview ever holds, and every
// step is a POST after a tap: a GET spends nothing.
func (s *Server) publicPages(m *http.ServeMux) {
	m.HandleFunc("GET /{$}", s.callerPage("about"))
	m.HandleFunc("GET /l", s.callerPage("approve"))
	m.HandleFunc("GET /enrol", s.callerPage("enrol"))
	m.HandleFunc("GET /call", s.callerPage("call"))
	m.HandleFunc("POST /call", s.reallyUs)
	m.HandleFunc("POST /l/look", callerStep(s, s.look))
	m.HandleFunc("POST /l/unlock", callerStep(s, s.unlock))
	m.HandleFunc("POST /l/again", callerStep(s, s.again))
	m.HandleFunc("POST /l/finish", callerStep(s, s.finish))
	m.HandleFunc("POST /l/refuse", callerStep(s, s.refuseAction))
	m.HandleFunc("GET /stop", s.callerPage("stop"))
	m.HandleFunc("POST /stop", callerStep(s, s.stopRelease))
	m.HandleFunc("POST /enrol/look", callerStep(s, s.enrolLook))
	m.HandleFunc("POST /enrol/unlock", callerStep(s, s.enrolUnlock))
	m.HandleFunc("GET /recover", s.callerPage("recover"))
	m.HandleFunc("POST /recover", s.takeRecovery)
	m.HandleFunc("POST /enrol/begin", callerStep(s, s.callerEnrolBegin))
	m.HandleFunc("POST /enrol/finish", callerStep(s, s.callerEnrolFinish))
}

// callerView is what a page's template needs.
type callerView struct {
	Page, Lang, Company string
	Chosen              string // the language, when the reader chose it on the page
	Words               map[string]string
	Reference           string    // as it was typed, for the page "call"
	Asked, Ours         bool      // whether it was looked up, and what was found
	At                  time.Time // when we placed that call
}

// Said lists the texts that the page's script may show.
func (v callerView) Said() []string {
	return []string{"wrong_code", "wrong_key", "cancelled", "closed", "satisfied", "rejected", "no_passkeys", "incomplete", "offline", "slow", "enrolled", "enrol_closed", "codes_made", "recover_no", "copied"}
}

// T returns a text in the reader's language.
func (v callerView) T(key string) string { return v.Words[key] }

// lang is one of the languages that a page can be read in.
type lang struct {
	Tag, Name string
	Now       bool
}

// Langs lists the languages, each by its own name.
func (v callerView) Langs() []lang {
	return []lang{{"en", "English", v.Lang == "en"}, {"de", "Deutsch", v.Lang == "de"}}
}

func (s *Server) view(r *http.Request, page string) callerView {
	lang, chosen := language(r.Header.Get("Accept-Language")), ""
	if tag := r.URL.Query().Get("lang"); callerWords[tag] != nil {
		lang, chosen = tag, tag
	}
	return callerView{Page: page, Lang: lang, Chosen: chosen, Company: s.cfg.Company(s.tenantOf(r)), Words: callerWords[lang]}
}

func (s *Server) callerPage(page string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		s.page(w, r, "caller.html.tmpl", s.view(r, page))
	}
}

// language picks one of the languages the pages are written in: the first
// named that we have, English else.
func language(accept string) string {
	for part := range strings.SplitSeq(accept, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		if callerWords[tag] != nil {
			return tag
		}
	}
	return "en"
}

// reallyUs answers "is this really you?" by call reference, as a plain form
// that needs no script. It says only whether we placed that call, to a number
// with these last four digits, and when; five tries a source in a quarter of an
// hour.
func (s *Server) reallyUs(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
	if err := r.ParseForm(); err != nil {
		s.refuse(w, r, problem.New(problem.InvalidBody, ""))
		return
	}
	if err := s.checks.spend(sourceOf(r)); err != nil {
		s.refuse(w, r, err)
		return
	}
	v := s.view(r, "call")
	v.Reference, v.Asked = plainWords(r.PostForm.Get("ref"), 12), true
	if ref := reference(v.Reference); len(ref) == 8 {
		if err := s.spendReference(s.tenantOf(r), ringfence.Keypad(ref)); err != nil {
			s.refuse(w, r, err)
			return
		}
		at, ours, err := s.cfg.Calls.Confirm(r.Context(), s.tenantOf(r), ref, strings.TrimSpace(r.PostForm.Get("tail")))
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		if v.Ours = ours; ours {
			v.At = at.UTC()
		}
	}
	s.page(w, r, "caller.html.tmpl", v)
}

// callerIn is what a caller's page sends; each step reads what it needs.
type callerIn struct {
	Token    string          `json:"token"`
	Code     string          `json:"code,omitempty"`
	Session  string          `json:"session,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
}

// shownField is one field of an action as the page shows it.
type shownField struct {
	Name  string          `json:"name"`
	As    ringfence.SayAs `json:"as,omitempty"`
	Value string          `json:"value"`
}

// callerOut is what a caller's page is told. Outcome is open while something
// can be done, satisfied, rejected, wrong, or closed for everything else:
// nothing more is told to whoever holds a link.
type callerOut struct {
	Outcome   string          `json:"outcome"`
	TriesLeft int             `json:"tries_left,omitempty"`
	Reference string          `json:"reference,omitempty"`
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
	Session   string          `json:"session,omitempty"`
	Says      string          `json:"says,omitempty"`
	Fields    []shownField    `json:"fields,omitempty"`
	By        string          `json:"by,omitempty"`
	Options   json.RawMessage `json:"options,omitempty"`
	// Of a page on which something is made: what it has to ask for, and what it
	// shows of what was made. Codes are shown once.
	NeedsCode   bool     `json:"needs_code,omitempty"`
	Prove       bool     `json:"prove,omitempty"`
	Check       string   `json:"check,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Codes       []string `json:"codes,omitempty"`
}

// callerStep wraps one step of a caller's page: bounded and strict body, slow
// guessing, one form of answer.
func callerStep(s *Server, step func(context.Context, *http.Request, callerIn) (callerOut, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in callerIn
		err := s.guesses.spend(sourceOf(r))
		if err == nil {
			err = readJSON(w, r, &in)
		}
		if err == nil && (len(in.Token) < 22 || len(in.Token) > 128) {
			err = errLinkSpent
		}
		var out callerOut
		if err == nil {
			out, err = step(r.Context(), r, in)
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		answerJSON(w, out)
	}
}

// answerJSON answers a page; what it is told is kept nowhere.
func answerJSON(w http.ResponseWriter, out callerOut) {
	body, err := json.Marshal(out)
	if err != nil {
		panic("web: " + err.Error()) // texts only: no input can cause it
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body)
}

// outcome tells a page no more than it needs.
func outcome(o verify.Outcome) string {
	switch o {
	case verify.OutcomeOpen, verify.OutcomeSatisfied, verify.OutcomeRejected, verify.OutcomeWrong:
		return string(o)
	default:
		return "closed"
	}
}

func (s *Server) look(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	page := s.passkeys(tenant).Page
	if page == nil {
		return callerOut{}, errNoPasskeys
	}
	got, err := page.Look(ctx, tenant, ringfence.Secret(in.Token))
	if err != nil || !got.Open {
		return callerOut{Outcome: "closed"}, err
	}
	return callerOut{Outcome: "open", TriesLeft: got.TriesLeft, ExpiresAt: got.ExpiresAt, Reference: s.referenceOf(tenant, got.Traversal)}, nil
}

// referenceOf is the call reference of a live traversal, or "".
func (s *Server) referenceOf(tenant ringfence.TenantID, id ringfence.TraversalID) string {
	for _, c := range s.boards.at(tenant, time.Now()).calls {
		if c.Traversal == id {
			return c.Reference
		}
	}
	return ""
}

func (s *Server) unlock(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	page := s.passkeys(tenant).Page
	if page == nil {
		return callerOut{}, errNoPasskeys
	}
	got, err := page.Unlock(ctx, tenant, ringfence.Secret(in.Token), ringfence.Secret(in.Code))
	if err != nil {
		return callerOut{}, err
	}
	out := callerOut{Outcome: outcome(got.Outcome), TriesLeft: got.TriesLeft}
	if got.Outcome != verify.OutcomeOpen {
		return out, nil
	}
	out.Session, out.Says, out.Options, out.ExpiresAt = string([]byte(got.Session)), got.Says, got.Options, got.ExpiresAt
	for _, f := range got.Fields {
		out.Fields = append(out.Fields, shownField{Name: f.Name, As: f.As, Value: f.Value})
	}
	out.By, err = s.nameOf(ctx, tenant, got.By)
	return out, err
}

// nameOf is the name of a member of staff, or "" for a flow.
func (s *Server) nameOf(ctx context.Context, tenant ringfence.TenantID, id ringfence.PersonID) (string, error) {
	if id == "" {
		return "", nil
	}
	var p ringfence.Person
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) (err error) {
		p, _, err = ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(id))
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return "", nil
	}
	return p.Name, err
}

func (s *Server) again(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	page := s.passkeys(tenant).Page
	if page == nil {
		return callerOut{}, errNoPasskeys
	}
	options, got, err := page.Again(ctx, tenant, ringfence.Secret(in.Token), ringfence.Secret(in.Session))
	return callerOut{Outcome: outcome(got), Options: options}, err
}

func (s *Server) finish(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	page := s.passkeys(tenant).Page
	if page == nil {
		return callerOut{}, errNoPasskeys
	}
	got, err := page.Finish(ctx, tenant, ringfence.Secret(in.Token), ringfence.Secret(in.Session), in.Response)
	return callerOut{Outcome: outcome(got.Outcome), TriesLeft: got.TriesLeft}, err
}

func (s *Server) refuseAction(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	tenant := s.tenantOf(r)
	page := s.passkeys(tenant).Page
	if page == nil {
		return callerOut{}, errNoPasskeys
	}
	got, err := page.Refuse(ctx, tenant, ringfence.Secret(in.Token))
	return callerOut{Outcome: outcome(got.Outcome)}, err
}

func (s *Server) callerEnrolBegin(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	out, err := s.beginEnrol(ctx, r, s.passkeys(s.tenantOf(r)).Enrol, in.Token)
	if err != nil {
		return callerOut{}, err
	}
	return callerOut{Outcome: "open", Options: out.Body.Options}, nil
}
