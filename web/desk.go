package web

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	traversalsOut struct {
		Body struct {
			Traversals []ringfence.LiveCall `json:"traversals"`
		}
	}
	takeIn struct {
		Body struct {
			Code string `json:"code" pattern:"^[0-9]{4}$" doc:"the four digits whispered to the agent's leg"`
		}
	}
	takeOut struct {
		Body struct {
			Traversal ringfence.TraversalID `json:"traversal"`
		}
	}
	stepUpIn struct {
		ID   ringfence.TraversalID `path:"id" maxLength:"40"`
		Body struct {
			Flow    string              `json:"flow" pattern:"^[a-z0-9-]{1,64}$" example:"step-up-passkey"`
			Release ringfence.ReleaseID `json:"release,omitempty" maxLength:"40"`
		}
	}
	identifyIn struct {
		ID   ringfence.TraversalID `path:"id" maxLength:"40"`
		Body struct {
			Kind  ringfence.SubjectKind `json:"kind" pattern:"^[a-z_]{1,40}$" example:"customer"`
			Field string                `json:"field" pattern:"^[a-z_]{1,40}$" example:"account"`
			Value string                `json:"value" minLength:"1" maxLength:"80"`
		}
	}
	handOverIn struct {
		ID   ringfence.TraversalID `path:"id" maxLength:"40"`
		Body struct {
			To ringfence.PersonID `json:"to" maxLength:"40"`
		}
	}
	reportIn struct {
		ID   ringfence.TraversalID `path:"id" maxLength:"40"`
		Body struct {
			Text string `json:"text" maxLength:"500"`
		}
	}
	refIn struct {
		Ref string `path:"ref" pattern:"^[0-9A-Za-z -]{8,12}$"`
	}
	refOut struct {
		Body struct {
			Ours bool      `json:"ours"`
			At   time.Time `json:"at,omitzero"`
			// Live is there for service accounts while the call goes on.
			Live *callEvidence `json:"live,omitempty"`
		}
	}
)

// act names what the principal does to a call, once it is sure that they may
// know of it: a call that is not theirs is no call.
func (s *Server) act(ctx context.Context, id ringfence.TraversalID) (Act, error) {
	p := who(ctx)
	for _, c := range s.boards.at(p.tenant, time.Now()).calls {
		if c.Traversal == id && p.sees(c.LiveCall) {
			a := Act{Tenant: p.tenant, By: p.person.ID, Traversal: id}
			a.Supervisor = c.Owner != p.person.ID && p.has(ringfence.RoleSupervisor)
			if c.Owner != p.person.ID && !a.Supervisor && p.client.ID == "" {
				return Act{}, problem.New(problem.Forbidden, "This call is another person's.")
			}
			return a, nil
		}
	}
	return Act{}, ErrNoCall
}

func (s *Server) deskAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/traversals", Summary: "The live calls that you may see"},
		func(ctx context.Context, _ *struct{}) (*traversalsOut, error) {
			p, out := who(ctx), &traversalsOut{}
			out.Body.Traversals = []ringfence.LiveCall{}
			for _, c := range s.boards.at(p.tenant, time.Now()).calls {
				if p.sees(c.LiveCall) {
					out.Body.Traversals = append(out.Body.Traversals, clean(c.LiveCall))
				}
			}
			return out, nil
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/take", Summary: "Take the call whose four digits were whispered to you"},
		func(ctx context.Context, in *takeIn) (*takeOut, error) {
			p, out := who(ctx), &takeOut{}
			if err := s.tries.spend(p.actor()); err != nil {
				return nil, err
			}
			var err error
			out.Body.Traversal, err = s.cfg.Calls.Take(ctx, p.tenant, p.person.ID, in.Body.Code)
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/{id}/step-ups", Summary: "Start a console flow on a live call", DefaultStatus: 202},
		func(ctx context.Context, in *stepUpIn) (*nothing, error) {
			act, err := s.act(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.cfg.Calls.StepUp(ctx, StepUp{Act: act, Flow: in.Body.Flow, Release: in.Body.Release})
		})
	command(s, a, "step-ups/cancel", "End the console flow that runs", s.cfg.Calls.CancelStepUp)
	command(s, a, "hang-up", "Leave the call", s.cfg.Calls.HangUp)
	command(s, a, "pressure", "Tell risk, silently, that you act under pressure", s.cfg.Calls.Pressure)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/{id}/identify", Summary: "Say whom the caller claims to be", DefaultStatus: 204},
		func(ctx context.Context, in *identifyIn) (*nothing, error) {
			act, err := s.act(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			claim := Claim{Kind: in.Body.Kind, Field: in.Body.Field, Value: strings.TrimSpace(in.Body.Value)}
			return nil, s.cfg.Calls.Identify(ctx, act, claim)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/{id}/hand-over", Summary: "Give the call to a colleague, with everything proved", DefaultStatus: 204},
		func(ctx context.Context, in *handOverIn) (*nothing, error) {
			act, err := s.act(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			var to ringfence.Person
			var now time.Time
			err = s.cfg.Store.View(ctx, act.Tenant, func(tx ledger.Tx) (err error) {
				now = tx.Now()
				to, _, err = ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(in.Body.To))
				return err
			})
			if err != nil {
				return nil, err
			}
			if !to.Has(ringfence.RoleAgent, now) && !to.Has(ringfence.RoleSupervisor, now) {
				return nil, problem.New(problem.Unprocessable, "This colleague takes no calls.")
			}
			return nil, s.cfg.Calls.HandOver(ctx, act, to.ID)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/{id}/report", Summary: "Report the call to risk", DefaultStatus: 204,
		Description: "Also after its end, for whoever had it."},
		func(ctx context.Context, in *reportIn) (*nothing, error) {
			act, err := s.act(ctx, in.ID)
			if p := who(ctx); errors.Is(err, ErrNoCall) { // over for them: the switchboard knows whose it was
				act, err = Act{Tenant: p.tenant, By: p.person.ID, Traversal: in.ID, Supervisor: p.has(ringfence.RoleSupervisor)}, nil
			}
			if err != nil {
				return nil, err
			}
			return nil, s.cfg.Calls.Report(ctx, act, plainWords(in.Body.Text, 500))
		})
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/calls/{ref}", Summary: "Whether a call reference is that of a call we placed"},
		func(ctx context.Context, in *refIn) (*refOut, error) {
			p, out := who(ctx), &refOut{}
			var err error
			out.Body.At, out.Body.Ours, err = s.cfg.Calls.Placed(ctx, p.tenant, reference(in.Ref))
			if !out.Body.Ours {
				out.Body.At = time.Time{}
			}
			out.Body.Live = s.evidenceOf(p, reference(in.Ref))
			return out, err
		})
}

// command registers a command on a call that carries nothing else.
func command(s *Server, a huma.API, name, summary string, do func(context.Context, Act) error) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/traversals/{id}/" + name, Summary: summary, DefaultStatus: 204},
		func(ctx context.Context, in *struct {
			ID ringfence.TraversalID `path:"id" maxLength:"40"`
		}) (*nothing, error) {
			act, err := s.act(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return nil, do(ctx, act)
		})
}
