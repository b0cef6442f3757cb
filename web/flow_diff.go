package web

import (
	"maps"
	"slices"
	"strings"
)

// maxDiffCells bounds the table of one comparison; past it a file is shown as
// replaced.
const maxDiffCells = 4_000_000

// aroundDiff is how many lines that stay are shown around a change.
const aroundDiff = 3

type (
	fileDiff struct {
		Path  string     `json:"path"`
		State string     `json:"state" enum:"new,gone,changed"`
		Added int        `json:"added"`
		Taken int        `json:"taken"`
		Lines []diffLine `json:"lines"`
	}
	diffLine struct {
		Kind string `json:"kind" enum:"same,added,taken,skipped"`
		Old  int    `json:"old,omitempty"`
		New  int    `json:"new,omitempty"`
		Text string `json:"text,omitempty"`
	}
)

// diffFiles compares two sets of texts, file by file.
func diffFiles(before, after map[string]string) []fileDiff {
	out := []fileDiff{}
	both := maps.Clone(before)
	if both == nil {
		both = map[string]string{}
	}
	maps.Copy(both, after)
	for _, path := range slices.Sorted(maps.Keys(both)) {
		a, had := before[path]
		b, has := after[path]
		if had == has && a == b {
			continue
		}
		one := fileDiff{Path: path, State: "changed"}
		switch {
		case !had:
			one.State = "new"
		case !has:
			one.State = "gone"
		}
		all := diffLines(linesOf(a), linesOf(b))
		for _, l := range all {
			switch l.Kind {
			case "added":
				one.Added++
			case "taken":
				one.Taken++
			}
		}
		one.Lines = folded(all)
		out = append(out, one)
	}
	return out
}

func linesOf(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// diffLines is the longest common run of lines, by the table of Wagner and
// Fischer between what is the same at both ends.
func diffLines(a, b []string) []diffLine {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := []diffLine{}
	for i := range head {
		out = append(out, diffLine{"same", i + 1, i + 1, a[i]})
	}
	out = append(out, diffMiddle(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for i := range tail {
		out = append(out, diffLine{"same", len(a) - tail + i + 1, len(b) - tail + i + 1, a[len(a)-tail+i]})
	}
	return out
}

func diffMiddle(a, b []string, from int) []diffLine {
	var out []diffLine
	i, j := 0, 0
	if len(a)*len(b) <= maxDiffCells {
		width := len(b) + 1
		longest := make([]int32, (len(a)+1)*width)
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if a[i] == b[j] {
					longest[i*width+j] = longest[(i+1)*width+j+1] + 1
				} else {
					longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
				}
			}
		}
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out = append(out, diffLine{"same", from + i + 1, from + j + 1, a[i]})
				i, j = i+1, j+1
			case longest[(i+1)*width+j] >= longest[i*width+j+1]:
				out = append(out, diffLine{Kind: "taken", Old: from + i + 1, Text: a[i]})
				i++
			default:
				out = append(out, diffLine{Kind: "added", New: from + j + 1, Text: b[j]})
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		out = append(out, diffLine{Kind: "taken", Old: from + i + 1, Text: a[i]})
	}
	for ; j < len(b); j++ {
		out = append(out, diffLine{Kind: "added", New: from + j + 1, Text: b[j]})
	}
	return out
}

// folded leaves out what stays and is far from any change.
func folded(all []diffLine) []diffLine {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.Kind != "same" {
			for k := max(0, i-aroundDiff); k <= min(len(all)-1, i+aroundDiff); k++ {
				near[k] = true
			}
		}
	}
	out := []diffLine{}
	for i, l := range all {
		switch {
		case near[i]:
			out = append(out, l)
		case len(out) == 0 || out[len(out)-1].Kind != "skipped":
			out = append(out, diffLine{Kind: "skipped"})
		}
	}
	return out
}
