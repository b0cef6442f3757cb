package flows

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

// The call of a finding is drawn into both forms of the map, and nothing is
// drawn where there is none.
func TestMapDrawsACounterexample(t *testing.T) {
	b := changedLoose(t, "customer-line.yaml", "got.attested && got.known_number", "got.attested || got.known_number")
	r := Prove(b)
	if len(r.Findings) == 0 || r.Findings[0].Call == nil {
		t.Fatalf("no call was found: %+v", r.Findings)
	}
	var o MapOptions
	for _, s := range r.Findings[0].Call.Steps {
		o.Attack = append(o.Attack, s.Line.Place())
	}
	f, _ := b.Flow("customer-line")
	for name, text := range map[string]string{"svg": f.SVG(o), "mermaid": f.Mermaid(o)} {
		if !strings.Contains(text, map[string]string{"svg": "edge attack", "mermaid": "stroke-width:3px"}[name]) {
			t.Errorf("%s: the attack is not drawn:\n%s", name, text)
		}
	}
	if text := f.SVG(MapOptions{}) + f.Mermaid(MapOptions{}); strings.Contains(text, "edge attack") || strings.Contains(text, "3px") {
		t.Error("an attack is drawn where there is none")
	}
	all := NewCoverage(b)
	if text := f.Mermaid(MapOptions{Cover: all}); !strings.Contains(text, "linkStyle") {
		t.Errorf("nothing is marked as untested:\n%s", text)
	}
}

// Made-up values fit their types: a caller could key them.
func TestSamplesFit(t *testing.T) {
	b := shipped(t)
	for _, a := range b.Policy().Actions() {
		for _, f := range a.Carries {
			least, most := f.Type.Bounds()
			if v := sample(f.Type); most > 0 && (len(v) < least || len(v) > most) {
				t.Errorf("%s.%s: %q does not fit %s", a.Name, f.Name, v, f.Type)
			}
		}
	}
	for _, k := range []string{"customer", "contact", "employee"} {
		kind, _ := b.Policy().Kind(ringfence.SubjectKind(k))
		for _, f := range kind.Fields {
			least, most := f.Type.Bounds()
			if v := sample(f.Type); most > 0 && (len(v) < least || len(v) > most) {
				t.Errorf("%s.%s: %q does not fit %s", k, f.Name, v, f.Type)
			}
		}
	}
}
