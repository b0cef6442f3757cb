package web

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/web/problem"
)

// Trial is the built-in telephone, with which whoever sets ringfence up calls a
// line as a customer would, before there is a carrier. It is there only while
// everything is on loopback. The telephone edge implements it through cmd.
type Trial interface {
	// Lines lists what it can call; none, and why, when there is no such
	// telephone.
	Lines(ringfence.TenantID) (lines []TrialLine, why string)
	// Call calls one of Lines. ErrBusy while a call is on.
	Call(tenant ringfence.TenantID, number string) error
	// Key presses keys on the call; ErrNoCall without one.
	Key(tenant ringfence.TenantID, keys string) error
	// HangUp ends the call, if there is one.
	HangUp(ringfence.TenantID)
	// State tells how the newest call stands, and closes the channel at the next
	// change of it.
	State(ringfence.TenantID) (TrialCall, <-chan struct{})
}

// TrialLine is a number that the built-in telephone can call.
type TrialLine struct {
	Name   string `json:"name"`
	Number string `json:"number"`
}

// TrialCall is the call of the built-in telephone.
type TrialCall struct {
	Version int    `json:"version" doc:"grows with every change"`
	State   string `json:"state" enum:"idle,calling,talking,over"`
	// Said is what the caller heard, as far as it is a shipped recording: the
	// newest last, digits as dots.
	Said []string `json:"said"`
	Why  string   `json:"why,omitempty" doc:"why there was no call"`
}

// trialWait is how long a question about the call waits for a change.
const trialWait = 20 * time.Second

type (
	trialIn struct {
		Body struct {
			Number string `json:"number" minLength:"1" maxLength:"40"`
		}
	}
	trialSeen struct {
		Seen int `query:"seen" minimum:"-1" default:"-1" doc:"the version that is known; the answer waits for another one, at most 20 s"`
	}
	trialKeys struct {
		Body struct {
			Keys string `json:"keys" pattern:"^[0-9*#]{1,32}$"`
		}
	}
	trialOut struct {
		Body TrialCall
	}
)

var errNoTrial = problem.New(problem.NotFound, "This server has no built-in telephone.")

func (s *Server) trialAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/start/call", Summary: "Call a line with the built-in telephone", DefaultStatus: 204},
		func(ctx context.Context, in *trialIn) (*nothing, error) {
			if s.cfg.Trial == nil {
				return nil, errNoTrial
			}
			err := s.cfg.Trial.Call(who(ctx).tenant, in.Body.Number)
			switch {
			case errors.Is(err, ErrBusy):
				return nil, problem.New(problem.Conflict, "The built-in telephone is on a call. Hang up first.")
			case errors.Is(err, ErrNoCall):
				return nil, errNoTrial
			}
			return nil, err
		})
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/start/call", Summary: "How the call of the built-in telephone stands"},
		func(ctx context.Context, in *trialSeen) (*trialOut, error) {
			if s.cfg.Trial == nil {
				return nil, errNoTrial
			}
			wait := time.NewTimer(trialWait)
			defer wait.Stop()
			for {
				call, changed := s.cfg.Trial.State(who(ctx).tenant)
				if call.Said == nil {
					call.Said = []string{}
				}
				if call.Version != in.Seen {
					return &trialOut{Body: call}, nil
				}
				select {
				case <-changed:
				case <-wait.C:
					return &trialOut{Body: call}, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/start/call/keys", Summary: "Press keys on the built-in telephone", DefaultStatus: 204},
		func(ctx context.Context, in *trialKeys) (*nothing, error) {
			if s.cfg.Trial == nil {
				return nil, errNoTrial
			}
			err := s.cfg.Trial.Key(who(ctx).tenant, in.Body.Keys)
			if errors.Is(err, ErrNoCall) {
				return nil, problem.New(problem.Conflict, "The built-in telephone is on no call.")
			}
			return nil, err
		})
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/start/call/hang-up", Summary: "Hang up the built-in telephone", DefaultStatus: 204},
		func(ctx context.Context, _ *struct{}) (*nothing, error) {
			if s.cfg.Trial == nil {
				return nil, errNoTrial
			}
			s.cfg.Trial.HangUp(who(ctx).tenant)
			return nil, nil
		})
}
