package passkey

import (
	"bytes"
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

// KindCeremony holds begun staff ceremonies under the SHA-256 of their handle;
// finishing one, well or badly, deletes it.
const KindCeremony verify.Kind = "ceremony"

// kindPerson and kindAuthenticator are the directory's (ledger/kinds.go).
const (
	kindPerson        verify.Kind = "person"
	kindAuthenticator verify.Kind = "authenticator"
)

// Staff logs people in and lets them sign with their own passkeys, at the
// staff listener's relying party. There are no passwords.
type Staff struct {
	store verify.Store
	party party
}

// NewStaff returns a Staff.
func NewStaff(store verify.Store, rp RP) (*Staff, error) {
	if store == nil {
		return nil, errors.New("passkey: no store")
	}
	p, err := newParty(rp)
	return &Staff{store: store, party: p}, err
}

// staffCeremony is a begun ceremony with what it is for.
type staffCeremony struct {
	ceremony
	Purpose string             `json:"purpose"`
	Person  ringfence.PersonID `json:"person,omitempty"`
	Message [32]byte           `json:"message"`
}

// loginPurpose is the purpose of a login; no signature may name it.
const loginPurpose = "login"

// BeginLogin starts a login in which the authenticator says whose it is. It
// asks for no name, so that it can tell nobody who works here.
func (s *Staff) BeginLogin(ctx context.Context, tenant ringfence.TenantID) (handle ringfence.Secret, options json.RawMessage, err error) {
	challenge, random, err := bind([]byte(loginPurpose))
	if err != nil {
		return nil, nil, err
	}
	assertion, session, err := s.party.web.BeginDiscoverableLogin(webauthn.WithChallenge(challenge), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, fmt.Errorf("passkey: %v", plain(err))
	}
	if options, err = json.Marshal(assertion.Response); err != nil {
		return nil, nil, err
	}
	handle, err = s.keep(ctx, tenant, staffCeremony{ceremony: ceremony{Session: session, Random: random}, Purpose: loginPurpose})
	return handle, options, err
}

// FinishLogin judges a login and returns the active person it proved. ok is
// false for anything wrong, without saying what. A counter that went back
// suspends the passkey.
func (s *Staff) FinishLogin(ctx context.Context, tenant ringfence.TenantID, handle ringfence.Secret, body []byte) (p ringfence.Person, ok bool, err error) {
	c, found, err := s.spend(ctx, tenant, handle)
	if err != nil || !found || c.Purpose != loginPurpose || len(body) > maxBody {
		return ringfence.Person{}, false, err
	}
	parsed, perr := protocol.ParseCredentialRequestResponseBytes(body)
	if perr != nil || !ringfence.ValidID(string(parsed.Response.UserHandle), ringfence.PrefixPerson) {
		return ringfence.Person{}, false, nil
	}
	id := ringfence.PersonID(parsed.Response.UserHandle)
	// From here on it is the ceremony of a known user.
	c.Session.UserID = []byte(id)
	_, p, ok, err = s.judge(ctx, tenant, c, id, []byte(loginPurpose), body, "person.signed_in")
	return p, ok, err
}

// BeginSign starts a signature of an active person over a 32-byte message
// (itself a hash with its own domain in front). purpose is one word for the
// record: approval, bundle, publish, …
func (s *Staff) BeginSign(ctx context.Context, tenant ringfence.TenantID, person ringfence.PersonID, purpose string, message [32]byte) (handle ringfence.Secret, options json.RawMessage, err error) {
	if purpose == "" || purpose == loginPurpose || message == [32]byte{} {
		return nil, nil, errors.New("passkey: a signature needs a purpose and a message")
	}
	var c staffCeremony
	err = s.store.View(ctx, tenant, func(tx verify.Tx) error {
		_, u, err := s.person(ctx, tx, person)
		if err != nil {
			return err
		}
		if len(u.credentials) == 0 {
			return verify.ErrNotFound
		}
		options, c.ceremony, err = s.party.begin(u, message[:], tx.Now())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	c.Purpose, c.Person, c.Message = purpose, person, message
	handle, err = s.keep(ctx, tenant, c)
	return handle, options, err
}

// FinishSign judges a signature: same person, same purpose, same message, user
// verified. Each handle is judged once.
func (s *Staff) FinishSign(ctx context.Context, tenant ringfence.TenantID, person ringfence.PersonID, purpose string, message [32]byte, handle ringfence.Secret, body []byte) (verify.Signature, bool, error) {
	c, found, err := s.spend(ctx, tenant, handle)
	if err != nil || !found || c.Purpose != purpose || c.Purpose == loginPurpose || c.Person != person || c.Message != message {
		return verify.Signature{}, false, err
	}
	sig, _, ok, err := s.judge(ctx, tenant, c, person, message[:], body, "key.used")
	if !ok || err != nil {
		return verify.Signature{}, false, err
	}
	sig.Purpose, sig.Message = purpose, message
	return sig, true, nil
}

// judge checks an assertion of a person and moves the counter on, with its
// entry, in one transaction.
func (s *Staff) judge(ctx context.Context, tenant ringfence.TenantID, c staffCeremony, id ringfence.PersonID, message, body []byte, event verify.Event) (sig verify.Signature, p ringfence.Person, ok bool, err error) {
	err = s.store.Update(ctx, tenant, func(tx verify.Tx) error {
		sig, ok = verify.Signature{}, false
		person, u, err := s.person(ctx, tx, id)
		if errors.Is(err, verify.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		f, good := s.party.finish(u, c.ceremony, message, body, tx.Now())
		if !good {
			return nil
		}
		one, _, here := u.holder(f.credential.ID)
		if !here {
			return nil
		}
		if err := moveOn(ctx, tx, one, f); err != nil {
			return err
		}
		e := verify.Entry{Event: event, Person: id, Object: string(one.ID), Data: map[string]string{"purpose": c.Purpose}}
		if f.credential.Authenticator.CloneWarning {
			e.Event = "authenticator.suspended"
			e.Data["why"] = "cloned"
		} else {
			p, ok = person, true
			sig = signature(id, one.ID, c, f, tx.Now())
		}
		_, err = tx.Append(ctx, e)
		return err
	})
	if err != nil || !ok {
		return verify.Signature{}, ringfence.Person{}, false, err
	}
	return sig, p, true, nil
}

// moveOn stores the new counter and flags, or suspends a cloned passkey.
func moveOn(ctx context.Context, tx verify.Tx, a ringfence.Authenticator, f found) error {
	rec, err := tx.Get(ctx, kindAuthenticator, string(a.ID))
	if err != nil {
		return err
	}
	if f.credential.Authenticator.CloneWarning {
		a.Status = ringfence.StatusSuspended
	} else {
		a.SignCount = f.credential.Authenticator.SignCount
		if a.Secret, err = json.Marshal(f.credential); err != nil {
			return err
		}
	}
	if rec.Body, err = json.Marshal(a); err != nil {
		return err
	}
	return tx.Put(ctx, &rec)
}

func signature(id ringfence.PersonID, aut ringfence.AuthenticatorID, c staffCeremony, f found, now time.Time) verify.Signature {
	raw := f.parsed.Raw.AssertionResponse
	return verify.Signature{Person: id, Authenticator: aut, Random: c.Random, Credential: f.credential.ID, PublicKey: f.credential.PublicKey,
		ClientDataJSON: raw.ClientDataJSON, AuthenticatorData: raw.AuthenticatorData, Signature: raw.Signature, At: now}
}

// Verify checks a signature again, as an auditor does: the person's own key,
// user verified, over exactly the message, at this relying party.
func Verify(rp RP, s verify.Signature) error {
	p, err := newParty(rp)
	if err != nil {
		return err
	}
	u := user{id: []byte(s.Person), credentials: []webauthn.Credential{{ID: s.Credential, PublicKey: s.PublicKey}}}
	if len(s.AuthenticatorData) > 32 { // the flags of the signature itself: there is no registration to compare with
		u.credentials[0].Flags.BackupEligible = s.AuthenticatorData[32]&byte(protocol.FlagBackupEligible) != 0
	}
	body, err := json.Marshal(map[string]any{"id": encode(s.Credential), "rawId": encode(s.Credential), "type": "public-key",
		"response": map[string]any{"clientDataJSON": encode(s.ClientDataJSON), "authenticatorData": encode(s.AuthenticatorData), "signature": encode(s.Signature)}})
	if err != nil {
		return err
	}
	session := &webauthn.SessionData{Challenge: encode(challengeOf(s.Random, s.Message[:])), RelyingPartyID: rp.ID,
		UserID: []byte(s.Person), AllowedCredentialIDs: [][]byte{s.Credential}, UserVerification: protocol.VerificationRequired}
	if _, ok := p.finish(u, ceremony{Session: session, Random: s.Random, Until: s.At.Add(time.Second)}, s.Message[:], body, s.At); !ok {
		return fmt.Errorf("passkey: the signature of %s does not verify", s.Person)
	}
	return nil
}

// CheckApproval returns the gate's check of an approval: the assertion is the
// JSON of a verify.Signature, by exactly this stored passkey, with user
// verification, over exactly this message, at this relying party.
func CheckApproval(rp RP) (func(ctx context.Context, a ringfence.Authenticator, message [32]byte, assertion []byte) error, error) {
	p, err := newParty(rp)
	if err != nil {
		return nil, err
	}
	wrong := errors.New("passkey: the approval is not signed by this passkey over this message")
	return func(_ context.Context, a ringfence.Authenticator, message [32]byte, assertion []byte) error {
		var s verify.Signature
		if len(assertion) > maxBody || json.Unmarshal(assertion, &s) != nil || s.Message != message || s.Authenticator != a.ID ||
			string(s.Person) != string(a.Subject) {
			return wrong
		}
		u, err := p.owner(string(s.Person), "", []ringfence.Authenticator{a})
		if err != nil || len(u.credentials) != 1 || !bytes.Equal(u.credentials[0].ID, s.Credential) ||
			!bytes.Equal(u.credentials[0].PublicKey, s.PublicKey) {
			return wrong
		}
		return Verify(rp, s)
	}, nil
}

// person reads an active person and their active passkeys.
func (s *Staff) person(ctx context.Context, tx verify.Tx, id ringfence.PersonID) (ringfence.Person, user, error) {
	var p ringfence.Person
	rec, err := tx.Get(ctx, kindPerson, string(id))
	if err != nil {
		return p, user{}, err
	}
	if err := json.Unmarshal(rec.Body, &p); err != nil {
		return p, user{}, fmt.Errorf("person %s: %v", id, err)
	}
	if p.Status != ringfence.StatusActive {
		return p, user{}, verify.ErrNotFound
	}
	list, err := verify.Authenticators(ctx, tx, ringfence.SubjectID(id))
	if err != nil {
		return p, user{}, err
	}
	u, err := s.party.owner(string(id), p.Name, list)
	return p, u, err
}

// keep stores a begun ceremony and returns its handle.
func (s *Staff) keep(ctx context.Context, tenant ringfence.TenantID, c staffCeremony) (ringfence.Secret, error) {
	handle, hash := verify.Token(128)
	err := s.store.Update(ctx, tenant, func(tx verify.Tx) error {
		c.Until = tx.Now().Add(Ceremony)
		body, err := json.Marshal(c)
		if err != nil {
			return err
		}
		rec := verify.Record{Kind: KindCeremony, ID: hash, Body: body, Sort: c.Until.UnixNano()}
		if c.Person != "" {
			rec.Keys = map[string]string{"person": string(c.Person)}
		}
		return tx.Put(ctx, &rec)
	})
	return handle, err
}

// EndCeremonies forgets the signatures that a person has begun.
func EndCeremonies(ctx context.Context, tx verify.Tx, person ringfence.PersonID) error {
	return verify.DeleteAll(ctx, tx, KindCeremony, verify.Query{Key: "person", Value: string(person)})
}

// spend takes a ceremony out of the store; nobody can take it again.
func (s *Staff) spend(ctx context.Context, tenant ringfence.TenantID, handle ringfence.Secret) (c staffCeremony, found bool, err error) {
	err = s.store.Update(ctx, tenant, func(tx verify.Tx) error {
		c, found = staffCeremony{}, false
		rec, err := tx.Get(ctx, KindCeremony, verify.HashToken(handle))
		if errors.Is(err, verify.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(rec.Body, &c); err != nil {
			return errors.New("passkey: a damaged ceremony")
		}
		found = tx.Now().Before(c.Until) && c.Session != nil
		return tx.Delete(ctx, rec.Kind, rec.ID, rec.Version)
	})
	return c, found, err
}
