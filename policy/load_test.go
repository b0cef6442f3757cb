package policy

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

func shippedText(t testing.TB) string {
	t.Helper()
	src, err := os.ReadFile("testdata/shipped.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

func mustLoad(t testing.TB, src string) *Policy {
	t.Helper()
	p, ds := Load("policy.yaml", []byte(src))
	if p == nil {
		t.Fatalf("refused: %v", ds)
	}
	return p
}

// edit replaces one stretch of the shipped policy.
func edit(t testing.TB, old, new string) string {
	t.Helper()
	src := shippedText(t)
	if strings.Count(src, old) < 1 {
		t.Fatalf("the shipped policy has no %q", old)
	}
	return strings.Replace(src, old, new, 1)
}

func TestLoadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new, code, says string }{
		{"duplicate key", "max_call: 30m", "max_call: 30m\nmax_call: 31m", CodeYAML, `5:1`},
		{"anchor", "base_currency: GBP", "base_currency: &a GBP", CodeYAML, "an anchor"},
		{"alias", "max_call: 30m", "max_call: *x", CodeYAML, ""},
		{"tag", "base_currency: GBP", "base_currency: !!str GBP", CodeYAML, "a tag"},
		{"tab", "max_call: 30m", "max_call:\t30m", CodeYAML, "a tab"},
		{"second document", "connect:", "---\nconnect:", CodeYAML, "second document"},
		{"unknown key", "fresh: 15m", "fress: 15m", CodeKey, "did you mean fresh?"},
		{"unknown top key", "timezone:", "time_zone:", CodeKey, "did you mean timezone?"},
		{"no class", "    class: C4\n", "", CodeKey, "bank_change has no class"},
		{"bad class", "class: C4", "class: C7", CodeRange, "want C0 to C5"},
		{"unknown fact", "needs: [pin, callback", "needs: [pinn, callback", CodeName, "did you mean pin?"},
		{"and without brackets", "passkey or totp,", "passkey and totp,", CodeName, "where `or` belongs"},
		{"unclosed bracket", "passkey or (totp and approved)", "passkey or (totp and approved", CodeName, ") is missing"},
		{"unknown subject", "about: contact", "about: contract", CodeName, "unknown subject kind"},
		{"unknown type", "amount: money", "amount: cash", CodeType, "unknown type"},
		{"unknown currency", "GBP", "pounds", CodeRange, "no currency"},
		{"unknown zone", "Europe/London", "Europe/Londn", CodeRange, "no time zone"},
		{"condition name", "invoice.amount > 5000", "invoice.amout > 5000", CodeName, "did you mean invoice.amount?"},
		{"condition shape", "invoice.amount > 5000", "invoice.amount * 2 > 5000", CodeSubset, ""},
		{"condition type", "invoice.amount > 5000", `invoice.amount > "5000"`, CodeType, ""},
		{"extra without addition", "        approvals: { group: payments_manager, count: 2 }\n", "", CodeKey, "adds nothing"},
		{"approved by nobody", "    approvals: { group: payments_manager, count: 1 }\n    hold", "    hold", CodeFloor, "no group may approve"},
		{"zero approvers", "count: 1 }\n    hold", "count: 0 }\n    hold", CodeRange, "from 1 to 5"},
		{"hold under the floor", "hold: 12h", "hold: 5s", CodeFloor, "C4 holds at least 12h"},
		{"fresh over the bound", "fresh: 5m", "fresh: 21m", CodeRange, "20m"},
		{"one lane for C4", "hold: 12h", "hold: 12h\n    lanes: 1", CodeFloor, "needs 2 lanes"},
		{"numbers too young", "hold: 12h", "hold: 12h\n    numbers_older_than: 24h", CodeRange, "from 3d"},
		{"code alone for C3", "passkey or totp, callback, confirmed]", "otp, confirmed]", CodeFloor, "otp + confirmed would be enough"},
		{"signals alone", "[attested, known_number, pin]", "[attested, known_number]", CodeFloor, "C1 needs one of"},
		{"call-back alone for C3", "[callback, confirmed, approved]", "[callback, confirmed]", CodeFloor, "C3 needs one of"},
		{"PSTN only for C4", "passkey or (totp and approved)]", "otp]", CodeFloor, "C4 needs one of"},
		{"no read-back", "[callback, confirmed, approved]", "[callback, approved]", CodeFloor, "heard or seen"},
		{"one weak alternative", "passkey or totp, callback", "passkey or totp or pin, callback", CodeFloor, "pin"},
		{"balance after a PIN", "needs: [totp or passkey or callback]", "needs: [pin]", CodeFloor, "C2 needs one of"},
		{"spoken without class", "customer.first_name: [callback]", "customer.first_name: { class: C0, needs: [] }", CodeFloor, "C1 at least"},
		{"spoken unknown", "customer.first_name:", "customer.last_name:", CodeName, "no field"},
		{"spoken approval", "customer.first_name: [callback]", "customer.first_name: [callback, approved]", CodeName, "approval"},
		{"waiver of what never is", "connect:", "waivers: [{ rule: needs, value: 0, reason: x, until: 2026-12-01 }]\nconnect:", CodeWaiver, "cannot be waived"},
		{"waiver without reason", "connect:", "waivers: [{ rule: hold, value: 5s, reason: '', until: 2026-12-01 }]\nconnect:", CodeWaiver, "without a reason"},
		{"waiver without end", "connect:", "waivers: [{ rule: hold, value: 5s, reason: x }]\nconnect:", CodeWaiver, "no until"},
		{"waiver of unknown action", "connect:", "waivers: [{ rule: x.hold, value: 5s, reason: x, until: 2026-12-01 }]\nconnect:", CodeWaiver, "unknown action"},
		{"payee change below C4", "    class: C3\n    says: make", "    class: C3\n    like: payee_change\n    says: make", CodeFloor, "C4 at least"},
		{"unknown signal", "fresh: 15m", "signals: { simswap: no }\n    fresh: 15m", CodeName, "unknown signal"},
		{"signal unknown", "fresh: 15m", "signals: { sim_swap: maybe }\n    fresh: 15m", CodeRange, "yes or no"},
		{"limit of nothing", "fresh: 15m", "limits: [{ within: 24h, amount: 100 }]\n    fresh: 15m", CodeType, "no money"},
		{"not a map", shippedText(t), "[a, b]", CodeShape, "a map"},
		{"empty", shippedText(t), "", CodeYAML, "empty"},
		{"not YAML", shippedText(t), "a: b: c", CodeYAML, "not YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, ds := Load("policy.yaml", []byte(edit(t, tt.old, tt.new)))
			if p != nil {
				t.Fatal("was loaded")
			}
			for _, d := range ds {
				if d.Code == tt.code && strings.Contains(d.String(), tt.says) {
					return
				}
			}
			t.Errorf("have %v, want %s … %s", ds, tt.code, tt.says)
		})
	}
}

func TestLoadShipped(t *testing.T) {
	p, ds := Load("policy.yaml", []byte(shippedText(t)))
	if p == nil || len(ds) != 0 {
		t.Fatalf("have %v", ds)
	}
	if p.Name() != "shipped" || p.BaseCurrency() != "GBP" || p.MaxCall() != 30*time.Minute || p.Timezone().String() != "Europe/London" {
		t.Errorf("have %q %q %v %v", p.Name(), p.BaseCurrency(), p.MaxCall(), p.Timezone())
	}
	k, ok := p.Kind("contact")
	if !ok || !k.Counterparty {
		t.Errorf("contact: %+v", k)
	}
	a, _ := p.Action("bank_change")
	if a.Class != ringfence.C4 || a.Lanes != 2 || a.Hold != 12*time.Hour || a.Approvals.Group != "payments_manager" {
		t.Errorf("bank_change: %+v", a)
	}
	have := ""
	for _, w := range a.Ways(a.Class) {
		have += w.String() + "; "
	}
	if want := "pin + passkey + callback + confirmed; pin + totp + callback + confirmed + approved; "; have != want {
		t.Errorf("have %q, want %q", have, want)
	}
	if p.Hash() == mustLoad(t, edit(t, "12h", "13h")).Hash() {
		t.Error("two policies, one hash")
	}
}

// TestScriptsPolicyLoads reads the file that ops edit.
func TestScriptsPolicyLoads(t *testing.T) {
	src, err := os.ReadFile("../scripts/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, ds := Load("scripts/policy.yaml", src)
	if p == nil || len(ds) > 0 {
		t.Fatalf("have %v", ds)
	}
	for _, a := range p.Actions() {
		for class := a.Class; class <= ringfence.C5; class++ {
			for _, w := range a.Ways(class) {
				if class >= ringfence.C3 && w&presents == 0 {
					t.Errorf("%s at %s: %s presents nothing", a.Name, class, w)
				}
			}
		}
	}
}

func TestGuardsDenyByDefault(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	all := NewFactSet(ringfence.Facts[:]...)
	for _, f := range []string{"customer.account", "customer.nothing", "", "customer"} {
		if p.MaySpeak(f, all) {
			t.Errorf("%q may be spoken", f)
		}
	}
	if p.MayConnect("no_such_queue", all) || (*Guard)(nil).Holds(all) || (&Policy{}).MaySpeak("customer.balance", all) {
		t.Error("something unlisted is allowed")
	}
	if p.MaySpeak("customer.balance", NewFactSet("attested", "known_number", "pin")) {
		t.Error("balance after PIN")
	}
	if !p.MaySpeak("customer.balance", NewFactSet("totp")) || !p.MayConnect("customer_service", 0) || p.MayConnect("payments_desk", 0) {
		t.Error("guards do not follow the file")
	}
}

func TestWaiverCountsOnlyInItsTime(t *testing.T) {
	until := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	w := Waiver{Rule: WaiveHold, Value: "5s", Until: until}
	for _, tt := range []struct {
		name string
		now  time.Time
		want bool
	}{
		{"more than 90 days ahead", until.Add(-91 * day), false},
		{"90 days ahead", until.Add(-90 * day), true},
		{"at its end", until, false},
		{"a second before", until.Add(-time.Second), true},
	} {
		if have := w.InEffect(tt.now); have != tt.want {
			t.Errorf("%s: have %v, want %v", tt.name, have, tt.want)
		}
	}
	if (Waiver{}).InEffect(until) {
		t.Error("the zero waiver counts")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(shippedText(f)))
	f.Add([]byte("policy: x\nbase_currency: GBP\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, ds := Load("f", src)
		if (p == nil) != Failed(ds) {
			t.Errorf("policy %v with %v", p, ds)
		}
		if p == nil {
			return
		}
		again, _ := Load("f", src)
		if len(Diff(p, again)) != 0 {
			t.Errorf("differs from itself: %v", Diff(p, again))
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	src := []byte(shippedText(b))
	for b.Loop() {
		if p, ds := Load("policy.yaml", src); p == nil {
			b.Fatal(ds)
		}
	}
}

// A freeze sits one class lower than it would, what takes it back one higher;
// and a small first payment has a hard bound.
func TestReductionsAreBounded(t *testing.T) {
	load := func(actions string) []Diagnostic {
		_, ds := Load("p.yaml", []byte("policy: x\nbase_currency: GBP\nsubjects:\n  customer: { kind: person, account: digits 8 }\nactions:\n"+actions))
		return ds
	}
	freeze := "  freeze: { class: C1, says: stop the card, about: customer, like: freeze, carries: { card: digits 4 }, needs: [otp or totp or passkey] }\n"
	undo := func(class, rest string) string {
		return freeze + "  thaw: { class: " + class + ", says: use the card again, about: customer, carries: { card: digits 4 }, needs: [passkey], " + rest + " }\n"
	}
	pay := func(class, small string) string {
		return "  pay: { class: " + class + ", says: pay, about: customer, like: payment, carries: { amount: money, account: account }, needs: [passkey, approved], approvals: { group: g, count: 1 }, small_first: " + small + " }\n"
	}
	for name, tt := range map[string]struct {
		actions string
		ok      bool
	}{
		"an undo two above":      {undo("C3", "like: unfreeze, undoes: freeze"), true},
		"an undo one above":      {undo("C2", "like: unfreeze, undoes: freeze"), false},
		"an undo of nothing":     {undo("C3", "like: unfreeze"), false},
		"an undo that is other":  {undo("C3", "undoes: freeze"), false},
		"an undo of itself":      {undo("C3", "like: unfreeze, undoes: thaw"), false},
		"small first":            {pay("C3", "100"), true},
		"small first unbounded":  {pay("C3", "501"), false},
		"small first of nothing": {pay("C3", "0"), false},
		"small first of C4":      {pay("C4", "100"), false},
	} {
		if ds := load(tt.actions); Failed(ds) == tt.ok {
			t.Errorf("%s: %v", name, ds)
		}
	}
}
