package web

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify/approve"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/web/problem"
)

// Passkeys is what runs the WebAuthn ceremonies of one tenant; a nil member
// switches its pages off. Staff and callers have relying parties of their own.
type Passkeys struct {
	Staff   *passkey.Staff     // staff sign in and sign
	Invites *passkey.Registrar // staff make their passkey on an invitation
	Page    *passkey.Page      // the caller's page behind a link
	Enrol   *passkey.Registrar // callers make their passkey on an invitation
	// Approvals takes colleagues' signatures.
	Approvals *approve.Desk
}

// passkeys returns the tenant's, or none.
func (s *Server) passkeys(tenant ringfence.TenantID) Passkeys {
	if s.cfg.Passkeys == nil {
		return Passkeys{}
	}
	return s.cfg.Passkeys(tenant)
}

type (
	optionsOut struct {
		Body struct {
			Ceremony string          `json:"ceremony,omitempty" doc:"goes back with the response"`
			Options  json.RawMessage `json:"options" doc:"as PublicKeyCredential.parse…OptionsFromJSON reads them"`
		}
	}
	tokenIn struct {
		httpPair
		Body struct {
			Token string `json:"token" minLength:"22" maxLength:"128"`
		}
	}
	tokenResponseIn struct {
		httpPair
		Body struct {
			Token    string          `json:"token" minLength:"22" maxLength:"128"`
			Response json.RawMessage `json:"response"`
		}
	}
	loginFinish struct {
		httpPair
		Body struct {
			Ceremony string          `json:"ceremony" minLength:"22" maxLength:"128"`
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
			// Actions and Kinds are what the policy in force knows.
			Actions  []actionType  `json:"actions"`
			Kinds    []subjectKind `json:"kinds"`
			Currency string        `json:"currency,omitempty"`
		}
	}
	actionType struct {
		Type   string                `json:"type"`
		Says   string                `json:"says"`
		Class  ringfence.Class       `json:"class"`
		About  ringfence.SubjectKind `json:"about"`
		Fields []fieldType           `json:"fields"`
	}
	fieldType struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	subjectKind struct {
		Kind ringfence.SubjectKind `json:"kind"`
		By   []string              `json:"by"`
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

var (
	errNoPasskeys = problem.New(problem.Unavailable, "Passkeys are not set up on this server.")
	errLinkSpent  = problem.New(problem.Expired, "This link was used before, or its time is over. Ask for a new one.")
	errWrongKey   = problem.New(problem.Unauthenticated, "This passkey is not known here.")
)

func (s *Server) sessionAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/invite/begin", Summary: "Begin to make a passkey on an invitation"},
		func(ctx context.Context, in *tokenIn) (*optionsOut, error) {
			return s.beginEnrol(ctx, in.r, s.passkeys(s.tenantOf(in.r)).Invites, in.Body.Token)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/invite/finish", Summary: "Spend an invitation on the new passkey"},
		func(ctx context.Context, in *tokenResponseIn) (*inviteFinishOut, error) {
			return s.finishEnrol(ctx, in.r, s.passkeys(s.tenantOf(in.r)).Invites, in.Body.Token, in.Body.Response)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/login/begin", Summary: "Begin to sign in"},
		func(ctx context.Context, in *struct{ httpPair }) (*optionsOut, error) {
			staff := s.passkeys(s.tenantOf(in.r)).Staff
			if staff == nil {
				return nil, errNoPasskeys
			}
			if err := s.guesses.spend(sourceOf(in.r)); err != nil {
				return nil, err
			}
			handle, options, err := staff.BeginLogin(ctx, s.tenantOf(in.r))
			out := &optionsOut{}
			out.Body.Ceremony, out.Body.Options = string([]byte(handle)), options
			return out, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/login/finish", Summary: "Sign in with a passkey", DefaultStatus: 204},
		func(ctx context.Context, in *loginFinish) (*nothing, error) {
			tenant := s.tenantOf(in.r)
			staff := s.passkeys(tenant).Staff
			if staff == nil {
				return nil, errNoPasskeys
			}
			p, ok, err := staff.FinishLogin(ctx, tenant, ringfence.Secret(in.Body.Ceremony), in.Body.Response)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, errWrongKey
			}
			return nil, s.newSession(in.w, in.r, tenant, p.ID)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/logout", Summary: "End the web session", DefaultStatus: 204},
		func(ctx context.Context, in *struct{ httpPair }) (*nothing, error) {
			http.SetCookie(in.w, &http.Cookie{Name: s.cookieName(in.r), Path: "/", HttpOnly: true, Secure: s.secure(in.r), MaxAge: -1})
			p := who(ctx)
			defer s.left.ring(p.tenant)
			return nil, s.cfg.Store.Update(ctx, p.tenant, func(tx ledger.Tx) error { return endSession(ctx, tx, p.session.ID) })
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/session/touch", Summary: "Tell that the person is still there", DefaultStatus: 204},
		func(context.Context, *struct{}) (*nothing, error) { return nil, nil })
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/me", Summary: "Who is signed in"},
		func(ctx context.Context, _ *struct{}) (*me, error) {
			p, out := who(ctx), &me{}
			out.Body.ID, out.Body.Name, out.Body.Roles, out.Body.Team = p.person.ID, p.person.Name, p.person.Roles, p.person.Team
			out.Body.Pages = s.pages(ctx, p)
			out.Body.Actions, out.Body.Kinds, out.Body.Currency = s.vocabulary(p.tenant)
			return out, nil
		})
}

// beginEnrol returns the options for making a passkey on an invitation. It
// spends nothing.
func (s *Server) beginEnrol(ctx context.Context, r *http.Request, reg *passkey.Registrar, token string) (*optionsOut, error) {
	if reg == nil {
		return nil, errNoPasskeys
	}
	if err := s.guesses.spend(sourceOf(r)); err != nil {
		return nil, err
	}
	options, ok, err := reg.Begin(ctx, s.tenantOf(r), ringfence.Secret(token))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errLinkSpent
	}
	out := &optionsOut{}
	out.Body.Options = options
	return out, nil
}

// finishEnrol spends the invitation on a good registration, and tells its owner
// the digits by which a colleague confirms it.
func (s *Server) finishEnrol(ctx context.Context, r *http.Request, reg *passkey.Registrar, token string, response []byte) (*inviteFinishOut, error) {
	if reg == nil {
		return nil, errNoPasskeys
	}
	tenant, out := s.tenantOf(r), &inviteFinishOut{}
	a, ok, err := reg.FinishWith(ctx, tenant, ringfence.Secret(token), response, func(ctx context.Context, tx ledger.Tx, _ passkey.Invite, a ringfence.Authenticator) error {
		kept, _, err := ledger.Read[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, string(a.ID))
		out.Body.Waits = kept.Status == ringfence.StatusPending
		return err
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errLinkSpent
	}
	if !out.Body.Waits {
		return out, nil
	}
	out.Body.Check = gate.CheckDigits(gate.Fingerprint(a.Secret))
	return out, s.tellWaiting(ctx, tenant)
}

// remoteOf is whose guesses are slowed down together.
func remoteOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// sourceOf is remoteOf for a stranger: an IPv6 network counts as one, because
// whoever has an address there has them all.
func sourceOf(r *http.Request) string {
	addr, err := netip.ParseAddr(remoteOf(r))
	if err != nil {
		return remoteOf(r)
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	net, err := addr.Prefix(64)
	if err != nil {
		return remoteOf(r)
	}
	return net.String()
}

// vocabulary is what the policy in force knows: action types with their
// fields, and kinds of subjects with what identifies them.
func (s *Server) vocabulary(tenant ringfence.TenantID) ([]actionType, []subjectKind, string) {
	actions, kinds := []actionType{}, []subjectKind{}
	if s.cfg.Policies.Current(tenant) == nil {
		return actions, kinds, ""
	}
	p := s.cfg.Policies.Current(tenant)
	for _, a := range p.Actions() {
		one := actionType{Type: a.Name, Says: a.Says, Class: a.Class, About: a.About, Fields: []fieldType{}}
		for _, f := range a.Carries {
			one.Fields = append(one.Fields, fieldType{f.Name, f.Type.String()})
		}
		actions = append(actions, one)
	}
	for _, k := range p.Kinds() {
		if len(k.IdentifiedBy) > 0 {
			kinds = append(kinds, subjectKind{k.Name, k.IdentifiedBy})
		}
	}
	return actions, kinds, p.BaseCurrency()
}
