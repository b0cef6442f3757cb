package flows

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// What docs/flows.md shows is what happens.
func TestGuide(t *testing.T) {
	raw, err := os.ReadFile("../docs/flows.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(raw)
	block := func(begins string) string {
		at := strings.Index(guide, "```yaml\n"+begins)
		if at < 0 {
			t.Fatalf("the guide has no block %q", begins)
		}
		text, _, _ := strings.Cut(guide[at+len("```yaml\n"):], "```")
		return text
	}
	pol, err := os.ReadFile("../scripts/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	flow := block("flow: opening-hours")
	load := func(flow string) (*Bundle, []Diagnostic) {
		return LoadDir(fstest.MapFS{"policy.yaml": {Data: pol}, "opening-hours.yaml": {Data: []byte(flow)}})
	}
	_, list := load(flow)
	if len(list) != 1 || !strings.Contains(guide, list[0].String()) {
		t.Errorf("lint says %v", list)
	}
	b, list := load(strings.Replace(flow, "closed: hours", "closed: { go: hours, at_most: 3, then: goodbye }", 1))
	if b == nil {
		t.Fatal(list)
	}
	var out strings.Builder
	s, err := NewSession(b, "opening-hours", nil, &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Play(strings.NewReader("1\n")); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if line = strings.TrimSpace(strings.TrimPrefix(line, "call> ")); strings.Contains(line, "hears") && !strings.Contains(guide, line) {
			t.Errorf("the guide does not show %q", line)
		}
	}
	d := &diags{}
	ft := readTest(shipped(t), "guide.yaml", []byte(block("test: ")), d)
	if len(d.list) > 0 {
		t.Fatal(d.list)
	}
	if r := ft.Run(shipped(t)); len(r.Problems) > 0 {
		t.Error(r.Problems)
	}
	for v := Say; v < verbCount; v++ {
		if !strings.Contains(guide, "`"+v.String()) {
			t.Errorf("the guide does not name %s", v)
		}
	}
}
