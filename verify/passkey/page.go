package passkey

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Page is what the caller's page does, one method a request of its own POSTs.
// web resolves the tenant from the host; the token comes in the body of a POST,
// out of the URL's fragment.
type Page struct {
	v *verify.Verifier
	m *Method
}

// NewPage returns the page of a method that v runs.
func NewPage(v *verify.Verifier, m *Method) *Page { return &Page{v: v, m: m} }

// Look is what the page may show before the carry code: who we are and whether
// there is anything to do. It says nothing of subject, action or agent
// (invariant 18) and spends nothing.
type Look struct {
	Open      bool
	Firm      string
	Challenge ringfence.ChallengeID
	Traversal ringfence.TraversalID // for the call reference
	ExpiresAt time.Time
	TriesLeft int
}

// Look answers for any token, also a wrong one: not open.
func (p *Page) Look(ctx context.Context, tenant ringfence.TenantID, token ringfence.Secret) (Look, error) {
	c, err := p.v.FindLink(ctx, tenant, verify.HashToken(token))
	if errors.Is(err, verify.ErrNotFound) {
		return Look{Firm: p.m.firm}, nil
	}
	if err != nil {
		return Look{}, err
	}
	return Look{Open: !c.State.Final(), Firm: p.m.firm, Challenge: c.ID, Traversal: c.Traversal,
		ExpiresAt: c.ExpiresAt, TriesLeft: max(0, c.Max-c.Tries)}, nil
}

// Shown is the page after the right carry code.
type Shown struct {
	Outcome   verify.Outcome // OutcomeOpen when the rest is set; else why not
	TriesLeft int
	Challenge ringfence.ChallengeID
	// Session goes with every later request of this page; it is kept in memory
	// of the page only.
	Session ringfence.Secret
	Says    string
	Fields  []verify.Field
	By      ringfence.PersonID // who asks; empty for a flow
	Options json.RawMessage    // PublicKeyCredentialRequestOptionsJSON
	// ExpiresAt is when the link ends; an assertion has Ceremony from now.
	ExpiresAt time.Time
}

// Unlock types the carry code into the page. A wrong one is counted in the
// chain before anybody learns that it was wrong; the right one shows the action
// and voids every earlier session of the link.
func (p *Page) Unlock(ctx context.Context, tenant ringfence.TenantID, token, code ringfence.Secret) (Shown, error) {
	c, err := p.v.FindLink(ctx, tenant, verify.HashToken(token))
	if errors.Is(err, verify.ErrNotFound) {
		return Shown{Outcome: verify.OutcomeExpired}, nil
	}
	if err != nil {
		return Shown{}, err
	}
	var out Shown
	c, res, err := p.v.Change(ctx, tenant, c.ID, func(d *verify.Draft) error {
		out = Shown{}
		priv, err := read(d.Private)
		if err != nil || !d.TryLeft() {
			return err
		}
		if !verify.MatchCode(p.m.pepper, "passkey-carry", d.ID, code, priv.Carry) || !verify.AllDigits(code, CarryDigits) {
			out.Outcome = verify.OutcomeWrong
			d.CountTry()
			return nil
		}
		session, hash := verify.Token(128)
		priv.Session = hash
		if out.Options, priv.Open, err = p.m.options(d); err != nil {
			return err
		}
		d.Private = priv.secret()
		d.Present()
		out.Outcome, out.Session = verify.OutcomeOpen, session
		return nil
	})
	if err != nil {
		return Shown{}, err
	}
	out.Challenge, out.TriesLeft = c.ID, res.TriesLeft
	if out.Outcome != verify.OutcomeOpen || c.State.Final() {
		o := res.Outcome
		if o == verify.OutcomeOpen {
			o = verify.OutcomeWrong
		}
		return Shown{Outcome: o, TriesLeft: res.TriesLeft, Challenge: c.ID}, nil
	}
	out.Says, out.Fields, out.By, out.ExpiresAt = c.Says, c.Fields, c.By, c.ExpiresAt
	return out, nil
}

// options begins a ceremony over the draft's action.
func (m *Method) options(d *verify.Draft) (json.RawMessage, *ceremony, error) {
	u, err := m.party.owner(string(d.Subject), m.firm, d.Authenticators)
	if err != nil {
		return nil, nil, err
	}
	body, c, err := m.party.begin(u, message(d.Challenge), d.Now)
	return body, &c, err
}

// Again makes fresh options for a page whose ceremony was cancelled, failed or
// ran out. The outcome is not OutcomeOpen when nothing can be done any more.
func (p *Page) Again(ctx context.Context, tenant ringfence.TenantID, token, session ringfence.Secret) (json.RawMessage, verify.Outcome, error) {
	var body json.RawMessage
	outcome, err := p.with(ctx, tenant, token, session, func(d *verify.Draft, priv *private) (err error) {
		body, priv.Open, err = p.m.options(d)
		return err
	})
	if outcome != verify.OutcomeOpen {
		body = nil
	}
	return body, outcome, err
}

// Finish judges the assertion of the page. Each ceremony is judged once; after
// a wrong one ask Again.
func (p *Page) Finish(ctx context.Context, tenant ringfence.TenantID, token, session ringfence.Secret, body []byte) (verify.Result, error) {
	var id ringfence.ChallengeID
	ready := false
	outcome, err := p.with(ctx, tenant, token, session, func(d *verify.Draft, priv *private) error {
		id, ready = d.ID, priv.Open != nil
		if ready { // the same body sent twice leaves the ceremony that is being judged alone
			priv.Open, priv.Trying = nil, priv.Open
		}
		return nil
	})
	if err != nil || outcome != verify.OutcomeOpen || !ready {
		if outcome == verify.OutcomeOpen {
			outcome = verify.OutcomeClosed
		}
		return verify.Result{Challenge: id, Outcome: outcome}, err
	}
	return p.v.Submit(ctx, tenant, id, verify.Answer{Value: body})
}

// Refuse is "I did not ask for this": the release is held and an alarm raised.
// Whoever holds the link may say so, with or without the code.
func (p *Page) Refuse(ctx context.Context, tenant ringfence.TenantID, token ringfence.Secret) (verify.Result, error) {
	c, err := p.v.FindLink(ctx, tenant, verify.HashToken(token))
	if errors.Is(err, verify.ErrNotFound) {
		return verify.Result{Outcome: verify.OutcomeExpired}, nil
	}
	if err != nil {
		return verify.Result{}, err
	}
	return p.v.Reject(ctx, tenant, c.ID)
}

// with runs f for the page that holds the session of an open link.
func (p *Page) with(ctx context.Context, tenant ringfence.TenantID, token, session ringfence.Secret, f func(*verify.Draft, *private) error) (verify.Outcome, error) {
	c, err := p.v.FindLink(ctx, tenant, verify.HashToken(token))
	if errors.Is(err, verify.ErrNotFound) {
		return verify.OutcomeExpired, nil
	}
	if err != nil {
		return "", err
	}
	mine := false
	_, res, err := p.v.Change(ctx, tenant, c.ID, func(d *verify.Draft) error {
		priv, err := read(d.Private)
		if err != nil {
			return err
		}
		mine = priv.Session != "" && subtle.ConstantTimeCompare([]byte(priv.Session), []byte(verify.HashToken(session))) == 1
		if !mine {
			return nil
		}
		if err := f(d, &priv); err != nil {
			return err
		}
		d.Private = priv.secret()
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case res.Outcome != verify.OutcomeOpen:
		return res.Outcome, nil
	case !mine:
		return verify.OutcomeClosed, nil
	}
	return verify.OutcomeOpen, nil
}
