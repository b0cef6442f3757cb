package web

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

// Ceremonies runs the WebAuthn ceremonies of staff: verify/passkey, joined by
// cmd. Options and responses are the JSON that browsers read and write.
type Ceremonies interface {
	// BeginInvite returns the options for making the passkey of the person an
	// invitation was written for. It spends nothing.
	BeginInvite(ctx context.Context, tenant ringfence.TenantID, token string) (ceremony string, options json.RawMessage, err error)
	// FinishInvite spends the invitation and binds the passkey.
	FinishInvite(ctx context.Context, tenant ringfence.TenantID, token, ceremony string, response json.RawMessage) (ringfence.PersonID, error)
	// BeginLogin returns the options for signing in with any staff passkey.
	BeginLogin(ctx context.Context, tenant ringfence.TenantID) (ceremony string, options json.RawMessage, err error)
	// FinishLogin returns whose passkey answered.
	FinishLogin(ctx context.Context, tenant ringfence.TenantID, ceremony string, response json.RawMessage) (ringfence.PersonID, error)
}

type (
	ceremonyBegun struct {
		Body struct {
			Ceremony string          `json:"ceremony"`
			Options  json.RawMessage `json:"options"`
		}
	}
	inviteBegin struct {
		httpPair
		Body struct {
			Token string `json:"token" minLength:"22" maxLength:"128"`
		}
	}
	inviteFinish struct {
		httpPair
		Body struct {
			Token    string          `json:"token" minLength:"22" maxLength:"128"`
			Ceremony string          `json:"ceremony" maxLength:"256"`
			Response json.RawMessage `json:"response"`
		}
	}
	loginFinish struct {
		httpPair
		Body struct {
			Ceremony string          `json:"ceremony" maxLength:"256"`
			Response json.RawMessage `json:"response"`
		}
	}
	me struct {
		Body struct {
			ID    ringfence.PersonID `json:"id"`
			Name  string             `json:"name"`
			Roles []ringfence.Role   `json:"roles"`
			Team  string             `json:"team,omitempty"`
			// Pages are the pages of the console that the roles open.
			Pages []string `json:"pages"`
		}
	}
	nothing struct{}
)

// httpPair gives an operation the request and writer it runs on, for cookies
// and the host.
type httpPair struct {
	r *http.Request
	w http.ResponseWriter
}

// Resolve implements huma.Resolver.
func (p *httpPair) Resolve(ctx huma.Context) []error {
	p.r, p.w = humago.Unwrap(ctx)
	return nil
}

var errNoCeremonies = problem.New(problem.Unavailable, "Passkeys are not set up on this server.")

func (s *Server) sessionAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/invite/begin", Summary: "Begin to make a passkey on an invitation"},
		func(ctx context.Context, in *inviteBegin) (*ceremonyBegun, error) {
			if s.cfg.Ceremonies == nil {
				return nil, errNoCeremonies
			}
			out := &ceremonyBegun{}
			var err error
			out.Body.Ceremony, out.Body.Options, err = s.cfg.Ceremonies.BeginInvite(ctx, s.tenantOf(in.r), in.Body.Token)
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/invite/finish", Summary: "Spend an invitation and sign in", DefaultStatus: 204},
		func(ctx context.Context, in *inviteFinish) (*nothing, error) {
			if s.cfg.Ceremonies == nil {
				return nil, errNoCeremonies
			}
			person, err := s.cfg.Ceremonies.FinishInvite(ctx, s.tenantOf(in.r), in.Body.Token, in.Body.Ceremony, in.Body.Response)
			if err != nil {
				return nil, err
			}
			return nil, s.newSession(in.w, in.r, s.tenantOf(in.r), person)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/login/begin", Summary: "Begin to sign in"},
		func(ctx context.Context, in *struct{ httpPair }) (*ceremonyBegun, error) {
			if s.cfg.Ceremonies == nil {
				return nil, errNoCeremonies
			}
			out := &ceremonyBegun{}
			var err error
			out.Body.Ceremony, out.Body.Options, err = s.cfg.Ceremonies.BeginLogin(ctx, s.tenantOf(in.r))
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/login/finish", Summary: "Sign in with a passkey", DefaultStatus: 204},
		func(ctx context.Context, in *loginFinish) (*nothing, error) {
			if s.cfg.Ceremonies == nil {
				return nil, errNoCeremonies
			}
			person, err := s.cfg.Ceremonies.FinishLogin(ctx, s.tenantOf(in.r), in.Body.Ceremony, in.Body.Response)
			if err != nil {
				return nil, err
			}
			return nil, s.newSession(in.w, in.r, s.tenantOf(in.r), person)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/logout", Summary: "End the web session", DefaultStatus: 204},
		func(ctx context.Context, in *struct{ httpPair }) (*nothing, error) {
			http.SetCookie(in.w, &http.Cookie{Name: s.cookieName(in.r), Path: "/", HttpOnly: true, Secure: s.secure(in.r), MaxAge: -1})
			p := who(ctx)
			return nil, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error { return endSession(ctx, tx, p.session.ID) })
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/session/touch", Summary: "Tell that the person is still there", DefaultStatus: 204},
		func(context.Context, *struct{}) (*nothing, error) { return nil, nil })
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/me", Summary: "Who is signed in"},
		func(ctx context.Context, _ *struct{}) (*me, error) {
			p, out := who(ctx), &me{}
			out.Body.ID, out.Body.Name, out.Body.Roles, out.Body.Team = p.person.ID, p.person.Name, p.person.Roles, p.person.Team
			out.Body.Pages = pagesOf(p)
			return out, nil
		})
}
