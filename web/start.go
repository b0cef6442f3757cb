package web

import (
	"context"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// The steps from nothing to a first verified call. They are read from what is
// there, so that whatever was done elsewhere counts as well.
const (
	stepOwner    = "owner"    // has a passkey and a name
	stepSecond   = "second"   // another person has a passkey
	stepCustomer = "customer" // somebody is on file
	stepReady    = "ready"    // an agent of a queue takes calls
	stepCall     = "call"     // a call came in
	stepVerified = "verified" // somebody proved something on a call
)

// OwnerName is what the owner is called until they say their name.
const OwnerName = "Owner"

type (
	startStep struct {
		Step string `json:"step" enum:"owner,second,customer,ready,call,verified"`
		Done bool   `json:"done"`
	}
	startOut struct {
		Body struct {
			Steps []startStep `json:"steps"`
			Done  bool        `json:"done"`
			// Invited are the people who have no passkey yet.
			Invited []personView `json:"invited"`
			// Kinds and Queues are what the policy and the configuration know.
			Unqueued []string    `json:"unqueued" doc:"agents whom no queue names"`
			Lines    []TrialLine `json:"lines" doc:"that the built-in telephone can call"`
			NoTrial  string      `json:"no_trial,omitempty" doc:"why there is no built-in telephone"`
		}
	}
)

func (s *Server) startAPI(a huma.API) {
	add(s, a, huma.Operation{Method: "GET", Path: "/v1/start", Summary: "What is left to do until the first verified call"}, s.readStart)
	s.trialAPI(a)
}

func (s *Server) readStart(ctx context.Context, _ *struct{}) (*startOut, error) {
	p, out := who(ctx), &startOut{}
	b := &out.Body
	b.Invited, b.Unqueued, b.Lines = []personView{}, []string{}, []TrialLine{}
	if s.cfg.Trial == nil {
		b.NoTrial = "This server has no built-in telephone."
	} else if b.Lines, b.NoTrial = s.cfg.Trial.Lines(p.tenant); b.Lines == nil {
		b.Lines = []TrialLine{}
	}
	return out, s.cfg.Store.View(ctx, p.tenant, func(tx ledger.Tx) (err error) {
		b.Invited, b.Unqueued = b.Invited[:0], b.Unqueued[:0]
		people, err := staff(ctx, tx)
		if err != nil {
			return err
		}
		for _, one := range people {
			if one.Status != ringfence.StatusActive {
				continue
			}
			v := viewPerson(one)
			if v.Passkey, err = hasPasskey(ctx, tx, one.ID); err != nil {
				return err
			}
			if !v.Passkey {
				b.Invited = append(b.Invited, v)
			}
			if one.Has(ringfence.RoleAgent, tx.Now()) && s.cfg.Queued != nil && !s.cfg.Queued(p.tenant, one) {
				b.Unqueued = append(b.Unqueued, one.Name)
			}
		}
		if err := s.showWaiting(ctx, tx, p.person.ID, b.Invited, nil); err != nil {
			return err
		}
		b.Steps, b.Done, err = s.steps(ctx, tx, p.tenant, people)
		return err
	})
}

// steps reads how far the installation is.
func (s *Server) steps(ctx context.Context, tx ledger.Tx, tenant ringfence.TenantID, people []ringfence.Person) ([]startStep, bool, error) {
	keyed, named := 0, 0
	for _, one := range people {
		bound, err := hasPasskey(ctx, tx, one.ID)
		if err != nil {
			return nil, false, err
		}
		if bound && one.Status == ringfence.StatusActive {
			keyed++
			if one.Name != OwnerName {
				named++
			}
		}
	}
	subjects, err := tx.List(ctx, ledger.KindSubject, ledger.Query{Limit: 1})
	if err != nil {
		return nil, false, err
	}
	happened := func(event ledger.Event) (bool, error) {
		list, err := tx.Entries(ctx, ledger.EntryQuery{Event: event, Desc: true, Limit: 1})
		return len(list) > 0, err
	}
	called, err := happened("traversal.began")
	if err != nil {
		return nil, false, err
	}
	proved, err := happened("challenge.satisfied")
	if err != nil {
		return nil, false, err
	}
	ready := proved || slices.ContainsFunc(s.Present(tenant), func(p Presence) bool {
		i := slices.IndexFunc(people, func(one ringfence.Person) bool { return one.ID == p.Person })
		return i >= 0 && p.State != "away" && people[i].Has(ringfence.RoleAgent, tx.Now()) && s.takesCalls(tenant, people[i])
	})
	out := []startStep{{stepOwner, named > 0}, {stepSecond, keyed > 1}, {stepCustomer, len(subjects) > 0}, {stepReady, ready}, {stepCall, called}, {stepVerified, proved}}
	return out, !slices.ContainsFunc(out, func(one startStep) bool { return !one.Done }), nil
}

// takesCalls reports whether a call can reach a person now: at their telephone,
// or in the browser in which their softphone is on.
func (s *Server) takesCalls(tenant ringfence.TenantID, p ringfence.Person) bool {
	return p.Place != "" && p.Place != "browser" || s.Reachable(tenant, p.ID)
}

// staff reads everybody of the staff.
func staff(ctx context.Context, tx ledger.Tx) ([]ringfence.Person, error) {
	return ledger.Rows[ringfence.Person](ctx, tx, ledger.KindPerson, ledger.Query{})
}

// started reports whether every step is done; while it is not known, it is
// not: the page says more.
func (s *Server) started(ctx context.Context, tenant ringfence.TenantID) (done bool) {
	err := s.cfg.Store.View(ctx, tenant, func(tx ledger.Tx) error {
		people, err := staff(ctx, tx)
		if err == nil {
			_, done, err = s.steps(ctx, tx, tenant, people)
		}
		return err
	})
	return done && err == nil
}

// pages are the pages that a principal is led to: the first steps only as long
// as one is left.
func (s *Server) pages(ctx context.Context, p principal) []string {
	all := pagesOf(p)
	if slices.Contains(all, "start") && s.started(ctx, p.tenant) {
		all = slices.DeleteFunc(all, func(name string) bool { return name == "start" })
	}
	return all
}
