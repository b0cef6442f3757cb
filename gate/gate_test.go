package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/policy"
)

func TestZeroValuesRefuse(t *testing.T) {
	if v := (Verdict{}); v.Decision != Refuse || v.Decision.String() != "refuse" || Decision(9).String() != "refuse" {
		t.Error("the zero verdict does not refuse")
	}
	if v := Decide(nil, Case{}, epoch); v.Decision != Refuse || v.Next == "" {
		t.Errorf("no policy: %+v", v)
	}
	if v := Decide(loadPolicy(t), Case{}, epoch); v.Decision != Refuse {
		t.Errorf("the zero case: %+v", v)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("the zero Config was taken")
	}
	var g Guard
	if g.MaySpeak("customer.balance") || g.MayConnect("customer_service") {
		t.Error("the zero guard allows")
	}
	if State("").BeforeRedeemed() || len(moves["nonsense"]) != 0 {
		t.Error("an unknown state can move")
	}
}

// TestPathOfOneRelease walks the whole honest path of the riskiest shipped
// action and reads back what stands in the log.
func TestPathOfOneRelease(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.opened("bank_change")
	if r.State != StatePendingEvidence || r.Class != ringfence.C4 || r.Digest.Zero() || len(r.Nonce) != 32 {
		t.Fatalf("opened: %+v", r)
	}
	if _, v := w.released(r.ID); v.Decision != StepUp || !slices.Contains(v.Missing, "pin") || !strings.HasPrefix(v.Next, "Still needed: ") {
		t.Fatalf("nothing proved: %+v", v)
	}
	w.prove(r, "pin", "totp", "callback", "confirmed")
	w.authenticator(ringfence.Authenticator{ID: "aut_passkey", Tenant: ten, Subject: ann, Type: ringfence.AuthPasskey, Status: ringfence.StatusRemoved,
		RemovedAt: w.now.Add(-year), BoundAt: w.now.Add(-year)})
	r, v := w.released(r.ID)
	if r.State != StatePendingApproval || r.EvidenceHash.Zero() || len(r.Evidence) != 4 || v.Approvals.Group != "payments_manager" {
		t.Fatalf("evidence complete: %+v %+v", r, v)
	}
	if r, v, err := w.g.Approve(ctx, ten, approval(r, manager)); err != nil || r.State != StateCooling || v.Decision != Allow {
		t.Fatalf("approved: %v %+v %+v", err, r, v)
	}
	if _, _, err := w.g.Permit(ctx, ten, r.ID, executor); !errors.Is(err, ErrConflict) {
		t.Errorf("a permit while cooling: %v", err)
	}
	w.pass(11*time.Hour + 59*time.Minute)
	if r = w.look(r.ID); r.State != StateCooling {
		t.Fatalf("before the hold is over: %s", r.State)
	}
	w.pass(time.Minute)
	if r = w.look(r.ID); r.State != StateReady {
		t.Fatalf("after the hold: %s %s", r.State, r.Why)
	}
	token := w.permit(r.ID)
	c, err := w.g.ReadPermit(token)
	if err != nil || c.Digest != r.Digest || c.Audience != executor || c.Expires-c.IssuedAt != 60 {
		t.Fatalf("permit: %+v %v", c, err)
	}
	red, err := w.g.Redeem(ctx, ten, executor, token, Key{})
	if err != nil || red.Digest != r.Digest || !bytes.Contains(red.Canonical, []byte(r.Nonce)) {
		t.Fatalf("redeem: %+v %v", red, err)
	}
	r = w.must(w.g.Report(ctx, ten, executor, red.Permit, OutcomeExecuted))
	if r.State != StateExecuted {
		t.Fatalf("reported: %s", r.State)
	}
	var have []string
	for _, e := range w.store.Entries(ten) {
		if e.Release == r.ID {
			have = append(have, string(e.Event))
			if e.Event == "release.permitted" && e.Index != c.Index {
				t.Errorf("the permit names entry %d, its own is %d", c.Index, e.Index)
			}
			for k, v := range e.Data {
				if strings.Contains(v, "12345678") || strings.Contains(v, r.Nonce) {
					t.Errorf("%s tells %s", e.Event, k)
				}
			}
		}
	}
	want := []string{"release.requested", "release.evaluated", "approval.asked", "approval.given", "release.cooling", "release.ready",
		"release.permitted", "release.redeemed", "release.executed"}
	if !slices.Equal(have, want) {
		t.Errorf("entries: have %v, want %v", have, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*OpenRequest)
		field string
	}{
		{"no type", func(q *OpenRequest) { q.Type = "" }, "type"},
		{"unknown type", func(q *OpenRequest) { q.Type = "limit_removal" }, "type"},
		{"nobody", func(q *OpenRequest) { q.By = Actor{} }, "by"},
		{"no subject", func(q *OpenRequest) { q.Subject = "" }, "subject"},
		{"unknown subject", func(q *OpenRequest) { q.Subject = "sub_x" }, "subject"},
		{"asked by rumour", func(q *OpenRequest) { q.AskedBy = "rumour" }, "asked_by"},
		{"field missing", func(q *OpenRequest) { delete(q.Fields, "amount") }, "amount"},
		{"field too many", func(q *OpenRequest) { q.Fields["class"] = "C0" }, "class"},
		{"amount in words", func(q *OpenRequest) { q.Fields["amount"] = "1,000 GBP" }, "amount"},
		{"amount of zero", func(q *OpenRequest) { q.Fields["amount"] = "0 GBP" }, "amount"},
		{"amount negative", func(q *OpenRequest) { q.Fields["amount"] = "-5 GBP" }, "amount"},
		{"amount with a leading zero", func(q *OpenRequest) { q.Fields["amount"] = "05 GBP" }, "amount"},
		{"amount without currency", func(q *OpenRequest) { q.Fields["amount"] = "500" }, "amount"},
		{"amount too large", func(q *OpenRequest) { q.Fields["amount"] = "9999999999999999999 GBP" }, "amount"},
		{"letters in the account", func(q *OpenRequest) { q.Fields["account"] = "1234567O" }, "account"},
		{"full-width digits", func(q *OpenRequest) { q.Fields["account"] = "１２３４５６７８" }, "account"},
		{"short account", func(q *OpenRequest) { q.Fields["account"] = "12345" }, "account"},
		{"empty payee", func(q *OpenRequest) { q.Fields["payee"] = "" }, "payee"},
		{"payee with blanks", func(q *OpenRequest) { q.Fields["payee"] = " Ann" }, "payee"},
		{"payee with a bidi override", func(q *OpenRequest) { q.Fields["payee"] = "Ann\u202eExample" }, "payee"},
		{"payee with a zero-width blank", func(q *OpenRequest) { q.Fields["payee"] = "Ann\u200bExample" }, "payee"},
		{"payee with a no-break blank", func(q *OpenRequest) { q.Fields["payee"] = "Ann\u00a0Example" }, "payee"},
		{"payee with a new line", func(q *OpenRequest) { q.Fields["payee"] = "Ann\nExample" }, "payee"},
		{"payee not composed", func(q *OpenRequest) { q.Fields["payee"] = "Ame\u0301lie" }, "payee"},
		{"payee not UTF-8", func(q *OpenRequest) { q.Fields["payee"] = "Ann\xff" }, "payee"},
		{"payee too long", func(q *OpenRequest) { q.Fields["payee"] = strings.Repeat("a", 141) }, "payee"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			q := request("payment")
			tt.spoil(&q)
			_, _, err := w.g.Open(context.Background(), ten, q)
			var invalid *InvalidError
			if !errors.As(err, &invalid) || invalid.Field != tt.field {
				t.Errorf("have %v, want a finding about %s", err, tt.field)
			}
			if n := len(w.store.Entries(ten)); n != 0 {
				t.Errorf("%d entries were written", n)
			}
		})
	}
}

func TestFieldTypes(t *testing.T) {
	good := map[string][]string{
		"iban":          {"GB82WEST12345698765432", "DE89370400440532013000", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"},
		"tn":            {"442079460000", "14155550100"},
		"email":         {"ann@example.com"},
		"date":          {"2028-02-29"},
		"number":        {"0", "12"},
		"digits 4":      {"0012"},
		"one of [a, b]": {"b"},
		"text":          {"Zahlung für Ünïcode, 50 %"},
		"name":          {"Zoë O’Hara", "李小龍", "שָּׁלוֹם", "ท่าที่", "a" + strings.Repeat("\u0336", 4)},
		"account":       {"123456", "123456789012345678"},
	}
	bad := map[string][]string{
		"iban":          {"", "GB82WEST12345698765433", "GB82 WEST 1234 5698 7654 32", "gb82west12345698765432", "DE8937040044053201300", "XX82WEST12345698765432", "GB", "GBAAWEST12345698765432"},
		"tn":            {"", "+442079460000", "0207946000", "123", "44207946000012345", "44207946000x"},
		"email":         {"", "ann", "Ann <ann@example.com>", "a@b@c", "a b@example.com", "ann@exämple.com", "ann@example.com\n"},
		"date":          {"", "2027-02-29", "27-2-1", "2027-02-01T00:00:00Z", "2027-2-1"},
		"number":        {"", "01", "-1", "1e3", "1234567890123456", "٣"},
		"digits 4":      {"", "123", "12345", "12a4", "１２３４"},
		"one of [a, b]": {"", "c", "A"},
		"text":          {"", "a\u2066b", "\ufeffa", "a\u0000b", "a\U000e0041"},
		"name": {"", "a\u115fb", "a\u3164b", "a\u1160b", "ab\uffa0", "a\u034fb", "ab\ufe0f", "ab\U000e0100", "a\u180bb", "a\u17b4b", "a\u2800b", "a\u2028b", "a\u00a0b", "a\u2003b", "a\u00adb", "\u202eab",
			"a" + strings.Repeat("\u0336", 5)},
		"account": {"", "12345", "1234567890123456789", "12-34-56"},
		"bool":    {"true"},
	}
	typ := func(s string) policy.Type {
		t.Helper()
		if s == "bool" {
			return policy.Type{Base: policy.BaseBool}
		}
		ty, err := policy.ParseType(s)
		if err != nil {
			t.Fatal(err)
		}
		return ty
	}
	for s, vs := range good {
		for _, v := range vs {
			if says := checkValue(typ(s), v); says != "" {
				t.Errorf("%s %q: %s", s, v, says)
			}
		}
	}
	for s, vs := range bad {
		for _, v := range vs {
			says := checkValue(typ(s), v)
			if says == "" {
				t.Errorf("%s %q was taken", s, v)
			}
			if v != "" && len(v) > 3 && strings.Contains(says, v) {
				t.Errorf("%s: the sentence repeats the value: %s", s, says)
			}
		}
	}
	if checkValue(policy.Type{}, "x") == "" {
		t.Error("the zero type takes a value")
	}
	if !mixedScripts("Аnn") || mixedScripts("Ann") || mixedScripts("Анна") {
		t.Error("look-alike letters")
	}
}

func TestCanonicalIsRFC8785(t *testing.T) {
	r := Release{Tenant: "default", ID: "rel_1", Nonce: "00", Type: "payment", Subject: "sub_1",
		Fields: map[string]string{"payee": "Zoë <&>", "amount": "1250 GBP", "account": "12345678"}}
	have, digest, err := Canonical(r)
	want := `{"fields":{"account":"12345678","amount":"1250 GBP","payee":"Zoë <&>"},"nonce":"00","release":"rel_1","subject":"sub_1","tenant":"default","type":"payment","v":1}`
	if err != nil || string(have) != want {
		t.Errorf("have %s, %v", have, err)
	}
	for name, change := range map[string]func(*Release){
		"tenant": func(r *Release) { r.Tenant = "other" }, "release": func(r *Release) { r.ID = "rel_2" },
		"nonce": func(r *Release) { r.Nonce = "01" }, "type": func(r *Release) { r.Type = "invoice" },
		"subject": func(r *Release) { r.Subject = "sub_2" },
		"field": func(r *Release) {
			r.Fields = map[string]string{"payee": "Zoë <&>", "amount": "1251 GBP", "account": "12345678"}
		},
	} {
		o := r
		change(&o)
		if _, d, err := Canonical(o); err != nil || d == digest {
			t.Errorf("%s is not part of the digest: %v", name, err)
		}
	}
}

func TestIdempotency(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	q := request("payment")
	q.Key = Key{Client: "crm", Operation: "open", Value: "k1", Body: [32]byte{1}}
	first, v1, err := w.g.Open(ctx, ten, q)
	again, v2, err2 := w.g.Open(ctx, ten, q)
	if err != nil || err2 != nil || first.ID != again.ID || v1.Decision != v2.Decision || !slices.Equal(v1.Missing, v2.Missing) {
		t.Errorf("same key, same body: %v %v %+v %+v", err, err2, v1, v2)
	}
	q.Key.Body[0] = 2
	if _, _, err := w.g.Open(ctx, ten, q); !errors.Is(err, ErrConflict) {
		t.Errorf("same key, other body: %v", err)
	}
	for name, k := range map[string]Key{"client": {Client: "erp", Operation: "open", Value: "k1"}, "operation": {Client: "crm", Operation: "x", Value: "k1"}} {
		q.Key = k
		if other, _, err := w.g.Open(ctx, ten, q); err != nil || other.ID == first.ID {
			t.Errorf("another %s got the answer of the first: %v", name, err)
		}
	}
	if _, _, err := w.g.Open(ctx, "ten_other", q); err == nil {
		t.Error("another tenant's subject was found")
	}
}

func TestGateFailsClosed(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	r := w.ready()
	boom := errors.New("disk full")
	w.store.Fail = func() error { return boom }
	if token, _, err := w.g.Permit(ctx, ten, r.ID, executor); err == nil || token != "" {
		t.Fatal("a permit left before it was durable")
	}
	w.store.Fail = nil
	token := w.permit(r.ID)
	w.store.Fail = func() error { return boom }
	if red, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err == nil || len(red.Canonical) != 0 {
		t.Fatal("an action left before its redemption was durable")
	}
	w.store.Fail = nil
	if _, err := w.g.Redeem(ctx, ten, executor, token, Key{}); err != nil {
		t.Fatalf("after the store is back: %v", err)
	}
}

func TestSentences(t *testing.T) {
	w := newWorld(t)
	r := w.opened("bank_change")
	_, v := w.released(r.ID)
	want := "Still needed: the telephone PIN, the passkey, by a link that shows this action, a call-back to the number on file and " +
		"the action read back and confirmed on the call-back."
	if v.Next != want {
		t.Errorf("have %q", v.Next)
	}
	for _, reason := range []policy.Reason{policy.ReasonMissing, policy.ReasonStale, policy.ReasonRaised, policy.ReasonWrongAction, policy.ReasonWrongSubject,
		policy.ReasonHeld, policy.ReasonDuress, policy.ReasonCap, policy.ReasonVelocity, policy.ReasonContactTooNew, policy.ReasonAuthenticatorTooNew,
		policy.ReasonMandate, policy.ReasonSelfApproval, policy.ReasonPolicy, policy.ReasonClock, policy.ReasonStore} {
		s := sentence(Verdict{Reasons: []policy.Reason{reason}, Missing: []ringfence.Fact{"pin"}})
		if !strings.HasSuffix(s, ".") || len(s) < 15 {
			t.Errorf("%s reads %q", reason, s)
		}
	}
}

func TestEntriesCarryNoField(t *testing.T) {
	w := newWorld(t)
	r := w.ready()
	w.permit(r.ID)
	for _, e := range w.store.Entries(ten) {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range r.Fields {
			if bytes.Contains(text, []byte(v)) {
				t.Errorf("%s tells %s", e.Event, name)
			}
		}
	}
}

func TestWatchWakes(t *testing.T) {
	w := newWorld(t)
	r := w.opened("payment")
	ch, stop := w.g.Watch(r.ID)
	if _, err := w.g.Cancel(context.Background(), ten, r.ID, Actor{Person: agent}, "mistake"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ch:
	default:
		t.Error("nobody was woken")
	}
	w.g.Wake(ledger.Entry{Event: "release.cancelled", Release: r.ID}) // as another node wrote it
	select {
	case <-ch:
	default:
		t.Error("an entry of another node woke nobody")
	}
	stop()
	if len(w.g.watchers) != 0 {
		t.Error("a watcher was left behind")
	}
}

func TestAttachOnce(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	q := request("bank_change")
	q.Traversal = ""
	r, _, err := w.g.Open(ctx, ten, q)
	w.must(r, err)
	job := Actor{Flow: "job"}
	if got := w.must(w.g.Attach(ctx, ten, r.ID, "trv_job", job)); got.Traversal != "trv_job" || got.Digest != r.Digest {
		t.Errorf("have %+v", got)
	}
	if _, err := w.g.Attach(ctx, ten, r.ID, "trv_other", job); !errors.Is(err, ErrConflict) {
		t.Errorf("attached twice: %v", err)
	}
	if _, err := w.g.Attach(ctx, ten, w.opened("bank_change").ID, "trv_other", job); !errors.Is(err, ErrConflict) {
		t.Errorf("taken from its call: %v", err)
	}
	r = w.look(r.ID)
	w.prove(r, "pin", "passkey", "callback", "confirmed")
	if got, v := w.released(r.ID); got.State != StateCooling {
		t.Errorf("what was keyed in the job does not count: %+v", v)
	}
}

func TestMovesAreTheWholeMachine(t *testing.T) {
	all := []State{StatePendingEvidence, StatePendingApproval, StateCooling, StateReady, StatePermitted, StateRedeemed, StateExecuted,
		StateExecFailed, StateExecUnknown, StateReconciled, StateDenied, StateInvalidated, StateCancelled, StateExpired, StateHeld}
	for _, from := range all {
		if events[from] == "" || !events[from].Valid() {
			t.Errorf("%s has no event of the ledger", from)
		}
		for _, to := range all {
			if !slices.Contains(moves[from], to) {
				r := &row{Release: Release{State: from}}
				tn := &turn{r: r}
				if err := tn.move(to, Actor{Flow: "test"}, ""); !errors.Is(err, ErrConflict) || r.State != from {
					t.Errorf("%s → %s: %v", from, to, err)
				}
			}
		}
		if from.BeforeRedeemed() != slices.Contains(moves[from], StateCancelled) {
			t.Errorf("%s: stopping and cancelling disagree", from)
		}
	}
	for _, after := range []State{StateRedeemed, StateExecuted, StateExecFailed, StateExecUnknown, StateReconciled} {
		if slices.Contains(moves[after], StateHeld) || slices.Contains(moves[after], StateReady) {
			t.Errorf("%s leads back", after)
		}
	}
}
