package flows

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Bounds on outside files, checked before the YAML library sees a byte.
const (
	maxFileBytes = 160 << 10 // a flow of 2,500 lines is 100 KiB
	maxDepth     = 12        // the grammar needs 7
	maxFiles     = 500
	maxSetBytes  = 8 << 20 // all scripts of a set
)

// document reads one YAML file under the guard rails of Y2 and Y3 and returns
// its mapping, or nil after reporting why not.
func document(file string, src []byte, d *diags) *yaml.Node {
	return anyDocument(file, src, yaml.MappingNode, "a list of keys and values", "begin with flow: name", d)
}

func anyDocument(file string, src []byte, kind yaml.Kind, what, hint string, d *diags) *yaml.Node {
	at := func(line, col int) Pos { return Pos{file, line, col} }
	if len(src) > maxFileBytes {
		d.add(at(1, 1), "Y3", "split it into several flows", "the file is %d KiB; at most %d KiB are read", len(src)>>10, maxFileBytes>>10)
		return nil
	}
	if !utf8.Valid(src) || bytes.IndexByte(src, 0) >= 0 {
		d.add(at(1, 1), "Y3", "save it as UTF-8 text", "the file is not UTF-8 text")
		return nil
	}
	lines := strings.Split(string(src), "\n")
	if !guardLines(file, lines, d) {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		syntaxError(file, lines, err, d)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != kind {
		d.add(at(1, 1), "Y3", hint, "the file is not %s", what)
		return nil
	}
	if !guardNode(file, doc.Content[0], lines, 0, d) {
		return nil
	}
	return doc.Content[0]
}

// guardLines finds what must be judged by text: tabs, several documents,
// directives and nesting too deep for any flow.
func guardLines(file string, lines []string, d *diags) bool {
	good, begun, flowDepth := true, false, 0
	for i, line := range lines {
		at := func(col int) Pos { return Pos{file, i + 1, col} }
		if tab := strings.IndexByte(line, '\t'); tab >= 0 {
			d.add(at(tab+1), "Y3", "use blanks", "there is a tab in the line")
			good = false
		}
		switch {
		case strings.HasPrefix(line, "---") && begun, strings.HasPrefix(line, "..."):
			d.add(at(1), "Y3", "put each flow into a file of its own", "one file holds one document")
			good = false
		case strings.HasPrefix(line, "%"):
			d.add(at(1), "Y3", "take the line out", "YAML directives are not part of the language")
			good = false
		}
		trimmed := strings.TrimSpace(line)
		if trimmed != "" && trimmed[0] != '#' && !strings.HasPrefix(line, "---") {
			begun = true
		}
		// A text may hold brackets; only a run of them is an attack on the parser.
		flowDepth = 0
		dashes := 0
		for _, c := range trimmed {
			switch c {
			case '[', '{':
				flowDepth++
			case ']', '}':
				flowDepth--
			case '-':
				dashes++
			}
			if flowDepth > 4*maxDepth || dashes > 500 {
				d.add(at(1), "Y3", "", "the line is nested too deep")
				return false
			}
		}
		if !good && len(d.list) > 20 {
			return false
		}
	}
	return good
}

// guardNode refuses what YAML has and the language has not: aliases, anchors,
// tags, merge keys, keys that are not words, duplicate keys.
func guardNode(file string, n *yaml.Node, lines []string, depth int, d *diags) bool {
	at := Pos{file, n.Line, n.Column}
	if depth > maxDepth {
		d.add(at, "Y3", "", "the file is nested too deep")
		return false
	}
	good := true
	if n.Kind == yaml.AliasNode {
		d.add(at, "Y3", "write it out, or quote it: \"*"+n.Value+"\"", "aliases (*%s) are not part of the language", n.Value)
		return false
	}
	if n.Anchor != "" {
		d.add(at, "Y3", "quote the text, & is a sign of YAML", "anchors (&%s) are not part of the language", n.Anchor)
		good = false
	}
	if n.Style&yaml.TaggedStyle != 0 {
		if line := lineOf(lines, n.Line); conditionKey.MatchString(line) {
			d.add(at, "Y2", pasteQuoted(line), "a condition that begins with ! must be quoted")
		} else {
			d.add(at, "Y3", "quote the text", "tags (%s) are not part of the language", n.Tag)
		}
		return false
	}
	if n.Kind == yaml.MappingNode {
		good = guardKeys(file, n, d) && good
	}
	for _, c := range n.Content {
		good = guardNode(file, c, lines, depth+1, d) && good
	}
	return good
}

func guardKeys(file string, n *yaml.Node, d *diags) bool {
	good := true
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := Pos{file, key.Line, key.Column}
		switch {
		case key.Kind == yaml.AliasNode:
			continue // guardNode says so
		case key.Kind != yaml.ScalarNode:
			d.add(at, "Y3", "", "a key must be one word")
			good = false
		case key.Tag == "!!merge":
			d.add(at, "Y3", "write the keys out", "merge keys (<<) are not part of the language")
			good = false
		case seen[key.Value] != 0:
			d.add(at, "Y3", "take one of them out", "%s stands here twice, first in line %d", key.Value, seen[key.Value])
			good = false
		default:
			seen[key.Value] = key.Line
		}
	}
	return good
}

var (
	conditionKey = regexp.MustCompile(`^\s*(- )?\s*(if|when):\s*!`)
	textKey      = regexp.MustCompile(`^(\s*(?:- )?\s*(?:[a-z_]+|"?\d"?):\s+)(.+?)\s*$`)
	starKey      = regexp.MustCompile(`^(\s*)([*#])(:.*)$`)
	errLine      = regexp.MustCompile(`line (\d+)`)
)

// syntaxError rewords the library's message, and for the three mistakes that
// people make says the line to paste (Y2).
func syntaxError(file string, lines []string, err error, d *diags) {
	line, text := 1, err.Error()
	var load *yaml.LoadError
	if errors.As(err, &load) {
		text = load.Message
		line = load.Mark.Line
	}
	if m := errLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	line = max(1, line)
	// The library often names the line after the broken one.
	for _, l := range []int{line, line - 1, line + 1} {
		raw := lineOf(lines, l)
		if m := starKey.FindStringSubmatch(raw); m != nil {
			d.add(Pos{file, l, len(m[1]) + 1}, "Y2", m[1][:0]+`"`+m[2]+`"`+m[3], "the key %s must be quoted", m[2])
			return
		}
		m := textKey.FindStringSubmatch(raw)
		if m == nil || strings.HasPrefix(m[2], `"`) || strings.HasPrefix(m[2], "'") {
			continue
		}
		col := utf8.RuneCountInString(m[1]) + 1
		switch {
		case strings.Contains(m[2], ": ") && !strings.HasPrefix(m[2], "{"), strings.HasSuffix(m[2], ":"):
			d.add(Pos{file, l, col}, "Y2", pasteQuoted(raw), "a text with a colon must be quoted")
			return
		case strings.HasPrefix(m[2], "{") && !strings.HasSuffix(m[2], "}"), strings.HasPrefix(m[2], "{") && strings.Count(m[2], "{") > 1:
			d.add(Pos{file, l, col}, "Y2", pasteQuoted(raw), "a text that begins with { must be quoted")
			return
		case strings.ContainsAny(m[2][:1], "!&*%@`[]|>"):
			d.add(Pos{file, l, col}, "Y2", pasteQuoted(raw), "a text that begins with %s must be quoted", m[2][:1])
			return
		}
	}
	d.add(Pos{file, line, 1}, "Y2", "look at the line above too: indentation, quotes, brackets", "this is not YAML: %s", text)
}

func lineOf(lines []string, n int) string {
	if n < 1 || n > len(lines) {
		return ""
	}
	return strings.TrimRight(lines[n-1], "\r ")
}

// pasteQuoted returns a line with its value quoted, ready to paste.
func pasteQuoted(line string) string {
	m := textKey.FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return strings.TrimLeft(m[1], " ") + quote(m[2])
}

// quote writes a text so that YAML reads it back unchanged.
func quote(text string) string {
	if !strings.ContainsAny(text, "\"\\") {
		return `"` + text + `"`
	}
	return `'` + strings.ReplaceAll(text, `'`, `''`) + `'`
}
