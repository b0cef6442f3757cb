package stirshaken

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The JSON of a PASSporT is read by hand because encoding/json gives some
// texts two readings: it folds member names, merges duplicates, accepts
// invalid UTF-8 and leaves trailing bytes. Here a text has one reading or none.

type jkind uint8

const (
	jInvalid jkind = iota
	jNull
	jBool
	jNumber
	jString
	jArray
	jObject
)

// jnode is one value. Children of one parent are linked by next; 0 ends the
// list, since node 0 is always the root.
type jnode struct {
	key        string // member name, decoded
	text       string // the decoded string; the source text of anything else
	child      int32
	next       int32
	start, end int32
	n          int32 // children
	kind       jkind
}

// jdoc is a parsed text. Its nodes refer to src.
type jdoc struct {
	src   string
	nodes []jnode
	pos   int
	bad   string // why, when not ok
}

// parseJSON reads src as one JSON value without trailing bytes. It reuses
// nodes; why is empty when all is well.
func parseJSON(src string, nodes []jnode) (d jdoc, why string) {
	d = jdoc{src: src, nodes: nodes[:0]}
	if !utf8.ValidString(src) {
		return d, "invalid UTF-8"
	}
	if !d.value(0, "") {
		return d, d.bad
	}
	d.space()
	if d.pos != len(src) {
		return d, "bytes after the JSON value, at " + strconv.Itoa(d.pos)
	}
	return d, ""
}

func (d *jdoc) fail(why string) bool {
	if d.bad == "" {
		d.bad = why + ", at byte " + strconv.Itoa(d.pos)
	}
	return false
}

func (d *jdoc) space() {
	for d.pos < len(d.src) {
		switch d.src[d.pos] {
		case ' ', '\t', '\r', '\n':
			d.pos++
		default:
			return
		}
	}
}

func (d *jdoc) value(depth int, key string) bool {
	d.space()
	if d.pos >= len(d.src) {
		return d.fail("JSON ends early")
	}
	if depth > MaxJSONDepth {
		return d.fail("JSON nested deeper than " + strconv.Itoa(MaxJSONDepth))
	}
	if len(d.nodes) >= MaxJSONNodes {
		return d.fail("more than " + strconv.Itoa(MaxJSONNodes) + " JSON values")
	}
	me := len(d.nodes)
	d.nodes = append(d.nodes, jnode{key: key, start: int32(d.pos)})
	var ok bool
	var kind jkind
	text := ""
	switch c := d.src[d.pos]; {
	case c == '{':
		kind, ok = jObject, d.object(me, depth)
	case c == '[':
		kind, ok = jArray, d.array(me, depth)
	case c == '"':
		kind = jString
		text, ok = d.str()
	case c == '-' || c >= '0' && c <= '9':
		kind, ok = jNumber, d.number()
	case strings.HasPrefix(d.src[d.pos:], "true"):
		kind, ok = jBool, true
		d.pos += 4
	case strings.HasPrefix(d.src[d.pos:], "false"):
		kind, ok = jBool, true
		d.pos += 5
	case strings.HasPrefix(d.src[d.pos:], "null"):
		kind, ok = jNull, true
		d.pos += 4
	default:
		return d.fail("not a JSON value")
	}
	n := &d.nodes[me]
	n.kind, n.end, n.text = kind, int32(d.pos), text
	if kind == jNumber || kind == jBool {
		n.text = d.src[n.start:n.end]
	}
	return ok
}

func (d *jdoc) object(me, depth int) bool {
	d.pos++ // {
	d.space()
	if d.pos < len(d.src) && d.src[d.pos] == '}' {
		d.pos++
		return true
	}
	last := 0
	for {
		d.space()
		if d.pos >= len(d.src) || d.src[d.pos] != '"' {
			return d.fail("member name expected")
		}
		key, ok := d.str()
		if !ok {
			return false
		}
		for c := d.nodes[me].child; c != 0; c = d.nodes[c].next {
			if d.nodes[c].key == key {
				return d.fail("duplicate member " + strconv.Quote(clip(key)))
			}
		}
		if d.nodes[me].n++; d.nodes[me].n > MaxJSONMembers {
			return d.fail("more than " + strconv.Itoa(MaxJSONMembers) + " members in one object")
		}
		d.space()
		if d.pos >= len(d.src) || d.src[d.pos] != ':' {
			return d.fail("colon expected")
		}
		d.pos++
		at := len(d.nodes)
		if !d.value(depth+1, key) {
			return false
		}
		d.link(me, &last, at)
		if done, ok := d.separator('}'); done || !ok {
			return ok
		}
	}
}

func (d *jdoc) array(me, depth int) bool {
	d.pos++ // [
	d.space()
	if d.pos < len(d.src) && d.src[d.pos] == ']' {
		d.pos++
		return true
	}
	last := 0
	for {
		d.nodes[me].n++
		at := len(d.nodes)
		if !d.value(depth+1, "") {
			return false
		}
		d.link(me, &last, at)
		if done, ok := d.separator(']'); done || !ok {
			return ok
		}
	}
}

func (d *jdoc) link(me int, last *int, at int) {
	if *last == 0 {
		d.nodes[me].child = int32(at)
	} else {
		d.nodes[*last].next = int32(at)
	}
	*last = at
}

func (d *jdoc) separator(end byte) (done, ok bool) {
	d.space()
	if d.pos >= len(d.src) {
		return false, d.fail("JSON ends early")
	}
	switch d.src[d.pos] {
	case ',':
		d.pos++
		return false, true
	case end:
		d.pos++
		return true, true
	default:
		return false, d.fail("comma expected")
	}
}

// number follows the grammar of RFC 8259, section 6: no leading zero, no plus.
func (d *jdoc) number() bool {
	digits := func() int {
		from := d.pos
		for d.pos < len(d.src) && d.src[d.pos] >= '0' && d.src[d.pos] <= '9' {
			d.pos++
		}
		return d.pos - from
	}
	if d.src[d.pos] == '-' {
		d.pos++
	}
	zero := d.pos < len(d.src) && d.src[d.pos] == '0'
	if n := digits(); n == 0 || zero && n > 1 {
		return d.fail("malformed number")
	}
	if d.pos < len(d.src) && d.src[d.pos] == '.' {
		d.pos++
		if digits() == 0 {
			return d.fail("malformed number")
		}
	}
	if d.pos < len(d.src) && (d.src[d.pos] == 'e' || d.src[d.pos] == 'E') {
		d.pos++
		if d.pos < len(d.src) && (d.src[d.pos] == '+' || d.src[d.pos] == '-') {
			d.pos++
		}
		if digits() == 0 {
			return d.fail("malformed number")
		}
	}
	return true
}

// str reads a string; one without escapes is a slice of the source.
func (d *jdoc) str() (string, bool) {
	d.pos++ // "
	from := d.pos
	for i := from; i < len(d.src); i++ {
		c := d.src[i]
		if c != '"' && c != '\\' && c >= 0x20 {
			continue
		}
		d.pos = i
		switch c {
		case '"':
			d.pos++
			return d.src[from:i], true
		case '\\':
			return d.escaped(from)
		default:
			return "", d.fail("control byte in a string")
		}
	}
	d.pos = len(d.src)
	return "", d.fail("string ends early")
}

func (d *jdoc) escaped(from int) (string, bool) {
	b := []byte(d.src[from:d.pos])
	for d.pos < len(d.src) {
		c := d.src[d.pos]
		switch {
		case c == '"':
			d.pos++
			return string(b), true
		case c < 0x20:
			return "", d.fail("control byte in a string")
		case c != '\\':
			b = append(b, c)
			d.pos++
			continue
		}
		if d.pos+1 >= len(d.src) {
			break
		}
		e := d.src[d.pos+1]
		d.pos += 2
		if e != 'u' {
			i := strings.IndexByte(`"\/bfnrt`, e)
			if i < 0 {
				return "", d.fail("unknown escape")
			}
			b = append(b, "\"\\/\b\f\n\r\t"[i])
			continue
		}
		r, ok := d.hex4()
		if !ok {
			return "", d.fail("malformed \\u escape")
		}
		if utf16.IsSurrogate(r) {
			if !strings.HasPrefix(d.src[d.pos:], `\u`) {
				return "", d.fail("lone surrogate")
			}
			d.pos += 2
			low, ok := d.hex4()
			if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
				return "", d.fail("lone surrogate")
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return "", d.fail("string ends early")
}

func (d *jdoc) hex4() (rune, bool) {
	if d.pos+4 > len(d.src) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(d.src[d.pos : d.pos+4]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	d.pos += 4
	return r, true
}

// member returns the index of the child of at with this exact name, or -1.
func (d *jdoc) member(at int, key string) int {
	if at < 0 || at >= len(d.nodes) || d.nodes[at].kind != jObject {
		return -1
	}
	for c := d.nodes[at].child; c != 0; c = d.nodes[c].next {
		if d.nodes[c].key == key {
			return int(c)
		}
	}
	return -1
}

// canonical appends the deterministic form of RFC 8225, section 9: members in
// the order of their names' code points, no white space, strings with the
// shortest escapes.
func (d *jdoc) canonical(b []byte, at int) []byte {
	n := &d.nodes[at]
	switch n.kind {
	case jString:
		return appendJSONString(b, n.text)
	case jArray:
		b = append(b, '[')
		for c := n.child; c != 0; c = d.nodes[c].next {
			if c != n.child {
				b = append(b, ',')
			}
			b = d.canonical(b, int(c))
		}
		return append(b, ']')
	case jObject:
		b = append(b, '{')
		done := ""
		for i := int32(0); i < n.n; i++ {
			best := int32(0)
			for c := n.child; c != 0; c = d.nodes[c].next {
				if k := d.nodes[c].key; (i == 0 || k > done) && (best == 0 || k < d.nodes[best].key) {
					best = c
				}
			}
			if i > 0 {
				b = append(b, ',')
			}
			done = d.nodes[best].key
			b = appendJSONString(b, done)
			b = append(b, ':')
			b = d.canonical(b, int(best))
		}
		return append(b, '}')
	default:
		return append(b, d.src[n.start:n.end]...)
	}
}

// appendJSONString writes s with the escapes that RFC 8259 demands and no
// other: no HTML escaping, which would change the signed bytes.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// clip bounds outside text before it enters a detail sentence.
func clip(s string) string {
	const most = 48
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// CheckJSON reports, as a Refusal, why a text is not one JSON value with one
// reading: duplicate names, invalid UTF-8, trailing bytes, too deep or too
// much. encoding/json accepts all of these but the last two.
func CheckJSON(b []byte) *Refusal {
	if _, why := parseJSON(string(b), nil); why != "" {
		return refuse(ReasonClaimsJSON, why)
	}
	return nil
}
