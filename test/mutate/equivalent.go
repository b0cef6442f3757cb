package main

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// equivalentText lists the mutants that do the same as the program, with the
// reason: sentences from the first column on, and under them, indented, the
// mutants by their place.
//
//go:embed equivalent.txt
var equivalentText string

// place names a mutant by what stands there and not by its line, so that it is
// found again when lines above it change.
func (s *site) place() string {
	return fmt.Sprintf("%s %s %s %d: %s", s.Kind, s.File, s.Func, s.Column, s.Text)
}

// readEquivalents reads a list of them: the reason by the place.
func readEquivalents(text string) (map[string]string, error) {
	out := map[string]string{}
	why, below := "", false
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.TrimSpace(line)
		switch {
		case words == "":
			why, below = "", false
		case strings.HasPrefix(line, "\t") && why == "":
			return nil, fmt.Errorf("line %d of the equivalent mutants gives no reason", n)
		case strings.HasPrefix(line, "\t"):
			below = true
			if out[words] != "" {
				return nil, fmt.Errorf("line %d of the equivalent mutants stands there twice", n)
			}
			out[words] = why
		case below:
			return nil, fmt.Errorf("line %d of the equivalent mutants: want a blank line before the next reason", n)
		default:
			why = strings.TrimSpace(why + " " + words)
		}
	}
	return out, nil
}

// fitting leaves out those of the list that name no mutant of these files any
// more, or more than one, and prints them: they count for nothing.
func fitting(w io.Writer, sites []*site, equivalent map[string]string) map[string]string {
	found, files, out := map[string]int{}, map[string]bool{}, map[string]string{}
	for _, s := range sites {
		found[s.place()]++
		files[s.File] = true
	}
	for _, place := range slices.Sorted(maps.Keys(equivalent)) {
		_, rest, _ := strings.Cut(place, " ")
		file, _, _ := strings.Cut(rest, " ")
		switch {
		case found[place] == 1:
			out[place] = equivalent[place]
		case files[file]:
			fmt.Fprintf(w, "listed as equivalent, but names %d mutants: %s\n", found[place], place)
		}
	}
	return out
}
