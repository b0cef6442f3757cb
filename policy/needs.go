package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence"
)

// maxWays bounds the minimal sets of proofs of one action; past it nobody
// could review the policy.
const maxWays = 512

// parseNeed reads one line: facts joined by `or`, an alternative of several
// in round brackets joined by `and`.
func parseNeed(s string) (Need, error) {
	tokens := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))
	var need Need
	for {
		var all []ringfence.Fact
		var err error
		if all, tokens, err = parseAlternative(tokens); err != nil {
			return Need{}, err
		}
		need.AnyOf = append(need.AnyOf, all)
		if len(tokens) == 0 {
			return need, nil
		}
		if tokens[0] != "or" {
			return Need{}, fmt.Errorf("%q where `or` belongs; write several facts as (a and b)", tokens[0])
		}
		tokens = tokens[1:]
	}
}

func parseAlternative(tokens []string) ([]ringfence.Fact, []string, error) {
	if len(tokens) == 0 {
		return nil, nil, fmt.Errorf("a fact is missing")
	}
	if tokens[0] != "(" {
		f, err := parseFact(tokens[0])
		return []ringfence.Fact{f}, tokens[1:], err
	}
	var all []ringfence.Fact
	for tokens = tokens[1:]; len(tokens) >= 2; tokens = tokens[2:] {
		f, err := parseFact(tokens[0])
		if err != nil {
			return nil, nil, err
		}
		all = append(all, f)
		if tokens[1] == ")" {
			return all, tokens[2:], nil
		}
		if tokens[1] != "and" {
			return nil, nil, fmt.Errorf("%q where `and` or ) belongs", tokens[1])
		}
	}
	return nil, nil, fmt.Errorf("a ) is missing")
}

func parseFact(word string) (ringfence.Fact, error) {
	f := ringfence.Fact(word)
	if KnownFact(f) {
		return f, nil
	}
	names := map[string]Type{}
	for _, k := range ringfence.Facts {
		names[string(k)] = Type{}
	}
	if hint := suggest(word, names); hint != "" {
		return "", fmt.Errorf("%q is no fact; %s", word, hint)
	}
	return "", fmt.Errorf("%q is no fact", word)
}

// expand returns the minimal sets of facts for which every need holds, or
// false when there are more than maxWays.
func expand(needs []Need) ([]FactSet, bool) {
	sets := []FactSet{0}
	for _, n := range needs {
		var next []FactSet
		for _, s := range sets {
			for _, all := range n.AnyOf {
				next = append(next, s|NewFactSet(all...))
			}
		}
		if sets = minimal(next); len(sets) > maxWays {
			return nil, false
		}
	}
	return sets, true
}

// join returns the minimal unions of one set of a and one of b.
func join(a, b []FactSet) []FactSet {
	var out []FactSet
	for _, x := range a {
		for _, y := range b {
			out = append(out, x|y)
		}
	}
	return minimal(out)
}

// Ways returns the minimal sets of facts that meet the action's needs and
// those of the given extras, at the given class: what the class's floor adds
// to a raised release is in them. Ages, signals and counts of approvers are
// not. A class below the action's own is the action's own.
func (a *Action) Ways(class ringfence.Class, extras ...Extra) []FactSet {
	class = max(class.Effective(), a.Class.Effective())
	return withExtras(slices.Clone(a.ways[class]), extras)
}

func withExtras(ways []FactSet, extras []Extra) []FactSet {
	for _, e := range extras {
		if len(e.Needs) == 0 {
			continue
		}
		more, ok := expand(e.Needs)
		if !ok {
			return nil
		}
		ways = join(ways, more)
	}
	return ways
}
