package gate

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
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
//	fingerprint    SHA-256 in hexadecimal of the secret of the one that comes, which Bind brings
//
// From the first import on there is no other way to change either (2-domain.md, 2.10).
const Self = "ringfence"

// performable reports a release that the gate itself may execute now.
func (r row) performable() bool {
	return r.State == StateReady && r.Executor == Self && !r.Duress && r.Fields["fingerprint"] == ""
}

// perform executes a ready release of the gate's own: permitted, redeemed and
// executed in one transaction, after the same re-check as for any permit.
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
	err = t.apply(bind)
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
	if !ok || a.Like != policy.LikeContactChange && a.Like != policy.LikeAuthenticatorReset {
		return &InvalidError{Field: "type", Says: "is no change of the directory"}
	}
	// Everything is found before anything is written.
	var contact ringfence.ContactPoint
	var old ringfence.Authenticator
	var contactVersion, oldVersion int64
	var err error
	if id := t.r.Fields["contact"]; id != "" {
		contact, contactVersion, err = ledger.Read[ringfence.ContactPoint](t.ctx, t.tx, ledger.KindContactPoint, id)
		if gone := missing(err) || err == nil && (contact.Subject != t.r.Subject || contact.Status == ringfence.StatusRemoved); gone || err != nil {
			return unless(gone, err, "contact")
		}
	}
	if id := t.r.Fields["authenticator"]; id != "" {
		old, oldVersion, err = ledger.Read[ringfence.Authenticator](t.ctx, t.tx, ledger.KindAuthenticator, id)
		if gone := missing(err) || err == nil && (old.Subject != t.r.Subject || old.Status == ringfence.StatusRemoved); gone || err != nil {
			return unless(gone, err, "authenticator")
		}
	}
	data := func() map[string]string { return map[string]string{"release": string(t.r.ID)} }
	did := false
	if contact.ID != "" {
		contact.Status, contact.RemovedAt = ringfence.StatusRemoved, t.now
		if err := d.putContact(contact, contactVersion); err != nil {
			return err
		}
		if err := d.entry("contact_point.removed", t.r.Subject, string(contact.ID), nil, data()); err != nil {
			return err
		}
		did = true
	}
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
		if err := d.addContact(c, map[ringfence.SubjectID]bool{t.r.Subject: true}); err != nil {
			return err
		}
		did = true
	}
	if old.ID != "" {
		old.Status, old.RemovedAt = ringfence.StatusRemoved, t.now
		if err := d.putAuthenticator(old, oldVersion); err != nil {
			return err
		}
		if err := d.entry("authenticator.removed", t.r.Subject, string(old.ID), nil, data()); err != nil {
			return err
		}
		did = true
	}
	if bind != nil {
		bind.Tenant, bind.Subject, bind.Status = t.r.Tenant, t.r.Subject, ringfence.StatusActive
		bind.BoundAt, bind.StoredAt, bind.RemovedAt, bind.Failures = t.now, t.now, time.Time{}, 0
		if err := d.addAuthenticator(*bind); err != nil {
			return err
		}
		did = true
	}
	if !did {
		return &InvalidError{Says: "the action names nothing to change"}
	}
	return nil
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
	sum := sha256.Sum256(a.Secret)
	var v Verdict
	r, err := g.changeJudging(ctx, tenant, id, func(t *turn) (err error) {
		want := t.r.Fields["fingerprint"]
		switch {
		case t.r.Executor != Self || want == "":
			return ErrForbidden
		case t.r.State != StateReady || t.r.Duress:
			return stateError(t.r.State)
		case subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(want)) != 1 || t.r.Fields["type"] != string(a.Type):
			return ErrForbidden
		}
		fresh := a
		v, err = t.perform(&fresh)
		return err
	})
	return r, v, err
}
