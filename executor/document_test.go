package executor_test

import (
	"os"
	"strings"
	"testing"
)

// TestTheDocumentShowsTheExample wants the code of docs/integrate.md to be the
// example that is compiled here, and within fifty lines of code.
func TestTheDocumentShowsTheExample(t *testing.T) {
	doc, err := os.ReadFile("../docs/integrate.md")
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(doc), "```go\n")
	code, _, closed := strings.Cut(code, "```")
	if !ok || !closed {
		t.Fatal("docs/integrate.md shows no Go")
	}
	compiled := map[string]bool{}
	for line := range strings.SplitSeq(string(src), "\n") {
		compiled[line] = true
	}
	n := 0
	for line := range strings.SplitSeq(code, "\n") {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "//") {
			n++
		}
		if line != "func main() {" && !compiled[line] {
			t.Errorf("docs/integrate.md has a line that is not compiled: %s", line)
		}
	}
	if n > 60 || n < 20 {
		t.Errorf("the example has %d lines of code, want fifty or so", n)
	}
}
