package b2bua_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// far is a hand-made far end on a UDP socket: it sends what the test writes.
type far struct {
	t    *testing.T
	conn *net.UDPConn
	gw   netip.AddrPort
}

func newFar(t *testing.T, ua *b2bua.UA) *far {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	f := &far{t: t, conn: c}
	if ua != nil {
		f.gw = ua.Addrs()["main"]
	}
	return f
}

func (f *far) addr() netip.AddrPort { return f.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (f *far) send(format string, args ...any) {
	f.t.Helper()
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n")
	if _, err := f.conn.WriteToUDPAddrPort([]byte(text), f.gw); err != nil {
		f.t.Fatal(err)
	}
}

// next returns the next message whose first line has prefix; others are passed over.
func (f *far) next(prefix string) string {
	f.t.Helper()
	_ = f.conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 65536)
	for {
		n, from, err := f.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			f.t.Fatalf("no %q: %v", prefix, err)
		}
		f.gw = from
		if text := string(buf[:n]); strings.HasPrefix(text, prefix) {
			return text
		}
	}
}

// line returns the value of a header field in text.
func line(text, name string) string {
	for _, l := range strings.Split(text, "\r\n") {
		if n, v, ok := strings.Cut(l, ": "); ok && strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}

// answer sends a response to a request that was received, with a To tag and
// further lines.
func (f *far) answer(req string, status, tag, extra, body string) {
	f.t.Helper()
	to := line(req, "To")
	if tag != "" && !strings.Contains(to, "tag=") {
		to += ";tag=" + tag
	}
	f.send("SIP/2.0 %s\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\nContact: <sip:far@%s>\n%sContent-Length: %d\n\n%s",
		status, line(req, "Via"), line(req, "From"), to, line(req, "Call-ID"), line(req, "CSeq"), f.addr(), extra,
		len(strings.ReplaceAll(body, "\n", "\r\n")), body)
}

const sdpType = "Content-Type: application/sdp\n"

// sdpBody is a description with a port and further lines.
func sdpBody(version int, extra string) string {
	return fmt.Sprintf("v=0\no=- 5 %d IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40400 RTP/AVP 0 8 110\na=rtpmap:110 telephone-event/8000\n%s", version, extra)
}

// invite sends an INVITE and returns the 200, acknowledged unless the body was
// left out.
func (f *far) invite(extra, body string) (ok string) {
	f.t.Helper()
	f.request("INVITE", 1, "", extra, body)
	ok = f.next("SIP/2.0 200")
	if body != "" {
		f.request("ACK", 1, line(ok, "To"), "", "")
	}
	return ok
}

// request sends a request of call "c1"; to is the To value of the dialog, or "".
func (f *far) request(method string, cseq int, to, extra, body string) {
	f.t.Helper()
	if to == "" {
		to = "<sip:4400@127.0.0.1>"
	}
	if body != "" {
		extra += sdpType
	}
	f.send("%s sip:4400@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d;rport\nMax-Forwards: 70\nFrom: <sip:far@127.0.0.1>;tag=f1\nTo: %s\n"+
		"Call-ID: c1\nCSeq: %d %s\nContact: <sip:far@%s>\n%sContent-Length: %d\n\n%s", method, f.gw, f.addr(), method, cseq, to, cseq, method, f.addr(),
		extra, len(strings.ReplaceAll(body, "\n", "\r\n")), body)
}

// answering is a handler that takes the call and shows its leg.
func answering(legs chan<- *b2bua.Leg) b2bua.HandlerFunc {
	return func(ctx context.Context, leg *b2bua.Leg) {
		if leg.Answer(ctx) == nil {
			legs <- leg
		}
		<-ctx.Done()
	}
}

// answered takes the leg that the handler answered.
func answered(t *testing.T, legs <-chan *b2bua.Leg) *b2bua.Leg {
	t.Helper()
	select {
	case l := <-legs:
		return l
	case <-within(t).Done():
		t.Fatal("the call was not answered")
		return nil
	}
}

func TestMergedRequest(t *testing.T) {
	legs := make(chan *b2bua.Leg, 50)
	ua := gateway(t, "udp", answering(legs))
	f := newFar(t, ua)
	f.invite("", sdpBody(1, ""))
	answered(t, legs)
	for i := range 49 {
		f.send("INVITE sip:4400@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKother%d;rport\nMax-Forwards: 70\nFrom: <sip:far@127.0.0.1>;tag=f1\n"+
			"To: <sip:4400@127.0.0.1>\nCall-ID: c1\nCSeq: 1 INVITE\nContact: <sip:far@%s>\nContent-Length: 0\n\n", f.gw, f.addr(), i, f.addr())
		f.next("SIP/2.0 482")
	}
	if len(legs) != 0 {
		t.Errorf("%d more calls came of one INVITE", len(legs))
	}
}

func TestStrangerInDialog(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	ua := gateway(t, "udp", answering(legs))
	f := newFar(t, ua)
	ok := f.invite("", sdpBody(1, ""))
	leg := answered(t, legs)
	to := line(ok, "To")
	for name, change := range map[string][2]string{"another From tag": {"tag=f1", "tag=f2"}, "another To tag": {"tag=", "tag=x"}} {
		from, dst := "<sip:far@127.0.0.1>;tag=f1", to
		if name == "another From tag" {
			from = strings.Replace(from, change[0], change[1], 1)
		} else {
			dst = strings.Replace(dst, change[0], change[1], 1)
		}
		f.send("BYE sip:4400@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d;rport\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: c1\nCSeq: 2 BYE\nContent-Length: 0\n\n",
			f.gw, f.addr(), len(name), from, dst)
		f.next("SIP/2.0 481")
	}
	if leg.Context().Err() != nil {
		t.Error("a stranger's BYE ended the call")
	}
	f.request("BYE", 3, to, "", "")
	f.next("SIP/2.0 200")
	if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndBye {
		t.Errorf("ended by %s", e.Cause)
	}
}

func TestInfoDigits(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	f := newFar(t, gateway(t, "udp", answering(legs)))
	body := strings.Replace(strings.Replace(sdpBody(1, ""), " 110", "", 1), "a=rtpmap:110 telephone-event/8000\n", "", 1)
	ok := f.invite("Allow: INVITE, ACK, BYE, INFO\n", body)
	leg := answered(t, legs)
	f.info(2, ok, "application/dtmf-relay", "Signal=5\nDuration=100\n", "200")
	f.info(3, ok, "application/dtmf", "#", "200")
	f.info(4, ok, "application/dtmf-relay", "Signal= 10\n", "200")
	f.info(5, ok, "application/dtmf-relay", "Signal=55\n", "400")
	f.info(6, ok, "text/plain", "5", "415")
	for _, want := range "5#*" {
		if e := await(t, leg, ringfence.LegDigit); e.Digit != byte(want) {
			t.Errorf("digit %q, want %q", e.Digit, want)
		}
	}
}

func (f *far) info(cseq int, ok, contentType, body, want string) {
	f.t.Helper()
	f.send("INFO sip:4400@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKinfo%d;rport\nMax-Forwards: 70\nFrom: <sip:far@127.0.0.1>;tag=f1\nTo: %s\n"+
		"Call-ID: c1\nCSeq: %d INFO\nContent-Type: %s\nContent-Length: %d\n\n%s", f.gw, f.addr(), cseq, line(ok, "To"), cseq, contentType,
		len(strings.ReplaceAll(body, "\n", "\r\n")), body)
	f.next("SIP/2.0 " + want)
}

// TestInfoIgnored: with telephone-event agreed, INFO is no second digit source.
func TestInfoIgnored(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	f := newFar(t, gateway(t, "udp", answering(legs)))
	ok := f.invite("Allow: INFO\n", sdpBody(1, ""))
	leg := answered(t, legs)
	f.info(2, ok, "application/dtmf-relay", "Signal=5\n", "200")
	f.request("BYE", 3, line(ok, "To"), "", "")
	for e := range leg.Events() {
		if e.Kind == ringfence.LegDigit {
			t.Errorf("digit %q counted", e.Digit)
		}
	}
}

func TestReinvite(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	f := newFar(t, gateway(t, "udp", answering(legs)))
	ok := f.invite("", sdpBody(1, ""))
	leg := answered(t, legs)
	to := line(ok, "To")
	version := regexp.MustCompile(`o=- (\d+) (\d+) `)
	if v := version.FindStringSubmatch(ok); v == nil || v[2] != "1" {
		t.Errorf("our o= line: %v", v)
	}

	f.request("INVITE", 2, to, "", sdpBody(2, "a=sendonly\n"))
	held := f.next("SIP/2.0 200")
	if !strings.Contains(held, "a=recvonly") || version.FindStringSubmatch(held)[2] != "2" {
		t.Errorf("hold answered with\n%s", held)
	}
	if again := f.next("SIP/2.0 200"); line(again, "CSeq") != "2 INVITE" {
		t.Errorf("the 200 is not repeated while no ACK comes:\n%s", again)
	}
	f.request("ACK", 2, to, "", "")
	if e := await(t, leg, ringfence.LegHeld); e.Whole {
		t.Error("hold is reported as taken back")
	}

	f.request("INVITE", 3, to, "", sdpBody(3, ""))
	f.next("SIP/2.0 200")
	f.request("ACK", 3, to, "", "")
	if e := await(t, leg, ringfence.LegHeld); !e.Whole {
		t.Error("the end of the hold is reported as another")
	}

	f.request("INVITE", 4, to, "", strings.Replace(sdpBody(4, ""), "0 8 110", "18", 1))
	f.next("SIP/2.0 488")
	f.request("ACK", 4, to, "", "")

	f.request("INVITE", 5, to, "", "") // no offer: ours is owed
	offer := f.next("SIP/2.0 200")
	if !strings.Contains(offer, "m=audio ") || !strings.Contains(offer, "telephone-event") {
		t.Errorf("no offer in\n%s", offer)
	}
	f.request("ACK", 5, to, "", strings.Replace(sdpBody(5, ""), "o=- 5", "o=- 6", 1))
	await(t, leg, ringfence.LegChanged) // another session at the far end

	f.request("UPDATE", 6, to, "", "")
	f.next("SIP/2.0 200")
	f.request("UPDATE", 7, to, "P-Asserted-Identity: <sip:somebody@127.0.0.1>\n", "")
	f.next("SIP/2.0 200")
	await(t, leg, ringfence.LegChanged)
	f.request("BYE", 8, to, "", "")
	f.next("SIP/2.0 200")
	await(t, leg, ringfence.LegEnded)
}

func TestDelayedOffer(t *testing.T) {
	for name, body := range map[string]string{"answer in the ACK": sdpBody(1, ""), "no answer in the ACK": "", "refused in the ACK": strings.Replace(sdpBody(1, ""), "40400", "0", 1)} {
		t.Run(name, func(t *testing.T) {
			legs := make(chan *b2bua.Leg, 1)
			f := newFar(t, gateway(t, "udp", answering(legs)))
			ok := f.invite("", "")
			if !strings.Contains(ok, "m=audio ") {
				t.Fatalf("no offer in\n%s", ok)
			}
			f.request("ACK", 1, line(ok, "To"), "", body)
			if name == "answer in the ACK" {
				leg := answered(t, legs)
				leg.Hangup(ringfence.EndHangup)
			}
			f.answer(f.next("BYE"), "200 OK", "", "", "")
		})
	}
}

func TestSessionTimer(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	f := newFar(t, gateway(t, "udp", answering(legs)))
	f.request("INVITE", 1, "", "Supported: timer\nSession-Expires: 30\n", sdpBody(1, ""))
	if r := f.next("SIP/2.0 422"); line(r, "Min-SE") != "90" {
		t.Errorf("422 without Min-SE:\n%s", r)
	}
	f.request("ACK", 1, "", "", "")
	f.request("INVITE", 2, "", "Supported: timer\nx: 120;refresher=uac\n", sdpBody(1, ""))
	ok := f.next("SIP/2.0 200")
	f.request("ACK", 2, line(ok, "To"), "", "")
	if line(ok, "Session-Expires") != "120;refresher=uac" || line(ok, "Require") != "timer" {
		t.Errorf("answered with\n%s", ok)
	}
}

// placed places a leg to a far end and returns both.
func placed(t *testing.T, p ringfence.Placement, change ...func(*b2bua.Config)) (*b2bua.UA, *far, *b2bua.Leg) {
	t.Helper()
	ua := gateway(t, "udp", nil, change...)
	f := newFar(t, nil)
	p.To = "sip:7@" + f.addr().String()
	leg, err := ua.Place(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return ua, f, leg
}

func TestPlacedInvite(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{From: "4420", Name: "Bank", Identity: []string{"a.b.c;info=<https://x>"}, UUI: "ref42;encoding=hex"})
	inv := f.next("INVITE")
	for _, want := range []string{"INVITE sip:7@127.0.0.1", "From: \"Bank\" <sip:4420@127.0.0.1>;tag=", "Identity: a.b.c;info=<https://x>\r\n",
		"User-to-User: ref42;encoding=hex\r\n", "Date: ", "Supported: timer, 100rel, histinfo, uui\r\n", "Session-Expires: 1800\r\n", "m=audio "} {
		if !strings.Contains(inv, want) {
			t.Errorf("INVITE lacks %q:\n%s", want, inv)
		}
	}
	f.answer(inv, "486 Busy Here", "t", "", "")
	f.next("ACK")
	await(t, leg, ringfence.LegEnded)
}

// TestPlacedVerstat: the result of the check stands behind a number, never
// behind a name, and in P-Asserted-Identity where identities are shared.
func TestPlacedVerstat(t *testing.T) {
	for _, k := range []struct{ from, want, pai string }{
		{"anonymous", "From: <sip:anonymous@127.0.0.1>;tag=", ""},
		{"442079460000", "From: <sip:442079460000;verstat=TN-Validation-Failed@127.0.0.1>;tag=", "P-Asserted-Identity: <tel:+442079460000;verstat=TN-Validation-Failed>\r\n"},
	} {
		_, f, leg := placed(t, ringfence.Placement{From: k.from, Verstat: "TN-Validation-Failed"})
		inv := f.next("INVITE")
		if !strings.Contains(inv, k.want) || !strings.Contains(inv, k.pai) || k.pai == "" && strings.Contains(inv, "P-Asserted-Identity") {
			t.Errorf("%s: want %q and %q in\n%s", k.from, k.want, k.pai, inv)
		}
		f.answer(inv, "486 Busy Here", "t", "", "")
		f.next("ACK")
		await(t, leg, ringfence.LegEnded)
	}
}

// TestFork: the second phone that answers is acknowledged and hung up on.
func TestFork(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{})
	inv := f.next("INVITE")
	f.answer(inv, "200 OK", "one", sdpType, sdpBody(1, ""))
	f.next("ACK")
	await(t, leg, ringfence.LegAnswered)
	f.answer(inv, "200 OK", "two", sdpType, sdpBody(1, ""))
	bye := f.next("BYE")
	if !strings.Contains(line(bye, "To"), "tag=two") {
		t.Errorf("BYE to %s", line(bye, "To"))
	}
	f.answer(bye, "200 OK", "", "", "")
	if leg.Context().Err() != nil {
		t.Error("the first phone lost its call")
	}
}

// TestCancelTooLate: a 200 that crosses our CANCEL is acknowledged and ended.
func TestCancelTooLate(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{})
	inv := f.next("INVITE")
	f.answer(inv, "180 Ringing", "one", "", "")
	await(t, leg, ringfence.LegRinging)
	leg.Hangup(ringfence.EndHangup)
	cancel := f.next("CANCEL")
	if line(cancel, "CSeq") != strings.Replace(line(inv, "CSeq"), "INVITE", "CANCEL", 1) || line(cancel, "Via") != line(inv, "Via") {
		t.Errorf("CANCEL does not match its INVITE:\n%s\n%s", cancel, inv)
	}
	f.answer(inv, "200 OK", "one", sdpType, sdpBody(1, ""))
	f.answer(cancel, "200 OK", "one", "", "")
	f.next("ACK")
	f.answer(f.next("BYE"), "200 OK", "", "", "")
	if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndHangup {
		t.Errorf("ended by %s", e.Cause)
	}
}

// TestCancelBeforeAnything: no CANCEL may leave before the first response (RFC
// 3261, section 9.1), and none is forgotten after it.
func TestCancelBeforeAnything(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{})
	inv := f.next("INVITE")
	leg.Hangup(ringfence.EndHangup)
	await(t, leg, ringfence.LegEnded)
	f.answer(inv, "180 Ringing", "one", "", "")
	cancel := f.next("CANCEL")
	f.answer(cancel, "200 OK", "one", "", "")
	f.answer(inv, "487 Request Terminated", "one", "", "")
	f.next("ACK")
}

// TestManyProvisional: a phone that rings long sends more than the eleven
// responses the stack counts to.
func TestManyProvisional(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{})
	inv := f.next("INVITE")
	for range 30 {
		f.answer(inv, "180 Ringing", "one", "", "")
		await(t, leg, ringfence.LegRinging)
	}
	f.answer(inv, "200 OK", "one", sdpType, sdpBody(1, ""))
	f.next("ACK")
	await(t, leg, ringfence.LegAnswered)
}

func TestDiverted(t *testing.T) {
	for name, r := range map[string][2]string{
		"181":          {"181 Call Is Being Forwarded", ""},
		"302":          {"302 Moved Temporarily", ""},
		"Diversion":    {"180 Ringing", "Diversion: <sip:x@127.0.0.1>;reason=no-answer\n"},
		"History-Info": {"180 Ringing", "History-Info: <sip:7@x>;index=1, <sip:8@x>;index=1.1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, f, leg := placed(t, ringfence.Placement{Contact: true})
			inv := f.next("INVITE")
			f.answer(inv, r[0], "one", r[1], "")
			await(t, leg, ringfence.LegDiverted)
			if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndDiverted {
				t.Errorf("ended by %s", e.Cause)
			}
			if name != "302" {
				f.answer(f.next("CANCEL"), "200 OK", "one", "", "")
				f.answer(inv, "487 Request Terminated", "one", "", "")
			}
			f.next("ACK")
		})
	}
}

func TestDigest(t *testing.T) {
	withRealm := func(c *b2bua.Config) {
		c.Trunks[0].Username, c.Trunks[0].Password, c.Trunks[0].Realm = "bank", "secret", "carrier"
	}
	t.Run("ours", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, withRealm)
		inv := f.next("INVITE")
		f.answer(inv, "407 Proxy Authentication Required", "t", "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\n", "")
		f.next("ACK")
		again := f.next("INVITE")
		if a := line(again, "Proxy-Authorization"); !strings.Contains(a, `username="bank"`) || strings.Contains(again, "secret") {
			t.Errorf("authorization %q", a)
		}
		f.answer(again, "200 OK", "one", sdpType, sdpBody(1, ""))
		f.next("ACK")
		await(t, leg, ringfence.LegAnswered)
		leg.Hangup(ringfence.EndHangup)
		f.answer(f.next("BYE"), "200 OK", "", "", "")
	})
	t.Run("of another realm", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, withRealm)
		f.answer(f.next("INVITE"), "401 Unauthorized", "t", "WWW-Authenticate: Digest realm=\"thief\", nonce=\"n1\", algorithm=MD5\n", "")
		f.next("ACK")
		if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndFailed {
			t.Errorf("ended by %s", e.Cause)
		}
	})
}

// TestBadAnswer: a 200 we cannot use is acknowledged and ended (RFC 3261, section
// 13.2.2.4).
func TestBadAnswer(t *testing.T) {
	for name, body := range map[string]string{"none": "", "port 0": strings.Replace(sdpBody(1, ""), "40400", "0", 1),
		"metadata address": strings.ReplaceAll(sdpBody(1, ""), "127.0.0.1", "169.254.169.254")} {
		t.Run(name, func(t *testing.T) {
			_, f, leg := placed(t, ringfence.Placement{})
			f.answer(f.next("INVITE"), "200 OK", "one", sdpType, body)
			f.next("ACK")
			f.answer(f.next("BYE"), "200 OK", "", "", "")
			if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndFailed || e.Code != 488 {
				t.Errorf("ended by %s %d", e.Cause, e.Code)
			}
		})
	}
}

// TestForeignRoutes: whatever Contact and Record-Route say, requests inside the
// dialog go to the trunk.
func TestForeignRoutes(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	f := newFar(t, gateway(t, "udp", answering(legs)))
	f.request("INVITE", 1, "", "Record-Route: <sip:203.0.113.9:5060;lr>\n", sdpBody(1, ""))
	ok := f.next("SIP/2.0 200")
	f.request("ACK", 1, line(ok, "To"), "", "")
	answered(t, legs).Hangup(ringfence.EndHangup)
	bye := f.next("BYE")
	if line(bye, "Route") != "<sip:203.0.113.9:5060;lr>" {
		t.Errorf("BYE lacks its route:\n%s", bye)
	}
	f.answer(bye, "200 OK", "", "", "")
}
