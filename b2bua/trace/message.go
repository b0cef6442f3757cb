package trace

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Message is one SIP message on the wire. Raw is the sender's again when the
// function that got the Message returns.
type Message struct {
	At        time.Time
	Received  bool
	Transport string // udp, tcp, tls
	Local     netip.AddrPort
	Peer      netip.AddrPort
	Raw       []byte
}

// maxMask bounds what is masked; longer messages do not pass the fence.
const maxMask = 64 << 10

// head splits off the lines of the head, without their ends.
func head(raw []byte) (lines []string, body []byte) {
	top, body, _ := bytes.Cut(raw[:min(len(raw), maxMask)], []byte("\r\n\r\n"))
	return strings.Split(string(top), "\r\n"), body
}

// long gives the name of a compact header field (RFC 3261, section 7.3.3).
var long = map[string]string{"i": "call-id", "m": "contact", "l": "content-length", "c": "content-type", "f": "from", "s": "subject",
	"k": "supported", "t": "to", "v": "via"}

func fieldOf(line string) (name, value string) {
	name, value, _ = strings.Cut(line, ":")
	name = strings.ToLower(strings.TrimSpace(name))
	if l := long[name]; l != "" {
		name = l
	}
	return name, strings.TrimSpace(value)
}

// summary is what the ladder shows of a message.
type summary struct{ what, callID, cseq string }

var crlf = []byte("\r\n")

// summarise reads the first line, Call-ID and CSeq. What it returns is copied: a
// ladder that held on to whole messages took 3 KiB a call.
func summarise(raw []byte) (s summary, ok bool) {
	top, _, _ := bytes.Cut(raw[:min(len(raw), maxMask)], []byte("\r\n\r\n"))
	line, rest, more := bytes.Cut(top, crlf)
	s.what = strings.Clone(startOf(string(line)))
	for more {
		line, rest, more = bytes.Cut(rest, crlf)
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch name = bytes.TrimSpace(name); {
		case len(name) == 1 && name[0]|0x20 == 'i', bytes.EqualFold(name, []byte("call-id")):
			s.callID = string(bytes.TrimSpace(value))
		case bytes.EqualFold(name, []byte("cseq")):
			s.cseq = plain(string(bytes.TrimSpace(value)), 32)
		}
	}
	return s, s.what != "" && s.callID != ""
}

// startOf is the method of a request, or status and reason of a response.
func startOf(line string) string {
	if rest, ok := strings.CutPrefix(line, "SIP/2.0 "); ok {
		code, phrase, _ := strings.Cut(rest, " ")
		if n, err := strconv.Atoi(code); err != nil || n < 100 || n > 699 {
			return ""
		}
		return strings.TrimSpace(code + " " + plain(maskDigits(phrase), 40))
	}
	method, _, ok := strings.Cut(line, " ")
	if !ok || method == "" || len(method) > 16 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return method
}

// plain keeps printable ASCII, at most n characters.
func plain(s string, n int) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s[:min(len(s), n)])
}

// open are the header fields that are shown, their URIs masked. All others are
// named only.
var open = []string{"via", "from", "to", "call-id", "cseq", "contact", "record-route", "route", "max-forwards", "allow", "supported", "require",
	"unsupported", "session-expires", "min-se", "rseq", "rack", "reason", "retry-after", "content-type", "content-length", "accept", "expires",
	"server", "user-agent", "warning", "timestamp", "content-disposition", "date"}

// verbatim are those that hold no address of a person.
var verbatim = []string{"via", "call-id", "cseq", "max-forwards", "content-length", "session-expires", "min-se", "rseq", "rack", "retry-after", "expires", "timestamp", "date"}

// Mask returns a copy of a SIP message that names nobody and opens nothing:
// users of URIs and every longer run of digits down to their last two, no
// display name, header fields outside the list without their values, keys out
// of SDP, any other body by its length. The length of the body is put right.
func Mask(raw []byte) []byte {
	lines, body := head(raw)
	kind := ""
	for _, l := range lines[1:] {
		if name, value := fieldOf(l); name == "content-type" {
			kind = strings.ToLower(value)
		}
	}
	masked := maskBody(kind, body)
	var out bytes.Buffer
	out.WriteString(maskStart(lines[0]) + "\r\n")
	for _, l := range lines[1:] {
		if l == "" || l[0] == ' ' || l[0] == '\t' {
			continue // a folded line: nothing of it is kept
		}
		name, value := fieldOf(l)
		shown, _, _ := strings.Cut(l, ":")
		switch {
		case !slices.Contains(open, name):
			value = fmt.Sprintf("(%d octets)", len(value))
		case name == "content-length":
			value = strconv.Itoa(len(masked))
		case !slices.Contains(verbatim, name):
			value = maskURIs(value)
		}
		fmt.Fprintf(&out, "%s: %s\r\n", plain(shown, 64), plain(value, 4096))
	}
	out.WriteString("\r\n")
	out.Write(masked)
	return out.Bytes()
}

func maskStart(line string) string {
	if strings.HasPrefix(line, "SIP/2.0 ") {
		return plain(maskDigits(line[:min(8, len(line))])+maskReason(line[8:]), 200)
	}
	method, rest, _ := strings.Cut(line, " ")
	return plain(method+" "+maskURIs(rest), 600)
}

// maskReason keeps the status and masks digits behind it.
func maskReason(s string) string {
	code, phrase, ok := strings.Cut(s, " ")
	if !ok {
		return s
	}
	return code + " " + maskDigits(phrase)
}

// maskURIs drops display names and masks the user of every URI.
func maskURIs(v string) string {
	if i := strings.IndexByte(v, '<'); i > 0 {
		v = v[i:] // the display name
	}
	var out strings.Builder
	for v != "" {
		i := strings.IndexAny(v, ":")
		if i < 0 {
			break
		}
		scheme := strings.ToLower(v[:i])
		out.WriteString(maskDigits(v[:i+1]))
		v = v[i+1:]
		switch {
		case strings.HasSuffix(scheme, "tel"):
			n := strings.IndexAny(v, ";>, ")
			if n < 0 {
				n = len(v)
			}
			out.WriteString(maskUser(v[:n]))
			v = v[n:]
		case strings.HasSuffix(scheme, "sip"), strings.HasSuffix(scheme, "sips"):
			end := strings.IndexAny(v, ">, ")
			if end < 0 {
				end = len(v)
			}
			if at := strings.LastIndexByte(v[:end], '@'); at >= 0 {
				out.WriteString(maskUser(v[:at]))
				rest := v[at:end]
				out.WriteString(keepHost(rest))
			} else {
				out.WriteString(keepHost(v[:end]))
			}
			v = v[end:]
		}
	}
	out.WriteString(maskDigits(v))
	return out.String()
}

// keepHost keeps host and port, and masks what follows.
func keepHost(v string) string {
	host, params, ok := strings.Cut(v, ";")
	if !ok {
		return host
	}
	return host + ";" + maskDigits(params)
}

// maskUser leaves the last two characters of a user.
func maskUser(u string) string {
	if len(u) <= 2 {
		return strings.Repeat("*", len(u))
	}
	return strings.Repeat("*", min(len(u)-2, 16)) + u[len(u)-2:]
}

// maskDigits masks runs of five digits and more.
func maskDigits(s string) string {
	out := []byte(s)
	for i := 0; i < len(out); {
		n := i
		for n < len(out) && out[n] >= '0' && out[n] <= '9' {
			n++
		}
		if n-i >= 5 {
			for k := i; k < n-2; k++ {
				out[k] = '*'
			}
		}
		i = max(n, i+1)
	}
	return string(out)
}

// maskBody keeps a description of media without its keys.
func maskBody(kind string, body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	if !strings.HasPrefix(kind, "application/sdp") {
		return fmt.Appendf(nil, "(%d octets)", len(body))
	}
	var out bytes.Buffer
	for l := range strings.SplitSeq(strings.TrimRight(string(body), "\r\n"), "\n") {
		l = strings.TrimRight(l, "\r")
		switch {
		case len(l) < 2 || l[1] != '=':
			continue
		case strings.HasPrefix(l, "a=crypto:"):
			tag, rest, _ := strings.Cut(l, " ")
			suite, _, _ := strings.Cut(rest, " ")
			l = tag + " " + suite + " inline:****"
		case strings.HasPrefix(l, "a=ice-pwd:"), strings.HasPrefix(l, "a=key-mgmt:"), strings.HasPrefix(l, "a=identity:"), l[0] == 'k':
			l, _, _ = strings.Cut(l, ":")
			l = l[:min(len(l), 12)] + ":****"
		case l[0] == 'a', l[0] == 'v', l[0] == 'm', l[0] == 'c', l[0] == 't', l[0] == 'o', l[0] == 'b':
		default: // s= i= u= e= p= may name people
			l = l[:2] + "-"
		}
		out.WriteString(plain(l, 512) + "\r\n")
	}
	return out.Bytes()
}
