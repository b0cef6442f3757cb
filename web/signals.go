package web

import (
	"context"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// Signals takes what services that listen make of calls.
type Signals interface {
	// Observe keeps a score with its entry. It can refuse a release, or raise
	// what is asked of one; it satisfies nothing.
	Observe(ctx context.Context, tenant ringfence.TenantID, s SignalReport) error
}

// SignalReport is one score of a service account.
type SignalReport struct {
	Traversal ringfence.TraversalID
	Client    string // id of the service account
	Name      string
	Value     ringfence.Tri
	Score     float64 // 0 to 1; negative = none was given
}

type (
	signalIn struct {
		Ref  string `path:"ref" maxLength:"40"`
		Body struct {
			Name  string   `json:"name" enum:"synthetic_voice,voice_match"`
			Value string   `json:"value" enum:"yes,no,unknown"`
			Score *float64 `json:"score,omitempty" minimum:"0" maximum:"1" doc:"the service's own figure"`
		}
	}
)

var tris = map[string]ringfence.Tri{"yes": ringfence.Yes, "no": ringfence.No, "unknown": ringfence.Unknown}

func (s *Server) signalAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/calls/{ref}/signals", Summary: "Say what a service heard in a live call", DefaultStatus: 204},
		func(ctx context.Context, in *signalIn) (*nothing, error) {
			p := who(ctx)
			if err := s.scores.spend(p.actor()); err != nil {
				return nil, err
			}
			live := s.cfg.Calls.Live(p.tenant)
			i := slices.IndexFunc(live, func(c ringfence.LiveCall) bool { return c.Reference != "" && c.Reference == reference(in.Ref) })
			if i < 0 {
				return nil, problem.New(problem.NotFound, "No live call has this reference.")
			}
			if s.cfg.Signals == nil {
				return nil, problem.New(problem.Unprocessable, "Signals are not taken here.")
			}
			r := SignalReport{Traversal: live[i].Traversal, Client: p.client.ID, Name: in.Body.Name, Value: tris[in.Body.Value], Score: -1}
			if in.Body.Score != nil {
				r.Score = *in.Body.Score
			}
			return nil, s.cfg.Signals.Observe(ctx, p.tenant, r)
		})
}
