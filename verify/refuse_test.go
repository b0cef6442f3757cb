package verify_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

func TestNewRefuses(t *testing.T) {
	good := verifytest.New(t).Config()
	for _, c := range []struct {
		name   string
		change func(*verify.Config)
		m      []verify.Method
		says   string
	}{
		{"no store", func(c *verify.Config) { c.Store = nil }, nil, "no store"},
		{"a short pepper", func(c *verify.Config) { c.Pepper = c.Pepper[:31] }, nil, "32 random bytes"},
		{"a negative limit", func(c *verify.Config) { c.Limits.CallsDay = -1 }, nil, "negative"},
		{"a method twice", nil, []verify.Method{word{}, word{}}, "two methods"},
		{"sending with no prefix allowed", func(c *verify.Config) { c.Prefixes = nil }, []verify.Method{letter{}}, "prefix"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			if c.change != nil {
				c.change(&cfg)
			}
			_, err := verify.New(cfg, c.m...)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("have %v, want an error that says %q", err, c.says)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	s := newScene(t, word{})
	for _, c := range []struct {
		name   string
		change func(*verify.Request)
	}{
		{"an unknown method", func(q *verify.Request) { q.Method = "voice" }},
		{"the empty method", func(q *verify.Request) { q.Method = "" }},
		{"six tries", func(q *verify.Request) { q.Tries = 6 }},
		{"negative tries", func(q *verify.Request) { q.Tries = -1 }},
		{"a life over the bound", func(q *verify.Request) { q.Life = 6 * time.Minute }},
		{"a release without a digest", func(q *verify.Request) { q.Digest = ringfence.Digest{} }},
		{"a digest without a release", func(q *verify.Request) { q.Release = "" }},
		{"an unknown tier", func(q *verify.Request) { q.Tier = 3 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := s.request(ringfence.FactTOTP)
			c.change(&q)
			if _, err := s.v.Create(t.Context(), verifytest.Tenant, q); err == nil {
				t.Error("have a challenge, want an error")
			}
		})
	}
	want(t, "challenges made", len(s.List(verify.KindChallenge)), 0)
}

func TestSubmitRefuses(t *testing.T) {
	t.Run("another tenant's challenge", func(t *testing.T) {
		s := newScene(t, word{})
		c := s.presented(s.request(ringfence.FactTOTP))
		_, err := s.v.Submit(t.Context(), "ten_b", c.ID, verify.Answer{Value: ringfence.Secret("swordfish")})
		if !errors.Is(err, verify.ErrNotFound) {
			t.Errorf("have %v, want ErrNotFound (invariant 25)", err)
		}
	})
	t.Run("before it was presented", func(t *testing.T) {
		s := newScene(t, word{})
		c := s.create(s.request(ringfence.FactTOTP))
		r := s.submit(c.ID, "swordfish")
		want(t, "outcome", r.Outcome, verify.OutcomeClosed)
		want(t, "tries left", r.TriesLeft, 3)
	})
	t.Run("on another leg", func(t *testing.T) {
		s := newScene(t, word{})
		q := s.request(ringfence.FactTOTP)
		q.Leg = verifytest.Leg()
		c := s.presented(q)
		r := s.submit(c.ID, "swordfish")
		want(t, "outcome", r.Outcome, verify.OutcomeClosed)
		want(t, "state", s.state(c.ID), verify.StatePresented)
	})
	t.Run("after its life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, word{})
			c := s.presented(s.request(ringfence.FactTOTP))
			time.Sleep(2 * time.Minute)
			want(t, "outcome", s.submit(c.ID, "swordfish").Outcome, verify.OutcomeExpired)
			want(t, "state", s.state(c.ID), verify.StateExpired)
		})
	})
	t.Run("digits before they were spoken", func(t *testing.T) {
		s := newScene(t, word{})
		c := s.presented(s.request(ringfence.FactTOTP))
		r, err := s.v.Submit(t.Context(), verifytest.Tenant, c.ID, verify.Answer{Value: ringfence.Secret("swordfish"), Early: true})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, verify.OutcomeWrong)
		want(t, "tries left", r.TriesLeft, 2)
	})
	for _, final := range []verify.State{verify.StateSatisfied, verify.StateCancelled, verify.StateSuperseded, verify.StateExpired,
		verify.StateUndeliverable, verify.StateDiverted, verify.StateRejected, verify.StateFailed, verify.StateDuress} {
		t.Run("once it is "+string(final), func(t *testing.T) {
			s := newScene(t, word{})
			c := s.presented(s.request(ringfence.FactTOTP))
			end(t, s, c.ID, final)
			before := len(s.List(ledger.KindEvidence))
			if r := s.submit(c.ID, "swordfish"); r.Satisfied() {
				t.Errorf("satisfied a challenge that is %s", final)
			}
			want(t, "evidence", len(s.List(ledger.KindEvidence)), before)
		})
	}
}

// end brings an open challenge to a final state.
func end(t *testing.T, s *scene, id ringfence.ChallengeID, final verify.State) {
	t.Helper()
	ctx := t.Context()
	var err error
	switch final {
	case verify.StateSatisfied:
		s.submit(id, "swordfish")
	case verify.StateDuress:
		s.submit(id, "swordfish duress")
	case verify.StateFailed:
		for range 3 {
			s.submit(id, "halibut")
		}
	case verify.StateCancelled:
		_, err = s.v.Cancel(ctx, verifytest.Tenant, id, "left")
	case verify.StateExpired:
		_, err = s.v.Expire(ctx, verifytest.Tenant, id)
	case verify.StateUndeliverable:
		_, err = s.v.Undeliverable(ctx, verifytest.Tenant, id, "busy")
	case verify.StateDiverted:
		_, err = s.v.Diverted(ctx, verifytest.Tenant, id)
	case verify.StateRejected:
		_, err = s.v.Reject(ctx, verifytest.Tenant, id)
	case verify.StateSuperseded:
		s.create(s.request(ringfence.FactTOTP))
	}
	if err != nil {
		t.Fatal(err)
	}
	shown := final
	if final == verify.StateDuress {
		shown = verify.StateSatisfied
	}
	if have := s.state(id); have != shown {
		t.Fatalf("state: have %s, want %s", have, shown)
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	want(t, "the zero state is final", verify.State("").Final(), true)
	want(t, "the zero outcome", verify.Outcome("").Flow(), "silent")
	want(t, "the zero result", verify.Result{}.Satisfied(), false)
	want(t, "an empty mac", verify.MatchCode(verifytest.Pepper, "x", "chl", nil, nil), false)
	r, err := verify.Deliverers(nil).Deliver(t.Context(), verify.Message{Channel: verify.ChannelSMS})
	want(t, "no carrier", r.Delivery, verify.DeliveryRefused)
	if err != nil {
		t.Error(err)
	}
	r, _ = verify.Deliverers{verify.ChannelEmail: &verifytest.Post{}}.Deliver(t.Context(), verify.Message{Kind: verify.MessageCode, Channel: verify.ChannelEmail})
	want(t, "a code by e-mail", r.Delivery, verify.DeliveryRefused)
}
