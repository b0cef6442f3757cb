package web

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/proofing"
	"github.com/ringfence/ringfence/web/problem"
)

// Proofing collects proofs of identity outside the telephone; *proofing.Desk
// implements it.
type Proofing interface {
	Witness(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID, sig verify.Signature) (done bool, err error)
	Waiting(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) (ringfence.PersonID, error)
	Begin(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) (link string, err error)
	Fetch(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) (proofing.Result, error)
}

type (
	proofingOut struct {
		Body struct {
			Release ringfence.ReleaseID `json:"release"`
			Says    string              `json:"says"`
			Fields  []approvalField     `json:"fields" doc:"show every one of them to the person"`
			Subject map[string]string   `json:"subject" doc:"what is on file of the person, to compare with their papers"`
			Digest  ringfence.Digest    `json:"digest"`
			Waiting string              `json:"waiting,omitempty" doc:"the colleague who has signed; another one is needed within 30 minutes"`
		}
	}
	witnessBeginIn struct {
		ID   ringfence.ReleaseID `path:"id" maxLength:"40"`
		Body struct {
			Digest ringfence.Digest `json:"digest" doc:"of the action that you showed"`
		}
	}
	witnessFinishIn struct {
		ID   ringfence.ReleaseID `path:"id" maxLength:"40"`
		Body struct {
			Digest   ringfence.Digest `json:"digest"`
			Ceremony string           `json:"ceremony" minLength:"22" maxLength:"128"`
			Response json.RawMessage  `json:"response"`
		}
	}
	witnessOut struct {
		Body struct {
			Done bool `json:"done" doc:"the second colleague has signed: the identity is proofed for this action"`
		}
	}
	sessionOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Link string `json:"link" doc:"for the person whose identity is proofed; it leads to the provider"`
		}
	}
	fetchOut struct {
		Body struct {
			Result proofing.Result `json:"result" enum:"proofed,not_proofed"`
		}
	}
)

var errNoProofing = problem.New(problem.Unavailable, "Proofing identities is not set up.")

// proofingAPI takes the signatures of two members of staff who saw a person,
// and asks the identity-proofing provider.
func (s *Server) proofingAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/releases/{id}/proofing", Summary: "What to show the person and compare with their papers"}, s.showProofing)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/proofing/begin", Summary: "Begin to sign that you saw the person and their papers"},
		func(ctx context.Context, in *witnessBeginIn) (*optionsOut, error) {
			r, err := s.proofed(ctx, in.ID, in.Body.Digest)
			if err != nil {
				return nil, err
			}
			return s.beginSign(ctx, "proofing", gate.ProofingMessage(r))
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/proofing/finish", Summary: "Sign that you saw the person; the second signature proofs the identity"}, s.witness)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/proofing/session", Summary: "Open a session at the identity-proofing provider", DefaultStatus: 201},
		func(ctx context.Context, in *onRelease) (*sessionOut, error) {
			if _, err := s.proofable(ctx, in.ID); err != nil {
				return nil, err
			}
			link, err := s.cfg.Proofing.Begin(ctx, who(ctx).tenant, in.ID)
			out := &sessionOut{CacheControl: "no-store"}
			out.Body.Link = link
			return out, proofingError(err)
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/proofing/fetch", Summary: "Ask the provider what came of the session"},
		func(ctx context.Context, in *onRelease) (*fetchOut, error) {
			r, err := s.proofable(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			got, err := s.cfg.Proofing.Fetch(ctx, who(ctx).tenant, in.ID)
			out := &fetchOut{}
			out.Body.Result = got
			if err == nil && got == proofing.ResultProofed {
				err = s.askForNobody(ctx, r)
			}
			return out, proofingError(err)
		})
}

// proofable reads a release that whoever owns it, or a supervisor or risk where
// nobody of staff does, may have proofed by a provider.
func (s *Server) proofable(ctx context.Context, id ringfence.ReleaseID) (gate.Release, error) {
	if s.cfg.Proofing == nil {
		return gate.Release{}, errNoProofing
	}
	r, err := s.release(ctx, id)
	if err == nil && (r.Opener.Person != "" || r.Opener.Client != "" || !who(ctx).watches()) {
		return s.ownRelease(ctx, id)
	}
	return r, err
}

func proofingError(err error) error {
	if errors.Is(err, proofing.ErrNoProvider) {
		return problem.New(problem.Conflict, "No session was opened at an identity-proofing provider.")
	}
	return err
}

// proofed reads a release whose identity may be proofed. Others are not shown
// to people who have nothing else to do with them.
func (s *Server) proofed(ctx context.Context, id ringfence.ReleaseID, seen ringfence.Digest) (gate.Release, error) {
	if s.cfg.Proofing == nil {
		return gate.Release{}, errNoProofing
	}
	r, v, err := s.cfg.Gate.Evaluate(ctx, who(ctx).tenant, id)
	if err != nil {
		return gate.Release{}, err
	}
	asks := func(way []ringfence.Fact) bool { return slices.Contains(way, ringfence.FactProofed) }
	if r.State != gate.StatePendingEvidence || !asks(v.Missing) && !slices.ContainsFunc(v.Ways, asks) {
		return gate.Release{}, errNotFound
	}
	if seen != r.Digest {
		return gate.Release{}, errMovedOn
	}
	return r, nil
}

func (s *Server) showProofing(ctx context.Context, in *onRelease) (*proofingOut, error) {
	r, err := s.cfg.Gate.Lookup(ctx, who(ctx).tenant, in.ID)
	if err != nil {
		return nil, err
	}
	if r, err = s.proofed(ctx, in.ID, r.Digest); err != nil {
		return nil, err
	}
	out := &proofingOut{}
	out.Body.Release, out.Body.Says, out.Body.Digest, out.Body.Fields = r.ID, r.Says, r.Digest, []approvalField{}
	if a, ok := s.action(r); ok {
		for _, f := range a.Carries {
			out.Body.Fields = append(out.Body.Fields, approvalField{f.Name, f.Type.String(), r.Fields[f.Name]})
		}
	}
	if out.Body.Subject, err = s.papersOf(ctx, r); err != nil {
		return nil, err
	}
	first, err := s.cfg.Proofing.Waiting(ctx, r.Tenant, r.ID)
	if err == nil && first != "" {
		out.Body.Waiting, err = s.nameOf(ctx, r.Tenant, first)
	}
	return out, err
}

func (s *Server) witness(ctx context.Context, in *witnessFinishIn) (*witnessOut, error) {
	r, err := s.proofed(ctx, in.ID, in.Body.Digest)
	if err != nil {
		return nil, err
	}
	sig, err := s.finishSign(ctx, "proofing", gate.ProofingMessage(r), in.Body.Ceremony, in.Body.Response)
	if err != nil {
		return nil, err
	}
	var whole verify.Signature
	if err := json.Unmarshal(sig.Assertion, &whole); err != nil {
		return nil, err
	}
	out := &witnessOut{}
	out.Body.Done, err = s.cfg.Proofing.Witness(ctx, r.Tenant, r.ID, whole)
	if err == nil && out.Body.Done {
		err = s.askForNobody(ctx, r)
	}
	return out, err
}

// askForNobody asks that an action be done which its owner opened themselves
// with a recovery code: no member of staff has it to ask for.
func (s *Server) askForNobody(ctx context.Context, r gate.Release) error {
	if r.Opener.Person != "" || r.Opener.Client != "" {
		return nil
	}
	_, _, err := s.cfg.Gate.Release(ctx, r.Tenant, r.ID, gate.Actor{Flow: "proofing"})
	return err
}

// papersOf is what to compare with the papers of whoever proves.
func (s *Server) papersOf(ctx context.Context, r gate.Release) (map[string]string, error) {
	out := map[string]string{}
	err := s.cfg.Store.View(ctx, r.Tenant, func(tx ledger.Tx) error {
		sub, _, err := ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(r.Proves))
		out = gate.Papers(s.cfg.Policies.Current(r.Tenant), sub)
		return err
	})
	return out, err
}
