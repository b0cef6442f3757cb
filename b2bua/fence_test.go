package b2bua

import (
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// fakeGate is the state of the calls as the fence asks for it.
type fakeGate struct{ full, known bool }

func (g fakeGate) admits(*Trunk, invited) (err error, known bool) {
	if g.full {
		err = ErrFull
	}
	return err, g.known
}
func (g fakeGate) urgent(t *Trunk, user string) bool { return user == "112" }
func (g fakeGate) available(*Trunk, netip.Addr) bool { return !g.full }

var trunkAddr = netip.MustParseAddrPort("192.0.2.10:5060")

// testFence trusts 192.0.2.0/24 and is itself 198.51.100.1:5060.
func testFence(g gate) *fence {
	t := &Trunk{Name: "t", Transport: "udp", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	return &fence{limits: Limits{}.withDefaults(), transport: "udp", trunks: []*Trunk{t}, rates: &sources{}, strange: &sources{}, seed: maphash.MakeSeed(), gate: g,
		sentBy: func() (string, uint16) { return "198.51.100.1", 5060 }}
}

const goodSDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"

// invite is a good INVITE with pairs of old and new text replaced.
func invite(change ...string) []byte {
	s := "INVITE sip:4400@198.51.100.1 SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776;rport\r\n" +
		"Max-Forwards: 70\r\n" +
		"From: \"A\" <sip:441632960000@192.0.2.10>;tag=1\r\n" +
		"To: <sip:4400@198.51.100.1>\r\n" +
		"Call-ID: abc@192.0.2.10\r\n" +
		"CSeq: 1 INVITE\r\n" +
		"Contact: <sip:a@192.0.2.10:5060>\r\n" +
		"Content-Type: application/sdp\r\n" +
		"Content-Length: " + strconv.Itoa(len(goodSDP)) + "\r\n\r\n" + goodSDP
	for i := 0; i+1 < len(change); i += 2 {
		if !strings.Contains(s, change[i]) {
			panic("test: " + change[i] + " is not in the message")
		}
		s = strings.Replace(s, change[i], change[i+1], 1)
	}
	return []byte(s)
}

// other is a good request of another method, without a body.
func other(method string, change ...string) []byte {
	s := string(invite("INVITE sip", method+" sip", "1 INVITE", "1 "+method, "Content-Type: application/sdp\r\n", ""))
	s = s[:strings.Index(s, "Content-Length")] + "Content-Length: 0\r\n\r\n"
	for i := 0; i+1 < len(change); i += 2 {
		if !strings.Contains(s, change[i]) {
			panic("test: " + change[i] + " is not in the message")
		}
		s = strings.Replace(s, change[i], change[i+1], 1)
	}
	return []byte(s)
}

const (
	silence = 0
	passes  = -1
)

// outcome is the status that a message gets, passes or silence.
func outcome(r result) int {
	if r.forward != nil {
		return passes
	}
	if r.answer == nil {
		return silence
	}
	n, _ := strconv.Atoi(strings.Fields(string(r.answer))[1])
	return n
}

func TestFence(t *testing.T) {
	long := strings.Repeat("a", maxFieldBytes+1)
	tests := []struct {
		class, name string
		have        []byte
		want        int
	}{
		{"good", "INVITE", invite(), passes},
		{"good", "INVITE without a body", other("INVITE"), passes},
		{"good", "compact names", invite("From:", "f:", "To:", "t:", "Call-ID:", "i:", "Contact:", "m:", "Content-Type:", "c:", "Content-Length:", "l:", "Via:", "v:"), passes},
		{"good", "compact Identity", invite("Max-Forwards: 70\r\n", "y: eyJ.eyJ.sig;info=<https://x.example/c>\r\nMax-Forwards: 70\r\n"), passes},
		{"good", "folded header", invite("From: \"A\"", "From: \"A\"\r\n "), passes},
		{"good", "unknown header", invite("Max-Forwards", "X-Thing: ;;,,;\r\nMax-Forwards"), passes},
		{"good", "leading line breaks", append([]byte("\r\n\r\n"), invite()...), passes},
		{"good", "Require timer", invite("Max-Forwards", "Require: timer\r\nMax-Forwards"), passes},
		{"good", "body longer than announced", append(invite(), "junk"...), passes},
		{"good", "no Max-Forwards", invite("Max-Forwards: 70\r\n", ""), passes},
		{"good", "ACK", other("ACK"), passes},
		{"good", "CANCEL", other("CANCEL"), passes},
		{"good", "BYE in a dialog", other("BYE", "198.51.100.1>\r\n", "198.51.100.1>;tag=2\r\n"), passes},

		{"crash", "INVITE without From", invite("From: \"A\" <sip:441632960000@192.0.2.10>;tag=1\r\n", ""), 400},
		{"crash", "INVITE without To", invite("To: <sip:4400@198.51.100.1>\r\n", ""), 400},
		{"crash", "BYE without From", other("BYE", "From: \"A\" <sip:441632960000@192.0.2.10>;tag=1\r\n", ""), 400},
		{"crash", "BYE without To", other("BYE", "To: <sip:4400@198.51.100.1>\r\n", ""), 400},
		{"crash", "ACK without From", other("ACK", "From: \"A\" <sip:441632960000@192.0.2.10>;tag=1\r\n", ""), silence},
		{"crash", "ACK without To", other("ACK", "To: <sip:4400@198.51.100.1>\r\n", ""), silence},
		{"crash", "INFO without Content-Type", other("INFO"), 481},
		{"crash", "NOTIFY without Content-Type", other("NOTIFY"), 405},
		{"crash", "INVITE without Contact", invite("Contact: <sip:a@192.0.2.10:5060>\r\n", ""), 400},
		{"crash", "no Call-ID", invite("Call-ID: abc@192.0.2.10\r\n", ""), 400},
		{"crash", "no CSeq", invite("CSeq: 1 INVITE\r\n", ""), 400},
		{"crash", "no Via", invite("Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776;rport\r\n", ""), silence},
		{"crash", "empty datagram of line breaks", []byte("\r\n\r\n"), silence},
		{"crash", "nothing but a space", []byte(" "), silence},
		{"crash", "binary", []byte{0, 1, 2, 0xff, 0xfe}, silence},

		{"silence", "lower-case method", invite("INVITE sip", "invite sip", "1 INVITE", "1 invite"), 405},
		{"silence", "no end of header", []byte(strings.TrimSuffix(string(other("OPTIONS")), "\r\n")), 400},
		{"silence", "line without a colon", invite("Max-Forwards: 70", "Max-Forwards 70"), 400},
		{"silence", "space in a header name", invite("Max-Forwards: 70", "Max Forwards: 70"), 400},

		{"two readings", "two From", invite("To:", "From: <sip:b@192.0.2.10>;tag=2\r\nTo:"), 400},
		{"two readings", "From and its compact form", invite("To:", "f: <sip:b@192.0.2.10>;tag=2\r\nTo:"), 400},
		{"two readings", "two To", invite("Call-ID", "To: <sip:x@192.0.2.10>\r\nCall-ID"), 400},
		{"two readings", "two Call-ID", invite("CSeq", "Call-ID: d\r\nCSeq"), 400},
		{"two readings", "two CSeq", invite("Contact", "CSeq: 2 INVITE\r\nContact"), 400},
		{"two readings", "two Content-Length", invite("Content-Length", "Content-Length: 0\r\nContent-Length"), 400},
		{"two readings", "two Content-Type", invite("Content-Type", "Content-Type: text/plain\r\nContent-Type"), 400},
		{"two readings", "two Contact", invite("Contact: <sip:a@192.0.2.10:5060>", "Contact: <sip:a@192.0.2.10:5060>, <sip:b@192.0.2.10>"), 400},
		{"two readings", "two tags", invite(";tag=1", ";tag=1;tag=2"), 400},
		{"two readings", "two From values", invite(";tag=1", ";tag=1, <sip:b@192.0.2.10>;tag=2"), 400},
		{"two readings", "two Date", invite("Max-Forwards", "Date: Fri, 01 Jan 2010 16:00:00 GMT\r\nDate: Fri, 01 Jan 2010 16:00:01 GMT\r\nMax-Forwards"), 400},
		{"two readings", "method of CSeq", invite("1 INVITE", "1 BYE"), 400},
		{"two readings", "wildcard Contact", invite("<sip:a@192.0.2.10:5060>", "*"), 400},

		{"injection", "line feed in a display name", invite("\"A\"", "\"A\nX-Evil: 1\""), 400},
		{"injection", "carriage return in a display name", invite("\"A\"", "\"A\rX-Evil: 1\""), 400},
		{"injection", "NUL in a display name", invite("\"A\"", "\"A\x00\""), 400},
		{"injection", "NUL in the Request-URI", invite("sip:4400@198.51.100.1 SIP", "sip:44\x0000@198.51.100.1 SIP"), 400},
		{"injection", "DEL in Call-ID", invite("abc@", "ab\x7f@"), 400},
		{"injection", "line feed alone ends a line", invite("Max-Forwards: 70\r\n", "Max-Forwards: 70\n"), 400},
		{"injection", "quote left open", invite("\"A\"", "\"A"), 400},
		{"injection", "bracket left open", invite("<sip:441632960000@192.0.2.10>", "<sip:441632960000@192.0.2.10"), 400},
		{"injection", "display name of no tokens", invite("\"A\"", "A[B]"), 400},
		{"injection", "text after the address", invite("192.0.2.10>;tag=1", "192.0.2.10> x;tag=1"), 400},
		{"injection", "space in Call-ID", invite("abc@", "a bc@"), 400},
		{"injection", "route in the Request-URI", invite("sip:4400@198.51.100.1 SIP", "sip:4400@198.51.100.1?Route=%3Csip:x%3E SIP"), 400},

		{"syntax", "no tag in From", invite(";tag=1", ""), 400},
		{"syntax", "brackets around the Request-URI", invite("sip:4400@198.51.100.1 SIP", "<sip:4400@198.51.100.1> SIP"), 400},
		{"syntax", "space in the Request-URI", invite("sip:4400@198.51.100.1 SIP", "sip:4400@198.51.100.1; x SIP"), 400},
		{"syntax", "two spaces in the request line", invite("INVITE sip", "INVITE  sip"), 400},
		{"syntax", "space after the version", invite("SIP/2.0\r\nVia", "SIP/2.0 \r\nVia"), 400},
		{"syntax", "bad escape", invite("sip:4400@", "sip:44%zz@"), 400},
		{"syntax", "port zero", invite("sip:4400@198.51.100.1 SIP", "sip:4400@198.51.100.1:0 SIP"), 400},
		{"syntax", "port too high", invite("sip:4400@198.51.100.1 SIP", "sip:4400@198.51.100.1:65536 SIP"), 400},
		{"syntax", "unbracketed IPv6", invite("sip:4400@198.51.100.1 SIP", "sip:2001:db8::1 SIP"), 400},
		{"syntax", "Via of another protocol", invite("SIP/2.0/UDP", "HTTP/1.1/UDP"), 400},
		{"syntax", "Via without sent-by", invite("UDP 192.0.2.10:5060;", "UDP ;"), 400},
		{"syntax", "CSeq over 2**31", invite("1 INVITE", "2147483648 INVITE"), 400},
		{"syntax", "negative CSeq", invite("1 INVITE", "-1 INVITE"), 400},
		{"syntax", "CSeq without a method", invite("1 INVITE", "1"), 400},
		{"syntax", "Max-Forwards over 255", invite("Forwards: 70", "Forwards: 300"), 400},
		{"syntax", "Date of another zone", invite("Max-Forwards", "Date: Fri, 01 Jan 2010 16:00:00 EST\r\nMax-Forwards"), 400},
		{"syntax", "bad Record-Route", invite("Max-Forwards", "Record-Route: <sip:[::1>\r\nMax-Forwards"), 400},
		{"syntax", "method that is no token", invite("INVITE sip", "INV(TE sip"), 400},
		{"syntax", "Contact of another scheme", invite("<sip:a@192.0.2.10:5060>", "<http://a.example>"), 400},

		{"size", "65 header fields", invite("Max-Forwards: 70\r\n", strings.Repeat("X-Y: z\r\n", 60)), 400},
		{"size", "64 header fields", invite("Max-Forwards: 70\r\n", strings.Repeat("X-Y: z\r\n", 56)), passes},
		{"size", "long field", invite("\"A\"", "\""+long+"\""), 400},
		{"size", "long Request-URI", invite("sip:4400@198.51.100.1 SIP", "sip:"+strings.Repeat("4", maxURIBytes)+"@198.51.100.1 SIP"), 414},
		{"size", "long Call-ID", invite("abc@", strings.Repeat("a", 300)+"@"), 400},
		{"size", "more than 32 KiB", append(invite("Content-Length: "+strconv.Itoa(len(goodSDP)), "Content-Length: 32768"), make([]byte, 33000)...), 413},

		{"Content-Length", "longer than the datagram", invite("Content-Length: ", "Content-Length: 9"), 400},
		{"Content-Length", "negative", invite("Content-Length: ", "Content-Length: -"), 400},
		{"Content-Length", "words", invite("Content-Length: ", "Content-Length: x"), 400},
		{"Content-Length", "eight gigabytes", invite("Content-Length: "+strconv.Itoa(len(goodSDP)), "Content-Length: 8400000000"), 400},
		{"Content-Length", "two gigabytes", invite("Content-Length: "+strconv.Itoa(len(goodSDP)), "Content-Length: 2147483647"), 413},

		{"owed", "unknown Require", invite("Max-Forwards", "Require: replaces, x\r\nMax-Forwards"), 420},
		{"owed", "unknown Proxy-Require", other("OPTIONS", "Max-Forwards", "Proxy-Require: x\r\nMax-Forwards"), 420},
		{"owed", "scheme", invite("sip:4400@198.51.100.1 SIP", "tel:+441632960000 SIP"), 416},
		{"owed", "unknown scheme", invite("sip:4400@198.51.100.1 SIP", "nobodyknows:x SIP"), 416},
		{"owed", "version", invite("198.51.100.1 SIP/2.0", "198.51.100.1 SIP/7.0"), 505},
		{"owed", "content type", invite("application/sdp", "application/unknown"), 415},
		{"owed", "no content type", invite("Content-Type: application/sdp\r\n", ""), 415},
		{"owed", "content encoding", invite("Content-Type", "Content-Encoding: gzip\r\nContent-Type"), 415},
		{"owed", "Accept", invite("Content-Type", "Accept: text/nobodyknows\r\nContent-Type"), 406},
		{"owed", "unknown method", other("NEWMETHOD"), 405},
		{"owed", "REGISTER", other("REGISTER"), 405},
		{"owed", "MESSAGE", other("MESSAGE"), 405},
		{"owed", "SUBSCRIBE", other("SUBSCRIBE"), 405},
		{"owed", "REFER", other("REFER"), 405},
		{"owed", "PUBLISH", other("PUBLISH"), 405},
		{"owed", "BYE outside a dialog", other("BYE"), 481},
		{"owed", "UPDATE outside a dialog", other("UPDATE"), 481},
		{"owed", "PRACK outside a dialog", other("PRACK"), 481},
		{"good", "Require 100rel", invite("Max-Forwards", "Require: 100rel\r\nMax-Forwards"), passes},
		{"owed", "OPTIONS", other("OPTIONS"), 200},
	}
	for _, tt := range tests {
		t.Run(tt.class+" "+tt.name, func(t *testing.T) {
			r := testFence(fakeGate{}).datagram(tt.have, trunkAddr)
			if got := outcome(r); got != tt.want {
				t.Errorf("got %d, want %d\n%s", got, tt.want, r.answer)
			}
			if strings.Contains(string(r.answer), "\nX-Evil") {
				t.Errorf("answer carries an injected line:\n%q", r.answer)
			}
		})
	}
}

func TestFenceResponses(t *testing.T) {
	good := "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@198.51.100.1>;tag=1\r\n" +
		"To: <sip:b@192.0.2.10>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
	tests := []struct {
		name, old, new string
		want           int
	}{
		{"good", "180", "180", passes},
		{"no reason", "180 Ringing", "180 ", passes},
		{"unknown class", "180", "680", passes},
		{"status too high", "180", "700", silence},
		{"status of ten digits", "180", "4294967301", silence},
		{"Via of somebody else", "198.51.100.1:5060;b", "203.0.113.1:5060;b", silence},
		{"Via of another port", ":5060;b", ":5061;b", silence},
		{"broadcast Via", "198.51.100.1:5060;b", "255.255.255.255;b", silence},
		{"no From", "From: <sip:a@198.51.100.1>;tag=1\r\n", "", silence},
		{"no To tag", ";tag=2", "", silence},
		{"CSeq too high", "1 INVITE", "9292394834772304023312 INVITE", silence},
		{"two CSeq", "CSeq: 1 INVITE\r\n", "CSeq: 1 INVITE\r\nCSeq: 2 INVITE\r\n", silence},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := testFence(fakeGate{})
			if got := outcome(f.datagram([]byte(strings.Replace(good, tt.old, tt.new, 1)), trunkAddr)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	t.Run("stranger", func(t *testing.T) {
		if got := outcome(testFence(fakeGate{}).datagram([]byte(good), netip.MustParseAddrPort("203.0.113.5:5060"))); got != silence {
			t.Errorf("got %d, want silence", got)
		}
	})
}

func TestFenceStrangers(t *testing.T) {
	stranger := netip.MustParseAddrPort("203.0.113.5:5060")
	t.Run("refused", func(t *testing.T) {
		for _, m := range [][]byte{invite(), other("OPTIONS"), other("REGISTER"), other("BYE")} {
			if got := outcome(testFence(fakeGate{}).datagram(m, stranger)); got != 403 {
				t.Errorf("got %d, want 403 for %.20s", got, m)
			}
		}
	})
	t.Run("dropped", func(t *testing.T) {
		f := testFence(fakeGate{})
		f.strangers = StrangersDrop
		if got := outcome(f.datagram(invite(), stranger)); got != silence {
			t.Errorf("got %d, want silence", got)
		}
	})
	t.Run("flood", func(t *testing.T) {
		f := testFence(fakeGate{})
		answered := 0
		for range 1000 {
			if outcome(f.datagram(other("OPTIONS"), stranger)) != silence {
				answered++
			}
		}
		if answered > 2*f.limits.StrangerRate {
			t.Errorf("%d of 1000 answered, rate is %d", answered, f.limits.StrangerRate)
		}
		if got := outcome(f.datagram(invite(), trunkAddr)); got != passes {
			t.Errorf("a trunk gets %d beside a flood", got)
		}
	})
}

func TestFenceFull(t *testing.T) {
	r := testFence(fakeGate{full: true}).datagram(invite(), trunkAddr)
	if outcome(r) != 503 || !strings.Contains(string(r.answer), "Retry-After: 10\r\n") {
		t.Errorf("INVITE got %q", r.answer)
	}
	r = testFence(fakeGate{full: true}).datagram(other("OPTIONS"), trunkAddr)
	if outcome(r) != 503 {
		t.Errorf("OPTIONS got %q: it must say what an INVITE would get", r.answer)
	}
	if got := outcome(testFence(fakeGate{full: true, known: true}).datagram(invite(), trunkAddr)); got != passes {
		t.Errorf("a copy of an admitted INVITE got %d", got)
	}
}

func TestFenceAnswer(t *testing.T) {
	f := testFence(fakeGate{})
	m := invite("Via:", "Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKtop\r\nVia:", "Max-Forwards", "Require: x\r\nMax-Forwards")
	r := f.datagram(m, netip.MustParseAddrPort("192.0.2.10:40000"))
	got := string(r.answer)
	for _, want := range []string{"SIP/2.0 420 ", "Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKtop;received=192.0.2.10\r\n",
		"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776;rport\r\n", "Unsupported: x\r\n", "To: <sip:4400@198.51.100.1>;tag=f", "CSeq: 1 INVITE\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("answer lacks %q:\n%s", want, got)
		}
	}
	if r.to != netip.MustParseAddrPort("192.0.2.10:5060") {
		t.Errorf("answered to %v: the top Via has no rport", r.to)
	}
	if again := f.datagram(m, netip.MustParseAddrPort("192.0.2.10:40000")); string(again.answer) != got {
		t.Errorf("a retransmission got another answer")
	}
}

func TestSourcesBan(t *testing.T) {
	var s sources
	a, now := netip.MustParseAddr("203.0.113.1"), time.Unix(1000, 0)
	for range banAfter + 10 {
		s.take(a, 5, true, now)
	}
	if s.take(a, 5, true, now.Add(time.Minute)) {
		t.Error("a scanner is answered again after a minute")
	}
	if !s.take(a, 5, true, now.Add(banTime+time.Minute)) {
		t.Error("a ban never ends")
	}
}

func TestSourcesBounded(t *testing.T) {
	var s sources
	now := time.Unix(1000, 0)
	for i := range 3 * maxSources {
		s.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5, true, now)
	}
	if len(s.by) > maxSources {
		t.Errorf("%d sources kept, bound is %d", len(s.by), maxSources)
	}
	if s.take(netip.MustParseAddr("2001:db8::1"), 1, false, now); s.take(netip.MustParseAddr("2001:db8::2"), 1, false, now) {
		t.Error("two addresses of one IPv6 /64 count as two")
	}
}

// FuzzFence: what passes reads the same to the fence again and to the SIP stack,
// and an answer is one message with no line of the sender's making.
func FuzzFence(f *testing.F) {
	for _, m := range [][]byte{invite(), other("OPTIONS"), other("BYE"), invite("\"A\"", "\"A\nX-Evil: 1\""), invite("From: \"A\"", "From: \"A\"\r\n "),
		[]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@y>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n")} {
		f.Add(m)
	}
	parser := sip.NewParser()
	f.Fuzz(func(t *testing.T, raw []byte) {
		fe := testFence(fakeGate{})
		r := fe.datagram(raw, trunkAddr)
		if r.answer != nil {
			checkAnswer(t, r.answer)
		}
		if r.forward == nil {
			return
		}
		again := fe.datagram(r.forward, trunkAddr)
		if string(again.forward) != string(r.forward) {
			t.Fatalf("passes once as\n%q\nand then as\n%q (%q)", r.forward, again.forward, again.answer)
		}
		m, _ := parseMessage(r.forward[:strings.Index(string(r.forward), "\r\n\r\n")+4])
		if bad := m.judge(); bad != nil && bad.code != 0 {
			t.Fatalf("what passed is refused: %v", bad)
		}
		msg, err := parser.ParseSIP(r.forward)
		if err != nil {
			t.Fatalf("the stack cannot read what passed: %v\n%q", err, r.forward)
		}
		if got := msg.CallID().Value(); got != m.first("Call-ID") {
			t.Errorf("Call-ID %q reads as %q", m.first("Call-ID"), got)
		}
		if got := msg.From().Params.GetOr("tag", ""); got != m.from.tag() {
			t.Errorf("From tag %q reads as %q\n%q", m.from.tag(), got, r.forward)
		}
		if got := msg.To().Params.GetOr("tag", ""); got != m.to.tag() {
			t.Errorf("To tag %q reads as %q\n%q", m.to.tag(), got, r.forward)
		}
		if c := msg.CSeq(); c.SeqNo != m.cseq || string(c.MethodName) != m.cseqFor {
			t.Errorf("CSeq %d %s reads as %v", m.cseq, m.cseqFor, c)
		}
		top, _ := msg.Via().Params.Get("branch")
		if b, _ := m.vias[0].param("branch"); top != b.value {
			t.Errorf("branch %q reads as %q", b.value, top)
		}
	})
}

func checkAnswer(t *testing.T, answer []byte) {
	t.Helper()
	m, _ := parseMessage(answer)
	if m.status < 100 {
		t.Fatalf("answer is no response: %q", answer)
	}
	for _, f := range m.fields {
		if hasControl(f.value) {
			t.Fatalf("control character in answer: %q", answer)
		}
	}
	if n := strings.Count(string(answer), "\r\n\r\n"); n != 1 {
		t.Fatalf("answer ends %d times: %q", n, answer)
	}
	if strings.Count(string(answer), "\n") != strings.Count(string(answer), "\r\n") {
		t.Fatalf("bare line feed in answer: %q", answer)
	}
}

// BenchmarkFence reads, judges and writes again an INVITE as a carrier sends it.
func BenchmarkFence(b *testing.B) {
	head := []byte("INVITE sip:+442079460001@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK74bf9;rport\r\n" +
		"Max-Forwards: 70\r\nFrom: \"Ada\" <sip:+447700900123@198.51.100.7>;tag=9fxced76sl\r\nTo: <sip:+442079460001@192.0.2.1>\r\n" +
		"Call-ID: 3848276298220188511@198.51.100.7\r\nCSeq: 2 INVITE\r\nContact: <sip:ada@198.51.100.7:5060>\r\nAllow: INVITE, ACK, BYE, CANCEL\r\n" +
		"Supported: timer\r\nP-Asserted-Identity: <tel:+447700900123>\r\nContent-Type: application/sdp\r\nContent-Length: 0\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		m, r := parseMessage(head)
		if r != nil || m.judge() != nil || len(m.render()) < 300 {
			b.Fatal("a good INVITE was refused")
		}
	}
}
