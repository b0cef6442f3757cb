package passkey

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// KindInvite holds registration links; keys: link.
const KindInvite verify.Kind = "invite"

// Enroller stores a new authenticator in the transaction that spends its
// invite, and decides whether it may: cooling-off, second persons and notices
// are the gate's. An error keeps the invite unspent.
type Enroller interface {
	Enrol(ctx context.Context, tx verify.Tx, a ringfence.Authenticator) error
}

// EnrolFunc is a function as an Enroller.
type EnrolFunc func(ctx context.Context, tx verify.Tx, a ringfence.Authenticator) error

// Enrol implements Enroller.
func (f EnrolFunc) Enrol(ctx context.Context, tx verify.Tx, a ringfence.Authenticator) error {
	return f(ctx, tx, a)
}

// Invite is a one-time right to register one passkey.
type Invite struct {
	// Owner is whose passkey it will be: a subject's or a person's id.
	Owner  string             `json:"owner"`
	Tenant ringfence.TenantID `json:"tenant"`
	// Name is shown by the browser beside the passkey.
	Name      string               `json:"name"`
	By        []ringfence.PersonID `json:"by,omitempty"` // who invited; empty = on the machine itself
	ExpiresAt time.Time            `json:"expires_at"`
	SpentAt   time.Time            `json:"spent_at,omitzero"`
	Ceremony  *ceremony            `json:"ceremony,omitempty"`
	// Code is the hash of the carry code that the page asks for before it does
	// anything; nil asks for none. Tries counts wrong ones; the third ends the link.
	Code  []byte `json:"code,omitempty"`
	Tries int    `json:"tries,omitempty"`
	// Prove asks for a passkey that the owner has already, and makes none.
	Prove bool `json:"prove,omitempty"`
	// For is the action that the new passkey is for, opened by itself when it was
	// made; empty = none.
	For string `json:"for,omitempty"`
}

// NeedsCode reports whether the page has to ask for a carry code.
func (i Invite) NeedsCode() bool { return len(i.Code) > 0 }

// CodeTries is how many carry codes a link takes.
const CodeTries = 3

// Offer asks for a link. Its zero value, with an owner, is a plain one.
type Offer struct {
	Owner, Name string
	By          []ringfence.PersonID
	// Carry makes a carry code, which has to reach the owner on another way than
	// the link does.
	Carry bool
	Prove bool
	For   string
	// Keep runs in the transaction that stores the link; an error undoes it.
	Keep func(ctx context.Context, tx verify.Tx) error
}

// ErrTooManyInvites refuses a link while three of an hour are there already.
var ErrTooManyInvites = errors.New("passkey: too many links for one owner")

// Offer makes a link, and its carry code where one is asked for.
func (r *Registrar) Offer(ctx context.Context, tenant ringfence.TenantID, o Offer) (token, code ringfence.Secret, err error) {
	if o.Owner == "" {
		return nil, nil, errors.New("passkey: an invite without an owner")
	}
	token, hash := verify.Token(128)
	inv := Invite{Owner: o.Owner, Tenant: tenant, Name: o.Name, By: o.By, Prove: o.Prove, For: o.For}
	if o.Carry {
		code = verify.Digits(CarryDigits)
		inv.Code = carryHash(token, code)
	}
	err = r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		recent, err := tx.List(ctx, KindInvite, verify.Query{Key: "owner", Value: o.Owner, From: tx.Now().Add(InviteLife - time.Hour).UnixNano(), Limit: 3})
		if err != nil {
			return err
		}
		if len(recent) >= 3 {
			return ErrTooManyInvites
		}
		inv.ExpiresAt = tx.Now().Add(InviteLife)
		if err := saveInvite(ctx, tx, hash, 0, inv); err != nil {
			return err
		}
		if o.Keep != nil {
			if err := o.Keep(ctx, tx); err != nil {
				return err
			}
		}
		_, err = tx.Append(ctx, invited(inv))
		return err
	})
	return token, code, err
}

// invited is the entry of a new link.
func invited(inv Invite) verify.Entry {
	e := verify.Entry{Event: "person.invited", Object: inv.Owner}
	if ringfence.ValidID(inv.Owner, ringfence.PrefixSubject) {
		e = verify.Entry{Event: "authenticator.changed", Subject: ringfence.SubjectID(inv.Owner), Data: map[string]string{"what": "invited"}}
	}
	if len(inv.By) > 0 {
		e.Person = inv.By[0]
	}
	return e
}

// carryHash ties a carry code to its link: without the token, which is not
// stored, it cannot be searched.
func carryHash(token, code ringfence.Secret) []byte {
	return verify.Keyed(token, "invite", code)
}

// Unlock judges a carry code: one try, counted before it is compared. wrong is
// true while the link has tries left.
func (r *Registrar) Unlock(ctx context.Context, tenant ringfence.TenantID, token, code ringfence.Secret) (ok bool, left int, err error) {
	hash := verify.HashToken(token)
	var inv Invite
	err = r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		var version int64
		var err error
		ok = false
		if inv, version, err = loadInvite(ctx, tx, hash); err != nil {
			return err
		}
		if !inv.open(tx.Now()) {
			return verify.ErrNotFound
		}
		ok = !inv.NeedsCode()
		if ok {
			return nil
		}
		inv.Tries++
		return saveInvite(ctx, tx, hash, version, inv)
	})
	if errors.Is(err, verify.ErrNotFound) {
		return false, 0, nil
	}
	if err != nil || ok {
		return ok, 0, err
	}
	left = CodeTries - inv.Tries
	if subtle.ConstantTimeCompare(carryHash(token, code), inv.Code) != 1 {
		return false, left, nil
	}
	err = r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		inv, version, err := loadInvite(ctx, tx, hash)
		if err != nil || !inv.lasts(tx.Now()) { // the tries were counted above, this one too
			return errors.Join(err, ErrSpent)
		}
		inv.Code = nil // it is open from here on
		return saveInvite(ctx, tx, hash, version, inv)
	})
	return err == nil, left, err
}

// ErrSpent is returned for a link that ended while it was used.
var ErrSpent = errors.New("passkey: the link is over")

// Registrar runs registration ceremonies for the owners of invites, at one
// relying party.
type Registrar struct {
	store verify.Store
	party party
	enrol Enroller
}

// NewRegistrar returns a Registrar. Without an enroller nothing can be
// registered, so nil is refused.
func NewRegistrar(store verify.Store, rp RP, enrol Enroller) (*Registrar, error) {
	if store == nil || enrol == nil {
		return nil, errors.New("passkey: a registrar needs a store and an enroller")
	}
	p, err := newParty(rp)
	return &Registrar{store: store, party: p, enrol: enrol}, err
}

// Invite makes a registration link for an owner. The token, 128 bits, goes
// into the fragment of the link; only its SHA-256 is stored. It lives for
// InviteLife.
func (r *Registrar) Invite(ctx context.Context, tenant ringfence.TenantID, owner, name string, by ...ringfence.PersonID) (ringfence.Secret, error) {
	if owner == "" {
		return nil, errors.New("passkey: an invite without an owner")
	}
	token, hash := verify.Token(128)
	err := r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		inv := Invite{Owner: owner, Tenant: tenant, Name: name, By: by, ExpiresAt: tx.Now().Add(InviteLife)}
		if err := saveInvite(ctx, tx, hash, 0, inv); err != nil {
			return err
		}
		_, err := tx.Append(ctx, invited(inv))
		return err
	})
	return token, err
}

// Look reports whether the link can still be used, and for whom. It spends
// nothing.
func (r *Registrar) Look(ctx context.Context, tenant ringfence.TenantID, token ringfence.Secret) (Invite, bool, error) {
	var inv Invite
	open := false
	err := r.store.View(ctx, tenant, func(tx verify.Tx) error {
		var err error
		inv, _, err = loadInvite(ctx, tx, verify.HashToken(token))
		open = err == nil && inv.open(tx.Now())
		return err
	})
	if errors.Is(err, verify.ErrNotFound) {
		return Invite{}, false, nil
	}
	inv.Ceremony = nil
	if !open {
		inv = Invite{}
	}
	return inv, open, err
}

func (i Invite) open(now time.Time) bool {
	return i.lasts(now) && (!i.NeedsCode() || i.Tries < CodeTries)
}

func (i Invite) lasts(now time.Time) bool { return i.SpentAt.IsZero() && now.Before(i.ExpiresAt) }

// Begin returns PublicKeyCredentialCreationOptionsJSON for an open link that
// waits for no carry code, or PublicKeyCredentialRequestOptionsJSON when it asks
// for a passkey that is there already; ok is false for any other.
func (r *Registrar) Begin(ctx context.Context, tenant ringfence.TenantID, token ringfence.Secret) (options json.RawMessage, ok bool, err error) {
	hash := verify.HashToken(token)
	err = r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		options, ok = nil, false
		inv, version, err := loadInvite(ctx, tx, hash)
		if err != nil || !inv.open(tx.Now()) || inv.NeedsCode() {
			return err
		}
		list, err := verify.Authenticators(ctx, tx, ringfence.SubjectID(inv.Owner))
		if err != nil {
			return err
		}
		u, err := r.party.owner(inv.Owner, inv.Name, list)
		if err != nil {
			return err
		}
		if inv.Prove {
			var c ceremony
			if len(u.credentials) == 0 {
				return nil
			}
			if options, c, err = r.party.begin(u, []byte(hash), tx.Now()); err != nil {
				return err
			}
			inv.Ceremony, ok = &c, true
			return saveInvite(ctx, tx, hash, version, inv)
		}
		var exclude []protocol.CredentialDescriptor
		for _, c := range u.credentials {
			exclude = append(exclude, c.Descriptor())
		}
		creation, session, err := r.party.web.BeginRegistration(u, webauthn.WithExclusions(exclude))
		if err != nil {
			return fmt.Errorf("passkey: %v", plain(err))
		}
		if options, err = json.Marshal(creation.Response); err != nil {
			return err
		}
		inv.Ceremony = &ceremony{Session: session, Until: tx.Now().Add(2 * Ceremony)}
		ok = true
		return saveInvite(ctx, tx, hash, version, inv)
	})
	if errors.Is(err, verify.ErrNotFound) {
		return nil, false, nil
	}
	return options, ok, err
}

// Finish judges a registration and hands the new authenticator to the
// enroller, in the transaction that spends the link. ok is false when it was
// wrong: the ceremony is used up, the link is not.
func (r *Registrar) Finish(ctx context.Context, tenant ringfence.TenantID, token ringfence.Secret, body []byte) (a ringfence.Authenticator, ok bool, err error) {
	return r.FinishWith(ctx, tenant, token, body, nil)
}

// FinishWith is Finish with something more to do in the same transaction, once
// the passkey was made or proved; it may run more than once, and an error keeps
// the invite unspent.
func (r *Registrar) FinishWith(ctx context.Context, tenant ringfence.TenantID, token ringfence.Secret, body []byte,
	also func(context.Context, verify.Tx, Invite, ringfence.Authenticator) error) (a ringfence.Authenticator, ok bool, err error) {
	hash := verify.HashToken(token)
	err = r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		a, ok = ringfence.Authenticator{}, false
		inv, version, err := loadInvite(ctx, tx, hash)
		if err != nil || !inv.open(tx.Now()) || inv.NeedsCode() || inv.Ceremony == nil {
			return err
		}
		c := *inv.Ceremony
		inv.Ceremony = nil
		if inv.Prove {
			if a, ok, err = r.proved(ctx, tx, inv, c, hash, body); err == nil && ok && also != nil {
				err = also(ctx, tx, inv, a)
			}
			if ok {
				inv.SpentAt = tx.Now()
			}
			return errors.Join(err, saveInvite(ctx, tx, hash, version, inv))
		}
		cred, good := r.party.register(user{id: []byte(inv.Owner), name: inv.Name}, c, body, tx.Now())
		if good {
			secret, err := json.Marshal(cred)
			if err != nil {
				return err
			}
			a = ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Tenant: tenant,
				Subject: ringfence.SubjectID(inv.Owner), Type: ringfence.AuthPasskey, Secret: secret, Lane: lane(cred),
				BoundAt: tx.Now(), StoredAt: tx.Now(), SignCount: cred.Authenticator.SignCount, Status: ringfence.StatusActive, Invited: inv.By}
			if err := r.enrol.Enrol(ctx, tx, a); err != nil {
				return err
			}
			if also != nil {
				if err := also(ctx, tx, inv, a); err != nil {
					return err
				}
			}
			inv.SpentAt = tx.Now()
			ok = true
		}
		return saveInvite(ctx, tx, hash, version, inv)
	})
	if errors.Is(err, verify.ErrNotFound) {
		return ringfence.Authenticator{}, false, nil
	}
	return a, ok, err
}

// proved judges an assertion by a passkey that the owner of the link has
// already. A counter that went back suspends it.
func (r *Registrar) proved(ctx context.Context, tx verify.Tx, inv Invite, c ceremony, hash string, body []byte) (a ringfence.Authenticator, ok bool, err error) {
	list, err := verify.Authenticators(ctx, tx, ringfence.SubjectID(inv.Owner))
	if err != nil {
		return a, false, err
	}
	u, err := r.party.owner(inv.Owner, inv.Name, list)
	if err != nil {
		return a, false, err
	}
	f, good := r.party.finish(u, c, []byte(hash), body, tx.Now())
	if !good {
		return a, false, nil
	}
	one, _, here := u.holder(f.credential.ID)
	if !here {
		return a, false, nil
	}
	if err := moveOn(ctx, tx, one, f); err != nil {
		return a, false, err
	}
	if !f.credential.Authenticator.CloneWarning {
		return one, true, nil
	}
	_, err = tx.Append(ctx, verify.Entry{Event: "authenticator.suspended", Subject: ringfence.SubjectID(inv.Owner), Object: string(one.ID), Data: map[string]string{"why": "cloned"}})
	return a, false, err
}

// lane is where a passkey lives: a roaming key on USB, NFC or BLE only is a
// lane of its own, everything else is the handset.
func lane(c *webauthn.Credential) string {
	if c.Flags.BackupEligible || len(c.Transport) == 0 {
		return "handset"
	}
	for _, t := range c.Transport {
		if t == protocol.Internal || t == protocol.Hybrid {
			return "handset"
		}
	}
	return "roaming"
}

// register checks a registration: user verification, the exact relying party,
// the ceremony's own challenge.
func (p party) register(u user, c ceremony, body []byte, now time.Time) (*webauthn.Credential, bool) {
	if c.Session == nil || !now.Before(c.Until) || len(body) > maxBody || c.Session.UserVerification != protocol.VerificationRequired {
		return nil, false
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(body)
	if err != nil {
		return nil, false
	}
	cred, err := p.web.CreateCredential(u, *c.Session, parsed)
	if err != nil || !cred.Flags.UserVerified {
		return nil, false
	}
	return cred, true
}

func loadInvite(ctx context.Context, tx verify.Tx, hash string) (Invite, int64, error) {
	var inv Invite
	rec, err := tx.Get(ctx, KindInvite, hash)
	if err != nil {
		return inv, 0, err
	}
	if err := json.Unmarshal(rec.Body, &inv); err != nil {
		return inv, 0, errors.New("passkey: a damaged invite")
	}
	return inv, rec.Version, nil
}

func saveInvite(ctx context.Context, tx verify.Tx, hash string, version int64, inv Invite) error {
	body, err := json.Marshal(inv)
	if err != nil {
		return err
	}
	rec := verify.Record{Kind: KindInvite, ID: hash, Version: version, Body: body, Keys: map[string]string{"owner": inv.Owner}, Sort: inv.ExpiresAt.UnixNano()}
	return tx.Put(ctx, &rec)
}
