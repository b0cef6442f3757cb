package stirshaken

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// Identity is one parsed Identity header field value (RFC 8224, section 4).
// The zero value is no header.
type Identity struct {
	Token string // the digest string, as received: full or compact form
	Info  string // the URI of the info parameter, without brackets
	Alg   string // the alg parameter; empty when absent, which means ES256
	PPT   string // the ppt parameter, unquoted; empty when absent
	Extra int    // parameters that RFC 8224 does not name; they are ignored
}

// ParseIdentity reads one Identity header field value, folded or not. The name
// and colon are not part of it. It checks the syntax only; a nil Refusal says
// nothing about the token.
func ParseIdentity(value string) (Identity, *Refusal) {
	var id Identity
	if len(value) > MaxIdentityBytes {
		return id, refuse(ReasonHeaderTooLong, strconv.Itoa(len(value))+" bytes")
	}
	// A token in front, which is most of the header, needs no further look.
	clean := 0
	for clean < len(value) && tokenByte[value[clean]] {
		clean++
	}
	if i := badByte(value[clean:]); i >= 0 {
		return id, refuse(ReasonControlByte, "at byte "+strconv.Itoa(clean+i))
	}
	value = strings.Trim(value, lws)
	end := strings.IndexByte(value, ';')
	if end < 0 {
		id.Token = value
		if strings.ContainsAny(value, lws) || value == "" {
			return id, refuse(ReasonHeaderSyntax, "no token before the parameters")
		}
		return id, refuse(ReasonInfoMissing, "the header has no parameters")
	}
	id.Token = strings.TrimRight(value[:end], lws)
	if id.Token == "" {
		return id, refuse(ReasonHeaderSyntax, "no token before the parameters")
	}
	if len(id.Token) != clean && strings.ContainsAny(id.Token, lws+`,"<>`) {
		return id, refuse(ReasonHeaderSyntax, "white space or a separator inside the token")
	}
	if r := id.params(value[end:]); r != nil {
		return id, r
	}
	if id.Info == "" {
		return id, refuse(ReasonInfoMissing, "")
	}
	return id, nil
}

const lws = " \t\r\n"

// tokenByte tells base64url and dots.
var tokenByte = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") {
		t[c] = true
	}
	return t
}()

// badByte finds the first byte that no Identity header may hold: outside
// printable ASCII, except a tab and a CR LF that is followed by a blank (a
// fold, RFC 3261, section 7.3.1).
func badByte(s string) int {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 0x20 && c < 0x7f || c == '\t':
		case c == '\r' && i+2 < len(s) && s[i+1] == '\n' && (s[i+2] == ' ' || s[i+2] == '\t'):
			i += 2
		default:
			return i
		}
	}
	return -1
}

// params reads *( SEMI param ), where s starts with the first semicolon.
func (id *Identity) params(s string) *Refusal {
	var seenInfo, seenAlg, seenPPT bool
	for s != "" {
		if s[0] != ';' {
			return refuse(ReasonHeaderSyntax, "semicolon expected before "+strconv.Quote(clip(s)))
		}
		s = strings.TrimLeft(s[1:], lws)
		name, rest := cutToken(s)
		if name == "" {
			return refuse(ReasonHeaderSyntax, "parameter name expected")
		}
		rest = strings.TrimLeft(rest, lws)
		value, uri := "", false
		if strings.HasPrefix(rest, "=") {
			var r *Refusal
			if value, rest, uri, r = paramValue(name, strings.TrimLeft(rest[1:], lws)); r != nil {
				return r
			}
		}
		s = strings.TrimLeft(rest, lws)
		dup := false
		switch {
		case strings.EqualFold(name, "info"):
			dup, seenInfo = seenInfo, true
			if !uri || value == "" || len(value) > MaxURIBytes || strings.ContainsAny(value, lws+`<"`) {
				return refuse(ReasonInfoSyntax, "")
			}
			id.Info = value
		case strings.EqualFold(name, "alg"):
			dup, seenAlg = seenAlg, true
			id.Alg = value
			if uri || value == "" {
				return refuse(ReasonAlgParam, strconv.Quote(clip(value)))
			}
		case strings.EqualFold(name, "ppt"):
			dup, seenPPT = seenPPT, true
			id.PPT = value
			if uri || value == "" {
				return refuse(ReasonHeaderSyntax, "empty ppt parameter")
			}
		default:
			id.Extra++
		}
		if dup {
			return refuse(ReasonDuplicateParam, strings.ToLower(name))
		}
	}
	return nil
}

// paramValue reads <URI>, a quoted string or a token.
func paramValue(name, s string) (value, rest string, uri bool, r *Refusal) {
	switch {
	case strings.HasPrefix(s, "<"):
		end := strings.IndexByte(s, '>')
		if end < 0 {
			return "", "", false, refuse(ReasonInfoSyntax, "bracket not closed")
		}
		return s[1:end], s[end+1:], true, nil
	case strings.HasPrefix(s, `"`):
		value, rest, ok := cutQuoted(s)
		if !ok {
			return "", "", false, refuse(ReasonHeaderSyntax, "quote not closed")
		}
		return value, rest, false, nil
	default:
		value, rest = cutToken(s)
		if value == "" {
			if strings.EqualFold(name, "info") {
				return "", "", false, refuse(ReasonInfoSyntax, "")
			}
			return "", "", false, refuse(ReasonHeaderSyntax, "value expected for "+clip(name))
		}
		return value, rest, false, nil
	}
}

// cutToken takes a token (RFC 3261, section 25.1) from the front of s; colon
// and slash are let through, since generic parameters may be hosts.
func cutToken(s string) (token, rest string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-.!%*_+`'~[]:/", c) >= 0:
		default:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// cutQuoted takes a quoted-string with its escapes undone.
func cutQuoted(s string) (value, rest string, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			value = s[1:i]
			if strings.IndexByte(value, '\\') >= 0 {
				var b strings.Builder
				for j := 0; j < len(value); j++ {
					if value[j] == '\\' && j+1 < len(value) {
						j++
					}
					b.WriteByte(value[j])
				}
				value = b.String()
			}
			return value, s[i+1:], true
		case '\\':
			i++
		}
	}
	return "", "", false
}

// rawURL is base64url without padding. Decoding with it still skips CR and LF
// and needs Strict for the trailing bits; decode64 sees to both.
var rawURL = base64.RawURLEncoding.Strict()

// decode64 appends the bytes of strict base64url (RFC 7515, section 2): no
// padding, no line breaks, canonical trailing bits.
func decode64(dst []byte, s string) ([]byte, bool) {
	if strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0 {
		return nil, false // the decoder skips them
	}
	n := rawURL.DecodedLen(len(s))
	from := len(dst)
	dst = slices.Grow(dst, n)[:from+n]
	// Reading the string as bytes without a copy would need unsafe; a copy into
	// a small room on the stack is nearly as cheap.
	var room [1024]byte
	src := append(room[:0], s...)
	n, err := rawURL.Decode(dst[from:], src)
	return dst[:from+n], err == nil
}

func isBase64URL(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
