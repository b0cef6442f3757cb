package web

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
)

// Traces tells how calls went on the wire. Nothing in it names a person.
type Traces interface {
	// Trace returns the legs of a call, live or ended; ledger.ErrNotFound when
	// nothing is kept of it.
	Trace(ctx context.Context, tenant ringfence.TenantID, id ringfence.TraversalID) (CallTrace, error)
}

// CallTrace is a call's signalling and the quality of its audio.
type CallTrace struct {
	Traversal ringfence.TraversalID `json:"traversal"`
	Legs      []TraceLeg            `json:"legs"`
}

// TraceLeg is one leg of a call.
type TraceLeg struct {
	ID        ringfence.LegID     `json:"id"`
	Direction ringfence.Direction `json:"direction"`
	Trunk     string              `json:"trunk,omitempty"`
	Transport string              `json:"transport,omitempty"`
	Cause     ringfence.EndCause  `json:"cause,omitempty" doc:"why it ended"`
	Ladder    []TraceMessage      `json:"ladder"`
	More      int                 `json:"more,omitempty" doc:"messages that had no room"`
	Quality   []TraceQuality      `json:"quality" doc:"over time, for a chart"`
	Whole     TraceQuality        `json:"whole" doc:"over the whole leg"`
}

// TraceMessage is one message of a ladder.
type TraceMessage struct {
	At       time.Time `json:"at"`
	Received bool      `json:"received" doc:"by us"`
	What     string    `json:"what" doc:"method, or status and reason"`
	CSeq     string    `json:"cseq,omitempty"`
}

// TraceQuality is the quality of the audio over one stretch.
type TraceQuality struct {
	At         time.Time `json:"at"`
	Loss       float64   `json:"loss" doc:"share of packets to us that were missing"`
	RemoteLoss float64   `json:"remote_loss" doc:"share of ours that the far end missed"`
	JitterMS   float64   `json:"jitter_ms"`
	RTTMS      float64   `json:"rtt_ms" doc:"0 = not known"`
	MOS        float64   `json:"mos" doc:"estimate by ITU-T G.107; 0 = nothing heard"`
	Packets    uint64    `json:"packets"`
}

type (
	traceIn struct {
		ID ringfence.TraversalID `path:"id" maxLength:"40"`
	}
	traceOut struct {
		Body CallTrace
	}
)

func (s *Server) traceAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/traversals/{id}/trace", Summary: "The messages of a call with their times, and the quality of its audio"},
		func(ctx context.Context, in *traceIn) (*traceOut, error) {
			if s.cfg.Traces == nil {
				return nil, errNotFound
			}
			t, err := s.cfg.Traces.Trace(ctx, who(ctx).tenant, in.ID)
			return &traceOut{Body: t}, err
		})
}
