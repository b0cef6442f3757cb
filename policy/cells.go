package policy

import (
	"slices"
	"time"
)

func duration(v int64) time.Duration { return time.Duration(v) }

// maxCells bounds the combinations that a diff looks at.
const maxCells = 4096

// Cells returns representatives of every cell into which the comparisons cut
// the values of one name: inside a cell no comparison can tell two values
// apart. They are what Eval's get may return.
func Cells(comparisons []Comparison) []any {
	var out []any
	add := func(v any) {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	for _, c := range comparisons {
		switch c.Type.Base {
		case BaseBool:
			add(true)
			add(false)
			continue
		case BaseOneOf:
			for _, v := range c.Type.OneOf {
				add(v)
			}
			continue
		}
		for _, k := range c.Constants {
			switch k := k.(type) {
			case int64:
				add(k - 1)
				add(k)
				add(k + 1)
			case string:
				add(k)
				if at, err := time.Parse(time.DateOnly, k); c.Type.Base == BaseDate && err == nil {
					add(at.AddDate(0, 0, -1).Format(time.DateOnly))
					add(at.AddDate(0, 0, 1).Format(time.DateOnly))
				} else {
					add("\x00other") // no caller can key it, so it equals no constant
				}
			}
		}
	}
	return out
}

// cellsOf returns every combination of cells of the names that the extras of
// both actions compare; one empty cell when they compare none.
func cellsOf(actions ...*Action) []map[string]any {
	byName := map[string][]Comparison{}
	var order []string
	for _, a := range actions {
		for _, e := range a.Extra {
			for _, c := range e.When.Comparisons() {
				if byName[c.Name] == nil {
					order = append(order, c.Name)
				}
				byName[c.Name] = append(byName[c.Name], c)
			}
		}
	}
	cells := []map[string]any{{}}
	for _, name := range order {
		var next []map[string]any
		for _, cell := range cells {
			for _, v := range Cells(byName[name]) {
				if len(next) == maxCells {
					break
				}
				one := map[string]any{name: v}
				for n, w := range cell {
					one[n] = w
				}
				next = append(next, one)
			}
		}
		cells = next
	}
	return cells
}
