package main

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// edit replaces src[from:to].
type edit struct {
	from, to int
	text     string
	order    int // among edits at one offset
}

// planted is a file with all its switched mutants in it, each line where it was.
func planted(src []byte, sites []*site) []byte {
	var edits []edit
	for _, s := range sites {
		if s.switched {
			edits = append(edits, s.edits(src)...)
		}
	}
	out := apply(src, edits)
	name := regexp.MustCompile(`(?m)^package \w+`).FindIndex(out)
	return slices.Concat(out[:name[1]], []byte(`; import mutant_ "`+mutantPath+`"`), out[name[1]:], []byte("\nvar _ = mutant_.Not[bool]\n"))
}

const mutantPath = "github.com/ringfence/ringfence/test/mutate/mutant"

// edits are what puts a switch around an expression. An outer expression opens
// first and closes last.
func (s *site) edits(src []byte) []edit {
	const opens = 1_000_000
	open := edit{s.from, s.from, fmt.Sprintf("mutant_.%s(%d, ", s.call, s.ID), opens + s.depth}
	shut := edit{s.to, s.to, ")", -s.depth}
	switch s.Kind {
	case negation:
		return []edit{open, shut}
	case negative:
		open.to = s.opEnd
		return []edit{open, shut}
	case increment:
		open.text += "&"
		return []edit{open, {s.op, s.opEnd, "", 0}, shut}
	case logical: // a line that ended after the operator must not end after "return"
		ends := strings.Repeat("\n", bytes.Count(src[s.opEnd:s.right], []byte("\n")))
		shut.text = "})"
		return []edit{open, {s.op, s.right, ", " + ends + "func() bool { return ", 0}, shut}
	}
	return []edit{open, {s.op, s.opEnd, ",", 0}, shut}
}

// single is a file with one mutant, without a switch.
func single(src []byte, s *site) []byte {
	return apply(src, []edit{{s.op, s.opEnd, s.instead, 0}})
}

func apply(src []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Or(a.from-b.from, a.order-b.order) })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(src[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(src[at:])
	return out.Bytes()
}
