package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

const maxFileBytes = 1 << 20

// reader walks YAML nodes and collects findings; it never stops at the first.
type reader struct {
	file string
	ds   []Diagnostic
}

func (r *reader) add(n *yaml.Node, code, message, hint string) {
	d := Diagnostic{File: r.file, Code: code, Message: message, Hint: hint, Severity: SeverityError}
	if n != nil {
		d.Line, d.Col = n.Line, n.Column
	}
	r.ds = append(r.ds, d)
}

func (r *reader) warn(n *yaml.Node, message, hint string) {
	r.add(n, CodeUseless, message, hint)
	r.ds[len(r.ds)-1].Severity = SeverityWarning
}

// document parses exactly one plain document; nil when there is none.
func (r *reader) document(src []byte) *yaml.Node {
	if len(src) > maxFileBytes {
		r.add(nil, CodeYAML, "file is larger than 1 MiB", "")
		return nil
	}
	if i := bytes.Index(src, []byte("\t")); i >= 0 {
		line := 1 + bytes.Count(src[:i], []byte("\n"))
		r.add(&yaml.Node{Line: line, Column: i - bytes.LastIndexByte(src[:i], '\n')}, CodeYAML, "a tab", "use spaces")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		r.syntax(err)
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		r.add(&second, CodeYAML, "a second document in the file", "one file holds one document")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.add(nil, CodeYAML, "the file is empty", "")
		return nil
	}
	r.plain(doc.Content[0], 0)
	return doc.Content[0]
}

func (r *reader) syntax(err error) {
	at := &yaml.Node{}
	message := err.Error()
	var le *yaml.LoadError
	if errors.As(err, &le) {
		at.Line, at.Column = le.Mark.Line, max(le.Mark.Column, 1)
		message = le.Message
	}
	if errors.Is(err, io.EOF) {
		message = "the file is empty"
	}
	r.add(at, CodeYAML, "this is not YAML: "+message, "quote texts that hold a colon, #, { or !")
}

// plain refuses what makes two readers see two files.
func (r *reader) plain(n *yaml.Node, depth int) {
	switch {
	case depth > maxNodeDepth:
		r.add(n, CodeYAML, "nested too deeply", "")
		return
	case n.Kind == yaml.AliasNode:
		r.add(n, CodeYAML, "an alias", "write the value again")
		return
	case n.Anchor != "":
		r.add(n, CodeYAML, "an anchor", "write the value where it is used")
	case n.Style&yaml.TaggedStyle != 0:
		r.add(n, CodeYAML, fmt.Sprintf("a tag %s", n.Tag), "quote a text that begins with !")
	}
	if n.Kind == yaml.MappingNode {
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			switch {
			case key.Kind != yaml.ScalarNode:
				r.add(key, CodeYAML, "a key that is no word", "")
			case seen[key.Value]:
				r.add(key, CodeYAML, fmt.Sprintf("%q stands here twice", key.Value), "keep one")
			}
			seen[key.Value] = true
		}
	}
	for _, c := range n.Content {
		r.plain(c, depth+1)
	}
}

// pair is one key of a mapping with its value.
type pair struct {
	key   *yaml.Node
	value *yaml.Node
}

// pairs returns a mapping's pairs in file order.
func (r *reader) pairs(n *yaml.Node, what string) []pair {
	if n.Kind != yaml.MappingNode {
		r.add(n, CodeShape, what+" is a map of keys and values", "")
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, pair{n.Content[i], n.Content[i+1]})
	}
	return out
}

// keys returns a mapping's values by key and refuses unknown ones.
func (r *reader) keys(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	names := map[string]Type{}
	for _, k := range known {
		names[k] = Type{}
	}
	for _, p := range r.pairs(n, what) {
		if _, ok := names[p.key.Value]; !ok {
			hint := suggest(p.key.Value, names)
			if hint == "" {
				hint = "known here: " + strings.Join(known, ", ")
			}
			r.add(p.key, CodeKey, fmt.Sprintf("%s has no key %q", what, p.key.Value), hint)
			continue
		}
		out[p.key.Value] = p.value
	}
	return out
}

// text returns a scalar's own characters; YAML's idea of its type is ignored,
// so that `no` is the word no.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if n == nil || n.Kind != yaml.ScalarNode {
		r.add(n, CodeShape, what+" is one word or text", "")
		return "", false
	}
	return n.Value, true
}

func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.add(n, CodeShape, what+" is a list", "write it in square brackets")
		return nil
	}
	return n.Content
}

// count reads a whole number within [low, high].
func (r *reader) count(n *yaml.Node, what string, low, high int64) int64 {
	s, ok := r.text(n, what)
	if !ok {
		return 0
	}
	v, ok := wholeNumber(s)
	if !ok || v < low || v > high {
		r.add(n, CodeRange, fmt.Sprintf("%s is %q; want a whole number from %d to %d", what, s, low, high), "")
		return 0
	}
	return v
}

func wholeNumber(s string) (int64, bool) {
	var v int64
	if s == "" || len(s) > 15 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = v*10 + int64(s[i]-'0')
	}
	return v, true
}

// duration reads a duration within [low, high].
func (r *reader) duration(n *yaml.Node, what string, low, high time.Duration) time.Duration {
	s, ok := r.text(n, what)
	if !ok {
		return 0
	}
	d, err := ParseDuration(s)
	if err != nil || d < low || d > high {
		r.add(n, CodeRange, fmt.Sprintf("%s is %q; want from %s to %s", what, s, Duration(low), Duration(high)), "such as 30s, 15m, 12h or 7d")
		return 0
	}
	return d
}

// ParseDuration reads whole days as well as what time.ParseDuration reads.
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, ok := wholeNumber(days)
		if !ok || n > 3650 {
			return 0, fmt.Errorf("duration %q", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(s)
}

// Duration writes d the way the file does: 7d, 12h, 15m, 30s.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d > 0 && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d > 0 && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return d.String()
	}
}

var wordPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

func (r *reader) word(n *yaml.Node, what string) string {
	s, ok := r.text(n, what)
	if ok && !wordPattern.MatchString(s) {
		r.add(n, CodeName, fmt.Sprintf("%s %q: want small letters, digits and _", what, s), "")
	}
	return s
}
