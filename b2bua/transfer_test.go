package b2bua_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"

	"github.com/ringfence/ringfence/test/port"
)

// agentOf is a leg that we placed to a hand-made phone, answered, and the INVITE
// as the phone had it.
func agentOf(t *testing.T, may bool) (*far, *b2bua.Leg, string) {
	t.Helper()
	ua := gateway(t, "udp", nil)
	f := newFar(t, ua)
	leg, err := ua.Place(context.Background(), ringfence.Placement{To: "sip:201@" + f.addr().String(), MayTransfer: may})
	if err != nil {
		t.Fatal(err)
	}
	invite := f.next("INVITE")
	f.answer(invite, "200 OK", "a1", sdpType, sdpBody(1, ""))
	f.next("ACK")
	await(t, leg, ringfence.LegAnswered)
	return f, leg, invite
}

// inside sends a request in the dialog that invite began, from the called side.
func (f *far) inside(invite, method string, cseq int, extra string) {
	f.t.Helper()
	f.send("%s sip:gw@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d;rport\nMax-Forwards: 70\nFrom: %s;tag=a1\nTo: %s\nCall-ID: %s\nCSeq: %d %s\nContact: <sip:201@%s>\n%sContent-Length: 0\n\n",
		method, f.gw, f.addr(), method, cseq, line(invite, "To"), line(invite, "From"), line(invite, "Call-ID"), cseq, method, f.addr(), extra)
}

// TestReferRefused: whoever may not transfer is refused, and so is what is no
// plain transfer, before anybody hears of it.
func TestReferRefused(t *testing.T) {
	t.Run("a caller's", func(t *testing.T) {
		legs := make(chan *b2bua.Leg, 1)
		f := newFar(t, gateway(t, "udp", answering(legs)))
		ok := f.invite("", sdpBody(1, ""))
		answered(t, legs)
		f.request("REFER", 2, line(ok, "To"), "Refer-To: <sip:202@127.0.0.1>\n", "")
		if res := f.next("SIP/2.0 405"); strings.Contains(line(res, "Allow"), "REFER") {
			t.Errorf("Allow: %s", line(res, "Allow"))
		}
	})
	t.Run("a leg that may not", func(t *testing.T) {
		f, _, invite := agentOf(t, false)
		if strings.Contains(line(invite, "Allow"), "REFER") {
			t.Error("the INVITE offers REFER")
		}
		f.inside(invite, "REFER", 1, "Refer-To: <sip:202@127.0.0.1>\n")
		f.next("SIP/2.0 405")
	})
	f, leg, invite := agentOf(t, true)
	if !strings.Contains(line(invite, "Allow"), "REFER") {
		t.Error("the INVITE does not offer REFER")
	}
	for i, c := range []struct{ refer, want string }{
		{"", "400"},
		{"Refer-To: <sip:202@127.0.0.1>\nRefer-To: <sip:203@127.0.0.1>\n", "400"},
		{"Refer-To: <sip:202@127.0.0.1>, <sip:203@127.0.0.1>\n", "400"},
		{"Refer-To: <sip:202@[::1>\n", "400"},
		{"Refer-To: <tel:+442079460000>\n", "400"},
		{"Refer-To: <http://127.0.0.1/>\n", "400"},
		{"Refer-To: <sip:127.0.0.1>\n", "403"},
		{"Refer-To: <sip:202@127.0.0.1;method=BYE>\n", "403"},
		{"Refer-To: <sip:202@127.0.0.1;METHOD=MESSAGE>\n", "403"},
		{"Refer-To: <sip:202@127.0.0.1?Subject=hello>\n", "403"},
		{"Refer-To: <sip:202@127.0.0.1?Replaces=c%3Bto-tag%3Da%3Bfrom-tag%3Db&Route=%3Csip:192.0.2.1%3E>\n", "403"},
		{"Refer-To: <sip:202@127.0.0.1?Replaces=c%3Bto-tag%3Da>\n", "403"},
		{"Refer-To: <sip:202@127.0.0.1?Replaces=c%0D%0AX%3A1%3Bto-tag%3Da%3Bfrom-tag%3Db>\n", "403"},
		{"Refer-To: <sip:202@127.0.0.1>\nRequire: gruu\n", "420"},
	} {
		f.inside(invite, "REFER", 10+i, c.refer)
		if res := f.next("SIP/2.0 "); !strings.HasPrefix(res, "SIP/2.0 "+c.want) {
			t.Errorf("%q: %.30q, want %s", c.refer, res, c.want)
		}
	}
	if n := len(leg.Events()); n != 0 {
		t.Errorf("%d events of what was refused", n)
	}
	f.inside(invite, "REFER", 90, "Refer-To: <sip:202@127.0.0.1>\n")
	if e := await(t, leg, ringfence.LegTransfer); e.Refer != (ringfence.Referral{To: "202"}) {
		t.Errorf("asked for %+v", e.Refer)
	}
	leg.Transfer(403)
	f.next("SIP/2.0 403")
	leg.Transfer(200) // nobody waits for it
}

// TestReferUndecided: a reader who does not decide refuses.
func TestReferUndecided(t *testing.T) {
	t.Parallel()
	f, _, invite := agentOf(t, true)
	f.inside(invite, "REFER", 91, "Refer-To: <sip:202@127.0.0.1>\n")
	f.next("SIP/2.0 480")
}

// notified answers the next NOTIFY and checks its status line and state.
func (f *far) notified(event, state, status string) {
	f.t.Helper()
	n := f.next("NOTIFY")
	f.answer(n, "200 OK", "", "", "")
	_, body, _ := strings.Cut(n, "\r\n\r\n")
	if line(n, "Event") != event || !strings.HasPrefix(line(n, "Subscription-State"), state) || body != "SIP/2.0 "+status+"\r\n" ||
		line(n, "Content-Type") != "message/sipfrag;version=2.0" {
		f.t.Errorf("want %s, %s, %s, have\n%s", event, state, status, n)
	}
}

// TestReferProgress: the far end hears how its transfer goes, and the end of it
// before our BYE.
func TestReferProgress(t *testing.T) {
	f, leg, invite := agentOf(t, true)
	f.inside(invite, "REFER", 10, "Refer-To: <sip:202@127.0.0.1?Replaces=c1%40x%3Bto-tag%3Da%3Bfrom-tag%3Db>\n")
	if e := await(t, leg, ringfence.LegTransfer); e.Refer != (ringfence.Referral{To: "202", Replaces: "c1@x;to-tag=a;from-tag=b"}) {
		t.Errorf("asked for %+v", e.Refer)
	}
	leg.Transfer(100)
	f.next("SIP/2.0 202")
	f.notified("refer", "active;expires=", "100 Trying")
	f.inside(invite, "REFER", 11, "Refer-To: <sip:203@127.0.0.1>\n")
	f.next("SIP/2.0 491")
	leg.Transfer(180)
	f.notified("refer", "active;expires=", "180 Ringing")
	leg.Transfer(486)
	f.notified("refer", "terminated;reason=noresource", "486 Busy Here")

	f.inside(invite, "REFER", 12, "Refer-To: <sip:203@127.0.0.1>\n")
	await(t, leg, ringfence.LegTransfer)
	leg.Transfer(100)
	f.next("SIP/2.0 202")
	f.notified("refer;id=12", "active", "100 Trying")
	leg.Transfer(200)
	leg.Hangup(ringfence.EndHangup)
	f.notified("refer;id=12", "terminated", "200 OK")
	f.answer(f.next("BYE"), "200 OK", "", "", "")
}

// TestReferGivenUp: a leg that ends meanwhile tells so, and one whose far end
// hung up is told nothing.
func TestReferGivenUp(t *testing.T) {
	f, leg, invite := agentOf(t, true)
	f.inside(invite, "REFER", 10, "Refer-To: <sip:202@127.0.0.1>\nRefer-Sub: true\n")
	await(t, leg, ringfence.LegTransfer)
	leg.Transfer(100)
	f.next("SIP/2.0 202")
	f.notified("refer", "active", "100 Trying")
	leg.Hangup(ringfence.EndHangup)
	f.notified("refer", "terminated", "487 Request Terminated")
	f.answer(f.next("BYE"), "200 OK", "", "", "")

	f, leg, invite = agentOf(t, true)
	f.inside(invite, "REFER", 10, "Refer-To: <sip:202@127.0.0.1>\nRefer-Sub: false\n")
	await(t, leg, ringfence.LegTransfer)
	leg.Transfer(100)
	if res := f.next("SIP/2.0 202"); line(res, "Refer-Sub") != "false" {
		t.Errorf("no Refer-Sub in\n%s", res)
	}
	f.inside(invite, "BYE", 11, "")
	for {
		switch m := f.next(""); {
		case strings.HasPrefix(m, "NOTIFY"):
			t.Fatal("a NOTIFY although none was wanted")
		case strings.HasPrefix(m, "SIP/2.0 200"):
			await(t, leg, ringfence.LegEnded)
			return
		}
	}
}

// TestReplacesOut: the leg of an attended transfer asks to take the other call's
// place, and no text becomes a header field of its own.
func TestReplacesOut(t *testing.T) {
	ua := gateway(t, "udp", nil)
	f := newFar(t, ua)
	to := "sip:202@" + f.addr().String()
	for _, bad := range []string{"c", "c;to-tag=a", "c;to-tag=a;from-tag=b\r\nX: 1", "c d;to-tag=a;from-tag=b", "c;to-tag=a;from-tag=b;x=1"} {
		if _, err := ua.Place(context.Background(), ringfence.Placement{To: to, Replaces: bad}); err == nil {
			t.Errorf("%q was placed", bad)
		}
	}
	leg, err := ua.Place(context.Background(), ringfence.Placement{To: to, Replaces: "c;to-tag=a;from-tag=b"})
	if err != nil {
		t.Fatal(err)
	}
	invite := f.next("INVITE")
	if line(invite, "Replaces") != "c;to-tag=a;from-tag=b" || line(invite, "Require") != "replaces" {
		t.Errorf("INVITE:\n%s", invite)
	}
	f.answer(invite, "481 Call/Transaction Does Not Exist", "a1", "", "")
	await(t, leg, ringfence.LegEnded)
}

// TestSIPpTransfers: SIPp as an agent's phone transfers by REFER, hears how it
// goes and hangs up after the last NOTIFY.
func TestSIPpTransfers(t *testing.T) {
	if _, err := exec.LookPath("sipp"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sipp is missing: apt-get install sip-tester")
		}
		t.Skip("sipp is not installed")
	}
	ua := gateway(t, "udp", nil)
	ctx, port := within(t), port.Free(t)
	agent := sipp(t, ctx, "transfer.xml", "-p", strconv.Itoa(port), "-m", "1", "-t", "u1")
	leg, err := ua.Place(ctx, ringfence.Placement{To: fmt.Sprintf("sip:agent@127.0.0.1:%d", port), MayTransfer: true})
	if err != nil {
		t.Fatal(err)
	}
	e := await(t, leg, ringfence.LegTransfer)
	if want, _ := url.PathUnescape("other%40call;to-tag=1;from-tag=2"); e.Refer.To != "202" || e.Refer.Replaces != want {
		t.Errorf("asked for %+v", e.Refer)
	}
	for _, code := range []int{100, 180, 200} {
		leg.Transfer(code)
	}
	if err := <-agent; err != nil {
		t.Errorf("agent: %v", err)
	}
	if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndBye {
		t.Errorf("ended by %s", e.Cause)
	}
}
