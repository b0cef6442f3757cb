package b2bua_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// planted are the header fields of RFC 3261, section 20, with some of later
// standards and some of nobody's. Those with a form of their own carry the mark
// in it.
var planted = []string{"Alert-Info: <http://leakmark.example/a>", "Authentication-Info: nextnonce=\"leakmark\"", "Authorization: Digest username=\"leakmark\"",
	"Call-Info: <http://leakmark.example/b>", "Content-Disposition: session;leakmark=1", "Content-Language: leakmark", "Error-Info: <sip:leakmark@leakmark.example>",
	"In-Reply-To: leakmark", "MIME-Version: 1.0", "Organization: leakmark", "Priority: leakmark", "Proxy-Authenticate: Digest realm=\"leakmark\"",
	"Proxy-Authorization: Digest username=\"leakmark\"", "Record-Route: <sip:127.0.0.1:4999;lr>", "Reply-To: <sip:leakmark@leakmark.example>", "Retry-After: 5;leakmark=1",
	"Server: leakmark", "Subject: leakmark", "User-Agent: leakmark", "Warning: 307 leakmark \"leakmark\"", "WWW-Authenticate: Digest realm=\"leakmark\"",
	"P-Asserted-Identity: <sip:leakmark@leakmark.example>", "P-Preferred-Identity: <sip:leakmark@leakmark.example>", "P-Charging-Vector: icid-value=leakmark", "P-Access-Network-Info: leakmark",
	"P-Early-Media: leakmark", "P-Associated-URI: <sip:leakmark@leakmark.example>", "P-Called-Party-ID: <sip:leakmark@leakmark.example>", "P-Attestation-Indicator: leakmark", "Remote-Party-ID: <sip:leakmark@leakmark.example>",
	"Diversion: <sip:leakmark@leakmark.example>;reason=unknown", "History-Info: <sip:leakmark@leakmark.example>;index=1", "Privacy: none;leakmark", "Identity: leakmark", "Geolocation: <cid:leakmark@leakmark.example>",
	"User-to-User: 6c65616b6d61726b;encoding=hex;leakmark=1", "Reason: Q.850;cause=16;text=\"leakmark\"", "Session-ID: leakmark", "Referred-By: <sip:leakmark@leakmark.example>", "Accept-Contact: *;leakmark",
	"Join: leakmark;to-tag=a;from-tag=b", "Path: <sip:leakmark.example;lr>", "Service-Route: <sip:leakmark.example;lr>", "Feature-Caps: *;leakmark", "Resource-Priority: leakmark.0",
	"Answer-Mode: leakmark", "Trigger-Consent: <sip:leakmark@leakmark.example>", "Target-Dialog: leakmark", "Suppress-If-Match: leakmark", "X-Mark: leakmark", "X-Original-IP: leakmark", "leakmark: leakmark"}

// own are the names of the fields that an INVITE of ours has.
var own = []string{"Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Allow", "Supported", "Session-Expires", "Min-SE", "Accept",
	"Content-Type", "Content-Length", "Date", "User-Agent"}

// fieldNames are the header field names of a message.
func fieldNames(text string) (out []string) {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	for _, l := range strings.Split(head, "\r\n")[1:] {
		n, _, _ := strings.Cut(l, ":")
		out = append(out, n)
	}
	return out
}

// TestTopologyHidden: of one side nothing but what the engine says itself stands
// on the other: no header field, no Via, no Contact, no Call-ID, no tag, no
// address, in requests and in answers.
func TestTopologyHidden(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	var ua *b2bua.UA
	placing := make(chan string, 1)
	answer := make(chan struct{})
	ua = gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		out, err := ua.Place(ctx, ringfence.Placement{To: <-placing})
		if err != nil {
			t.Error(err)
			return
		}
		for e := range out.Events() {
			if e.Kind == ringfence.LegAnswered {
				<-answer
				if leg.Answer(ctx) == nil && leg.Join(out.ID()) == nil {
					legs <- leg
				}
			}
		}
	})
	caller, agent := newFar(t, ua), newFar(t, ua)
	gw := ua.Addrs()["main"].String()
	placing <- "sip:201@" + agent.addr().String()
	caller.request("INVITE", 1, "", strings.Join(planted, "\n")+"\n", sdpBody(1, ""))
	invite := agent.next("INVITE")
	callers := []string{"leakmark", "6c65616b6d61726b", caller.addr().String(), ";tag=f1\r", "Call-ID: c1\r", "z9hG4bKINVITE1", "<sip:far@127.0.0.1>", "m=audio 40400"}
	hidden(t, "the agent's INVITE", invite, callers)
	for _, n := range fieldNames(invite) {
		if !slices.Contains(own, n) {
			t.Errorf("%s stands in the agent's INVITE", n)
		}
	}
	if v := line(invite, "Via"); !strings.Contains(v, gw) || strings.Count(invite, "\r\nVia:") != 1 {
		t.Errorf("Via: %s", v)
	}
	if c := line(invite, "Contact"); !strings.Contains(c, gw) {
		t.Errorf("Contact: %s", c)
	}
	// Those that a response may not carry into the dialog, or that end a placement, are left out.
	back := slices.DeleteFunc(slices.Clone(planted), func(l string) bool {
		return strings.HasPrefix(l, "Record-Route") || strings.HasPrefix(l, "Diversion") || strings.HasPrefix(l, "History-Info")
	})
	agent.answer(invite, "200 OK", "agenttag", strings.Join(back, "\n")+"\n"+sdpType, strings.Replace(sdpBody(1, ""), "40400", "40500", 1))
	agent.next("ACK")
	close(answer)
	ok := caller.next("SIP/2.0 200")
	hidden(t, "the caller's 200", ok, []string{agent.addr().String(), "agenttag", line(invite, "Call-ID"), "m=audio 40500", "leakmark"})
	caller.request("ACK", 1, line(ok, "To"), strings.Join(planted[:10], "\n")+"\n", "")
	answered(t, legs)
	caller.request("BYE", 2, line(ok, "To"), "Reason: Q.850;cause=16;text=\"leakmark\"\nUser-Agent: leakmark\n", "")
	bye := agent.next("BYE")
	hidden(t, "the agent's BYE", bye, callers)
	agent.answer(bye, "200 OK", "", "", "")
}

func hidden(t *testing.T, where, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%q stands in %s:\n%s", s, where, text)
		}
	}
}

// TestDigestInsideTheDialog: a trunk that wants to know who hangs up or puts it
// on hold is told, once, and no other realm is.
func TestDigestInsideTheDialog(t *testing.T) {
	for realm, told := range map[string]bool{"pbx.example": true, "elsewhere.example": false} {
		t.Run(realm, func(t *testing.T) {
			ua := gateway(t, "udp", nil, func(c *b2bua.Config) {
				c.Trunks[0].Username, c.Trunks[0].Password, c.Trunks[0].Realm = "gw", "secret", "pbx.example"
			})
			f := newFar(t, ua)
			leg, err := ua.Place(context.Background(), ringfence.Placement{To: "sip:201@" + f.addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			f.answer(f.next("INVITE"), "200 OK", "a1", sdpType, sdpBody(1, ""))
			f.next("ACK")
			await(t, leg, ringfence.LegAnswered)
			f.challenges(leg, realm, told)
		})
		t.Run("inbound "+realm, func(t *testing.T) {
			legs := make(chan *b2bua.Leg, 1)
			f := newFar(t, gateway(t, "udp", answering(legs), func(c *b2bua.Config) {
				c.Trunks[0].Username, c.Trunks[0].Password, c.Trunks[0].Realm = "gw", "secret", "pbx.example"
			}))
			f.invite("", sdpBody(1, ""))
			f.challenges(answered(t, legs), realm, told)
		})
	}
}

// challenges asks for credentials of a re-INVITE and of a BYE.
func (f *far) challenges(leg *b2bua.Leg, realm string, told bool) {
	f.t.Helper()
	ask := fmt.Sprintf("WWW-Authenticate: Digest realm=%q, nonce=\"n1\", algorithm=MD5, qop=\"auth\"\n", realm)
	held := make(chan error, 1)
	go func() { held <- leg.Hold(within(f.t), true) }()
	f.answer(f.next("INVITE"), "401 Unauthorized", "", ask, "")
	f.next("ACK")
	if told {
		again := f.next("INVITE")
		f.proves(again)
		f.answer(again, "200 OK", "", sdpType, sdpBody(2, "a=recvonly\n"))
		f.next("ACK")
	}
	if err := <-held; (err == nil) != told {
		f.t.Errorf("hold: %v", err)
	}
	leg.Hangup(ringfence.EndHangup)
	f.answer(f.next("BYE"), "401 Unauthorized", "", ask, "")
	if told {
		again := f.next("BYE")
		f.proves(again)
		f.answer(again, "200 OK", "", "", "")
	}
	await(f.t, leg, ringfence.LegEnded)
}

// proves wants credentials, and no password, in a request.
func (f *far) proves(req string) {
	f.t.Helper()
	if v := line(req, "Authorization"); !strings.Contains(v, `username="gw"`) || strings.Contains(req, "secret") {
		f.t.Errorf("Authorization %q in\n%s", v, req)
	}
}
