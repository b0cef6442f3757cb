package b2bua_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// TestHold: either side puts the other on media hold and takes it back, over
// every transport, and both know.
func TestHold(t *testing.T) {
	server, client := testTLS(t)
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			legs := make(chan *b2bua.Leg, 1)
			cfg := peer.Config{Transport: transport}
			ua := gateway(t, transport, answering(legs), func(c *b2bua.Config) {
				if transport == "tls" {
					c.Listeners[0].TLS, c.Trunks[0].TLS = server, client
					cfg.TLS, cfg.Client = server, client
				}
			})
			uri := "sip:1@" + ua.Addrs()["main"].String()
			if transport != "udp" {
				uri += ";transport=" + transport
			}
			ctx := within(t)
			call, err := phone(t, cfg).Call(ctx, peer.Invite{To: uri})
			if err != nil {
				t.Fatal(err)
			}
			leg := answered(t, legs)
			for _, on := range []bool{true, false} {
				if err := call.Hold(ctx, on); err != nil { // theirs
					t.Fatal(err)
				}
				if e := await(t, leg, ringfence.LegHeld); e.Whole == on {
					t.Errorf("far end's hold %v reported as %v", on, !e.Whole)
				}
			}
			for _, on := range []bool{true, false} {
				if err := leg.Hold(ctx, on); err != nil { // ours
					t.Fatal(err)
				}
				held := <-call.Held()
				if held != on {
					t.Errorf("our hold %v reached the phone as %v", on, held)
				}
			}
			leg.Play(tone(700, time.Minute))
			hears(t, call, 700)
		})
	}
}

// TestHoldRefused: a far end that will not be held leaves the session as it was,
// and one that asks at the same time is asked again.
func TestHoldRefused(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{})
	inv := f.next("INVITE")
	f.answer(inv, "200 OK", "one", sdpType, sdpBody(1, ""))
	f.next("ACK")
	await(t, leg, ringfence.LegAnswered)
	ctx := within(t)
	held := make(chan error, 1)
	go func() { held <- leg.Hold(ctx, true) }()
	re := f.next("INVITE")
	if !strings.Contains(re, "a=sendonly") || !strings.Contains(line(re, "To"), "tag=one") {
		t.Errorf("hold asked with\n%s", re)
	}
	f.answer(re, "491 Request Pending", "", "", "")
	f.next("ACK")
	again := f.next("INVITE")
	if line(again, "CSeq") == line(re, "CSeq") {
		t.Error("the second re-INVITE is a copy of the first")
	}
	f.answer(again, "488 Not Acceptable Here", "", "", "")
	f.next("ACK")
	if err := <-held; err == nil || !strings.Contains(err.Error(), "488") {
		t.Errorf("Hold = %v", err)
	}
	if leg.Context().Err() != nil {
		t.Error("a refused hold ended the call")
	}
	leg.Hangup(ringfence.EndHangup)
	f.answer(f.next("BYE"), "200 OK", "", "", "")
}

// TestOurDelayedOffer: where the trunk wants it, our INVITE has no description and
// our ACK has the answer.
func TestOurDelayedOffer(t *testing.T) {
	delayed := func(c *b2bua.Config) { c.Trunks[0].DelayedOffer = true }
	t.Run("offer in the 200", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, delayed)
		inv := f.next("INVITE")
		if strings.Contains(inv, "m=audio") || line(inv, "Content-Type") != "" {
			t.Errorf("INVITE has a description:\n%s", inv)
		}
		f.answer(inv, "200 OK", "one", sdpType, sdpBody(1, ""))
		if ack := f.next("ACK"); !strings.Contains(ack, "m=audio ") || line(ack, "Content-Type") != "application/sdp" {
			t.Errorf("ACK has no answer:\n%s", ack)
		}
		await(t, leg, ringfence.LegAnswered)
		leg.Hangup(ringfence.EndHangup)
		f.answer(f.next("BYE"), "200 OK", "", "", "")
	})
	t.Run("offer in a reliable 183", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, delayed)
		inv := f.next("INVITE")
		f.answer(inv, "183 Session Progress", "one", "Require: 100rel\nRSeq: 1\n"+sdpType, sdpBody(1, ""))
		prack := f.next("PRACK")
		if !strings.Contains(prack, "m=audio ") {
			t.Errorf("PRACK has no answer:\n%s", prack)
		}
		f.answer(prack, "200 OK", "", "", "")
		f.answer(inv, "200 OK", "one", "", "")
		f.next("ACK")
		await(t, leg, ringfence.LegAnswered)
		leg.Hangup(ringfence.EndHangup)
		f.answer(f.next("BYE"), "200 OK", "", "", "")
	})
	t.Run("no offer at all", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, delayed)
		f.answer(f.next("INVITE"), "200 OK", "one", "", "")
		f.next("ACK")
		f.answer(f.next("BYE"), "200 OK", "", "", "")
		if e := await(t, leg, ringfence.LegEnded); e.Code != 488 {
			t.Errorf("ended with %d", e.Code)
		}
	})
}

// TestPrackAsUAC: a reliable response is acknowledged once, in order, and what
// follows in the dialog has higher numbers than the PRACKs.
func TestPrackAsUAC(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{})
	inv := f.next("INVITE")
	number := strings.Fields(line(inv, "CSeq"))[0]
	f.answer(inv, "180 Ringing", "one", "Require: 100rel\nRSeq: 41\n", "")
	first := f.next("PRACK")
	if line(first, "RAck") != "41 "+number+" INVITE" || !strings.Contains(line(first, "To"), "tag=one") {
		t.Errorf("PRACK\n%s", first)
	}
	f.answer(inv, "180 Ringing", "one", "Require: 100rel\nRSeq: 41\n", "") // a copy
	f.answer(inv, "180 Ringing", "one", "Require: 100rel\nRSeq: 43\n", "") // overtook 42
	f.answer(inv, "180 Ringing", "one", "Require: 100rel\nRSeq: 42\n", "")
	f.answer(first, "200 OK", "", "", "")
	var second string
	for {
		second = f.next("PRACK")
		again := line(second, "CSeq") == line(first, "CSeq")   // sent before our 200 came
		late := line(second, "RAck") == "43 "+number+" INVITE" // the stack gave 42 out before 43: both are owed
		if !again && !late {
			break
		}
		f.answer(second, "200 OK", "", "", "")
	}
	if line(second, "RAck") != "42 "+number+" INVITE" {
		t.Errorf("second PRACK is for %s", line(second, "RAck"))
	}
	f.answer(second, "200 OK", "", "", "")
	f.answer(inv, "200 OK", "one", sdpType, sdpBody(1, ""))
	if ack := f.next("ACK"); line(ack, "CSeq") != number+" ACK" {
		t.Errorf("ACK has CSeq %s, want that of the INVITE", line(ack, "CSeq"))
	}
	await(t, leg, ringfence.LegAnswered)
	leg.Hangup(ringfence.EndHangup)
	bye := f.next("BYE")
	var invited, ended int
	_, _ = fmt.Sscan(line(inv, "CSeq"), &invited)
	_, _ = fmt.Sscan(line(bye, "CSeq"), &ended)
	if ended <= invited+2 {
		t.Errorf("BYE has CSeq %d after two PRACKs of an INVITE with %d", ended, invited)
	}
	f.answer(bye, "200 OK", "", "", "")
}

// TestPrackAsUAS: to a caller that requires it our ringing is sent until it is
// acknowledged, and a PRACK of something else is refused.
func TestPrackAsUAS(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	answer := make(chan struct{})
	f := newFar(t, gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		if err := leg.Progress(ctx); err != nil {
			t.Errorf("Progress: %v", err)
		}
		<-answer
		if leg.Answer(ctx) == nil {
			legs <- leg
		}
		<-ctx.Done()
	}))
	f.request("INVITE", 1, "", "Require: 100rel\n", sdpBody(1, ""))
	r := f.next("SIP/2.0 183")
	if line(r, "Require") != "100rel" || line(r, "RSeq") == "" || !strings.Contains(r, "m=audio ") {
		t.Errorf("183 is\n%s", r)
	}
	if again := f.next("SIP/2.0 183"); line(again, "RSeq") != line(r, "RSeq") {
		t.Errorf("repeated with RSeq %s, want %s", line(again, "RSeq"), line(r, "RSeq"))
	}
	to := line(r, "To")
	f.request("PRACK", 2, to, "RAck: 99 1 INVITE\n", "")
	f.next("SIP/2.0 481")
	close(answer) // the 200 waits: its 183 carried a description
	f.request("PRACK", 3, to, "RAck: "+line(r, "RSeq")+" 1 INVITE\n", "")
	for ok := f.next("SIP/2.0 200"); ; ok = f.next("SIP/2.0 200") {
		if line(ok, "CSeq") == "1 INVITE" {
			break
		}
	}
	f.request("ACK", 1, to, "", "")
	answered(t, legs)
	f.request("BYE", 4, to, "", "")
	f.next("SIP/2.0 200")
}

// TestSessionRefresh: who is to refresh does, asks again for longer when told so,
// and a far end that is gone ends the call.
func TestSessionRefresh(t *testing.T) {
	short := func(c *b2bua.Config) { c.Limits.MinSession, c.Limits.Session = time.Second, 2*time.Second }
	t.Run("we refresh a call that came", func(t *testing.T) {
		legs := make(chan *b2bua.Leg, 1)
		f := newFar(t, gateway(t, "udp", answering(legs), short))
		ok := f.invite("Supported: timer\nAllow: INVITE, ACK, BYE, UPDATE\nSession-Expires: 2;refresher=uas\n", sdpBody(1, ""))
		if line(ok, "Session-Expires") != "2;refresher=uas" {
			t.Errorf("Session-Expires %q", line(ok, "Session-Expires"))
		}
		leg := answered(t, legs)
		up := f.next("UPDATE")
		if line(up, "Session-Expires") != "2;refresher=uac" {
			t.Errorf("refreshed with %q", line(up, "Session-Expires"))
		}
		f.answer(up, "422 Session Interval Too Small", "", "Min-SE: 3\n", "")
		longer := f.next("UPDATE")
		if line(longer, "Session-Expires") != "3;refresher=uac" {
			t.Errorf("refreshed again with %q", line(longer, "Session-Expires"))
		}
		f.answer(longer, "200 OK", "", "Session-Expires: 3;refresher=uac\nAllow: UPDATE\n", "")
		f.answer(f.next("UPDATE"), "481 Gone", "", "", "") // the far end lost the dialog
		f.answer(f.next("BYE"), "200 OK", "", "", "")
		if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndFailed || e.Code != 408 {
			t.Errorf("ended by %s %d", e.Cause, e.Code)
		}
	})
	t.Run("we refresh a call that we placed, by re-INVITE", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, short)
		inv := f.next("INVITE")
		if line(inv, "Session-Expires") != "2" || line(inv, "Min-SE") != "1" {
			t.Errorf("proposes %q, at least %q", line(inv, "Session-Expires"), line(inv, "Min-SE"))
		}
		f.answer(inv, "200 OK", "one", sdpType+"Session-Expires: 2;refresher=uac\nRequire: timer\n", sdpBody(1, ""))
		f.next("ACK")
		re := f.next("INVITE")
		if !strings.Contains(re, "m=audio ") || line(re, "Session-Expires") != "2;refresher=uac" {
			t.Errorf("refreshed with\n%s", re)
		}
		f.answer(re, "200 OK", "", sdpType+"Session-Expires: 2;refresher=uac\nRequire: timer\n", sdpBody(1, ""))
		f.next("ACK")
		await(t, leg, ringfence.LegAnswered)
		leg.Hangup(ringfence.EndHangup)
		f.answer(f.next("BYE"), "200 OK", "", "", "")
	})
	t.Run("a far end that does not refresh", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, short)
		f.answer(f.next("INVITE"), "200 OK", "one", sdpType+"Session-Expires: 2;refresher=uas\nRequire: timer\n", sdpBody(1, ""))
		f.next("ACK")
		f.answer(f.next("BYE"), "200 OK", "", "", "")
		if e := await(t, leg, ringfence.LegEnded); e.Code != 408 {
			t.Errorf("ended by %s %d", e.Cause, e.Code)
		}
	})
	t.Run("the trunk wants longer", func(t *testing.T) {
		_, f, leg := placed(t, ringfence.Placement{}, short)
		f.answer(f.next("INVITE"), "422 Session Interval Too Small", "t", "Min-SE: 600\n", "")
		f.next("ACK")
		again := f.next("INVITE")
		if line(again, "Session-Expires") != "600" || line(again, "Min-SE") != "600" {
			t.Errorf("proposes %q, at least %q", line(again, "Session-Expires"), line(again, "Min-SE"))
		}
		f.answer(again, "422 Session Interval Too Small", "t", "Min-SE: 900\n", "") // and never enough
		f.next("ACK")
		if e := await(t, leg, ringfence.LegEnded); e.Code != 422 {
			t.Errorf("ended with %d", e.Code)
		}
	})
}

// TestRefusedWithoutAck: a caller who withholds the ACK of a refusal holds up no
// drain.
func TestRefusedWithoutAck(t *testing.T) {
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) { _ = leg.Refuse(ctx, 404, "Not Found") })
	f := newFar(t, ua)
	f.request("INVITE", 1, "", "", sdpBody(1, ""))
	f.next("SIP/2.0 404")
	begun := time.Now()
	if err := ua.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := ua.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("draining and closing took %v: it waited for the ACK", took)
	}
}

// TestUpdateInAnEarlyDialog: before the answer an UPDATE may refresh and not
// offer (RFC 3311, section 5.2), and the call goes on either way.
func TestUpdateInAnEarlyDialog(t *testing.T) {
	legs, go200 := make(chan *b2bua.Leg, 1), make(chan struct{})
	f := newFar(t, gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		if leg.Ring(ctx) != nil {
			return
		}
		<-go200
		if leg.Answer(ctx) == nil {
			legs <- leg
		}
		<-ctx.Done()
	}))
	f.request("INVITE", 1, "", "Supported: timer\n", sdpBody(1, ""))
	to := line(f.next("SIP/2.0 180"), "To")
	f.request("UPDATE", 2, to, "", sdpBody(2, ""))
	if res := f.next("SIP/2.0 500"); line(res, "Retry-After") == "" {
		t.Errorf("no Retry-After in\n%s", res)
	}
	f.request("UPDATE", 3, to, "Supported: timer\nSession-Expires: 1800\n", "")
	f.next("SIP/2.0 200")
	close(go200)
	ok := f.next("SIP/2.0 200")
	if line(ok, "CSeq") != "1 INVITE" || !strings.Contains(ok, "m=audio ") {
		t.Errorf("answered with\n%s", ok)
	}
	f.request("ACK", 1, to, "", "")
	answered(t, legs)
	f.request("BYE", 4, to, "", "")
	f.next("SIP/2.0 200")
}
