package main

import (
	"context"

	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/ledger"
)

// pastMoment keeps what a call can be looked up by, at its answer, with each
// agent and at its end.
func (a *app) pastMoment(m runner.Moment) {
	if m.Kind == runner.MomentHeld {
		return
	}
	ended, call, person := m.Kind == runner.MomentEnded, m.Call, m.Person // and not the legs, which are large
	a.later.add(a, m.Tenant, laterNote{what: "call not kept for look-up", traversal: m.Traversal, brief: person == "", write: func(ctx context.Context, tx ledger.Tx) error {
		return a.web.PutPastIn(ctx, tx, call, person, ended)
	}})
}
