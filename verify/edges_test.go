package verify_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// lasting is a word with a life of its own.
type lasting struct {
	word
	life, most time.Duration
}

func (l lasting) Spec() verify.Spec {
	s := l.word.Spec()
	s.Life, s.MaxLife = l.life, l.most
	return s
}

// What is just enough is taken: a pepper, a life, tries.
func TestNewTakesTheLeast(t *testing.T) {
	cfg := verifytest.New(t).Config()
	cfg.Pepper = ringfence.Secret(strings.Repeat("p", 32))
	if _, err := verify.New(cfg, word{}); err != nil {
		t.Errorf("a pepper of 32 bytes: %v", err)
	}
	for name, tt := range map[string]struct {
		life, most time.Duration
		ok         bool
	}{
		"no life": {0, 0, false}, "no life of its own": {0, time.Minute, false}, "one life": {time.Minute, time.Minute, true},
		"the least": {1, 1, true}, "more than the most": {time.Minute + 1, time.Minute, false},
	} {
		if _, err := verify.New(cfg, lasting{life: tt.life, most: tt.most}); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := newScene(t, word{})
	for _, change := range []func(*verify.Request){
		func(q *verify.Request) { q.Tries = 1 }, func(q *verify.Request) { q.Tries = verify.MaxTries },
		func(q *verify.Request) { q.Life = 5 * time.Minute }, func(q *verify.Request) { q.Tier = verify.T2 },
	} {
		q := s.request(ringfence.FactTOTP)
		change(&q)
		if _, err := s.v.Create(t.Context(), verifytest.Tenant, q); err != nil {
			t.Errorf("%+v: %v", q, err)
		}
	}
	want(t, "a method that is there", s.v.Has(ringfence.FactTOTP), true)
	want(t, "a method that is not", s.v.Has(ringfence.FactPasskey), false)
}

// A number that may be written to has seven to fifteen digits and stands under
// the longest prefix that is allowed.
func TestNumbersThatAreAllowed(t *testing.T) {
	cfg := verifytest.New(t).Config()
	for _, list := range [][]verify.Prefix{
		{{Digits: "44"}, {Digits: "4477", PerHour: -1}, {Digits: "447799"}},
		{{Digits: "447799"}, {Digits: "4477", PerHour: -1}, {Digits: "44"}},
	} {
		cfg.Prefixes = list
		v, err := verify.New(cfg, word{}, letter{})
		if err != nil {
			t.Fatal(err)
		}
		for number, ok := range map[string]bool{
			"442079": false, "4420794": true, "442079460001234": true, "4420794600012345": false, "44207946x": false, "4520794": false,
			"447700900123": false, "447799900123": true, "": false,
		} {
			want(t, number, v.Allowed(ringfence.ContactPoint{Type: ringfence.ContactMobile, Value: number}), ok)
		}
		want(t, "an address", v.Allowed(ringfence.ContactPoint{Type: ringfence.ContactEmail, Value: "ann@example.com"}), true)
	}
}

// A contact point is the one named, else one of the type asked for, and as old
// as is asked for to the moment.
func TestWhichContactPoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		year := time.Since(time.Now().AddDate(-1, 0, 0))
		for name, tt := range map[string]struct {
			change func(*scene, *verify.Request)
			state  verify.State
		}{
			"any":                     {func(*scene, *verify.Request) {}, verify.StateCreated},
			"a mobile":                {func(s *scene, q *verify.Request) { q.To = ringfence.ContactMobile }, verify.StateCreated},
			"an address":              {func(s *scene, q *verify.Request) { q.To = ringfence.ContactEmail }, verify.StateUndeliverable},
			"named":                   {func(s *scene, q *verify.Request) { q.ContactPoint = s.mobile }, verify.StateCreated},
			"named, whatever type":    {func(s *scene, q *verify.Request) { q.ContactPoint, q.To = s.mobile, ringfence.ContactEmail }, verify.StateCreated},
			"named and not there":     {func(s *scene, q *verify.Request) { q.ContactPoint = "cpt_x" }, verify.StateUndeliverable},
			"of a year":               {func(s *scene, q *verify.Request) { q.NotYounger = year }, verify.StateCreated},
			"of more than a year":     {func(s *scene, q *verify.Request) { q.NotYounger = year + 1 }, verify.StateUndeliverable},
			"of less than no time":    {func(s *scene, q *verify.Request) { q.NotYounger = -1 }, verify.StateCreated},
			"of no age that is asked": {func(s *scene, q *verify.Request) { q.NotYounger = 0 }, verify.StateCreated},
		} {
			s := newScene(t, word{}) // each with its own caps
			q := s.request(ringfence.FactOTP)
			tt.change(s, &q)
			want(t, name, s.create(q).State, tt.state)
		}
	})
}

// A secret of a link has 128 bits at least, in hexadecimal.
func TestTokenLength(t *testing.T) {
	for bits, digits := range map[int]int{0: 32, 64: 32, 128: 32, 129: 34, 136: 34, 256: 64} {
		token, hash := verify.Token(bits)
		if len(token) != digits || hash != verify.HashToken(token) {
			t.Errorf("%d bits: %d digits, want %d", bits, len(token), digits)
		}
	}
}
