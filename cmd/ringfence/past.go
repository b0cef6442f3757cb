package main

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/flows/runner"
)

// pastMoment keeps what a call can be looked up by, at its answer, with each
// agent and at its end.
func (a *app) pastMoment(ctx context.Context, m runner.Moment) {
	ended := m.Kind == runner.MomentEnded
	a.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := a.web.PutPast(ctx, m.Call, m.Person, ended); err != nil {
			a.log.Error("call not kept for look-up", "traversal", string(m.Traversal), "err", err)
		}
	})
}
