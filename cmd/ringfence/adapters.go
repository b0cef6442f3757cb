package main

import (
	"context"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/flows/runner"
	"github.com/ringfence/ringfence/stirshaken"
)

// phone lets the runner place legs through the telephone edge.
type phone struct{ ua *b2bua.UA }

// Place implements runner.Phone.
func (p phone) Place(ctx context.Context, q ringfence.Placement) (runner.Leg, error) {
	leg, err := p.ua.Place(ctx, q)
	if err != nil {
		return nil, err
	}
	return leg, nil
}

// identity lets the runner ask the STIR/SHAKEN verification service.
type identity struct {
	v      *stirshaken.Verifier
	ours   func(ringfence.TN) bool // a number that is our own: it never calls us from outside
	reason string                  // off, stir or sip: what a call that goes on in spite of a failure is answered with
	reject bool                    // refuse calls whose signature fails or is missing, instead of marking them
}

// Check implements runner.Identity.
func (i identity) Check(ctx context.Context, info ringfence.LegInfo, now time.Time) runner.Caller {
	v := i.v.Verify(ctx, stirshaken.Request{Identity: info.Identity, From: info.From, PAI: info.PAI, To: info.To,
		RequestURI: info.RequestURI, Date: info.Date, Privacy: info.Privacy,
		CallID: info.CallID, PAttestation: info.Attested},
		stirshaken.Peer{Name: info.Trunk, TrustVerstat: info.TrustedIDs && info.Transport == "tls"}, now)
	c := runner.Caller{Attest: v.Attest, Valid: v.Tri(), Orig: v.Orig.TN, Says: v.Sentence(), Number: string(v.Shown),
		Verified: v.Verified() && v.Source == stirshaken.SourceIdentity, Verstat: v.Verstat()}
	if c.Orig != "" && v.Shown != stirshaken.ShownWithheld {
		c.Shown = "+" + string(c.Orig)
	} else {
		c.Shown = "a withheld number"
	}
	if c.Orig != "" && i.ours(c.Orig) {
		c.Number = string(stirshaken.ShownOurs)
	}
	if len(v.Diverted) > 0 || len(info.Diversion) > 0 {
		c.Diverted = ringfence.Yes
	}
	if i.reject && v.Code != 0 {
		c.Code, _ = v.Response()
		c.Reason = v.SIPReason()
		return c
	}
	switch {
	case v.Status != stirshaken.StatusFailed:
	case i.reason == "stir":
		c.Marks = v.ReasonHeaders()
	case i.reason == "sip":
		c.Marks = []string{v.SIPReason()}
	}
	return c
}
