package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/signals"
)

// lookBack is how far back a SIM change counts.
const lookBack = 7 * 24 * time.Hour

// signalsSaid counts what services say, by signal and value.
type signalsSaid struct{ total *prometheus.CounterVec }

func (s signalsSaid) told(one ringfence.Signal) {
	if slices.Contains(signals.Names, one.Name) {
		s.total.WithLabelValues(one.Name, one.Value.String()).Inc()
	}
}

// joinSignals sets up who is asked about numbers on file and about accounts.
func (a *app) joinSignals() error {
	a.said = &signalsSaid{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_signals_total",
		Help: "Answers about numbers and accounts, by signal and value; an answer that is owed is unknown."}, []string{"signal", "value"})}
	c := a.cfg.Verify.Signals
	var sources []signals.Source
	if a.verify.lookup != nil {
		for _, pkg := range c.Packages() {
			s, err := a.verify.lookup.Lookup(pkg, lookBack, time.Now)
			if err != nil {
				return fmt.Errorf("verify.signals.lookup: %w", err)
			}
			sources = append(sources, s)
		}
	}
	for _, one := range c.Services {
		s, err := signals.NewHTTP(signals.HTTPConfig{Name: one.Name, URL: one.URL, Secret: ringfence.Secret(one.Secret.Reveal()), Answers: one.Answers})
		if err != nil {
			return fmt.Errorf("verify.signals.services.%s: %w", one.Name, err)
		}
		sources = append(sources, s)
	}
	var err error
	a.asks, err = signals.New(signals.Config{Sources: sources, Timeout: c.Timeout, Keep: c.Keep, PerMinute: c.PerMinute, Told: a.said.told})
	return err
}

// signals are what services say of a subject's numbers and of the account that
// an action names, and what services that listened say of the call. None of it
// satisfies anything: it can only refuse, or ask for more.
func (a *app) signals(ctx context.Context, r gate.Release) []ringfence.Signal {
	out := a.asks.Ask(ctx, a.questions(ctx, r))
	if r.Traversal == "" {
		return out
	}
	var heard []ringfence.Signal
	err := a.store.View(ctx, r.Tenant, func(tx ledger.Tx) error {
		heard = nil
		rows, err := ledger.Rows[callSignal](ctx, tx, kindSignal, ledger.Query{Key: "traversal", Value: string(r.Traversal)})
		if err != nil {
			return err
		}
		for _, s := range rows {
			if !slices.Contains(config.ForkSignals, s.Name) {
				return fmt.Errorf("there is no signal %q", s.Name)
			}
			heard = append(heard, ringfence.Signal{Name: s.Name, Value: s.Value, Source: s.Source, At: s.At})
		}
		return nil
	})
	if err != nil {
		return out // not finding out leaves them unknown
	}
	return append(out, heard...)
}

// questions are those about a release: each telephone on file of whoever proves,
// and the account with the name given for it. Not finding out asks nothing, and
// what nobody was asked is unknown.
func (a *app) questions(ctx context.Context, r gate.Release) []signals.Question {
	var points []ringfence.ContactPoint
	var who ringfence.Subject
	if err := a.store.View(ctx, r.Tenant, func(tx ledger.Tx) (err error) {
		if points, err = verify.ContactPoints(ctx, tx, r.Proves); err != nil {
			return err
		}
		who, _, err = ledger.Read[ringfence.Subject](ctx, tx, ledger.KindSubject, string(r.Proves))
		return err
	}); err != nil {
		return nil
	}
	var out []signals.Question
	for _, p := range points {
		phone := p.Type == ringfence.ContactMobile || p.Type == ringfence.ContactLandline
		if phone && p.Status == ringfence.StatusActive {
			out = append(out, signals.Question{Number: ringfence.TN(p.Value), Landline: p.Type == ringfence.ContactLandline,
				FirstName: who.Record["first_name"], LastName: who.Record["last_name"]})
		}
	}
	if action, ok := (policies{a.shelf}).ByHash(r.Tenant, r.Policy).Action(r.Type); ok {
		if account, name := gate.AccountNamed(action, r.Fields); account != "" && name != "" {
			out = append(out, signals.Question{Account: account, Payee: name})
		}
	}
	return out
}
