package otp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	pquerna "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// The parameters of RFC 6238 that we use and accept.
const (
	// Period is the time step X of RFC 6238, section 4.1.
	Period = 30 * time.Second
	// Skew is the look-ahead and look-behind window in steps (RFC 6238, section
	// 5.2 recommends at most one).
	Skew = 1
	// SeedBytes is the length of a seed we make: 160 bits (RFC 4226, section 4,
	// R6); MinSeedBytes is the least we take from an import.
	SeedBytes    = 20
	MinSeedBytes = 16
)

// TOTP is the method of authenticator apps. The zero value is ready.
type TOTP struct{}

// Spec implements verify.Method.
func (TOTP) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactTOTP, Strength: ringfence.StrengthPossess, Authenticator: ringfence.AuthTOTP,
		Life: 2 * time.Minute, MaxLife: 5 * time.Minute}
}

// seed is what stands in ringfence.Authenticator.Secret. Fields are added,
// never renamed or removed.
type seed struct {
	V int `json:"v"`
	// Seed is base32 without padding, as apps take it.
	Seed      string `json:"seed"`
	Algorithm string `json:"algorithm"` // SHA1, SHA256, SHA512
	Digits    int    `json:"digits"`    // 6 or 8
}

// decoy is compared with when there is no authenticator, for the same work.
var decoy = seed{V: 1, Seed: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Algorithm: "SHA1", Digits: 6}

// Check implements verify.Method: it generates the codes of all steps in the
// window for each authenticator and compares the keyed one with every one of
// them. The key of a used code is its step, never the typed text.
func (TOTP) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	var v verify.Verdict
	list := a.Authenticators
	if len(list) == 0 {
		_, err := match(decoy, a.Answer.Value, a.Now)
		return verify.Verdict{}, err
	}
	for _, one := range list {
		s, err := parse(one.Secret)
		if err != nil {
			return verify.Verdict{}, fmt.Errorf("otp: the seed of %s is damaged", one.ID)
		}
		step, err := match(s, a.Answer.Value, a.Now)
		if err != nil {
			return verify.Verdict{}, fmt.Errorf("otp: the seed of %s is damaged", one.ID)
		}
		if step > one.LastStep && !v.OK {
			v = verify.Verdict{OK: true, Authenticator: one.ID, Step: step}
		}
	}
	return v, nil
}

// match returns the newest step in the window whose code is code; 0 for none.
func match(s seed, code []byte, now time.Time) (int64, error) {
	opts := hotp.ValidateOpts{Digits: pquerna.Digits(s.Digits), Algorithm: algorithms[s.Algorithm]}
	at := now.Unix() / int64(Period/time.Second)
	var found int64
	for step := at - Skew; step <= at+Skew; step++ {
		want, err := hotp.GenerateCodeCustom(s.Seed, uint64(step), opts)
		if err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare([]byte(want), code) == 1 {
			found = step
		}
	}
	return found, nil
}

var algorithms = map[string]pquerna.Algorithm{"SHA1": pquerna.AlgorithmSHA1, "SHA256": pquerna.AlgorithmSHA256, "SHA512": pquerna.AlgorithmSHA512}

// parse reads a stored seed and checks its bounds again: the library accepts
// an empty seed and one digit.
func parse(secret ringfence.Secret) (seed, error) {
	var s seed
	if err := json.Unmarshal(secret, &s); err != nil {
		return seed{}, errors.New("otp: no seed")
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s.Seed)
	_, known := algorithms[s.Algorithm]
	if err != nil || s.V != 1 || len(raw) < MinSeedBytes || s.Digits != 6 && s.Digits != 8 || !known {
		return seed{}, errors.New("otp: seed out of bounds")
	}
	return s, nil
}

// Enrolment is a new TOTP seed, before anything of it is stored.
type Enrolment struct {
	// Secret is what ringfence.Authenticator.Secret is to hold.
	Secret ringfence.Secret
	// URI is otpauth://… with the seed in it, for the subject's eyes and app
	// only; never logged.
	URI ringfence.Secret
}

// NewSeed makes a seed of 160 bits for an app that will show issuer and
// account. It counts only after Confirm.
func NewSeed(issuer, account string) (Enrolment, error) {
	raw := make([]byte, SeedBytes)
	if _, err := rand.Read(raw); err != nil {
		return Enrolment{}, fmt.Errorf("otp: no randomness: %v", err)
	}
	defer clear(raw)
	return enrol(issuer, account, raw)
}

// ImportSeed takes a base32 seed made elsewhere: SHA-1, 6 digits, 30 s, at
// least 128 bits. It never takes a URL, whose parameters are a stranger's.
func ImportSeed(base32Seed ringfence.Secret) (ringfence.Secret, error) {
	text := strings.ToUpper(strings.TrimRight(strings.ReplaceAll(string(base32Seed), " ", ""), "="))
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(raw) < MinSeedBytes {
		return nil, fmt.Errorf("otp: a seed is base32 of %d bytes or more", MinSeedBytes)
	}
	defer clear(raw)
	e, err := enrol("", "", raw)
	return e.Secret, err
}

func enrol(issuer, account string, raw []byte) (Enrolment, error) {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
	body, err := json.Marshal(seed{V: 1, Seed: text, Algorithm: "SHA1", Digits: 6})
	if err != nil {
		return Enrolment{}, fmt.Errorf("otp: %v", err)
	}
	q := url.Values{"secret": {text}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	uri := "otpauth://totp/" + url.PathEscape(issuer+":"+account) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
	return Enrolment{Secret: body, URI: ringfence.Secret(uri)}, nil
}

// Confirm reports whether code is the one that a new seed shows now, and the
// step it used up, so that the same code cannot be the first proof as well.
func Confirm(secret ringfence.Secret, code []byte, now time.Time) (step int64, ok bool) {
	s, err := parse(secret)
	if err != nil {
		return 0, false
	}
	step, err = match(s, code, now)
	return step, err == nil && step > 0
}

// Code returns the code that secret shows at now. It is what an authenticator
// app does: for demonstrations and tests, which play the subject.
func Code(secret ringfence.Secret, now time.Time) (ringfence.Secret, error) {
	s, err := parse(secret)
	if err != nil {
		return nil, err
	}
	code, err := hotp.GenerateCodeCustom(s.Seed, uint64(now.Unix()/int64(Period/time.Second)),
		hotp.ValidateOpts{Digits: pquerna.Digits(s.Digits), Algorithm: algorithms[s.Algorithm]})
	return ringfence.Secret(code), err
}
