package policy

import "testing"

var testVars = map[string]Type{
	"payment.amount": {Base: BaseMoney, Currency: "GBP"},
	"payment.payee":  {Base: BaseName},
	"payment.code":   {Base: BaseDigits, Secret: true},
	"payment.on":     {Base: BaseDate},
	"n":              {Base: BaseNumber},
	"got.pin":        {Base: BaseBool},
	"call.attest":    {Base: BaseOneOf, OneOf: []string{"A", "B"}},
}

func TestConditionRefusesWhatIsNotPlain(t *testing.T) {
	for _, tt := range []struct {
		src, code string
		col       int
	}{
		{"payment.amount + 1 > 5000", CodeSubset, 16},
		{"5000 < payment.amount", CodeSubset, 1},
		{"payment.amount > n", CodeSubset, 18},
		{"payment.amuont > 5000", CodeName, 8},
		{"payment.amount > '5000'", CodeType, 18},
		{"payment.amount > 5000.5", CodeType, 18},
		{"payment.payee > 'x'", CodeSubset, 17},
		{"payment.code == '1'", CodeType, 8},
		{"payment.payee", CodeType, 8},
		{"payment.payee.size() > 3", CodeSubset, 19},
		{"size(payment.payee) > 3", CodeSubset, 5},
		{"got.pin ? true : false", CodeSubset, 9},
		{"true", CodeSubset, 1},
		{"[1,2].exists(x, x > 1)", CodeSubset, 14},
		{"has(payment.amount)", CodeSubset, 4},
		{"call.attest == 'C'", CodeType, 16},
		{"payment.on > 'tomorrow'", CodeType, 14},
		{"n in []", CodeSubset, 6},
		{"payment.amount >", CodeSubset, 17},
		{"", CodeSubset, 1},
		{"got.pin > true", CodeType, 11},
	} {
		t.Run(tt.src, func(t *testing.T) {
			c, d := CompileCondition(tt.src, testVars)
			if c != nil || d == nil || d.Code != tt.code {
				t.Fatalf("have %v, %v, want %s", c, d, tt.code)
			}
			if d.Col < 1 {
				t.Errorf("no place: %v", d)
			}
		})
	}
}

func TestConditionJudges(t *testing.T) {
	values := map[string]any{"payment.amount": "500001 GBP", "payment.payee": "Ann", "payment.on": "2026-01-02",
		"n": "7", "got.pin": true, "call.attest": "A"}
	get := func(n string) any { return values[n] }
	for src, want := range map[string]bool{
		"payment.amount > 5000":                         true, // 5,000.01 counts as 5,001
		"payment.amount >= 5002":                        false,
		"payment.payee == 'Ann' && got.pin":             true,
		"!got.pin || n in [6, 7]":                       true,
		"payment.on < '2026-01-02'":                     false,
		"call.attest in ['B']":                          false,
		"!(call.attest == 'A')":                         false,
		"payment.amount > 5000 && !(n == 7)":            false,
		"got.pin == false":                              false,
		"payment.on == '2026-01-02' && n != 8":          true,
		"payment.amount > 5000 || payment.payee == 'x'": true,
	} {
		c, d := CompileCondition(src, testVars)
		if d != nil {
			t.Fatalf("%s: %v", src, d)
		}
		if have, err := c.Eval(get); err != nil || have != want {
			t.Errorf("%s: have %v, %v, want %v", src, have, err, want)
		}
	}
}

func TestConditionForeignMoneyIsOverEveryLimit(t *testing.T) {
	c, _ := CompileCondition("payment.amount > 1000000000", testVars)
	for _, v := range []string{"1 EUR", "12 GB", "0 GBP", "-5 GBP", "nonsense"} {
		if have, err := c.Eval(func(string) any { return v }); err != nil || !have {
			t.Errorf("%q: have %v, %v, want true", v, have, err)
		}
	}
	if _, err := c.Eval(func(string) any { return nil }); err == nil {
		t.Error("an unset amount was judged")
	}
	if _, err := (*Condition)(nil).Eval(nil); err == nil {
		t.Error("the nil condition was judged")
	}
	if have, err := new(Condition).Eval(nil); err == nil || have {
		t.Error("the zero condition was judged")
	}
}

func BenchmarkConditionEval(b *testing.B) {
	c, _ := CompileCondition("payment.amount > 5000", testVars)
	get := func(string) any { return "500001 GBP" }
	for b.Loop() {
		if ok, err := c.Eval(get); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
