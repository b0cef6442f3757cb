// Package mutant holds what test/mutate plants in a copy of a room's source:
// operators that do something else in the one run whose environment names them.
// No room imports it.
package mutant

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"sync"
)

const (
	// Active names the mutant that is on, by its number from 1.
	Active = "RINGFENCE_MUTANT"
	// Reached names a file that gets the number of each mutant that a run meets.
	Reached = "RINGFENCE_MUTANTS_REACHED"
)

var (
	active, _ = strconv.Atoi(os.Getenv(Active))
	reached   = os.Getenv(Reached)
	met       sync.Map
)

// on tells whether a mutant is the one of this run, and notes that it was met.
func on(id int) bool {
	if reached != "" {
		note(id)
	}
	return id == active
}

func note(id int) {
	if _, known := met.LoadOrStore(id, true); known {
		return
	}
	f, err := os.OpenFile(reached, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, id); err != nil {
		panic(err)
	}
}

// Number is what arithmetic is done on.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | ~float32 | ~float64
}

// Integer is a Number that has remainders.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Not is b, or its contrary.
func Not[B ~bool](id int, b B) B { return b != B(on(id)) }

// Lt is a < b, or a <= b.
func Lt[T cmp.Ordered](id int, a, b T) bool { return a < b || on(id) && a == b }

// Le is a <= b, or a < b.
func Le[T cmp.Ordered](id int, a, b T) bool {
	if on(id) {
		return a < b
	}
	return a <= b
}

// Gt is a > b, or a >= b.
func Gt[T cmp.Ordered](id int, a, b T) bool { return Lt(id, b, a) }

// Ge is a >= b, or a > b.
func Ge[T cmp.Ordered](id int, a, b T) bool { return Le(id, b, a) }

// Add is a + b, or a - b.
func Add[T Number](id int, a, b T) T {
	if on(id) {
		return a - b
	}
	return a + b
}

// Sub is a - b, or a + b.
func Sub[T Number](id int, a, b T) T {
	if on(id) {
		return a + b
	}
	return a - b
}

// Mul is a * b, or a / b.
func Mul[T Number](id int, a, b T) T {
	if on(id) {
		return a / b
	}
	return a * b
}

// Quo is a / b, or a * b.
func Quo[T Number](id int, a, b T) T {
	if on(id) {
		return a * b
	}
	return a / b
}

// Rem is a % b, or a * b.
func Rem[T Integer](id int, a, b T) T {
	if on(id) {
		return a * b
	}
	return a % b
}

// Neg is -a, or a.
func Neg[T Number](id int, a T) T {
	if on(id) {
		return a
	}
	return -a
}

// Inc counts up, or down.
func Inc[T Number](id int, a *T) { *a = Add(id, *a, 1) }

// Dec counts down, or up.
func Dec[T Number](id int, a *T) { *a = Sub(id, *a, 1) }

// And is a && b(), or a || b().
func And(id int, a bool, b func() bool) bool {
	if on(id) {
		return a || b()
	}
	return a && b()
}

// Or is a || b(), or a && b().
func Or(id int, a bool, b func() bool) bool {
	if on(id) {
		return a && b()
	}
	return a || b()
}
