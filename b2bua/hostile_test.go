package b2bua_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// kind is one sort of hostile message and what it owes: a status, refused for any
// final one from 400 up, or silent.
type kind struct {
	class, name string
	raw         string
	want        int
}

const (
	refused = -1 // any final response from 400 to 699
	silent  = 0
	lost    = -2 // the framing of a stream is: an answer or the end of it
)

// message is one request in parts, so that each can be spoilt by itself.
type parts struct {
	method, uri, version string
	fields               []string
	body                 string
}

func newParts(method string) parts {
	p := parts{method: method, uri: "sip:4400@127.0.0.1", version: "SIP/2.0", fields: []string{
		"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK@@;rport", "Max-Forwards: 70", "From: \"A\" <sip:441632960000@127.0.0.1>;tag=f@@",
		"To: <sip:4400@127.0.0.1>", "Call-ID: @@", "CSeq: 7 " + method, "Contact: <sip:a@127.0.0.1:5060>"}}
	if method == "INVITE" {
		p = p.with(plainSDP)
	}
	return p
}

const plainSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"

// with gives the request a description.
func (p parts) with(sdp string) parts {
	p.fields = append(slices.Clone(p.fields), "Content-Type: application/sdp")
	p.body = sdp
	return p
}

// set replaces the field called name, or takes it away when value is empty.
func (p parts) set(name, line string) parts {
	p.fields = slices.Clone(p.fields)
	for i, f := range p.fields {
		if strings.HasPrefix(f, name+":") {
			if line == "" {
				p.fields = slices.Delete(p.fields, i, i+1)
			} else {
				p.fields[i] = line
			}
			return p
		}
	}
	p.fields = append(p.fields, line)
	return p
}

func (p parts) add(lines ...string) parts {
	p.fields = append(slices.Clone(p.fields), lines...)
	return p
}

func (p parts) String() string {
	return p.method + " " + p.uri + " " + p.version + "\r\n" + strings.Join(p.fields, "\r\n") +
		fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(p.body)) + p.body
}

var methods = []string{"INVITE", "OPTIONS", "BYE", "CANCEL", "INFO", "UPDATE", "PRACK", "REGISTER", "NOTIFY", "REFER", "MESSAGE", "SUBSCRIBE", "PUBLISH"}

// hostile is the table. Each generator names a class of mistake or attack and
// spells it out for every place where it can stand.
func hostile() []kind {
	return slices.Concat(missing(), doubled(), controls(), numbers(), uris(), lines(), sizes(), descriptions(), opusLines(), bodies(), extensions(), dialogs(), responses(), names(), advisories())
}

// missing leaves out what every request needs (RFC 3261, section 8.1.1).
func missing() (out []kind) {
	for _, m := range methods {
		for _, f := range []string{"From", "To", "Call-ID", "CSeq"} {
			out = append(out, kind{"missing", m + " without " + f, newParts(m).set(f, "").String(), 400})
		}
	}
	out = append(out, kind{"missing", "INVITE without Contact", newParts("INVITE").set("Contact", "").String(), 400},
		kind{"missing", "From tag", newParts("INVITE").set("From", "From: <sip:a@127.0.0.1>").String(), 400},
		kind{"missing", "ACK without From", newParts("ACK").set("From", "").String(), silent},
		kind{"missing", "ACK without To", newParts("ACK").set("To", "").String(), silent},
		kind{"missing", "every field", "INVITE sip:4400@127.0.0.1 SIP/2.0\r\nContent-Length: 0\r\n\r\n", silent})
	for _, f := range []string{"From", "To", "Call-ID", "CSeq", "Contact", "Content-Type", "Max-Forwards"} {
		out = append(out, kind{"missing", "value of " + f, newParts("INVITE").set(f, f+":").String(), refused})
	}
	return out
}

// doubled says a thing twice, so that two readers could see two messages.
func doubled() (out []kind) {
	for name, line := range map[string]string{"From": "From: <sip:b@127.0.0.1>;tag=2", "f": "f: <sip:b@127.0.0.1>;tag=2", "To": "To: <sip:b@127.0.0.1>",
		"t": "t: <sip:b@127.0.0.1>", "Call-ID": "Call-ID: other", "i": "i: other", "CSeq": "CSeq: 8 INVITE", "Max-Forwards": "Max-Forwards: 1",
		"Content-Type": "Content-Type: text/plain", "c": "c: text/plain", "Contact": "Contact: <sip:b@127.0.0.1>", "m": "m: <sip:b@127.0.0.1>",
		"Content-Length": "Content-Length: 3", "l": "l: 3"} {
		out = append(out, kind{"doubled", name, newParts("INVITE").add(line).String(), refused})
	}
	for name, pair := range map[string]string{"Date": "Date: Fri, 01 Jan 2010 16:00:00 GMT", "Expires": "Expires: 60", "Session-Expires": "Session-Expires: 1800",
		"Min-SE": "Min-SE: 90", "Subject": "Subject: a", "RAck": "RAck: 1 1 INVITE", "RSeq": "RSeq: 1", "Event": "Event: dialog", "Refer-To": "Refer-To: <sip:b@127.0.0.1>",
		"Content-Encoding": "Content-Encoding: identity"} {
		out = append(out, kind{"doubled", name, newParts("INVITE").add(pair, pair).String(), 400})
	}
	for name, from := range map[string]string{"tag": "From: <sip:a@127.0.0.1>;tag=1;tag=2", "address": "From: <sip:a@127.0.0.1>;tag=1, <sip:b@127.0.0.1>;tag=2",
		"bracket": "From: <<sip:a@127.0.0.1>>;tag=1", "quote": "From: \"a\" \"b\" <sip:a@127.0.0.1>;tag=1"} {
		out = append(out, kind{"doubled", name + " in From", newParts("INVITE").set("From", from).String(), 400})
	}
	return out
}

// controls puts characters that end a line or a string for somebody where text
// may stand.
func controls() (out []kind) {
	for name, c := range map[string]string{"NUL": "\x00", "LF": "\n", "CR": "\r", "VT": "\v", "ESC": "\x1b", "DEL": "\x7f", "BEL": "\a"} {
		for where, p := range map[string]parts{
			"a display name":  newParts("INVITE").set("From", "From: \"A"+c+"B\" <sip:a@127.0.0.1>;tag=1"),
			"Call-ID":         newParts("INVITE").set("Call-ID", "Call-ID: a"+c+"b"),
			"Subject":         newParts("INVITE").add("Subject: a" + c + "b"),
			"a Via parameter": newParts("INVITE").set("Via", "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa"+c+"b;rport"),
			"Contact":         newParts("INVITE").set("Contact", "Contact: <sip:a"+c+"b@127.0.0.1>"),
			"a header name":   newParts("INVITE").add("X" + c + "Y: z"),
			"User-to-User":    newParts("INVITE").add("User-to-User: 00" + c + "ff;encoding=hex"),
		} {
			want := 400
			if where == "a Via parameter" {
				want = silent // no way back is known
			}
			out = append(out, kind{"control character", name + " in " + where, p.String(), want})
		}
		p := newParts("INVITE")
		p.uri = "sip:44" + c + "00@127.0.0.1"
		out = append(out, kind{"control character", name + " in the Request-URI", p.String(), refused})
	}
	return out
}

// numbers writes what is no number, or too large a one, where a number is read.
func numbers() (out []kind) {
	bad := map[string]string{"negative": "-1", "32 bits and one": "4294967296", "64 bits and one": "18446744073709551616", "hexadecimal": "0x10",
		"fraction": "1.5", "words": "many", "thousand digits": strings.Repeat("9", 1000), "list": "1,2"}
	for name, v := range bad {
		out = append(out, kind{"number", name + " as CSeq", newParts("INVITE").set("CSeq", "CSeq: "+v+" INVITE").String(), 400},
			kind{"number", name + " as Max-Forwards", newParts("INVITE").set("Max-Forwards", "Max-Forwards: "+v).String(), 400},
			kind{"number", name + " as Session-Expires", newParts("INVITE").add("Supported: timer", "Session-Expires: "+v+"0x").String(), 400},
			kind{"number", name + " as a port", newParts("INVITE").set("Contact", "Contact: <sip:a@127.0.0.1:"+v+">").String(), 400})
		p := newParts("INVITE")
		p.uri = "sip:4400@127.0.0.1:" + v
		out = append(out, kind{"number", name + " as the port called", p.String(), 400})
	}
	return out
}

// uris are addresses that are none, or that lead elsewhere.
func uris() (out []kind) {
	for name, u := range map[string]string{"unknown scheme": "nobody:knows", "tel": "tel:+441632960000", "urn": "urn:service:sos", "http": "http://127.0.0.1/",
		"file": "file:///etc/passwd", "ldap": "ldap://127.0.0.1/x", "jndi": "${jndi:ldap://127.0.0.1/x}", "no scheme": "4400@127.0.0.1", "empty": "",
		"brackets": "<sip:4400@127.0.0.1>", "half an escape": "sip:44%4@127.0.0.1", "no escape": "sip:44%zz@127.0.0.1", "port zero": "sip:4400@127.0.0.1:0",
		"bare IPv6": "sip:2001:db8::1", "open IPv6": "sip:[2001:db8::1", "IPv6 of three colons": "sip:[2001:db8:::1]", "headers": "sip:4400@127.0.0.1?Replaces=a%3Bto-tag%3Db",
		"two at signs": "sip:a@b@127.0.0.1", "quotes": "sip:\"44\"@127.0.0.1", "backslash": "sip:44\\00@127.0.0.1", "space": "sip:44 00@127.0.0.1",
		"no host": "sip:4400@", "only a scheme": "sip:", "long": "sip:" + strings.Repeat("4", 5000) + "@127.0.0.1", "path": "sip:../../etc/passwd@127.0.0.1 x"} {
		p := newParts("INVITE")
		p.uri = u
		out = append(out, kind{"address", "Request-URI: " + name, p.String(), refused})
	}
	for name, u := range map[string]string{"no scheme": "<a@127.0.0.1>", "http": "<http://127.0.0.1>", "open bracket": "<sip:a@127.0.0.1", "bad escape": "<sip:%%@127.0.0.1>",
		"port": "<sip:a@127.0.0.1:99999>", "IPv6": "<sip:a@[::1>", "wildcard": "*", "nothing": "<>", "list of nothing": ",", "text after": "<sip:a@127.0.0.1> x"} {
		for _, f := range []string{"Contact", "Record-Route", "Route"} {
			out = append(out, kind{"address", f + ": " + name, newParts("INVITE").set(f, f+": "+u).String(), 400})
		}
	}
	for name, v := range map[string]string{"no protocol": "127.0.0.1;branch=z9hG4bK1", "another protocol": "HTTP/1.1/TCP 127.0.0.1;branch=z9hG4bK1", "no host": "SIP/2.0/UDP ;branch=z9hG4bK1",
		"port": "SIP/2.0/UDP 127.0.0.1:70000;branch=z9hG4bK1", "open quote": "SIP/2.0/UDP 127.0.0.1;a=\"b", "parameter twice": "SIP/2.0/UDP 127.0.0.1;branch=1;branch=2",
		"empty element": "SIP/2.0/UDP 127.0.0.1;branch=1,,"} {
		out = append(out, kind{"address", "Via: " + name, newParts("INVITE").set("Via", "Via: "+v).String(), 400})
	}
	return out
}

// lines spoils the first line and the shape of the header.
func lines() (out []kind) {
	good := newParts("INVITE").String()
	_, rest, _ := strings.Cut(good, "\r\n")
	for name, l := range map[string]struct {
		line string
		want int
	}{"lower case": {"invite sip:4400@127.0.0.1 SIP/2.0", refused}, "two spaces": {"INVITE  sip:4400@127.0.0.1 SIP/2.0", 400}, "tab": {"INVITE\tsip:4400@127.0.0.1\tSIP/2.0", silent},
		"trailing space": {"INVITE sip:4400@127.0.0.1 SIP/2.0 ", 400}, "no version": {"INVITE sip:4400@127.0.0.1", silent}, "version 7": {"INVITE sip:4400@127.0.0.1 SIP/7.0", 505},
		"version 2": {"INVITE sip:4400@127.0.0.1 SIP/2", 505}, "version of HTTP": {"INVITE sip:4400@127.0.0.1 HTTP/1.1", 400}, "method with brackets": {"INV(TE sip:4400@127.0.0.1 SIP/2.0", 400},
		"empty": {"", silent}, "spaces": {"   ", silent}, "long method": {strings.Repeat("A", 4000) + " sip:4400@127.0.0.1 SIP/2.0", refused},
		"HTTP": {"GET / HTTP/1.1", 400}, "RTSP": {"OPTIONS rtsp://127.0.0.1/ RTSP/1.0", 400}, "version lower case": {"INVITE sip:4400@127.0.0.1 sip/3.0", 505}} {
		out = append(out, kind{"first line", name, l.line + "\r\n" + rest, l.want})
	}
	for name, p := range map[string]parts{"no colon": newParts("INVITE").add("Subject a"), "no name": newParts("INVITE").add(": a"), "space in the name": newParts("INVITE").add("Sub ject: a"),
		"folded first": newParts("INVITE").set("Via", " Via: x"), "only a fold": newParts("INVITE").add(" ", "\t"), "comma name": newParts("INVITE").add("a,b: c"),
		"unicode name": newParts("INVITE").add("Ünter: a")} {
		want := refused
		if name == "folded first" {
			want = silent // its Via belongs to no field
		}
		out = append(out, kind{"header", name, p.String(), want})
	}
	return out
}

// sizes are too much of something.
func sizes() (out []kind) {
	many := func(line string, n int) []string { return slices.Repeat([]string{line}, n) }
	for name, p := range map[string]parts{"a thousand fields": newParts("INVITE").add(many("X: y", 1000)...), "a thousand Vias": newParts("INVITE").add(many("Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1", 1000)...),
		"a long value": newParts("INVITE").add("Subject: " + strings.Repeat("a", 20000)), "a long name": newParts("INVITE").add(strings.Repeat("a", 9000) + ": b"),
		"a long Call-ID": newParts("INVITE").set("Call-ID", "Call-ID: "+strings.Repeat("a", 5000)), "a long tag": newParts("INVITE").set("From", "From: <sip:a@127.0.0.1>;tag="+strings.Repeat("a", 9000)),
		"many Record-Routes": newParts("INVITE").add(many("Record-Route: <sip:127.0.0.1;lr>", 70)...), "many parameters": newParts("INVITE").set("From", "From: <sip:a@127.0.0.1>;tag=1"+strings.Repeat(";a", 5000)),
		"a long fold": newParts("INVITE").add("Subject: a" + strings.Repeat("\r\n a", 5000)), "many Requires": newParts("INVITE").add("Require: " + strings.Repeat("a,", 2000) + "a"),
		"many Identities": newParts("INVITE").add(many("Identity: a.b.c;info=<https://127.0.0.1/x>", 100)...)} {
		out = append(out, kind{"size", name, p.String(), refused})
	}
	return out
}

// descriptions are bad SDP: no description, dangerous addresses, nothing we take.
func descriptions() (out []kind) {
	at := func(addr string) string { return strings.ReplaceAll(plainSDP, "127.0.0.1", addr) }
	swap := func(old, new string) string { return strings.Replace(plainSDP, old, new, 1) }
	for name, body := range map[string]string{
		"letters": "hello", "one line": "v=0\r\n", "no version": swap("v=0\r\n", ""), "version 1": swap("v=0", "v=1"), "no origin": swap("o=- 1 1 IN IP4 127.0.0.1\r\n", ""),
		"half an origin": swap("o=- 1 1 IN IP4 127.0.0.1", "o=- 1"), "words in origin": swap("o=- 1 1", "o=- a b"), "no address": swap("c=IN IP4 127.0.0.1\r\n", ""),
		"half an address": swap("c=IN IP4 127.0.0.1", "c=IN"), "empty address": swap("c=IN IP4 127.0.0.1", "c=IN IP4 "), "address type": swap("c=IN IP4", "c=IN IP5"),
		"network type": swap("c=IN", "c=ATM"), "IPv6 as IPv4": swap("c=IN IP4 127.0.0.1", "c=IN IP4 ::1"), "name as address": swap("c=IN IP4 127.0.0.1", "c=IN IP4 evil.example"),
		"multicast": at("224.2.1.1"), "multicast with TTL": swap("c=IN IP4 127.0.0.1", "c=IN IP4 224.2.1.1/127/3"), "broadcast": at("255.255.255.255"), "link-local": at("169.254.1.1"),
		"metadata service": at("169.254.169.254"), "reserved": at("240.0.0.1"), "shell in address": swap("c=IN IP4 127.0.0.1", "c=IN IP4 $(id)"),
		"no media": swap("m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", ""), "video only": swap("m=audio", "m=video"), "fax only": swap("m=audio 40000 RTP/AVP 0 101", "m=image 40000 udptl t38"),
		"unknown codec": swap("RTP/AVP 0 101", "RTP/AVP 18 4"), "no codec": swap("RTP/AVP 0 101", "RTP/AVP"), "codec of words": swap("RTP/AVP 0 101", "RTP/AVP zero"), "codec 128": swap("RTP/AVP 0 101", "RTP/AVP 128"),
		"codec -1": swap("RTP/AVP 0 101", "RTP/AVP -1"), "port of words": swap("40000", "here"), "port 65536": swap("40000", "65536"), "negative port": swap("40000", "-5"), "port range": swap("40000", "40000/65000"),
		"port 22": swap("40000", "22"), "protocol": swap("RTP/AVP", "TCP/MRCPv2"), "SRTP without a key": swap("RTP/AVP", "RTP/SAVP"), "two colons in rtpmap": swap("a=rtpmap:101", "a=rtpmap::101"),
		"rtpmap of nothing": swap("a=rtpmap:101 telephone-event/8000", "a=rtpmap:"), "rtpmap twice": plainSDP + "a=rtpmap:101 PCMU/8000\r\n", "rtpmap of 200": swap("a=rtpmap:101", "a=rtpmap:200"),
		"clock rate of words": swap("/8000", "/fast"), "clock rate 0": swap("telephone-event/8000", "telephone-event/0"), "empty line": swap("t=0 0\r\n", "t=0 0\r\n\r\n"), "line of one letter": swap("t=0 0", "t"),
		"no equals sign": swap("t=0 0", "t 0 0"), "upper-case type": swap("t=0 0", "T=0 0"), "NUL": swap("s=-", "s=\x00"), "LF inside": swap("s=-", "s=a\nb"), "media before session": "m=audio 40000 RTP/AVP 0\r\n" + plainSDP,
		"time of words": swap("t=0 0", "t=now never"), "two thousand lines": plainSDP + strings.Repeat("a=x:y\r\n", 2000), "two hundred media lines": plainSDP + strings.Repeat("m=audio 0 RTP/AVP 0\r\n", 200),
		"long line": plainSDP + "a=x:" + strings.Repeat("y", 9000) + "\r\n", "ptime 0": plainSDP + "a=ptime:0\r\n", "negative ptime": plainSDP + "a=ptime:-20\r\n", "ptime of a year": plainSDP + "a=ptime:999999999999\r\n",
		"two directions": plainSDP + "a=sendonly\r\na=recvonly\r\n", "crypto of garbage": swap("RTP/AVP", "RTP/SAVP") + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:!!!!\r\n", "crypto too short": swap("RTP/AVP", "RTP/SAVP") + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n",
		"unknown crypto": swap("RTP/AVP", "RTP/SAVP") + "a=crypto:1 NULL inline:AAAA\r\n", "RTCP port of words": plainSDP + "a=rtcp:x\r\n", "RTCP at metadata": plainSDP + "a=rtcp:53 IN IP4 169.254.169.254\r\n",
		"XML": "<sdp/>", "JSON": "{\"v\":0}", "binary": strings.Repeat("\xff\x00", 200), "spaces": strings.Repeat(" ", 300), "line breaks": strings.Repeat("\r\n", 100),
	} {
		p := newParts("INVITE")
		p.body = body
		out = append(out, kind{"description", name, p.String(), 0})
		out[len(out)-1].want = anyFinal
	}
	return out
}

// opusLines are bad Opus: alone, where it may not be, of shapes that it has not,
// and beside what tries to be read twice. Whoever offers PCMU too is heard in
// that (404: nobody has the number); who offers nothing else is told so.
func opusLines() (out []kind) {
	offer := func(formats string, lines ...string) string {
		return strings.Replace(plainSDP, "RTP/AVP 0 101", "RTP/AVP "+formats+" 101", 1) + strings.Join(lines, "\r\n") + "\r\n"
	}
	good := "a=rtpmap:111 opus/48000/2"
	for name, body := range map[string]string{
		"alone": offer("111", good), "alone, without a map": offer("111"), "alone at a static type": offer("8", "a=rtpmap:8 opus/48000/2"), "alone, of one channel": offer("111", "a=rtpmap:111 opus/48000"),
		"alone, of six channels": offer("111", "a=rtpmap:111 multiopus/48000/6", "a=fmtp:111 channel_mapping=0,4,1,2,3,5;num_streams=4;coupled_streams=2"),
		"alone, at 8 kHz":        offer("111", "a=rtpmap:111 opus/8000/2"), "alone in RED": offer("63", "a=rtpmap:63 red/48000/2", "a=fmtp:63 63/63"), "alone, named PCMU by its type": offer("111", "a=rtpmap:111 PCMU-opus/8000"),
		"map twice": offer("111 0", good, "a=rtpmap:111 PCMU/8000"), "map twice the same": offer("111 0", good, good), "map of the digits' type": offer("0", "a=rtpmap:101 opus/48000/2"),
		"format twice": offer("111 111 0", good), "fmtp twice": offer("111 0", good, "a=fmtp:111 stereo=1", "a=fmtp:111 stereo=0"),
		"channels of words": offer("111 0", "a=rtpmap:111 opus/48000/two"), "no channels": offer("111 0", "a=rtpmap:111 opus/48000/"), "channel 0": offer("111 0", "a=rtpmap:111 opus/48000/0"), "channels -2": offer("111 0", "a=rtpmap:111 opus/48000/-2"),
		"a fourth part": offer("111 0", "a=rtpmap:111 opus/48000/2/2"), "no rate": offer("111 0", "a=rtpmap:111 opus//2"), "a rate with a sign": offer("111 0", "a=rtpmap:111 opus/+48000/2"), "rate past 32 bits": offer("111 0", "a=rtpmap:111 opus/4294967296/2"),
		"at a static type beside PCMU": offer("8 0", "a=rtpmap:8 opus/48000/2"), "a letter that folds to s": offer("111 0", "a=rtpmap:111 opu\u017f/48000/2"),
		"no name": offer("111 0", "a=rtpmap:111 /48000/2"), "a space in the name": offer("111 0", "a=rtpmap:111 op us/48000/2"), "NUL in the name": offer("111 0", "a=rtpmap:111 opus\x00/48000/2"), "NUL in fmtp": offer("111 0", good, "a=fmtp:111 stereo=\x00"), "type 300": offer("111 0", "a=rtpmap:300 opus/48000/2"), "type -1": offer("111 0", "a=rtpmap:-1 opus/48000/2"),
	} {
		p := newParts("INVITE")
		p.body = body
		out = append(out, kind{"Opus", name, p.String(), 488})
	}
	for name, body := range map[string]string{
		"a name of thousands": offer("111 0", "a=rtpmap:111 "+strings.Repeat("opus", 1000)+"/48000/2"), "under every type": offer("111 112 113 0", good, "a=rtpmap:112 opus/48000/2", "a=rtpmap:113 opus/48000/2"), "at a type not offered": offer("0", good), "of six channels beside PCMU": offer("111 0", "a=rtpmap:111 multiopus/48000/6"), "255 channels": offer("111 0", "a=rtpmap:111 opus/48000/255"), "at 8 kHz": offer("111 0", "a=rtpmap:111 opus/8000/2"), "in odd letters": offer("111 0", "a=rtpmap:111 OpUs/48000/2"),
		"RED of itself": offer("63 0", "a=rtpmap:63 red/48000/2", "a=fmtp:63 63/63/63/63"), "numbers past 64 bits": offer("111 0", good, "a=fmtp:111 maxplaybackrate=99999999999999999999;maxaveragebitrate=-1;stereo=2"),
		"parameters of nothing": offer("111 0", good, "a=fmtp:111 ;;;=;=;"), "two hundred parameters": offer("111 0", good, "a=fmtp:111 "+strings.Repeat("useinbandfec=1;", 200)), "fmtp of another type": offer("111 0", good, "a=fmtp:112 stereo=1"),
		"fmtp of a shell": offer("111 0", good, "a=fmtp:111 stereo=$(id)"), "ptime 120": offer("111 0", good, "a=ptime:120"), "ptime 3": offer("111 0", good, "a=ptime:3", "a=maxptime:3"), "feedback for all": offer("111 0", good, "a=rtcp-fb:* nack pli"),
	} {
		p := newParts("INVITE")
		p.body = body
		out = append(out, kind{"Opus", name, p.String(), 404})
	}
	return out
}

// anyFinal is a final response of whatever sort: what stands in a description may
// be harmless to read, and then the call is judged by its number.
const anyFinal = -3

// bodies are bodies that are not what they say.
func bodies() (out []kind) {
	for name, p := range map[string]parts{"no type": newParts("INVITE").set("Content-Type", ""), "text": newParts("INVITE").set("Content-Type", "Content-Type: text/plain"),
		"type of nothing": newParts("INVITE").set("Content-Type", "Content-Type: /"), "half a type": newParts("INVITE").set("Content-Type", "Content-Type: application"),
		"multipart without a boundary": newParts("INVITE").set("Content-Type", "Content-Type: multipart/mixed"), "multipart of nothing": newParts("INVITE").set("Content-Type", "Content-Type: multipart/mixed;boundary=x"),
		"gzip": newParts("INVITE").add("Content-Encoding: gzip"), "deflate": newParts("INVITE").add("e: deflate"), "only text accepted": newParts("INVITE").add("Accept: text/plain"),
		"ISUP": newParts("INVITE").set("Content-Type", "Content-Type: application/isup"), "type with a newline": newParts("INVITE").set("Content-Type", "Content-Type: application/sdp\n")} {
		out = append(out, kind{"body", name, p.String(), refused})
	}
	return out
}

// extensions are methods and options that nobody here has.
func extensions() (out []kind) {
	for _, m := range []string{"REGISTER", "MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH", "BREW", "CONNECT", "TRACE", "DO"} {
		out = append(out, kind{"method", m, newParts(m).String(), refused})
	}
	for _, m := range []string{"BYE", "UPDATE", "INFO", "PRACK", "CANCEL"} {
		out = append(out, kind{"method", m + " outside a dialog", newParts(m).String(), 481})
	}
	for _, tag := range []string{"replaces", "precondition", "path", "gruu", "teleport", "sec-agree", "recipient-list-invite", "norefersub", "siprec", "a\tb"} {
		out = append(out, kind{"option", "Require " + tag, newParts("INVITE").add("Require: " + tag).String(), 420}, kind{"option", "Proxy-Require " + tag, newParts("INVITE").add("Proxy-Require: " + tag).String(), 420})
	}
	return out
}

// dialogs claim a call that is not theirs: every method, with tags that nobody
// gave.
func dialogs() (out []kind) {
	for _, m := range []string{"INVITE", "BYE", "UPDATE", "INFO", "PRACK", "CANCEL"} {
		out = append(out, kind{"dialog", m + " with a tag of nobody", newParts(m).set("To", "To: <sip:4400@127.0.0.1>;tag=nobody").String(), 481})
	}
	out = append(out, kind{"dialog", "ACK with a tag of nobody", newParts("ACK").set("To", "To: <sip:4400@127.0.0.1>;tag=nobody").String(), silent},
		kind{"dialog", "INVITE that replaces", newParts("INVITE").add("Require: replaces", "Replaces: a;to-tag=b;from-tag=c").String(), 420})
	return out
}

// responses answer what was never asked.
func responses() (out []kind) {
	for _, code := range []string{"100", "180", "183", "200", "202", "302", "401", "407", "486", "503", "603", "699", "099", "700", "999", "-20", "2147483648", "abc", ""} {
		for _, m := range []string{"INVITE", "BYE"} {
			out = append(out, kind{"response", code + " to " + m, "SIP/2.0 " + code + " X\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK@@\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\n" +
				"To: <sip:b@127.0.0.1>;tag=2\r\nCall-ID: @@\r\nCSeq: 1 " + m + "\r\nContent-Length: 0\r\n\r\n", silent})
		}
	}
	return out
}

// names are texts that are good SIP and were meant for somebody who prints,
// stores or runs them.
func names() (out []kind) {
	for name, text := range map[string]string{"SQL": "'; DROP TABLE calls; --", "HTML": "<script>alert(1)</script>", "template": "{{7*7}}", "format": "%s%s%n%x", "jndi": "${jndi:ldap://127.0.0.1/a}",
		"right to left": "\u202egnp.exe", "zero width": "a\u200bb", "not UTF-8": "\xff\xfe\xc0\xaf", "overlong": "\xc0\xae\xc0\xae/", "emoji": "\U0001f4a9", "spaces": "    ", "our own name": "ringfence", "a number of ours": "+442079460000"} {
		text = strings.NewReplacer("\\", "", "\"", "").Replace(text)
		out = append(out, kind{"text", name, newParts("INVITE").set("From", "From: \""+text+"\" <sip:a@127.0.0.1>;tag=1").String(), 404})
	}
	return out
}

// advisories are of the classes that advisories of the last years named: many
// nested or empty parts, long chains, quotes in quotes, addresses that mean
// something to one reader only, and descriptions that ask for far too much.
func advisories() (out []kind) {
	part := func(boundary string, parts ...string) severalParts {
		return severalParts{boundary, parts}
	}
	sdpPart := "Content-Type: application/sdp\r\n\r\n" + plainSDP
	nested := "x"
	for range 200 {
		nested = "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" + nested + "\r\n--b--"
	}
	for name, b := range map[string]severalParts{
		"two descriptions":            part("b", sdpPart, sdpPart),
		"a thousand parts":            part("b", slices.Repeat([]string{"\r\n"}, 1000)...),
		"no part":                     part("b"),
		"a part without a head":       part("b", plainSDP),
		"a part with a bad head":      part("b", "Content-Type application/sdp\r\n\r\n"+plainSDP),
		"a part of gigabytes":         part("b", "Content-Length: 4294967296\r\n"+sdpPart),
		"a boundary of 70 dashes":     part(strings.Repeat("-", 70), sdpPart),
		"a boundary that is too long": part(strings.Repeat("b", 300), sdpPart),
		"nested two hundred deep":     {"b", []string{"Content-Type: multipart/mixed;boundary=b\r\n\r\n" + nested}},
		"an encoded part":             part("b", "Content-Transfer-Encoding: base64\r\n"+sdpPart),
	} {
		p := newParts("INVITE").set("Content-Type", "Content-Type: multipart/mixed;boundary=\""+b.boundary+"\"")
		p.body = b.String()
		out = append(out, kind{"multipart", name, p.String(), anyFinal})
	}
	via := func(i int) string { return fmt.Sprintf("SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK@@v%d", i) }
	chain := make([]string, 60)
	for i := range chain {
		chain[i] = via(i)
	}
	for name, p := range map[string]parts{
		"a chain of Vias":                newParts("INVITE").set("Via", "Via: "+via(99)+";rport, "+strings.Join(chain, ", ")),
		"a chain of Routes":              newParts("INVITE").add("Route: " + strings.Join(slices.Repeat([]string{"<sip:127.0.0.1;lr>"}, 400), ",")),
		"a loop through us":              newParts("INVITE").add("Max-Forwards: 0"),
		"quotes in quotes":               newParts("INVITE").set("From", `From: "a\"\"b\"c" "d" <sip:a@127.0.0.1>;tag=1`),
		"a quote that ends in an escape": newParts("INVITE").set("From", `From: "a\" <sip:a@127.0.0.1>;tag=1`),
		"a thousand escaped quotes":      newParts("INVITE").set("From", `From: "`+strings.Repeat(`\"`, 1000)+`" <sip:a@127.0.0.1>;tag=1`),
		"comments in comments":           newParts("INVITE").add("User-Agent: " + strings.Repeat("(", 2000)),
		"overlong UTF-8 for a slash":     newParts("INVITE").set("Contact", "Contact: <sip:\xc0\xaf@127.0.0.1>"),
		"overlong UTF-8 for NUL":         newParts("INVITE").set("To", "To: <sip:44\xc0\x8000@127.0.0.1>"),
		"half a surrogate":               newParts("INVITE").set("Contact", "Contact: <sip:\xed\xa0\x80@127.0.0.1>"),
		"an IPv6 zone in Contact":        newParts("INVITE").set("Contact", "Contact: <sip:a@[fe80::1%25eth0]>"),
		"an IPv6 zone in Via":            newParts("INVITE").set("Via", "Via: SIP/2.0/UDP [fe80::1%eth0];branch=z9hG4bK@@;rport"),
		"an IPv6 zone in Route":          newParts("INVITE").add("Route: <sip:[fe80::1%25lo];lr>"),
		"IPv4 in eight digits":           newParts("INVITE").set("Contact", "Contact: <sip:a@0x7f000001:99999>"),
		"an empty token list":            newParts("INVITE").add("Supported: ,,,,", "Require: ,"),
		"a parameter of nothing":         newParts("INVITE").set("From", "From: <sip:a@127.0.0.1>;;tag=1;=;"),
		"an Authorization of 20 kB":      newParts("INVITE").add("Authorization: Digest username=\"" + strings.Repeat("a", 20000) + "\""),
		"an Identity of dots":            newParts("INVITE").add("Identity: " + strings.Repeat(".", 9000)),
		"Reply-To and Alert-Info by URL": newParts("INVITE").add("Alert-Info: <http://169.254.169.254/latest>", "Call-Info: <file:///etc/passwd>;purpose=icon", "Max-Forwards: x"),
	} {
		out = append(out, kind{"advisory", name, p.String(), anyFinal})
		if name == "an IPv6 zone in Via" {
			out[len(out)-1].want = refused
		}
	}
	media := func(n int, line string) string { return plainSDP + strings.Repeat(line, n) }
	swap := func(old, new string) string { return strings.Replace(plainSDP, old, new, 1) }
	for name, body := range map[string]string{
		"port 0":                     swap("40000", "0"),
		"port 0 with bundle-only":    swap("40000", "0") + "a=bundle-only\r\n",
		"a hundred audio lines":      media(99, "m=audio 40002 RTP/AVP 0\r\n"),
		"a hundred video lines":      media(99, "m=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"),
		"bandwidth of words":         swap("t=0 0", "b=AS:much\r\nt=0 0"),
		"bandwidth below zero":       swap("t=0 0", "b=TIAS:-1\r\nt=0 0"),
		"bandwidth of 2^64":          swap("t=0 0", "b=AS:18446744073709551616\r\nt=0 0"),
		"a hundred bandwidths":       swap("t=0 0", strings.Repeat("b=AS:64\r\n", 100)+"t=0 0"),
		"candidates only":            swap("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0") + "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=candidate:1 1 UDP 1 127.0.0.1 40000 typ host\r\n",
		"a candidate at metadata":    plainSDP + "a=candidate:1 1 UDP 1 169.254.169.254 80 typ host\r\na=remote-candidates:1 169.254.169.254 80\r\n",
		"a thousand candidates":      media(1000, "a=candidate:1 1 UDP 1 127.0.0.1 40000 typ host\r\n"),
		"a bundle of nobody":         swap("t=0 0", "t=0 0\r\na=group:BUNDLE a b c"),
		"a bundle of two":            swap("t=0 0", "t=0 0\r\na=group:BUNDLE 0 1") + "a=mid:0\r\nm=audio 40000 RTP/AVP 0\r\na=mid:0\r\n",
		"fingerprint without DTLS":   plainSDP + "a=fingerprint:sha-256 " + strings.Repeat("00:", 31) + "00\r\na=setup:active\r\n",
		"DTLS without a fingerprint": swap("RTP/AVP", "UDP/TLS/RTP/SAVPF"),
		"fmtp of 8 kB":               plainSDP + "a=fmtp:101 " + strings.Repeat("0-15,", 1600) + "\r\n",
		"fmtp of a codec not there":  plainSDP + "a=fmtp:77 x=y\r\n",
		"128 codecs":                 swap("RTP/AVP 0 101", "RTP/AVP"+strings.Repeat(" 96", 128)),
		"MKI and lifetime in a key":  swap("RTP/AVP", "RTP/SAVP") + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40) + "|2^99|1:9999\r\n",
		"a hundred keys":             swap("RTP/AVP", "RTP/SAVP") + strings.Repeat("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+strings.Repeat("A", 40)+"\r\n", 100),
		"an IPv6 zone":               swap("c=IN IP4 127.0.0.1", "c=IN IP6 fe80::1%eth0"),
		"IPv4 in IPv6":               swap("c=IN IP4 127.0.0.1", "c=IN IP6 ::ffff:169.254.169.254"),
		"NAT64 of metadata":          swap("c=IN IP4 127.0.0.1", "c=IN IP6 64:ff9b::a9fe:a9fe"),
		"time of 2^64":               swap("t=0 0", "t=18446744073709551616 0"),
		"repeat times":               swap("t=0 0", "t=0 0\r\nr=7d 1h 0 25h\r\nz=0 -1h"),
	} {
		p := newParts("INVITE")
		p.body = body
		out = append(out, kind{"description of advisories", name, p.String(), anyFinal})
	}
	return out
}

// severalParts are a body of several parts.
type severalParts struct {
	boundary string
	parts    []string
}

func (p severalParts) String() string {
	var b strings.Builder
	for _, one := range p.parts {
		b.WriteString("--" + p.boundary + "\r\n" + one + "\r\n")
	}
	b.WriteString("--" + p.boundary + "--\r\n")
	return b.String()
}

// streams are mistakes of framing: only a stream has them.
func streams() []kind {
	p := newParts("OPTIONS")
	head := strings.TrimSuffix(p.String(), "Content-Length: 0\r\n\r\n")
	return []kind{
		{"framing", "no Content-Length", head + "\r\n", 400},
		{"framing", "negative Content-Length", head + "Content-Length: -1\r\n\r\n", 400},
		{"framing", "Content-Length of gigabytes", head + "Content-Length: 2147483647\r\n\r\n", 413},
		{"framing", "Content-Length of 2^64", head + "Content-Length: 18446744073709551616\r\n\r\n", 400},
		{"framing", "two Content-Lengths", head + "Content-Length: 0\r\nl: 5\r\n\r\n", 400},
		{"framing", "Content-Length with a sign", head + "Content-Length: +0\r\n\r\n", 400},
		{"framing", "a body that never comes", head + "Content-Length: 100\r\n\r\n", 400},
		{"framing", "TLS to somebody else", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", lost},
		{"framing", "HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", lost},
		{"framing", "endless header", "INVITE sip:1@127.0.0.1 SIP/2.0\r\n" + strings.Repeat("X-A: b\r\n", 9000), lost},
		{"framing", "endless line", strings.Repeat("A", 70000), lost},
	}
}

// TestHostile sends every kind over every transport beside a call in progress.
// Each gets what it owes, nobody dies, and the call goes on.
func TestHostile(t *testing.T) {
	all := hostile()
	seen := map[string]bool{}
	for _, k := range all {
		if id := k.class + "/" + k.name; seen[id] {
			t.Fatalf("two kinds are called %s", id)
		} else {
			seen[id] = true
		}
	}
	if len(all) < 270 {
		t.Fatalf("%d kinds, want at least 270", len(all))
	}
	server, client := testTLS(t)
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			kinds := all
			if transport != "udp" {
				kinds = slices.Concat(all, streams())
			}
			legs := make(chan *b2bua.Leg, 1)
			ua := gateway(t, transport, func(ctx context.Context, leg *b2bua.Leg) {
				if leg.Info().Called != "good" {
					_ = leg.Refuse(ctx, 404, "Not Found")
					return
				}
				answering(legs)(ctx, leg)
			}, func(c *b2bua.Config) {
				if transport == "tls" {
					c.Listeners[0].TLS, c.Trunks[0].TLS = server, client
				}
				c.Trunks[0].Codecs = []string{"opus", "PCMU", "PCMA"}
				c.Limits.HeaderTime, c.Limits.Calls, c.Limits.PerSource = 500*time.Millisecond, 2000, 2000
			})
			cfg := peer.Config{Transport: transport}
			uri := "sip:good@" + ua.Addrs()["main"].String()
			if transport != "udp" {
				uri += ";transport=" + transport
			}
			if transport == "tls" {
				cfg.TLS, cfg.Client = server, client
			}
			good := phone(t, cfg)
			call, err := good.Call(t.Context(), peer.Invite{To: uri})
			if err != nil {
				t.Fatal(err)
			}
			leg := answered(t, legs)
			for i, k := range kinds {
				k.raw = strings.ReplaceAll(k.raw, "@@", fmt.Sprintf("h%s%d", transport, i))
				owes(t, dial(t, ua, transport, client), k)
			}
			leg.Play(tone(700, time.Minute))
			hears(t, call, 700)
			call.Hangup()
			again, err := good.Call(within(t), peer.Invite{To: uri})
			if err != nil {
				t.Fatalf("a good call after all that: %v", err)
			}
			again.Hangup()
			t.Logf("%d kinds of hostile messages over %s: 0 deaths, 0 calls ended", len(kinds), transport)
		})
	}
}

// owes sends one message and checks what comes back.
func owes(t *testing.T, w *wire, k kind) {
	t.Helper()
	defer w.conn.Close()
	w.send([]byte(k.raw))
	if w.r != nil && k.want == lost {
		if _, err := io.Copy(io.Discard, w.conn); err != nil && !errors.Is(err, io.EOF) && !bytes.Contains([]byte(err.Error()), []byte("reset")) {
			t.Errorf("%s/%s: the connection stays: %v", k.class, k.name, err)
		}
		return
	}
	id := ""
	if k.want == silent {
		id = w.canary()
	}
	r, err := w.final()
	switch ok := err == nil; {
	case k.want == silent && w.r != nil && err != nil: // the connection was closed: no answer either
	case !ok:
		t.Errorf("%s/%s: no answer: %v", k.class, k.name, err)
	case k.want == silent && r.header("Call-ID") != id:
		t.Errorf("%s/%s: got %d, want silence", k.class, k.name, r.code)
	case k.want > 0 && r.code != k.want:
		t.Errorf("%s/%s: got %d, want %d", k.class, k.name, r.code, k.want)
	case k.want == refused && r.code < 400, k.want == anyFinal && r.code < 400:
		t.Errorf("%s/%s: got %d, want a refusal", k.class, k.name, r.code)
	}
}
