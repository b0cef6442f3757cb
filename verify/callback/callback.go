// Package callback is the call that we place to a contact point on file, and
// the read-back that follows on the same leg.
//
// A call-back is answered by two things that nobody has in one place by
// accident: a carry code of four digits that the first leg was told, and two
// fresh digits that are chosen after the answer and spoken only on the leg we
// placed. A voicemail greeting may repeat a code it was told; it cannot repeat
// digits it has not heard, and digits that come before they were spoken void
// the try (invariant 16).
//
//	leg 1: "note 4 8 2 7"        placed leg: "7 1 … now key 7 1 and the code"
//	                                          ◀── 7 1 4 8 2 7        satisfied
//	                                          ◀── *                  rejected
//	                                          read-back, "for yes press 6"
//	                                          ◀── 6                  confirmed
//
// It proves that somebody at the number on file heard this request and keyed
// the code. It does not prove who is on the other line (invariant 34), and it is
// no NIST out-of-band authenticator: restricted, transaction-approving.
//
// The room holds no code in clear: it tells each once, as secret SpeechParts.
package callback

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// The numbers of this method.
const (
	// HeldLife is the code's life while the first leg waits; HungUpLife when the
	// first leg hung up and will be rung back.
	HeldLife   = 3 * time.Minute
	HungUpLife = 10 * time.Minute
	// CarryDigits are heard on leg 1, FreshDigits on the leg we placed. Six
	// digits in all, three tries: 3 in 10^6 for who knows neither, 3 in 100 for a
	// machine that was told the carry code and plays it.
	CarryDigits = 4
	FreshDigits = 2
	// Ring is how long the placed leg rings.
	Ring = 30 * time.Second
)

// Star is the key of "I did not ask for this".
const Star = '*'

// Method is the call-back method. Make it with New; Desk drives it.
type Method struct {
	pepper ringfence.Secret
}

// New returns the method; the pepper is verify's.
func New(pepper ringfence.Secret) (*Method, error) {
	if len(pepper) < 32 {
		return nil, errors.New("callback: the pepper needs 32 bytes or more")
	}
	return &Method{pepper: pepper}, nil
}

// Spec implements verify.Method. Only telephones; the caps of calls apply.
func (m *Method) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactCallback, Strength: ringfence.StrengthCallback,
		Contact: []ringfence.ContactType{ringfence.ContactMobile, ringfence.ContactLandline},
		Life:    HeldLife, MaxLife: HungUpLife, Calls: true}
}

// private is the method's part of a challenge.
type private struct {
	Carry []byte `json:"carry"`
	// Placed is the only leg that counts; empty until one is placed.
	Placed ringfence.LegID `json:"placed,omitempty"`
	// Fresh are the digits chosen for this leg and this try. Spoken reports that
	// they were played to their end. Trying takes them for the one comparison.
	Fresh  []byte `json:"fresh,omitempty"`
	Spoken bool   `json:"spoken,omitempty"`
	Trying []byte `json:"trying,omitempty"`
}

func read(s ringfence.Secret) (p private, err error) {
	if err := json.Unmarshal(s, &p); err != nil {
		return private{}, errors.New("callback: the challenge was not issued")
	}
	return p, nil
}

func (p private) secret() ringfence.Secret {
	b, err := json.Marshal(p)
	if err != nil {
		panic("callback: " + err.Error()) // the type always marshals
	}
	return b
}

// Prepare implements verify.Issuer: it chooses the carry code and tells it to
// the first leg.
func (m *Method) Prepare(d *verify.Draft) (verify.Issue, error) {
	code := verify.Digits(CarryDigits)
	d.Private = private{Carry: verify.CodeMAC(m.pepper, "callback-carry", d.ID, code)}.secret()
	return verify.Issue{Tell: spoken(code)}, nil
}

// spoken is a code as it may be heard on one leg and stand nowhere else.
func spoken(code ringfence.Secret) []ringfence.SpeechPart {
	return []ringfence.SpeechPart{{As: ringfence.SayDigits, Text: string(code), Slow: true, Secret: true}}
}

// Check implements verify.Method: fresh digits and carry code, both always
// compared.
func (m *Method) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	p, err := read(a.Private)
	if err != nil {
		return verify.Verdict{}, err
	}
	keyed := a.Answer.Value
	if !verify.AllDigits(keyed, FreshDigits+CarryDigits) {
		keyed = make(ringfence.Secret, FreshDigits+CarryDigits) // not digits: matches nothing
	}
	fresh := verify.MatchCode(m.pepper, "callback-fresh/"+string(p.Placed), a.Challenge.ID, keyed[:FreshDigits], p.Trying)
	carry := verify.MatchCode(m.pepper, "callback-carry", a.Challenge.ID, keyed[FreshDigits:], p.Carry)
	return verify.Verdict{OK: fresh && carry && p.Placed != "" && a.Answer.Leg == p.Placed}, nil
}
