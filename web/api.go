package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ringfence/ringfence/web/problem"
)

// Bounds of a request body of the API.
const (
	maxBodyBytes = 64 << 10
	maxBodyDepth = 16
)

// api registers the JSON API and its OpenAPI 3.1 description.
func (s *Server) api(m *guardedMux) {
	cfg := huma.DefaultConfig("ringfence", "1")
	cfg.Info.Description = "Telephone verification gateway: actions wait here until what policy asks for is proved."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil // no $schema members or links
	strict := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: strictJSON}
	cfg.Formats = map[string]huma.Format{"application/json": strict, "json": strict}
	cfg.RejectUnknownQueryParameters = true
	cfg.Transformers = []huma.Transformer{func(_ huma.Context, _ string, v any) (any, error) { return asProblem(v), nil }}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: "__Host-ringfence", Description: "A person, signed in with a passkey."},
		"client":  {Type: "http", Scheme: "bearer", Description: "A service account."},
	}
	a := humago.New(m, cfg)
	s.sessionAPI(a)
	s.deskAPI(a)
	s.softphoneAPI(a)
	s.releaseAPI(a)
	s.permitAPI(a)
	s.webhookAPI(a)
	s.reconcileAPI(a)
	s.reviewAPI(a)
	s.approvalAPI(a)
	s.proofingAPI(a)
	s.alertAPI(a)
	s.clockAPI(a)
	s.directoryAPI(a)
	s.subjectAPI(a)
	s.fileAPI(a)
	s.changeAPI(a)
	s.enrolAPI(a)
	s.brakeAPI(a)
	s.ledgerAPI(a)
	s.searchAPI(a)
	s.pastAPI(a)
	s.chartAPI(a)
	s.boardAPI(a)
	s.peopleAPI(a)
	s.importAPI(a)
	s.erasureAPI(a)
	s.clientAPI(a)
	s.startAPI(a)
	s.systemAPI(a)
	s.presenceAPI(a)
	s.jobAPI(a)
	s.checkpointAPI(a)
	s.exportAPI(a, m)
	s.proofsAPI(a, m)
	s.stirAPI(a)
	s.drillAPI(a)
	s.flowAPI(a)
	s.mediaAPI(a, m)
	m.HandleFunc("GET /v1/events", s.events)
	a.OpenAPI().AddOperation(&huma.Operation{Method: "GET", Path: "/v1/events", OperationID: "get-events", Summary: "Server-sent events",
		Description: "A person gets call, gone, floor, phone, approvals and alerts: the live calls they may see, what rings and waits around them, their softphone and how many alerts are open, now and at every change; and a beat every 15 s. A service account with the scope events " +
			"gets the entries of the ledger from Last-Event-ID on, each under its own event name; the id is the index in the log.",
		Security:  []map[string][]string{{"session": {}}, {"client": {string(ScopeEvents)}}},
		Responses: map[string]*huma.Response{"200": {Description: "text/event-stream, without end", Content: map[string]*huma.MediaType{"text/event-stream": {}}}}})
	m.doc = a.OpenAPI()
	illustrate(m.doc)
	m.HandleFunc("GET /reference", newReference(m.doc).show(s))
	doc, err := json.Marshal(m.doc)
	if err != nil {
		panic("web: " + err.Error()) // built from our own types only
	}
	m.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(doc)
	})
}

// add registers one operation: its errors become problems in one place, its
// body is bounded, and the rule of its route stands in the description.
func add[I, O any](s *Server, a huma.API, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes = maxBodyBytes
	op.OperationID = strings.NewReplacer("/v1/", "", "/", "-", "{", "", "}", "", "_", "-", ".", "-").Replace(strings.ToLower(op.Method) + "-" + op.Path)
	for _, r := range access {
		if r.pattern != op.Method+" "+op.Path {
			continue
		}
		op.MaxBodyBytes = r.most()
		if len(r.roles) > 0 {
			op.Security = append(op.Security, map[string][]string{"session": {}})
		}
		if r.scope != "" {
			op.Security = append(op.Security, map[string][]string{"client": {string(r.scope)}})
			op.Description = strings.TrimSpace(op.Description + " Scope of a service account: " + string(r.scope) + ".")
		}
	}
	huma.Register(a, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err == nil {
			return out, nil
		}
		p := toProblem(err)
		if p.Kind() == problem.Internal {
			s.log.ErrorContext(ctx, "request failed", "operation", op.OperationID, "error", err)
		}
		head := http.Header{}
		p.Headers(head)
		return nil, huma.ErrorWithHeaders(p, head)
	})
}

// asProblem turns the validation errors of huma into ours; a value that was
// refused is not repeated.
func asProblem(v any) any {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v
	}
	kind := problem.InvalidBody
	switch m.Status {
	case http.StatusUnprocessableEntity:
		kind = problem.Unprocessable
	case http.StatusRequestEntityTooLarge:
		kind = problem.TooLarge
	case http.StatusInternalServerError:
		kind = problem.Internal
	}
	p := problem.New(kind, "")
	p.Status = m.Status // what is already written, e.g. 415
	for _, e := range m.Errors {
		if e != nil {
			p.Errors = append(p.Errors, problem.Field{Location: e.Location, Message: e.Message})
		}
	}
	return p
}

// strictJSON reads what has one meaning only: no duplicate or case-folded
// names, no trailing data, no unknown member, no invalid UTF-8, no depth that
// only an attacker needs.
func strictJSON(data []byte, v any) error {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return errors.New("not JSON of one meaning")
		}
		if dec.StackDepth() > maxBodyDepth {
			return errors.New("nested too deeply")
		}
	}
	err := jsonv2.Unmarshal(data, v, jsonv2.RejectUnknownMembers(true))
	var wrong *jsonv2.SemanticError
	if errors.As(err, &wrong) {
		wrong.JSONValue = nil // its place is told, and what was sent is not repeated
	}
	return err
}

// readJSON reads a request's body outside of huma, under the same rules.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		return problem.New(problem.InvalidBody, "Content-Type is not application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		return err
	}
	if err := strictJSON(body, v); err != nil {
		return problem.New(problem.InvalidBody, "")
	}
	return nil
}
