package main

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/web"
)

// softphones lets the web reach the calls in people's browsers.
type softphones struct{ s *b2bua.Softphones }

var _ web.Softphones = softphones{}

// browserUser names a person at the telephone edge.
func browserUser(t ringfence.TenantID, p ringfence.PersonID) string {
	return string(t) + "/" + string(p)
}

// Calls implements web.Softphones.
func (s softphones) Calls(t ringfence.TenantID, p ringfence.PersonID) []web.PhoneCall {
	var out []web.PhoneCall
	for _, c := range s.s.Calls(browserUser(t, p)) {
		from := c.From
		if from == "anonymous" {
			from = ""
		}
		out = append(out, web.PhoneCall{Leg: c.Leg, From: from, Reference: c.Reference, Live: c.Live, Linked: c.Linked, Held: c.Held, Since: c.Since})
	}
	return out
}

// Changed implements web.Softphones.
func (s softphones) Changed() <-chan struct{} { return s.s.Changed() }

// Link implements web.Softphones.
func (s softphones) Link(t ringfence.TenantID, p ringfence.PersonID, leg ringfence.LegID, offer string) (string, error) {
	answer, err := s.s.Link(browserUser(t, p), leg, offer)
	return answer, phoneError(err)
}

// HangUp implements web.Softphones.
func (s softphones) HangUp(t ringfence.TenantID, p ringfence.PersonID, leg ringfence.LegID) error {
	return phoneError(s.s.HangUp(browserUser(t, p), leg))
}

// Hold implements web.Softphones.
func (s softphones) Hold(t ringfence.TenantID, p ringfence.PersonID, leg ringfence.LegID, on bool) error {
	return phoneError(s.s.Hold(browserUser(t, p), leg, on))
}

// phoneError maps the refusals of the telephone edge to web's.
func phoneError(err error) error {
	switch {
	case errors.Is(err, b2bua.ErrNoBrowserCall):
		return web.ErrNoCall
	case errors.Is(err, b2bua.ErrOffer):
		return web.ErrBadOffer
	default:
		return err
	}
}

// place is where a person takes calls: at their phone, or in the browser in
// which their softphone is on. It reports false for neither.
func (r *routing) place(tenant ringfence.TenantID, p ringfence.Person) (runner.Place, bool) {
	if p.Place != "" && p.Place != "browser" {
		return runner.Place{Person: p.ID, URI: p.Place, Trunk: r.agentTrunk(), Sign: r.signs(r.agentTrunk()),
			MayTransfer: len(r.transfers()) > 0}, true
	}
	if r.inBrowser == nil || !r.inBrowser(tenant, p.ID) {
		return runner.Place{}, false
	}
	return runner.Place{Person: p.ID, URI: b2bua.BrowserPlace + browserUser(tenant, p.ID)}, true
}

// PlaceOf implements runner.Places: where somebody of the staff takes calls. Whether
// they are free is not asked; whoever hands a call over has asked them.
func (r *routing) PlaceOf(ctx context.Context, tenant ringfence.TenantID, id ringfence.PersonID) (place runner.Place, ok bool) {
	err := r.store.View(ctx, tenant, func(tx ledger.Tx) error {
		p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(id))
		if err != nil {
			return err
		}
		place, ok = r.place(tenant, p)
		ok = ok && p.Status == ringfence.StatusActive
		return nil
	})
	return place, ok && err == nil
}

var _ runner.Places = (*routing)(nil)

// browserAddrs are the configured addresses of our media; a wrong one was
// refused with the configuration.
func browserAddrs(m config.Media) []netip.Addr {
	var out []netip.Addr
	for _, text := range m.External {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, a)
		}
	}
	return out
}
