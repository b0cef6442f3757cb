package gate

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

func riskNames(v Verdict) (out []string) {
	for _, r := range v.Risks {
		if r.Value == ringfence.Yes {
			out = append(out, r.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Signs of fraud are told in sentences, and never let anything go sooner.
func TestRisksAreToldAndLowerNothing(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.now = time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC) // a Friday
	w.knownPayee()
	r := w.opened("payment")
	_, v, err := w.g.Evaluate(ctx, ten, r.ID)
	if err != nil || len(riskNames(v)) != 0 {
		t.Errorf("an ordinary payment: %v %v", riskNames(v), err)
	}
	for _, risk := range v.Risks {
		if risk.Says == "" || !strings.HasSuffix(risk.Says, ".") {
			t.Errorf("%s says %q", risk.Name, risk.Says)
		}
	}
	class := v.Class
	for range velocityCount {
		w.opened("payment")
	}
	w.now = time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)
	w.contact(ringfence.ContactPoint{ID: "cpt_c", Tenant: ten, Subject: ann, Type: ringfence.ContactEmail, Value: "a@example.com",
		ChangedAt: w.now.Add(-time.Hour), StoredAt: w.now.Add(-time.Hour), Status: ringfence.StatusActive})
	w.signals = map[string]ringfence.Tri{"sim_swap": ringfence.Yes, "diversion": ringfence.Yes}
	q := request("payment")
	q.Fields["account"] = "87654321"
	odd, _, err := w.g.Open(ctx, ten, q)
	if err != nil {
		t.Fatal(err)
	}
	_, v, err = w.g.Evaluate(ctx, ten, odd.ID)
	want := []string{"contact_changed", "diversion", "new_payee", "out_of_hours", "sim_swap", "velocity"}
	if have := riskNames(v); err != nil || !slices.Equal(have, want) {
		t.Errorf("have %v, want %v (%v)", have, want, err)
	}
	if v.Class < class || v.Decision == Allow {
		t.Errorf("class %s, decision %s", v.Class, v.Decision)
	}
	for range refusalCount {
		w.alarm(alarm{Kind: alarmRejected, Subject: ann})
	}
	if _, v, _ = w.g.Evaluate(ctx, ten, odd.ID); !slices.Contains(riskNames(v), "refusals") {
		t.Errorf("after %d rejects: %v", refusalCount, riskNames(v))
	}
}

// A policy may ask for the good value of a sign; unknown is not it.
func TestAPolicyMayAskForTheGoodValue(t *testing.T) {
	w := newWorld(t, "    fresh: 5m\n  invoice:", "    fresh: 5m\n    signals: { out_of_hours: no }\n  invoice:")
	w.now = time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)
	w.knownPayee()
	r := w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	if r, v := w.released(r.ID); v.Decision == Allow {
		t.Errorf("at night: %s", r.State)
	}
	w.now = time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	r = w.opened("payment")
	w.prove(r, "passkey", "callback", "confirmed")
	if r, v := w.released(r.ID); r.State != StateReady {
		t.Errorf("by day: %s %+v", r.State, v)
	}
}

// 2.7: no hold for a first payment under a small cap to an account whose name
// check says yes; every other condition stays.
func TestSmallFirstPayment(t *testing.T) {
	for name, tt := range map[string]struct {
		check   ringfence.Tri
		swap    ringfence.Tri
		amount  string
		before  string
		askedBy AskedBy
		want    State
	}{
		"small, name right":    {ringfence.Yes, ringfence.No, "4999 GBP", "", AskedPhone, StateReady},
		"at the cap":           {ringfence.Yes, ringfence.No, "10000 GBP", "", AskedPhone, StateReady},
		"a penny over":         {ringfence.Yes, ringfence.No, "10001 GBP", "", AskedPhone, StateCooling},
		"another currency":     {ringfence.Yes, ringfence.No, "100 EUR", "", AskedPhone, StateCooling},
		"name wrong":           {ringfence.No, ringfence.No, "4999 GBP", "", AskedPhone, StateCooling},
		"name unknown":         {ringfence.Unknown, ringfence.No, "4999 GBP", "", AskedPhone, StateCooling},
		"SIM unknown":          {ringfence.Yes, ringfence.Unknown, "4999 GBP", "", AskedPhone, StateCooling},
		"with what came today": {ringfence.Yes, ringfence.No, "4999 GBP", "9000 GBP", AskedPhone, StateCooling},
		"details by e-mail":    {ringfence.Yes, ringfence.No, "4999 GBP", "", AskedEmail, StateCooling},
	} {
		w := newWorld(t, "    fresh: 5m\n  invoice:", "    fresh: 5m\n    like: payment\n    small_first: 100\n  invoice:")
		w.signals = map[string]ringfence.Tri{"sim_swap": tt.swap, "diversion": ringfence.No, "name_check": tt.check}
		open := func(amount string) Release {
			q := request("payment")
			q.Fields["amount"], q.AskedBy = amount, tt.askedBy
			r, _, err := w.g.Open(context.Background(), ten, q)
			return w.must(r, err)
		}
		if tt.before != "" {
			open(tt.before)
		}
		r := open(tt.amount)
		w.prove(r, "pin", "passkey", "callback", "confirmed")
		if r, v := w.released(r.ID); r.State != tt.want {
			t.Errorf("%s: %s, hold %v, %v", name, r.State, v.Hold, v.Reasons)
		}
	}
}

// A disputed payee is new for ever, from the moment of the dispute on.
func TestDispute(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	if err := w.g.Dispute(ctx, ten, r.ID, Actor{}); err == nil {
		t.Error("nobody disputes")
	}
	if err := w.g.Dispute(ctx, "ten_b", r.ID, Actor{Person: risk}); err == nil {
		t.Error("another tenant disputes")
	}
	if err := w.g.Dispute(ctx, ten, w.opened("bank_change").ID, Actor{Person: risk}); err == nil {
		t.Error("an action that pays nobody")
	}
	for range 2 {
		if err := w.g.Dispute(ctx, ten, r.ID, Actor{Person: risk}); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(w, "reference.changed"); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if token, v, err := w.g.Permit(ctx, ten, r.ID, executor); token != "" {
		t.Errorf("a permit after the dispute: %+v %v", v, err)
	}
	w.now = w.now.Add(payeeAge + time.Hour)
	if _, v, err := w.g.Evaluate(ctx, ten, w.opened("payment").ID); err != nil || v.Class != ringfence.C4 {
		t.Errorf("later: class %s, %v", v.Class, err)
	}
}

func TestQuestionToColleaguesIsTakenBack(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.knownPayee()
	ask := func() Release {
		q := request("invoice")
		q.Fields["amount"] = "600000 GBP" // two have to agree
		r, _, err := w.g.Open(ctx, ten, q)
		w.must(r, err)
		w.prove(r, "callback", "confirmed")
		r, _, err = w.g.AskApproval(ctx, ten, r.ID, Actor{Flow: "x"})
		return w.must(r, err)
	}
	r := ask()
	if r.State != StatePendingApproval {
		t.Fatal(r.State)
	}
	if _, _, err := w.g.Approve(ctx, ten, approval(r, manager)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.g.WithdrawAsk(ctx, ten, r.ID, Actor{}); err == nil {
		t.Error("nobody took it back")
	}
	old := approval(r, manager2)
	r = w.must(w.g.WithdrawAsk(ctx, ten, r.ID, Actor{Flow: "x"}))
	if r.State != StatePendingEvidence || count(w, "approval.withdrawn") != 1 {
		t.Errorf("%s, %d entries", r.State, count(w, "approval.withdrawn"))
	}
	if _, _, err := w.g.Approve(ctx, ten, old); err == nil {
		t.Error("a colleague agreed to what is not asked any more")
	}
	r, _, err := w.g.AskApproval(ctx, ten, r.ID, Actor{Flow: "x"})
	w.must(r, err)
	if r, v, err := w.g.Approve(ctx, ten, approval(r, manager2)); err != nil || v.Decision == Allow {
		t.Errorf("the approval from before counts: %s %v", r.State, err)
	}

	asked := ask()
	if asked, _ = w.released(asked.ID); asked.State != StatePendingApproval {
		t.Fatal(asked.State)
	}
	if asked = w.must(w.g.WithdrawAsk(ctx, ten, asked.ID, Actor{Flow: "x"})); asked.State != StatePendingApproval {
		t.Errorf("a release that was asked for: %s", asked.State)
	}
}

func TestNamesInDisguise(t *testing.T) {
	for name, want := range map[string]bool{"Сосо": true, "Ｎｏｖａ": true, "𝐍𝐨𝐯𝐚": true, "Ⓝova": true, "ﬁnova": true, "Nova²": false, "1º": false, "李小龍": false, "АСМЕ": true, "Асме": false, "Acme": false, "Иван Петров": false, "Ελένη": false, "": false, "12": false, "А": false} {
		if have := disguised(name); have != want {
			t.Errorf("%q: %v", name, have)
		}
	}
	w := newWorld(t)
	q := request("payment")
	q.Fields["payee"] = "АСМЕ"
	r, _, err := w.g.Open(context.Background(), ten, q)
	if w.must(r, err); len(r.Flags) != 1 {
		t.Errorf("flags %v", r.Flags)
	}
}

// Of most observations yes is the sign of fraud, of what ought to be so no is;
// unknown is none, and neither is the zero value.
func TestOddIsASignOfFraud(t *testing.T) {
	for name, want := range map[string]ringfence.Tri{"": ringfence.Yes, "sim_swap": ringfence.Yes, "new_payee": ringfence.Yes, "line_type": ringfence.No, "name_check": ringfence.No} {
		for _, value := range []ringfence.Tri{ringfence.Unknown, ringfence.Yes, ringfence.No} {
			if got := (Risk{Name: name, Value: value}).Odd(); got != (value == want) {
				t.Errorf("%s %v: odd %v", name, value, got)
			}
		}
	}
}
