package flows

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

func TestRehearsalIsRefused(t *testing.T) {
	b := shipped(t)
	for name, c := range map[string]struct {
		flow     string
		settings []string
	}{
		"no such flow":    {"nothing", nil},
		"a callback flow": {"callback-bank-change", nil},
		"no setting":      {"customer-line", []string{"passkey"}},
		"a made-up world": {"customer-line", []string{"down=everything"}},
	} {
		if r, err := Rehearse(b, c.flow, c.settings, nil); err == nil {
			t.Errorf("%s was played: %+v", name, r)
		}
	}
	r, err := Rehearse(b, "customer-line", nil, []string{"what?"})
	if err != nil || r.Note == "" || r.Ended {
		t.Errorf("no keys were keyed: %+v %v", r, err)
	}
}

// A customer changes a bank account by passkey; each step tells what is known.
func TestRehearsalShowsValuesAtEachStep(t *testing.T) {
	b := shipped(t)
	moves := []string{"10002000", "the code", "2", "10002000", "/page approves", "the fresh digits and the code", "yes"}
	r, err := Rehearse(b, "customer-line", nil, moves)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Rehearse(b, "customer-line", nil, moves)
	if err != nil || !reflect.DeepEqual(r, again) {
		t.Errorf("played again it goes otherwise: %v", err)
	}
	var last []Value
	said := ""
	for _, s := range r.Steps {
		if s.Values != nil {
			last = s.Values
		}
		said += s.What + "\n"
		if s.What != "" && s.Leg != "" && s.File == "" {
			t.Errorf("%q has no line", s.What)
		}
	}
	if !r.Ended || !slices.Contains(last, Value{"bank_change.new_account", "10002000"}) || !strings.Contains(last[0].Value, "passkey for bank_change") {
		t.Errorf("ended %v, knows %v\n%s", r.Ended, last, said)
	}
	if strings.Contains(said, "482137") || strings.Contains(said, "4711") {
		t.Errorf("a secret is shown:\n%s", said)
	}
	if !strings.Contains(r.Test, "flow: customer-line") || !strings.Contains(r.Test, "page: approves") {
		t.Errorf("as a test: %s", r.Test)
	}
}

// Time-outs are played: a caller who says nothing is asked again, and let go.
func TestRehearsalPlaysTimeOuts(t *testing.T) {
	r, err := Rehearse(shipped(t), "customer-line", nil, slices.Repeat([]string{"/wait 20s"}, 20))
	if err != nil || !r.Ended || r.Ends != "hangup" {
		t.Fatalf("%+v %v", r, err)
	}
	if last := r.Steps[len(r.Steps)-1]; last.At < 18*time.Second {
		t.Errorf("three silences of six seconds took %s", last.At)
	}
	// A page waits two minutes: after a short silence one may still approve.
	paged := []string{"10002000", "the code", "2", "10002000", "/wait 20s"}
	if r, err = Rehearse(shipped(t), "customer-line", nil, paged); err != nil || !slices.Contains(r.Options, "/page approves") {
		t.Errorf("after 20 s of a page: %+v %v", r, err)
	}
	if r, err = Rehearse(shipped(t), "customer-line", nil, append(paged, "/wait 3m")); err != nil || !strings.HasPrefix(r.Ends, "connect") {
		t.Errorf("after all of its time: %+v %v", r, err)
	}
	if r, err = Rehearse(shipped(t), "customer-line", nil, []string{"/hang"}); err != nil || !r.Ended || r.Ends != "gone" {
		t.Errorf("a hang-up: %+v %v", r, err)
	}
}

func TestWeakestCallerIsEnough(t *testing.T) {
	b := shipped(t)
	report := Prove(b)
	found := map[string]bool{}
	for _, w := range report.Weakest {
		found[w.Action] = true
		a, _ := b.Policy().Action(w.Action)
		have := policy.NewFactSet(append(w.Proofs, ringfence.FactIdentified)...)
		if a == nil {
			t.Fatalf("%+v: no such action", w)
		}
		enough := slices.ContainsFunc(a.Ways(a.Class), have.Contains)
		if !enough || len(w.Proofs) == 0 || w.Call == nil || w.Call.Steps[len(w.Call.Steps)-1].Line.Verb != Release {
			t.Errorf("%+v", w)
		}
		if !strings.Contains(w.Call.Play(), "<== "+w.Pos.String()) {
			t.Errorf("%s: %s", w.Action, w.Call.Play())
		}
	}
	released := releasedByFlows(t)
	for _, a := range b.Policy().Actions() {
		if found[a.Name] != released[a.Name] {
			t.Errorf("%s: path found %v, released by a flow %v", a.Name, found[a.Name], released[a.Name])
		}
	}
}

// releasedByFlows are the actions that a shipped flow releases; the others are
// opened in the console and released there.
func releasedByFlows(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../scripts/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	out := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\s*-? ?release: ([a-z_]+)`).FindAllStringSubmatch(string(text), -1) {
			out[m[1]] = true
		}
	}
	return out
}
