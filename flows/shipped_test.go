package flows

import (
	"os"
	"strings"
	"testing"
)

// The shipped scripts load without any diagnostic.
func TestShippedScriptsLoad(t *testing.T) {
	b, list := LoadDir(os.DirFS("../scripts"))
	for _, d := range list {
		t.Errorf("%s", d)
	}
	if b == nil {
		t.Fatal("no bundle")
	}
	t.Logf("bundle %s, %d flows", b.HashText(), len(b.Flows()))
}

func TestShippedFlowTests(t *testing.T) {
	fsys := os.DirFS("../scripts")
	b, _ := LoadDir(fsys)
	if b == nil {
		t.Fatal("no bundle")
	}
	tests, list := LoadTests(b, fsys)
	for _, d := range list {
		t.Errorf("%s", d)
	}
	cover := NewCoverage(b)
	for _, ft := range tests {
		t.Run(ft.suite()+"/"+ft.Name, func(t *testing.T) {
			r := ft.Run(b)
			cover.Add(r.Cover)
			for _, p := range r.Problems {
				t.Errorf("%s", p)
			}
			if t.Failed() {
				t.Log("\n" + strings.Join(r.Trace, "\n"))
			}
		})
	}
	for _, gap := range cover.Gaps() {
		t.Errorf("no flow test takes %s", gap)
	}
}
