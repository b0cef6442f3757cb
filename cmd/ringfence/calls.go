package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// calls lets the web reach live traversals.
type calls struct{ r *runner.Runner }

var _ web.Calls = calls{}

// webErrors maps the runner's refusals to web's.
var webErrors = map[error]error{
	runner.ErrNoCall: web.ErrNoCall, runner.ErrBusy: web.ErrBusy,
	runner.ErrUnknownFlow: web.ErrUnknownFlow, runner.ErrWrongCode: web.ErrWrongCode,
}

func forWeb(err error) error {
	for from, to := range webErrors {
		if errors.Is(err, from) {
			return to
		}
	}
	return err
}

func act(a web.Act) runner.Act {
	return runner.Act{Tenant: a.Tenant, By: a.By, Traversal: a.Traversal, Supervisor: a.Supervisor}
}

func (c calls) Live(t ringfence.TenantID) []ringfence.LiveCall { return c.r.Live(t) }

func (c calls) Watch(t ringfence.TenantID) (<-chan struct{}, func()) { return c.r.Watch(t) }

func (c calls) Placed(ctx context.Context, t ringfence.TenantID, reference string) (time.Time, bool, error) {
	return c.r.PlacedBy(ctx, t, reference)
}

func (c calls) Confirm(ctx context.Context, t ringfence.TenantID, reference, tail string) (time.Time, bool, error) {
	return c.r.Confirm(ctx, t, reference, tail)
}

func (c calls) Take(ctx context.Context, t ringfence.TenantID, by ringfence.PersonID, code string) (ringfence.TraversalID, error) {
	id, err := c.r.Take(ctx, t, by, code)
	return id, forWeb(err)
}

func (c calls) StepUp(ctx context.Context, s web.StepUp) error {
	return forWeb(c.r.StepUp(ctx, act(s.Act), s.Flow, s.Release))
}

func (c calls) Pretend(ctx context.Context, who web.Act, q gate.OpenRequest) (gate.Release, gate.Verdict, error) {
	r, v, err := c.r.Pretend(ctx, act(who), q)
	return r, v, forWeb(err)
}

func (c calls) Pretended(ctx context.Context, who web.Act, id ringfence.ReleaseID, to gate.State) (gate.Release, gate.Verdict, error) {
	r, v, err := c.r.Pretended(ctx, act(who), id, to)
	return r, v, forWeb(err)
}

func (c calls) CancelStepUp(ctx context.Context, who web.Act) error {
	return forWeb(c.r.CancelStepUp(ctx, act(who)))
}

func (c calls) Identify(ctx context.Context, who web.Act, claim web.Claim) error {
	return forWeb(c.r.Identify(ctx, act(who), claim.Kind, claim.Field, claim.Value))
}

func (c calls) HandOver(ctx context.Context, who web.Act, to ringfence.PersonID) error {
	return forWeb(c.r.HandOver(ctx, act(who), to))
}

func (c calls) HangUp(ctx context.Context, who web.Act) error {
	return forWeb(c.r.HangUp(ctx, act(who)))
}

func (c calls) Pressure(ctx context.Context, who web.Act) error {
	return forWeb(c.r.Pressure(ctx, act(who)))
}

func (c calls) Report(ctx context.Context, who web.Act, text string) error {
	return forWeb(c.r.Report(ctx, act(who), text))
}

// jobs lets the web ask for outbound calls.
type jobs struct{ a *app }

var _ web.Jobs = jobs{}

// Start implements web.Jobs.
func (j jobs) Start(ctx context.Context, q web.Job) (web.Started, error) {
	placed, err := j.a.runner.Start(ctx, runner.Job{Tenant: q.Tenant, Flow: q.Flow, Release: q.Release, To: q.To,
		Client: q.Client, Channel: q.Channel, Line: runner.Line{Language: j.a.language(q.Tenant)}})
	switch {
	case errors.Is(err, runner.ErrNoJob):
		return web.Started{}, web.ErrUnknownFlow
	case errors.Is(err, runner.ErrNotWaiting):
		return web.Started{}, web.ErrBusy
	case err != nil:
		return web.Started{}, err
	}
	return web.Started{Traversal: placed.Traversal, Reference: placed.Reference, Code: placed.Code}, nil
}

// language is what a tenant speaks when nothing else says so.
func (a *app) language(tenant ringfence.TenantID) string {
	return cmp.Or(a.languageOf(tenant), "en")
}

// languageOf is the language of a tenant.
func (a *app) languageOf(tenant ringfence.TenantID) string {
	return languageIn(a.cfg, tenant)
}

func languageIn(cfg config.Config, tenant ringfence.TenantID) string {
	for _, t := range cfg.Tenants {
		if tenantOr(t.ID) == tenant {
			return t.Language
		}
	}
	return ""
}
