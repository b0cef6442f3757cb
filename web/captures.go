package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/web/problem"
)

// Captures takes the packets of a live call for a network tool, without its
// audio, its digits and its names.
type Captures interface {
	// Begin starts one. It returns ErrNoCall for a call that is not live, and
	// ErrBusy while one of it runs or too many do.
	Begin(ctx context.Context, ask CaptureAsk) (Capture, error)
	// Of lists the captures somebody asked for, oldest first, while there is a file.
	Of(tenant ringfence.TenantID, by gate.Actor) []Capture
	// Take returns the file as it is now, to who asked for it only; anybody else
	// gets ErrNoCall.
	Take(ctx context.Context, tenant ringfence.TenantID, id string, by gate.Actor) (Capture, []byte, error)
}

// CaptureAsk is who wants the packets of a call, for how long, and why.
type CaptureAsk struct {
	Tenant ringfence.TenantID
	Call   string // the traversal's id, or the reference of the call
	By     gate.Actor
	Reason string
	For    time.Duration
}

// Capture is one on its way or done.
type Capture struct {
	ID        string                `json:"id"`
	Traversal ringfence.TraversalID `json:"traversal"`
	Until     time.Time             `json:"until" doc:"at the latest; the end of the call ends it too"`
	File      string                `json:"file" doc:"where you, and nobody else, read the pcap file for an hour"`
	Done      bool                  `json:"done" doc:"nothing is added any more"`
}

type (
	captureIn struct {
		ID   string `path:"id" maxLength:"40" doc:"of the traversal, or the reference of the call"`
		Body struct {
			Reason  string `json:"reason" minLength:"3" maxLength:"300" doc:"stands in the ledger"`
			Seconds int    `json:"seconds" minimum:"1" maximum:"600" default:"60"`
		}
	}
	captureOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         Capture
	}
	capturesOut struct {
		Body struct {
			Captures []Capture `json:"captures"`
		}
	}
)

func (s *Server) captureAPI(a huma.API, m *guardedMux) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/{id}/captures", Summary: "Capture the packets of a live call, for a reason", DefaultStatus: 201,
		Description: "Messages are masked; of media there is the fixed part of each RTP header, and nothing while a secret is asked or spoken."}, s.beginCapture)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/captures", Summary: "The captures you asked for in the last hour"}, s.myCaptures)
	m.HandleFunc("GET /v1/captures/{id}", s.takeCapture)
	a.OpenAPI().AddOperation(&huma.Operation{Method: "GET", Path: "/v1/captures/{id}", OperationID: "get-captures-id", Summary: "The packets of a call as a pcap file",
		Parameters: []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}},
		Security:   []map[string][]string{{"session": {}}, {"client": {string(ScopeWire)}}},
		Responses:  map[string]*huma.Response{"200": {Description: "pcap", Content: map[string]*huma.MediaType{pcapType: {}}}}})
}

const pcapType = "application/vnd.tcpdump.pcap"

func (s *Server) beginCapture(ctx context.Context, in *captureIn) (*captureOut, error) {
	reason := strings.TrimSpace(plainWords(in.Body.Reason, longest))
	if len(reason) < 3 {
		return nil, problem.New(problem.Unprocessable, "Say why.")
	}
	if s.cfg.Captures == nil {
		return nil, errNotFound
	}
	p := who(ctx)
	c, err := s.cfg.Captures.Begin(ctx, CaptureAsk{Tenant: p.tenant, Call: in.ID, By: actorOf(ctx), Reason: reason, For: time.Duration(in.Body.Seconds) * time.Second})
	c.File = captureFile(c.ID)
	return &captureOut{CacheControl: "no-store", Body: c}, err
}

func captureFile(id string) string { return "/v1/captures/" + id }

func (s *Server) myCaptures(ctx context.Context, _ *struct{}) (*capturesOut, error) {
	out := &capturesOut{}
	out.Body.Captures = []Capture{}
	if s.cfg.Captures != nil {
		out.Body.Captures = append(out.Body.Captures, s.cfg.Captures.Of(who(ctx).tenant, actorOf(ctx))...)
	}
	for i := range out.Body.Captures {
		out.Body.Captures[i].File = captureFile(out.Body.Captures[i].ID)
	}
	return out, nil
}

func (s *Server) takeCapture(w http.ResponseWriter, r *http.Request) {
	p := who(r.Context())
	if s.cfg.Captures == nil {
		s.refuse(w, r, errNotFound)
		return
	}
	c, file, err := s.cfg.Captures.Take(r.Context(), p.tenant, r.PathValue("id"), actorOf(r.Context()))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", pcapType)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", `attachment; filename="`+c.ID+`.pcap"`)
	_, _ = w.Write(file)
}
