package verify_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// counter is a stand-in for a passkey: the answer is its signature counter.
type counter struct{ typ ringfence.AuthenticatorType }

func (c counter) Spec() verify.Spec {
	return verify.Spec{Fact: ringfence.FactPasskey, Strength: ringfence.StrengthPossess, Authenticator: c.typ, Life: time.Minute, MaxLife: time.Minute}
}

func (counter) Check(_ context.Context, a verify.Attempt) (verify.Verdict, error) {
	n, err := strconv.ParseUint(string(a.Answer.Value), 10, 32)
	if err != nil || len(a.Authenticators) == 0 {
		return verify.Verdict{}, err
	}
	return verify.Verdict{OK: true, Authenticator: a.Authenticators[0].ID, SignCount: uint32(n)}, nil
}

// A counter that does not go on is no proof, unless there is none at all.
func TestSignCountGoesOn(t *testing.T) {
	for _, tt := range []struct {
		stored, shown uint32
		ok            bool
	}{{0, 0, true}, {0, 1, true}, {5, 6, true}, {5, 5, false}, {5, 4, false}, {5, 0, false}} {
		w := verifytest.New(t)
		sub := w.Subject("10002000")
		aut := w.Authenticator(string(sub), ringfence.AuthPasskey, ringfence.Secret("x"))
		a := w.ReadAuthenticator(aut)
		a.SignCount = tt.stored
		w.PutAuthenticator(a)
		s := &scene{World: w, subject: sub, release: verifytest.Release(), call: verifytest.Traversal(), v: w.Verifier(counter{ringfence.AuthPasskey})}
		c := s.presented(s.request(ringfence.FactPasskey))
		have := s.submit(c.ID, strconv.Itoa(int(tt.shown))).Outcome == verify.OutcomeSatisfied
		if have != tt.ok {
			t.Errorf("%d after %d: %v", tt.shown, tt.stored, have)
		}
		if now := w.ReadAuthenticator(aut).SignCount; now != max(tt.stored, tt.shown) {
			t.Errorf("%d after %d: kept as %d", tt.shown, tt.stored, now)
		}
	}
}

// A proofing counts from the moment it was done on, for its life.
func TestAgeOfAProofing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for age, want := range map[time.Duration]bool{-1: false, 0: true, verify.ProofedLife: true, verify.ProofedLife + 1: false} {
			s := newScene(t, word{})
			var ok bool
			err := s.Store.Update(t.Context(), verifytest.Tenant, func(tx ledger.Tx) (err error) {
				_, ok, err = s.v.Proofed(t.Context(), tx, verifytest.Tenant, verify.Proofed{Challenge: ringfence.NewID[ringfence.ChallengeID](ringfence.PrefixChallenge),
					Subject: s.subject, Release: s.release, Digest: verifytest.Digest(1), At: tx.Now().Add(-age)})
				return err
			})
			if err != nil || ok != want {
				t.Errorf("%s ago: %v, %v", age, ok, err)
			}
		}
	})
}

// A new epoch leaves no challenge open, and what was satisfied stays so.
func TestVoidAll(t *testing.T) {
	s := newScene(t, word{})
	done := s.presented(s.request(ringfence.FactTOTP))
	s.submit(done.ID, "swordfish")
	q := s.request(ringfence.FactTOTP)
	q.Release = verifytest.Release()
	open := s.presented(q)
	for range 2 {
		if err := s.v.VoidAll(t.Context(), verifytest.Tenant); err != nil {
			t.Fatal(err)
		}
		want(t, "open", s.state(open.ID), verify.StateCancelled)
		want(t, "satisfied", s.state(done.ID), verify.StateSatisfied)
	}
}
