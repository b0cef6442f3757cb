package policy

import (
	_ "embed"
	"strings"

	"github.com/ringfence/ringfence"
)

// File is the name under which the policy was loaded.
func (p *Policy) File() string { return p.file }

// Source is the text of the mapping that begins at a line of the policy's
// file, such as an Action's; empty for a line that is not there.
func (p *Policy) Source(line int) string {
	lines := strings.Split(string(p.src), "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	lines = lines[line-1:]
	end := 1
	for i, text := range lines[1:] {
		if bare := strings.TrimSpace(text); bare == "" || strings.HasPrefix(bare, "#") {
			continue // belongs to what comes after it, if anything does
		}
		if indent(text) <= indent(lines[0]) {
			break
		}
		end = i + 2
	}
	for i := range lines[:end] {
		lines[i] = strings.TrimPrefix(strings.TrimRight(lines[i], " \t\r"), strings.Repeat(" ", indent(lines[0])))
	}
	return strings.Join(lines[:end], "\n")
}

func indent(text string) int { return len(text) - len(strings.TrimLeft(text, " ")) }

//go:embed floors.go
var floorsSource string

// FloorLine is the line of policy/floors.go at which the row of a class begins,
// so that whoever reads the figures finds what they are made of.
func FloorLine(class ringfence.Class) int {
	before, _, found := strings.Cut(floorsSource, "\tringfence."+class.String()+": {")
	if !found {
		return 0
	}
	return strings.Count(before, "\n") + 1
}
