package flows

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/policy"
)

// traceVersion is the version of Trace's JSON. A reader refuses any other.
const traceVersion = 1

// maxTraceSteps bounds a recorded trace; calls are far shorter.
const maxTraceSteps = 2000

// Trace is what happened in one run of a flow, line by line. It holds outcomes
// and cells, never a digit or a value: enough to play the call against a draft.
type Trace struct {
	Version  int                   `json:"version"`
	Bundle   string                `json:"bundle"` // hash of the bundle, hexadecimal
	Flow     string                `json:"flow"`
	Start    Starting              `json:"start"`
	Language string                `json:"language,omitempty"`
	Call     CallFacts             `json:"call"`
	Subject  ringfence.SubjectKind `json:"subject,omitempty"`
	Action   string                `json:"action,omitempty"`
	Have     []Proved              `json:"have,omitempty"`
	Cells    []Cell                `json:"cells,omitempty"` // of what the flow knew at its start
	Steps    []TraceStep           `json:"steps"`
	Cut      bool                  `json:"cut,omitempty"` // longer than what is kept
}

// TraceStep is one line and how it ended, or something that happened to a leg.
type TraceStep struct {
	After time.Duration `json:"after"` // since the flow began
	Place
	Verb string  `json:"verb"`
	Leg  LegSlot `json:"leg,omitempty"`
	// Asks says what the line asked of whom; empty for a line that asked nothing.
	Asks  string `json:"asks,omitempty"`
	Words string `json:"words,omitempty"` // as the script has them
	// Way is how the line ended: an outcome, then or else, a key, good or bad,
	// answered, nobody, enters; or what happened meanwhile: hangs_up, changed,
	// proved, cancelled.
	Way   string `json:"way"`
	Cells []Cell `json:"cells,omitempty"` // of what it learnt
	// Proved is the fact of a step whose way is proved.
	Proved Proved `json:"proved,omitzero"`
}

// What happens to a call beside its lines.
const (
	wayChanged   = "changed"   // the far end is somebody else now
	wayProved    = "proved"    // beside the flow
	wayCancelled = "cancelled" // ended from outside
)

// Cell is what conditions can tell of a value: on which side of their constants
// it lies. The value itself is not kept.
type Cell struct {
	Name string   `json:"name"`
	Is   string   `json:"is,omitempty"`  // a constant of the scripts that it equals
	Not  []string `json:"not,omitempty"` // constants that it does not equal
	// Over and Under bound a number, an amount in whole units or a date in days
	// since 1970, exclusively; nil = not bounded.
	Over  *int64 `json:"over,omitempty"`
	Under *int64 `json:"under,omitempty"`
}

// String says the cell in words.
func (c Cell) String() string {
	switch {
	case c.Is != "":
		return c.Name + " is " + c.Is
	case c.Over != nil && c.Under != nil && *c.Under-*c.Over == 2:
		return fmt.Sprintf("%s is %d", c.Name, *c.Over+1)
	case c.Over != nil && c.Under != nil:
		return fmt.Sprintf("%s is over %d and under %d", c.Name, *c.Over, *c.Under)
	case c.Over != nil:
		return fmt.Sprintf("%s is over %d", c.Name, *c.Over)
	case c.Under != nil:
		return fmt.Sprintf("%s is under %d", c.Name, *c.Under)
	case len(c.Not) > 0:
		return c.Name + " is not " + strings.Join(c.Not, ", ")
	}
	return c.Name
}

// ordered is a value of a type with an order, as an integer.
func ordered(t policy.Type, v any) (int64, bool) {
	text, isText := v.(string)
	switch t.Base {
	case policy.BaseMoney, policy.BaseNumber:
		if n, ok := v.(int64); ok {
			return n, true
		}
		if t.Base == policy.BaseNumber {
			n, err := strconv.ParseInt(text, 10, 64)
			return n, isText && err == nil
		}
		m, ok := policy.ParseMoney(text)
		return policy.WholeUnits(m, t.Currency), ok
	case policy.BaseDate:
		at, err := time.Parse(time.DateOnly, text)
		return at.Unix() / 86400, isText && err == nil
	}
	return 0, false
}

// cellOf forgets a value and keeps its cell; false when no condition looks at it.
func cellOf(name string, compared []policy.Comparison, value string) (Cell, bool) {
	c := Cell{Name: name}
	if len(compared) == 0 || value == "" || value == SecretValue {
		return c, false
	}
	t := compared[0].Type
	n, isOrdered := ordered(t, value)
	for _, one := range compared {
		for _, k := range one.Constants {
			if isOrdered {
				if at, ok := ordered(t, k); ok {
					c.bound(n, at)
				}
				continue
			}
			if text := fmt.Sprint(k); text == value {
				c.Is = text
			} else if !slices.Contains(c.Not, text) {
				c.Not = append(c.Not, text)
			}
		}
	}
	if t.Base == policy.BaseOneOf && slices.Contains(t.OneOf, value) || t.Base == policy.BaseBool {
		c.Is = value
	}
	if c.Is != "" {
		c.Not = nil
	}
	return c, c.Is != "" || len(c.Not) > 0 || c.Over != nil || c.Under != nil
}

// bound narrows the cell of n by a constant.
func (c *Cell) bound(n, at int64) {
	over, under := at, at
	if n == at {
		over, under = at-1, at+1
	}
	if n >= at && (c.Over == nil || over > *c.Over) {
		c.Over = &over
	}
	if n <= at && (c.Under == nil || under < *c.Under) {
		c.Under = &under
	}
}

// decides reports whether every comparison comes out the same for all values
// of the cell.
func (c Cell) decides(one policy.Comparison) bool {
	for _, k := range one.Constants {
		if at, ok := ordered(one.Type, k); ok {
			exact := c.Over != nil && c.Under != nil && *c.Under-*c.Over == 2
			if !exact && (c.Over == nil || at > *c.Over) && (c.Under == nil || at < *c.Under) {
				return false
			}
		} else if c.Is == "" && !slices.Contains(c.Not, fmt.Sprint(k)) {
			return false
		}
	}
	return true
}

// value makes up a value that lies in the cell.
func (c Cell) value(t policy.Type, base string) string {
	var not []any
	for _, k := range c.Not {
		not = append(not, k)
	}
	n := int64(1)
	switch {
	case c.Is != "":
		return c.Is
	case len(c.Not) > 0:
		return otherValue(t, not)
	case c.Over != nil:
		n = *c.Over + 1
	case c.Under != nil:
		n = *c.Under - 1
	default:
		return fitting(t)
	}
	if t.Base == policy.BaseDate {
		return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
	}
	return canonicalCell(t, n, base, nil)
}

// comparedNames are the comparisons of all conditions of the bundle, by name.
func (b *Bundle) comparedNames() map[string][]policy.Comparison {
	b.comparedOnce.Do(func() {
		b.compared = map[string][]policy.Comparison{}
		add := func(f *Flow, c *policy.Condition) {
			if c == nil {
				return
			}
			for _, one := range c.Comparisons() {
				b.compared[nameKey(f, one.Name)] = append(b.compared[nameKey(f, one.Name)], one)
			}
		}
		for _, f := range b.order {
			for _, s := range f.Scenes {
				for _, l := range s.Lines {
					add(f, l.Cond)
				}
			}
		}
		for _, a := range b.pol.Actions() {
			for _, e := range a.Extra {
				add(nil, e.When)
			}
		}
	})
	return b.compared
}

// recordCells keeps the cells of fields, "owner.field" by name.
func (b *Bundle) recordCells(owner string, fields map[string]string) []Cell {
	var out []Cell
	for _, field := range keysOf(fields) {
		name := owner + "." + field
		if c, ok := cellOf(name, b.comparedNames()[name], fields[field]); ok {
			out = append(out, c)
		}
	}
	return out
}

// lineAt finds a line by its place; nil when there is none.
func (b *Bundle) lineAt(p Place) *Line {
	f, ok := b.Flow(p.Flow)
	if !ok || f.scenes[p.Scene] == nil || p.Line < 0 || p.Line >= len(f.scenes[p.Scene].Lines) {
		return nil
	}
	return f.scenes[p.Scene].Lines[p.Line]
}
