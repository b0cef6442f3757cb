package proofing

import (
	"context"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Provider is a service that proofs identities. Both calls end within 10 s; an
// error means that it could not be found out, and so no.
type Provider interface {
	Name() string
	// Begin opens a session and returns its id, and the link that the person opens.
	Begin(ctx context.Context, a Asked) (id, link string, err error)
	// Fetch asks the provider what came of a session. It returns only what the
	// provider itself has signed.
	Fetch(ctx context.Context, id string) (Finding, error)
}

// Asked is what a provider is told: what it should compare, and the action it
// should show, whole, before the person agrees.
type Asked struct {
	Binding string
	Says    string
	Fields  map[string]string
	Record  map[string]string
}

// Finding is what a provider signed. The zero value is nothing found.
type Finding struct {
	Session   string
	Binding   string
	Proofed   bool      // papers and face are genuine, and they are the person on file
	Presented bool      // the whole action was shown
	At        time.Time // when the person was proofed
}

// Result is what came of asking a provider.
type Result string

// The results. The empty value proves nothing.
const (
	ResultProofed Result = "proofed"
	ResultNot     Result = "not_proofed" // not, not yet, or not this person
)

// ErrNoProvider is returned where no provider is set up, or no session began.
var ErrNoProvider = errors.New("proofing: no provider is set up, or nothing began there")

// Begin opens a session at the provider for a release, in place of an earlier
// one, and returns the link for the person.
func (d *Desk) Begin(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) (link string, err error) {
	if d.provider == nil {
		return "", ErrNoProvider
	}
	m, err := d.matter(ctx, tenant, release)
	if err != nil {
		return "", err
	}
	s := session{Provider: d.provider.Name(), Binding: binding(tenant, m), Digest: m.Digest,
		Challenge: ringfence.NewID[ringfence.ChallengeID](ringfence.PrefixChallenge)}
	if s.ID, link, err = d.provider.Begin(ctx, Asked{Binding: s.Binding, Says: m.Says, Fields: m.Fields, Record: m.Record}); err != nil {
		return "", err
	}
	return link, d.update(ctx, tenant, release, func(tx verify.Tx, b *begun) error {
		b.Session = &s
		_, err := tx.Append(ctx, verify.Entry{Event: "challenge.issued", Subject: m.Subject, Release: release, Challenge: s.Challenge,
			Data: map[string]string{"method": string(ringfence.FactProofed), "provider": s.Provider}})
		return err
	})
}

func (d *Desk) matter(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) (m Matter, err error) {
	err = d.verifier.Store().View(ctx, tenant, func(tx verify.Tx) (err error) {
		m, err = d.judge(ctx, tx, tenant, release, nil)
		return err
	})
	return m, err
}

// Fetch asks the provider what came of the session of a release, and writes the
// Evidence when it is signed, names this session and this action, and is not
// older than a day. Each session counts once.
func (d *Desk) Fetch(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID) (Result, error) {
	if d.provider == nil {
		return "", ErrNoProvider
	}
	var s *session
	if err := d.verifier.Store().View(ctx, tenant, func(tx verify.Tx) error {
		b, _, err := load(ctx, tx, release)
		s = b.Session
		return err
	}); err != nil {
		return "", err
	}
	if s == nil || s.Provider != d.provider.Name() {
		return "", ErrNoProvider
	}
	f, err := d.provider.Fetch(ctx, s.ID)
	if err != nil {
		return "", err
	}
	if !f.Proofed || f.Session != s.ID || f.Binding != s.Binding || s.Binding == "" {
		return ResultNot, nil
	}
	return d.take(ctx, tenant, release, *s, f)
}

func (d *Desk) take(ctx context.Context, tenant ringfence.TenantID, release ringfence.ReleaseID, s session, f Finding) (out Result, err error) {
	err = d.update(ctx, tenant, release, func(tx verify.Tx, b *begun) error {
		out = ResultNot
		m, err := d.judge(ctx, tx, tenant, release, nil)
		if err != nil || b.Session == nil || b.Session.ID != s.ID || m.Digest != s.Digest {
			return err
		}
		_, ok, err := d.verifier.Proofed(ctx, tx, tenant, verify.Proofed{Challenge: s.Challenge, Subject: m.Subject, Release: release, Digest: m.Digest,
			At: f.At, Presented: f.Presented, Data: map[string]string{"by": "provider", "provider": s.Provider}})
		if ok {
			out, b.Session = ResultProofed, nil
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return out, nil
}
