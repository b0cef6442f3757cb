package flows

import (
	"fmt"
	"slices"
)

// Coverage counts which ways out of which lines some test has taken: outcomes,
// not only lines.
type Coverage struct {
	bundle *Bundle
	seen   map[CoverKey]int
}

// NewCoverage begins a count.
func NewCoverage(b *Bundle) *Coverage { return &Coverage{b, map[CoverKey]int{}} }

// Add adds what one test has covered.
func (c *Coverage) Add(seen map[CoverKey]int) {
	for k, n := range seen {
		c.seen[k] += n
	}
}

// Ways lists every way a line can end, as coverage counts them.
func (l *Line) Ways() []string {
	var out []string
	switch l.Verb {
	case If:
		return []string{"then", "else"}
	case Choose:
		for i, t := range l.Keys {
			if t != nil {
				out = append(out, keyNames[i])
			}
		}
	case Return:
		return []string{l.Return.String()}
	case Run:
		if l.With != nil && l.With.returns[OK] {
			out = append(out, OK.String())
		}
	case Callback:
		if !l.HangUp {
			out = append(out, OK.String())
		}
	default:
		out = append(out, OK.String())
	}
	for _, o := range l.Outcomes() {
		if l.Verb == Callback && o == Wrong && (l.With == nil || !l.With.returns[Wrong]) {
			continue // the edge must be there, but only the other flow could take it
		}
		if l.Edge(o) != nil {
			out = append(out, o.String())
		}
	}
	return out
}

// Gap is a way out of a line that no test has taken.
type Gap struct {
	Line *Line
	Way  string
}

// String names the line and the way: file:line:col verify otp -> down.
func (g Gap) String() string { return fmt.Sprintf("%s %s -> %s", g.Line.Pos, lineWords(g.Line), g.Way) }

// Gaps lists what no test has taken, in the order of the files.
func (c *Coverage) Gaps() []Gap {
	var out []Gap
	c.each(func(l *Line, way string, n int) {
		if n == 0 {
			out = append(out, Gap{l, way})
		}
	})
	return out
}

// Count returns how many ways there are and how many some test has taken.
func (c *Coverage) Count() (taken, all int) {
	c.each(func(_ *Line, _ string, n int) {
		all++
		if n > 0 {
			taken++
		}
	})
	return taken, all
}

// Of returns how often a line ended in a way.
func (c *Coverage) Of(l *Line, way string) int { return c.seen[CoverKey{l.Place(), way}] }

func (c *Coverage) each(see func(*Line, string, int)) {
	flows := slices.Clone(c.bundle.order)
	for _, f := range flows {
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				for _, way := range l.Ways() {
					see(l, way, c.Of(l, way))
				}
			}
		}
	}
}
