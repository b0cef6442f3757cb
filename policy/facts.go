package policy

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
)

// FactSet is a set of facts in one machine word. The zero value is empty.
type FactSet uint16

// NewFactSet returns the set of the given facts; words that are no facts are
// left out, so a misspelt one can satisfy nothing.
func NewFactSet(facts ...ringfence.Fact) FactSet {
	var s FactSet
	for _, f := range facts {
		s |= bit(f)
	}
	return s
}

func bit(f ringfence.Fact) FactSet {
	switch f {
	case ringfence.FactIdentified:
		return 1 << 0
	case ringfence.FactAttested:
		return 1 << 1
	case ringfence.FactKnownNumber:
		return 1 << 2
	case ringfence.FactPIN:
		return 1 << 3
	case ringfence.FactOTP:
		return 1 << 4
	case ringfence.FactTOTP:
		return 1 << 5
	case ringfence.FactPasskey:
		return 1 << 6
	case ringfence.FactCallback:
		return 1 << 7
	case ringfence.FactConfirmed:
		return 1 << 8
	case ringfence.FactProofed:
		return 1 << 9
	case ringfence.FactApproved:
		return 1 << 10
	default:
		return 0
	}
}

// KnownFact reports whether f is a word that a policy may ask for.
func KnownFact(f ringfence.Fact) bool { return bit(f) != 0 }

// Has reports whether f is in s; a word that is no fact never is.
func (s FactSet) Has(f ringfence.Fact) bool { return bit(f) != 0 && s&bit(f) != 0 }

// With returns s and f.
func (s FactSet) With(f ringfence.Fact) FactSet { return s | bit(f) }

// Contains reports whether every fact of t is in s.
func (s FactSet) Contains(t FactSet) bool { return s&t == t }

// Minus returns s without the facts of t.
func (s FactSet) Minus(t FactSet) FactSet { return s &^ t }

// Len returns how many facts are in s.
func (s FactSet) Len() int { return bits.OnesCount16(uint16(s)) }

// Facts lists s in the order of ringfence.Facts.
func (s FactSet) Facts() []ringfence.Fact {
	out := make([]ringfence.Fact, 0, s.Len())
	for _, f := range ringfence.Facts {
		if s.Has(f) {
			out = append(out, f)
		}
	}
	return out
}

// String joins the facts by " + ", as diffs and refusals print them; the
// empty set reads "nothing".
func (s FactSet) String() string {
	if s == 0 {
		return "nothing"
	}
	words := make([]string, 0, s.Len())
	for _, f := range s.Facts() {
		words = append(words, string(f))
	}
	return strings.Join(words, " + ")
}

// minimal drops every set that contains another, sorts the rest and thereby
// leaves the antichain of sets that are just enough.
func minimal(sets []FactSet) []FactSet {
	slices.SortFunc(sets, func(a, b FactSet) int {
		if d := a.Len() - b.Len(); d != 0 {
			return d
		}
		return int(a) - int(b)
	})
	var out []FactSet
	for _, s := range sets {
		if !slices.ContainsFunc(out, s.Contains) {
			out = append(out, s)
		}
	}
	return out
}
