package verify_test

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// Invariant 4: a challenge is satisfied at most once and gives one row.
func TestThousandSimultaneousAnswersSatisfyOnce(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		satisfied    int64
	}{{"all right", "swordfish", 1}, {"all wrong", "halibut", 0}} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, word{})
			ch := s.presented(s.request(ringfence.FactTOTP))
			var good, tried atomic.Int64
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					r, err := s.v.Submit(t.Context(), verifytest.Tenant, ch.ID, verify.Answer{Value: ringfence.Secret(c.answer)})
					if err != nil {
						t.Error(err)
					}
					if r.Satisfied() {
						good.Add(1)
					}
				})
			}
			wg.Wait()
			for _, e := range s.Events() {
				if e == "challenge.tried" {
					tried.Add(1)
				}
			}
			want(t, "satisfactions", good.Load(), c.satisfied)
			want(t, "evidence rows", int64(len(s.List(ledger.KindEvidence))), c.satisfied)
			if tried.Load() > 3 {
				t.Errorf("%d tries were counted, want at most 3", tried.Load())
			}
		})
	}
}

// Invariant 4, without the chain's own bound: many challenges, one subject.
func TestSimultaneousCallsMeetTheLock(t *testing.T) {
	var compared atomic.Int64
	s := newScene(t, word{check: func() { compared.Add(1) }})
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			q := verify.Request{Traversal: verifytest.Traversal(), Subject: s.subject, Method: ringfence.FactTOTP}
			c, err := s.v.Create(t.Context(), verifytest.Tenant, q)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.v.Present(t.Context(), verifytest.Tenant, c.ID); err != nil {
				t.Error(err)
			}
			if _, err := s.v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret("halibut")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f := s.ReadAuthenticator(s.aut).Failures; f != verify.LockAfter {
		t.Errorf("%d guesses reached the authenticator, want %d", f, verify.LockAfter)
	}
	want(t, "comparisons, all alike", compared.Load(), int64(200))
}

// Invariant 5: attempts are counted before comparison.
func TestCrashBetweenCountAndCompareCostsATry(t *testing.T) {
	crash := errors.New("crash")
	m := &crashing{}
	s := newScene(t, m)
	c := s.presented(s.request(ringfence.FactTOTP))
	m.err = crash
	for range 3 {
		if _, err := s.v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret("swordfish")}); !errors.Is(err, crash) {
			t.Fatalf("have %v, want the crash", err)
		}
	}
	m.err = nil
	r := s.submit(c.ID, "swordfish")
	want(t, "outcome", r.Outcome, verify.OutcomeFailed)
	want(t, "evidence", len(s.List(ledger.KindEvidence)), 0)
	want(t, "the authenticator's failures", s.ReadAuthenticator(s.aut).Failures, 3)
}

type crashing struct{ word }

// Invariants 5 and 21: the store fails at each commit in turn.
func TestStoreFailureAtEachCommitGrantsNothingTwice(t *testing.T) {
	for at := range 2 {
		t.Run([]string{"at the count", "at the satisfaction"}[at], func(t *testing.T) {
			s := newScene(t, word{})
			c := s.presented(s.request(ringfence.FactTOTP))
			n, down := 0, errors.New("disk")
			s.Store.Fail = func() error {
				if n++; n == at+1 {
					return down
				}
				return nil
			}
			r, err := s.v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret("swordfish")})
			if err == nil || r.Satisfied() {
				t.Fatalf("have %v, %v; want an error", r, err)
			}
			s.Store.Fail = nil
			got, err := s.v.Lookup(t.Context(), verifytest.Tenant, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "tries", got.Tries, at)
			want(t, "evidence", len(s.List(ledger.KindEvidence)), 0)
			want(t, "the next one", s.submit(c.ID, "swordfish").Outcome, verify.OutcomeSatisfied)
			want(t, "evidence then", len(s.List(ledger.KindEvidence)), 1)
		})
	}
}

// Invariant 5: a resend, a new call and another node reset nothing.
func TestTriesCarryOverAlongTheChain(t *testing.T) {
	s := newScene(t, word{})
	first := s.presented(s.request(ringfence.FactTOTP))
	s.submit(first.ID, "halibut")
	s.submit(first.ID, "halibut")
	q := s.request(ringfence.FactTOTP)
	q.Traversal = verifytest.Traversal() // a new call for the same release
	second := s.presented(q)
	want(t, "the first", s.state(first.ID), verify.StateSuperseded)
	want(t, "tries at the start", second.Tries, 2)
	other := s.Verifier(word{}) // another node
	r, err := other.Submit(t.Context(), verifytest.Tenant, second.ID, verify.Answer{Value: ringfence.Secret("halibut")})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the third try", r.Outcome, verify.OutcomeFailed)
	third := s.create(s.request(ringfence.FactTOTP))
	want(t, "a third challenge", third.State, verify.StateFailed)
	r = s.submit(third.ID, "swordfish")
	want(t, "its answer", r.Outcome, verify.OutcomeFailed)
	q = s.request(ringfence.FactTOTP)
	q.Release = verifytest.Release()
	want(t, "another release", s.presented(q).Tries, 0)
}

// Invariant 6: the matched step strictly increases.
func TestStepStrictlyIncreases(t *testing.T) {
	s := newScene(t, word{})
	for _, c := range []struct {
		answer string
		want   verify.Outcome
	}{{"swordfish 10", verify.OutcomeSatisfied}, {"swordfish 10", verify.OutcomeWrong}, {"swordfish 9", verify.OutcomeWrong}, {"swordfish 11", verify.OutcomeSatisfied}} {
		q := s.request(ringfence.FactTOTP)
		q.Release = verifytest.Release()
		ch := s.presented(q)
		want(t, c.answer, s.submit(ch.ID, c.answer).Outcome, c.want)
	}
	want(t, "last step", s.ReadAuthenticator(s.aut).LastStep, 11)
}

// Invariant 6, raced: one step, two challenges.
func TestOneStepRacedOverTwoReleasesSatisfiesOne(t *testing.T) {
	for range 50 {
		s := newScene(t, word{})
		q := s.request(ringfence.FactTOTP)
		a := s.presented(q)
		q.Release = verifytest.Release()
		b := s.presented(q)
		var good atomic.Int64
		var wg sync.WaitGroup
		for _, id := range []ringfence.ChallengeID{a.ID, b.ID} {
			wg.Go(func() {
				if s.submit(id, "swordfish 7").Satisfied() {
					good.Add(1)
				}
			})
		}
		wg.Wait()
		want(t, "satisfactions", good.Load(), 1)
	}
}

// Invariant 7: a bound fact carries the digest; a leg fact none.
func TestEvidenceCarriesWhatItWasMadeFor(t *testing.T) {
	s := newScene(t, word{})
	q := s.request(ringfence.FactTOTP)
	q.Leg = verifytest.Leg()
	c := s.presented(q)
	r, err := s.v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Leg: q.Leg, Value: ringfence.Secret("swordfish")})
	if err != nil || r.Evidence == nil {
		t.Fatal(r, err)
	}
	e := verifytest.Read[ringfence.Evidence](s.World, ledger.KindEvidence, string(r.Evidence.ID))
	want(t, "subject", e.Subject, s.subject)
	want(t, "release", e.Release, s.release)
	want(t, "digest", e.Digest, q.Digest)
	want(t, "leg", e.Leg, q.Leg)
	want(t, "authenticator", e.Authenticator, s.aut)
	want(t, "strength", e.Strength, ringfence.StrengthPossess)
	want(t, "presented", e.Presented, false)
	last := s.Store.Entries(verifytest.Tenant)
	want(t, "its hash stands in the entry", len(last[len(last)-1].Data["evidence_sha256"]), 64)
}

// Invariant 34: the leg that keyed it, also when the request named none.
func TestEvidenceNamesTheLegThatKeyedIt(t *testing.T) {
	s := newScene(t, word{})
	c, leg := s.presented(s.request(ringfence.FactTOTP)), verifytest.Leg()
	r, err := s.v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Leg: leg, Value: ringfence.Secret("swordfish")})
	if err != nil || r.Evidence == nil {
		t.Fatal(r, err)
	}
	want(t, "leg", r.Evidence.Leg, leg)
}

// Invariant 23, in steps: a decoy does what a known subject with a wrong
// answer does, down to the ledger.
func TestDecoyTakesTheSameSteps(t *testing.T) {
	run := func(t *testing.T, known bool) (out []string) {
		s := newScene(t, word{quiet: true})
		q := s.request(ringfence.FactTOTP)
		if !known {
			nobody, found, err := s.v.Identify(t.Context(), verifytest.Tenant, "customer", "account", "99999999")
			if err != nil || found || !ringfence.ValidID(string(nobody.ID), ringfence.PrefixSubject) {
				t.Fatalf("have %v %v %v, want a made-up subject", nobody.ID, found, err)
			}
			again, _, _ := s.v.Identify(t.Context(), verifytest.Tenant, "customer", "account", "99999999")
			want(t, "the same claim, the same id", again.ID, nobody.ID)
			q.Subject = nobody.ID
		}
		for range 3 {
			q.Release = verifytest.Release()
			c := s.presented(q)
			for range 3 {
				r := s.submit(c.ID, "halibut")
				out = append(out, string(r.Outcome), string(r.State))
			}
		}
		q.Release = verifytest.Release()
		want(t, "even the right word", s.submit(s.presented(q).ID, "swordfish").Outcome, verify.OutcomeWrong)
		for _, e := range s.Events() {
			out = append(out, string(e))
		}
		return out
	}
	known, unknown := run(t, true), run(t, false)
	if known[0] != "wrong" {
		t.Fatal(known)
	}
	if !slices.Equal(known, unknown) {
		t.Errorf("known and unknown differ:\n%v\n%v", known, unknown)
	}
}

// Invariant 24: locks are per tier, and success clears only its own.
func TestLocksArePerTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, word{})
		try := func(tier verify.Tier, answer string) verify.Outcome {
			q := verify.Request{Traversal: verifytest.Traversal(), Subject: s.subject, Method: ringfence.FactTOTP, Tier: tier}
			return s.submit(s.presented(q).ID, answer).Outcome
		}
		for range verify.LockAfter {
			want(t, "a wrong answer", try(verify.T0, "halibut"), verify.OutcomeWrong)
		}
		want(t, "T0 is locked", try(verify.T0, "swordfish"), verify.OutcomeWrong)
		want(t, "T1 is not", try(verify.T1, "swordfish"), verify.OutcomeSatisfied)
		want(t, "T2 is not", try(verify.T2, "swordfish"), verify.OutcomeSatisfied)
		want(t, "T0 still is", try(verify.T0, "swordfish"), verify.OutcomeWrong)
		time.Sleep(verify.LockFirst)
		want(t, "one more failure", try(verify.T0, "halibut"), verify.OutcomeWrong)
		until, err := s.v.Locked(t.Context(), verifytest.Tenant, s.subject, verify.T0)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "the second lock", time.Until(until), 2*verify.LockFirst)
		time.Sleep(2 * verify.LockFirst)
		want(t, "after the lock", try(verify.T0, "swordfish"), verify.OutcomeSatisfied)
		for range verify.LockAfter - 1 {
			try(verify.T0, "halibut")
		}
		want(t, "the count began anew", try(verify.T0, "swordfish"), verify.OutcomeSatisfied)
	})
}

func TestLockDoublesToADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, word{})
		var waits []time.Duration
		for i := range 14 {
			q := verify.Request{Traversal: verifytest.Traversal(), Subject: s.subject, Method: ringfence.FactTOTP}
			s.submit(s.presented(q).ID, "halibut")
			until, err := s.v.Locked(t.Context(), verifytest.Tenant, s.subject, verify.T0)
			if err != nil {
				t.Fatal(err)
			}
			if i >= verify.LockAfter-1 {
				waits = append(waits, time.Until(until))
				time.Sleep(time.Until(until))
			}
		}
		const m = time.Minute
		if want := []time.Duration{15 * m, 30 * m, 60 * m, 120 * m, 240 * m, 480 * m, 960 * m, 1440 * m, 1440 * m, 1440 * m}; !slices.Equal(waits, want) {
			t.Errorf("have %v, want %v", waits, want)
		}
	})
}

func TestAuthenticatorIsDisabledAfterFiftyFailures(t *testing.T) {
	s := newScene(t, word{quiet: true})
	a := s.ReadAuthenticator(s.aut)
	a.Failures = verify.AuthenticatorFailures
	s.PutAuthenticator(a)
	c := s.presented(s.request(ringfence.FactTOTP))
	want(t, "the right word", s.submit(c.ID, "swordfish").Outcome, verify.OutcomeWrong)
	want(t, "status", s.ReadAuthenticator(s.aut).Status, ringfence.StatusSuspended)
	if !slices.Contains(s.Events(), "authenticator.disabled") {
		t.Error("no entry says so")
	}
}

func TestSuccessTakesBackOnlyItsOwnFailure(t *testing.T) {
	s := newScene(t, word{})
	c := s.presented(s.request(ringfence.FactTOTP))
	s.submit(c.ID, "halibut")
	s.submit(c.ID, "swordfish")
	want(t, "life total", s.ReadAuthenticator(s.aut).Failures, 1)
}

// Invariant 26: duress looks like a satisfaction to everybody but the gate.
func TestDuressLooksLikeSatisfaction(t *testing.T) {
	run := func(answer string) (*scene, verify.Result, verify.Challenge) {
		s := newScene(t, word{})
		ch := s.presented(s.request(ringfence.FactTOTP))
		r := s.submit(ch.ID, answer)
		c, err := s.v.Lookup(t.Context(), verifytest.Tenant, ch.ID)
		if err != nil {
			t.Fatal(err)
		}
		return s, r, c
	}
	s, plain, pc := run("swordfish")
	want(t, "alarms without", len(s.List(verify.KindAlarm)), 0)
	s, under, uc := run("swordfish duress")
	want(t, "outcome", under.Outcome, plain.Outcome)
	want(t, "state", under.State, plain.State)
	want(t, "state shown", uc.State, pc.State)
	want(t, "why shown", uc.Why, pc.Why)
	want(t, "evidence", under.Evidence != nil, true)
	alarms := s.List(verify.KindAlarm)
	want(t, "alarms", len(alarms), 1)
	var a verify.Alarm
	if err := json.Unmarshal(alarms[0].Body, &a); err != nil {
		t.Fatal(err)
	}
	want(t, "kind", a.Kind, verify.AlarmDuress)
	want(t, "release", a.Release, s.release)
	want(t, "found by release", alarms[0].Keys["release"], string(s.release))
	r := <-s.v.Watch(t.Context(), verifytest.Tenant, uc.ID)
	want(t, "a watcher sees", r.State, verify.StateSatisfied)
}

// Invariant 17 and 2.2: diverted and rejected hold the release.
func TestRejectAndDivertRaiseTheAlarm(t *testing.T) {
	for _, c := range []struct {
		name  string
		final verify.State
		kind  verify.AlarmKind
	}{{"rejected", verify.StateRejected, verify.AlarmRejected}, {"diverted", verify.StateDiverted, verify.AlarmDiverted}} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, word{})
			ch := s.presented(s.request(ringfence.FactTOTP))
			end(t, s, ch.ID, c.final)
			end(t, s, ch.ID, c.final) // twice is once
			alarms := s.List(verify.KindAlarm)
			if len(alarms) != 1 {
				t.Fatalf("have %d alarms, want 1", len(alarms))
			}
			var a verify.Alarm
			if err := json.Unmarshal(alarms[0].Body, &a); err != nil {
				t.Fatal(err)
			}
			want(t, "kind", a.Kind, c.kind)
		})
	}
	t.Run("a reject after the satisfaction", func(t *testing.T) {
		s := newScene(t, word{})
		ch := s.presented(s.request(ringfence.FactTOTP))
		s.submit(ch.ID, "swordfish")
		if _, err := s.v.Reject(t.Context(), verifytest.Tenant, ch.ID); err != nil {
			t.Fatal(err)
		}
		want(t, "alarms", len(s.List(verify.KindAlarm)), 1)
		want(t, "state", s.state(ch.ID), verify.StateSatisfied)
	})
}

func TestClonedAuthenticatorIsSuspended(t *testing.T) {
	s := newScene(t, word{})
	c := s.presented(s.request(ringfence.FactTOTP))
	r := s.submit(c.ID, "swordfish clone")
	want(t, "outcome", r.Outcome, verify.OutcomeFailed)
	want(t, "status", s.ReadAuthenticator(s.aut).Status, ringfence.StatusSuspended)
	want(t, "alarms", len(s.List(verify.KindAlarm)), 1)
	want(t, "evidence", len(s.List(ledger.KindEvidence)), 0)
}

func TestSuspendedAuthenticatorDoesNotAnswer(t *testing.T) {
	s := newScene(t, word{})
	c := s.presented(s.request(ringfence.FactTOTP))
	a := s.ReadAuthenticator(s.aut)
	a.Status = ringfence.StatusSuspended
	s.PutAuthenticator(a)
	want(t, "outcome", s.submit(c.ID, "swordfish").Outcome, verify.OutcomeWrong)
	q := s.request(ringfence.FactTOTP)
	q.Release = verifytest.Release()
	want(t, "a new challenge", s.create(q).State, verify.StateUndeliverable)
}
