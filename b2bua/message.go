package b2bua

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Bounds on one SIP message from outside. RFC 3261 sets none; a message of
// ours with four Identity values stays under 8 KiB.
const (
	maxMessageBytes = 32 << 10 // start line, header and body together
	maxHeaderFields = 64
	maxFieldBytes   = 8 << 10 // one header field value, unfolded
	maxURIBytes     = 1 << 10
)

// refusal is the answer that a message owes instead of being passed on. A
// refusal with code 0 is silence: a response or an ACK is never answered.
type refusal struct {
	code    int
	reason  string
	headers []field
}

func refuse(code int, format string, args ...any) *refusal {
	return &refusal{code: code, reason: fmt.Sprintf(format, args...)}
}

// field is one header field: canonical name, unfolded value.
type field struct{ name, value string }

// message is a SIP message as the fence reads it, before the SIP stack sees
// anything. Passing messages are written again from this (render), so that
// the stack reads exactly what was judged.
type message struct {
	method string // empty for a response
	uri    string
	status int // 0 for a request
	reason string
	fields []field
	body   []byte

	vias     []via
	from, to nameAddr
	cseq     uint32
	cseqFor  string
}

// canonical holds the names whose fields the fence or the legs read, in lower
// case and in their compact forms (RFC 3261, section 20; RFC 8224, section 4:
// y; RFC 4028: x).
var canonical = map[string]string{
	"via": "Via", "v": "Via", "from": "From", "f": "From", "to": "To", "t": "To", "call-id": "Call-ID", "i": "Call-ID",
	"cseq": "CSeq", "contact": "Contact", "m": "Contact", "max-forwards": "Max-Forwards", "content-length": "Content-Length",
	"l": "Content-Length", "content-type": "Content-Type", "c": "Content-Type", "content-encoding": "Content-Encoding",
	"e": "Content-Encoding", "route": "Route", "record-route": "Record-Route", "require": "Require",
	"proxy-require": "Proxy-Require", "supported": "Supported", "k": "Supported", "subject": "Subject", "s": "Subject",
	"identity": "Identity", "y": "Identity", "identity-info": "Identity-Info", "n": "Identity-Info", "date": "Date",
	"session-expires": "Session-Expires", "x": "Session-Expires", "min-se": "Min-SE", "accept": "Accept",
	"p-asserted-identity": "P-Asserted-Identity", "privacy": "Privacy", "p-attestation-indicator": "P-Attestation-Indicator", "diversion": "Diversion", "history-info": "History-Info",
	"user-to-user": "User-to-User", "refer-to": "Refer-To", "r": "Refer-To", "referred-by": "Referred-By", "b": "Referred-By",
	"event": "Event", "o": "Event", "allow-events": "Allow-Events", "u": "Allow-Events", "reason": "Reason",
	"expires": "Expires", "rack": "RAck", "rseq": "RSeq", "retry-after": "Retry-After", "authorization": "Authorization",
	"proxy-authorization": "Proxy-Authorization", "www-authenticate": "WWW-Authenticate",
	"proxy-authenticate": "Proxy-Authenticate", "allow": "Allow", "priority": "Priority",
}

// known are the names in their canonical spelling, as most senders write them.
var known = func() map[string]bool {
	out := map[string]bool{}
	for _, name := range canonical {
		out[name] = true
	}
	return out
}()

// parseMessage reads the start line and the header of a message. It returns
// what it could read even when it refuses, so that the refusal can be sent.
// raw ends with the empty line; the body is not looked at.
func parseMessage(raw []byte) (*message, *refusal) {
	m := &message{}
	raw, ended := bytes.CutSuffix(raw, []byte("\r\n\r\n"))
	lines := strings.Split(strings.TrimRight(string(raw), "\r\n"), "\r\n")
	bad := m.startLine(lines[0])
	if !ended && bad == nil {
		bad = refuse(400, "Header Does Not End")
	}
	note := func(r *refusal) {
		if bad == nil {
			bad = r
		}
	}
	m.fields = make([]field, 0, min(len(lines)-1, maxHeaderFields))
	for i := 1; i < len(lines); {
		line := lines[i]
		for i++; i < len(lines) && lines[i] != "" && (lines[i][0] == ' ' || lines[i][0] == '\t'); i++ {
			line = strings.TrimRight(line, " \t") + " " + strings.TrimLeft(lines[i], " \t")
		}
		if len(m.fields) == maxHeaderFields {
			note(refuse(400, "More Than %d Header Fields", maxHeaderFields))
			break
		}
		f, r := headerField(line)
		if r != nil {
			note(r)
			continue
		}
		m.fields = append(m.fields, f)
	}
	return m, bad
}

func (m *message) startLine(line string) *refusal {
	a, rest, ok := strings.Cut(line, " ")
	b, c, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || a == "" {
		return refuse(400, "Bad Start Line")
	}
	if hasControl(line) {
		if isToken(a) {
			m.method = a // so that the 400 is sent
		}
		return refuse(400, "Control Character in Start Line")
	}
	if strings.HasPrefix(a, "SIP/") {
		n, err := strconv.Atoi(b)
		m.status, m.reason = n, c
		if a != "SIP/2.0" || err != nil || len(b) != 3 || n < 100 || n > 699 {
			m.status = 999 // still a response: never answered
			return refuse(0, "bad status line")
		}
		return nil
	}
	m.method, m.uri = a, b
	switch {
	case !isToken(a):
		return refuse(400, "Bad Method")
	case len(c) >= 4 && strings.HasPrefix(strings.ToUpper(c), "SIP/") && !strings.EqualFold(c, "SIP/2.0") && !strings.ContainsAny(c, " \t"):
		return refuse(505, "Version Not Supported")
	case !strings.EqualFold(c, "SIP/2.0"):
		return refuse(400, "Bad Request Line")
	case len(b) > maxURIBytes:
		return refuse(414, "Request-URI Too Long")
	}
	return nil
}

func headerField(line string) (field, *refusal) {
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !isToken(name) {
		return field{}, refuse(400, "Bad Header Field Name")
	}
	value = strings.Trim(value, " \t")
	if hasControl(value) {
		return field{}, refuse(400, "Control Character in Header")
	}
	if len(value) > maxFieldBytes {
		return field{}, refuse(400, "Header Field Too Long")
	}
	if known[name] {
		return field{name, value}, nil
	}
	if c, ok := canonical[strings.ToLower(name)]; ok {
		name = c
	}
	return field{name, value}, nil
}

// hasControl reports a character that would end a line for some reader, or
// mean nothing good to any: C0 controls other than the tab, and DEL.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// isToken is token of RFC 3261, section 25.1.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

// get returns the values of all fields called name, in order.
func (m *message) get(name string) []string {
	var out []string
	for _, f := range m.fields {
		if f.name == name {
			out = append(out, f.value)
		}
	}
	return out
}

// count is how many fields are called name.
func (m *message) count(name string) (n int) {
	for _, f := range m.fields {
		if f.name == name {
			n++
		}
	}
	return n
}

// first returns the first value of name, or "".
func (m *message) first(name string) string {
	for _, f := range m.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// list returns the comma-separated values of all fields called name.
func (m *message) list(name string) []string {
	var out []string
	for _, v := range m.get(name) {
		parts, ok := splitList(v)
		if !ok {
			continue
		}
		out = append(out, parts...)
	}
	return out
}

// contentLength is the announced length of the body, or -1 if none was.
func (m *message) contentLength() (int, *refusal) {
	switch m.count("Content-Length") {
	case 0:
		return -1, nil
	case 1:
	default:
		return 0, refuse(400, "Two Content-Length")
	}
	n, err := strconv.ParseUint(m.first("Content-Length"), 10, 31)
	if err != nil {
		return 0, refuse(400, "Bad Content-Length")
	}
	if n > maxMessageBytes {
		return 0, refuse(413, "Request Entity Too Large")
	}
	return int(n), nil
}

// perValue are the fields of which every value becomes a field of its own when
// a message is written again, so that no reader behind us must split lists.
var perValue = map[string]bool{"Contact": true, "Route": true, "Record-Route": true, "P-Asserted-Identity": true,
	"Diversion": true, "History-Info": true, "Identity": true}

// render writes m as the SIP stack gets it: one line a field, full names,
// the fields that the stack parses in their plainest spelling, and the body's
// true length. It is called on judged messages only.
func (m *message) render() []byte {
	b := make([]byte, 0, m.size())
	if m.method != "" {
		b = strs(b, m.method, " ", m.uri, " SIP/2.0\r\n")
	} else {
		b = strs(b, "SIP/2.0 ", strconv.Itoa(m.status), " ", m.reason, "\r\n")
	}
	for _, v := range m.vias {
		b = strs(v.appendTo(strs(b, "Via: ")), "\r\n")
	}
	b = m.from.appendTo(strs(b, "From: "))
	b = m.to.appendTo(strs(b, "\r\nTo: "))
	b = strs(b, "\r\nCall-ID: ", m.first("Call-ID"), "\r\nCSeq: ")
	b = strconv.AppendUint(b, uint64(m.cseq), 10)
	b = strs(b, " ", m.cseqFor, "\r\n")
	for _, f := range m.fields {
		b = f.appendTo(b)
	}
	b = strconv.AppendInt(strs(b, "Content-Length: "), int64(len(m.body)), 10)
	return append(strs(b, "\r\n\r\n"), m.body...)
}

// size is about what m takes on the wire.
func (m *message) size() int {
	n := 256 + len(m.method) + len(m.uri) + len(m.reason) + len(m.body)
	for _, f := range m.fields {
		n += len(f.name) + len(f.value) + 8
	}
	return n
}

// appendTo writes a field as render does. What render writes from its parsed
// form is left out.
func (f field) appendTo(b []byte) []byte {
	switch f.name {
	case "Via", "From", "To", "Call-ID", "CSeq", "Content-Length":
		return b
	case "Contact", "Route", "Record-Route":
		parts, _ := splitList(f.value)
		for _, p := range parts {
			if a, err := parseNameAddr(p); err == nil {
				b = strs(a.appendTo(strs(b, f.name, ": ")), "\r\n")
			}
		}
		return b
	}
	if perValue[f.name] {
		if parts, ok := splitList(f.value); ok {
			for _, p := range parts {
				b = strs(b, f.name, ": ", p, "\r\n")
			}
			return b
		}
	}
	return strs(b, f.name, ": ", f.value, "\r\n")
}

// strs appends strings.
func strs(b []byte, parts ...string) []byte {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}
