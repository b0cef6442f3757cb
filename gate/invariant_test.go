package gate

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// The tests here carry the numbers of the invariants.

func TestInvariant01OnlyTheRedeemedActionIsToldToTheExecutor(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	red, err := w.g.Redeem(ctx, ten, executor, token, Key{})
	if err != nil {
		t.Fatal(err)
	}
	canonical, digest, err := Canonical(r)
	if err != nil || string(red.Canonical) != string(canonical) || red.Digest != digest || digest != r.Digest {
		t.Errorf("the redemption tells another action: %s", red.Canonical)
	}
	if _, err := w.g.Report(ctx, ten, "other", red.Permit, OutcomeExecuted); !errors.Is(err, ErrNotFound) {
		t.Errorf("another executor reported: %v", err)
	}
	if _, err := w.g.Report(ctx, ten, executor, red.Permit, "done"); err == nil {
		t.Error("an unknown outcome was taken")
	}
	if r := w.look(r.ID); r.State != StateRedeemed {
		t.Errorf("have %s", r.State)
	}
	w.must(w.g.Report(ctx, ten, executor, red.Permit, OutcomeUnknown))
	w.must(w.g.Report(ctx, ten, executor, red.Permit, OutcomeUnknown))
	if _, err := w.g.Report(ctx, ten, executor, red.Permit, OutcomeExecuted); !errors.Is(err, ErrConflict) {
		t.Errorf("unknown became executed without a person: %v", err)
	}
	if _, err := w.g.Reconcile(ctx, ten, r.ID, agent, OutcomeExecuted); !errors.Is(err, ErrForbidden) {
		t.Errorf("an agent reconciled: %v", err)
	}
	if r := w.must(w.g.Reconcile(ctx, ten, r.ID, risk, OutcomeExecuted)); r.State != StateReconciled {
		t.Errorf("have %s", r.State)
	}
}

func TestInvariant02OnePermitOneRedemption(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	if _, _, err := w.g.Permit(ctx, ten, r.ID, executor); !errors.Is(err, ErrConflict) {
		t.Errorf("a second permit while one is out: %v", err)
	}
	other := w.open(w.store) // a second node on the same store
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, lost := 0, 0
	for i := range 1000 {
		wg.Go(func() {
			g := w.g
			if i%2 == 1 {
				g = other
			}
			_, err := g.Redeem(ctx, ten, executor, token, Key{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.Is(err, ErrConflict):
				lost++
			default:
				t.Errorf("loser got %v", err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 999 {
		t.Errorf("%d redeemed, %d refused", won, lost)
	}
	if n := count(w, "release.redeemed"); n != 1 {
		t.Errorf("%d entries tell a redemption", n)
	}
}

func count(w *world, event ledger.Event) int {
	n := 0
	for _, e := range w.store.Entries(ten) {
		if e.Event == event {
			n++
		}
	}
	return n
}

func TestInvariant02SameKeySameAnswer(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	k := Key{Client: executor, Operation: "redeem", Value: "k", Body: [32]byte{1}}
	first, err := w.g.Redeem(ctx, ten, executor, token, k)
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour) // the executor crashed and comes back late
	again, err := w.g.Redeem(ctx, ten, executor, token, k)
	if err != nil || string(again.Canonical) != string(first.Canonical) || !again.At.Equal(first.At) {
		t.Errorf("the same key got another answer: %v", err)
	}
	if n := count(w, "release.redeemed"); n != 1 {
		t.Errorf("%d redemptions", n)
	}
	k.Body[0] = 2
	if _, err := w.g.Redeem(ctx, ten, executor, token, k); !errors.Is(err, ErrConflict) {
		t.Errorf("another body: %v", err)
	}
	k.Value = "k2"
	if _, err := w.g.Redeem(ctx, ten, executor, token, k); !errors.Is(err, ErrConflict) {
		t.Errorf("another key: %v", err)
	}
}

func TestInvariant02PermitsAreForTheirExecutorAndTime(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	for _, who := range []string{"", "other", "Bank"} {
		if token, _, err := w.g.Permit(ctx, ten, r.ID, who); !errors.Is(err, ErrForbidden) || token != "" {
			t.Errorf("%q got a permit: %v", who, err)
		}
	}
	token := w.permit(r.ID)
	for _, who := range []string{"", "other", "Bank"} {
		if _, err := w.g.Redeem(ctx, ten, who, token, Key{}); !errors.Is(err, ErrForbidden) {
			t.Errorf("%q redeemed: %v", who, err)
		}
	}
	if _, err := w.g.Redeem(ctx, "ten_other", executor, token, Key{}); !errors.Is(err, ErrForbidden) {
		t.Errorf("another tenant redeemed: %v", err)
	}
	w.now = w.now.Add(60 * time.Second)
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); !errors.Is(err, ErrExpired) {
		t.Errorf("redeemed after 60 s: %v", err)
	}
	for i := 2; ; i++ {
		w.pass(0)
		s := w.look(r.ID).State
		if s == StateExpired && i == permitTries+2 {
			break
		}
		if s != StateReady || i > permitTries+2 {
			t.Fatalf("after %d permits: %s", i-1, s)
		}
		again := w.permit(r.ID)
		if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err == nil {
			t.Fatal("an old permit was redeemed")
		}
		w.now = w.now.Add(61 * time.Second)
		token = again
	}
}

func TestInvariant02ForgedPermits(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	head, rest, _ := strings.Cut(token, ".")
	body, sig, _ := strings.Cut(rest, ".")
	forger := &Gate{cfg: w.g.cfg, pub: w.g.pub}
	forger.cfg.Key = key("forger")
	c, err := w.g.ReadPermit(token)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := forger.sign(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Digest[0] ^= 1
	altered, err := w.g.sign(c) // our own key, another digest: the row decides
	if err != nil {
		t.Fatal(err)
	}
	other := &Gate{cfg: w.g.cfg, pub: w.g.pub}
	other.cfg.Issuer = "elsewhere"
	c.Digest[0] ^= 1
	c.Issuer = "elsewhere"
	issued, err := other.sign(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Issuer = "ringfence"
	untyped, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: w.g.cfg.Key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := untyped.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]string{
		"other issuer": issued, "another kind of token": plain,
		"empty": "", "not a token": "a.b.c", "no signature": head + "." + body + ".", "none": "eyJhbGciOiJub25lIn0." + body + ".",
		"foreign key": foreign, "other digest": altered, "cut signature": head + "." + body + "." + sig[:len(sig)-4],
		"JSON": `{"payload":"` + body + `","protected":"` + head + `","signature":"` + sig + `"}`, "long": strings.Repeat("a", maxPermitBytes+1),
		"twice": token + "." + sig, "blank": token + " ",
	} {
		if red, err := w.g.Redeem(ctx, ten, executor, tok, Key{}); err == nil || len(red.Canonical) > 0 {
			t.Errorf("%s was redeemed", name)
		}
	}
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err != nil {
		t.Errorf("the real one: %v", err)
	}
}

func TestInvariant03And07EvidenceOfAnotherRelease(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	a, b := w.opened("payment"), w.opened("payment")
	if a.Digest == b.Digest || a.Nonce == b.Nonce {
		t.Fatal("two releases, one digest")
	}
	w.prove(a, "passkey", "callback", "confirmed")
	r, v := w.released(b.ID)
	if r.State != StatePendingEvidence || v.Decision != StepUp || len(v.Used) != 0 {
		t.Errorf("proofs of one release counted for another: %+v", v)
	}
	for name, spoil := range map[string]func(*ringfence.Evidence){
		"of another subject":   func(e *ringfence.Evidence) { e.Subject = acme },
		"of another digest":    func(e *ringfence.Evidence) { e.Digest = a.Digest },
		"of no release":        func(e *ringfence.Evidence) { e.Release = "" },
		"bound to nothing":     func(e *ringfence.Evidence) { e.Release, e.Digest = "", ringfence.Digest{} },
		"of the future":        func(e *ringfence.Evidence) { e.At = w.now.Add(time.Minute) },
		"of a weaker strength": func(e *ringfence.Evidence) { e.Strength = "K" },
		"of no authenticator":  func(e *ringfence.Evidence) { e.Authenticator, e.ContactPoint = "", "" },
		"of a strange contact": func(e *ringfence.Evidence) { e.Authenticator, e.ContactPoint = "aut_x", "cpt_x" },
		"of somebody else's keys": func(e *ringfence.Evidence) {
			e.Authenticator, e.ContactPoint = "aut_per_agent", "cpt_a"+ringfence.ContactPointID(acme)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.knownPayee()
			r := w.opened("payment")
			for _, f := range []ringfence.Fact{"passkey", "callback"} {
				e := w.evidenceFor(r, f)
				spoil(&e)
				w.putEvidence(e)
			}
			w.prove(r, "confirmed")
			if _, v := w.released(r.ID); v.Decision != StepUp || !slices.Contains(v.Missing, "callback") {
				t.Errorf("counted: %+v", v)
			}
		})
	}
}

func TestInvariant08AChangeIsANewRelease(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	got := w.must(w.g.Invalidate(ctx, ten, r.ID, Actor{Flow: "customer-line"}, "the caller asked for another amount"))
	if got.State != StateInvalidated {
		t.Fatalf("have %s", got.State)
	}
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); !errors.Is(err, ErrConflict) {
		t.Errorf("redeemed after the change: %v", err)
	}
	q := request("payment")
	q.Fields["amount"] = "100001 GBP"
	next, _, err := w.g.Open(ctx, ten, q)
	if w.must(next, err).Digest == r.Digest {
		t.Error("another amount, one digest")
	}
	if _, v := w.released(next.ID); v.Decision == Allow {
		t.Error("what was proved for the old action counted for the new")
	}
}

func TestInvariant09And10SignalsAlone(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "attested", "known_number")
	if _, v := w.released(r.ID); v.Decision == Allow {
		t.Error("signals released a payment")
	}
	w.signals = nil // nobody knows anything
	b := w.opened("bank_change")
	w.prove(b, "pin", "passkey", "callback", "confirmed")
	r, v := w.released(b.ID)
	if r.State != StateCooling || v.Hold != 24*time.Hour {
		t.Errorf("unknown signals: %s, hold %v, want a day", r.State, v.Hold)
	}
	w.signals = map[string]ringfence.Tri{"sim_swap": ringfence.Yes, "diversion": ringfence.No}
	w.pass(24 * time.Hour)
	if r := w.look(b.ID); r.State == StateReady || r.State == StatePermitted {
		t.Errorf("a SIM swap during the hold: %s", r.State)
	}
	w.signals = map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}
	if _, v, err := w.g.Evaluate(context.Background(), ten, b.ID); err != nil || v.Decision == Allow {
		t.Errorf("a bad signal was forgotten: %+v %v", v, err)
	}
}

func TestInvariant13WhoMayApprove(t *testing.T) {
	ctx := context.Background()
	pending := func(t *testing.T, w *world) Release {
		w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Tenant: ten, Subject: ann, Type: ringfence.AuthPIN, Status: ringfence.StatusRemoved})
		r := w.opened("bank_change")
		w.prove(r, "pin", "totp", "callback", "confirmed")
		r, v := w.released(r.ID)
		if r.State != StatePendingApproval {
			t.Fatalf("%s %+v", r.State, v)
		}
		return r
	}
	for _, tt := range []struct {
		name string
		who  ringfence.PersonID
		prep func(*world, Release)
		want error // nil = self_approval
	}{
		{"the opener", agent, nil, nil},
		{"nobody", "", nil, nil},
		{"the owner of the call", manager, func(w *world, r Release) {
			w.entry(ledger.Entry{Event: "traversal.owned", Traversal: trv, Person: manager})
		}, nil},
		{"somebody on a leg", manager, func(w *world, r Release) {
			w.entry(ledger.Entry{Event: "leg.answered", Traversal: trv, Person: manager})
		}, nil},
		{"who asked for the call-back", manager, func(w *world, r Release) {
			w.entry(ledger.Entry{Event: "challenge.created", Release: r.ID, Person: manager})
		}, nil},
		{"not of the group", risk, nil, ErrForbidden},
		{"a stranger", "per_x", nil, ErrForbidden},
		{"suspended", manager, func(w *world, r Release) {
			w.person(ringfence.Person{ID: manager, Groups: []string{"payments_manager"}, Status: ringfence.StatusSuspended})
		}, ErrForbidden},
		{"not yet", manager, func(w *world, r Release) {
			w.person(ringfence.Person{ID: manager, Groups: []string{"payments_manager"}, Since: w.now.Add(time.Second)})
		}, ErrForbidden},
		{"without a passkey", manager, func(w *world, r Release) {
			w.authenticator(ringfence.Authenticator{ID: "aut_per_manager", Subject: ringfence.SubjectID(manager), Type: ringfence.AuthTOTP, StoredAt: epoch, Status: ringfence.StatusActive})
		}, ErrForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := pending(t, w)
			if tt.prep != nil {
				tt.prep(w, r)
			}
			_, v, err := w.g.Approve(ctx, ten, approval(r, tt.who))
			switch {
			case tt.want == nil && (err != nil || !slices.Contains(v.Reasons, policy.ReasonSelfApproval)):
				t.Errorf("have %v %+v, want self_approval", err, v)
			case tt.want != nil && !errors.Is(err, tt.want):
				t.Errorf("have %v, want %v", err, tt.want)
			}
			if r := w.look(r.ID); r.State != StatePendingApproval {
				t.Errorf("have %s", r.State)
			}
			if n := count(w, "approval.given"); n != 0 {
				t.Errorf("%d approvals", n)
			}
		})
	}
	t.Run("involved only later", func(t *testing.T) {
		w := newWorld(t)
		w.knownPayee()
		r, _, err := w.g.Open(ctx, ten, request("invoice"))
		w.must(r, err)
		w.prove(r, "callback", "confirmed")
		r, _, err = w.g.AskApproval(ctx, ten, r.ID, Actor{Person: agent})
		w.must(r, err)
		if r, _, err = w.g.Approve(ctx, ten, approval(r, manager)); err != nil || r.State != StatePendingApproval {
			t.Fatalf("%v %s: release was not asked for", err, r.State)
		}
		w.entry(ledger.Entry{Event: "traversal.owned", Traversal: trv, Person: manager})
		if r, v := w.released(r.ID); r.State != StatePendingApproval || v.Decision == Allow {
			t.Errorf("an approver who then took the call still counts: %s %+v", r.State, v)
		}
	})
}

func TestInvariant14ApprovalsAreBound(t *testing.T) {
	ctx := context.Background()
	setup := func(t *testing.T) (*world, Release) {
		w := newWorld(t)
		w.knownPayee()
		r, _, err := w.g.Open(ctx, ten, request("invoice"))
		w.must(r, err)
		w.prove(r, "callback", "confirmed")
		r, _ = w.released(r.ID)
		if r.State != StatePendingApproval {
			t.Fatal(r.State)
		}
		return w, r
	}
	for name, spoil := range map[string]func(*ApprovalInput){
		"digest":        func(a *ApprovalInput) { a.Digest[0] ^= 1 },
		"policy":        func(a *ApprovalInput) { a.Policy[0] ^= 1 },
		"evidence":      func(a *ApprovalInput) { a.EvidenceHash[0] ^= 1 },
		"no evidence":   func(a *ApprovalInput) { a.EvidenceHash = ringfence.Digest{} },
		"signature":     func(a *ApprovalInput) { a.Assertion[0] ^= 1 },
		"no signature":  func(a *ApprovalInput) { a.Assertion = nil },
		"other passkey": func(a *ApprovalInput) { a.Authenticator = "aut_per_manager2" },
		"for another":   func(a *ApprovalInput) { a.Assertion = assertionOf(a.Authenticator, [32]byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			w, r := setup(t)
			a := approval(r, manager)
			spoil(&a)
			if _, _, err := w.g.Approve(ctx, ten, a); err == nil {
				t.Error("was taken")
			}
			if n := count(w, "approval.given"); n != 0 {
				t.Error("was written")
			}
		})
	}
	t.Run("expires", func(t *testing.T) {
		w, r := setup(t)
		q := request("invoice")
		q.Fields["amount"] = "600000 GBP" // two must agree
		q.Traversal = "trv_2"
		big, _, err := w.g.Open(ctx, ten, q)
		w.must(big, err)
		w.prove(big, "callback", "confirmed")
		big, v := w.released(big.ID)
		if v.Approvals.Count != 2 || big.State != StatePendingApproval {
			t.Fatalf("%s %+v", big.State, v)
		}
		if _, _, err := w.g.Approve(ctx, ten, approval(big, manager)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.g.Approve(ctx, ten, approval(big, manager)); err != nil {
			t.Fatal(err)
		}
		if s := w.look(big.ID).State; s != StatePendingApproval {
			t.Fatalf("one person approved twice: %s", s)
		}
		w.pass(15 * time.Minute)
		got, _, err := w.g.Approve(ctx, ten, approval(big, manager2))
		if err != nil || got.State != StatePendingApproval {
			t.Errorf("an expired approval counted: %v %s", err, got.State)
		}
		if got, _, err = w.g.Approve(ctx, ten, approval(big, manager)); err != nil || got.State != StateReady {
			t.Errorf("two fresh ones: %v %s %s", err, got.State, got.Why)
		}
		w.pass(15 * time.Minute)
		_ = r
	})
	t.Run("of somebody who was suspended meanwhile", func(t *testing.T) {
		w, _ := setup(t)
		q := request("invoice")
		q.Fields["amount"], q.Traversal = "600000 GBP", "trv_2" // two must agree
		big, _, err := w.g.Open(ctx, ten, q)
		w.must(big, err)
		w.prove(big, "callback", "confirmed")
		big, _ = w.released(big.ID)
		if _, _, err := w.g.Approve(ctx, ten, approval(big, manager)); err != nil {
			t.Fatal(err)
		}
		w.person(ringfence.Person{ID: "per_boss", Roles: []ringfence.Role{ringfence.RoleAdmin}})
		if err := w.g.SuspendPerson(ctx, ten, manager, "per_boss", nil); err != nil {
			t.Fatal(err)
		}
		if got, _, err := w.g.Approve(ctx, ten, approval(big, manager2)); err != nil || got.State != StatePendingApproval {
			t.Errorf("the approval counted: %v %s", err, got.State)
		}
		if _, _, err := w.g.Approve(ctx, ten, approval(big, manager)); !errors.Is(err, ErrForbidden) {
			t.Errorf("their passkey approved: %v", err)
		}
	})
	t.Run("withdrawn", func(t *testing.T) {
		w, r := setup(t)
		got, _, err := w.g.Approve(ctx, ten, approval(r, manager))
		if w.must(got, err).State != StateReady {
			t.Fatal(got.State)
		}
		var id ringfence.ApprovalID
		for _, e := range w.store.Entries(ten) {
			if e.Event == "approval.given" {
				id = ringfence.ApprovalID(e.Object)
			}
		}
		token := w.permit(r.ID)
		if _, err := w.g.WithdrawApproval(ctx, ten, r.ID, id, manager2); !errors.Is(err, ErrForbidden) {
			t.Errorf("another withdrew it: %v", err)
		}
		w.must(w.g.WithdrawApproval(ctx, ten, r.ID, id, manager))
		if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); !errors.Is(err, ErrHeld) {
			t.Errorf("redeemed without its approval: %v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		w, r := setup(t)
		if got := w.must(w.g.RefuseApproval(ctx, ten, r.ID, manager)); got.State != StateHeld {
			t.Errorf("have %s", got.State)
		}
		if _, _, err := w.g.Approve(ctx, ten, approval(r, manager2)); !errors.Is(err, ErrHeld) {
			t.Errorf("another colleague went over the no: %v", err)
		}
	})
}

func TestInvariant15YoungThingsDoNotCount(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"number of 71 hours": func(w *world) {
			w.contact(ringfence.ContactPoint{ID: "cpt_asub_ann", Subject: ann, VerifiedAt: w.now, ChangedAt: w.now.Add(-71 * time.Hour), Status: ringfence.StatusActive})
		},
		"number of 29 days": func(w *world) {
			w.contact(ringfence.ContactPoint{ID: "cpt_asub_ann", Subject: ann, VerifiedAt: w.now, ChangedAt: w.now.Add(-29 * 24 * time.Hour), Status: ringfence.StatusActive})
		},
		"number of unknown age": func(w *world) {
			w.contact(ringfence.ContactPoint{ID: "cpt_asub_ann", Subject: ann, VerifiedAt: w.now, Status: ringfence.StatusActive})
		},
		"number never verified": func(w *world) {
			w.contact(ringfence.ContactPoint{ID: "cpt_asub_ann", Subject: ann, ChangedAt: w.now.Add(-year), Status: ringfence.StatusActive})
		},
		"suspended number": func(w *world) {
			w.contact(ringfence.ContactPoint{ID: "cpt_asub_ann", Subject: ann, VerifiedAt: w.now, ChangedAt: w.now.Add(-year), Status: ringfence.StatusSuspended})
		},
		"young passkey": func(w *world) {
			w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Subject: ann, Type: ringfence.AuthPasskey, BoundAt: w.now.Add(-71 * time.Hour), Status: ringfence.StatusActive})
		},
		"suspended passkey": func(w *world) {
			w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Subject: ann, Type: ringfence.AuthPasskey, BoundAt: w.now.Add(-year), Status: ringfence.StatusSuspended})
		},
		"young PIN": func(w *world) {
			w.authenticator(ringfence.Authenticator{ID: "aut_pin", Subject: ann, Type: ringfence.AuthPIN, BoundAt: w.now.Add(-71 * time.Hour), Status: ringfence.StatusActive})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spoil(w)
			r := w.opened("bank_change")
			w.prove(r, "pin", "passkey", "callback", "confirmed")
			if got, v := w.released(r.ID); got.State != StatePendingEvidence || v.Decision == Allow {
				t.Errorf("counted: %s %+v", got.State, v)
			}
		})
	}
	t.Run("revoked during the hold", func(t *testing.T) {
		w := newWorld(t)
		r := w.opened("bank_change")
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		if got, _ := w.released(r.ID); got.State != StateCooling {
			t.Fatal(got.State)
		}
		w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Subject: ann, Type: ringfence.AuthPasskey, BoundAt: w.now.Add(-year), RemovedAt: w.now, Status: ringfence.StatusRemoved})
		w.pass(13 * time.Hour)
		if got := w.look(r.ID); got.State != StatePendingEvidence || len(got.Evidence) != 0 {
			t.Errorf("have %s", got.State)
		}
	})
	t.Run("replaced by a later proof during the hold", func(t *testing.T) {
		w := newWorld(t)
		w.authenticator(ringfence.Authenticator{ID: "aut_second", Subject: ann, Type: ringfence.AuthPasskey, BoundAt: w.now.Add(-year), Status: ringfence.StatusActive})
		r := w.opened("bank_change")
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		w.released(r.ID)
		e := w.evidenceFor(r, "passkey")
		e.Authenticator = "aut_second"
		w.putEvidence(e)
		w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Subject: ann, Type: ringfence.AuthPasskey, BoundAt: w.now.Add(-year), RemovedAt: w.now, Status: ringfence.StatusRemoved})
		w.pass(13 * time.Hour)
		if got := w.look(r.ID); got.State != StatePendingEvidence {
			t.Errorf("the frozen set was not what counted: %s", got.State)
		}
	})
	t.Run("a number changed during the hold", func(t *testing.T) {
		w := newWorld(t)
		r := w.opened("bank_change")
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		w.released(r.ID)
		w.now = w.now.Add(time.Hour)
		w.contact(ringfence.ContactPoint{ID: "cpt_new", Subject: ann, VerifiedAt: w.now, ChangedAt: w.now, StoredAt: w.now, Status: ringfence.StatusActive})
		w.pass(12 * time.Hour)
		if got := w.look(r.ID); got.State != StateInvalidated {
			t.Errorf("have %s", got.State)
		}
	})
}

func TestInvariant19And20PolicyInForce(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	pinned := r.Policy
	w.policies.set(loadPolicy(t, "[passkey or totp, callback, confirmed]", "[passkey or totp, callback, confirmed, pin]"))
	token, v, err := w.g.Permit(ctx, ten, r.ID, executor)
	if err != nil || token != "" || v.Decision != StepUp || !slices.Equal(v.Missing, []ringfence.Fact{"pin"}) {
		t.Fatalf("a stricter policy in force: %v %+v", err, v)
	}
	got := w.look(r.ID)
	if got.State != StatePendingEvidence || got.Policy != pinned || len(got.Evidence) != 0 {
		t.Errorf("have %s under %s", got.State, got.Policy)
	}
	w.policies.set(loadPolicy(t, "  payment:\n", "  payments:\n", "payment.payee", "payments.payee", "payment.amount", "payments.amount", "payment.account", "payments.account"))
	w.prove(got, "pin", "passkey", "callback", "confirmed")
	if got, _ = w.released(r.ID); got.State != StateReady {
		t.Fatalf("%s %s", got.State, got.Why)
	}
	if token, v, err := w.g.Permit(ctx, ten, r.ID, executor); err != nil || token != "" || v.Decision == Allow {
		t.Errorf("the policy in force no longer has the action: %v %+v", err, v)
	}
	delete(w.policies.all, [32]byte(pinned))
	if _, v, err := w.g.Evaluate(ctx, ten, r.ID); err != nil || v.Decision != Refuse {
		t.Errorf("the pinned policy is lost: %v %+v", err, v)
	}
}

func TestInvariant20StaffTakesTwoAndADay(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.person(ringfence.Person{ID: "per_admin1", Roles: []ringfence.Role{ringfence.RoleAdmin}})
	w.person(ringfence.Person{ID: "per_admin2", Roles: []ringfence.Role{ringfence.RoleAdmin}})
	p := ringfence.Person{ID: ringfence.NewID[ringfence.PersonID]("per"), Name: "New", Roles: []ringfence.Role{ringfence.RoleAgent}}
	msg, err := PersonMessage(ten, p)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(who ringfence.PersonID) Signature {
		aut := ringfence.AuthenticatorID("aut_" + who)
		return Signature{Person: who, Authenticator: aut, Assertion: assertionOf(aut, msg)}
	}
	other := p
	other.Roles = []ringfence.Role{ringfence.RoleRisk}
	for name, try := range map[string]func() error{
		"nobody":    func() error { _, err := w.g.PutPerson(ctx, ten, p); return err },
		"one":       func() error { _, err := w.g.PutPerson(ctx, ten, p, sign("per_admin1")); return err },
		"one twice": func() error { _, err := w.g.PutPerson(ctx, ten, p, sign("per_admin1"), sign("per_admin1")); return err },
		"an agent":  func() error { _, err := w.g.PutPerson(ctx, ten, p, sign("per_admin1"), sign(agent)); return err },
		"other roles": func() error {
			_, err := w.g.PutPerson(ctx, ten, other, sign("per_admin1"), sign("per_admin2"))
			return err
		},
		"other tenant": func() error {
			_, err := w.g.PutPerson(ctx, "ten_other2", p, sign("per_admin1"), sign("per_admin2"))
			return err
		},
	} {
		if name == "other tenant" { // the first two there need no signature
			continue
		}
		if err := try(); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := w.g.PutPerson(ctx, ten, p, sign("per_admin1"), sign("per_admin2"))
	if err != nil || got.Has(ringfence.RoleAgent, w.now.Add(24*time.Hour-time.Second)) || !got.Has(ringfence.RoleAgent, w.now.Add(24*time.Hour)) {
		t.Errorf("two persons: %v %+v", err, got)
	}
	if err := w.g.SuspendPerson(ctx, ten, p.ID, agent, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("an agent suspended: %v", err)
	}
	if err := w.g.SuspendPerson(ctx, ten, p.ID, "per_admin1", nil); err != nil {
		t.Error(err)
	}
	fresh := newWorld(t)
	fresh.store.Update(ctx, "ten_new", func(ledger.Tx) error { return nil })
	for i, id := range []ringfence.PersonID{ringfence.NewID[ringfence.PersonID]("per"), ringfence.NewID[ringfence.PersonID]("per"), ringfence.NewID[ringfence.PersonID]("per")} {
		_, err := fresh.g.PutPerson(ctx, "ten_new", ringfence.Person{ID: id, Roles: []ringfence.Role{ringfence.RoleAdmin}})
		if (err == nil) != (i < 2) {
			t.Errorf("person %d of a fresh folder: %v", i+1, err)
		}
	}
}

func TestInvariant20AResetPasskeyWaits(t *testing.T) {
	old := ringfence.Authenticator{ID: "aut_1", Type: ringfence.AuthPasskey, StoredAt: epoch.Add(-year), Status: ringfence.StatusRemoved}
	reset := ringfence.Authenticator{ID: "aut_2", Type: ringfence.AuthPasskey, StoredAt: epoch, Status: ringfence.StatusActive}
	all := []ringfence.Authenticator{old, reset}
	if passkeyCounts(all, reset, epoch.Add(24*time.Hour-1), staffWait) || !passkeyCounts(all, reset, epoch.Add(24*time.Hour), staffWait) {
		t.Error("a reset passkey does not wait a day")
	}
	if !passkeyCounts(all[1:], reset, epoch, staffWait) || passkeyCounts(nil, ringfence.Authenticator{}, epoch, staffWait) {
		t.Error("the first one, or the zero one")
	}
}

func TestInvariant21And28FrozenRefuses(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	for _, why := range []policy.Reason{policy.ReasonClock, policy.ReasonStore} {
		w.frozen = why
		if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); !errors.Is(err, ErrHeld) {
			t.Errorf("redeemed while %s is not trusted: %v", why, err)
		}
		b := w.opened("payment")
		if _, v := w.released(b.ID); v.Decision != Refuse || !slices.Contains(v.Reasons, why) {
			t.Errorf("%s: %+v", why, v)
		}
	}
	w.frozen = ""
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

func TestInvariant22PermitCarriesItsProof(t *testing.T) {
	w := newWorld(t)
	r := w.ready()
	c, err := w.g.ReadPermit(w.permit(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := w.g.cfg.Log.VerifierKey(ten)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	head, err := ledger.OpenCheckpoint([]byte(c.Head), v)
	if err != nil || head.Size <= c.Index {
		t.Fatalf("head %+v, %v", head, err)
	}
	err = w.store.View(context.Background(), ten, func(tx ledger.Tx) error {
		proof, err := tlog.ProveRecord(head.Size, c.Index, tx)
		if err != nil {
			return err
		}
		e, err := tx.Entries(context.Background(), ledger.EntryQuery{From: c.Index, Limit: 1})
		if err != nil {
			return err
		}
		leaf, err := e[0].Leaf()
		if err != nil || e[0].Event != "release.permitted" || e[0].Release != r.ID {
			t.Errorf("entry %d is %s: %v", c.Index, e[0].Event, err)
		}
		return tlog.CheckRecord(proof, head.Size, head.Root, c.Index, tlog.RecordHash(leaf))
	})
	if err != nil {
		t.Errorf("the permit's head does not cover its entry: %v", err)
	}
}

func TestInvariant25TenantsAreApart(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	other := ringfence.TenantID("ten_other")
	by := Actor{Person: agent}
	for name, try := range map[string]func() error{
		"look":     func() error { _, err := w.g.Lookup(ctx, other, r.ID); return err },
		"evaluate": func() error { _, _, err := w.g.Evaluate(ctx, other, r.ID); return err },
		"release":  func() error { _, _, err := w.g.Release(ctx, other, r.ID, by); return err },
		"approve":  func() error { _, _, err := w.g.Approve(ctx, other, approval(r, manager)); return err },
		"permit":   func() error { _, _, err := w.g.Permit(ctx, other, r.ID, executor); return err },
		"cancel":   func() error { _, err := w.g.Cancel(ctx, other, r.ID, by, ""); return err },
		"reject":   func() error { _, err := w.g.Reject(ctx, other, r.ID, by); return err },
		"lift":     func() error { _, err := w.g.Lift(ctx, other, r.ID, risk, "looked at"); return err },
	} {
		if err := try(); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := w.g.List(ctx, other, Filter{}); err != nil || len(list) != 0 {
		t.Errorf("listed %d: %v", len(list), err)
	}
}

// An executor that takes a page at a time comes to everything: what it is given
// first is what has waited longest.
func TestAnExecutorsPageIsTheOldest(t *testing.T) {
	w := newWorld(t)
	first := w.ready()
	w.pass(time.Second)
	second := w.ready()
	for _, want := range []Release{first, second} {
		page, err := w.g.List(context.Background(), ten, Filter{Executor: executor, Limit: 1})
		if err != nil || len(page) != 1 || page[0].ID != want.ID {
			t.Fatalf("want %s: %v %v", want.ID, page, err)
		}
		w.permit(want.ID)
	}
}

func TestInvariant26DuressLooksLikeNothing(t *testing.T) {
	ctx := context.Background()
	run := func(duress bool) (*world, Release, []Verdict) {
		w := newWorld(t)
		w.knownPayee()
		r := w.opened("payment")
		w.prove(r, "passkey", "callback", "confirmed")
		if duress {
			w.alarm(alarm{Kind: alarmDuress, Traversal: trv, Subject: ann})
		}
		var vs []Verdict
		_, v, err := w.g.Evaluate(ctx, ten, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, v)
		r, v = w.released(r.ID)
		vs = append(vs, v)
		r, v = w.released(r.ID)
		return w, r, append(vs, v)
	}
	plain, a, va := run(false)
	w, b, vb := run(true)
	if a.State != StateReady || b.State != a.State || a.Why != b.Why || !slices.Equal(a.Reasons, b.Reasons) || len(b.Holds) != 0 || a.Version != b.Version {
		t.Errorf("it shows:\n%+v\n%+v", a, b)
	}
	for i := range va {
		if va[i].Next != vb[i].Next || va[i].Decision != vb[i].Decision {
			t.Errorf("verdict %d shows it: %+v, %+v", i, va[i], vb[i])
		}
	}
	if _, _, err := w.g.Permit(ctx, ten, b.ID, executor); !errors.Is(err, ErrConflict) {
		t.Errorf("a permit under duress: %v", err)
	}
	if ready, err := w.g.List(ctx, ten, Filter{Executor: executor}); err != nil || len(ready) != 0 {
		t.Errorf("the executor sees it: %v %v", ready, err)
	}
	if ready, err := plain.g.List(ctx, ten, Filter{Executor: executor}); err != nil || len(ready) != 1 {
		t.Errorf("the executor does not see the honest one: %v %v", ready, err)
	}
	for who, want := range map[ringfence.PersonID]bool{risk: true, manager: true, agent: false, "per_x": false} {
		got, err := w.g.Duress(ctx, ten, who)
		if want != (err == nil && len(got) == 1) || !want && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v %v", who, got, err)
		}
	}
	token := plain.permit(a.ID)
	plain.alarm(alarm{Kind: alarmDuress, Release: a.ID, Subject: ann})
	if red, err := plain.g.Redeem(ctx, ten, executor, token, Key{}); err == nil || len(red.Canonical) > 0 {
		t.Error("a permit that was out when duress became known was redeemed")
	}
	if got, err := w.g.Lift(ctx, ten, b.ID, risk, "looked at"); err != nil || got.State != StatePermitted { // as it seems since a permit was asked for
		t.Errorf("lift: %v %s", err, got.State)
	}
	if _, _, err := w.g.Permit(ctx, ten, b.ID, executor); err == nil || count(w, "hold.lifted") != 0 {
		t.Error("lifting other holds lifted duress")
	}
}

func TestInvariant29NoDowngrade(t *testing.T) {
	for _, tt := range []struct {
		name    string
		passkey ringfence.Authenticator
		want    State
	}{
		{"removed 29 days ago", ringfence.Authenticator{Status: ringfence.StatusRemoved, RemovedAt: epoch.Add(-29 * 24 * time.Hour)}, StatePendingEvidence},
		{"removed 30 days ago", ringfence.Authenticator{Status: ringfence.StatusRemoved, RemovedAt: epoch.Add(-30 * 24 * time.Hour)}, StatePendingApproval},
		{"suspended", ringfence.Authenticator{Status: ringfence.StatusSuspended}, StatePendingEvidence},
		{"pending", ringfence.Authenticator{Status: ringfence.StatusPending}, StatePendingEvidence},
		{"active and silent", ringfence.Authenticator{Status: ringfence.StatusActive}, StatePendingEvidence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			a := tt.passkey
			a.ID, a.Subject, a.Type, a.BoundAt = "aut_passkey", ann, ringfence.AuthPasskey, epoch.Add(-year)
			w.authenticator(a)
			r := w.opened("bank_change")
			w.prove(r, "pin", "totp", "callback", "confirmed")
			if got, v := w.released(r.ID); got.State != tt.want {
				t.Errorf("have %s, want %s: %+v", got.State, tt.want, v)
			}
		})
	}
}

func TestInvariant30WaiversShow(t *testing.T) {
	w := newWorld(t, "connect:", "waivers:\n  - { rule: bank_change.hold, value: 5s, reason: demonstration, until: 2026-12-01 }\nconnect:")
	r := w.opened("bank_change")
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	r, v := w.released(r.ID)
	if r.State != StateCooling || v.Hold != 5*time.Second || len(r.Waivers) != 1 || !strings.Contains(r.Waivers[0], "demonstration") {
		t.Errorf("%s %v %v", r.State, v.Hold, r.Waivers)
	}
	w.pass(5 * time.Second)
	if r = w.look(r.ID); r.State != StateReady {
		t.Errorf("%s: %s", r.State, r.Why)
	}
	late := newWorld(t, "connect:", "waivers:\n  - { rule: bank_change.hold, value: 5s, reason: demonstration, until: 2026-11-20 }\nconnect:")
	r = late.opened("bank_change")
	late.prove(r, "pin", "passkey", "callback", "confirmed")
	if _, v := late.released(r.ID); v.Hold != 12*time.Hour {
		t.Errorf("a waiver that ended: %v", v.Hold)
	}
}

func TestInvariant31PresentedOnTheLegWePlaced(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "totp", "callback")
	e := w.evidenceFor(r, "confirmed")
	e.Presented = false // read back on the calling leg
	w.putEvidence(e)
	w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Subject: ann, Type: ringfence.AuthPIN, Status: ringfence.StatusRemoved})
	if got, v := w.released(r.ID); got.State != StatePendingEvidence || !slices.Equal(v.Missing, []ringfence.Fact{"confirmed"}) {
		t.Errorf("have %s %+v", got.State, v)
	}
	w.prove(r, "confirmed")
	if got, v := w.released(r.ID); got.State != StateReady {
		t.Errorf("have %s %+v", got.State, v)
	}
}

func TestInvariant32PayeesMandatesAndSums(t *testing.T) {
	ctx := context.Background()
	t.Run("a new payee is C4", func(t *testing.T) {
		w := newWorld(t)
		r := w.opened("payment")
		if r.Class != ringfence.C4 {
			t.Errorf("have %s", r.Class)
		}
		w.prove(r, "passkey", "callback", "confirmed")
		if _, v := w.released(r.ID); !slices.Contains(v.Reasons, policy.ReasonRaised) || !slices.Equal(v.Missing, []ringfence.Fact{"pin"}) {
			t.Errorf("%+v", v)
		}
	})
	for name, p := range map[string]Payee{
		"of 71 hours":     {Since: epoch.Add(-71 * time.Hour)},
		"disputed":        {Since: epoch.Add(-year), Disputed: true},
		"of unknown age":  {},
		"of another name": {Since: epoch.Add(-year), Subject: acme},
	} {
		w := newWorld(t)
		p.Account = "/12345678"
		if p.Subject == "" {
			p.Subject = ann
		}
		w.put(KindPayee, payeeID(p.Subject, p.Account), p.Subject, nil, p)
		if r := w.opened("payment"); r.Class != ringfence.C4 {
			t.Errorf("a payee %s is known: %s", name, r.Class)
		}
	}
	t.Run("asked by e-mail or letter", func(t *testing.T) {
		w := newWorld(t)
		w.knownPayee()
		for _, by := range []AskedBy{AskedEmail, AskedLetter} {
			q := request("invoice")
			q.AskedBy = by
			r, _, err := w.g.Open(ctx, ten, q)
			if w.must(r, err).Class != ringfence.C4 {
				t.Errorf("%s: %s", by, r.Class)
			}
		}
	})
	t.Run("an executed payment makes its payee known after 72 hours", func(t *testing.T) {
		w := newWorld(t)
		r := w.opened("payment")
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		r, _ = w.released(r.ID)
		w.pass(12 * time.Hour)
		red, err := w.g.Redeem(ctx, ten, executor, w.permit(r.ID), Key{})
		if err != nil {
			t.Fatal(err)
		}
		w.must(w.g.Report(ctx, ten, executor, red.Permit, OutcomeExecuted))
		w.pass(72*time.Hour - time.Second)
		if r := w.opened("payment"); r.Class != ringfence.C4 {
			t.Errorf("known too early: %s", r.Class)
		}
		w.pass(time.Second)
		if r := w.opened("payment"); r.Class != ringfence.C3 {
			t.Errorf("not known after 72 h: %s", r.Class)
		}
	})
	t.Run("the day's sum counts as one", func(t *testing.T) {
		w := newWorld(t)
		w.knownPayee()
		q := request("invoice")
		q.Fields["amount"] = "300000 GBP"
		for i, want := range []int{1, 2} {
			q.Traversal = ringfence.TraversalID([]string{"trv_a", "trv_b"}[i])
			r, _, err := w.g.Open(ctx, ten, q)
			w.must(r, err)
			w.prove(r, "callback", "confirmed")
			if _, v := w.released(r.ID); v.Approvals.Count != want {
				t.Errorf("invoice %d of the day: %d approvers, want %d", i+1, v.Approvals.Count, want)
			}
		}
		w.pass(25 * time.Hour)
		r, _, err := w.g.Open(ctx, ten, q)
		w.must(r, err)
		w.prove(r, "callback", "confirmed")
		if _, v := w.released(r.ID); v.Approvals.Count != 1 {
			t.Errorf("the next day: %d approvers", v.Approvals.Count)
		}
	})
	t.Run("nobody acts without a mandate", func(t *testing.T) {
		w := newWorld(t)
		w.knownPayee()
		rep := ringfence.SubjectID("sub_rep")
		w.put(ledger.KindSubject, string(rep), rep, nil, ringfence.Subject{ID: rep, Kind: "customer", Status: ringfence.StatusActive})
		good := Mandate{ID: "m1", Person: rep, Subject: ann, Types: []string{"payment"}, Limit: 1000, Until: epoch.Add(year), Since: epoch.Add(-year), Status: ringfence.StatusActive}
		q := request("payment")
		q.Represents = rep
		for name, spoil := range map[string]func(*Mandate){
			"":                func(*Mandate) {},
			"none":            func(m *Mandate) { m.Status = ringfence.StatusRemoved },
			"another person":  func(m *Mandate) { m.Person = "sub_x" },
			"another company": func(m *Mandate) { m.Subject = acme },
			"another type":    func(m *Mandate) { m.Types = []string{"invoice"} },
			"no type":         func(m *Mandate) { m.Types = nil },
			"under the sum":   func(m *Mandate) { m.Limit = 999 },
			"over":            func(m *Mandate) { m.Until = epoch },
			"young":           func(m *Mandate) { m.Since = epoch.Add(-time.Hour) },
			"of no age":       func(m *Mandate) { m.Since = time.Time{} },
		} {
			m := good
			spoil(&m)
			w.put(KindMandate, m.ID, ann, map[string]string{"subject": string(ann)}, m)
			r, v, err := w.g.Open(ctx, ten, q)
			w.must(r, err)
			if denied := r.State == StateDenied && slices.Contains(v.Reasons, policy.ReasonMandate); denied == (name == "") {
				t.Errorf("mandate %q: %s %+v", name, r.State, v.Reasons)
			}
		}
	})
}

func TestInvariant34ProofCountsOnItsLeg(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	e := w.evidenceFor(r, "callback")
	e.Leg = "leg_placed"
	w.putEvidence(e)
	q := GuardRequest{Traversal: trv, Leg: "leg_placed", Subject: ann, Release: r.ID, SIMSwap: ringfence.No}
	ask := func(q GuardRequest) Guard {
		g, err := w.g.Guard(ctx, ten, q)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := ask(q)
	if !g.MaySpeak("payment.payee") || !g.MaySpeak("customer.first_name") || !g.MaySpeak("customer.balance") {
		t.Error("the leg that keyed the code hears nothing")
	}
	if g.MaySpeak("invoice.payee") || g.MaySpeak("customer.account") || g.MaySpeak("") || g.MayConnect("payments_desk") || g.MayConnect("no_queue") {
		t.Error("more is allowed than the policy lists")
	}
	for name, spoil := range map[string]func(*GuardRequest){
		"the calling leg":   func(q *GuardRequest) { q.Leg = "leg_1" },
		"no leg":            func(q *GuardRequest) { q.Leg = "" },
		"another traversal": func(q *GuardRequest) { q.Traversal = "trv_2" },
		"another subject":   func(q *GuardRequest) { q.Subject = acme },
		"nobody":            func(q *GuardRequest) { q.Subject = "" },
	} {
		o := q
		spoil(&o)
		if name == "another traversal" || name == "another subject" {
			o.Release = ""
		}
		g := ask(o)
		for _, f := range []string{"payment.payee", "customer.first_name", "customer.balance"} {
			if g.MaySpeak(f) {
				t.Errorf("%s hears %s", name, f)
			}
		}
	}
	second := w.opened("payment")
	q2 := q
	q2.Release = second.ID
	if ask(q2).MaySpeak("payment.payee") {
		t.Error("a code keyed for one release lets the fields of another be spoken")
	}
	w.now = w.now.Add(guardAge + time.Second)
	if ask(q).MaySpeak("customer.first_name") {
		t.Error("a stale proof lets something be spoken")
	}
	w.now = epoch
	otp := w.evidenceFor(Release{Proves: ann, Traversal: trv}, "otp")
	otp.Leg, otp.Release, otp.Digest = "leg_2", "", ringfence.Digest{}
	w.putEvidence(otp)
	q.Leg = "leg_2"
	if ask(q).MaySpeak("customer.balance") {
		t.Error("a code alone speaks what the policy does not list it for")
	}
	w.policies.set(loadPolicy(t, "[totp or passkey or callback]", "[totp or passkey or callback or otp]"))
	for swap, want := range map[ringfence.Tri]bool{ringfence.No: true, ringfence.Unknown: false, ringfence.Yes: false} {
		q.SIMSwap = swap
		if have := ask(q).MaySpeak("customer.balance"); have != want {
			t.Errorf("a code with SIM swap %s: %v", swap, have)
		}
	}
}

func TestRejectStopsEverything(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	token := w.permit(r.ID)
	w.alarm(alarm{Kind: alarmRejected, Release: r.ID, Subject: ann, Traversal: trv})
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); !errors.Is(err, ErrHeld) {
		t.Fatalf("redeemed after a reject: %v", err)
	}
	if got := w.look(r.ID); got.State != StateHeld || len(got.Holds) != 1 || got.Holds[0].Why != "rejected" {
		t.Errorf("have %s %+v", got.State, got.Holds)
	}
	for _, who := range []ringfence.PersonID{agent, manager, "", "per_x"} {
		if _, err := w.g.Lift(ctx, ten, r.ID, who, "looked at"); !errors.Is(err, ErrForbidden) {
			t.Errorf("%q lifted a hold: %v", who, err)
		}
	}
	got := w.must(w.g.Lift(ctx, ten, r.ID, risk, "looked at"))
	if got.State != StateReady && got.State != StatePendingApproval {
		t.Errorf("after the review: %s %s", got.State, got.Why)
	}
	if got.State == StateReady {
		w.permit(r.ID)
	}
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err == nil {
		t.Error("the permit from before the hold was redeemed")
	}
	w.must(w.g.Reject(ctx, ten, r.ID, Actor{Client: "link"}))
	if got := w.must(w.g.Deny(ctx, ten, r.ID, risk, "looked at")); got.State != StateDenied {
		t.Errorf("have %s", got.State)
	}
}

func TestOtherAlarmsElsewhereDoNot(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	for range 3 {
		w.alarm(alarm{Kind: "diverted", Release: "rel_other", Subject: ann, Traversal: "trv_9"})
	}
	w.alarm(alarm{Kind: alarmRejected, Release: "rel_other", Subject: ann, Traversal: "trv_9"})
	if got, v := w.released(r.ID); got.State != StateReady {
		t.Errorf("have %s %+v", got.State, v)
	}
}

func TestTwoRejectsHoldTheSubject(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	for range 2 {
		w.alarm(alarm{Kind: alarmRejected, Release: "rel_other", Subject: ann, Traversal: "trv_9"})
	}
	if got, v := w.released(r.ID); got.State != StatePendingEvidence || v.Decision != Refuse || !slices.Contains(v.Reasons, policy.ReasonHeld) {
		t.Errorf("have %s %+v", got.State, v)
	}
}

func TestRejectAgainstRedeem(t *testing.T) {
	ctx := context.Background()
	for range 50 {
		w := newWorld(t)
		r := w.ready()
		token := w.permit(r.ID)
		var rejected, redeemed error
		var wg sync.WaitGroup
		wg.Go(func() { _, rejected = w.g.Reject(ctx, ten, r.ID, Actor{Flow: "callback"}) })
		wg.Go(func() { _, redeemed = w.g.Redeem(ctx, ten, executor, token, Key{}) })
		wg.Wait()
		if (rejected == nil) == (redeemed == nil) {
			t.Fatalf("reject %v, redeem %v: one must win", rejected, redeemed)
		}
		if s := w.look(r.ID).State; s != StateHeld && s != StateRedeemed || (s == StateHeld) != (rejected == nil) {
			t.Fatalf("have %s", s)
		}
	}
}

func TestFreshnessIsJudgedOnce(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	w.pass(5*time.Minute + time.Second)
	if _, v := w.released(r.ID); v.Decision != StepUp || !slices.Contains(v.Reasons, policy.ReasonStale) {
		t.Errorf("stale at the move: %+v", v)
	}
	b := w.opened("bank_change")
	w.prove(b, "pin", "passkey", "callback", "confirmed")
	w.released(b.ID)
	w.pass(12 * time.Hour)
	if s := w.look(b.ID).State; s != StateReady {
		t.Errorf("a hold made proofs stale: %s", s)
	}
}

func TestInvariant14AnOldSetOfEvidence(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.knownPayee()
	r, _, err := w.g.Open(ctx, ten, request("invoice"))
	w.must(r, err)
	w.prove(r, "callback", "confirmed")
	r, _ = w.released(r.ID)
	first := r.EvidenceHash
	if got, _, err := w.g.Approve(ctx, ten, approval(r, manager)); err != nil || got.State != StateReady {
		t.Fatalf("%v %s", err, got.State)
	}
	w.policies.set(loadPolicy(t, "[callback, confirmed, approved]", "[callback, confirmed, approved, attested]"))
	if token, _, err := w.g.Permit(ctx, ten, r.ID, executor); err != nil || token != "" {
		t.Fatalf("a permit under the old policy: %v", err)
	}
	w.now = w.now.Add(time.Second)
	w.prove(r, "attested", "callback", "confirmed")
	got, v := w.released(r.ID)
	if got.State != StatePendingApproval || got.EvidenceHash == first || v.Decision == Allow {
		t.Errorf("the approval of another set of evidence counts: %s %+v", got.State, v)
	}
	if got, v = w.released(r.ID); got.State != StatePendingApproval || v.Decision == Allow {
		t.Errorf("it counts when asked again: %s %+v", got.State, v)
	}
	if _, _, err := w.g.Approve(ctx, ten, approval(r, manager)); !errors.Is(err, ErrConflict) {
		t.Errorf("approved what is no longer asked: %v", err)
	}
}

func TestInvariant14WithdrawnBeforeItWasUsed(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.knownPayee()
	r, _, err := w.g.Open(ctx, ten, request("invoice"))
	w.must(r, err)
	w.prove(r, "callback", "confirmed")
	r, _, err = w.g.AskApproval(ctx, ten, r.ID, Actor{Person: agent})
	w.must(r, err)
	if _, _, err := w.g.Approve(ctx, ten, approval(r, manager)); err != nil {
		t.Fatal(err)
	}
	entries := w.store.Entries(ten)
	i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.Event == "approval.given" })
	w.must(w.g.WithdrawApproval(ctx, ten, r.ID, ringfence.ApprovalID(entries[i].Object), manager))
	if got, v := w.released(r.ID); got.State != StatePendingApproval || v.Decision == Allow {
		t.Errorf("a withdrawn approval counts: %s %+v", got.State, v)
	}
}

func TestABadSignalIsRememberedUntilAReview(t *testing.T) {
	w := newWorld(t)
	r := w.opened("bank_change")
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	good := w.signals
	w.signals = map[string]ringfence.Tri{"sim_swap": ringfence.Yes, "diversion": ringfence.No}
	if got, v := w.released(r.ID); got.State != StatePendingEvidence || v.Decision != Refuse {
		t.Fatalf("%s %+v", got.State, v)
	}
	w.signals = good
	if got, v := w.released(r.ID); got.State != StatePendingEvidence || v.Decision != Refuse {
		t.Errorf("asking again made the SIM swap go away: %s %+v", got.State, v)
	}
	w.must(w.g.Hold(context.Background(), ten, r.ID, Actor{Person: agent}))
	if got := w.must(w.g.Lift(context.Background(), ten, r.ID, risk, "looked at")); got.State != StateCooling {
		t.Errorf("after a review: %s %s", got.State, got.Why)
	}
}

func TestTheLongerHoldCounts(t *testing.T) {
	ctx := context.Background()
	t.Run("a signal that is unknown now", func(t *testing.T) {
		w := newWorld(t)
		r := w.opened("bank_change")
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		w.released(r.ID)
		w.signals = nil
		w.pass(12 * time.Hour)
		w.pass(12*time.Hour - time.Second)
		if s := w.look(r.ID).State; s != StateCooling {
			t.Fatalf("before a day: %s", s)
		}
		w.pass(time.Second)
		if s := w.look(r.ID).State; s != StateReady {
			t.Errorf("after a day: %s", s)
		}
	})
	t.Run("a policy in force that holds longer", func(t *testing.T) {
		w := newWorld(t)
		r := w.opened("bank_change")
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		w.released(r.ID)
		w.pass(12 * time.Hour)
		w.policies.set(loadPolicy(t, "hold: 12h", "hold: 20h"))
		w.pass(8*time.Hour - time.Second)
		if token, v, err := w.g.Permit(ctx, ten, r.ID, executor); err != nil || token != "" || v.Decision == Allow {
			t.Fatalf("a permit before 20 hours: %v %+v", err, v)
		}
		if s := w.look(r.ID).State; s != StateReady {
			t.Fatalf("it waits where it is: %s", s)
		}
		w.pass(time.Second)
		w.permit(r.ID)
	})
}

func TestAColleagueMayAgreeWhereNobodyHasTo(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.signals = nil // SIM swap unknown: a day, unless a colleague agrees
	r := w.opened("bank_change")
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	r, v, err := w.g.AskApproval(ctx, ten, r.ID, Actor{Flow: "customer-line"})
	if err != nil || r.State != StatePendingApproval || r.Approvals.Group != "payments_manager" || r.Approvals.Count != 0 || v.Hold != 24*time.Hour {
		t.Fatalf("%v %s %+v %v", err, r.State, r.Approvals, v.Hold)
	}
	if r, _, err = w.g.Approve(ctx, ten, approval(r, manager)); err != nil || r.State != StatePendingApproval {
		t.Fatalf("%v %s: release was not asked for", err, r.State)
	}
	if r, v = w.released(r.ID); r.State != StateCooling || v.Hold != 12*time.Hour {
		t.Errorf("%s, hold %v", r.State, v.Hold)
	}
	w = newWorld(t)
	r = w.opened("bank_change")
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	r, _, err = w.g.AskApproval(ctx, ten, r.ID, Actor{Flow: "customer-line"})
	w.must(r, err)
	if r := w.must(w.g.RefuseApproval(ctx, ten, r.ID, manager)); r.State != StateHeld {
		t.Errorf("a colleague said no: %s", r.State)
	}
}

func TestNothingMovesUnasked(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	w.pass(time.Second)
	w.must(w.g.Hold(ctx, ten, r.ID, Actor{Person: agent}))
	if got := w.must(w.g.Lift(ctx, ten, r.ID, risk, "looked at")); got.State != StatePendingEvidence || len(got.Evidence) != 0 {
		t.Errorf("a review asked for release: %s", got.State)
	}
	if _, _, err := w.g.Release(ctx, ten, r.ID, Actor{}); !errors.Is(err, ErrForbidden) {
		t.Errorf("nobody asked: %v", err)
	}
	if got, _ := w.released(r.ID); got.State != StateReady {
		t.Errorf("asked: %s %s", got.State, got.Why)
	}
}

func TestTraversalEnd(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.knownPayee()
	waiting, ready := w.opened("payment"), w.ready()
	if err := w.g.TraversalEnded(ctx, ten, trv); err != nil {
		t.Fatal(err)
	}
	if a, b := w.look(waiting.ID).State, w.look(ready.ID).State; a != StateCancelled || b != StateReady {
		t.Errorf("have %s and %s", a, b)
	}
}

func TestLockHoldsForADay(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.opened("bank_change")
	if err := w.g.Lock(ctx, ten, ann, Actor{Flow: "check-claim"}); err != nil {
		t.Fatal(err)
	}
	if s := w.look(r.ID).State; s != StateHeld {
		t.Fatal(s)
	}
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	if got, v := w.released(r.ID); got.State != StateHeld || v.Decision != Refuse {
		t.Errorf("have %s %+v", got.State, v)
	}
	w.pass(24*time.Hour - time.Second)
	if s := w.look(r.ID).State; s != StateHeld && s != StateExpired {
		t.Errorf("before its end: %s", s)
	}
}

func TestExpiry(t *testing.T) {
	w := newWorld(t)
	ready := w.ready()
	open := w.opened("bank_change")
	w.pass(15*time.Minute - time.Second)
	if s := w.look(ready.ID).State; s != StateReady {
		t.Errorf("have %s", s)
	}
	w.pass(time.Second)
	if s := w.look(ready.ID).State; s != StateExpired {
		t.Errorf("a C3 release is ready for 15 minutes: %s", s)
	}
	w.pass(24 * time.Hour)
	if s := w.look(open.ID).State; s != StateExpired {
		t.Errorf("a release waits for proof for a day: %s", s)
	}
	if _, _, err := w.g.Permit(context.Background(), ten, ready.ID, executor); !errors.Is(err, ErrExpired) {
		t.Errorf("a permit of an expired release: %v", err)
	}
}
