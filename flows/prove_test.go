package flows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestProveRefusesNothing(t *testing.T) {
	if Prove(nil).Clean() || Prove(&Bundle{}).Clean() || (Report{}).Clean() {
		t.Error("nothing was proved, and it is clean")
	}
}

func TestShippedScriptsAreProved(t *testing.T) {
	b := shipped(t)
	r := Prove(b)
	for _, f := range r.Findings {
		t.Errorf("%s", f.Diagnostic)
		if f.Call != nil {
			t.Logf("\n%s\n%s", f.Call.List(), f.Call.Play())
		}
	}
	t.Logf("%d roots, %d lines, %d states, longest calls %v", r.Roots, r.Lines, r.States, r.Longest)
	c := r.Certificate()
	if c.Result != "proved" || c.Bundle != b.HashText() || c.States != r.States || c.Engine == "" || len(c.Properties) != 10 {
		t.Errorf("certificate %+v", c)
	}
	if again := Prove(b).Certificate().Canonical(); !bytes.Equal(again, c.Canonical()) || !json.Valid(again) {
		t.Errorf("a second proof has another certificate: %s", again)
	}
}

// Every counter-example of the corpus drives the engine to the flagged place.
func TestCounterexamplesReplay(t *testing.T) {
	clean := scriptsFS(t)
	count := 0
	for _, f := range readFaults(t) {
		b, r, _ := judged(f.apply(t, clean))
		for _, one := range r.Findings {
			if one.Call == nil {
				continue
			}
			count++
			at, err := one.Call.Replay(b)
			want := one.Call.Steps[len(one.Call.Steps)-1].Line.Place()
			if err != nil || at != want {
				t.Errorf("%s: %s: replay comes to %v: %v\n%s", f.name, one.Diagnostic, at, err, one.Call.List())
			}
		}
	}
	if count < 60 {
		t.Errorf("%d counter-examples", count)
	}
	t.Logf("%d counter-examples replayed", count)
}

// A counter-example reads as a play.
func TestPlay(t *testing.T) {
	for _, f := range readFaults(t) {
		if f.name != "no passkey skips the second factor" {
			continue
		}
		_, r, _ := judged(f.apply(t, scriptsFS(t)))
		var out strings.Builder
		for _, one := range r.Findings {
			if one.Call == nil {
				continue
			}
			out.WriteString(one.Diagnostic.String() + "\n" + one.Call.List() + "\n" + one.Call.Play())
		}
		golden(t, "testdata/faults/play.want", out.String())
	}
}

// Most counter-examples can be saved as flow tests, and those play up to the
// flagged line in the simulator.
func TestCounterexamplesSave(t *testing.T) {
	clean := scriptsFS(t)
	saved, all := 0, 0
	for _, f := range readFaults(t) {
		fsys := f.apply(t, clean)
		b, r, _ := judged(fsys)
		for _, one := range r.Findings {
			if one.Call == nil {
				continue
			}
			all++
			text, err := one.Test(b)
			if err != nil {
				t.Logf("%s: %v", f.name, err)
				continue
			}
			saved++
			tests, list := LoadTests(b, fstest.MapFS{"tests/one.yaml": {Data: []byte(text)}})
			if len(list) > 0 || len(tests) != 1 {
				t.Errorf("%s: %v\n%s", f.name, list, text)
				continue
			}
			got := tests[0].Run(b)
			at := one.Call.Steps[len(one.Call.Steps)-1].Line.Place()
			visited := false
			for k := range got.Cover {
				visited = visited || k.Place == at
			}
			last := one.Call.Steps[len(one.Call.Steps)-1].Line
			trace := strings.Join(got.Trace, "\n")
			visited = visited || last.Text != nil && strings.Contains(trace, hearsOf(last.Text))
			// A value that is missing ends the call, a guard may end it sooner.
			if !visited && !strings.Contains(fmt.Sprint(got.Problems), "no value") && !strings.Contains(trace, "GUARD") {
				t.Errorf("%s: the saved test does not come to %v: %v\n%s\n%s", f.name, at, got.Problems, text, strings.Join(got.Trace, "\n"))
			}
		}
	}
	t.Logf("%d of %d counter-examples are saved as flow tests", saved, all)
	if saved*10 < all*9 {
		t.Error("too many cannot be saved")
	}
}

// loopFlow goes once around before it connects; between says what is done
// where the second time around leads.
func loopFlow(between string) string {
	return `flow: around
starts: inbound
subject: customer
language: en
vars:
  account: digits 8
otherwise: { wrong: bye, silent: bye, missing: bye, down: bye, closed: bye, full: bye }
scenes:
  begin:
    - ask: Your number, please.
      into: account
    - identify: customer
      by: account
    - go: first
  first:
    - if: got.totp
      then: again
    - verify: totp
      say: The code of your app, please.
    - go: round
  again:
` + between + `    - go: round
  round:
    - go: first
      at_most: 1
      then: desk
  desk:
    - connect: payments_desk
  bye:
    - hangup
`
}

// A loop that is left before its count is used up is looked at again with the
// count kept: the alarm goes if it was false, and if it was not, its call goes
// around as often as a real one.
func TestLoopsAreCounted(t *testing.T) {
	tests := []struct {
		name, between string
		want          bool
	}{
		{"proved the second time around", "    - verify: pin\n      say: Your PIN, please.\n", false},
		{"never proved", "    - say: Once more.\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := scriptsFS(t)
			fsys["around.yaml"] = &fstest.MapFile{Data: []byte(loopFlow(tt.between))}
			b, list := LoadDir(fsys)
			if b == nil {
				t.Fatal(list)
			}
			r := Prove(b)
			if r.Clean() == tt.want {
				t.Fatalf("have %v, want a finding: %v", r.Diagnostics(), tt.want)
			}
			for _, f := range r.Findings {
				if at, err := f.Call.Replay(b); f.Code != "P3" || err != nil || at.Scene != "desk" {
					t.Errorf("%s: replay comes to %v: %v\n%s", f.Diagnostic, at, err, f.Call.List())
				}
			}
		})
	}
}
