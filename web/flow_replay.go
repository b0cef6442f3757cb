package web

import (
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web/problem"
)

type (
	// Replays knows what is kept of past calls: lines and how they ended, no
	// digit and no value.
	Replays interface {
		// Recorded lists the calls that are kept, newest first, at most 200.
		Recorded(context.Context, ringfence.TenantID) ([]RecordedCall, error)
		// Replay plays every run of a recorded call against a draft, in the name
		// of a person; ledger.ErrNotFound when nothing is kept of it.
		Replay(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID, id ringfence.TraversalID, b *flows.Bundle) ([]flows.Followed, error)
	}
	// Shadows is what Bundles may implement too: a bundle that follows live
	// calls with no effect.
	Shadows interface {
		StartShadow(ctx context.Context, tenant ringfence.TenantID, b *flows.Bundle, by ringfence.PersonID) (BundleResult, error)
		StopShadow(ctx context.Context, tenant ringfence.TenantID, by ringfence.PersonID) (BundleResult, error)
		ShadowStatus(context.Context, ringfence.TenantID) (ShadowStatus, error)
	}
	// RecordedCall is one call that can be replayed.
	RecordedCall struct {
		ID        ringfence.TraversalID
		Reference string
		Line      string
		Flow      string // the first run's
		Runs      int
		At        time.Time
	}
	// ShadowStatus is what became of following calls. The zero value: none was.
	ShadowStatus struct {
		Bundle                               string
		Since, Until                         time.Time
		Calls, Same, Words, Differs, Unknown int
		Differences                          []ShadowPoint
	}
	// ShadowPoint is one point where the shadow did otherwise.
	ShadowPoint struct {
		Says  string `json:"says"`
		Calls int    `json:"calls"`
	}
)

var (
	errNoReplays = problem.New(problem.Unavailable, "No calls are kept here.")
	errNoShadow  = problem.New(problem.Unavailable, "No flows can follow calls here.")
)

type (
	flowCallView struct {
		ID        string    `json:"id"`
		Reference string    `json:"reference"`
		Line      string    `json:"line"`
		Flow      string    `json:"flow"`
		Runs      int       `json:"runs"`
		At        time.Time `json:"at"`
	}
	flowCallsOut struct {
		Body struct {
			Calls []flowCallView `json:"calls"`
		}
	}
	flowReplayIn struct {
		Body struct {
			Set  flowSetIn `json:"set"`
			Call string    `json:"call" minLength:"1" maxLength:"40"`
		}
	}
	flowReplayOut struct {
		Body struct {
			Runs []flowFollowed `json:"runs"`
		}
	}
	flowFollowed struct {
		Flow        string           `json:"flow"`
		Result      string           `json:"result" enum:"same,words,differs,unknown"`
		Asked       int              `json:"asked" doc:"questions that both ask"`
		Differences []flowDifference `json:"differences"`
		Steps       []followedStep   `json:"steps"`
	}
	flowDifference struct {
		flows.Difference
		Says string `json:"says"`
	}
	followedStep struct {
		Seconds float64  `json:"seconds"`
		File    string   `json:"file"`
		Line    int      `json:"line" doc:"0: something that happened beside the lines"`
		Scene   string   `json:"scene"`
		Verb    string   `json:"verb"`
		Asks    string   `json:"asks,omitempty"`
		Words   string   `json:"words,omitempty"`
		Way     string   `json:"way"`
		Facts   []string `json:"facts" doc:"proved so far"`
		Knows   []string `json:"knows" doc:"on which side of conditions values lie"`
	}
	flowShadowOut struct {
		Body struct {
			Bundle      string        `json:"bundle,omitempty"`
			Since       time.Time     `json:"since,omitzero"`
			Until       time.Time     `json:"until,omitzero"`
			Runs        bool          `json:"runs"`
			Calls       int           `json:"calls"`
			Same        int           `json:"same"`
			Words       int           `json:"words"`
			Differs     int           `json:"differs"`
			Unknown     int           `json:"unknown"`
			Differences []ShadowPoint `json:"differences"`
		}
	}
)

func (s *Server) flowReplayAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/flows/calls", Summary: "Calls that can be replayed"}, s.recordedCalls)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/replay", Summary: "Play a real call against a set of flows",
		Description: "Up to the first point where they would ask something else. That somebody did so stands in the ledger; nothing else comes of it."}, s.replayCall)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/flows/shadow", Summary: "What a draft that follows live calls has found"}, s.shadowStatus)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/drafts/{id}/shadow", Summary: "Let a draft follow live calls for a day, with no effect", DefaultStatus: 204}, s.startShadow)
	add(s, a, huma.Operation{Method: "POST", Path: "/v1/flows/shadow/stop", Summary: "Let no more calls be followed", DefaultStatus: 204},
		func(ctx context.Context, _ *struct{}) (*nothing, error) {
			shadows, ok := s.cfg.Bundles.(Shadows)
			if !ok {
				return nil, errNoShadow
			}
			return nil, shadowed(shadows.StopShadow(ctx, who(ctx).tenant, who(ctx).person.ID))
		})
}

func (s *Server) recordedCalls(ctx context.Context, _ *struct{}) (*flowCallsOut, error) {
	out := &flowCallsOut{}
	out.Body.Calls = []flowCallView{}
	if s.cfg.Replays == nil {
		return out, nil
	}
	all, err := s.cfg.Replays.Recorded(ctx, who(ctx).tenant)
	for _, c := range all {
		out.Body.Calls = append(out.Body.Calls, flowCallView{ID: string(c.ID), Reference: c.Reference, Line: c.Line, Flow: c.Flow, Runs: c.Runs, At: c.At})
	}
	return out, err
}

func (s *Server) replayCall(ctx context.Context, in *flowReplayIn) (*flowReplayOut, error) {
	p := who(ctx)
	if s.cfg.Replays == nil {
		return nil, errNoReplays
	}
	set, err := s.set(ctx, in.Body.Set)
	if err != nil {
		return nil, err
	}
	b, err := set.loaded()
	if err != nil {
		return nil, err
	}
	leave, err := s.atBench(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	runs, err := s.cfg.Replays.Replay(ctx, p.tenant, p.person.ID, ringfence.TraversalID(in.Body.Call), b)
	if err != nil {
		return nil, err
	}
	out := &flowReplayOut{}
	out.Body.Runs = []flowFollowed{}
	for _, r := range runs {
		out.Body.Runs = append(out.Body.Runs, viewFollowed(b, r))
	}
	return out, nil
}

func viewFollowed(b *flows.Bundle, r flows.Followed) flowFollowed {
	v := flowFollowed{Flow: r.Flow, Result: r.Result, Asked: r.Asked, Differences: []flowDifference{}, Steps: []followedStep{}}
	for _, d := range r.Differences {
		v.Differences = append(v.Differences, flowDifference{d, d.String()})
	}
	for _, st := range r.Steps {
		one := followedStep{Seconds: st.After.Seconds(), Scene: st.Scene, Verb: st.Verb, Asks: st.Asks, Words: st.Words, Way: st.Way,
			Facts: append([]string{}, st.Facts...), Knows: append([]string{}, st.Knows...)}
		one.File, one.Line = placeIn(b, st.Place)
		v.Steps = append(v.Steps, one)
	}
	return v
}

// placeIn is where a line of a flow stands in its file; 0 for none.
func placeIn(b *flows.Bundle, p flows.Place) (file string, line int) {
	f, ok := b.Flow(p.Flow)
	if !ok {
		return "", 0
	}
	i := slices.IndexFunc(f.Scenes, func(s *flows.Scene) bool { return s.Name == p.Scene })
	if i < 0 || p.Line < 0 || p.Line >= len(f.Scenes[i].Lines) {
		return f.File, 0
	}
	return f.File, f.Scenes[i].Lines[p.Line].Line
}

func (s *Server) shadowStatus(ctx context.Context, _ *struct{}) (*flowShadowOut, error) {
	out := &flowShadowOut{}
	out.Body.Differences = []ShadowPoint{}
	shadows, ok := s.cfg.Bundles.(Shadows)
	if !ok {
		return out, nil
	}
	st, err := shadows.ShadowStatus(ctx, who(ctx).tenant)
	if err != nil {
		return nil, err
	}
	out.Body.Bundle, out.Body.Since, out.Body.Until = st.Bundle, st.Since, st.Until
	out.Body.Calls, out.Body.Same, out.Body.Words, out.Body.Differs, out.Body.Unknown = st.Calls, st.Same, st.Words, st.Differs, st.Unknown
	out.Body.Differences = append(out.Body.Differences, st.Differences...)
	return out, s.cfg.Store.View(ctx, who(ctx).tenant, func(tx ledger.Tx) error {
		out.Body.Runs = st.Bundle != "" && tx.Now().Before(st.Until)
		return nil
	})
}

func (s *Server) startShadow(ctx context.Context, in *flowAskBeginIn) (*nothing, error) {
	shadows, ok := s.cfg.Bundles.(Shadows)
	if !ok {
		return nil, errNoShadow
	}
	_, _, b, err := s.draftBundle(ctx, in.ID, in.Body.Version)
	if err != nil {
		return nil, err
	}
	return nil, shadowed(shadows.StartShadow(ctx, who(ctx).tenant, b, who(ctx).person.ID))
}

// shadowed is a refusal in words for people.
func shadowed(r BundleResult, err error) error {
	if err == nil && r.Refused != "" {
		return problem.New(problem.Conflict, upperFirst(r.Refused)+".")
	}
	return err
}
