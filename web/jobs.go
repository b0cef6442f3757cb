package web

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// Jobs takes on outbound calls. The runner implements it through cmd.
type Jobs interface {
	// Start places a call to the person of a release by a job flow. The carry
	// code is told once, here. An unknown flow is ErrUnknownFlow, a release that
	// waits for no proof ErrBusy.
	Start(ctx context.Context, j Job) (Started, error)
}

// Job asks for an outbound call.
type Job struct {
	Tenant  ringfence.TenantID
	Flow    string
	Release ringfence.ReleaseID
	To      ringfence.ContactType // empty = any telephone on file
	Client  string                // who asks
	Channel string                // how and when the person logged in there
}

// Started is a job that was taken on.
type Started struct {
	Traversal ringfence.TraversalID
	Reference string
	Code      ringfence.Secret
}

type (
	jobIn struct {
		Body struct {
			Flow    string                `json:"flow" pattern:"^[a-z0-9-]{1,64}$"`
			Release ringfence.ReleaseID   `json:"release" maxLength:"40"`
			To      ringfence.ContactType `json:"to,omitempty" enum:"mobile,landline"`
			LoginAt string                `json:"login_at" maxLength:"40" doc:"when the person logged in to your channel (RFC 3339)"`
		}
	}
	jobOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Traversal ringfence.TraversalID `json:"traversal"`
			Reference string                `json:"reference" doc:"with which the person can check that the call is ours"`
			Code      string                `json:"code" doc:"the carry code: show it to the person who is logged in with you, and to nobody else; it is told once"`
		}
	}
)

// jobAPI is for customer channels only: the carry code must reach the person
// by a login of their own, never by a member of staff or a shared key.
func (s *Server) jobAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/jobs", Summary: "Call the person of a release on the number on file", DefaultStatus: 202},
		func(ctx context.Context, in *jobIn) (*jobOut, error) {
			p := who(ctx)
			if p.client.Channel == "" {
				return nil, problem.New(problem.Forbidden, "Only a service account registered as a customer channel gets carry codes.")
			}
			if s.cfg.Jobs == nil {
				return nil, problem.New(problem.Unavailable, "Outbound calls are not set up.")
			}
			if _, err := s.ownRelease(ctx, in.Body.Release); err != nil {
				return nil, err
			}
			got, err := s.cfg.Jobs.Start(ctx, Job{Tenant: p.tenant, Flow: in.Body.Flow, Release: in.Body.Release, To: in.Body.To,
				Client: p.client.ID, Channel: p.client.Channel + ", login " + plain(in.Body.LoginAt)})
			if err != nil {
				return nil, err
			}
			out := &jobOut{CacheControl: "no-store"}
			out.Body.Traversal, out.Body.Reference, out.Body.Code = got.Traversal, got.Reference, string([]byte(got.Code))
			return out, nil
		})
}
