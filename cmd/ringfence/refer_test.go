package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
)

// deskPhone is a telephone written by hand: it says exactly what the test wants.
type deskPhone struct {
	t      *testing.T
	conn   *net.UDPConn
	gw     netip.AddrPort
	name   string
	invite string // that it answered
	cseq   int
}

func newDeskPhone(t *testing.T, name string) *deskPhone {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &deskPhone{t: t, conn: c, name: name}
}

func (d *deskPhone) uri() string { return fmt.Sprintf("sip:%s@%s", d.name, d.conn.LocalAddr()) }

func fieldOf(text, name string) string {
	_, rest, _ := strings.Cut(text, "\r\n"+name+": ")
	v, _, _ := strings.Cut(rest, "\r\n")
	return v
}

// next waits for a message that begins with one of the prefixes; of others,
// requests are answered with 200 and responses passed over.
func (d *deskPhone) next(prefix string) string {
	d.t.Helper()
	_ = d.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 65536)
	for {
		n, from, err := d.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			d.t.Fatalf("%s: no %q: %v", d.name, prefix, err)
		}
		d.gw = from
		if text := string(buf[:n]); strings.HasPrefix(text, prefix) {
			return text
		} else if !strings.HasPrefix(text, "SIP/2.0") && !strings.HasPrefix(text, "ACK") {
			d.answer(text, "200 OK", "")
		}
	}
}

func (d *deskPhone) send(text string) {
	d.t.Helper()
	if _, err := d.conn.WriteToUDPAddrPort([]byte(strings.ReplaceAll(text, "\n", "\r\n")), d.gw); err != nil {
		d.t.Fatal(err)
	}
}

func (d *deskPhone) answer(req, status, body string) {
	d.t.Helper()
	to, kind := fieldOf(req, "To"), ""
	if !strings.Contains(to, "tag=") {
		to += ";tag=" + d.name
	}
	if body != "" {
		kind = "Content-Type: application/sdp\n"
	}
	d.send(fmt.Sprintf("SIP/2.0 %s\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\nContact: <%s>\n%sContent-Length: %d\n\n%s", status, fieldOf(req, "Via"), fieldOf(req, "From"), to,
		fieldOf(req, "Call-ID"), fieldOf(req, "CSeq"), d.uri(), kind, len(strings.ReplaceAll(body, "\n", "\r\n")), body))
}

func (d *deskPhone) description(version int) string {
	return fmt.Sprintf("v=0\no=- 7 %d IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40404 RTP/AVP 0 8\n", version)
}

// pickUp answers the call that rings.
func (d *deskPhone) pickUp() {
	d.t.Helper()
	d.invite = d.next("INVITE")
	d.answer(d.invite, "180 Ringing", "")
	d.answer(d.invite, "200 OK", d.description(1))
	d.next("ACK")
}

// asks sends a request inside the call that was picked up.
func (d *deskPhone) asks(method, extra, body string) {
	d.t.Helper()
	d.cseq++
	contact := fieldOf(d.invite, "Contact")
	target, _, _ := strings.Cut(contact[strings.Index(contact, "<")+1:], ">")
	if body != "" {
		extra += "Content-Type: application/sdp\n"
	}
	d.send(fmt.Sprintf("%s %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d;rport\nMax-Forwards: 70\nFrom: %s;tag=%s\nTo: %s\nCall-ID: %s\nCSeq: %d %s\nContact: <%s>\n%sContent-Length: %d\n\n%s", method, target,
		d.conn.LocalAddr(), d.name, d.cseq, fieldOf(d.invite, "To"), d.name, fieldOf(d.invite, "From"), fieldOf(d.invite, "Call-ID"), d.cseq, method, d.uri(), extra,
		len(strings.ReplaceAll(body, "\n", "\r\n")), body))
}

// told answers NOTIFYs until the phone was told how its transfer ended.
func (d *deskPhone) told() string {
	d.t.Helper()
	for {
		n := d.next("NOTIFY")
		d.answer(n, "200 OK", "")
		if strings.HasPrefix(fieldOf(n, "Subscription-State"), "terminated") {
			_, body, _ := strings.Cut(n, "\r\n\r\n")
			return strings.TrimSpace(body)
		}
	}
}

// sits gives somebody of the staff a phone.
func sits(t *testing.T, a *app, email string, phone *deskPhone) ringfence.PersonID {
	t.Helper()
	var id ringfence.PersonID
	if err := a.store.Update(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		recs, err := tx.List(t.Context(), ledger.KindPerson, ledger.Query{Key: "email", Value: email})
		if err != nil || len(recs) != 1 {
			return fmt.Errorf("%d of %s: %w", len(recs), email, err)
		}
		p, _, err := ledger.Read[ringfence.Person](t.Context(), tx, ledger.KindPerson, recs[0].ID)
		if err != nil {
			return err
		}
		id, p.Place = p.ID, phone.uri()
		return ledger.Write(t.Context(), tx, &recs[0], p)
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

// A call goes on from one desk phone to another by REFER, blind and attended,
// through the whole program: the caller is heard there, the console's owner is the
// colleague, the entries say so, and the phone that asked hears how it went. What
// the configuration does not name is refused and is an alert.
func TestAPhoneTransfersACall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, refer, replaces string }{
		{"blind", "<sip:bo@127.0.0.1>", ""},
		{"attended", "<sip:bo@127.0.0.1?Replaces=other%40call%3Bto-tag%3Da%3Bfrom-tag%3Db>", "other@call;to-tag=a;from-tag=b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agents := newPeer(t, "agents")
			a := started(t, agents, func(cfg *config.Config) { cfg.SIP.Trunks[1].Transfer = []string{"agents"} })
			signedIn(t, a, ringfence.Person{Name: "Bo", Email: "bo@example.com", Roles: []ringfence.Role{ringfence.RoleAgent}})
			one, two := newDeskPhone(t, "ada"), newDeskPhone(t, "bo")
			ada, bo := sits(t, a, "ada@example.com", one), sits(t, a, "bo@example.com", two)
			call := dial(t, a)
			one.pickUp()
			live := func(owner ringfence.PersonID) ringfence.LiveCall {
				var v ringfence.LiveCall
				waitFor(t, "the call is "+string(owner)+"'s", func() bool {
					all := a.runner.Live(ringfence.DefaultTenant)
					if len(all) == 1 {
						v = all[0]
					}
					return len(all) == 1 && v.Owner == owner && v.State == "talking"
				})
				return v
			}
			before := live(ada)
			one.asks("REFER", "Refer-To: <sip:nobody@127.0.0.1>\n", "")
			one.next("SIP/2.0 403")
			one.asks("REFER", "Refer-To: "+c.refer+"\n", "")
			one.next("SIP/2.0 202")
			two.pickUp()
			if got := fieldOf(two.invite, "Replaces"); got != c.replaces {
				t.Errorf("Replaces: %q, want %q", got, c.replaces)
			}
			if got := one.told(); got != "SIP/2.0 200 OK" {
				t.Errorf("the phone that asked was told %q", got)
			}
			one.answer(one.next("BYE"), "200 OK", "")
			after := live(bo)
			if after.Traversal != before.Traversal || after.Reference != before.Reference || after.Epoch <= before.Epoch {
				t.Errorf("before %+v, after %+v", before, after)
			}

			// Somebody else picks the receiver up: the console says so.
			two.asks("INVITE", "P-Asserted-Identity: <sip:carl@127.0.0.1>\n", two.description(2))
			two.next("SIP/2.0 200")
			two.asks2xx()
			waitFor(t, "the console was told of somebody else", func() bool {
				for _, v := range a.runner.Live(ringfence.DefaultTenant) {
					for _, e := range v.Timeline {
						if strings.Contains(e.Text, "somebody else is on the agent's telephone") {
							return true
						}
					}
				}
				return false
			})
			call.Hangup()
			two.answer(two.next("BYE"), "200 OK", "")
			events := map[string]int{}
			var entries []ledger.Entry
			if err := a.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) (err error) {
				entries, err = tx.Entries(t.Context(), ledger.EntryQuery{Traversal: before.Traversal, Limit: 1000})
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				events[string(e.Event)]++
				if e.Event == "traversal.transferred" && (e.Person != ada || e.Object != string(bo)) {
					t.Errorf("transferred by %s to %s", e.Person, e.Object)
				}
			}
			if events["traversal.transferred"] != 1 || events["alert.raised"] != 1 || events["leg.answered"] != 2 {
				t.Errorf("entries %v", events)
			}
		})
	}
}

// asks2xx acknowledges the answer to the last INVITE.
func (d *deskPhone) asks2xx() {
	d.t.Helper()
	d.cseq--
	d.asks("ACK", "", "")
}
