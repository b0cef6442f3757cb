package passkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Method is the caller's passkey behind a link. Make it with New; the page is
// Page.
type Method struct {
	pepper ringfence.Secret
	firm   string
	link   string
	party  party
}

// Config is what the method is built from.
type Config struct {
	Pepper ringfence.Secret // as verify's
	// Firm names us in the message that carries the link.
	Firm string
	RP   RP
	// Link is the address of the caller's page on one of RP's origins; the token
	// is appended as its fragment, which browsers never send.
	Link string
}

// New returns the method. It refuses a link that is not on the relying party's
// own host, or that has a query or a fragment already.
func New(c Config) (*Method, error) {
	if len(c.Pepper) < 32 {
		return nil, errors.New("passkey: the pepper needs 32 bytes or more")
	}
	p, err := newParty(c.RP)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Link)
	if err != nil || u.Hostname() != c.RP.ID || u.Fragment != "" || u.RawQuery != "" || strings.Contains(c.Link, "#") {
		return nil, fmt.Errorf("passkey: the page %q is not a plain address on %s", c.Link, c.RP.ID)
	}
	if c.Firm == "" {
		return nil, errors.New("passkey: the firm needs a name that people know it by")
	}
	return &Method{pepper: c.Pepper, firm: c.Firm, link: c.Link, party: p}, nil
}

// Spec implements verify.Method. Presents: the page showed every field before
// the assertion could be made.
func (m *Method) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactPasskey, Strength: ringfence.StrengthPasskey, Authenticator: ringfence.AuthPasskey,
		Contact: []ringfence.ContactType{ringfence.ContactMobile, ringfence.ContactEmail},
		Life:    LinkLife, MaxLife: MaxLinkLife, Presents: true, OffLeg: true}
}

// private is the method's part of a challenge.
type private struct {
	Carry []byte `json:"carry"` // keyed hash of the carry code
	// Session is the SHA-256 of the secret that the page got for the right code.
	Session string `json:"session,omitempty"`
	// Open is the ceremony whose options the page holds; Trying is the one that
	// is being judged. Moving from one to the other uses it up.
	Open   *ceremony `json:"open,omitempty"`
	Trying *ceremony `json:"trying,omitempty"`
}

func read(s ringfence.Secret) (p private, err error) {
	if err := json.Unmarshal(s, &p); err != nil {
		return private{}, errors.New("passkey: the challenge was not issued")
	}
	return p, nil
}

func (p private) secret() ringfence.Secret {
	b, err := json.Marshal(p)
	if err != nil {
		panic("passkey: " + err.Error()) // the type always marshals
	}
	return b
}

// Prepare implements verify.Issuer: a link for the contact point, a carry code
// for the caller's ear.
func (m *Method) Prepare(d *verify.Draft) (verify.Issue, error) {
	token, hash := verify.Token(128)
	code := verify.Digits(CarryDigits)
	d.Link = hash
	d.Private = private{Carry: verify.CodeMAC(m.pepper, "passkey-carry", d.ID, code)}.secret()
	msg := verify.Message{Kind: verify.MessageLink, Channel: verify.ChannelSMS, Text: m.text(d.Language, token)}
	if d.Contact.Type == ringfence.ContactEmail {
		msg.Channel, msg.Subject = verify.ChannelEmail, m.firm
	}
	return verify.Issue{Tell: []ringfence.SpeechPart{{As: ringfence.SayDigits, Text: string(code), Slow: true, Secret: true}}, Message: msg}, nil
}

// text says nothing about the action or the subject (invariant 18).
func (m *Method) text(language string, token ringfence.Secret) ringfence.Secret {
	format := "%s: open this only if you are on the phone with us right now, and never pass it on: %s#%s"
	if language == "de" || strings.HasPrefix(language, "de-") {
		format = "%s: Nur öffnen, wenn Sie gerade mit uns telefonieren, und nie weitergeben: %s#%s"
	}
	return ringfence.Secret(fmt.Sprintf(format, m.firm, m.link, string(token)))
}

// message is what an assertion signs: the digest of the action; for a proof
// without one, the challenge's own id.
func message(c verify.Challenge) []byte {
	if c.Digest.Zero() {
		return []byte(c.ID)
	}
	return c.Digest[:]
}

// Check implements verify.Method.
func (m *Method) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	p, err := read(a.Private)
	if err != nil {
		return verify.Verdict{}, err
	}
	if p.Trying == nil || len(a.Authenticators) == 0 {
		return verify.Verdict{}, nil
	}
	u, err := m.party.owner(string(a.Challenge.Subject), "", a.Authenticators)
	if err != nil {
		return verify.Verdict{}, err
	}
	f, ok := m.party.finish(u, *p.Trying, message(a.Challenge), a.Answer.Value, a.Now)
	if !ok {
		return verify.Verdict{}, nil
	}
	return verdict(f, u)
}

// sameFlags compares what is stored of the flags. The library's type also holds
// the byte they came in, which is no part of a record and differs after reading.
func sameFlags(a, b webauthn.CredentialFlags) bool {
	return a.UserPresent == b.UserPresent && a.UserVerified == b.UserVerified &&
		a.BackupEligible == b.BackupEligible && a.BackupState == b.BackupState
}

// verdict turns a good assertion into what the core is to do with it. The
// record is written anew only when more than the counter changed.
func verdict(f found, u user) (verify.Verdict, error) {
	one, before, ok := u.holder(f.credential.ID)
	if !ok {
		return verify.Verdict{}, nil
	}
	if f.credential.Authenticator.CloneWarning {
		return verify.Verdict{Cloned: true, Authenticator: one.ID}, nil
	}
	v := verify.Verdict{OK: true, Authenticator: one.ID, SignCount: f.credential.Authenticator.SignCount}
	if !sameFlags(f.credential.Flags, before.Flags) {
		body, err := json.Marshal(f.credential)
		if err != nil {
			return verify.Verdict{}, fmt.Errorf("passkey: %v", err)
		}
		v.Secret = body
	}
	return v, nil
}
