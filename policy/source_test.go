package policy

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
)

// What is shown beside an action is its own text, and nothing of its neighbours.
func TestSourceOfAnAction(t *testing.T) {
	p := mustLoad(t, shippedText(t))
	for _, a := range p.Actions() {
		text := p.Source(a.Line)
		if head, _, _ := strings.Cut(text, "\n"); !strings.HasPrefix(head, a.Name+":") {
			t.Errorf("%s begins with %q", a.Name, head)
		}
		for _, other := range p.Actions() {
			if other != a && strings.Contains("\n"+text, "\n"+other.Name+":") {
				t.Errorf("the text of %s holds %s", a.Name, other.Name)
			}
		}
		if strings.HasSuffix(text, "\n") {
			t.Errorf("%s ends with an empty line", a.Name)
		}
	}
	for _, line := range []int{-1, 0, 1 << 20} {
		if text := p.Source(line); text != "" {
			t.Errorf("line %d is %q", line, text)
		}
	}
}

func TestFloorLine(t *testing.T) {
	lines := strings.Split(floorsSource, "\n")
	for _, c := range []ringfence.Class{ringfence.C0, ringfence.C1, ringfence.C2, ringfence.C3, ringfence.C4, ringfence.C5} {
		if n := FloorLine(c); n == 0 || !strings.Contains(lines[n-1], "ringfence."+c.String()+":") {
			t.Errorf("%v is said to stand at %d", c, n)
		}
	}
}
