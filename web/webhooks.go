package web

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/announce"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	deliveriesIn struct {
		State   announce.State      `query:"state" enum:"pending,delivered,failed"`
		Release ringfence.ReleaseID `query:"release" maxLength:"40"`
		Limit   int                 `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	deliveriesOut struct {
		Body struct {
			Deliveries []announce.Delivery `json:"deliveries"`
		}
	}
	deliveryOut struct{ Body announce.Delivery }
)

// webhookAPI shows what became of announcements to executors.
func (s *Server) webhookAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/webhooks/deliveries", Summary: "Announcements to executors, newest first", Description: "Set at most one of state and release."},
		func(ctx context.Context, in *deliveriesIn) (*deliveriesOut, error) {
			out := &deliveriesOut{}
			out.Body.Deliveries = []announce.Delivery{}
			if set(in.State != "", in.Release != "") > 1 {
				return nil, problem.New(problem.Unprocessable, "Set at most one of state and release.")
			}
			if s.cfg.Announcer == nil {
				return out, nil
			}
			list, err := s.cfg.Announcer.Deliveries(ctx, who(ctx).tenant, announce.Query{State: in.State, Release: in.Release, Limit: in.Limit})
			if list != nil {
				out.Body.Deliveries = list
			}
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/webhooks/deliveries/{id}/again", Summary: "Send an announcement once more"},
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"40"`
		}) (*deliveryOut, error) {
			if s.cfg.Announcer == nil {
				return nil, errNotFound
			}
			d, err := s.cfg.Announcer.Again(ctx, who(ctx).tenant, in.ID, who(ctx).person.ID)
			if errors.Is(err, announce.ErrOver) {
				return nil, problem.New(problem.Conflict, "The release is no longer open, or its executor has no webhook.")
			}
			return &deliveryOut{Body: d}, err
		})
}
