package web

import (
	"context"
	"net/http"
)

// stopRelease stops the action of a link that stood in a notice. It says the
// same of an unknown link and of an action that is over.
func (s *Server) stopRelease(ctx context.Context, r *http.Request, in callerIn) (callerOut, error) {
	if s.cfg.Stop == nil {
		return callerOut{Outcome: "closed"}, nil
	}
	stopped, err := s.cfg.Stop(ctx, s.tenantOf(r), in.Token)
	if err != nil {
		return callerOut{}, err
	}
	if !stopped {
		return callerOut{Outcome: "closed"}, nil
	}
	return callerOut{Outcome: "rejected"}, nil
}
