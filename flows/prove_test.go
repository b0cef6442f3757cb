package flows

import "testing"

func TestShippedScriptsAreProved(t *testing.T) {
	r := Prove(shipped(t))
	for _, f := range r.Findings {
		t.Errorf("%s", f.Diagnostic)
		if f.Call != nil {
			t.Logf("\n%s\n%s", f.Call.List(), f.Call.Play())
		}
	}
	t.Logf("%d roots, %d lines, %d states", r.Roots, r.Lines, r.States)
}
