package gate

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// Self is the executor of changes to contact points and authenticators: the
// gate itself. Such an action names what it changes by its fields:
//
//	contact        the contact point that goes
//	value          the number or address that comes (a tn or email field of any name)
//	type           mobile or landline for a tn; mobile when there is no such field
//	authenticator  the authenticator that goes
//	resume         the suspended contact point or authenticator that comes back, as young as a new one
//	fingerprint    SHA-256 in hexadecimal of the secret of the one that comes: pending already, or brought by Bind
//	check          six digits of the fingerprint, for people to compare
//	kind           what sort of thing it is that goes or comes back: mobile, passkey, …
//	ending         the last two characters of the number or address that goes
//	since          the day since which it counts
//	mandate        the mandate that ends
//	representative who gets a mandate, by name; person is their id, for the type of action, limit and until its bounds
//
// What only names something (contact, authenticator, resume, mandate, person) may
// be secret: then nobody has to hear it. kind, ending and since must say what
// stands on file.
//
// A secret digits field of any other name is a new PIN that the caller keys on a
// call. The release holds its fingerprint only.
//
// From the first import on there is no other way to change either.
const Self = "ringfence"

// performable reports a release that the gate itself may execute now.
func (r row) performable() bool {
	return r.State == StateReady && r.Executor == Self && (r.Fields["fingerprint"] == "" || r.Enrols != "")
}

// perform executes a ready release of the gate's own: permitted, redeemed and
// executed in one transaction, after the same re-check as for any permit. Under
// duress all of it is appearance.
func (t *turn) perform(bind *ringfence.Authenticator) (Verdict, error) {
	v, wait, err := t.decideTwice()
	if err != nil || wait {
		return v, err
	}
	by := Actor{Client: Self}
	if v.Decision != Allow {
		return v, t.fallBack(v, by)
	}
	t.r.Permit = ringfence.NewID[ringfence.PermitID](ringfence.PrefixPermit)
	for _, to := range []State{StatePermitted, StateRedeemed} {
		if err := t.move(to, by, "the directory is the gate's own"); err != nil {
			return v, err
		}
	}
	var bad *InvalidError
	err = t.inAppearance(func(t *turn) error { return t.apply(bind) })
	if errors.As(err, &bad) {
		return v, t.move(StateExecFailed, by, bad.Error())
	} else if err != nil {
		return v, err
	}
	return v, t.move(StateExecuted, by, "")
}

// apply changes the directory. A removed thing keeps its row: it still counts
// against a downgrade until its cooling-off has passed.
func (t *turn) apply(bind *ringfence.Authenticator) error {
	d := desk{g: t.g, ctx: t.ctx, tx: t.tx, tenant: t.r.Tenant, now: t.now}
	a, ok := t.pinned().Action(t.r.Type)
	if !ok || !changesDirectory(a.Like) {
		return &InvalidError{Field: "type", Says: "is no change of the directory"}
	}
	if t.r.Barred != "" {
		return &InvalidError{Says: "the new secret is " + t.r.Barred}
	}
	changes, err := t.changes(d, a, bind)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if err := change(); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return &InvalidError{Says: "the action names nothing to change"}
	}
	return nil
}

// changes lists what the fields name. Everything is found before anything is
// written.
func (t *turn) changes(d desk, a *policy.Action, bind *ringfence.Authenticator) (out []func() error, err error) {
	goes, err := t.leaving(d)
	if err != nil {
		return nil, err
	}
	comes := t.comingContacts(d, a)
	if a.Like == policy.LikeFirstAuthenticator && len(goes)+len(comes) > 0 {
		return nil, &InvalidError{Field: "type", Says: "adds a first authenticator and changes nothing else"}
	}
	acts, err := t.mandates(d, a)
	if err != nil {
		return nil, err
	}
	out = slices.Concat(goes, comes, acts)
	switch {
	case bind != nil:
		out = append(out, func() error {
			bind.Tenant, bind.Subject, bind.Status = t.r.Tenant, t.r.Subject, ringfence.StatusActive
			bind.BoundAt, bind.StoredAt, bind.RemovedAt, bind.Failures = t.now, t.now, time.Time{}, 0
			return d.addAuthenticator(*bind, map[string]string{"release": string(t.r.ID)})
		})
	case t.r.Enrols != "":
		want := t.r.Fields["fingerprint"]
		for _, f := range a.Carries {
			if kept(f) {
				want = t.r.Fields[f.Name]
			}
		}
		out = append(out, func() error { return t.bindPending(d, want) })
	}
	return out, nil
}

// leaving lists what goes, and what comes back from a suspension.
func (t *turn) leaving(d desk) (out []func() error, err error) {
	data := map[string]string{"release": string(t.r.ID)}
	if id := t.r.Fields["contact"]; id != "" {
		c, version, err := ledger.Read[ringfence.ContactPoint](t.ctx, t.tx, ledger.KindContactPoint, id)
		if gone := missing(err) || err == nil && (c.Subject != t.r.Subject || c.Status == ringfence.StatusRemoved); gone || err != nil {
			return nil, unless(gone, err, "contact")
		}
		out = append(out, func() error {
			c.Status, c.RemovedAt = ringfence.StatusRemoved, t.now
			if err := d.putContact(c, version); err != nil {
				return err
			}
			return d.entry("contact_point.removed", t.r.Subject, id, nil, data)
		})
	}
	if id := t.r.Fields["authenticator"]; id != "" {
		old, _, err := ledger.Read[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, id)
		if gone := missing(err) || err == nil && (old.Subject != t.r.Subject || old.Status == ringfence.StatusRemoved); gone || err != nil {
			return nil, unless(gone, err, "authenticator")
		}
		out = append(out, func() error { return t.removeAuthenticator(d, old.ID) })
	}
	if id := t.r.Fields["resume"]; id != "" {
		out = append(out, func() error {
			err := d.setStatus(t.r.Subject, id, ringfence.StatusSuspended, ringfence.StatusActive, "changed", nil, data)
			if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
				return &InvalidError{Field: "resume", Says: "is not suspended for this subject"}
			}
			return err
		})
	}
	return out, nil
}

// comingContacts lists the numbers and addresses that come.
func (t *turn) comingContacts(d desk, a *policy.Action) (out []func() error) {
	for _, f := range a.Carries {
		c := ringfence.ContactPoint{ID: ringfence.NewID[ringfence.ContactPointID](ringfence.PrefixContactPoint), Tenant: t.r.Tenant,
			Subject: t.r.Subject, Type: ringfence.ContactMobile, Value: t.r.Fields[f.Name], Source: string(t.r.ID),
			VerifiedAt: t.now, ChangedAt: t.now, StoredAt: t.now, Status: ringfence.StatusActive}
		switch f.Type.Base {
		case policy.BaseTN:
			if t.r.Fields["type"] == string(ringfence.ContactLandline) {
				c.Type = ringfence.ContactLandline
			}
		case policy.BaseEmail:
			c.Type = ringfence.ContactEmail
		default:
			continue
		}
		out = append(out, func() error { return d.addContact(c, map[ringfence.SubjectID]bool{t.r.Subject: true}) })
	}
	return out
}

func missing(err error) bool { return errors.Is(err, ledger.ErrNotFound) }

// unless turns a thing that is not there into a finding about its field.
func unless(gone bool, err error, field string) error {
	if gone {
		return &InvalidError{Field: field, Says: "is not on file for this subject"}
	}
	return err
}

// Bind adds the authenticator whose secret's SHA-256 the released action
// names, and so executes the action.
func (g *Gate) Bind(ctx context.Context, tenant ringfence.TenantID, id ringfence.ReleaseID, a ringfence.Authenticator) (Release, Verdict, error) {
	if !ringfence.ValidID(string(a.ID), ringfence.PrefixAuthenticator) {
		return Release{}, Verdict{}, &InvalidError{Field: "id", Says: "is no identifier of an authenticator"}
	}
	var v Verdict
	r, err := g.changeJudging(ctx, tenant, id, func(t *turn) (err error) {
		want := t.r.Fields["fingerprint"]
		switch {
		case t.r.Executor != Self || want == "" || t.r.Enrols != "":
			return ErrForbidden
		case t.r.State != StateReady:
			return stateError(t.r.State)
		case subtle.ConstantTimeCompare([]byte(Fingerprint(a.Secret)), []byte(want)) != 1 || t.r.Fields["type"] != string(a.Type):
			return ErrForbidden
		}
		fresh := a
		v, err = t.perform(&fresh)
		return err
	})
	return r, v, err
}
