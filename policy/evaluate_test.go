package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence"
)

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const year = 365 * day

// proofOf makes a proof that counts for everything.
func proofOf(c Case, f ringfence.Fact) Proof {
	s, _ := strengthOf(f)
	e := ringfence.Evidence{ID: ringfence.EvidenceID("evd_" + f), Subject: c.Subject, Fact: f, Strength: s,
		Traversal: c.Traversal, At: c.Now.Add(-time.Minute)}
	if f.Bound() {
		e.Release, e.Digest = c.Release, c.Digest
		e.Presented = f == ringfence.FactPasskey || f == ringfence.FactConfirmed
	}
	switch f {
	case ringfence.FactCallback, ringfence.FactKnownNumber:
		e.ContactPoint = "cpt_a"
	case ringfence.FactOTP:
		e.ContactPoint = "cpt_b"
	case ringfence.FactPIN, ringfence.FactTOTP, ringfence.FactPasskey:
		e.Authenticator = ringfence.AuthenticatorID("aut_" + f)
	}
	return Proof{Evidence: e, ContactAge: year, AuthenticatorAge: year}
}

func caseOf(action string, kind ringfence.SubjectKind, facts ...ringfence.Fact) Case {
	c := Case{Action: action, Release: "rel_1", Digest: ringfence.Digest{1}, Traversal: "trv_1", Subject: "sub_1", Kind: kind,
		Fields: map[string]string{"new_account": "12345678", "payee": "Ann", "amount": "100000 GBP", "account": "12345678"},
		Now:    testNow, Signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
	for _, f := range facts {
		if f == ringfence.FactApproved {
			c.Approvals = append(c.Approvals, Approval{ID: "apr_1", Person: "per_1", Groups: []string{"payments_manager"}})
			continue
		}
		c.Proofs = append(c.Proofs, proofOf(c, f))
	}
	return c
}

func TestZeroValuesRefuse(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	full := caseOf("bank_change", "customer", "pin", "passkey", "callback", "confirmed")
	if a := p.Evaluate(full); !a.Satisfied {
		t.Fatalf("the full case is refused: %+v", a)
	}
	for name, spoil := range map[string]func(*Case){
		"zero case":       func(c *Case) { *c = Case{} },
		"no action":       func(c *Case) { c.Action = "" },
		"unknown action":  func(c *Case) { c.Action = "bank_chang" },
		"no subject":      func(c *Case) { c.Subject = "" },
		"no release":      func(c *Case) { c.Release = "" },
		"no digest":       func(c *Case) { c.Digest = ringfence.Digest{} },
		"no time":         func(c *Case) { c.Now = time.Time{} },
		"other kind":      func(c *Case) { c.Kind = "contact" },
		"no proofs":       func(c *Case) { c.Proofs = nil },
		"zero proof":      func(c *Case) { c.Proofs = []Proof{{}} },
		"no traversal":    func(c *Case) { c.Traversal = "" },
		"other traversal": func(c *Case) { c.Traversal = "trv_2" },
	} {
		t.Run(name, func(t *testing.T) {
			c := full
			c.Proofs = slices.Clone(full.Proofs)
			spoil(&c)
			if a := p.Evaluate(c); a.Satisfied || a.EvidenceComplete || len(a.Reasons) == 0 {
				t.Errorf("have %+v, want a refusal with a reason", a)
			}
		})
	}
	if a := (*Policy)(nil).Evaluate(full); a.Satisfied {
		t.Error("no policy allows")
	}
	if a := new(Policy).Evaluate(full); a.Satisfied {
		t.Error("the zero policy allows")
	}
	if (Answer{}).Satisfied || (Answer{}).EvidenceComplete {
		t.Error("the zero answer allows")
	}
}

func TestEachProofIsJudged(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	for _, tt := range []struct {
		name   string
		fact   ringfence.Fact
		spoil  func(*Proof)
		reason Reason
	}{
		{"stale PIN", "pin", func(p *Proof) { p.Evidence.At = testNow.Add(-16 * time.Minute) }, ReasonStale},
		{"PIN from the future", "pin", func(p *Proof) { p.Evidence.At = testNow.Add(time.Second) }, ReasonStale},
		{"PIN without a time", "pin", func(p *Proof) { p.Evidence.At = time.Time{} }, ReasonStale},
		{"PIN of another call", "pin", func(p *Proof) { p.Evidence.Traversal = "trv_2" }, ReasonWrongAction},
		{"PIN of no call", "pin", func(p *Proof) { p.Evidence.Traversal = "" }, ReasonWrongAction},
		{"PIN of another subject", "pin", func(p *Proof) { p.Evidence.Subject = "sub_2" }, ReasonWrongSubject},
		{"young PIN", "pin", func(p *Proof) { p.AuthenticatorAge = 71 * time.Hour }, ReasonAuthenticatorTooNew},
		{"PIN of unknown age", "pin", func(p *Proof) { p.AuthenticatorAge = 0 }, ReasonAuthenticatorTooNew},
		{"PIN of no authenticator", "pin", func(p *Proof) { p.Evidence.Authenticator = "" }, ReasonAuthenticatorTooNew},
		{"passkey for no action", "passkey", func(p *Proof) { p.Evidence.Release, p.Evidence.Digest = "", ringfence.Digest{} }, ReasonWrongAction},
		{"passkey for another release", "passkey", func(p *Proof) { p.Evidence.Release = "rel_2" }, ReasonWrongAction},
		{"passkey for another digest", "passkey", func(p *Proof) { p.Evidence.Digest = ringfence.Digest{2} }, ReasonWrongAction},
		{"passkey with a digest and no release", "passkey", func(p *Proof) { p.Evidence.Release = "" }, ReasonWrongAction},
		{"passkey of wrong strength", "passkey", func(p *Proof) { p.Evidence.Strength = ringfence.StrengthPossess }, ReasonMissing},
		{"young passkey", "passkey", func(p *Proof) { p.AuthenticatorAge = time.Hour }, ReasonAuthenticatorTooNew},
		{"passkey of another call", "passkey", func(p *Proof) { p.Evidence.Traversal = "trv_2" }, ReasonWrongAction},
		{"call-back to a number of 29 days", "callback", func(p *Proof) { p.ContactAge = 29 * day }, ReasonContactTooNew},
		{"call-back to no contact point", "callback", func(p *Proof) { p.Evidence.ContactPoint = "" }, ReasonContactTooNew},
		{"confirmation of another release", "confirmed", func(p *Proof) { p.Evidence.Release = "rel_2" }, ReasonWrongAction},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := caseOf("bank_change", "customer", "pin", "passkey", "callback", "confirmed")
			i := slices.IndexFunc(c.Proofs, func(p Proof) bool { return p.Evidence.Fact == tt.fact })
			tt.spoil(&c.Proofs[i])
			a := p.Evaluate(c)
			if a.Satisfied || a.EvidenceComplete || !slices.Contains(a.Reasons, tt.reason) || !slices.Contains(a.Missing, tt.fact) {
				t.Errorf("have %+v, want %s for %s", a, tt.reason, tt.fact)
			}
		})
	}
}

// TestWholeProduct walks every set of facts for every shipped action and
// compares with the sentence of the design.
func TestWholeProduct(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	has := func(s FactSet, fs ...ringfence.Fact) bool { return s.Contains(NewFactSet(fs...)) }
	want := map[string]func(FactSet) bool{
		"bank_change": func(s FactSet) bool {
			return has(s, "pin", "callback", "confirmed") && (has(s, "passkey") || has(s, "totp", "approved"))
		},
		"payment": func(s FactSet) bool { return has(s, "callback", "confirmed") && (has(s, "passkey") || has(s, "totp")) },
		"invoice": func(s FactSet) bool { return has(s, "callback", "confirmed", "approved") },
	}
	kinds := map[string]ringfence.SubjectKind{"bank_change": "customer", "payment": "customer", "invoice": "contact"}
	for action, enough := range want {
		for s := FactSet(0); s < 1<<11; s++ {
			a := p.Evaluate(caseOf(action, kinds[action], s.Facts()...))
			if a.Satisfied != enough(s) {
				t.Fatalf("%s with %s: have %v %v, want %v", action, s, a.Satisfied, a.Reasons, enough(s))
			}
			if a.Satisfied != (len(a.Missing) == 0 && len(a.Reasons) == 0) {
				t.Fatalf("%s with %s: %+v", action, s, a)
			}
			if a.EvidenceComplete != enough(s|NewFactSet("approved")) {
				t.Fatalf("%s with %s: evidence complete %v", action, s, a.EvidenceComplete)
			}
		}
	}
}

// TestInvariant31 watches C3 refuse when nothing put the action before the
// person reached.
func TestInvariant31(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	c := caseOf("payment", "customer", "totp", "callback", "confirmed")
	for i := range c.Proofs {
		c.Proofs[i].Evidence.Presented = false
	}
	if a := p.Evaluate(c); a.Satisfied || !slices.Equal(a.Missing, []ringfence.Fact{"confirmed"}) {
		t.Errorf("have %+v", a)
	}
	c.Proofs[0].Evidence.Presented = true // a TOTP shows nothing to anybody
	if a := p.Evaluate(c); a.Satisfied {
		t.Errorf("a TOTP presented the action: %+v", a)
	}
}

// TestInvariant29 refuses a weaker way to a subject who had a passkey.
func TestInvariant29(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	c := caseOf("bank_change", "customer", "pin", "totp", "callback", "confirmed", "approved")
	if a := p.Evaluate(c); !a.Satisfied {
		t.Fatalf("%+v", a)
	}
	c.HadPasskey = true
	a := p.Evaluate(c)
	if a.Satisfied || !slices.Equal(a.Missing, []ringfence.Fact{"passkey"}) {
		t.Errorf("have %+v", a)
	}
	c = caseOf("bank_change", "customer", "pin", "callback", "confirmed", "proofed", "totp", "approved")
	c.HadPasskey = true
	if a := p.Evaluate(c); a.Satisfied {
		t.Error("one approver for a recovery")
	}
	c.Approvals = append(c.Approvals, Approval{ID: "apr_2", Person: "per_2", Groups: []string{"payments_manager"}})
	if a := p.Evaluate(c); !a.Satisfied || a.Hold != 72*time.Hour {
		t.Errorf("C5's row for C4: %+v", a)
	}
}

func TestApprovalsCountPersons(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	c := caseOf("invoice", "contact", "callback", "confirmed", "approved")
	c.Fields = maps.Clone(c.Fields)
	c.Fields["amount"] = "500001 GBP" // 5,000.01 is over 5,000
	if a := p.Evaluate(c); a.Satisfied || a.Approvals.Count != 2 || !slices.Equal(a.Missing, []ringfence.Fact{"approved"}) || !a.EvidenceComplete {
		t.Errorf("one approver over the limit: %+v", a)
	}
	c.Approvals = append(c.Approvals, c.Approvals[0])
	if p.Evaluate(c).Satisfied {
		t.Error("one person counted twice")
	}
	c.Approvals[1] = Approval{ID: "apr_2", Person: "per_2", Groups: []string{"other"}}
	if p.Evaluate(c).Satisfied {
		t.Error("a stranger to the group counted")
	}
	c.Approvals[1].Groups = []string{"payments_manager"}
	if a := p.Evaluate(c); !a.Satisfied {
		t.Errorf("two approvers refused: %+v", a)
	}
	c.Fields["amount"] = "1 EUR"
	c.Approvals = c.Approvals[:1]
	if p.Evaluate(c).Satisfied {
		t.Error("foreign money is under the limit")
	}
	c.Fields["amount"] = "100 GBP"
	c.Sums = map[string]string{"amount": "500100 GBP"}
	if a := p.Evaluate(c); a.Satisfied || !slices.Contains(a.Reasons, ReasonRaised) {
		t.Errorf("the day's sum was not counted: %+v", a)
	}
}

func TestRaisedClass(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	c := caseOf("payment", "customer", "passkey", "callback", "confirmed")
	c.Class = ringfence.C4
	a := p.Evaluate(c)
	if a.Satisfied || !slices.Contains(a.Reasons, ReasonRaised) || !slices.Equal(a.Missing, []ringfence.Fact{"pin"}) {
		t.Errorf("new payee after passkey and call-back: %+v", a)
	}
	c = caseOf("payment", "customer", "passkey", "callback", "confirmed", "pin")
	c.Class = ringfence.C4
	if a := p.Evaluate(c); !a.Satisfied || a.Hold != 12*time.Hour || a.Class != ringfence.C4 {
		t.Errorf("have %+v", a)
	}
	c.Class = ringfence.C1 // a class can only be raised
	if a := p.Evaluate(c); a.Class != ringfence.C3 {
		t.Errorf("class lowered: %+v", a)
	}
	c.Class = 99
	if a := p.Evaluate(c); a.Class != ringfence.C5 || a.Satisfied {
		t.Errorf("an unknown class: %+v", a)
	}
	c = caseOf("invoice", "contact", "callback", "confirmed", "approved")
	c.Class = ringfence.C4
	if a := p.Evaluate(c); a.Satisfied || a.Approvals.Count != 2 || a.Hold != 24*time.Hour {
		t.Errorf("a supplier's new account with one approver: %+v", a)
	}
}

func TestSignals(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	base := caseOf("bank_change", "customer", "pin", "passkey", "callback", "confirmed")
	for _, name := range []string{"sim_swap", "diversion"} {
		c := base
		c.Signals = maps.Clone(base.Signals)
		c.Signals[name] = ringfence.Yes
		if a := p.Evaluate(c); a.Satisfied || !slices.Contains(a.Reasons, ReasonRaised) {
			t.Errorf("%s yes: %+v", name, a)
		}
		delete(c.Signals, name)
		if a := p.Evaluate(c); !a.Satisfied || a.Hold != 24*time.Hour {
			t.Errorf("%s unknown: %+v, want a hold of a day", name, a)
		}
		c.Approvals = caseOf("", "", "approved").Approvals
		if a := p.Evaluate(c); a.Hold != 12*time.Hour {
			t.Errorf("%s unknown with a colleague: hold %v", name, a.Hold)
		}
	}
	waived := mustLoad(t, shippedText(t)+"waivers:\n  - { rule: hold, value: 5s, reason: demonstration, until: 2026-12-01 }\n")
	if a := waived.Evaluate(base); a.Hold != 5*time.Second || len(a.Waivers) != 1 {
		t.Errorf("waived hold: %+v", a)
	}
	c := base
	c.Signals = nil
	if a := waived.Evaluate(c); a.Hold != 24*time.Hour {
		t.Errorf("a waiver replaced the colleague: %v", a.Hold)
	}
	c = base
	c.Class = ringfence.C5
	if a := waived.Evaluate(c); a.Hold < 72*time.Hour {
		t.Errorf("C5 was waived: %v", a.Hold)
	}
}

func TestCodeAndCallbackOnOneNumber(t *testing.T) {
	p := mustLoad(t, edit(t, "passkey or totp, callback, confirmed]", "otp, callback, confirmed]"))
	c := caseOf("payment", "customer", "otp", "callback", "confirmed")
	if a := p.Evaluate(c); !a.Satisfied {
		t.Fatalf("%+v", a)
	}
	c.Proofs[0].Evidence.ContactPoint = "cpt_a"
	if a := p.Evaluate(c); a.Satisfied {
		t.Error("two PSTN factors on one number")
	}
	more := proofOf(c, "otp")
	more.Evidence.ID = "evd_more"
	c.Proofs = append(c.Proofs, more)
	if a := p.Evaluate(c); !a.Satisfied || !slices.Contains(a.Used, "evd_more") {
		t.Errorf("a code on another number did not help: %+v", a)
	}
}

func TestLanes(t *testing.T) {
	two := edit(t, "    needs: [passkey or totp", "    lanes: 2\n    needs: [passkey or totp")
	p := mustLoad(t, strings.Replace(two, "connect:", "connect:", 1))
	c := caseOf("payment", "customer", "passkey", "callback", "confirmed")
	if a := p.Evaluate(c); a.Satisfied || !slices.Equal(a.Missing, []ringfence.Fact{"pin"}) {
		t.Errorf("one handset is one lane: %+v", a)
	}
	if a := p.Evaluate(caseOf("payment", "customer", "pin", "passkey", "callback", "confirmed")); !a.Satisfied || !slices.Contains(a.Used, "evd_pin") {
		t.Errorf("memory and handset: %+v", a)
	}
	c.Proofs[0].Lane = "roaming"
	if a := p.Evaluate(c); !a.Satisfied {
		t.Errorf("a roaming key and a handset: %+v", a)
	}
	if p, _ := Load("f", []byte(edit(t, "hold: 12h", "lanes: 3\n    hold: 12h"))); p == nil {
		t.Error("more lanes than the floor were refused")
	} else if a := p.Evaluate(caseOf("bank_change", "customer", "pin", "passkey", "callback", "confirmed")); a.Satisfied || !slices.Equal(a.Missing, []ringfence.Fact{"approved"}) {
		t.Errorf("three lanes: %+v", a)
	} else if a := p.Evaluate(caseOf("bank_change", "customer", "pin", "passkey", "callback", "confirmed", "approved")); !a.Satisfied {
		t.Errorf("three lanes with a colleague: %+v", a)
	}
}

func TestLimits(t *testing.T) {
	p := mustLoad(t, edit(t, "    needs: [passkey or totp", "    limits: [{ within: 24h, amount: 2000, count: 3 }]\n    needs: [passkey or totp"))
	c := caseOf("payment", "customer", "passkey", "callback", "confirmed")
	for _, tt := range []struct {
		name   string
		totals []Total
		want   Reason
	}{
		{"not counted", nil, ReasonCap},
		{"room", []Total{{Within: day, Amount: 1000, Count: 2}}, ""},
		{"over the amount", []Total{{Within: day, Amount: 1001}}, ReasonCap},
		{"over the count", []Total{{Within: day, Count: 3}}, ReasonVelocity},
		{"overflow", []Total{{Within: day, Amount: OverEvery}}, ReasonCap},
		{"negative", []Total{{Within: day, Amount: -1}}, ReasonCap},
	} {
		c.Totals = tt.totals
		a := p.Evaluate(c)
		if a.Satisfied != (tt.want == "") || tt.want != "" && !slices.Equal(a.Reasons, []Reason{tt.want}) {
			t.Errorf("%s: have %+v", tt.name, a)
		}
	}
}

// TestMoreProofNeverHurts adds proofs at random to random cases.
func TestMoreProofNeverHurts(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	kinds := map[string]ringfence.SubjectKind{"bank_change": "customer", "payment": "customer", "invoice": "contact"}
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom([]string{"bank_change", "payment", "invoice"}).Draw(t, "action")
		c := caseOf(action, kinds[action])
		c.Class = rapid.SampledFrom([]ringfence.Class{0, ringfence.C3, ringfence.C4, ringfence.C5}).Draw(t, "class")
		c.HadPasskey = rapid.Bool().Draw(t, "had passkey")
		for _, s := range []string{"sim_swap", "diversion"} {
			c.Signals[s] = rapid.SampledFrom([]ringfence.Tri{ringfence.Unknown, ringfence.Yes, ringfence.No}).Draw(t, s)
		}
		was := Answer{}
		for i := range 14 {
			if rapid.Bool().Draw(t, "approval") {
				c.Approvals = append(c.Approvals, Approval{Person: ringfence.PersonID(fmt.Sprint(i)), Groups: []string{"payments_manager"}})
			} else {
				f := rapid.SampledFrom(ringfence.Facts[:]).Draw(t, "fact")
				pr := proofOf(c, f)
				pr.Evidence.ID = ringfence.EvidenceID(fmt.Sprint("evd_", i))
				pr.Evidence.Presented = rapid.Bool().Draw(t, "presented")
				pr.Evidence.At = testNow.Add(-time.Duration(rapid.IntRange(-1, 30).Draw(t, "age")) * time.Minute)
				pr.Evidence.ContactPoint = rapid.SampledFrom([]ringfence.ContactPointID{"", "cpt_a", "cpt_b"}).Draw(t, "contact")
				pr.Lane = rapid.SampledFrom([]string{"", "handset", "roaming"}).Draw(t, "lane")
				c.Proofs = append(c.Proofs, pr)
			}
			is := p.Evaluate(c)
			if was.Satisfied && !is.Satisfied || was.EvidenceComplete && !is.EvidenceComplete {
				t.Fatalf("one more hurt: %+v then %+v", was, is)
			}
			if was.Satisfied && is.Satisfied && is.Hold > was.Hold {
				t.Fatalf("one more held longer: %v then %v", was.Hold, is.Hold)
			}
			if is.Satisfied && len(is.Missing) > 0 || is.Satisfied && !is.EvidenceComplete {
				t.Fatalf("%+v", is)
			}
			if is.Satisfied { // what was used is enough by itself, and judged again gives itself
				used := c
				used.Judged = true
				used.Proofs = nil
				for _, pr := range c.Proofs {
					if slices.Contains(is.Used, pr.Evidence.ID) {
						used.Proofs = append(used.Proofs, pr)
					}
				}
				if again := p.Evaluate(used); !again.Satisfied || !slices.Equal(again.Used, is.Used) {
					t.Fatalf("the frozen set is not enough: %+v then %+v", is, again)
				}
			}
			was = is
		}
	})
}

func TestDiff(t *testing.T) {
	old := mustLoad(t, shippedText(t))
	for _, tt := range []struct{ name, from, to, want string }{
		{"nothing", "policy: shipped", "policy: other", ""},
		{"drop the PIN", "[pin, callback, confirmed, passkey or (totp and approved)]", "[callback, confirmed, (passkey and pin) or (totp and approved)]",
			"LOOSER bank_change: now enough: totp + callback + confirmed + approved"},
		{"raise the limit", "invoice.amount > 5000", "invoice.amount > 50000", "LOOSER invoice: 1 approvers, was 2 (invoice.amount 5001)"},
		{"lower the limit", "invoice.amount > 5000", "invoice.amount > 500", "STRICTER invoice: 2 approvers, was 1 (invoice.amount 4999)"},
		{"fresher", "fresh: 5m", "fresh: 4m", "STRICTER payment: fresh 4m, was 5m"},
		{"staler", "fresh: 5m", "fresh: 6m", "LOOSER payment: fresh 6m, was 5m"},
		{"longer hold", "hold: 12h", "hold: 24h", "STRICTER bank_change: hold 24h, was 12h"},
		{"speak more", "connect:", "  customer.account: [callback]\nconnect:", "LOOSER customer.account: now may be spoken"},
		{"speak less", "  payment.payee: [callback]\n", "", "STRICTER payment.payee: no longer may be spoken"},
		{"connect more", "payments_desk: [pin]", "payments_desk: []", "LOOSER payments_desk: now enough: nothing"},
		{"waiver", "connect:", "waivers: [{ rule: hold, value: 5s, reason: why, until: 2026-12-01 }]\nconnect:", "LOOSER every action: hold waived to 5s until 2026-12-01: why"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var have []string
			for _, c := range Diff(old, mustLoad(t, edit(t, tt.from, tt.to))) {
				have = append(have, c.String())
			}
			if got := strings.Join(have, "\n"); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("have %q, want %q", got, tt.want)
			}
		})
	}
	for _, c := range Diff(nil, old) {
		if !c.Looser {
			t.Errorf("from nothing: %s", c)
		}
	}
	for _, c := range Diff(old, nil) {
		if c.Looser {
			t.Errorf("to nothing: %s", c)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	p := mustLoad(b, shippedText(b))
	c := caseOf("bank_change", "customer", "pin", "passkey", "callback", "confirmed")
	for i := len(c.Proofs); i < 50; i++ {
		pr := proofOf(c, ringfence.Facts[i%10])
		pr.Evidence.ID = ringfence.EvidenceID(fmt.Sprint("evd_", i))
		c.Proofs = append(c.Proofs, pr)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Evaluate(c).Satisfied {
			b.Fatal("refused")
		}
	}
}

// TestC0NeedsNothing: an action of the lowest class may ask for no proof, and
// then none is missing.
func TestC0NeedsNothing(t *testing.T) {
	text := strings.Replace(shippedText(t), "\nactions:\n", "\nactions:\n  brochure: { class: C0, says: send a brochure, about: customer, carries: { title: text }, needs: [] }\n", 1)
	if a := mustLoad(t, text).Evaluate(caseOf("brochure", "customer")); !a.Satisfied || len(a.Missing) != 0 {
		t.Errorf("have %+v, want satisfied", a)
	}
	raised := strings.Replace(text, "class: C0", "class: C1", 1)
	if p, _ := Load("policy.yaml", []byte(raised)); p != nil && p.Evaluate(caseOf("brochure", "customer")).Satisfied {
		t.Error("the same of class C1 was satisfied by nothing")
	}
}
