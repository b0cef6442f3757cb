package flows

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
	"github.com/ringfence/ringfence/scripts"
)

// noPSTN loads the profile in which nothing of the telephone network counts.
func noPSTN(t *testing.T) (*Bundle, fstest.MapFS) {
	t.Helper()
	files, err := scripts.Profile(scripts.NoPSTN)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for path, text := range files {
		fsys[path] = &fstest.MapFile{Data: text}
	}
	b, list := LoadDir(fsys)
	for _, d := range list {
		t.Errorf("%s", d)
	}
	if b == nil {
		t.Fatal("no bundle")
	}
	return b, fsys
}

// The profile loads without any diagnostic, is proved, speaks German as the
// shipped flows do, and its flow tests pass.
func TestNoPSTNProfile(t *testing.T) {
	if files, err := scripts.Profile("../no-pstn"); err == nil {
		t.Errorf("a name that leads elsewhere: %d files", len(files))
	}
	b, fsys := noPSTN(t)
	if r := Prove(b); !r.Clean() {
		t.Errorf("%v", r.Diagnostics())
	}
	for _, f := range b.Flows() {
		if !slices.Contains(f.Translations, "de") {
			t.Errorf("%s speaks no German", f.Name)
		}
	}
	shipped := string(readShipped(t, "prompts/de.yaml"))
	for _, entry := range strings.Split(string(fsys["prompts/de.yaml"].Data), "\n- ")[1:] {
		if !strings.Contains(shipped, strings.TrimSpace(entry)) {
			t.Errorf("the shipped flows say it otherwise, so no recording fits: %s", entry)
		}
	}
	tests, list := LoadTests(b, fsys)
	if len(list) > 0 || len(tests) < 10 {
		t.Fatalf("%d tests, %v", len(tests), list)
	}
	for _, ft := range tests {
		if r := ft.Run(b); len(r.Problems) > 0 {
			t.Errorf("%s: %v\n%s", ft.Name, r.Problems, strings.Join(r.Trace, "\n"))
		}
	}
}

func readShipped(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := scripts.FS.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// proofsFor makes a case in which each fact was proved a minute ago, for this
// very action, with things on file for years.
func proofsFor(a *policy.Action, class ringfence.Class, facts ...ringfence.Fact) policy.Case {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	c := policy.Case{Action: a.Name, Release: "rel_1", Digest: ringfence.Digest{1}, Traversal: "trv_1", Subject: "sub_1",
		Kind: a.About, Class: class, Now: now, Fields: map[string]string{"amount": "100 GBP"},
		Signals: map[string]ringfence.Tri{"sim_swap": ringfence.No, "diversion": ringfence.No}}
	strengths := map[ringfence.Fact]ringfence.Strength{ringfence.FactPIN: ringfence.StrengthKnowledge, ringfence.FactOTP: ringfence.StrengthPSTN,
		ringfence.FactTOTP: ringfence.StrengthPossess, ringfence.FactPasskey: ringfence.StrengthPasskey, ringfence.FactCallback: ringfence.StrengthCallback}
	for i, f := range facts {
		if f == ringfence.FactApproved {
			for n := range max(2, a.Approvals.Count) {
				c.Approvals = append(c.Approvals, policy.Approval{ID: ringfence.ApprovalID(fmt.Sprint("apr_", n)), Person: ringfence.PersonID(fmt.Sprint("per_", n)), Groups: []string{a.Approvals.Group}})
			}
			continue
		}
		e := ringfence.Evidence{ID: ringfence.EvidenceID("evd_" + f), Subject: c.Subject, Fact: f, Strength: strengths[f], Traversal: c.Traversal,
			At: now.Add(-time.Minute), ContactPoint: ringfence.ContactPointID(fmt.Sprint("cpt_", i)), Authenticator: ringfence.AuthenticatorID("aut_" + f),
			Presented: f == ringfence.FactPasskey || f == ringfence.FactConfirmed}
		if f.Bound() {
			e.Release, e.Digest = c.Release, c.Digest
		}
		const years = 3 * 365 * 24 * time.Hour
		c.Proofs = append(c.Proofs, policy.Proof{Evidence: e, ContactAge: years, AuthenticatorAge: years})
	}
	return c
}

// With code, call-back, known number, signature, PIN and read-back together, but
// no passkey or no colleague, nothing is released, at no class that a modifier
// may raise an action to. The same caller with a passkey and a colleague is.
func TestNoPSTNCountsForNothing(t *testing.T) {
	b, _ := noPSTN(t)
	network := []ringfence.Fact{ringfence.FactOTP, ringfence.FactCallback, ringfence.FactConfirmed, ringfence.FactKnownNumber, ringfence.FactAttested, ringfence.FactPIN}
	for _, a := range b.Policy().Actions() {
		for class := max(a.Class, ringfence.C2); class <= ringfence.C5; class++ {
			for _, more := range [][]ringfence.Fact{nil, {ringfence.FactApproved}, {ringfence.FactPasskey}, {ringfence.FactTOTP, ringfence.FactApproved}} {
				c := proofsFor(a, class, append(slices.Clone(network), more...)...)
				if got := b.Policy().Evaluate(c); got.Satisfied {
					t.Errorf("%s at %s is released by the network and %v", a.Name, class, more)
				}
			}
			if class == ringfence.C5 { // papers, whatever else there is
				continue
			}
			c := proofsFor(a, class, ringfence.FactPIN, ringfence.FactPasskey, ringfence.FactApproved)
			if got := b.Policy().Evaluate(c); !got.Satisfied {
				t.Errorf("%s at %s is refused a passkey and a colleague: %+v", a.Name, class, got)
			}
		}
	}
	// The shipped policy takes that code and call-back for what is spoken; the profile does not.
	said := func(p *policy.Policy) bool {
		return p.MaySpeak("customer.balance_band", policy.NewFactSet(network...))
	}
	shipped, list := LoadDir(scripts.FS)
	if shipped == nil {
		t.Fatal(list)
	}
	if !said(shipped.Policy()) || said(b.Policy()) {
		t.Error("want the balance band spoken by the shipped policy, and not by the profile")
	}
}
