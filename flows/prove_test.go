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
