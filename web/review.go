package web

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// reviewView is a held action as the person with role risk sees it.
	reviewView struct {
		approvalView
		State  gate.State `json:"state"`
		Holds  []heldFor  `json:"holds"`
		Duress bool       `json:"duress" doc:"proved under pressure: to everybody else it seems to go on; it can only be ended"`
	}
	heldFor struct {
		Why   string    `json:"why" doc:"rejected, diverted, cloned, approval_refused, approval_withdrawn, locked, risk"`
		By    string    `json:"by,omitempty"`
		At    time.Time `json:"at"`
		Until time.Time `json:"until,omitzero" doc:"absent: until somebody lifts it"`
	}
	reviewsOut struct {
		Body struct {
			Held []reviewView `json:"held"`
		}
	}
	reviewIn struct {
		ID   ringfence.ReleaseID `path:"id" maxLength:"40"`
		Body struct {
			Why string `json:"why" minLength:"1" maxLength:"200" doc:"what you found; it stands in the log" example:"Rang the customer on the number on file."`
		}
	}
	stopIn struct {
		ID ringfence.ReleaseID `path:"id" maxLength:"40"`
	}
)

var errTookPart = problem.New(problem.Forbidden, "Somebody with role risk who took no part in this has to decide it.")

// reviewAPI lets people with role risk look at what is held, and decide. The
// gate lets nobody decide who opened, approved or talked.
func (s *Server) reviewAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/reviews", Summary: "What is held until somebody with role risk decides"}, s.reviews)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/lift", Summary: "Lift the holds of an action after a review",
		Description: "It goes back to gathering proof; nothing is released by it. A hold for duress is never lifted."},
		func(ctx context.Context, in *reviewIn) (*releaseOut, error) {
			return s.reviewed(ctx, in, s.cfg.Gate.Lift)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/deny", Summary: "End a held action after a review",
		Description: "One under duress is ended wherever it seems to stand."},
		func(ctx context.Context, in *reviewIn) (*releaseOut, error) {
			return s.reviewed(ctx, in, s.cfg.Gate.Deny)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/hold", Summary: "Hold an action until it was looked at"},
		func(ctx context.Context, in *stopIn) (*releaseOut, error) {
			if _, err := s.release(ctx, in.ID); err != nil {
				return nil, err
			}
			r, err := s.cfg.Gate.Hold(ctx, who(ctx).tenant, in.ID, actorOf(ctx))
			return &releaseOut{Body: viewOf(r, gate.Verdict{})}, err
		})
}

// reviewed takes a decision with the words that it rests on.
func (s *Server) reviewed(ctx context.Context, in *reviewIn,
	decide func(context.Context, ringfence.TenantID, ringfence.ReleaseID, ringfence.PersonID, string) (gate.Release, error)) (*releaseOut, error) {
	p := who(ctx)
	why, err := forLedger(in.Body.Why)
	if err != nil {
		return nil, err
	}
	if _, err := s.release(ctx, in.ID); err != nil {
		return nil, err
	}
	r, err := decide(ctx, p.tenant, in.ID, p.person.ID, why)
	if errors.Is(err, gate.ErrForbidden) {
		return nil, errTookPart
	}
	if err == nil {
		s.Asked(p.tenant)
	}
	return &releaseOut{Body: viewOf(r, gate.Verdict{})}, err
}

func (s *Server) reviews(ctx context.Context, _ *struct{}) (*reviewsOut, error) {
	p, out := who(ctx), &reviewsOut{}
	out.Body.Held = []reviewView{}
	forced, err := s.cfg.Gate.Duress(ctx, p.tenant, p.person.ID)
	if err != nil {
		return nil, err
	}
	forced = slices.DeleteFunc(forced, func(r gate.Release) bool { return r.State.Final() })
	held, err := s.cfg.Gate.All(ctx, p.tenant, gate.Filter{State: gate.StateHeld})
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Concat(forced, held) {
		if slices.ContainsFunc(out.Body.Held, func(v reviewView) bool { return v.Release == r.ID }) {
			continue
		}
		v, err := s.reviewView(ctx, r)
		if err != nil {
			return nil, err
		}
		v.Duress = slices.ContainsFunc(forced, func(f gate.Release) bool { return f.ID == r.ID })
		out.Body.Held = append(out.Body.Held, v)
	}
	return out, nil
}

func (s *Server) reviewView(ctx context.Context, r gate.Release) (v reviewView, err error) {
	v.State, v.Holds = r.State, []heldFor{}
	if v.approvalView, err = s.approvalView(ctx, r); err != nil {
		return v, err
	}
	for _, h := range r.Holds {
		if !h.Lifted.IsZero() {
			continue
		}
		by, err := s.nameOf(ctx, r.Tenant, h.By.Person)
		if err != nil {
			return v, err
		}
		v.Holds = append(v.Holds, heldFor{Why: h.Why, By: cmp.Or(by, h.By.Client, h.By.Flow), At: h.At, Until: h.Until})
	}
	return v, nil
}
