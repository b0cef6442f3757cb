package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	jose "github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	permitOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Permit string `json:"permit" doc:"JWS; redeem it before you act, within 60 s"`
		}
	}
	redeemIn struct {
		httpPair
		Key  string `header:"Idempotency-Key" minLength:"8" maxLength:"128"`
		Body struct {
			Permit string `json:"permit" maxLength:"8192"`
		}
	}
	redeemOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Permit  ringfence.PermitID  `json:"permit"`
			Release ringfence.ReleaseID `json:"release"`
			Type    string              `json:"type"`
			// Canonical is what to act on, instead of any copy of one's own: its
			// SHA-256, with the domain in front, is the digest.
			Canonical string           `json:"canonical" doc:"the action in canonical form (RFC 8785), as text"`
			Digest    ringfence.Digest `json:"digest"`
			At        time.Time        `json:"at"`
		}
	}
	reportPermitIn struct {
		ID   ringfence.PermitID `path:"id" maxLength:"40"`
		Body struct {
			Outcome gate.Outcome `json:"outcome" enum:"executed,failed,unknown"`
		}
	}
)

// permitAPI is for executors only: they pull a permit, redeem it before they
// act, and report. Permits never travel through a browser.
func (s *Server) permitAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/releases/{id}/permit", Summary: "Fetch the one-time permit of a ready release"},
		func(ctx context.Context, in *onRelease) (*permitOut, error) {
			p := who(ctx)
			if _, err := s.release(ctx, in.ID); err != nil {
				return nil, err
			}
			token, v, err := s.cfg.Gate.Permit(ctx, p.tenant, in.ID, p.client.Executor)
			if errors.Is(err, gate.ErrConflict) {
				return nil, problem.New(problem.Conflict, "This release is not ready, has a permit out, or is done.")
			}
			if err != nil {
				return nil, err
			}
			if token == "" {
				no := problem.New(problem.InsufficientEvidence, "")
				no.Missing, no.Next = v.Missing, v.Next
				return nil, no
			}
			out := &permitOut{CacheControl: "no-store"}
			out.Body.Permit = token
			return out, nil
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/permits/redeem", Summary: "Redeem a permit, once, before acting"},
		func(ctx context.Context, in *redeemIn) (*redeemOut, error) {
			p := who(ctx)
			body, err := bodyHash(in.httpPair)
			if err != nil {
				return nil, err
			}
			got, err := s.cfg.Gate.Redeem(ctx, p.tenant, p.client.Executor, in.Body.Permit,
				gate.Key{Client: p.client.ID, Operation: "redeem", Value: in.Key, Body: body})
			if errors.Is(err, gate.ErrConflict) {
				return nil, problem.New(problem.Conflict, "This permit was redeemed before, or its release has moved on.")
			}
			if err != nil {
				return nil, err
			}
			out := &redeemOut{CacheControl: "no-store"}
			out.Body.Permit, out.Body.Release, out.Body.Type = got.Permit, got.Release, got.Type
			out.Body.Canonical, out.Body.Digest, out.Body.At = string(got.Canonical), got.Digest, got.At
			return out, nil
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/permits/{id}/report", Summary: "Report what came of a redeemed permit", DefaultStatus: 204},
		func(ctx context.Context, in *reportPermitIn) (*nothing, error) {
			p := who(ctx)
			_, err := s.cfg.Gate.Report(ctx, p.tenant, p.client.Executor, in.ID, in.Body.Outcome)
			return nil, err
		})
}

// jwks publishes the public key of permits (RFC 7517).
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.cfg.Gate.JWK()}})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "max-age=300")
	w.Write(body)
}
