package verify_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// Invariant 27: only enrolled, allowed-prefix contact points, within caps.
func TestSendingRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*scene, *verify.Request)
		why    string
	}{
		{"another subject's number", func(s *scene, q *verify.Request) {
			q.ContactPoint = s.Contact(s.Subject("20003000"), ringfence.ContactMobile, "447700900999")
		}, "missing"},
		{"a landline", func(s *scene, q *verify.Request) {
			q.ContactPoint = s.Contact(s.subject, ringfence.ContactLandline, "442079460991")
		}, "missing"},
		{"a removed number", func(s *scene, q *verify.Request) {
			p := verifytest.Read[ringfence.ContactPoint](s.World, ledger.KindContactPoint, string(s.mobile))
			p.Status, p.RemovedAt = ringfence.StatusRemoved, time.Now()
			s.Put(ledger.KindContactPoint, string(p.ID), map[string]string{"subject": string(s.subject)}, p)
		}, "missing"},
		{"a prefix that is not allowed", func(s *scene, q *verify.Request) {
			q.ContactPoint = s.Contact(s.subject, ringfence.ContactMobile, "37256789012")
		}, "prefix"},
		{"what is no number", func(s *scene, q *verify.Request) {
			q.ContactPoint = s.Contact(s.subject, ringfence.ContactMobile, "44770\r\n0123")
		}, "prefix"},
		{"a number changed lately", func(s *scene, q *verify.Request) { q.NotYounger = 2 * 365 * 24 * time.Hour }, "young"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, word{})
			q := s.request(ringfence.FactOTP)
			c.change(s, &q)
			ch := s.issued(q)
			want(t, "state", ch.State, verify.StateUndeliverable)
			want(t, "why", ch.Why, c.why)
			want(t, "sent", len(s.Post.Sent()), 0)
		})
	}
}

func TestSendsOfARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, word{})
		for i, step := range []struct {
			wait time.Duration
			why  string
		}{{0, ""}, {29 * time.Second, "quota"}, {time.Second, ""}, {59 * time.Second, "quota"}, {time.Second, ""}, {3 * time.Minute, "quota"}} {
			time.Sleep(step.wait)
			c := s.issued(s.request(ringfence.FactOTP))
			want(t, "send "+string(rune('0'+i)), c.Why, step.why)
			if step.why == "quota" && !c.RetryAfter.After(time.Now()) {
				t.Error("a refusal for quota says when to come back")
			}
		}
		want(t, "sent", len(s.Post.Sent()), 3)
	})
}

func TestARefusedResendLeavesTheFirstAlive(t *testing.T) {
	s := newScene(t, word{})
	first := s.issued(s.request(ringfence.FactOTP))
	want(t, "the second", s.issued(s.request(ringfence.FactOTP)).Why, "quota")
	want(t, "the first", s.submit(first.ID, string(s.Post.Code())).Outcome, verify.OutcomeSatisfied)
}

func TestCapsOfAContactPointAndOfAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, word{})
		send := func(by ringfence.PersonID) verify.Challenge {
			return s.issued(verify.Request{Traversal: verifytest.Traversal(), Subject: s.subject, Method: ringfence.FactOTP, By: by})
		}
		for range 5 {
			want(t, "within the hour", send("").Why, "")
		}
		want(t, "the sixth in an hour", send("").Why, "quota")
		time.Sleep(time.Hour)
		for range 5 {
			want(t, "the next hour", send("").Why, "")
		}
		time.Sleep(time.Hour)
		want(t, "the eleventh in a day", send("").Why, "quota")
		want(t, "to one number", len(s.Post.Sent()), 10)

		who, n := s.Person("Priya", ringfence.RoleAgent), 0
		for range 12 {
			sub := s.Subject("3000400" + string(rune('a'+n)))
			s.Contact(sub, ringfence.ContactMobile, "447700900456")
			if c := s.issued(verify.Request{Traversal: verifytest.Traversal(), Subject: sub, Method: ringfence.FactOTP, By: who}); c.Why == "" {
				n++
			}
		}
		want(t, "in a minute for one person", n, 10)
	})
}

func TestWhatTheCarrierSays(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer verify.Receipt
		err    error
		state  verify.State
	}{
		{"accepted", verify.Receipt{Delivery: verify.DeliveryAccepted}, nil, verify.StatePresented},
		{"in doubt", verify.Receipt{Delivery: verify.DeliveryAmbiguous}, nil, verify.StatePresented},
		{"refused", verify.Receipt{Delivery: verify.DeliveryRefused}, nil, verify.StateUndeliverable},
		{"not asked at all", verify.Receipt{}, errors.New("no route"), verify.StateUndeliverable},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, word{})
			s.Post.Answer, s.Post.Err = c.answer, c.err
			want(t, "state", s.issued(s.request(ringfence.FactOTP)).State, c.state)
		})
	}
}

func TestIssueSendsOnce(t *testing.T) {
	s := newScene(t, word{})
	c := s.issued(s.request(ringfence.FactOTP))
	for range 3 {
		if _, err := s.v.Issue(t.Context(), verifytest.Tenant, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "sent", len(s.Post.Sent()), 1)
	events := s.Events()
	if i, j := slices.Index(events, "challenge.issued"), slices.Index(events, "challenge.presented"); i < 0 || j < i {
		t.Errorf("have %v, want issued before presented", events)
	}
}

func TestIntentIsDurableBeforeItLeaves(t *testing.T) {
	s := newScene(t, word{})
	c := s.create(s.request(ringfence.FactOTP))
	s.Store.Fail = func() error { return errors.New("disk") }
	if _, err := s.v.Issue(t.Context(), verifytest.Tenant, c.ID); err == nil {
		t.Error("have no error, want the store's")
	}
	want(t, "sent", len(s.Post.Sent()), 0)
}

// Invariant 23: a decoy sends nothing and takes as long.
func TestDecoySendsNothingAndTakesAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, word{})
		s.Post.Takes = 400 * time.Millisecond
		s.issued(s.request(ringfence.FactOTP))
		began := time.Now()
		c := s.issued(verify.Request{Traversal: verifytest.Traversal(), Subject: "sub_nobody", Method: ringfence.FactOTP})
		want(t, "took", time.Since(began), s.Post.Takes)
		want(t, "state", c.State, verify.StatePresented)
		want(t, "decoy", c.Decoy, true)
		want(t, "sent", len(s.Post.Sent()), 1)
	})
}

func TestWatchWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, word{})
		c := s.presented(s.request(ringfence.FactTOTP))
		ch := s.v.Watch(t.Context(), verifytest.Tenant, c.ID)
		s.submit(c.ID, "halibut")
		want(t, "on the way", (<-ch).Outcome, verify.OutcomeWrong)
		s.submit(c.ID, "swordfish")
		want(t, "at the end", (<-ch).Outcome, verify.OutcomeSatisfied)
		if _, open := <-ch; open {
			t.Error("the channel is open after the end")
		}
		want(t, "who comes late", (<-s.v.Watch(t.Context(), verifytest.Tenant, c.ID)).Outcome, verify.OutcomeSatisfied)
	})
}

func TestWatchNeverSeesWhatDidNotCommit(t *testing.T) {
	s := newScene(t, word{})
	c := s.presented(s.request(ringfence.FactTOTP))
	ch := s.v.Watch(t.Context(), verifytest.Tenant, c.ID)
	n := 0
	s.Store.Fail = func() error {
		if n++; n == 2 {
			return errors.New("disk")
		}
		return nil
	}
	_, _ = s.v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret("swordfish")})
	select {
	case r := <-ch:
		t.Errorf("a watcher saw %v", r.Outcome)
	default:
	}
}

func TestTheEndOfACallLeavesNothingOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, word{})
		a, b := s.presented(s.request(ringfence.FactTOTP)), s.issued(s.request(ringfence.FactOTP))
		if err := s.v.CancelAll(t.Context(), verifytest.Tenant, s.call); err != nil {
			t.Fatal(err)
		}
		want(t, "totp", s.state(a.ID), verify.StateCancelled)
		want(t, "otp", s.state(b.ID), verify.StateCancelled)
		c := s.presented(s.request(ringfence.FactTOTP))
		if err := s.v.Tick(t.Context(), verifytest.Tenant); err != nil {
			t.Fatal(err)
		}
		want(t, "young", s.state(c.ID), verify.StatePresented)
		time.Sleep(2 * time.Minute)
		if err := s.v.Tick(t.Context(), verifytest.Tenant); err != nil {
			t.Fatal(err)
		}
		want(t, "old", s.state(c.ID), verify.StateExpired)
	})
}
