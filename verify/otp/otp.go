// Package otp checks one-time codes: those that we send by SMS (possession
// over the telephone network, strength P−, restricted in the sense of NIST SP
// 800-63B) and those of an authenticator app (RFC 6238, strength P).
//
// An SMS code is six even digits, never stored: what stands in the challenge
// is HMAC-SHA-256 under the pepper over challenge id and code. It never travels
// by e-mail or to voicemail (ASVS 6.3.6), and its message shows the action it
// is for.
//
// A TOTP code is generated for the steps before, at and after now and compared
// with all three in constant time; the step that matched must be above the last
// one used, in the same transaction that satisfies (invariant 6).
package otp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// Life of an SMS code: 5 min, at most 10 (NIST SP 800-63B-4; ASVS 6.5.5).
const (
	Life    = 5 * time.Minute
	MaxLife = 10 * time.Minute
	// CodeDigits gives 19.9 bits (ASVS 6.5.4: at least 6 digits).
	CodeDigits = 6
)

// SMS is the method of codes sent by SMS. Make it with NewSMS.
type SMS struct {
	pepper ringfence.Secret
	firm   string
	text   func(firm, says string, fields []verify.Field, language string, code []byte) string
}

// NewSMS returns the method; firm names us in the message and is required.
func NewSMS(pepper ringfence.Secret, firm string) (*SMS, error) {
	if len(pepper) < 32 {
		return nil, errors.New("otp: the pepper needs 32 bytes or more")
	}
	if firm == "" || strings.ContainsAny(firm, "\r\n") {
		return nil, errors.New("otp: the firm needs a name that people know it by")
	}
	return &SMS{pepper: pepper, firm: firm, text: compose}, nil
}

// Spec implements verify.Method.
func (m *SMS) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactOTP, Strength: ringfence.StrengthPSTN, Contact: []ringfence.ContactType{ringfence.ContactMobile},
		Life: Life, MaxLife: MaxLife, PresentOnSend: true}
}

type sms struct {
	MAC []byte `json:"mac"`
}

// Prepare implements verify.Issuer.
func (m *SMS) Prepare(d *verify.Draft) (verify.Issue, error) {
	code := verify.Digits(CodeDigits)
	private, err := json.Marshal(sms{MAC: verify.CodeMAC(m.pepper, "otp", d.ID, code)})
	if err != nil {
		return verify.Issue{}, fmt.Errorf("otp: %v", err)
	}
	d.Private = private
	text := m.text(m.firm, d.Says, d.Fields, d.Language, code)
	verify.Wipe(code)
	return verify.Issue{Message: verify.Message{Kind: verify.MessageCode, Channel: verify.ChannelSMS, Text: ringfence.Secret(text)}}, nil
}

// Check implements verify.Method.
func (m *SMS) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	var p sms
	if err := json.Unmarshal(a.Private, &p); err != nil {
		return verify.Verdict{}, errors.New("otp: the challenge holds no code")
	}
	code := a.Answer.Value
	return verify.Verdict{OK: verify.MatchCode(m.pepper, "otp", a.Challenge.ID, code, p.MAC) && verify.AllDigits(code, CodeDigits)}, nil
}

// compose writes the message: what is being approved first, every field whole,
// the code once, and whom it is for.
func compose(firm, says string, fields []verify.Field, language string, code []byte) string {
	german := language == "de" || strings.HasPrefix(language, "de-")
	var b strings.Builder
	b.WriteString(firm + ": ")
	if says != "" {
		if german {
			b.WriteString("Es geht um: ")
		} else {
			b.WriteString("This is to ")
		}
		b.WriteString(says + ". ")
	}
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s. ", strings.ReplaceAll(f.Name, "_", " "), f.Value)
	}
	if german {
		fmt.Fprintf(&b, "Code %s nur am Telefon eintippen, nie jemandem sagen. Nicht von Ihnen? Auflegen.", code)
	} else {
		fmt.Fprintf(&b, "Key %s on the phone only. Never tell anyone, nor our staff. Not you? Hang up.", code)
	}
	return b.String()
}
