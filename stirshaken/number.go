package stirshaken

import (
	"strings"

	"github.com/ringfence/ringfence"
)

// Home says how numbers without a country code are read (RFC 8224, section
// 8.3, leaves it to local policy). The zero value adds nothing: digits without
// a plus sign are compared as they stand.
type Home struct {
	Country        string // E.164 country code without plus, e.g. "44"; "" means none
	International  string // prefix of international calls, e.g. "00" or "011"
	Trunk          string // prefix of national calls, e.g. "0"
	NationalDigits int    // length of a national number dialled without trunk prefix; 0 means never
}

// Canonical gives the canonical form of a dialled or presented number (RFC
// 8224, section 8.3): visual separators and the plus sign removed, the home
// country added where the number has none. ok is false for anything that is
// not digits, * and # after that, or has more than MaxNumberDigits.
func (h Home) Canonical(number string) (tn ringfence.TN, ok bool) {
	global := false
	if rest, plus := strings.CutPrefix(strings.TrimLeft(number, " \t"), "+"); plus {
		number, global = rest, true
	}
	clean := true
	for i := range len(number) {
		if c := number[i]; c < '0' || c > '9' {
			clean = false
			break
		}
	}
	if !clean {
		var b strings.Builder
		for i := range len(number) {
			switch c := number[i]; {
			case c >= '0' && c <= '9':
				b.WriteByte(c)
			case !global && (c == '*' || c == '#'):
				b.WriteByte(c)
			case c == '-' || c == '.' || c == '(' || c == ')' || c == ' ' || c == '\t':
			default:
				return "", false
			}
		}
		number = b.String()
	}
	if !global {
		number = h.globalise(number)
	}
	if number == "" || len(number) > MaxNumberDigits {
		return "", false
	}
	return ringfence.TN(number), true
}

func (h Home) globalise(n string) string {
	if h.International != "" {
		if rest, ok := strings.CutPrefix(n, h.International); ok && len(rest) > 6 {
			return rest
		}
	}
	if h.Country == "" {
		return n
	}
	if h.Trunk != "" {
		if rest, ok := strings.CutPrefix(n, h.Trunk); ok && len(rest) > 4 {
			return h.Country + rest
		}
	}
	if h.NationalDigits > 0 && len(n) == h.NationalDigits {
		return h.Country + n
	}
	return n
}

// canonicalTN reports whether a tn claim is in canonical form: digits, * and #
// only (RFC 8225, section 5.2.1). A claim is never repaired.
func canonicalTN(s string) bool {
	if s == "" || len(s) > MaxNumberDigits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '*' && c != '#' {
			return false
		}
	}
	return true
}

// Party is a caller or called party: a canonical number, or a URI where there
// is no number. The zero value is nobody and equals nobody.
type Party struct {
	TN  ringfence.TN
	URI string
}

// Zero reports whether p is nobody.
func (p Party) Zero() bool { return p == Party{} }

// Equal compares whole strings, never prefixes. Nobody equals nobody.
func (p Party) Equal(q Party) bool { return !p.Zero() && p == q }

// Masked is the party as logs may show it.
func (p Party) Masked() string {
	if p.TN != "" {
		return p.TN.Masked()
	}
	scheme, _, _ := strings.Cut(p.URI, ":")
	if scheme == "" {
		return ""
	}
	return clip(scheme) + ":…"
}

// address is what one name-addr or addr-spec says.
type address struct {
	party   Party
	uri     string // as received
	verstat string // the verstat parameter of the number; "" when absent
	tag     string // the tag header parameter
	display string // display name, unquoted
}

// parseAddress reads a From, To or P-Asserted-Identity value with one address,
// or a bare URI. ok is false when it names nobody.
func (h Home) parseAddress(field string) (a address, ok bool) {
	if len(field) > MaxFieldBytes {
		return a, false
	}
	field = strings.Trim(field, lws)
	uri, params := field, ""
	if strings.HasPrefix(field, `"`) {
		display, rest, ok := cutQuoted(field)
		if !ok {
			return a, false
		}
		a.display, field = display, rest
		uri = ""
	}
	if open := strings.IndexByte(field, '<'); open >= 0 {
		if a.display == "" {
			a.display = strings.Trim(field[:open], lws)
		}
		end := strings.IndexByte(field[open:], '>')
		if end < 0 {
			return a, false
		}
		uri, params = field[open+1:open+end], field[open+end+1:]
	} else if uri == "" {
		return a, false
	} else if strings.HasPrefix(strings.ToLower(uri[:min(4, len(uri))]), "sip") || !strings.Contains(uri, "verstat") {
		// Without brackets, parameters belong to the header field, not to the
		// URI (RFC 3261, section 20.10).
		uri, params, _ = strings.Cut(uri, ";")
		params = ";" + params
	}
	a.tag = paramOf(params, "tag")
	a.uri = strings.Trim(uri, lws)
	a.party, a.verstat, ok = h.parseURI(a.uri)
	return a, ok
}

// is reports whether a signed party is this address: a tn by the canonical
// number, a uri by the normal form of the URI.
func (a address) is(p Party) bool {
	if p.TN != "" {
		return p.TN == a.party.TN
	}
	if p.URI == "" {
		return false
	}
	n, ok := normalURI(a.uri)
	return ok && n == p.URI
}

// paramOf finds ;name=value outside brackets.
func paramOf(params, name string) string {
	for params != "" {
		var one string
		one, params, _ = strings.Cut(params, ";")
		k, v, _ := strings.Cut(one, "=")
		if strings.EqualFold(strings.Trim(k, lws), name) {
			return strings.Trim(v, lws)
		}
	}
	return ""
}

// parseURI reads a sip, sips or tel URI into a party: the number when the user
// part is one (RFC 8224, section 8.1), else the URI in the form of normalURI.
func (h Home) parseURI(uri string) (p Party, verstat string, ok bool) {
	if len(uri) > MaxURIBytes {
		return p, "", false
	}
	scheme, rest, found := strings.Cut(uri, ":")
	if !found || rest == "" {
		return p, "", false
	}
	if strings.EqualFold(scheme, "tel") {
		return h.telephone(rest)
	}
	if strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips") {
		if user, _, has := cutLast(rest, '@'); has {
			user, _, _ = strings.Cut(user, ":")
			if p, verstat, ok = h.telephone(user); ok {
				return p, verstat, true
			}
		}
	}
	p.URI, ok = normalURI(uri)
	return p, "", ok
}

// normalURI is the form in which URIs are compared (RFC 8224, section 8.5):
// scheme and host in lower case, the user part kept with its percent-encoding
// undone, no parameters and no headers.
func normalURI(uri string) (string, bool) {
	if len(uri) > MaxURIBytes || badByte(uri) >= 0 || strings.ContainsAny(uri, " \t\r\n<>\"") {
		return "", false
	}
	scheme, rest, found := strings.Cut(uri, ":")
	if !found || rest == "" || scheme == "" {
		return "", false
	}
	scheme = strings.ToLower(scheme)
	if scheme != "sip" && scheme != "sips" {
		return scheme + ":" + rest, true
	}
	user, host, has := cutLast(rest, '@')
	if !has {
		user, host = "", rest
	}
	host, _, _ = strings.Cut(host, ";")
	host, _, _ = strings.Cut(host, "?")
	user, _, _ = strings.Cut(user, ":")
	user, ok := unescape(user)
	if host == "" || !ok || has && user == "" {
		return "", false
	}
	if has {
		user += "@"
	}
	return scheme + ":" + user + strings.ToLower(host), true
}

// telephone reads a telephone-subscriber: digits and ;parameters.
func (h Home) telephone(s string) (p Party, verstat string, ok bool) {
	if strings.IndexByte(s, '%') >= 0 {
		if s, ok = unescape(s); !ok {
			return p, "", false
		}
	}
	number, params, has := strings.Cut(s, ";")
	if has {
		verstat = paramOf(params, "verstat")
		context := strings.Trim(paramOf(params, "phone-context"), `"`)
		if strings.HasPrefix(context, "+") && !strings.HasPrefix(number, "+") {
			number = context + number
		}
	}
	tn, ok := h.Canonical(number)
	return Party{TN: tn}, verstat, ok
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// unescape undoes percent-encoding once; control bytes, NUL among them, and
// half escapes are refused.
func unescape(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			hi, ok1 := unhex(s, i+1)
			lo, ok2 := unhex(s, i+2)
			if !ok1 || !ok2 {
				return "", false
			}
			c = hi<<4 | lo
			i += 2
		}
		if c < 0x20 || c == 0x7f {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

func unhex(s string, i int) (byte, bool) {
	if i >= len(s) {
		return 0, false
	}
	switch c := s[i]; {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}

// splitAddresses cuts a header field value at the commas outside quotes and
// brackets: P-Asserted-Identity may hold a sip and a tel URI (RFC 3325,
// section 9.1).
func splitAddresses(field string) []string {
	if len(field) > MaxFieldBytes {
		return nil
	}
	if strings.IndexByte(field, ',') < 0 {
		return []string{field}
	}
	var out []string
	from, quoted, bracket := 0, false, false
	for i := 0; i < len(field); i++ {
		switch c := field[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !bracket:
			quoted = !quoted
		case quoted:
		case c == '<':
			bracket = true
		case c == '>':
			bracket = false
		case c == ',' && !bracket:
			out = append(out, field[from:i])
			from = i + 1
		}
	}
	return append(out, field[from:])
}
