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

// invoice opens one of 3,000 pounds on a call of its own: two of them together
// need a second colleague.
func (w *world) invoice(call string) Release {
	w.t.Helper()
	q := request("invoice")
	q.Fields["amount"], q.Traversal = "300000 GBP", ringfence.TraversalID("trv_"+call)
	r, _, err := w.g.Open(context.Background(), ten, q)
	return w.must(r, err)
}

// wanted proves an invoice and says how many colleagues have to agree.
func (w *world) wanted(r Release) int {
	w.t.Helper()
	w.prove(r, "callback", "confirmed")
	_, v := w.released(r.ID)
	return v.Approvals.Count
}

// Whoever splits a payment in two and lets both wait until the first was asked
// for more than a day ago is judged by the whole.
func TestSplitPaymentsThatWaitAreOne(t *testing.T) {
	w := newWorld(t)
	w.knownPayee()
	first := w.invoice("a")
	w.pass(23 * time.Hour)
	if n := w.wanted(first); n != 1 {
		t.Fatalf("one invoice: %d colleagues", n)
	}
	w.pass(2 * time.Hour)
	second := w.invoice("b")
	if n := w.wanted(second); n != 2 {
		t.Errorf("the second half, asked for 25 hours later: %d colleagues, want 2", n)
	}
	if n := w.wanted(first); n != 2 {
		t.Errorf("the first half, still waiting: %d colleagues, want 2", n)
	}
	w.must(w.g.Cancel(context.Background(), ten, second.ID, Actor{Person: agent}, ""))
	if n := w.wanted(first); n != 1 {
		t.Errorf("after the other was cancelled: %d colleagues, want 1", n)
	}
}

// Nor does it help to call one half of it something else.
func TestSplitOverTypesIsOne(t *testing.T) {
	for name, tt := range map[string]struct {
		amount string
		pass   time.Duration
		want   int
	}{
		"under the limit":       {"200000 GBP", 0, 1},
		"over it together":      {"300000 GBP", 0, 2},
		"in another currency":   {"1 EUR", 0, 2},
		"the day before":        {"300000 GBP", 49 * time.Hour, 1},
		"more than can be told": {"999999999999999999 GBP", 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "  invoice:\n", "  transfer:\n    class: C3\n    says: move money\n    about: contact\n    carries: { payee: name, amount: money, account: account }\n"+
				"    needs: [callback, confirmed, approved]\n    approvals: { group: payments_manager, count: 1 }\n    fresh: 5m\n  invoice:\n",
				"  invoice.payee: [callback]\n", "  transfer.payee: [callback]\n  transfer.amount: [callback]\n  transfer.account: [callback]\n  invoice.payee: [callback]\n")
			w.knownPayee()
			q := request("invoice")
			q.Type, q.Fields["amount"], q.Traversal = "transfer", tt.amount, "trv_other"
			r, _, err := w.g.Open(context.Background(), ten, q)
			w.must(r, err)
			w.pass(tt.pass)
			if n := w.wanted(w.invoice("a")); n != tt.want {
				t.Errorf("%d colleagues, want %d", n, tt.want)
			}
		})
	}
}

// What was redeemed within the day counts, whenever it was asked for; a day
// after that it does not.
func TestWindowsBeginAtTheRedemption(t *testing.T) {
	for name, tt := range map[string]struct {
		waits, since time.Duration
		want         int
	}{
		"asked for and redeemed today":    {time.Hour, time.Hour, 2},
		"redeemed an hour ago":            {30 * time.Hour, time.Hour, 2},
		"redeemed a day ago, to the hour": {30 * time.Hour, 24 * time.Hour, 2},
		"redeemed more than a day ago":    {30 * time.Hour, 24*time.Hour + time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.knownPayee()
			first := w.invoice("a")
			w.edit(first.ID, func(r *row) { r.ExpiresAt = epoch.Add(year) })
			w.now = w.now.Add(tt.waits)
			w.edit(first.ID, func(r *row) { r.State, r.Spent = StateExecuted, w.now })
			w.now = w.now.Add(tt.since)
			if n := w.wanted(w.invoice("b")); n != tt.want {
				t.Errorf("%d colleagues, want %d", n, tt.want)
			}
		})
	}
}

// edit writes a release as a move would.
func (w *world) edit(id ringfence.ReleaseID, f func(*row)) {
	w.t.Helper()
	_, err := w.g.change(context.Background(), ten, id, func(t *turn) error {
		f(t.r)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A person who acts for somebody up to a limit does not get past it by many
// small payments, of one type or of two.
func TestMandateIsNotSplit(t *testing.T) {
	ctx := context.Background()
	for name, tt := range map[string]struct {
		before []string // types paid before, 600 pounds each
		by     ringfence.SubjectID
		pass   time.Duration
		denied bool
	}{
		"nothing before":            {nil, "sub_rep", 0, false},
		"the same, in two halves":   {[]string{"payment"}, "sub_rep", 0, true},
		"half of it of a kind else": {[]string{"transfer"}, "sub_rep", 0, true},
		"by somebody else":          {[]string{"payment"}, ann, 0, false},
		"the day before":            {[]string{"payment"}, "sub_rep", 49 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "  invoice:\n", "  transfer:\n    class: C3\n    says: move money\n    about: customer\n    carries: { payee: name, amount: money, account: account }\n"+
				"    needs: [passkey or totp, callback, confirmed]\n    fresh: 5m\n  invoice:\n",
				"  invoice.payee: [callback]\n", "  transfer.payee: [callback]\n  transfer.amount: [callback]\n  transfer.account: [callback]\n  invoice.payee: [callback]\n")
			rep := ringfence.SubjectID("sub_rep")
			w.put(ledger.KindSubject, string(rep), rep, nil, ringfence.Subject{ID: rep, Kind: "customer", Status: ringfence.StatusActive})
			m := Mandate{ID: "m1", Person: rep, Subject: ann, Types: []string{"payment", "transfer", "payment"}, Limit: 1000, Until: epoch.Add(year), Since: epoch.Add(-year), Status: ringfence.StatusActive}
			w.put(KindMandate, m.ID, ann, map[string]string{"subject": string(ann)}, m)
			pay := func(typ string, by ringfence.SubjectID) (Release, Verdict) {
				q := request(typ)
				q.Fields, q.Represents = fieldsOf("payment"), by
				q.Fields["amount"] = "60000 GBP"
				r, v, err := w.g.Open(ctx, ten, q)
				return w.must(r, err), v
			}
			for _, typ := range tt.before {
				pay(typ, tt.by)
			}
			w.pass(tt.pass)
			r, v := pay("payment", rep)
			if denied := r.State == StateDenied && slices.Contains(v.Reasons, policy.ReasonMandate); denied != tt.denied {
				t.Errorf("%s %v", r.State, v.Reasons)
			}
		})
	}
}

// Who was stopped acts for nobody.
func TestASuspendedPersonActsForNobody(t *testing.T) {
	for status, stopped := range map[ringfence.Status]bool{ringfence.StatusActive: false, ringfence.StatusSuspended: true, ringfence.StatusRemoved: true, "": true} {
		w := newWorld(t)
		rep := ringfence.SubjectID("sub_rep")
		m := Mandate{ID: "m1", Person: rep, Subject: ann, Types: []string{"payment"}, Limit: 1000, Until: epoch.Add(year), Since: epoch.Add(-year), Status: ringfence.StatusActive}
		w.put(KindMandate, m.ID, ann, map[string]string{"subject": string(ann)}, m)
		w.put(ledger.KindSubject, string(rep), rep, nil, ringfence.Subject{ID: rep, Kind: "customer", Status: status})
		q := request("payment")
		q.Represents = rep
		r, v, err := w.g.Open(context.Background(), ten, q)
		w.must(r, err)
		if slices.Contains(v.Reasons, policy.ReasonWrongSubject) != stopped {
			t.Errorf("%q: %s %v", status, r.State, v.Reasons)
		}
	}
}

// Who says too late that they did not ask has disputed the account: the first
// payment that a thief got through makes nothing known. Saying it a hundred
// times raises one alarm.
func TestRejectedTooLateIsDisputed(t *testing.T) {
	ctx := context.Background()
	for _, reported := range []bool{true, false} {
		t.Run(fmt.Sprint("reported first: ", reported), func(t *testing.T) {
			w := newWorld(t)
			r := w.opened("payment")
			w.prove(r, "pin", "passkey", "callback", "confirmed")
			r, _ = w.released(r.ID)
			w.pass(12 * time.Hour)
			red, err := w.g.Redeem(ctx, ten, executor, w.permit(r.ID), Key{})
			if err != nil {
				t.Fatal(err)
			}
			report := func() { w.must(w.g.Report(ctx, ten, executor, red.Permit, OutcomeExecuted)) }
			if reported {
				report()
			}
			for range 100 {
				if _, err := w.g.Reject(ctx, ten, r.ID, Actor{Client: "stop link"}); !errors.Is(err, ErrConflict) {
					t.Fatalf("a late no: %v", err)
				}
			}
			if !reported {
				report()
			}
			if n := count(w, "alert.raised"); n != 1 {
				t.Errorf("%d alarms, want 1", n)
			}
			w.pass(payeeAge + time.Hour)
			if again := w.opened("payment"); again.Class != ringfence.C4 {
				t.Errorf("the account is known: %s", again.Class)
			}
		})
	}
}

func TestRejectingAgainRaisesNoFurtherAlarm(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	for range 100 {
		w.must(w.g.Reject(ctx, ten, r.ID, Actor{Client: "stop link"}))
	}
	if n := count(w, "alert.raised"); n != 1 || len(w.look(r.ID).Holds) != 1 {
		t.Errorf("%d alarms and %d holds, want one of each", n, len(w.look(r.ID).Holds))
	}
	w.must(w.g.Lift(ctx, ten, r.ID, risk, "looked at"))
	if got := w.must(w.g.Reject(ctx, ten, r.ID, Actor{Client: "stop link"})); got.State != StateHeld || count(w, "alert.raised") != 2 {
		t.Errorf("said again after the review: %s", got.State)
	}
}
