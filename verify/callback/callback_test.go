package callback_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/callback"
	"github.com/ringfence/ringfence/verify/verifytest"
)

type scene struct {
	*verifytest.World
	v       *verify.Verifier
	desk    *callback.Desk
	subject ringfence.SubjectID
	mobile  ringfence.ContactPointID
	release ringfence.ReleaseID
	call    ringfence.TraversalID
	id      ringfence.ChallengeID
	carry   ringfence.Secret
	leg     ringfence.LegID // the one we place
}

func newScene(tb testing.TB) *scene {
	tb.Helper()
	m, err := callback.New(verifytest.Pepper)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := callback.NewConfirm(verifytest.Pepper)
	if err != nil {
		tb.Fatal(err)
	}
	w := verifytest.New(tb)
	s := &scene{World: w, v: w.Verifier(m, c), subject: w.Subject("10002000"), release: verifytest.Release(), call: verifytest.Traversal(), leg: verifytest.Leg()}
	s.mobile = w.Contact(s.subject, ringfence.ContactMobile, "447700900123")
	s.desk = callback.NewDesk(s.v, m, c)
	return s
}

func (s *scene) begin() {
	s.TB.Helper()
	c, err := s.v.Create(s.TB.Context(), verifytest.Tenant, verify.Request{Traversal: s.call, Subject: s.subject, Method: ringfence.FactCallback,
		Release: s.release, Digest: verifytest.Digest(1), To: ringfence.ContactMobile})
	if err != nil || c.State != verify.StateCreated {
		s.TB.Fatal(c.State, c.Why, err)
	}
	out, err := s.v.Issue(s.TB.Context(), verifytest.Tenant, c.ID)
	if err != nil || len(out.Tell) != 1 || !out.Tell[0].Secret {
		s.TB.Fatal(out, err)
	}
	s.id, s.carry = c.ID, verifytest.Heard(out.Tell)
}

func (s *scene) place() {
	s.TB.Helper()
	to, err := s.desk.Place(s.TB.Context(), verifytest.Tenant, s.id, s.leg)
	if err != nil || to != "447700900123" {
		s.TB.Fatal(to, err)
	}
}

func (s *scene) fresh() ringfence.Secret {
	s.TB.Helper()
	parts, err := s.desk.Fresh(s.TB.Context(), verifytest.Tenant, s.id, s.leg)
	if err != nil || len(parts) != 1 || !parts[0].Secret {
		s.TB.Fatal(parts, err)
	}
	return verifytest.Heard(parts)
}

func (s *scene) spoken() {
	s.TB.Helper()
	if err := s.desk.Spoken(s.TB.Context(), verifytest.Tenant, s.id, s.leg); err != nil {
		s.TB.Fatal(err)
	}
}

func (s *scene) keyed(leg ringfence.LegID, digits ...ringfence.Secret) verify.Result {
	s.TB.Helper()
	r, err := s.desk.Keyed(s.TB.Context(), verifytest.Tenant, s.id, leg, bytes.Join(toBytes(digits), nil))
	if err != nil {
		s.TB.Fatal(err)
	}
	return r
}

func toBytes(list []ringfence.Secret) (out [][]byte) {
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

// other returns digits of the same length that are not these.
func other(s ringfence.Secret) ringfence.Secret {
	out := slices.Clone(s)
	out[0] = '0' + (out[0]-'0'+1)%10
	return out
}

func want[T comparable](tb testing.TB, what string, have, want T) {
	tb.Helper()
	if have != want {
		tb.Errorf("%s: have %v, want %v", what, have, want)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := callback.New(verifytest.Pepper[:31]); err == nil {
		t.Error("a short pepper")
	}
	if _, err := callback.NewConfirm(nil); err == nil {
		t.Error("no pepper")
	}
}

// Invariant 16: carry code and fresh digits, on the leg we placed, after they
// were spoken; nothing else.
func TestReachRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		key  func(s *scene, fresh ringfence.Secret) verify.Result
		want verify.Outcome
		left int
	}{
		{"the carry code alone", func(s *scene, _ ringfence.Secret) verify.Result { return s.keyed(s.leg, s.carry) }, verify.OutcomeWrong, 2},
		{"the fresh digits alone", func(s *scene, f ringfence.Secret) verify.Result { return s.keyed(s.leg, f) }, verify.OutcomeWrong, 2},
		{"in the other order", func(s *scene, f ringfence.Secret) verify.Result {
			if bytes.Equal(append(slices.Clone(s.carry), f...), append(slices.Clone(f), s.carry...)) {
				f = other(f)
			}
			return s.keyed(s.leg, s.carry, f)
		}, verify.OutcomeWrong, 2},
		{"a fixed key", func(s *scene, _ ringfence.Secret) verify.Result { return s.keyed(s.leg, ringfence.Secret("1")) }, verify.OutcomeWrong, 2},
		{"nothing", func(s *scene, _ ringfence.Secret) verify.Result { return s.keyed(s.leg) }, verify.OutcomeWrong, 2},
		{"another carry code", func(s *scene, f ringfence.Secret) verify.Result { return s.keyed(s.leg, f, other(s.carry)) }, verify.OutcomeWrong, 2},
		{"other fresh digits", func(s *scene, f ringfence.Secret) verify.Result { return s.keyed(s.leg, other(f), s.carry) }, verify.OutcomeWrong, 2},
		{"a digit more", func(s *scene, f ringfence.Secret) verify.Result {
			return s.keyed(s.leg, f, s.carry, ringfence.Secret("0"))
		}, verify.OutcomeWrong, 2},
		{"with a hash", func(s *scene, f ringfence.Secret) verify.Result {
			return s.keyed(s.leg, f, s.carry[:3], ringfence.Secret("#"))
		}, verify.OutcomeWrong, 2},
		{"on the first leg", func(s *scene, f ringfence.Secret) verify.Result { return s.keyed(verifytest.Leg(), f, s.carry) }, verify.OutcomeClosed, 3},
		{"on no leg", func(s *scene, f ringfence.Secret) verify.Result { return s.keyed("", f, s.carry) }, verify.OutcomeClosed, 3},
		{"a star", func(s *scene, f ringfence.Secret) verify.Result { return s.keyed(s.leg, ringfence.Secret("*")) }, verify.OutcomeRejected, 3},
		{"a star after the right digits", func(s *scene, f ringfence.Secret) verify.Result {
			return s.keyed(s.leg, f, s.carry, ringfence.Secret("*"))
		}, verify.OutcomeRejected, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.begin()
			s.place()
			f := s.fresh()
			s.spoken()
			r := c.key(s, f)
			want(t, "outcome", r.Outcome, c.want)
			want(t, "tries left", r.TriesLeft, c.left)
			want(t, "evidence", len(s.List("evidence")), 0)
		})
	}
}

func TestDigitsBeforeTheyWereSpokenVoidTheTry(t *testing.T) {
	t.Run("before any were chosen", func(t *testing.T) {
		s := newScene(t)
		s.begin()
		s.place()
		want(t, "a replayed code", s.keyed(s.leg, ringfence.Secret("00"), s.carry).Outcome, verify.OutcomeWrong)
	})
	t.Run("chosen, not yet played", func(t *testing.T) {
		s := newScene(t)
		s.begin()
		s.place()
		f := s.fresh()
		r := s.keyed(s.leg, f, s.carry)
		want(t, "the right digits too soon", r.Outcome, verify.OutcomeWrong)
		want(t, "tries left", r.TriesLeft, 2)
		f2 := s.fresh()
		s.spoken()
		want(t, "then as they should be", s.keyed(s.leg, f2, s.carry).Outcome, verify.OutcomeSatisfied)
	})
	t.Run("digits of an earlier try", func(t *testing.T) {
		s := newScene(t)
		s.begin()
		s.place()
		old := s.fresh()
		s.spoken()
		s.keyed(s.leg, other(old), s.carry)
		fresh := s.fresh()
		for bytes.Equal(fresh, old) {
			fresh = s.fresh()
		}
		s.spoken()
		want(t, "the old ones", s.keyed(s.leg, old, s.carry).Outcome, verify.OutcomeWrong)
	})
	t.Run("the same digits twice", func(t *testing.T) {
		s := newScene(t)
		s.begin()
		s.place()
		f := s.fresh()
		s.spoken()
		s.keyed(s.leg, f, other(s.carry))
		want(t, "without fresh ones", s.keyed(s.leg, f, s.carry).Outcome, verify.OutcomeWrong)
	})
}

func TestThreeTriesThenNone(t *testing.T) {
	s := newScene(t)
	s.begin()
	s.place()
	for i, o := range []verify.Outcome{verify.OutcomeWrong, verify.OutcomeWrong, verify.OutcomeFailed} {
		f := s.fresh()
		s.spoken()
		want(t, "try "+string(rune('1'+i)), s.keyed(s.leg, f, other(s.carry)).Outcome, o)
	}
	if _, err := s.desk.Fresh(t.Context(), verifytest.Tenant, s.id, s.leg); !errors.Is(err, callback.ErrOver) {
		t.Errorf("have %v, want ErrOver", err)
	}
}

// Invariant 17, and a later ring of the same call-back.
func TestOnlyTheNewestPlacedLegCounts(t *testing.T) {
	s := newScene(t)
	s.begin()
	s.place()
	f := s.fresh()
	s.spoken()
	old := s.leg
	s.leg = verifytest.Leg()
	s.place()
	want(t, "the first leg", s.keyed(old, f, s.carry).Outcome, verify.OutcomeClosed)
	if err := s.desk.Spoken(t.Context(), verifytest.Tenant, s.id, old); !errors.Is(err, callback.ErrOver) {
		t.Errorf("have %v, want ErrOver", err)
	}
	want(t, "old digits on the new leg", s.keyed(s.leg, f, s.carry).Outcome, verify.OutcomeWrong)
	f = s.fresh()
	s.spoken()
	r := s.keyed(s.leg, f, s.carry)
	want(t, "the new leg", r.Outcome, verify.OutcomeSatisfied)
	want(t, "its leg", r.Evidence.Leg, s.leg)
	s2 := newScene(t)
	s2.begin()
	s2.place()
	f = s2.fresh()
	s2.spoken()
	if _, err := s2.v.Diverted(t.Context(), verifytest.Tenant, s2.id); err != nil {
		t.Fatal(err)
	}
	want(t, "a diverted leg", s2.keyed(s2.leg, f, s2.carry).Outcome, verify.OutcomeDiverted)
}

func TestReachAndReadBack(t *testing.T) {
	s := newScene(t)
	s.begin()
	s.place()
	f := s.fresh()
	s.spoken()
	r := s.keyed(s.leg, f, s.carry)
	if !r.Satisfied() {
		t.Fatal(r)
	}
	want(t, "strength", r.Evidence.Strength, ringfence.StrengthCallback)
	want(t, "presented by itself", r.Evidence.Presented, false)
	yes, id := s.ask(s.leg)
	r, err := s.desk.Confirm(t.Context(), verifytest.Tenant, id, s.leg, yes)
	if err != nil || !r.Satisfied() {
		t.Fatal(r, err)
	}
	want(t, "presented (invariant 31)", r.Evidence.Presented, true)
	want(t, "leg", r.Evidence.Leg, s.leg)
	want(t, "digest", r.Evidence.Digest, verifytest.Digest(1))
}

// ask makes and plays a read-back and returns its yes-key.
func (s *scene) ask(leg ringfence.LegID) (byte, ringfence.ChallengeID) {
	s.TB.Helper()
	ctx := s.TB.Context()
	c, err := s.v.Create(ctx, verifytest.Tenant, verify.Request{Traversal: s.call, Leg: leg, Subject: s.subject, Method: ringfence.FactConfirmed,
		Release: s.release, Digest: verifytest.Digest(1), Says: "change the account", Fields: []verify.Field{{Name: "new_account", Value: "55556666"}}})
	if err != nil {
		s.TB.Fatal(err)
	}
	out, err := s.v.Issue(ctx, verifytest.Tenant, c.ID)
	if err != nil || len(out.Tell) != 1 || !out.Tell[0].Secret {
		s.TB.Fatal(out, err)
	}
	if _, err := s.v.Present(ctx, verifytest.Tenant, c.ID); err != nil {
		s.TB.Fatal(err)
	}
	key := verifytest.Heard(out.Tell)
	if len(key) != 1 || key[0] < '3' || key[0] > '9' {
		s.TB.Fatalf("have the yes-key %q, want 3 to 9", string(key))
	}
	return key[0], c.ID
}

// Invariant 31: a read-back on the calling leg never counts as that approval.
func TestReadBackWithoutReachIsNotPresented(t *testing.T) {
	for _, c := range []struct {
		name string
		leg  func(*scene) ringfence.LegID
	}{
		{"on the calling leg", func(s *scene) ringfence.LegID { return verifytest.Leg() }},
		{"on no leg", func(s *scene) ringfence.LegID { return "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.begin()
			s.place()
			f := s.fresh()
			s.spoken()
			s.keyed(s.leg, f, s.carry)
			leg := c.leg(s)
			yes, id := s.ask(leg)
			r, err := s.desk.Confirm(t.Context(), verifytest.Tenant, id, leg, yes)
			if err != nil || !r.Satisfied() {
				t.Fatal(r, err)
			}
			want(t, "presented", r.Evidence.Presented, false)
		})
	}
	t.Run("for another action", func(t *testing.T) {
		s := newScene(t)
		s.begin()
		s.place()
		f := s.fresh()
		s.spoken()
		s.keyed(s.leg, f, s.carry)
		s.release = verifytest.Release()
		yes, id := s.ask(s.leg)
		r, err := s.desk.Confirm(t.Context(), verifytest.Tenant, id, s.leg, yes)
		if err != nil || !r.Satisfied() {
			t.Fatal(r, err)
		}
		want(t, "presented", r.Evidence.Presented, false)
	})
}

func TestNoIsNo(t *testing.T) {
	for _, reach := range []bool{true, false} {
		for _, key := range []byte{callback.No, callback.Star} {
			s := newScene(t)
			if reach {
				s.begin()
				s.place()
				f := s.fresh()
				s.spoken()
				s.keyed(s.leg, f, s.carry)
			}
			_, id := s.ask(s.leg)
			r, err := s.desk.Confirm(t.Context(), verifytest.Tenant, id, s.leg, key)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "the flow's word", r.Outcome.Flow(), "refused")
			alarms := 0
			if reach {
				alarms = 1
			}
			want(t, "alarms", len(s.List(verify.KindAlarm)), alarms)
		}
	}
	s := newScene(t)
	yes, id := s.ask(s.leg)
	r, err := s.desk.Confirm(t.Context(), verifytest.Tenant, id, verifytest.Leg(), callback.No)
	want(t, "no on another leg", r.Outcome, verify.OutcomeClosed)
	for _, key := range []byte{'1', '0', '#', 0} {
		if key == yes || err != nil {
			t.Fatal(err)
		}
		if r, err = s.desk.Confirm(t.Context(), verifytest.Tenant, id, s.leg, key); r.Satisfied() {
			t.Errorf("%q says yes", key)
		}
	}
}

// The caps of calls: 3 an hour, 5 a day; what the person rejects is given back.
func TestCapsOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		call := func() verify.Challenge {
			c, err := s.v.Create(t.Context(), verifytest.Tenant, verify.Request{Traversal: verifytest.Traversal(), Subject: s.subject, Method: ringfence.FactCallback})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return c
		}
		for range 3 {
			want(t, "within the hour", call().Why, "")
		}
		want(t, "the fourth", call().Why, "quota")
		time.Sleep(time.Hour)
		c := call()
		for range 5 { // a stranger's calls, each rejected
			if _, err := s.v.Reject(t.Context(), verifytest.Tenant, c.ID); err != nil {
				t.Fatal(err)
			}
			c = call()
			want(t, "after a reject", c.Why, "")
		}
		want(t, "the fifth of the day", call().Why, "")
		want(t, "the sixth of the day", call().Why, "quota")
	})
}

func TestDecoyRingsNobody(t *testing.T) {
	s := newScene(t)
	s.subject = "sub_nobody"
	s.begin()
	to, err := s.desk.Place(t.Context(), verifytest.Tenant, s.id, s.leg)
	want(t, "rings", to, ringfence.TN(""))
	if err != nil {
		t.Fatal(err)
	}
	f := s.fresh()
	s.spoken()
	want(t, "even so", s.keyed(s.leg, f, s.carry).Outcome, verify.OutcomeWrong)
}

// Invariant 11: no code stands anywhere in clear.
func TestNoCodeIsKept(t *testing.T) {
	for range 20 { // four digits may stand in a record by chance; not twenty times
		s := newScene(t)
		s.begin()
		s.place()
		f := s.fresh()
		s.spoken()
		s.keyed(s.leg, f, other(s.carry))
		found := false
		for _, kind := range []verify.Kind{verify.KindChallenge, verify.KindChain, verify.KindLock} {
			for _, rec := range s.List(kind) {
				found = found || bytes.Contains(rec.Body, append([]byte(`"`), s.carry...))
			}
		}
		if !found {
			return
		}
	}
	t.Error("the carry code stands in the store")
}

func TestSimultaneousKeysSatisfyOnce(t *testing.T) {
	s := newScene(t)
	s.begin()
	s.place()
	f := s.fresh()
	s.spoken()
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			r, err := s.desk.Keyed(t.Context(), verifytest.Tenant, s.id, s.leg, append(slices.Clone(f), s.carry...))
			if err != nil {
				t.Error(err)
			}
			if r.Satisfied() {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() > 1 || len(s.List("evidence")) != int(good.Load()) {
		t.Errorf("have %d satisfactions and %d rows", good.Load(), len(s.List("evidence")))
	}
}

func FuzzKeyedDigits(f *testing.F) {
	for _, seed := range []string{"", "*", "714827", "7148270", "７１４８２７", "71482#", "\x00\x00\x00\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, keyed []byte) {
		s := newScene(t)
		s.begin()
		s.place()
		fresh := s.fresh()
		s.spoken()
		right := append(slices.Clone(fresh), s.carry...)
		r, err := s.desk.Keyed(t.Context(), verifytest.Tenant, s.id, s.leg, slices.Clone(keyed))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case bytes.ContainsRune(keyed, callback.Star):
			want(t, "with a star", r.Outcome, verify.OutcomeRejected)
		case r.Satisfied() != bytes.Equal(keyed, right):
			t.Errorf("%q: have %s", keyed, r.Outcome)
		}
	})
}
