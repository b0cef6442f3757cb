package passkey_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/passkey/passkeytest"
	"github.com/ringfence/ringfence/verify/verifytest"
)

// Three links of an hour are enough for one owner; the fourth is refused, and
// comes when the first is an hour old.
func TestOffersOfAnHour(t *testing.T) {
	w := verifytest.New(t)
	now := time.Now()
	w.Store.Clock = func() time.Time { return now }
	r, owner := registrar(t, w), string(w.Subject("10002000"))
	offer := func() error {
		_, _, err := r.Offer(t.Context(), verifytest.Tenant, passkey.Offer{Owner: owner})
		return err
	}
	for n := range 3 {
		if err := offer(); err != nil {
			t.Fatalf("link %d: %v", n+1, err)
		}
		now = now.Add(time.Minute)
	}
	if err := offer(); !errors.Is(err, passkey.ErrTooManyInvites) {
		t.Errorf("the fourth: %v", err)
	}
	now = now.Add(time.Hour - 3*time.Minute)
	if err := offer(); !errors.Is(err, passkey.ErrTooManyInvites) {
		t.Errorf("after exactly an hour: %v", err)
	}
	if now = now.Add(time.Second); offer() != nil {
		t.Error("the first is more than an hour old, and no other comes")
	}
	if _, _, err := r.Offer(t.Context(), verifytest.Tenant, passkey.Offer{}); err == nil {
		t.Error("a link of nobody")
	}
	if _, err := r.Invite(t.Context(), verifytest.Tenant, "", "nobody"); err == nil {
		t.Error("an invite of nobody")
	}
}

// What is kept with a link is kept with it or not at all.
func TestOfferKeeps(t *testing.T) {
	w := verifytest.New(t)
	r, owner := registrar(t, w), string(w.Subject("10002000"))
	broken := errors.New("cannot be kept")
	if _, _, err := r.Offer(t.Context(), verifytest.Tenant, passkey.Offer{Owner: owner, Keep: func(context.Context, verify.Tx) error { return broken }}); !errors.Is(err, broken) {
		t.Errorf("have %v", err)
	}
	if len(w.List(passkey.KindInvite)) != 0 || len(w.Events()) != 0 {
		t.Error("a link without what belongs to it")
	}
	_, _, err := r.Offer(t.Context(), verifytest.Tenant, passkey.Offer{Owner: owner, By: []ringfence.PersonID{"per_1"}, Keep: func(ctx context.Context, tx verify.Tx) error {
		return tx.Put(ctx, &verify.Record{Kind: "beside", ID: "x", Body: []byte("{}")})
	}})
	if err != nil || len(w.List("beside")) != 1 || len(w.Events()) != 1 {
		t.Errorf("%v, %d kept, %v", err, len(w.List("beside")), w.Events())
	}
	if e := w.Store.Entries(verifytest.Tenant)[0]; e.Person != "per_1" || string(e.Subject) != owner || e.Event != "authenticator.changed" {
		t.Errorf("told as %+v", e)
	}
}

// A link with a carry code does nothing before it, takes three codes, and is
// open when one was right.
func TestUnlock(t *testing.T) {
	type try struct {
		right bool
		ok    bool
		left  int
	}
	for name, tries := range map[string][]try{
		"at once":              {{true, true, 2}},
		"at the last":          {{false, false, 2}, {false, false, 1}, {true, true, 0}},
		"three wrong":          {{false, false, 2}, {false, false, 1}, {false, false, 0}, {true, false, 0}},
		"again after it":       {{true, true, 2}, {false, true, 0}},
		"the second of three":  {{false, false, 2}, {true, true, 1}, {true, true, 0}},
		"wrong after all over": {{false, false, 2}, {false, false, 1}, {false, false, 0}, {false, false, 0}},
	} {
		w := verifytest.New(t)
		r, owner := registrar(t, w), string(w.Subject("10002000"))
		token, code, err := r.Offer(t.Context(), verifytest.Tenant, passkey.Offer{Owner: owner, Carry: true})
		if err != nil || len(code) != passkey.CarryDigits {
			t.Fatal(err, len(code))
		}
		if inv, open, err := r.Look(t.Context(), verifytest.Tenant, token); err != nil || !open || !inv.NeedsCode() || inv.Owner != owner {
			t.Fatalf("%s: %+v, %v, %v", name, inv, open, err)
		}
		if _, ok, err := r.Begin(t.Context(), verifytest.Tenant, token); err != nil || ok {
			t.Errorf("%s: begun without the code, %v", name, err)
		}
		opened := false
		for i, one := range tries {
			keyed := code
			if !one.right {
				keyed = wrong(code)
			}
			ok, left, err := r.Unlock(t.Context(), verifytest.Tenant, token, keyed)
			if err != nil || ok != one.ok || left != one.left {
				t.Errorf("%s, try %d: %v with %d left, %v; want %v with %d", name, i+1, ok, left, err, one.ok, one.left)
			}
			opened = opened || ok
		}
		if _, ok, err := r.Begin(t.Context(), verifytest.Tenant, token); err != nil || ok != opened {
			t.Errorf("%s: begun is %v, %v", name, ok, err)
		}
	}
}

// A link without a code is open; no link is not.
func TestUnlockWithoutACode(t *testing.T) {
	w := verifytest.New(t)
	now := time.Now()
	w.Store.Clock = func() time.Time { return now }
	r := registrar(t, w)
	token, err := r.Invite(t.Context(), verifytest.Tenant, string(w.Subject("10002000")), "Ann")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := r.Unlock(t.Context(), verifytest.Tenant, token, nil); err != nil || !ok {
		t.Errorf("asks for a code: %v", err)
	}
	if ok, left, err := r.Unlock(t.Context(), verifytest.Tenant, ringfence.Secret("of nobody"), nil); err != nil || ok || left != 0 {
		t.Errorf("no link: %v, %d, %v", ok, left, err)
	}
	now = now.Add(passkey.InviteLife)
	if ok, _, err := r.Unlock(t.Context(), verifytest.Tenant, token, nil); err != nil || ok {
		t.Errorf("an old link: %v, %v", ok, err)
	}
	if _, ok, err := r.Begin(t.Context(), verifytest.Tenant, token); err != nil || ok {
		t.Errorf("an old link begins: %v, %v", ok, err)
	}
}

// A link that asks for proof takes a passkey that is there, once, and makes none.
func TestProvingLink(t *testing.T) {
	for name, tt := range map[string]struct {
		keeps, ok bool
		change    func(s *scene)
		phone     func(s *scene) *passkeytest.Authenticator
	}{
		"the passkey on file": {true, true, func(*scene) {}, func(s *scene) *passkeytest.Authenticator { return s.phone }},
		"somebody else's":     {true, false, func(*scene) {}, func(*scene) *passkeytest.Authenticator { return passkeytest.New(origin) }},
		"what cannot be done": {false, false, func(*scene) {}, func(s *scene) *passkeytest.Authenticator { return s.phone }},
		"suspended meanwhile": {true, false, (*scene).suspend, func(s *scene) *passkeytest.Authenticator { return s.phone }},
	} {
		s := newScene(t)
		r := registrar(t, s.World)
		before := len(s.List("authenticator"))
		token, _, err := r.Offer(t.Context(), verifytest.Tenant, passkey.Offer{Owner: string(s.subject), Prove: true, For: "rel_1"})
		if err != nil {
			t.Fatal(err)
		}
		options, ok, err := r.Begin(t.Context(), verifytest.Tenant, token)
		if err != nil || !ok || !json.Valid(options) {
			t.Fatalf("%s: %v, %v", name, ok, err)
		}
		tt.change(s)
		body, err := tt.phone(s).Assert(options)
		if err != nil {
			if tt.ok {
				t.Fatal(name, err)
			}
			body = []byte("{}")
		}
		broken, done := errors.New("cannot be done"), 0
		a, ok, err := r.FinishWith(t.Context(), verifytest.Tenant, token, body, func(_ context.Context, _ verify.Tx, inv passkey.Invite, a ringfence.Authenticator) error {
			if inv.For != "rel_1" || a.ID != s.aut {
				t.Errorf("%s: done for %q with %s", name, inv.For, a.ID)
			}
			if !tt.keeps {
				return broken
			}
			done++
			return nil
		})
		if tt.keeps && err != nil || !tt.keeps && !errors.Is(err, broken) || err == nil && ok && (!tt.ok || a.ID != s.aut) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		if tt.ok && (done == 0 || !ok) {
			t.Errorf("%s: it was not done", name)
		}
		if len(s.List("authenticator")) != before {
			t.Errorf("%s: a passkey was made", name)
		}
		if _, open, _ := r.Look(t.Context(), verifytest.Tenant, token); tt.ok && open {
			t.Errorf("%s: the link can be used again", name)
		}
	}
}

func (s *scene) suspend() {
	a := s.ReadAuthenticator(s.aut)
	a.Status = ringfence.StatusSuspended
	s.PutAuthenticator(a)
}
