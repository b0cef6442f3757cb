// Package passkey runs WebAuthn ceremonies: the caller's passkey on the page
// behind a link, and staff passkeys for logging in and for signing.
//
// The words are W3C WebAuthn's: a ceremony, a relying party, user
// verification, a user handle. The picture a newcomer needs:
//
//	call:  "enter 4 8 2 7" ──┐                 link by SMS or e-mail
//	                         ▼                          │
//	page:  inert ──carry code──▶ action in full ──tap──▶ assertion ──▶ Evidence
//	                                   └── "I did not ask for this" ──▶ rejected
//
// A link is a 128-bit token in the fragment of the URL, stored as SHA-256; a
// GET spends nothing, and the page shows nothing about the action before the
// carry code that the caller heard. The WebAuthn challenge is 32 random bytes ‖
// SHA-256(random ‖ action), made anew for every ceremony and used once. User
// verification is always required, the form is always that of a known user for
// a step-up, and a signature counter that goes back suspends the credential
// (WebAuthn, section 7.2, step 22).
//
// It refuses relying party ids that are not one exact host, origins that are
// neither HTTPS nor localhost, and says of a bad assertion only that it is
// wrong.
package passkey

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/ringfence/ringfence"
)

// The numbers of this method.
const (
	// Ceremony is how long an assertion may take; WebAuthn, section 13.4.3,
	// wants challenges short-lived.
	Ceremony = 120 * time.Second
	// LinkLife and MaxLinkLife bound the link.
	LinkLife    = 5 * time.Minute
	MaxLinkLife = 10 * time.Minute
	// InviteLife is how long a registration link may be used.
	InviteLife = 15 * time.Minute
	// CarryDigits is the length of the code that the caller hears and types.
	CarryDigits = 4
	// maxBody bounds the JSON of an assertion or registration, in bytes.
	maxBody = 64 << 10
)

// RP is one relying party: one host, whose passkeys work nowhere else. The
// caller's page and the staff console are two.
type RP struct {
	// ID is the exact host name, e.g. "verify.acme.example" or "localhost";
	// never an IP address, never a parent domain.
	ID string
	// Origins are the full origins whose host is exactly ID.
	Origins []string
	// Name is shown by the browser.
	Name string
}

// party is a checked RP.
type party struct {
	web   *webauthn.WebAuthn
	known *credentials
}

func newParty(rp RP) (party, error) {
	if rp.ID == "" || net.ParseIP(rp.ID) != nil || rp.Name == "" || len(rp.Origins) == 0 {
		return party{}, fmt.Errorf("passkey: relying party %q: give a host name (no address), a name and its origins", rp.ID)
	}
	for _, o := range rp.Origins {
		u, err := url.Parse(o)
		switch {
		case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			return party{}, fmt.Errorf("passkey: %q is not an origin; write scheme://host[:port]", o)
		case u.Hostname() != rp.ID:
			return party{}, fmt.Errorf("passkey: origin %q is not on the relying party's exact host %q", o, rp.ID)
		case u.Scheme != "https" && !(u.Scheme == "http" && rp.ID == "localhost"):
			return party{}, fmt.Errorf("passkey: origin %q needs https", o)
		}
	}
	web, err := webauthn.New(&webauthn.Config{RPID: rp.ID, RPDisplayName: rp.Name, RPOrigins: rp.Origins,
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			UserVerification: protocol.VerificationRequired, ResidentKey: protocol.ResidentKeyRequirementPreferred},
	})
	if err != nil {
		return party{}, fmt.Errorf("passkey: relying party %q: %v", rp.ID, err)
	}
	return party{web: web, known: &credentials{}}, nil
}

// user is the owner of credentials as the library sees one.
type user struct {
	id          []byte
	name, label string
	credentials []webauthn.Credential
	// holders are the authenticators of the credentials, in the same order.
	holders []ringfence.Authenticator
}

func (u user) WebAuthnID() []byte                         { return u.id }
func (u user) WebAuthnName() string                       { return u.name }
func (u user) WebAuthnDisplayName() string                { return u.label }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// owner builds the user of an id from its active passkeys. The counter that
// counts is the authenticator's, which only moves on with a satisfaction.
func (p party) owner(id, name string, list []ringfence.Authenticator) (user, error) {
	u := user{id: []byte(id), name: name, label: name}
	for _, a := range list {
		if a.Type != ringfence.AuthPasskey || a.Status != ringfence.StatusActive {
			continue
		}
		c, err := p.known.parse(a.Secret)
		if err != nil {
			return user{}, fmt.Errorf("passkey: the credential of %s is damaged", a.ID)
		}
		c.Authenticator.SignCount = a.SignCount
		u.credentials = append(u.credentials, c)
		u.holders = append(u.holders, a)
	}
	return u, nil
}

// holder returns the authenticator that holds a credential, and the credential
// as it was before the ceremony.
func (u user) holder(credential []byte) (ringfence.Authenticator, webauthn.Credential, bool) {
	for i, c := range u.credentials {
		if bytes.Equal(c.ID, credential) {
			return u.holders[i], c, true
		}
	}
	return ringfence.Authenticator{}, webauthn.Credential{}, false
}

// ceremony is a begun ceremony as stored in a challenge or a row of its own.
// The session data holds the expected challenge and never leaves.
type ceremony struct {
	Session *webauthn.SessionData `json:"session"`
	Random  []byte                `json:"random,omitempty"`
	Until   time.Time             `json:"until"`
}

// bind returns the WebAuthn challenge for a message: 32 random bytes ‖
// SHA-256(random ‖ message).
func bind(message []byte) (challenge, random []byte, err error) {
	random = make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return nil, nil, fmt.Errorf("passkey: no randomness: %v", err)
	}
	return challengeOf(random, message), random, nil
}

func challengeOf(random, message []byte) []byte {
	h := sha256.New()
	h.Write(random)
	h.Write(message)
	return h.Sum(bytes.Clone(random))
}

// begin starts an assertion of a known user over message.
func (p party) begin(u user, message []byte, now time.Time) (json.RawMessage, ceremony, error) {
	challenge, random, err := bind(message)
	if err != nil {
		return nil, ceremony{}, err
	}
	opts := []webauthn.LoginOption{webauthn.WithChallenge(challenge), webauthn.WithUserVerification(protocol.VerificationRequired)}
	assertion, session, err := p.web.BeginLogin(u, opts...)
	if err != nil {
		return nil, ceremony{}, fmt.Errorf("passkey: %v", plain(err))
	}
	body, err := json.Marshal(assertion.Response)
	return body, ceremony{Session: session, Random: random, Until: now.Add(Ceremony)}, err
}

// found is what a good assertion proved.
type found struct {
	credential *webauthn.Credential
	parsed     *protocol.ParsedCredentialAssertionData
}

// finish checks an assertion against a ceremony over message. Anything wrong
// with it is ok = false and no reason: the library's own details carry the
// expected challenge.
func (p party) finish(u user, c ceremony, message, body []byte, now time.Time) (f found, ok bool) {
	if c.Session == nil || len(c.Random) != 32 || !now.Before(c.Until) || len(body) > maxBody {
		return found{}, false
	}
	if c.Session.UserVerification != protocol.VerificationRequired || c.Session.Challenge != encode(challengeOf(c.Random, message)) {
		return found{}, false
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(body)
	if err != nil {
		return found{}, false
	}
	cred, err := p.web.ValidateLogin(u, *c.Session, parsed)
	if err != nil || !parsed.Response.AuthenticatorData.Flags.HasUserVerified() {
		return found{}, false
	}
	return found{credential: cred, parsed: parsed}, true
}

// encode is base64url without padding, as the library writes challenges.
func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// plain drops the library's developer details, which may hold the challenge.
func plain(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return errors.New(strings.ToLower(e.Details))
	}
	return errors.New("ceremony refused")
}
