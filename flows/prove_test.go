package flows

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
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
