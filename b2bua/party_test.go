package b2bua_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// A call to a number on file that another number answers went to somebody else,
// although nothing in it is called a diversion.
func TestAnotherNumberAnswers(t *testing.T) {
	for name, r := range map[string]struct {
		status, asserted string
		elsewhere        bool
	}{
		"rings at another number":       {"180 Ringing", "<sip:+447700900666@x>", true},
		"another number answers":        {"200 OK", "\"Ada Bell\" <tel:+447700900666>", true},
		"the second of two is another":  {"200 OK", "<sip:bank@x>, <tel:+447700900666>", true},
		"the number that was dialled":   {"200 OK", "<sip:+447700900123@x;user=phone>", false},
		"the same, as the country says": {"200 OK", "<sip:07700900123@x>", false},
		"an extension":                  {"200 OK", "<sip:4401@x>", false},
		"a name":                        {"200 OK", "<sip:ada@x>", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ua, f := gateway(t, "udp", nil), newFar(t, nil)
			leg, err := ua.Place(context.Background(), ringfence.Placement{To: "sip:447700900123@" + f.addr().String(), Contact: true})
			if err != nil {
				t.Fatal(err)
			}
			inv := f.next("INVITE")
			body, extra := "", "P-Asserted-Identity: "+r.asserted+"\n"
			if strings.HasPrefix(r.status, "200") {
				body, extra = sdpBody(1, ""), extra+sdpType
			}
			f.answer(inv, r.status, "one", extra, body)
			if !r.elsewhere {
				f.next("ACK")
				await(t, leg, ringfence.LegAnswered)
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
