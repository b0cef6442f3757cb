package verify_test

import (
	"bytes"
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// word is a stand-in method: the answer is the authenticator's secret.
// "duress" and "clone" behind it play those verdicts; "step N" plays a TOTP.
type word struct {
	quiet bool
	check func() // called before each comparison
	err   error
}

func (w word) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactTOTP, Strength: ringfence.StrengthPossess, Authenticator: ringfence.AuthTOTP,
		Life: 2 * time.Minute, MaxLife: 5 * time.Minute, Quiet: w.quiet}
}

func (w word) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	if w.check != nil {
		w.check()
	}
	if w.err != nil {
		return verify.Verdict{}, w.err
	}
	for _, one := range a.Authenticators {
		said, more, _ := bytes.Cut(a.Answer.Value, []byte(" "))
		if !bytes.Equal(said, one.Secret) {
			continue
		}
		v := verify.Verdict{OK: true, Authenticator: one.ID}
		switch {
		case string(more) == "duress":
			v.Duress = true
		case string(more) == "clone":
			v = verify.Verdict{Cloned: true, Authenticator: one.ID}
		case len(more) > 0:
			v.Step, _ = strconv.ParseInt(string(more), 10, 64)
		}
		return v, nil
	}
	return verify.Verdict{}, nil
}

// letter is a stand-in method that sends a code.
type letter struct{}

func (letter) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactOTP, Strength: ringfence.StrengthPSTN, Contact: []ringfence.ContactType{ringfence.ContactMobile},
		Life: 5 * time.Minute, MaxLife: 10 * time.Minute, PresentOnSend: true}
}

func (letter) Prepare(d *verify.Draft) (verify.Issue, error) {
	code := verify.Digits(6)
	d.Private = verify.CodeMAC(verifytest.Pepper, "letter", d.ID, code)
	return verify.Issue{Message: verify.Message{Kind: verify.MessageCode, Channel: verify.ChannelSMS, Text: append(ringfence.Secret("code "), code...)}}, nil
}

func (letter) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	return verify.Verdict{OK: verify.MatchCode(verifytest.Pepper, "letter", a.Challenge.ID, a.Answer.Value, a.Private)}, nil
}

// scene is a world with one customer who has both.
type scene struct {
	*verifytest.World
	v       *verify.Verifier
	subject ringfence.SubjectID
	aut     ringfence.AuthenticatorID
	mobile  ringfence.ContactPointID
	release ringfence.ReleaseID
	call    ringfence.TraversalID
}

func newScene(tb testing.TB, m verify.Method) *scene {
	tb.Helper()
	w := verifytest.New(tb)
	s := &scene{World: w, subject: w.Subject("10002000"), release: verifytest.Release(), call: verifytest.Traversal()}
	s.aut = w.Authenticator(string(s.subject), ringfence.AuthTOTP, ringfence.Secret("swordfish"))
	s.mobile = w.Contact(s.subject, ringfence.ContactMobile, "447700900123")
	s.v = w.Verifier(m, letter{})
	return s
}

func (s *scene) request(fact ringfence.Fact) verify.Request {
	return verify.Request{Traversal: s.call, Subject: s.subject, Method: fact, Release: s.release, Digest: verifytest.Digest(1)}
}

// presented makes a challenge that takes answers.
func (s *scene) presented(q verify.Request) verify.Challenge {
	s.TB.Helper()
	c := s.create(q)
	if _, err := s.v.Present(s.TB.Context(), verifytest.Tenant, c.ID); err != nil {
		s.TB.Fatal(err)
	}
	return c
}

func (s *scene) create(q verify.Request) verify.Challenge {
	s.TB.Helper()
	c, err := s.v.Create(s.TB.Context(), verifytest.Tenant, q)
	if err != nil {
		s.TB.Fatal(err)
	}
	return c
}

// issued makes and sends a letter.
func (s *scene) issued(q verify.Request) verify.Challenge {
	s.TB.Helper()
	c := s.create(q)
	out, err := s.v.Issue(s.TB.Context(), verifytest.Tenant, c.ID)
	if err != nil {
		s.TB.Fatal(err)
	}
	return out.Challenge
}

func (s *scene) submit(id ringfence.ChallengeID, answer string) verify.Result {
	s.TB.Helper()
	r, err := s.v.Submit(s.TB.Context(), verifytest.Tenant, id, verify.Answer{Value: ringfence.Secret(answer)})
	if err != nil {
		s.TB.Fatal(err)
	}
	return r
}

func (s *scene) state(id ringfence.ChallengeID) verify.State {
	s.TB.Helper()
	c, err := s.v.Lookup(s.TB.Context(), verifytest.Tenant, id)
	if err != nil {
		s.TB.Fatal(err)
	}
	return c.State
}

func want[T comparable](tb testing.TB, what string, have, want T) {
	tb.Helper()
	if have != want {
		tb.Errorf("%s: have %v, want %v", what, have, want)
	}
}
