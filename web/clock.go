package web

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/web/problem"
)

// Clock says whether this process's time is trusted; *gate.Clock implements it.
type Clock interface {
	Frozen(ringfence.TenantID) policy.Reason
	Confirm(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, why string) error
}

type (
	clockOut struct {
		Body struct {
			Frozen policy.Reason `json:"frozen,omitempty" doc:"clock or store: nothing of C2 and above goes"`
		}
	}
	clockIn struct {
		Body struct {
			Why string `json:"why" minLength:"1" maxLength:"200"`
		}
	}
)

// clockAPI shows whether the time is trusted, and lets risk confirm it.
func (s *Server) clockAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/clock", Summary: "Whether the time is trusted"},
		func(ctx context.Context, _ *struct{}) (*clockOut, error) {
			out := &clockOut{}
			if s.cfg.Clock != nil {
				out.Body.Frozen = s.cfg.Clock.Frozen(who(ctx).tenant)
			}
			return out, nil
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/clock/confirm", Summary: "Confirm that the time is right after a step", DefaultStatus: 204},
		func(ctx context.Context, in *clockIn) (*nothing, error) {
			if s.cfg.Clock == nil {
				return nil, problem.New(problem.Conflict, "The database keeps the time; nothing is to be confirmed here.")
			}
			p := who(ctx)
			return nil, s.cfg.Clock.Confirm(ctx, p.tenant, p.person.ID, strings.TrimSpace(plainWords(in.Body.Why, 200)))
		})
}
