package gate

import (
	"context"
	"errors"
	"slices"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// A passkey of staff that was made on somebody's invitation counts for nothing
// until another keeper confirmed it (invariant 20):
//
//	invited by A ──made──▶ pending ──signed by B, who compared digits──▶ active
//	                          └──dropped by any keeper──▶ gone
//
// Whoever has the link can make the passkey, so A could have made it. B hears
// the digits from the person, on a way that A does not hold.

// keepers keep staff: they sign for persons and for their passkeys.
var keepers = []ringfence.Role{ringfence.RoleAdmin, ringfence.RoleRisk}

// staffWaits is the index of passkeys of staff that wait; its value is "staff".
const staffWaits = "waits"

// EnrolStaff stores a passkey that a member of staff made on an invitation, in
// the transaction that spends it, as pending. Only the first passkey of a
// founder, on the machine's own link, counts at once. A person who has one, or
// one that waits, is refused: what they have ends first (ResetStaff,
// DropStaffKey).
func (g *Gate) EnrolStaff(ctx context.Context, tx ledger.Tx, a ringfence.Authenticator) error {
	p, _, err := ledger.Read[ringfence.Person](ctx, tx, ledger.KindPerson, string(a.Subject))
	if err != nil {
		return err
	}
	had, err := staffKeys(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	inUse := slices.ContainsFunc(had, func(k ringfence.Authenticator) bool {
		return k.Status == ringfence.StatusActive || k.Status == ringfence.StatusPending
	})
	if inUse || p.Status != ringfence.StatusActive || a.Type != ringfence.AuthPasskey {
		return ErrForbidden
	}
	e := ledger.Entry{Event: "person.bound", Person: p.ID, Object: string(a.ID)}
	if p.Founder && len(had) == 0 && len(a.Invited) == 0 {
		a.Status = ringfence.StatusActive
		return g.enrol(ctx, tx, a, nil, e)
	}
	a.Status, e.Data = ringfence.StatusPending, map[string]string{"status": "pending", "fingerprint": Fingerprint(a.Secret)}
	return g.enrol(ctx, tx, a, map[string]string{staffWaits: "staff"}, e)
}

// staffKeys are the passkeys that a person has or had.
func staffKeys(ctx context.Context, tx ledger.Tx, id ringfence.PersonID) ([]ringfence.Authenticator, error) {
	all, err := ledger.Rows[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, bySubject(id))
	return slices.DeleteFunc(all, func(k ringfence.Authenticator) bool { return k.Type != ringfence.AuthPasskey }), err
}

// WaitingStaffKeys are the passkeys of staff that wait to be confirmed.
func WaitingStaffKeys(ctx context.Context, tx ledger.Tx) ([]ringfence.Authenticator, error) {
	all, err := ledger.Rows[ringfence.Authenticator](ctx, tx, ledger.KindAuthenticator, ledger.Query{Key: staffWaits, Value: "staff"})
	return slices.DeleteFunc(all, func(k ringfence.Authenticator) bool { return k.Status != ringfence.StatusPending }), err
}

// waiting is the passkey of a person that waits.
func (d desk) waiting(id ringfence.PersonID) (ringfence.Authenticator, int64, error) {
	had, err := staffKeys(d.ctx, d.tx, id)
	if err != nil {
		return ringfence.Authenticator{}, 0, err
	}
	i := slices.IndexFunc(had, func(k ringfence.Authenticator) bool { return k.Status == ringfence.StatusPending })
	if i < 0 {
		return ringfence.Authenticator{}, 0, ErrNotFound
	}
	return ledger.Read[ringfence.Authenticator](d.ctx, d.tx, ledger.KindAuthenticator, string(had[i].ID))
}

// StaffKeyMessage is the 32 bytes that a keeper signs to confirm a passkey.
func StaffKeyMessage(tenant ringfence.TenantID, a ringfence.Authenticator) ([32]byte, error) {
	return message("staff_key", tenant, struct {
		Person        ringfence.SubjectID
		Authenticator ringfence.AuthenticatorID
		Fingerprint   string
	}{a.Subject, a.ID, Fingerprint(a.Secret)})
}

// Confirms reports whether a person may confirm a passkey as far as it is about
// who made it: nobody confirms their own, nor one that they invited. Whose role
// and passkey count is judged with the signature.
func (g *Gate) Confirms(a ringfence.Authenticator, by ringfence.PersonID) bool {
	invited := slices.Contains(a.Invited, by)
	return by != "" && string(a.Subject) != string(by) && (!invited || g.cfg.SingleOperator)
}

// ConfirmStaffKey lets the passkey of a person count that waits, by the
// signature of a keeper over StaffKeyMessage. check is the digits that the
// keeper was told. It refuses with ErrForbidden whoever may not, and a
// signature that does not verify.
func (g *Gate) ConfirmStaffKey(ctx context.Context, tenant ringfence.TenantID, id ringfence.PersonID, check string, sig Signature) error {
	return g.desk(ctx, tenant, func(d desk) error {
		p, _, err := ledger.Read[ringfence.Person](ctx, d.tx, ledger.KindPerson, string(id))
		if err != nil {
			return err
		}
		a, version, err := d.waiting(id)
		if err != nil {
			return err
		}
		msg, err := StaffKeyMessage(tenant, a)
		if err != nil {
			return err
		}
		print := Fingerprint(a.Secret)
		if p.Status != ringfence.StatusActive || check != CheckDigits(print) || !g.Confirms(a, sig.Person) {
			return ErrForbidden
		}
		if err := d.signed(msg, 1, []Signature{sig}, keepers...); err != nil {
			return err
		}
		a.Status, a.BoundAt = ringfence.StatusActive, d.now
		if err := d.putAuthenticator(a, version); err != nil {
			return err
		}
		return d.entry("person.confirmed", "", string(a.ID), []Signature{sig}, map[string]string{"person": string(id), "fingerprint": print})
	})
}

// DropStaffKey forgets the passkey of a person that waits, by one keeper:
// stopping never waits.
func (g *Gate) DropStaffKey(ctx context.Context, tenant ringfence.TenantID, id, by ringfence.PersonID) error {
	return g.desk(ctx, tenant, func(d desk) error {
		if err := d.keeper(by); err != nil {
			return err
		}
		a, version, err := d.waiting(id)
		if err != nil {
			return err
		}
		if err := d.tx.Delete(ctx, ledger.KindAuthenticator, string(a.ID), version); err != nil {
			return err
		}
		return d.entry("person.unconfirmed", "", string(a.ID), []Signature{{Person: by}}, map[string]string{"person": string(id), "fingerprint": Fingerprint(a.Secret)})
	})
}

// keeper refuses whoever does not keep staff now.
func (d desk) keeper(id ringfence.PersonID) error {
	p, _, err := ledger.Read[ringfence.Person](d.ctx, d.tx, ledger.KindPerson, string(id))
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if !slices.ContainsFunc(keepers, func(r ringfence.Role) bool { return err == nil && p.Has(r, d.now) }) {
		return ErrForbidden
	}
	return nil
}
