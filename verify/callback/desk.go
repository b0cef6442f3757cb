package callback

import (
	"context"
	"errors"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// ErrOver is returned by Place, Fresh and Spoken when the challenge is final or
// belongs to another leg: there is nothing more to play.
var ErrOver = errors.New("callback: the challenge is over or another leg's")

// Desk is how a traversal drives call-backs and confirmations:
//
//	Create, Issue (tell leg 1) ─▶ Place ─▶ answered: Fresh (speak) ─▶ Spoken ─▶ Keyed
//	                                          ▲────────── wrong, tries left ──────┘
type Desk struct {
	v *verify.Verifier
	m *Method
	c *Confirm
}

// NewDesk returns the desk of the methods that v runs; c may be nil.
func NewDesk(v *verify.Verifier, m *Method, c *Confirm) *Desk { return &Desk{v: v, m: m, c: c} }

// Place says which leg is being placed for the challenge and returns the
// number on file to ring. A decoy's number is empty: ring nobody, and answer
// busy after Ring. A later leg (the next ring of a hung-up call-back) takes the
// place of an earlier one, whose digits count no more.
func (k *Desk) Place(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, leg ringfence.LegID) (ringfence.TN, error) {
	if leg == "" {
		return "", errors.New("callback: a leg needs its id before it is placed")
	}
	var to ringfence.TN
	err := k.change(ctx, tenant, id, func(d *verify.Draft, p *private) error {
		to = ringfence.TN(d.Contact.Value)
		p.Placed, p.Fresh, p.Spoken, p.Trying = leg, nil, false, nil
		d.Leg = leg
		return nil
	})
	return to, err
}

// Fresh chooses two digits for this try, after the answer. They are spoken on
// leg only. Earlier ones count no more.
func (k *Desk) Fresh(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, leg ringfence.LegID) ([]ringfence.SpeechPart, error) {
	var parts []ringfence.SpeechPart
	err := k.change(ctx, tenant, id, func(d *verify.Draft, p *private) error {
		if p.Placed == "" || p.Placed != leg {
			return ErrOver
		}
		code := verify.Digits(FreshDigits)
		p.Fresh = verify.CodeMAC(k.m.pepper, "callback-fresh/"+string(leg), d.ID, code)
		p.Spoken, p.Trying = false, nil
		parts = spoken(code)
		return nil
	})
	return parts, err
}

// Spoken says that the fresh digits were played to their end: from here on
// keys count.
func (k *Desk) Spoken(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, leg ringfence.LegID) error {
	return k.change(ctx, tenant, id, func(d *verify.Draft, p *private) error {
		if p.Placed != leg || len(p.Fresh) == 0 {
			return ErrOver
		}
		p.Spoken = true
		d.Present()
		return nil
	})
}

// Keyed judges what was keyed on the placed leg: the two fresh digits, then the
// four of the carry code. A star anywhere rejects. Digits before Spoken void
// the try. After a wrong try with tries left, ask Fresh again.
func (k *Desk) Keyed(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, leg ringfence.LegID, digits ringfence.Secret) (verify.Result, error) {
	star := false
	for _, d := range digits {
		star = star || d == Star
	}
	mine, early := false, true
	_, res, err := k.v.Change(ctx, tenant, id, func(d *verify.Draft) error {
		p, err := read(d.Private)
		if err != nil {
			return err
		}
		mine, early = p.Placed != "" && p.Placed == leg, !p.Spoken
		if mine && !star {
			// The digits serve one comparison, whatever comes of it.
			p.Trying, p.Fresh, p.Spoken = p.Fresh, nil, false
			d.Private = p.secret()
		}
		return nil
	})
	switch {
	case err != nil:
		return verify.Result{}, err
	case res.Outcome != verify.OutcomeOpen:
		return res, nil
	case !mine:
		res.Outcome = verify.OutcomeClosed
		return res, nil
	case star:
		return k.v.Reject(ctx, tenant, id)
	}
	return k.v.Submit(ctx, tenant, id, verify.Answer{Leg: leg, Value: digits, Early: early})
}

func (k *Desk) change(ctx context.Context, tenant ringfence.TenantID, id ringfence.ChallengeID, f func(*verify.Draft, *private) error) error {
	ran := false
	_, _, err := k.v.Change(ctx, tenant, id, func(d *verify.Draft) error {
		ran = true
		p, err := read(d.Private)
		if err != nil {
			return err
		}
		if err := f(d, &p); err != nil {
			return err
		}
		d.Private = p.secret()
		return nil
	})
	if err == nil && !ran {
		return ErrOver
	}
	return err
}
