package gate

import (
	"context"
	"errors"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// Suspend stops a contact point, an authenticator or a mandate of a subject at
// once, by one person with role supervisor, risk or admin: stopping never waits.
// It still counts against a downgrade, and what comes back is a C4 action with
// the field resume; a mandate has to be given anew.
func (g *Gate) Suspend(ctx context.Context, tenant ringfence.TenantID, subject ringfence.SubjectID, id string, by ringfence.PersonID, why string) error {
	if why == "" {
		return &InvalidError{Field: "why", Says: "is missing"}
	}
	if ringfence.ValidID(string(subject), ringfence.PrefixPerson) {
		return ErrNotFound // staff's passkeys end by a reset, which takes two
	}
	return g.desk(ctx, tenant, func(d desk) error {
		p, _, err := ledger.Read[ringfence.Person](ctx, d.tx, ledger.KindPerson, string(by))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if err != nil || !p.Has(ringfence.RoleSupervisor, d.now) && !p.Has(ringfence.RoleRisk, d.now) && !p.Has(ringfence.RoleAdmin, d.now) {
			return ErrForbidden
		}
		return d.setStatus(subject, id, ringfence.StatusActive, ringfence.StatusSuspended, "suspended", []Signature{{Person: by}}, map[string]string{"why": why})
	})
}

// setStatus moves a contact point or authenticator from one status to another;
// one that comes back is as young as a new one.
func (d desk) setStatus(subject ringfence.SubjectID, id string, from, to ringfence.Status, word string, by []Signature, data map[string]string) error {
	switch {
	case ringfence.ValidID(id, ringfence.PrefixContactPoint):
		c, version, err := ledger.Read[ringfence.ContactPoint](d.ctx, d.tx, ledger.KindContactPoint, id)
		if err != nil {
			return err
		}
		if c.Subject != subject {
			return ErrNotFound
		}
		if c.Status != from {
			return ErrConflict
		}
		c.Status, c.ChangedAt = to, d.now
		if err := d.putContact(c, version); err != nil {
			return err
		}
		return d.entry(ledger.Event("contact_point."+word), subject, id, by, data)
	case ringfence.ValidID(id, ringfence.PrefixAuthenticator):
		a, version, err := ledger.Read[ringfence.Authenticator](d.ctx, d.tx, ledger.KindAuthenticator, id)
		if err != nil {
			return err
		}
		if a.Subject != subject {
			return ErrNotFound
		}
		if a.Status != from {
			return ErrConflict
		}
		if to == ringfence.StatusActive && a.Type == ringfence.AuthRecovery {
			return ErrConflict // nobody knows which of them were used meanwhile: new ones are made
		}
		a.Status = to
		if to == ringfence.StatusActive {
			a.BoundAt, a.Failures = d.now, 0
		}
		if err := d.putAuthenticator(a, version); err != nil {
			return err
		}
		return d.entry(ledger.Event("authenticator."+word), subject, id, by, data)
	}
	if to != ringfence.StatusSuspended {
		return &InvalidError{Field: "id", Says: "is no contact point and no authenticator"}
	}
	return d.stopMandate(subject, id, from, by, data)
}
