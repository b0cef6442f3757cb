package flows

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/policy"
)

// maxCells bounds the combinations of cells that one condition is tried with.
const maxCombinations = 4096

// cellNames are the names that conditions compare, with the cells into which
// the constants of flows and policy cut their values.
type cellNames struct {
	index map[string]int
	list  []cellName
	full  bool
}

type cellName struct {
	key   string // a variable carries the name of its flow
	name  string
	cells []any
	got   bool
}

// nameKey tells variables of different flows apart.
func nameKey(f *Flow, name string) string {
	if f != nil && f.vars[name] != nil {
		return f.Name + "/" + name
	}
	return name
}

// collect reads every comparison of the flows and of the extras of the actions
// that can be released in them.
func collectNames(flows []*Flow, actions []*policy.Action) *cellNames {
	c := &cellNames{index: map[string]int{}}
	byKey := map[string][]policy.Comparison{}
	var order []string
	names := map[string]string{}
	add := func(f *Flow, cond *policy.Condition) {
		if cond == nil {
			return
		}
		for _, one := range cond.Comparisons() {
			key := nameKey(f, one.Name)
			if _, ok := names[key]; !ok {
				order = append(order, key)
				names[key] = one.Name
			}
			byKey[key] = append(byKey[key], one)
		}
	}
	for _, f := range flows {
		for _, s := range f.Scenes {
			for _, l := range s.Lines {
				add(f, l.Cond)
			}
		}
	}
	for _, a := range actions {
		for _, e := range a.Extra {
			add(nil, e.When)
		}
	}
	for _, key := range order {
		if len(c.list) == maxBits {
			c.full = true
			break
		}
		one := cellName{key: key, name: names[key], got: strings.HasPrefix(names[key], "got.")}
		if !one.got {
			one.cells = possible(key, byKey[key])
		}
		c.index[key] = len(c.list)
		c.list = append(c.list, one)
	}
	return c
}

// possible are representatives of the cells in which a value can lie: an amount
// is more than nothing, a day has 24 hours, a digit string has the length of its
// type.
func possible(key string, compared []policy.Comparison) []any {
	t := compared[0].Type
	var out []any
	switch least, most, bounded := integers(key, t); {
	case bounded:
		out = integerCells(compared, least, most)
	default:
		low, high := t.Bounds()
		out = slices.DeleteFunc(policy.Cells(compared), func(v any) bool {
			text, ok := v.(string)
			return ok && high > 0 && text != otherText && (len(text) < low || len(text) > high || strings.Trim(text, "0123456789") != "")
		})
	}
	return out[:min(len(out), 250)]
}

// integers bounds the values of a number.
func integers(key string, t policy.Type) (least, most int64, ok bool) {
	switch {
	case key == "call.hour":
		return 0, 23, true
	case t.Base == policy.BaseMoney:
		return 1, math.MaxInt64, true
	case t.Base == policy.BaseNumber && isVar(key):
		return 0, math.MaxInt64, true
	case t.Base == policy.BaseNumber:
		return math.MinInt64, math.MaxInt64, true
	}
	return 0, 0, false
}

// integerCells takes one value of every cell: the ends of the range, and each
// constant with its neighbours, as far as they tell cells apart.
func integerCells(compared []policy.Comparison, least, most int64) []any {
	tries := []int64{least, most}
	var constants []int64
	for _, c := range compared {
		for _, k := range c.Constants {
			if k, ok := k.(int64); ok {
				constants = append(constants, k)
				tries = append(tries, k)
				if k > math.MinInt64 {
					tries = append(tries, k-1)
				}
				if k < math.MaxInt64 {
					tries = append(tries, k+1)
				}
			}
		}
	}
	slices.Sort(constants)
	constants = slices.Compact(constants)
	slices.SortFunc(tries, func(a, b int64) int { return cmpNear(a, b, least, most) })
	seen := map[int]bool{}
	var out []any
	for _, v := range tries {
		if v < least || v > most {
			continue
		}
		at, equal := slices.BinarySearch(constants, v)
		cell := 2 * at
		if equal {
			cell++
		}
		if !seen[cell] {
			seen[cell] = true
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b any) int { return cmp.Compare(a.(int64), b.(int64)) })
	return out
}

// cmpNear puts the ends of the range last: a value beside a constant tells more.
func cmpNear(a, b, least, most int64) int {
	end := func(v int64) int {
		if v == least || v == most {
			return 1
		}
		return 0
	}
	if d := end(a) - end(b); d != 0 {
		return d
	}
	return cmp.Compare(a, b)
}

// otherText is the cell of every text that equals no constant.
const otherText = "\x00other"

// canonicalCell is a value of a cell as records and payloads hold it.
func canonicalCell(t policy.Type, v any, base string, constants []any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int64:
		if t.Base == policy.BaseMoney {
			return strconv.FormatInt(v, 10) + strings.Repeat("0", policy.Exponent(base)) + " " + base
		}
		return strconv.FormatInt(v, 10)
	case string:
		if v == otherText {
			return otherValue(t, constants)
		}
		return v
	}
	return fitting(t)
}

// fitting makes up a value of a type that a caller could key.
func fitting(t policy.Type) string {
	v := sample(t)
	if _, most := t.Bounds(); most > 0 && len(v) > most {
		v = v[:most]
	}
	return v
}

// otherValue makes up a value that equals none of the constants.
func otherValue(t policy.Type, constants []any) string {
	value := fitting(t)
	for n := 0; slices.Contains(constants, any(value)) && n < 100; n++ {
		if least, most := t.Bounds(); most > 0 {
			value = strconv.Itoa(n)
			value = strings.Repeat("1", max(least-len(value), 0)) + value
			continue
		}
		value = "something else " + strconv.Itoa(n)
	}
	return value
}

// keysOfValue is what a caller keys so that an ask stores the canonical value.
func keysOfValue(t policy.Type, value string) (string, bool) {
	switch t.Base {
	case policy.BaseMoney:
		m, ok := policy.ParseMoney(value)
		if !ok {
			return "", false
		}
		for range policy.Exponent(m.Currency) {
			m.Minor /= 10
		}
		return strconv.FormatInt(m.Minor, 10), m.Minor > 0 && m.Minor < 1e9
	case policy.BaseDate:
		d, err := time.Parse(time.DateOnly, value)
		return d.Format("02012006"), err == nil
	}
	least, most := entryBounds(t)
	return value, len(value) >= least && len(value) <= most && strings.Trim(value, "0123456789") == ""
}

// usage is which names conditions read at a line or later, so that a cell that
// nothing reads any more does not keep two states apart.
type usage struct {
	names *cellNames
	live  map[*Line]bitset
	whole map[*Flow]bitset // all that a flow and the flows it calls read
}

func usageOf(names *cellNames, flows []*Flow, extras func(action string) []*policy.Condition, given string) *usage {
	u := &usage{names: names, live: map[*Line]bitset{}, whole: map[*Flow]bitset{}}
	mark := func(s bitset, f *Flow, c *policy.Condition) bitset {
		for _, n := range c.Names() {
			if i, ok := names.index[nameKey(f, n)]; ok {
				s = s.with(i)
			}
		}
		return s
	}
	own := func(l *Line) bitset {
		var s bitset
		if l.Cond != nil {
			s = mark(s, l.Flow(), l.Cond)
		}
		if l.Verb == Release {
			action := l.For
			if action == Given {
				action = given
			}
			for _, c := range extras(action) {
				s = mark(s, nil, c)
			}
		}
		return s
	}
	var all func(f *Flow) bitset
	all = func(f *Flow) bitset {
		if s, ok := u.whole[f]; ok {
			return s
		}
		u.whole[f] = bitset{}
		var s bitset
		for _, sc := range f.Scenes {
			for _, l := range sc.Lines {
				s = s.or(own(l))
				if l.With != nil {
					s = s.or(all(l.With))
				}
			}
		}
		u.whole[f] = s
		return s
	}
	for _, f := range flows {
		all(f)
		for changed := true; changed; {
			changed = false
			for i := len(f.Scenes) - 1; i >= 0; i-- {
				lines := f.Scenes[i].Lines
				for k := len(lines) - 1; k >= 0; k-- {
					l := lines[k]
					s := own(l)
					if l.With != nil {
						s = s.or(u.whole[l.With])
					}
					if n := l.Next(); n != nil {
						s = s.or(u.live[n])
					}
					l.targets(func(sc *Scene) {
						if len(sc.Lines) > 0 {
							s = s.or(u.live[sc.Lines[0]])
						}
					})
					if s != u.live[l] {
						u.live[l], changed = s, true
					}
				}
			}
		}
	}
	return u
}

// targets visits every scene that some edge of the line leads to.
func (l *Line) targets(see func(*Scene)) {
	visit := func(t *Target) {
		if t == nil {
			return
		}
		if t.Scene != nil {
			see(t.Scene)
		}
		if t.Then != nil {
			see(t.Then)
		}
	}
	visit(l.Go)
	for _, t := range l.Keys {
		visit(t)
	}
	for _, t := range l.edges {
		visit(t)
	}
}
