package web

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
)

// ErrNoPlace says that a person has no place at which they could be rung.
var ErrNoPlace = errors.New("web: no place to be rung at")

// Supervision lets a supervisor into a call of somebody else.
type Supervision interface {
	// Supervise rings the supervisor's place and, once answered, lets them
	// listen, whisper or barge; leave ends it. While they are in the call it
	// changes what they may do. It returns ErrNoCall, ErrBusy and ErrNoPlace.
	Supervise(ctx context.Context, who Act, how string) error
}

type superviseIn struct {
	ID   ringfence.TraversalID `path:"id" maxLength:"40"`
	Body struct {
		How string `json:"how" enum:"listen,whisper,barge,leave" doc:"whisper: the agent hears you; barge: the caller too"`
	}
}

func (s *Server) superviseAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/{id}/supervise", Summary: "Listen to a live call, whisper to its agent, barge in, or leave", DefaultStatus: 202,
		Description: "Your telephone is rung. Secrets of the caller are not heard."},
		func(ctx context.Context, in *superviseIn) (*nothing, error) {
			act, err := s.act(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			if s.cfg.Supervision == nil || !act.Supervisor {
				return nil, ErrNoCall
			}
			return nil, s.cfg.Supervision.Supervise(ctx, act, in.Body.How)
		})
}
