package b2bua_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

const whereabouts = "<?xml version=\"1.0\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"><tuple id=\"a\"/></presence>"

// multi is a description and a location, as RFC 6442, section 4.1, has them.
func multi() (contentType, body string) {
	return "Content-Type: multipart/mixed;boundary=b1\n", "--b1\nContent-Type: application/sdp\n\n" + sdpBody(1, "") +
		"\n--b1\nContent-Type: application/pidf+xml\nContent-ID: <where@phone.example>\n\n" + whereabouts + "\n--b1--\n"
}

// dials sends an INVITE for user with a body of a type of its own.
func (f *far) dials(user, extra, body string) {
	f.t.Helper()
	f.send("INVITE sip:%s@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKem%s;rport\nMax-Forwards: 70\nFrom: <sip:far@127.0.0.1>;tag=f1\nTo: <sip:%s@127.0.0.1>\n"+
		"Call-ID: c-%s\nCSeq: 1 INVITE\nContact: <sip:far@%s>\n%sContent-Length: %d\n\n%s", user, f.gw, f.addr(), user, user, user, f.addr(), extra,
		len(strings.ReplaceAll(body, "\n", "\r\n")), body)
}

// TestEmergency: our own phone's call to an emergency number comes through a full
// and draining gateway, and goes out with its location.
func TestEmergency(t *testing.T) {
	psap := newFar(t, nil)
	var ua *b2bua.UA
	seen := make(chan ringfence.LegInfo, 4)
	ua = gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		info := leg.Info()
		seen <- info
		if !info.Emergency {
			_ = leg.Refuse(ctx, 404, "Not Found")
			return
		}
		out, err := ua.Place(ctx, ringfence.Placement{To: "sip:112@" + psap.addr().String(), From: "442079460000", Location: info.Location, Purpose: "emergency"})
		if err != nil {
			t.Errorf("Place: %v", err)
			return
		}
		await(t, out, ringfence.LegAnswered)
		_ = leg.Answer(ctx)
		_ = leg.Join(out.ID())
		<-ctx.Done()
	}, func(c *b2bua.Config) {
		c.Emergency, c.Trunks[0].Phones, c.Limits.Calls, c.Limits.CallRate = []string{"112", "911"}, true, 1, 1
	})
	drained, stop := context.WithCancel(t.Context())
	stop()
	_ = ua.Drain(drained) // no new calls from now on
	f := newFar(t, ua)
	f.dials("441632960000", sdpType, sdpBody(1, ""))
	f.next("SIP/2.0 503")
	f.dials("1121", sdpType, sdpBody(1, "")) // not the whole number
	f.next("SIP/2.0 503")
	contentType, body := multi()
	f.dials("112", "Geolocation: <cid:where@phone.example>\nGeolocation-Routing: yes\n"+contentType, body)
	inv := psap.next("INVITE sip:112@")
	for _, want := range []string{"Geolocation: <cid:where@phone.example>\r\n", "Geolocation-Routing: yes\r\n", "Content-Type: multipart/mixed;boundary=", "m=audio ",
		"application/pidf+xml", "<where@phone.example>", "<tuple id=\"a\"/>", "From: <sip:442079460000@"} {
		if !strings.Contains(inv, want) {
			t.Errorf("INVITE lacks %q:\n%s", want, inv)
		}
	}
	psap.answer(inv, "200 OK", "psap", sdpType, sdpBody(1, ""))
	psap.next("ACK")
	f.next("SIP/2.0 200")
	if info := <-seen; !info.Emergency || info.Location == nil || info.Location.Routing != "yes" || !strings.Contains(string(info.Location.PIDFLO), "presence") {
		t.Errorf("leg is %+v", info)
	}
}

// TestEmergencyFromOutside: who is no phone of ours gets nothing of it.
func TestEmergencyFromOutside(t *testing.T) {
	seen := make(chan ringfence.LegInfo, 1)
	f := newFar(t, gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		seen <- leg.Info()
		_ = leg.Refuse(ctx, 404, "Not Found")
	}, func(c *b2bua.Config) { c.Emergency = []string{"112"} }))
	f.dials("112", sdpType, sdpBody(1, ""))
	f.next("SIP/2.0 404")
	if info := <-seen; info.Emergency || info.Location != nil {
		t.Errorf("leg is %+v", info)
	}
}

// TestMultipart: a body of parts is read only when it has one description.
func TestMultipart(t *testing.T) {
	f := newFar(t, gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) { _ = leg.Refuse(ctx, 404, "Not Found") }))
	contentType, good := multi()
	two := strings.Replace(good, "--b1--", "--b1\nContent-Type: application/sdp\n\n"+sdpBody(2, "")+"\n--b1--", 1)
	for name, k := range map[string]struct{ contentType, body, want string }{
		"1": {contentType, good, "404"}, "2": {contentType, two, "415"}, "3": {contentType, strings.Replace(good, "application/sdp", "text/plain", 1), "415"},
		"4": {contentType, strings.Replace(good, "--b1--", "", 1), "415"}, "5": {strings.Replace(contentType, "b1", "other", 1), good, "415"},
		"6": {strings.Replace(contentType, "mixed", "alternative", 1), good, "415"},
	} {
		f.dials("440"+name, k.contentType, k.body)
		if r := f.next("SIP/2.0 4"); !strings.HasPrefix(r, "SIP/2.0 "+k.want) {
			t.Errorf("%s: got %.20s, want %s", name, r, k.want)
		}
	}
}
