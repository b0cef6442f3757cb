package web

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/ledger"
)

// FlowTraces is what Replays may implement too: the way a call took through
// its flows, line by line.
type FlowTraces interface {
	// FlowTraces returns the runs of a call; ledger.ErrNotFound when nothing is
	// kept of it.
	FlowTraces(ctx context.Context, tenant ringfence.TenantID, id ringfence.TraversalID) ([]flows.Trace, error)
}

type (
	pastIn struct {
		ID ringfence.TraversalID `path:"id" maxLength:"40"`
	}
	pastOut struct {
		Body struct {
			Call     pastView                      `json:"call"`
			Evidence []pastEvidence                `json:"evidence" doc:"in the order in which it was given"`
			Names    map[ringfence.PersonID]string `json:"names"`
		}
	}
	// pastEvidence is one proof with where it came from, and how old that was.
	pastEvidence struct {
		ID       ringfence.EvidenceID `json:"id"`
		Fact     ringfence.Fact       `json:"fact"`
		Strength ringfence.Strength   `json:"strength,omitempty"`
		At       time.Time            `json:"at"`
		Leg      ringfence.LegID      `json:"leg,omitempty" doc:"absent: it came over no leg of the call"`
		Release  ringfence.ReleaseID  `json:"release,omitempty" doc:"the one action it counts for"`
		// Presented: every material field was shown or spoken to the person.
		Presented bool        `json:"presented,omitempty"`
		Source    *pastSource `json:"source,omitempty"`
	}
	pastSource struct {
		Kind    string           `json:"kind" doc:"type of the authenticator or contact point"`
		Masked  string           `json:"masked,omitempty"`
		Since   time.Time        `json:"since" doc:"when ringfence first stored it"`
		Changed time.Time        `json:"changed,omitzero"`
		Status  ringfence.Status `json:"status" doc:"now"`
	}
	pastFlowOut struct {
		Body struct {
			Runs []pastRun `json:"runs"`
		}
	}
	pastRun struct {
		Flow     string     `json:"flow"`
		File     string     `json:"file,omitempty"`
		Bundle   string     `json:"bundle"`
		Language string     `json:"language,omitempty"`
		Map      *flows.Map `json:"map,omitempty" doc:"absent when the flows of then are not kept any more"`
		Steps    []pastStep `json:"steps"`
		Cut      bool       `json:"cut,omitempty"`
	}
	pastStep struct {
		Seconds float64 `json:"seconds"`
		Line    int     `json:"line" doc:"of the file; 0: something that happened beside the lines"`
		Scene   string  `json:"scene"`
		Verb    string  `json:"verb"`
		Asks    string  `json:"asks,omitempty"`
		Words   string  `json:"words,omitempty"`
		Way     string  `json:"way"`
	}
)

func (s *Server) pastAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/history/{id}", Summary: "One call, and what was proved on it",
		Description: "Its messages and audio quality are at /v1/traversals/{id}/trace, its entries at /v1/ledger/entries, its recordings at /v1/recordings."}, s.past)
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/history/{id}/flow", Summary: "The way a call took through its flows",
		Description: "Lines and how they ended; no digit and no value is kept."}, s.pastFlow)
}

func (s *Server) past(ctx context.Context, in *pastIn) (*pastOut, error) {
	p, out := who(ctx), &pastOut{}
	out.Body.Evidence, out.Body.Names = []pastEvidence{}, map[ringfence.PersonID]string{}
	err := s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) error {
		call, _, err := ledger.Read[PastCall](ctx, tx, kindPast, string(in.ID))
		if errors.Is(err, ledger.ErrNotFound) {
			call, err = fromLog(ctx, tx, in.ID)
		}
		if err != nil {
			return err
		}
		out.Body.Call.PastCall = call
		if err := namesOf(ctx, tx, []PastCall{call}, out.Body.Names); err != nil {
			return err
		}
		rows, err := ledger.Rows[ringfence.Evidence](ctx, tx, ledger.KindEvidence, ledger.Query{Key: "traversal", Value: string(in.ID)})
		if err != nil {
			return err
		}
		for _, e := range rows {
			one := pastEvidence{ID: e.ID, Fact: e.Fact, Strength: e.Strength, At: e.At, Leg: e.Leg, Release: e.Release, Presented: e.Presented}
			if one.Source, err = proofSource(ctx, tx, e); err != nil {
				return err
			}
			out.Body.Evidence = append(out.Body.Evidence, one)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	one := []pastView{out.Body.Call}
	s.fresh(ctx, p.tenant, one)
	out.Body.Call = one[0]
	return out, nil
}

// fromLog is what the ledger alone tells of a call that is not kept for
// look-up (any more).
func fromLog(ctx context.Context, tx ledger.Tx, id ringfence.TraversalID) (PastCall, error) {
	p := PastCall{Traversal: id, People: []ringfence.PersonID{}, Actions: []PastAction{}}
	for e, err := range ledger.AllEntries(ctx, tx, ledger.EntryQuery{Traversal: id}) {
		if err != nil {
			return PastCall{}, err
		}
		if p.Began.IsZero() {
			p.Began = e.At
		}
		switch e.Event {
		case "traversal.began":
			p.Reference, p.Line = e.Data["reference"], e.Data["line"]
		case "stir.verified":
			p.Attest, p.StirSays = ringfence.Attest(e.Data["attest"]), e.Data["says"]
			_ = p.Stir.UnmarshalText([]byte(e.Data["valid"])) // what is not a value stays unknown
		case "traversal.owned":
			p.People = append(p.People, e.Person)
		case "traversal.ended":
			p.Ended = e.At
		}
	}
	if p.Began.IsZero() {
		return PastCall{}, ledger.ErrNotFound
	}
	return p, nil
}

// proofSource is the authenticator or contact point behind a proof.
func proofSource(ctx context.Context, tx ledger.Tx, e ringfence.Evidence) (*pastSource, error) {
	if e.ContactPoint != "" {
		c, _, err := ledger.Read[ringfence.ContactPoint](ctx, tx, ledger.KindContactPoint, string(e.ContactPoint))
		if err == nil {
			return &pastSource{Kind: string(c.Type), Masked: masked(c.Value), Since: c.StoredAt, Changed: c.ChangedAt, Status: c.Status}, nil
		}
		if !errors.Is(err, ledger.ErrNotFound) {
			return nil, err
		}
	}
	if e.Authenticator == "" {
		return nil, nil
	}
	a, _, err := ledger.Read[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, string(e.Authenticator))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	return &pastSource{Kind: string(a.Type), Since: a.StoredAt, Status: a.Status}, err
}

func (s *Server) pastFlow(ctx context.Context, in *pastIn) (*pastFlowOut, error) {
	out := &pastFlowOut{}
	out.Body.Runs = []pastRun{}
	kept, ok := s.cfg.Replays.(FlowTraces)
	if !ok {
		return out, nil
	}
	runs, err := kept.FlowTraces(ctx, who(ctx).tenant, in.ID)
	if errors.Is(err, ledger.ErrNotFound) {
		return out, nil
	}
	for _, t := range runs {
		out.Body.Runs = append(out.Body.Runs, s.viewRun(who(ctx).tenant, t))
	}
	return out, err
}

// viewRun lays a run over the flow as it was then.
func (s *Server) viewRun(tenant ringfence.TenantID, t flows.Trace) pastRun {
	v := pastRun{Flow: t.Flow, Bundle: t.Bundle, Language: t.Language, Steps: []pastStep{}, Cut: t.Cut}
	var b *flows.Bundle
	if s.cfg.Bundles != nil {
		b = s.cfg.Bundles.ByHash(tenant, t.Bundle)
	}
	if b != nil {
		if f, ok := b.Flow(t.Flow); ok {
			m := f.Map(flows.MapOptions{})
			v.File, v.Map = f.File, &m
		}
	}
	for _, st := range t.Steps {
		one := pastStep{Seconds: st.After.Seconds(), Scene: st.Scene, Verb: st.Verb, Asks: st.Asks, Words: st.Words, Way: st.Way}
		if b != nil {
			_, one.Line = placeIn(b, st.Place)
		}
		v.Steps = append(v.Steps, one)
	}
	return v
}
