package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// Values at the very end of what is allowed are taken, the next ones are not.
func TestFieldEdges(t *testing.T) {
	mail := func(n int) string { return strings.Repeat("a", n-len("@example.com")) + "@example.com" }
	for _, tt := range []struct {
		base policy.Base
		v    string
		ok   bool
	}{
		{policy.BaseTN, "123456", false}, {policy.BaseTN, "1234567", true},
		{policy.BaseTN, "123456789012345", true}, {policy.BaseTN, "1234567890123456", false},
		{policy.BaseNumber, "999999999999999", true}, {policy.BaseNumber, "9999999999999999", false}, {policy.BaseNumber, "10", true},
		{policy.BaseEmail, mail(254), true}, {policy.BaseEmail, mail(255), false}, {policy.BaseEmail, "a~b@example.com", true},
		{policy.BaseName, strings.Repeat("ü", 140), true}, {policy.BaseName, strings.Repeat("ü", 141), false},
		{policy.BaseText, strings.Repeat("ü", 500), true}, {policy.BaseText, strings.Repeat("ü", 501), false},
		{policy.BaseIBAN, "AZ21NABZ00000000137010001944", true},
		{policy.BaseIBAN, "NO9386011117947", true},
	} {
		if says := checkValue(policy.Type{Base: tt.base}, tt.v); (says == "") != tt.ok {
			t.Errorf("%s of %d characters: %q", tt.base, len(tt.v), says)
		}
	}
	for s, want := range map[string]bool{"": true, " ": false, " a": false, "a ": false, "~": true, "!": true, "\x7f": false, "aé": false} {
		if printableASCII(s) != want {
			t.Errorf("printableASCII(%q) is %v", s, !want)
		}
	}
}

// A country and a length are looked up whole: O1 with five characters is not
// the end of NO15.
func TestIBANOfNoCountry(t *testing.T) {
	digits := "0123456789"
	for _, country := range []string{"O1", "E1", "K1", "I1", "L1"} {
		for n := 5; n <= 9; n++ {
			for i := range 100 {
				for _, last := range digits {
					s := country + string(digits[i/10]) + string(digits[i%10]) + strings.Repeat("0", n-5) + string(last)
					if validIBAN(s) {
						t.Fatalf("%s is taken for an IBAN", s)
					}
				}
			}
		}
	}
}

// What is wrong with a number of digits is said for the one length, or the two.
func TestDigitsSentence(t *testing.T) {
	for typ, want := range map[string]string{"digits 4": "want 4 digits, nothing else", "account": "want 6 to 18 digits, nothing else"} {
		ty, err := policy.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		if have := checkValue(ty, "x"); have != want {
			t.Errorf("%s: %s", typ, have)
		}
	}
}

// Names and texts are looked at for letters that look alike, and nothing else.
func TestFlags(t *testing.T) {
	a := &policy.Action{Name: "x", Carries: []policy.Field{
		{Name: "name", Type: policy.Type{Base: policy.BaseName}}, {Name: "text", Type: policy.Type{Base: policy.BaseText}},
		{Name: "one", Type: policy.Type{Base: policy.BaseOneOf, OneOf: []string{"Аnn", "Ｏ", "plain"}}}}}
	const mixes, dressed = " mixes alphabets whose letters look alike", " is written in another alphabet that looks like ours"
	for _, tt := range []struct {
		name, text, one string
		want            []string
	}{
		{"Ann", "hello", "plain", nil},
		{"Аnn", "hello", "plain", []string{"name" + mixes}},
		{"Ann", "hеllo", "plain", []string{"text" + mixes}},
		{"АВС", "hello", "plain", []string{"name" + dressed}},
		{"Ann", "Ｏbel", "plain", []string{"text" + dressed}},
		{"Ann", "hello", "Аnn", nil},
		{"Ann", "hello", "Ｏ", nil},
	} {
		have, err := CheckFields(a, map[string]string{"name": tt.name, "text": tt.text, "one": tt.one})
		if err != nil || !slices.Equal(have, tt.want) {
			t.Errorf("%+v: %q, %v", tt, have, err)
		}
	}
}

// A letter or figure in fancy dress is one from 0 to 9, A to Z or a to z.
func TestDressedUp(t *testing.T) {
	for _, r := range "０９ＡＺａｚ①Ⅷﬀ" {
		if !dressedUp(r) {
			t.Errorf("%c is plain", r)
		}
	}
	for _, r := range "：／＠［｀｛ÿĀ・世" {
		if dressedUp(r) {
			t.Errorf("%c is a letter or figure in fancy dress", r)
		}
	}
}

// A name is found by its words of two letters and more, the first eight.
func TestNameWords(t *testing.T) {
	for name, want := range map[string][]string{
		"":                               nil,
		"A. Li":                          {"li"},
		"Jean-Luc O'Neil":                {"jean", "luc", "neil"},
		"ann ANN Ann":                    {"ann"},
		"aa bb cc dd ee ff gg hh":        {"aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"},
		"aa bb cc dd ee ff gg hh ii jj":  {"aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"},
		"aa bb cc dd ee ff gg x hh y ii": {"aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"},
	} {
		if have := NameWords(name); !slices.Equal(have, want) {
			t.Errorf("%q: %q", name, have)
		}
	}
}

// Each sort of field of the directory has its effect; others, and other
// actions, have none.
func TestEffects(t *testing.T) {
	field := func(name string, base policy.Base, secret bool) policy.Field {
		return policy.Field{Name: name, Type: policy.Type{Base: base, Secret: secret}}
	}
	text := func(name string) policy.Field { return field(name, policy.BaseText, false) }
	for name, tt := range map[string]struct {
		a    *policy.Action
		want []Effect
	}{
		"none":         {nil, nil},
		"a payment":    {&policy.Action{Like: policy.LikePayment, Carries: []policy.Field{text("contact")}}, nil},
		"a note":       {&policy.Action{Like: policy.LikeContactChange, Carries: []policy.Field{text("note")}}, nil},
		"a number":     {&policy.Action{Like: policy.LikeContactChange, Carries: []policy.Field{field("n", policy.BaseTN, false)}}, []Effect{AddsNumber}},
		"two numbers":  {&policy.Action{Like: policy.LikeContactChange, Carries: []policy.Field{field("n", policy.BaseTN, false), field("m", policy.BaseTN, false)}}, []Effect{AddsNumber}},
		"an address":   {&policy.Action{Like: policy.LikeContactChange, Carries: []policy.Field{field("n", policy.BaseEmail, false)}}, []Effect{AddsEmail}},
		"a PIN":        {&policy.Action{Like: policy.LikeAuthenticatorReset, Carries: []policy.Field{field("new", policy.BaseDigits, true)}}, []Effect{AddsPIN}},
		"starts again": {&policy.Action{Like: policy.LikeAuthenticatorReset, Class: ringfence.C5, Carries: []policy.Field{text("fingerprint")}}, []Effect{StartsAgain, AddsAuthenticator}},
		"class C4":     {&policy.Action{Like: policy.LikeAuthenticatorReset, Class: ringfence.C4, Carries: []policy.Field{text("authenticator"), text("resume")}}, []Effect{RemovesAuthenticator, Resumes}},
		"mandates":     {&policy.Action{Like: policy.LikeMandateChange, Carries: []policy.Field{text("mandate"), text("representative"), text("contact")}}, []Effect{EndsMandate, GrantsMandate, RemovesContact}},
	} {
		if have := Effects(tt.a); !slices.Equal(have, tt.want) {
			t.Errorf("%s: %q", name, have)
		}
		if have := Performs(tt.a); have != (len(tt.want) > 0) {
			t.Errorf("%s: performed here is %v", name, have)
		}
	}
}

// A way that is open is told as long as there is one; a reason that stops it is
// told when there is none.
func TestSentenceTellsWhatHelps(t *testing.T) {
	held := []policy.Reason{policy.ReasonHeld}
	pin := []ringfence.Fact{ringfence.FactPIN}
	for name, tt := range map[string]struct {
		v    Verdict
		want string
	}{
		"goes":                    {Verdict{Decision: Allow}, "Everything is proved. It can go."},
		"waits":                   {Verdict{Decision: Allow, Hold: time.Hour}, "Everything is proved. It goes after a cooling-off of 1h."},
		"held":                    {Verdict{Decision: Refuse, Reasons: held, Missing: pin}, sentences[policy.ReasonHeld]},
		"nothing helps":           {Verdict{Decision: StepUp, Reasons: held}, sentences[policy.ReasonHeld]},
		"no reason, nothing":      {Verdict{}, sentences[policy.ReasonPolicy]},
		"a PIN":                   {Verdict{Decision: StepUp, Reasons: held, Missing: pin}, "Still needed: the telephone PIN."},
		"a colleague":             {Verdict{Decision: StepUp, Missing: []ringfence.Fact{ringfence.FactApproved}, Approvals: policy.Approvals{Group: "the_desk", Count: 1}}, "Still needed: the approval of a colleague of the desk."},
		"two colleagues":          {Verdict{Decision: StepUp, Missing: []ringfence.Fact{ringfence.FactApproved}, Approvals: policy.Approvals{Group: "desk", Count: 2}}, "Still needed: the approval of 2 colleagues of desk."},
		"some colleague":          {Verdict{Decision: StepUp, Missing: []ringfence.Fact{ringfence.FactApproved}}, "Still needed: the approval of a colleague of the approving group."},
		"another way":             {Verdict{Decision: StepUp, Missing: pin, Ways: [][]ringfence.Fact{pin, {ringfence.FactPIN, "odd"}}}, "Still needed: the telephone PIN. Or: the telephone PIN and odd."},
		"another way, in person":  {Verdict{Decision: StepUp, Missing: pin, Ways: [][]ringfence.Fact{pin, {ringfence.FactProofed}}}, "Still needed: the telephone PIN."},
		"too old":                 {Verdict{Decision: StepUp, Missing: pin, Reasons: []policy.Reason{policy.ReasonMissing, policy.ReasonStale, policy.ReasonRaised}}, "Still needed: the telephone PIN; what was proved is too old."},
		"the same way told twice": {Verdict{Decision: StepUp, Missing: pin, Ways: [][]ringfence.Fact{pin}}, "Still needed: the telephone PIN."},
	} {
		if have := sentence(tt.v); have != tt.want {
			t.Errorf("%s: %s", name, have)
		}
	}
}

// An action pays when it carries an amount or is declared to; the account is
// all of its account fields.
func TestPayeeOf(t *testing.T) {
	fields := map[string]string{"sort": "201575", "account": "12345678", "name": "Ann", "other": "Bob", "amount": "5 GBP"}
	f := func(name string, base policy.Base) policy.Field {
		return policy.Field{Name: name, Type: policy.Type{Base: base}}
	}
	account := []policy.Field{f("sort", policy.BaseAccount), f("account", policy.BaseAccount)}
	for name, tt := range map[string]struct {
		a                    *policy.Action
		payee, account, call string
	}{
		"changes an account": {&policy.Action{Carries: account}, "", "/201575/12345678", ""},
		"pays an amount":     {&policy.Action{Carries: append(account[:2:2], f("amount", policy.BaseMoney))}, "/201575/12345678", "/201575/12345678", ""},
		"is like a payment":  {&policy.Action{Like: policy.LikePayment, Carries: account[1:]}, "/12345678", "/12345678", ""},
		"names two":          {&policy.Action{Carries: append(account[1:2:2], f("name", policy.BaseName), f("other", policy.BaseName))}, "", "/12345678", "Ann"},
		"names no account":   {&policy.Action{Like: policy.LikePayment, Carries: []policy.Field{f("name", policy.BaseName)}}, "", "", ""},
	} {
		if have := payeeOf(tt.a, fields); have != tt.payee {
			t.Errorf("%s: pays to %q", name, have)
		}
		if have, call := AccountNamed(tt.a, fields); have != tt.account || call != tt.call {
			t.Errorf("%s: names %q of %q", name, have, call)
		}
	}
}

// Three characters tell too much of a number of three.
func TestEnding(t *testing.T) {
	for value, want := range map[string]string{"": "--", "123": "--", "1234": "34", "442079460001": "01", "ann@example.com": "--", "anna@example.com": "na"} {
		if have := ending(value); have != want {
			t.Errorf("%q: %q", value, have)
		}
	}
}

// Only what the carrier said of a call dies with its far end for good.
func TestSignalFacts(t *testing.T) {
	for f, want := range map[ringfence.Fact]bool{ringfence.FactAttested: true, ringfence.FactKnownNumber: true, ringfence.FactPIN: false, ringfence.FactCallback: false, "": false} {
		if signal(f) != want {
			t.Errorf("%s: %v", f, !want)
		}
	}
}

// A number counts from a day after its last change on, while it is active.
func TestOldEnough(t *testing.T) {
	good := ringfence.ContactPoint{ID: "cpt_1", Status: ringfence.StatusActive, ChangedAt: epoch.Add(-staffWait)}
	for name, tt := range map[string]struct {
		change func(*ringfence.ContactPoint)
		want   bool
	}{
		"a day":      {func(*ringfence.ContactPoint) {}, true},
		"a bit less": {func(p *ringfence.ContactPoint) { p.ChangedAt = p.ChangedAt.Add(1) }, false},
		"another":    {func(p *ringfence.ContactPoint) { p.ID = "cpt_2" }, false},
		"suspended":  {func(p *ringfence.ContactPoint) { p.Status = ringfence.StatusSuspended }, false},
		"no time":    {func(p *ringfence.ContactPoint) { p.ChangedAt = time.Time{} }, false},
	} {
		p := good
		tt.change(&p)
		if have := oldEnough([]ringfence.ContactPoint{p}, "cpt_1", epoch); have != tt.want {
			t.Errorf("%s: %v", name, have)
		}
	}
}
