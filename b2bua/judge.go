package b2bua

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// allowed are the methods of a leg, as Allow lists them. REFER is for a few legs
// only, and for none outside a dialog: see transfer.go.
const allowed = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK"

// allowField goes with 405 and with OPTIONS.
var allowField = field{"Allow", allowed}

// understood are the option tags that Require may name (RFC 3261, section
// 20.32). replaces is not among them: nobody takes over a call here.
var understood = []string{"timer", "100rel", "histinfo", "uui"}

// once are the fields that may not stand twice: two of them are two readings.
var once = []string{"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Content-Encoding", "Date", "Expires",
	"Session-Expires", "Min-SE", "Subject", "RAck", "RSeq", "Event", "Refer-To"}

// judge fills in the parsed parts of m and says what it owes, or nil if it may
// pass. It looks at nothing but the message.
func (m *message) judge() *refusal {
	silent := m.method == "" || m.method == "ACK"
	r := m.judgeAll()
	if r != nil && silent {
		r.code = 0
	}
	return r
}

func (m *message) judgeAll() *refusal {
	if r := m.structure(); r != nil {
		return r
	}
	if m.method == "" {
		return nil
	}
	if m.cseqFor != m.method {
		return refuse(400, "CSeq Method Mismatch")
	}
	if m.from.tag() == "" {
		return refuse(400, "From Has No Tag")
	}
	scheme, err := schemeOf(m.uri)
	switch {
	case strings.ContainsAny(m.uri, "<>\"") || err != nil:
		return refuse(400, "Bad Request-URI")
	case scheme != "sip" && scheme != "sips":
		return refuse(416, "Unsupported URI Scheme")
	case checkSIPURI(m.uri) != nil:
		return refuse(400, "Bad Request-URI")
	case strings.Contains(m.uri, "?"):
		return refuse(400, "Headers in Request-URI") // RFC 4475, section 3.1.2.15
	}
	if known := slices.Contains(strings.Split(allowed, ", "), m.method); !known && (m.method != "REFER" || m.to.tag() == "") {
		return &refusal{code: 405, reason: "Method Not Allowed", headers: []field{allowField}}
	}
	if r := m.options(); r != nil {
		return r
	}
	return m.content()
}

// structure checks what every message needs (RFC 3261, section 8.1.1) and that
// there are no two readings of it.
func (m *message) structure() *refusal {
	for _, name := range once {
		if m.count(name) > 1 {
			return refuse(400, "Two %s", name)
		}
	}
	var err error
	if m.vias, err = parseVias(m.get("Via")); err != nil {
		return refuse(400, "Bad Via")
	}
	for _, name := range []string{"From", "To"} {
		v := m.first(name)
		if v == "" {
			return refuse(400, "No %s", name)
		}
		if parts, ok := splitList(v); !ok || len(parts) != 1 {
			return refuse(400, "Bad %s", name)
		}
		a, err := parseNameAddr(v)
		if err != nil || a.tag() != "" && !isToken(a.tag()) {
			return refuse(400, "Bad %s", name)
		}
		if name == "From" {
			m.from = a
		} else {
			m.to = a
		}
	}
	if id := m.first("Call-ID"); id == "" || strings.ContainsAny(id, " \t,<>") || len(id) > 256 {
		return refuse(400, "Bad Call-ID")
	}
	num, method, _ := strings.Cut(strings.ReplaceAll(m.first("CSeq"), "\t", " "), " ")
	method = strings.TrimLeft(method, " ")
	n, err := strconv.ParseUint(num, 10, 31)
	if err != nil || !isToken(method) {
		return refuse(400, "Bad CSeq")
	}
	m.cseq, m.cseqFor = uint32(n), method
	for _, name := range []string{"Max-Forwards", "Expires"} {
		if m.count(name) > 0 {
			limit := 32
			if name == "Max-Forwards" {
				limit = 8
			}
			if _, err := strconv.ParseUint(m.first(name), 10, limit); err != nil {
				return refuse(400, "Bad %s", name)
			}
		}
	}
	for _, name := range []string{"Contact", "Route", "Record-Route", "Refer-To"} {
		if r := m.addresses(name); r != nil {
			return r
		}
	}
	if d := m.first("Date"); d != "" {
		if _, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", d); err != nil {
			return refuse(400, "Bad Date")
		}
	}
	return nil
}

// addresses checks every value of a field that the stack parses as addresses.
func (m *message) addresses(name string) *refusal {
	n := 0
	for _, v := range m.get(name) {
		parts, ok := splitList(v)
		if !ok {
			return refuse(400, "Bad %s", name)
		}
		for _, p := range parts {
			if p == "*" {
				return refuse(400, "Bad %s", name)
			}
			a, err := parseNameAddr(p)
			if err != nil {
				return refuse(400, "Bad %s", name)
			}
			if s, _ := schemeOf(a.uri); s != "sip" && s != "sips" && m.method != "" {
				return refuse(400, "Bad %s", name)
			}
			n++
		}
	}
	if name == "Contact" && m.method == "INVITE" && n != 1 {
		return refuse(400, "INVITE Wants One Contact")
	}
	return nil
}

// options refuses extensions we do not have (RFC 3261, section 8.2.2.3).
func (m *message) options() *refusal {
	if m.method == "ACK" || m.method == "CANCEL" {
		return nil
	}
	var unknown []string
	for _, name := range []string{"Require", "Proxy-Require"} {
		for _, tag := range m.list(name) {
			if !slices.Contains(understood, strings.ToLower(tag)) {
				unknown = append(unknown, tag)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return &refusal{code: 420, reason: "Bad Extension", headers: []field{{"Unsupported", strings.Join(unknown, ", ")}}}
}

// content refuses bodies we do not read (RFC 3261, section 8.2.3).
func (m *message) content() *refusal {
	if e := m.first("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return &refusal{code: 415, reason: "Unsupported Media Type", headers: []field{{"Accept-Encoding", "identity"}}}
	}
	if m.method == "INVITE" {
		if accept := m.list("Accept"); len(accept) > 0 && !slices.ContainsFunc(accept, takesSDP) {
			return refuse(406, "Not Acceptable")
		}
	}
	if len(m.body) == 0 {
		return nil
	}
	want := "application/sdp"
	switch m.method {
	case "INFO":
		return nil // judged by the leg: a package we do not know is 469 or 415 there
	case "INVITE", "ACK", "UPDATE", "PRACK":
	default:
		return nil // the body of a BYE or an OPTIONS is not read
	}
	if ct := mediaType(m.first("Content-Type")); ct != want && (ct != "multipart/mixed" || m.method != "INVITE" || m.to.tag() != "") {
		return &refusal{code: 415, reason: "Unsupported Media Type", headers: []field{{"Accept", want}}}
	}
	return nil
}

func takesSDP(accept string) bool {
	t := mediaType(accept)
	return t == "application/sdp" || t == "application/*" || t == "*/*"
}

// mediaType is a Content-Type without its parameters.
func mediaType(v string) string {
	t, _, _ := strings.Cut(v, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// answer writes the stateless answer to m (RFC 3261, section 8.2.6), or nil if m
// cannot be answered. The To tag is made from the message, so that every
// retransmission gets the same.
func (m *message) answer(r *refusal, source netip.AddrPort, tag string) []byte {
	if r.code == 0 || m.method == "" || m.method == "ACK" {
		return nil
	}
	values := m.get("Via")
	if len(values) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("SIP/2.0 " + strconv.Itoa(r.code) + " " + r.reason + "\r\n")
	if m.vias != nil {
		for i, v := range m.vias {
			if i == 0 {
				v = stamped(v, source)
			}
			b.WriteString("Via: " + v.String() + "\r\n")
		}
	} else {
		for _, v := range values {
			b.WriteString("Via: " + v + "\r\n")
		}
	}
	for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
		v := m.first(name)
		if v == "" {
			continue
		}
		if name == "To" && !strings.Contains(strings.ToLower(v), "tag") {
			v += ";tag=" + tag
		}
		b.WriteString(name + ": " + v + "\r\n")
	}
	for _, f := range r.headers {
		b.WriteString(f.name + ": " + f.value + "\r\n")
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return []byte(b.String())
}

// stamped is v with received, and with the port if rport asked for it (RFC
// 3581, section 4).
func stamped(v via, source netip.AddrPort) via {
	params := make([]param, 0, len(v.params)+2)
	for _, p := range v.params {
		switch p.name {
		case "received":
		case "rport":
			params = append(params, param{"rport", strconv.Itoa(int(source.Port())), true})
		default:
			params = append(params, p)
		}
	}
	v.params = append(params, param{"received", source.Addr().Unmap().String(), true})
	return v
}

// replyTo is where the answer to m goes over UDP (RFC 3261, section 18.2.2; RFC
// 3581): the source's address, always.
func (m *message) replyTo(source netip.AddrPort) netip.AddrPort {
	if len(m.vias) == 0 {
		return source
	}
	if _, ok := m.vias[0].param("rport"); ok {
		return source
	}
	port := m.vias[0].port
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(source.Addr(), uint16(port))
}
