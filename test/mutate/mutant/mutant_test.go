package mutant

import (
	"os"
	"path/filepath"
	"testing"
)

// Each operator is itself for all mutants but the one that is on.
func TestOperators(t *testing.T) {
	defer func(was int) { active = was }(active)
	const me, other = 7, 8
	i, j := 5, 5
	for name, tt := range map[string]struct{ off, on func(id int) any }{
		"not":             {func(id int) any { return Not(id, true) }, func(int) any { return false }},
		"less, equal":     {func(id int) any { return Lt(id, 2, 2) }, func(int) any { return true }},
		"at most, equal":  {func(id int) any { return Le(id, 2, 2) }, func(int) any { return false }},
		"more, equal":     {func(id int) any { return Gt(id, 2, 2) }, func(int) any { return true }},
		"at least, equal": {func(id int) any { return Ge(id, 2, 2) }, func(int) any { return false }},
		"plus":            {func(id int) any { return Add(id, 6, 2) }, func(int) any { return 4 }},
		"minus":           {func(id int) any { return Sub(id, 6, 2) }, func(int) any { return 8 }},
		"times":           {func(id int) any { return Mul(id, 6, 2) }, func(int) any { return 3 }},
		"through":         {func(id int) any { return Quo(id, 6, 2) }, func(int) any { return 12 }},
		"rest":            {func(id int) any { return Rem(id, 6, 4) }, func(int) any { return 24 }},
		"negative":        {func(id int) any { return Neg(id, 6) }, func(int) any { return 6 }},
		"and":             {func(id int) any { return And(id, true, func() bool { return false }) }, func(int) any { return true }},
		"or":              {func(id int) any { return Or(id, true, func() bool { return false }) }, func(int) any { return false }},
		"counts up":       {func(id int) any { i = 5; Inc(id, &i); return i }, func(int) any { return 4 }},
		"counts down":     {func(id int) any { j = 5; Dec(id, &j); return j }, func(int) any { return 6 }},
	} {
		active = other
		off := tt.off(me)
		active = me
		if on := tt.off(me); on == off || on != tt.on(me) {
			t.Errorf("%s: %v, switched on %v", name, off, on)
		}
	}
	active = other
	for name, ok := range map[string]bool{
		"less": Lt(me, 1, 2) && !Lt(me, 2, 2) && !Lt(me, 3, 2), "at most": Le(me, 2, 2) && !Le(me, 3, 2),
		"more": Gt(me, 3, 2) && !Gt(me, 2, 2), "at least": Ge(me, 2, 2) && !Ge(me, 1, 2),
		"sums": Add(me, 6, 2) == 8 && Sub(me, 6, 2) == 4 && Mul(me, 6, 2) == 12 && Quo(me, 6, 2) == 3 && Rem(me, 6, 4) == 2 && Neg(me, 6) == -6,
		"and":  !And(me, false, func() bool { panic("asked") }), "or": Or(me, true, func() bool { panic("asked") }),
	} {
		if !ok {
			t.Errorf("%s is another thing with no mutant on", name)
		}
	}
}

// A run that asks for it gets the number of each mutant that it met, once.
func TestReached(t *testing.T) {
	defer func(was string) { reached = was }(reached)
	reached = filepath.Join(t.TempDir(), "reached")
	for range 3 {
		Not(101, true)
		Add(102, 1, 2)
	}
	have, err := os.ReadFile(reached)
	if err != nil || string(have) != "101\n102\n" {
		t.Errorf("have %q, %v", have, err)
	}
}
