package web

import (
	"context"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/web/problem"
)

// Bans are the sources that the telephone edge ignores for a while. Trunks are
// never among them.
type Bans interface {
	Bans() []Ban
	// Lift listens to a source again and writes down who wanted it, and why. It
	// reports whether the source was ignored.
	Lift(ctx context.Context, tenant ringfence.TenantID, by gate.Actor, source netip.Addr, why string) (bool, error)
}

// Ban is one of them.
type Ban struct {
	Source string    `json:"source" doc:"an address, or the /64 of IPv6"`
	Until  time.Time `json:"until"`
}

type (
	bansOut struct {
		Body struct {
			Bans []Ban `json:"bans"`
		}
	}
	liftIn struct {
		Body struct {
			Source string `json:"source" maxLength:"45" doc:"an IP address"`
			Why    string `json:"why" minLength:"3" maxLength:"200" doc:"stands in the ledger"`
		}
	}
)

func (s *Server) bansAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/bans", Summary: "Sources that are ignored for ten minutes, because they went on after many refusals"},
		func(context.Context, *struct{}) (*bansOut, error) {
			out := &bansOut{}
			out.Body.Bans = []Ban{}
			if s.cfg.Bans != nil {
				out.Body.Bans = append(out.Body.Bans, s.cfg.Bans.Bans()...)
			}
			return out, nil
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/bans/lift", Summary: "Listen to a source again", DefaultStatus: 204}, s.liftBan)
}

func (s *Server) liftBan(ctx context.Context, in *liftIn) (*nothing, error) {
	source, err := netip.ParseAddr(in.Body.Source)
	if err != nil {
		return nil, problem.New(problem.Unprocessable, "source is no IP address.")
	}
	if s.cfg.Bans == nil {
		return nil, errNotFound
	}
	lifted, err := s.cfg.Bans.Lift(ctx, who(ctx).tenant, actorOf(ctx), source.WithZone(""), plainWords(in.Body.Why, 200))
	if err == nil && !lifted {
		err = errNotFound
	}
	return nil, err
}
