package web

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
)

type suspendIn struct {
	ID   ringfence.SubjectID `path:"id" maxLength:"40"`
	Body struct {
		What string `json:"what" minLength:"1" maxLength:"40" doc:"id of the contact point or authenticator" example:"aut_…"`
		Why  string `json:"why" minLength:"1" maxLength:"200"`
	}
}

// brakeAPI stops things: one person, at once. What is stopped comes back by a
// C4 action only.
func (s *Server) brakeAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/dispute", Summary: "Dispute the account that a payment goes to", DefaultStatus: 204,
		Description: "The subject says that they do not know this payee. It is no known payee from now on."},
		func(ctx context.Context, in *onRelease) (*nothing, error) {
			if _, err := s.release(ctx, in.ID); err != nil {
				return nil, err
			}
			return nil, s.cfg.Gate.Dispute(ctx, who(ctx).tenant, in.ID, actorOf(ctx))
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/subjects/{id}/suspend", Summary: "Stop a contact point or authenticator at once", DefaultStatus: 204,
		Description: "It still counts against a downgrade. It comes back by an action of class C4."},
		func(ctx context.Context, in *suspendIn) (*nothing, error) {
			p := who(ctx)
			why, err := forLedger(in.Body.Why)
			if err != nil {
				return nil, err
			}
			return nil, s.cfg.Gate.Suspend(ctx, p.tenant, in.ID, in.Body.What, p.person.ID, why)
		})
}
