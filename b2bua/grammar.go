package b2bua

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// param is one ;name=value of a header field; has tells "" from no value.
type param struct {
	name, value string
	has         bool
}

func (p param) appendTo(b []byte) []byte {
	if !p.has {
		return strs(b, ";", p.name)
	}
	return strs(b, ";", p.name, "=", p.value)
}

// via is one Via value (RFC 3261, section 20.42).
type via struct {
	transport string
	host      string
	port      int // 0 = not stated
	params    []param
}

func (v via) String() string { return string(v.appendTo(nil)) }

func (v via) appendTo(b []byte) []byte {
	b = strs(b, "SIP/2.0/", v.transport, " ", v.host)
	if v.port != 0 {
		b = strconv.AppendInt(strs(b, ":"), int64(v.port), 10)
	}
	for _, p := range v.params {
		b = p.appendTo(b)
	}
	return b
}

func (v via) param(name string) (param, bool) { return findParam(v.params, name) }

func findParam(ps []param, name string) (param, bool) {
	for _, p := range ps {
		if p.name == name {
			return p, true
		}
	}
	return param{}, false
}

// nameAddr is a From, To, Contact or Route value.
type nameAddr struct {
	display string // as received, quotes included
	uri     string
	params  []param
}

func (a nameAddr) String() string { return string(a.appendTo(nil)) }

func (a nameAddr) appendTo(b []byte) []byte {
	if a.display != "" {
		b = strs(b, a.display, " ")
	}
	b = strs(b, "<", a.uri, ">")
	for _, p := range a.params {
		b = p.appendTo(b)
	}
	return b
}

func (a nameAddr) tag() string {
	p, _ := findParam(a.params, "tag")
	return p.value
}

// splitOutside cuts s at every sep that stands outside quotes and angle
// brackets. It reports false when either is left open.
func splitOutside(s string, sep byte) ([]string, bool) {
	var out []string
	quoted, angle, start := false, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<' && angle, c == '>' && !angle:
			return nil, false
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == sep && !angle:
			out = append(out, strings.Trim(s[start:i], " \t"))
			start = i + 1
		}
	}
	return append(out, strings.Trim(s[start:], " \t")), !quoted && !angle
}

// splitList cuts a header field value at its commas; no part may be empty.
func splitList(s string) ([]string, bool) {
	parts, ok := splitOutside(s, ',')
	for _, p := range parts {
		ok = ok && p != ""
	}
	return parts, ok
}

func parseParams(parts []string) ([]param, error) {
	var out []param
	for _, p := range parts {
		name, value, has := strings.Cut(p, "=")
		name, value = strings.ToLower(strings.TrimRight(name, " \t")), strings.TrimLeft(value, " \t")
		if !isToken(name) || has && value == "" {
			return nil, errors.New("bad parameter")
		}
		if has && value[0] != '"' && !isParamValue(value) {
			return nil, errors.New("bad parameter value")
		}
		if has && value[0] == '"' && !isQuoted(value) {
			return nil, errors.New("bad quoted parameter")
		}
		if _, dup := findParam(out, name); dup {
			return nil, errors.New("parameter given twice")
		}
		out = append(out, param{name, value, has})
	}
	return out, nil
}

// isParamValue allows a token or a host, IPv6 included.
func isParamValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isToken(string(c)) && strings.IndexByte("[]:@/?&$", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isQuoted is quoted-string of RFC 3261, section 25.1, with nothing after it.
func isQuoted(s string) bool {
	if len(s) < 2 || s[0] != '"' {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i == len(s)-1
		}
	}
	return false
}

// parseVias reads all Via values of a message, top first.
func parseVias(values []string) ([]via, error) {
	var out []via
	for _, value := range values {
		parts, ok := splitList(value)
		if !ok {
			return nil, errors.New("bad Via list")
		}
		for _, p := range parts {
			v, err := parseVia(p)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no Via")
	}
	return out, nil
}

func parseVia(s string) (via, error) {
	parts, ok := splitOutside(s, ';')
	if !ok {
		return via{}, errors.New("bad Via")
	}
	// sent-protocol may have space around its slashes; sent-by follows a space.
	proto := strings.SplitN(parts[0], "/", 3)
	if len(proto) != 3 || !strings.EqualFold(strings.Trim(proto[0], " \t"), "SIP") || strings.Trim(proto[1], " \t") != "2.0" {
		return via{}, errors.New("Via is not SIP/2.0")
	}
	last := strings.Fields(proto[2])
	if len(last) < 2 || !isToken(last[0]) {
		return via{}, errors.New("bad Via transport or sent-by")
	}
	host, port, err := hostPort(strings.Join(last[1:], ""))
	if err != nil {
		return via{}, err
	}
	params, err := parseParams(parts[1:])
	if err != nil {
		return via{}, err
	}
	return via{strings.ToUpper(last[0]), host, port, params}, nil
}

// hostPort reads a domain name, an IPv4 address or an IPv6 reference, with an
// optional port.
func hostPort(s string) (string, int, error) {
	host, portText, hasPort := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, errors.New("bad IPv6 reference")
		}
		if a, err := netip.ParseAddr(s[1:end]); err != nil || !a.Is6() || a.Zone() != "" {
			return "", 0, errors.New("bad IPv6 reference")
		}
		host = s[:end+1]
		switch rest := s[end+1:]; {
		case rest == "":
		case rest[0] == ':':
			portText, hasPort = rest[1:], true
		default:
			return "", 0, errors.New("bad IPv6 reference")
		}
	} else {
		host, portText, hasPort = strings.Cut(s, ":")
		if !isHost(host) {
			return "", 0, errors.New("bad host")
		}
	}
	if !hasPort {
		return host, 0, nil
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 || portText[0] == '+' {
		return "", 0, errors.New("bad port")
	}
	return host, int(n), nil
}

// isHost allows the letters of a domain name or IPv4 address, and the
// underscore that some hosts have.
func isHost(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' {
			continue
		}
		return false
	}
	return s != "" && len(s) <= 255
}

// parseNameAddr reads one From, To, Contact or Route value.
func parseNameAddr(s string) (nameAddr, error) {
	parts, ok := splitOutside(s, ';')
	if !ok {
		return nameAddr{}, errors.New("quote or bracket left open")
	}
	a := nameAddr{uri: parts[0]}
	if lt := bracket(parts[0]); lt >= 0 {
		gt := strings.LastIndexByte(parts[0], '>')
		if gt != len(parts[0])-1 {
			return a, errors.New("text after the address")
		}
		a.display, a.uri = strings.TrimRight(parts[0][:lt], " \t"), parts[0][lt+1:gt]
		if err := displayName(a.display); err != nil {
			return a, err
		}
	} else if strings.ContainsAny(a.uri, ",?\" \t<>") {
		// RFC 3261, section 20.10: such an address must stand in brackets.
		return a, errors.New("address must stand in brackets")
	}
	if a.uri == "" || hasControl(a.uri) || strings.ContainsAny(a.uri, " \t<>\"") {
		return a, errors.New("bad address")
	}
	scheme, err := schemeOf(a.uri)
	if err != nil {
		return a, err
	}
	if scheme == "sip" || scheme == "sips" {
		if err := checkSIPURI(a.uri); err != nil {
			return a, err
		}
	}
	a.params, err = parseParams(parts[1:])
	return a, err
}

// bracket is the place of the < outside quotes, or -1.
func bracket(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '<' && !quoted:
			return i
		}
	}
	return -1
}

// displayName allows a quoted string or tokens.
func displayName(s string) error {
	if s == "" || isQuoted(s) {
		return nil
	}
	for _, w := range strings.Fields(s) {
		if !isToken(w) {
			return errors.New("bad display name")
		}
	}
	return nil
}

func schemeOf(uri string) (string, error) {
	scheme, rest, ok := strings.Cut(uri, ":")
	scheme = strings.ToLower(scheme)
	if !ok || rest == "" || scheme == "" || scheme[0] < 'a' || scheme[0] > 'z' || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return "", errors.New("no scheme")
	}
	return scheme, nil
}

// checkSIPURI judges a sip: or sips: URI (RFC 3261, section 19.1.1).
func checkSIPURI(uri string) error {
	if len(uri) > maxURIBytes {
		return errors.New("URI too long")
	}
	_, rest, _ := strings.Cut(uri, ":")
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		if c <= 0x20 || c >= 0x7f || strings.IndexByte("<>\"\\^`{|}", c) >= 0 {
			return errors.New("character not allowed in a URI")
		}
		if c == '%' && (i+2 >= len(rest) || !isHex(rest[i+1]) || !isHex(rest[i+2])) {
			return errors.New("bad escape in a URI")
		}
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if at == 0 || strings.IndexByte(rest[:at], '@') >= 0 {
			return errors.New("bad user part")
		}
		rest = rest[at+1:]
	}
	if end := strings.IndexAny(rest, ";?"); end >= 0 {
		rest = rest[:end]
	}
	_, _, err := hostPort(rest)
	return err
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
