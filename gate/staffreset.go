package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
)

// KindStaffReset holds StaffReset by the id of the person it is for.
const KindStaffReset ledger.Kind = "staff_reset"

// resetLife is how long a request waits for the second keeper.
const resetLife = 7 * 24 * time.Hour

// StaffReset is one keeper's request that the passkeys of a member of staff end.
// Another keeper signs it (invariant 20).
type StaffReset struct {
	Person ringfence.PersonID          `json:"person"`
	By     ringfence.PersonID          `json:"by"`
	Why    string                      `json:"why"`
	Keys   []ringfence.AuthenticatorID `json:"keys"` // that end by it
	At     time.Time                   `json:"at"`
}

// StaffResetMessage is the 32 bytes that the second keeper signs.
func StaffResetMessage(tenant ringfence.TenantID, r StaffReset) ([32]byte, error) {
	r.At = r.At.UTC()
	return message("staff_reset", tenant, r)
}

// AskStaffReset keeps the request of a keeper that the passkeys of a person end.
// A new request takes the place of an older one. ErrForbidden for whoever does
// not keep staff, and for one's own.
func (g *Gate) AskStaffReset(ctx context.Context, tenant ringfence.TenantID, id, by ringfence.PersonID, why string) error {
	if why = strings.TrimSpace(why); why == "" {
		return &InvalidError{Field: "why", Says: "is missing"}
	}
	return g.desk(ctx, tenant, func(d desk) error {
		if err := d.keeper(by); err != nil {
			return err
		}
		if id == by {
			return ErrForbidden
		}
		keys, err := d.endable(id)
		if err != nil {
			return err
		}
		_, version, err := ledger.Read[StaffReset](ctx, d.tx, KindStaffReset, string(id))
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		r := StaffReset{Person: id, By: by, Why: why, Keys: keys, At: d.now}
		if err := d.put(KindStaffReset, string(id), version, "", nil, r); err != nil {
			return err
		}
		return d.entry("person.reset_asked", "", string(id), []Signature{{Person: by}}, map[string]string{"why": why})
	})
}

// endable are the passkeys of an active person that have not ended yet.
func (d desk) endable(id ringfence.PersonID) (out []ringfence.AuthenticatorID, err error) {
	p, _, err := ledger.Read[ringfence.Person](d.ctx, d.tx, ledger.KindPerson, string(id))
	if err != nil {
		return nil, err
	}
	if p.Status != ringfence.StatusActive {
		return nil, ErrConflict
	}
	keys, err := staffKeys(d.ctx, d.tx, id)
	for _, k := range keys {
		if k.Status != ringfence.StatusRemoved {
			out = append(out, k.ID)
		}
	}
	slices.Sort(out)
	if err == nil && len(out) == 0 {
		err = ErrConflict // an invitation is enough
	}
	return out, err
}

// StaffResets are the requests that wait for a second keeper.
func StaffResets(ctx context.Context, tx ledger.Tx) ([]StaffReset, error) {
	all, err := ledger.Rows[StaffReset](ctx, tx, KindStaffReset, ledger.Query{})
	return slices.DeleteFunc(all, func(r StaffReset) bool { return tx.Now().Sub(r.At) > resetLife }), err
}

// SignsReset reports whether a person may sign a request as far as it is about
// who asked: not whoever did, and nobody for themselves.
func (g *Gate) SignsReset(r StaffReset, by ringfence.PersonID) bool {
	return by != "" && by != r.Person && (by != r.By || g.cfg.SingleOperator)
}

// ResetStaff ends the passkeys that a request names, by the signature of a keeper
// over StaffResetMessage. also runs in the same transaction; nil does nothing.
// Whoever asked has to keep staff still, and no other passkey may have been
// bound meanwhile: ErrConflict.
func (g *Gate) ResetStaff(ctx context.Context, tenant ringfence.TenantID, id ringfence.PersonID, sig Signature, also func(context.Context, ledger.Tx) error) error {
	return g.desk(ctx, tenant, func(d desk) error {
		r, version, err := ledger.Read[StaffReset](ctx, d.tx, KindStaffReset, string(id))
		if err != nil {
			return err
		}
		if d.now.Sub(r.At) > resetLife {
			return ErrNotFound
		}
		msg, err := StaffResetMessage(tenant, r)
		if err != nil {
			return err
		}
		if !g.SignsReset(r, sig.Person) {
			return ErrForbidden
		}
		if err := errors.Join(d.keeper(r.By), d.signed(msg, 1, []Signature{sig}, keepers...)); err != nil {
			return err
		}
		now, err := d.endable(id)
		if err != nil {
			return err
		}
		if !slices.Equal(now, r.Keys) {
			return ErrConflict
		}
		for _, key := range r.Keys {
			if err := d.endStaffKey(key); err != nil {
				return err
			}
		}
		if err := d.tx.Delete(ctx, KindStaffReset, string(id), version); err != nil {
			return err
		}
		if also != nil {
			if err := also(ctx, d.tx); err != nil {
				return err
			}
		}
		data := map[string]string{"asked_by": string(r.By), "why": r.Why}
		return d.entry("person.reset", "", string(id), []Signature{sig}, data)
	})
}

// endStaffKey marks a passkey as removed. It stays on file: what follows it is no
// first passkey.
func (d desk) endStaffKey(id ringfence.AuthenticatorID) error {
	a, version, err := ledger.Read[ringfence.Authenticator](d.ctx, d.tx, ledger.KindAuthenticator, string(id))
	if err != nil {
		return err
	}
	a.Status, a.RemovedAt = ringfence.StatusRemoved, d.now
	return d.putAuthenticator(a, version)
}

// DropStaffReset forgets a request, by one keeper.
func (g *Gate) DropStaffReset(ctx context.Context, tenant ringfence.TenantID, id, by ringfence.PersonID) error {
	return g.desk(ctx, tenant, func(d desk) error {
		if err := d.keeper(by); err != nil {
			return err
		}
		_, version, err := ledger.Read[StaffReset](ctx, d.tx, KindStaffReset, string(id))
		if err != nil {
			return err
		}
		if err := d.tx.Delete(ctx, KindStaffReset, string(id), version); err != nil {
			return err
		}
		return d.entry("person.reset_dropped", "", string(id), []Signature{{Person: by}}, nil)
	})
}
