package passkey

import (
	"context"
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
}

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
		e := verify.Entry{Event: "person.invited", Object: owner}
		if ringfence.ValidID(owner, ringfence.PrefixSubject) {
			e = verify.Entry{Event: "authenticator.changed", Subject: ringfence.SubjectID(owner), Data: map[string]string{"what": "invited"}}
		}
		if len(by) > 0 {
			e.Person = by[0]
		}
		_, err := tx.Append(ctx, e)
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

func (i Invite) open(now time.Time) bool { return i.SpentAt.IsZero() && now.Before(i.ExpiresAt) }

// Begin returns PublicKeyCredentialCreationOptionsJSON for an open link; ok is
// false for any other.
func (r *Registrar) Begin(ctx context.Context, tenant ringfence.TenantID, token ringfence.Secret) (options json.RawMessage, ok bool, err error) {
	hash := verify.HashToken(token)
	err = r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		options, ok = nil, false
		inv, version, err := loadInvite(ctx, tx, hash)
		if err != nil || !inv.open(tx.Now()) {
			return err
		}
		list, err := verify.Authenticators(ctx, tx, ringfence.SubjectID(inv.Owner))
		if err != nil {
			return err
		}
		u, err := owner(inv.Owner, inv.Name, list)
		if err != nil {
			return err
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
	hash := verify.HashToken(token)
	err = r.store.Update(ctx, tenant, func(tx verify.Tx) error {
		a, ok = ringfence.Authenticator{}, false
		inv, version, err := loadInvite(ctx, tx, hash)
		if err != nil || !inv.open(tx.Now()) || inv.Ceremony == nil {
			return err
		}
		c := *inv.Ceremony
		inv.Ceremony = nil
		cred, good := r.party.register(user{id: []byte(inv.Owner), name: inv.Name}, c, body, tx.Now())
		if good {
			secret, err := json.Marshal(cred)
			if err != nil {
				return err
			}
			a = ringfence.Authenticator{ID: ringfence.NewID[ringfence.AuthenticatorID](ringfence.PrefixAuthenticator), Tenant: tenant,
				Subject: ringfence.SubjectID(inv.Owner), Type: ringfence.AuthPasskey, Secret: secret, Lane: lane(cred),
				BoundAt: tx.Now(), StoredAt: tx.Now(), SignCount: cred.Authenticator.SignCount, Status: ringfence.StatusActive}
			if err := r.enrol.Enrol(ctx, tx, a); err != nil {
				return err
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

// lane is where a passkey lives: a roaming key on USB, NFC or BLE only is a
// lane of its own, everything else is the handset (2-domain.md, 2.7).
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
	rec := verify.Record{Kind: KindInvite, ID: hash, Version: version, Body: body, Sort: inv.ExpiresAt.UnixNano()}
	return tx.Put(ctx, &rec)
}
