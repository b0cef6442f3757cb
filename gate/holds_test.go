package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

// What was held while colleagues were asked goes back to them, with its proofs.
func TestLiftGoesBackToColleagues(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	r := w.opened("invoice")
	w.prove(r, "callback", "confirmed")
	if r, _ = w.released(r.ID); r.State != StatePendingApproval {
		t.Fatalf("have %s", r.State)
	}
	evaluated := count(w, "release.evaluated")
	w.must(w.g.Hold(t.Context(), ten, r.ID, Actor{Person: agent}))
	back := w.must(w.g.Lift(t.Context(), ten, r.ID, risk, "looked at"))
	if back.State != StatePendingApproval || back.EvidenceHash != r.EvidenceHash || count(w, "release.evaluated") != evaluated {
		t.Errorf("have %s, %d entries of a new start", back.State, count(w, "release.evaluated")-evaluated)
	}
	w = newWorld(t)
	r = w.opened("invoice")
	w.must(w.g.Hold(t.Context(), ten, r.ID, Actor{Person: agent}))
	if back := w.must(w.g.Lift(t.Context(), ten, r.ID, risk, "looked at")); back.State != StatePendingEvidence {
		t.Errorf("held before any proof: %s", back.State)
	}
}

// Time changes nothing of a release that waits for something else.
func TestTickLeavesAlone(t *testing.T) {
	w := newWorld(t)
	pending, held, ready := w.opened("bank_change"), w.opened("bank_change"), w.ready()
	held = w.must(w.g.Hold(t.Context(), ten, held.ID, Actor{Person: agent}))
	w.pass(time.Second)
	for _, r := range []Release{pending, held, ready} {
		if now := w.look(r.ID); now.Version != r.Version || now.State != r.State {
			t.Errorf("%s of version %d is %s of version %d", r.State, r.Version, now.State, now.Version)
		}
	}
}

// However many are due, a tick reaches them all.
func TestTickReachesEveryPage(t *testing.T) {
	const n = 1001
	w := newWorld(t)
	w.g = w.open(w.store)
	first := w.opened("payment")
	err := w.store.Update(t.Context(), ten, func(tx ledger.Tx) error {
		r, _, err := ledger.Read[row](t.Context(), tx, KindRelease, string(first.ID))
		if err != nil {
			return err
		}
		for i := range n {
			r.ID = ringfence.ReleaseID(fmt.Sprintf("rel_%04d", i))
			rec := ledger.Record{Kind: KindRelease, ID: string(r.ID), Keys: r.keys(), Sort: r.RequestedAt.UnixNano()}
			if err := ledger.Write(t.Context(), tx, &rec, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.pass(pendingLife)
	if have := count(w, "release.expired"); have != n+1 {
		t.Errorf("%d have expired, of %d", have, n+1)
	}
}

// A clock that was put back stays frozen after one look, and nothing is confirmed
// twice.
func TestClockRemembersAtOnce(t *testing.T) {
	w := newWorld(t)
	h := &hands{wall: w.now}
	c := w.clock(h)
	w.looked(c)
	h.pass(time.Hour, 0)
	w.looked(c)
	h.pass(-time.Hour, 0)
	if c.Frozen(ten) != policy.ReasonClock {
		t.Error("put back, and trusted")
	}
	if err := c.Confirm(t.Context(), ten, risk, "right again"); err != nil || c.Frozen(ten) != "" {
		t.Errorf("confirmed: %v, %q", err, c.Frozen(ten))
	}
	if err := c.Confirm(t.Context(), ten, risk, "right again"); !errors.Is(err, ErrConflict) {
		t.Errorf("twice: %v", err)
	}
}

// What was answered to a key is answered again; what failed may be tried again.
func TestOnce(t *testing.T) {
	w := newWorld(t)
	key := Key{Client: "c", Operation: "o", Value: "v", Body: [32]byte{1}}
	runs := 0
	once := func(k Key, answer string, err error) (string, bool, error) {
		return w.g.Once(t.Context(), ten, k, func(tx ledger.Tx) (string, error) {
			tx.OnCommit(func() { runs++ })
			return answer, err
		})
	}
	broken := errors.New("cannot be done")
	if _, found, err := once(key, "", broken); !errors.Is(err, broken) || found || runs != 0 {
		t.Errorf("%v, %v, %d runs", found, err, runs)
	}
	for i := range 3 {
		text, found, err := once(key, fmt.Sprint("answer ", i), nil)
		if text != "answer 0" || found != (i > 0) || err != nil || runs != 1 {
			t.Errorf("time %d: %q, %v, %v, %d runs", i, text, found, err, runs)
		}
	}
	other := key
	other.Body = [32]byte{2}
	if _, _, err := once(other, "x", nil); !errors.Is(err, ErrConflict) || runs != 1 {
		t.Errorf("another body: %v, %d runs", err, runs)
	}
	for range 2 {
		if text, found, err := once(Key{}, "x", nil); text != "x" || found || err != nil {
			t.Errorf("without a key: %q, %v, %v", text, found, err)
		}
	}
	if runs != 3 {
		t.Errorf("%d runs", runs)
	}
}

// A proof lets something be spoken for a quarter of an hour.
func TestGuardAge(t *testing.T) {
	for after, ok := range map[time.Duration]bool{0: true, guardAge: true, guardAge + 1: false, -1: false} {
		w := newWorld(t)
		r := w.opened("payment")
		w.prove(r, "totp")
		w.now = w.now.Add(after)
		g, err := w.g.Guard(t.Context(), ten, GuardRequest{Traversal: trv, Leg: "leg_1", Subject: ann})
		if err != nil || slices.Contains(g.Facts(), ringfence.FactTOTP) != ok || g.MaySpeak("customer.balance") != ok {
			t.Errorf("after %s: %v, %v", after, g.Facts(), err)
		}
	}
	if guardAge != 15*time.Minute || papersLife != 168*time.Hour || maxBehind != 2*time.Second {
		t.Error("a number of the policy has changed")
	}
}

// What a PIN may not be like is every number on file, and the PIN that counts.
func TestOwnNumbers(t *testing.T) {
	w := newWorld(t)
	w.put(ledger.KindSubject, string(ann), ann, nil, ringfence.Subject{ID: ann, Tenant: ten, Kind: "customer", Status: ringfence.StatusActive, Record: map[string]string{"account": "12345678"}})
	w.contact(ringfence.ContactPoint{ID: "cpt_1", Subject: ann, Value: "442079460000"})
	for id, a := range map[ringfence.AuthenticatorID]ringfence.Authenticator{
		"aut_pin": {Type: ringfence.AuthPIN, Status: ringfence.StatusActive, Secret: ringfence.Secret("the PIN")},
		"aut_old": {Type: ringfence.AuthPIN, Status: ringfence.StatusRemoved, Secret: ringfence.Secret("an old PIN")},
		"aut_zzz": {Type: ringfence.AuthTOTP, Status: ringfence.StatusActive, Secret: ringfence.Secret("a seed")},
	} {
		a.ID, a.Subject = id, ann
		w.authenticator(a)
	}
	var k Keeping
	if err := w.g.ownNumbers(t.Context(), ten, ann, &k); err != nil {
		t.Fatal(err)
	}
	if string(k.Before) != "the PIN" || !slices.Contains(k.Own, "12345678") || !slices.Contains(k.Own, "442079460000") {
		t.Errorf("before %q, own %q", string(k.Before), k.Own)
	}
}

// What is barred and yet kept is kept as it is; a secret that nobody kept is no
// answer.
func TestKeepAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		out    Kept
		ok     bool
		secret string
	}{
		"kept":            {Kept{Type: ringfence.AuthPIN, Secret: ringfence.Secret("hash")}, true, "hash"},
		"barred":          {Kept{Type: ringfence.AuthPIN, Barred: "used before"}, true, ""},
		"barred and kept": {Kept{Type: ringfence.AuthPIN, Secret: ringfence.Secret("hash"), Barred: "used before"}, true, "hash"},
		"nothing":         {Kept{Type: ringfence.AuthPIN}, false, ""},
	} {
		w := lifeWorld(t)
		w.g.cfg.Keep = func(context.Context, Keeping) (Kept, error) { return tt.out, nil }
		_, err := w.openWith("set_pin", flow, map[string]string{"new_pin": "738291"})
		if (err == nil) != tt.ok {
			t.Fatalf("%s: %v", name, err)
		}
		waits := w.authenticators(ringfence.AuthPIN, ringfence.StatusPending)
		if !tt.ok {
			continue
		}
		if len(waits) != 1 || tt.secret != "" && string(waits[0].Secret) != tt.secret || len(waits[0].Secret) == 0 {
			t.Errorf("%s: %+v", name, waits)
		}
	}
}

// A mandate that is described or named is one of the subject.
func TestDescribeMandates(t *testing.T) {
	w := changeWorld(t)
	for id, sub := range map[string]ringfence.SubjectID{"man_ann": ann, "man_acme": acme} {
		w.put(KindMandate, id, sub, map[string]string{"subject": string(sub)}, Mandate{ID: id, Subject: sub, Person: "sub_x", Since: w.now.Add(-year), Status: ringfence.StatusActive})
	}
	for id, ok := range map[string]bool{"man_ann": true, "man_acme": false, "man_none": false} {
		words, err := w.g.Describe(t.Context(), ten, "stop_acting", ann, id)
		if ok && (err != nil || words["mandate"] != id) || !ok && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, %v", id, words, err)
		}
		_, err = w.openWith("stop_acting", Actor{Person: agent}, map[string]string{"mandate": id, "since": w.now.Add(-year).Format(time.DateOnly)})
		if (err == nil) != ok {
			t.Errorf("%s named: %v", id, err)
		}
	}
}

// Somebody who is not on file cannot be suspended.
func TestSuspendNobody(t *testing.T) {
	w := newWorld(t)
	if err := w.g.SuspendPerson(t.Context(), ten, "per_nobody", risk, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("have %v", err)
	}
	if err := w.g.SuspendPerson(t.Context(), ten, agent, risk, nil); err != nil || count(w, "person.suspended") != 1 {
		t.Errorf("%v, %d entries", err, count(w, "person.suspended"))
	}
}

// What counts in a window adds up in whole units; what cannot be read, or more
// than can be counted, is over every limit.
func TestTotals(t *testing.T) {
	p := loadPolicy(t)
	a, _ := p.Action("payment")
	paid := func(amounts ...string) (out []row) {
		for _, m := range amounts {
			out = append(out, row{Release: Release{State: StatePendingEvidence, RequestedAt: epoch, Fields: map[string]string{"payee": "Ann", "account": "12345678", "amount": m}}})
		}
		return out
	}
	tn := &turn{now: epoch, r: &row{}}
	for name, tt := range map[string]struct {
		rows   []row
		full   bool
		count  int
		amount int64
	}{
		"nothing":       {nil, false, 0, 0},
		"two":           {paid("1200 GBP", "500 GBP"), false, 2, 17},
		"unreadable":    {paid("1200 GBP", "lots"), false, 2, policy.OverEvery},
		"more than all": {paid("1200 GBP"), true, 1, policy.OverEvery},
		"too many":      {paid("1200 GBP", "9223372036854775807 GBP"), false, 2, policy.OverEvery},
	} {
		if have := tn.total(policy.Limit{Within: time.Hour}, tt.rows, p, a, tt.full); have.Count != tt.count || have.Amount != tt.amount {
			t.Errorf("%s: %+v", name, have)
		}
	}
}
