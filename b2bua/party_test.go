package b2bua_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// A call to a number on file that another number answers went to somebody else,
// although nothing in it is called a diversion.
func TestAnotherNumberAnswers(t *testing.T) {
	for name, r := range map[string]struct {
		status, says string
		elsewhere    bool
	}{
		"rings at another number":        {"180 Ringing", "P-Asserted-Identity: <sip:+447700900666@x>", true},
		"another number answers":         {"200 OK", "P-Asserted-Identity: \"Ada Bell\" <tel:+447700900666>", true},
		"written to be read":             {"200 OK", "P-Asserted-Identity: <tel:+44-7700-900-666>", true},
		"written in escapes":             {"200 OK", "P-Asserted-Identity: <sip:%2B44770090066%36@x>", true},
		"the second of two is another":   {"200 OK", "P-Asserted-Identity: <sip:bank@x>, <tel:+447700900666>", true},
		"as older gateways write it":     {"183 Session Progress", "Remote-Party-ID: \"A, B\" <sip:07700900666@x>;party=called;screen=yes", true},
		"beside who calls":               {"200 OK", "Remote-Party-ID: <sip:442079460000@x>;party=calling, <sip:07700900666@x>", true},
		"a history of one":               {"180 Ringing", "History-Info: <sip:+447700900666@x?Reason=SIP%3Bcause%3D302>;index=1", true},
		"a history of two in the answer": {"200 OK", "History-Info: <sip:+447700900123@x>;index=1, <sip:ada@x>;index=1.1", true},
		"a diversion in the answer":      {"200 OK", "Diversion: <sip:+447700900123@x>;reason=unconditional", true},
		"the number that was dialled":    {"200 OK", "P-Asserted-Identity: <sip:+447700900123@x;user=phone>", false},
		"the same, as the country says":  {"200 OK", "P-Asserted-Identity: <sip:07700900123@x>", false},
		"the same, to be read":           {"200 OK", "Remote-Party-ID: <tel:+44(7700)900-123>;party=called", false},
		"a history without a turn":       {"200 OK", "History-Info: <sip:+447700900123@x>;index=1", false},
		"who calls":                      {"200 OK", "Remote-Party-ID: <sip:447700900666@x>;party=calling", false},
		"the number that we show":        {"200 OK", "P-Asserted-Identity: <sip:+442079460000@x>", false},
		"the trunk's own":                {"200 OK", "P-Asserted-Identity: <sip:+442079469999@x>", false},
		"an extension":                   {"200 OK", "P-Asserted-Identity: <sip:4401@x>", false},
		"a name":                         {"200 OK", "P-Asserted-Identity: <sip:ada@x>", false},
		"nobody":                         {"200 OK", "P-Asserted-Identity: <sip:x>", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, nil)
			ua := gateway(t, "udp", nil, func(c *b2bua.Config) {
				c.Trunks[0].From, c.Trunks[0].ConnectedAs = "442079460000", []string{"442079469999"}
			})
			leg, err := ua.Place(context.Background(), ringfence.Placement{To: "sip:447700900123@" + f.addr().String(), Contact: true})
			if err != nil {
				t.Fatal(err)
			}
			inv := f.next("INVITE")
			body, extra := "", r.says+"\n"
			if strings.HasPrefix(r.status, "200") {
				body, extra = sdpBody(1, ""), extra+sdpType
			}
			f.answer(inv, r.status, "one", extra, body)
			if !r.elsewhere {
				f.next("ACK")
				await(t, leg, ringfence.LegAnswered)
				leg.Hangup(ringfence.EndHangup)
				f.answer(f.next("BYE"), "200 OK", "", "", "")
				return
			}
			await(t, leg, ringfence.LegDiverted)
			if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndDiverted {
				t.Errorf("ended by %s", e.Cause)
			}
			if body == "" {
				f.answer(f.next("CANCEL"), "200 OK", "one", "", "")
				f.answer(inv, "487 Request Terminated", "one", "", "")
				f.next("ACK")
				return
			}
			f.next("ACK")
			f.answer(f.next("BYE"), "200 OK", "", "", "")
		})
	}
}

// What the far end says in the middle of a call about who it is, without a new
// asserted identity or session (RFC 4916).
func TestSomebodyElseInTheMiddle(t *testing.T) {
	for name, said := range map[string]struct {
		from, extra string
		changed     bool
	}{
		"another From":             {"<sip:thief@127.0.0.1>", "", true},
		"a From of another sort":   {"<tel:+447700900666>", "", true},
		"word of a diversion":      {"<sip:far@127.0.0.1>", "Diversion: <sip:7@x>;reason=deflection\n", true},
		"word of a history":        {"<sip:far@127.0.0.1>", "History-Info: <sip:7@x>;index=1, <sip:8@x>;index=1.1\n", true},
		"the same by another host": {"\"Far\" <sip:far@pbx.example;user=phone>", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legs := make(chan *b2bua.Leg, 1)
			f := newFar(t, gateway(t, "udp", answering(legs)))
			to := line(f.invite("", sdpBody(1, "")), "To")
			leg := answered(t, legs)
			f.send("UPDATE sip:4400@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKu2;rport\nMax-Forwards: 70\nFrom: %s;tag=f1\nTo: %s\n"+
				"Call-ID: c1\nCSeq: 2 UPDATE\nContact: <sip:far@%s>\n%sContent-Length: 0\n\n", f.gw, f.addr(), said.from, to, f.addr(), said.extra)
			f.next("SIP/2.0 200")
			f.request("BYE", 3, to, "", "")
			f.next("SIP/2.0 200")
			changed := false
			for e := range leg.Events() {
				changed = changed || e.Kind == ringfence.LegChanged
				if e.Kind == ringfence.LegEnded {
					break
				}
			}
			if changed != said.changed {
				t.Errorf("changed: %v", changed)
			}
		})
	}
}

// A call-back is diverted when the far end says so after it answered, by a
// request of its own (RFC 4916); what names nobody else ends nothing.
func TestAnotherNumberSpeaks(t *testing.T) {
	const dialled = "447700900123"
	for name, said := range map[string]struct {
		from, extra string
		want        ringfence.LegEventKind // empty = nothing comes of it
	}{
		"another identity":              {extra: "P-Asserted-Identity: <sip:+447700900666@x>\n", want: ringfence.LegDiverted},
		"another remote party":          {extra: "Remote-Party-ID: <sip:07700900666@x>\n", want: ringfence.LegDiverted},
		"another From":                  {from: "<sip:+447700900666@127.0.0.1>", want: ringfence.LegDiverted},
		"word of a diversion":           {extra: "Diversion: <sip:7@x>;reason=deflection\n", want: ringfence.LegDiverted},
		"a name that was not there":     {extra: "P-Asserted-Identity: <sip:ada@x>\n", want: ringfence.LegChanged},
		"an extension":                  {extra: "P-Asserted-Identity: <sip:4401@x>\n", want: ringfence.LegChanged},
		"the number dialled":            {extra: "P-Asserted-Identity: <sip:07700900123@x>, <tel:+447700900123>\n"},
		"the trunk's own":               {extra: "P-Asserted-Identity: <sip:+442079469999@x>\n"},
		"a From of the trunk's own":     {from: "<sip:+442079469999@x>"},
		"the same From by another host": {from: "<sip:+" + dialled + "@pbx.example;user=phone>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, nil)
			ua := gateway(t, "udp", nil, func(c *b2bua.Config) { c.Trunks[0].ConnectedAs = []string{"442079469999"} })
			leg, err := ua.Place(context.Background(), ringfence.Placement{To: "sip:" + dialled + "@" + f.addr().String(), Contact: true})
			if err != nil {
				t.Fatal(err)
			}
			inv := f.next("INVITE")
			f.answer(inv, "200 OK", "one", sdpType, sdpBody(1, ""))
			f.next("ACK")
			await(t, leg, ringfence.LegAnswered)
			from := said.from
			if from == "" {
				from = line(inv, "To")
			}
			f.send("UPDATE sip:ringfence@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKu2;rport\nMax-Forwards: 70\nFrom: %s;tag=one\nTo: %s\n"+
				"Call-ID: %s\nCSeq: 2 UPDATE\nContact: <sip:far@%s>\n%sContent-Length: 0\n\n", f.gw, f.addr(), from, line(inv, "From"), line(inv, "Call-ID"), f.addr(), said.extra)
			if want := said.want; want == ringfence.LegDiverted {
				await(t, leg, ringfence.LegDiverted)
				if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndDiverted {
					t.Errorf("ended by %s", e.Cause)
				}
				f.answer(f.next("BYE"), "200 OK", "", "", "")
				return
			}
			f.next("SIP/2.0 200")
			leg.Hangup(ringfence.EndHangup)
			f.answer(f.next("BYE"), "200 OK", "", "", "")
			var events []ringfence.LegEventKind
			for e := range leg.Events() {
				if e.Kind == ringfence.LegChanged || e.Kind == ringfence.LegDiverted {
					events = append(events, e.Kind)
				}
			}
			if len(events) > 1 || (said.want != "") != slices.Contains(events, said.want) {
				t.Errorf("events %v, want %q", events, said.want)
			}
		})
	}
}

// Who answers our own re-INVITE may be somebody else than who answered the call.
func TestAnotherNumberAnswersAgain(t *testing.T) {
	for said, want := range map[string]ringfence.LegEventKind{"<sip:+447700900666@x>": ringfence.LegDiverted, "<sip:ada@x>": ringfence.LegChanged} {
		f := newFar(t, nil)
		leg, err := gateway(t, "udp", nil).Place(context.Background(), ringfence.Placement{To: "sip:447700900123@" + f.addr().String(), Contact: true})
		if err != nil {
			t.Fatal(err)
		}
		f.answer(f.next("INVITE"), "200 OK", "one", sdpType, sdpBody(1, ""))
		f.next("ACK")
		await(t, leg, ringfence.LegAnswered)
		held := make(chan struct{})
		go func() {
			defer close(held)
			_ = leg.Hold(context.Background(), true)
		}()
		f.answer(f.next("INVITE"), "200 OK", "one", "P-Asserted-Identity: "+said+"\n"+sdpType, sdpBody(2, "a=recvonly\n"))
		await(t, leg, want)
		leg.Hangup(ringfence.EndHangup)
		f.answer(f.next("BYE"), "200 OK", "", "", "")
		<-held
	}
}
