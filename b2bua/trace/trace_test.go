package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

const invite = "INVITE sip:442079460001@192.0.2.1;user=phone SIP/2.0\r\n" +
	"Via: SIP/2.0/TLS 192.0.2.7:5061;branch=z9hG4bK776asdhds\r\n" +
	"From: \"Dana Reed\" <sip:+447700900123@192.0.2.7;tag2=447700900123>;tag=1928301774\r\n" +
	"t: Ann <tel:+442079460001;phone-context=example.com>\r\n" +
	"Call-ID: a84b4c76e66710@192.0.2.7\r\n" +
	"CSeq: 314159 INVITE\r\n" +
	"Contact: <sip:dana.reed@192.0.2.7:5061;transport=tls>\r\n" +
	"P-Asserted-Identity: <tel:+447700900123>\r\n" +
	"Identity: eyJhbGciOiJFUzI1NiJ9.secretpassport.sig;info=<https://x/>\r\n" +
	"Authorization: Digest username=\"bob\", response=\"deadbeef\"\r\n" +
	"User-to-User: reference99\r\n" +
	"Subject: about\r\n my secret folded line\r\n" +
	"Content-Type: application/sdp\r\nContent-Length: 999\r\n\r\n" +
	"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=Dana's call\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n" +
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\na=ptime:20\r\n"

const info = "INFO sip:1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7\r\nCall-ID: x@y\r\nCSeq: 7 INFO\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=7\r\nDuration=160\r\n"

// Nothing that names a person or opens something is left; what shows how the
// call went is.
func TestMaskSweep(t *testing.T) {
	for _, raw := range []string{invite, info, strings.ReplaceAll(invite, "\r\nCall-ID", "\r\ni"),
		"SIP/2.0 302 Moved to 447700900123\r\nContact: sip:447700900123@192.0.2.9\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"} {
		masked := string(Mask([]byte(raw)))
		for _, secret := range []string{"7700900", "20794600", "Dana", "Ann", "dana.reed", "secretpassport", "deadbeef", "bob", "reference99", "folded", "d0Rmdm", "Signal=7", "about"} {
			if strings.Contains(masked, secret) {
				t.Errorf("%q is left in\n%s", secret, masked)
			}
		}
	}
	masked := string(Mask([]byte(invite)))
	for _, kept := range []string{"INVITE sip:", "branch=z9hG4bK776asdhds", "a84b4c76e66710@192.0.2.7", "CSeq: 314159 INVITE", "23@192.0.2.7", "m=audio 4000", "AES_CM_128_HMAC_SHA1_80", "a=ptime:20", "Identity: ("} {
		if !strings.Contains(masked, kept) {
			t.Errorf("%q is missing in\n%s", kept, masked)
		}
	}
	head, body, _ := strings.Cut(masked, "\r\n\r\n")
	if !strings.Contains(head, fmt.Sprintf("Content-Length: %d\r\n", len(body))) && !strings.HasSuffix(head, fmt.Sprintf("Content-Length: %d", len(body))) {
		t.Errorf("the length of %d octets is not right in\n%s", len(body), head)
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte(invite))
	f.Add([]byte(info))
	f.Add([]byte("SIP/2.0"))
	f.Add([]byte("SIP/2.0 200 OK\r\nTo: <sips:12345678901@h;x=99999999>\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out := Mask(raw)
		if len(out) > 8*len(raw)+1024 {
			t.Fatalf("%d octets of %d", len(out), len(raw))
		}
		if bytes.ContainsAny(bytes.ReplaceAll(out, []byte("\r\n"), nil), "\r\n\x00\x1b") {
			t.Fatal("a control character is left")
		}
		// A number planted where people stand never comes out.
		planted := Mask([]byte("INVITE sip:447700900123@h SIP/2.0\r\nFrom: " + strings.Map(func(r rune) rune {
			if r == '\r' || r == '\n' || r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, string(raw)) + "<sip:447700900123@h>\r\n\r\n"))
		if bytes.Contains(planted, []byte("7700900")) {
			t.Fatalf("%q", planted)
		}
	})
}

// unpack reads a HEP packet as a server does: an independent reading of the
// format.
func unpack(t *testing.T, b []byte) map[uint16][]byte {
	t.Helper()
	if string(b[:4]) != "HEP3" || int(binary.BigEndian.Uint16(b[4:])) != len(b) {
		t.Fatalf("head %x of %d octets", b[:6], len(b))
	}
	out := map[uint16][]byte{}
	for b = b[6:]; len(b) > 0; {
		n := int(binary.BigEndian.Uint16(b[4:]))
		if n < 6 || n > len(b) || b[0]|b[1] != 0 {
			t.Fatalf("chunk %x", b[:6])
		}
		out[binary.BigEndian.Uint16(b[2:])] = b[6:n]
		b = b[n:]
	}
	return out
}

func TestHEP(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	h, err := NewHEP(t.Context(), HEPConfig{Addr: server.LocalAddr().String(), Agent: 2001, Password: "myhep"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 123456000)
	raw := []byte(invite)
	h.Message(Message{At: at, Received: true, Transport: "tls", Local: netip.MustParseAddrPort("192.0.2.1:5061"), Peer: netip.MustParseAddrPort("192.0.2.7:4711"), Raw: raw})
	clear(raw) // it is the sender's again
	h.Message(Message{At: at, Transport: "udp", Local: netip.MustParseAddrPort("[2001:db8::1]:5060"), Peer: netip.MustParseAddrPort("[2001:db8::2]:5060"), Raw: []byte(info)})
	h.Close()
	h.Message(Message{Raw: []byte(info)})
	h.Close()
	read := func() map[uint16][]byte {
		buf := make([]byte, 65536)
		_ = server.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := server.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return unpack(t, buf[:n])
	}
	c := read()
	for kind, want := range map[uint16]string{1: "\x02", 2: "\x06", 3: "\xc0\x00\x02\x07", 4: "\xc0\x00\x02\x01", 7: "\x12\x67", 8: "\x13\xc5", 9: "\x65\x53\xf1\x00",
		10: "\x00\x01\xe2\x40", 11: "\x01", 12: "\x00\x00\x07\xd1", 14: "myhep", 17: "a84b4c76e66710@192.0.2.7", 15: string(Mask([]byte(invite)))} {
		if string(c[kind]) != want {
			t.Errorf("chunk %d is %q, want %q", kind, c[kind], want)
		}
	}
	if c = read(); len(c[5]) != 16 || len(c[6]) != 16 || c[1][0] != 10 || c[2][0] != 17 || c[5][15] != 1 {
		t.Errorf("IPv6: %v", c)
	}
	if sent, dropped := h.Counts(); sent != 2 || dropped != 0 {
		t.Errorf("sent %d, dropped %d", sent, dropped)
	}
}

func message(callID, start, cseq string) Message {
	return Message{At: time.Now(), Raw: []byte(start + "\r\nCall-ID: " + callID + "\r\nCSeq: " + cseq + "\r\n\r\n")}
}

func TestLadder(t *testing.T) {
	b := NewBook()
	b.Message(message("c1", "INVITE sip:447700900123@h SIP/2.0", "1 INVITE"))
	b.Message(message("c1", "OPTIONS sip:h SIP/2.0", "1 OPTIONS"))
	b.Message(Message{Raw: []byte("garbage")})
	b.Begin(ringfence.LegInfo{ID: "leg_1", CallID: "c1", Direction: ringfence.Inbound, Trunk: "carrier"})
	b.Message(message("c1", "SIP/2.0 200 OK 447700900123", "1 INVITE"))
	l, ok := b.Leg("leg_1")
	if !ok || len(l.Lines) != 2 || l.Lines[0].What != "INVITE" || l.Lines[1].What != "200 OK **********23" || l.Trunk != "carrier" {
		t.Errorf("have %+v", l)
	}
	for range 3 * maxLines {
		b.Message(message("c1", "INFO sip:h SIP/2.0", "2 INFO"))
	}
	if l, _ = b.Leg("leg_1"); len(l.Lines) != maxLines || l.More != 2*maxLines+2 {
		t.Errorf("%d lines and %d more", len(l.Lines), l.More)
	}
	for i := range maxDialogs + 10 {
		b.Message(message(fmt.Sprint("other", i), "BYE sip:h SIP/2.0", "1 BYE"))
	}
	if _, ok := b.Leg("leg_1"); ok || len(b.dialogs) != maxDialogs || len(b.legs) != 0 {
		t.Errorf("%d dialogs, %d legs are remembered", len(b.dialogs), len(b.legs))
	}
	if _, ok := b.Leg("leg_none"); ok {
		t.Error("a leg that never was")
	}
}

// A long call's points grow coarser, and lose no packet.
func TestQualityStaysBounded(t *testing.T) {
	b := NewBook()
	b.Begin(ringfence.LegInfo{ID: "leg_1", CallID: "c1"})
	now := time.Unix(0, 0)
	var tot Totals
	for i := range 3000 {
		now = now.Add(5 * time.Second)
		tot.Received += 245
		tot.Lost += 5
		tot.Jitter, tot.MOS = time.Duration(i%7)*time.Millisecond, 4.2
		b.Sample("leg_1", now, tot)
	}
	b.End("leg_1", now, tot, ringfence.EndBye)
	l, _ := b.Leg("leg_1")
	if n := len(l.Quality); n > maxPoints || n < maxPoints/3 {
		t.Fatalf("%d points", n)
	}
	for _, p := range l.Quality {
		if p.Packets > 0 && (p.Loss < 0.019 || p.Loss > 0.021 || p.MOS != 4.2) {
			t.Fatalf("point %+v", p)
		}
	}
	if l.Whole.Packets != tot.Received || l.Cause != ringfence.EndBye {
		t.Errorf("whole %+v, %s", l.Whole, l.Cause)
	}
	b.Sample("leg_none", now, tot)
}

// What is kept of a stretch is what was measured, but for roundings that nobody
// sees; what a mark cannot hold is held as the most that it can.
func TestMarks(t *testing.T) {
	at := time.Unix(1_800_000_000, 123_456_789)
	for _, p := range []Point{
		{At: at},
		{At: at, Loss: 0.012345, Remote: 1, Jitter: 1500 * time.Microsecond, RTT: 80 * time.Millisecond, MOS: 4.409, Packets: 250},
	} {
		if got := markOf(p).point(); got != p {
			t.Errorf("have %+v, want %+v", got, p)
		}
	}
	far := markOf(Point{At: at, Loss: -1, RTT: 1000 * time.Hour, MOS: 100, Packets: math.MaxUint64}).point()
	if far.Loss != 0 || far.RTT < time.Hour || far.MOS < 65 || far.Packets != math.MaxUint32 {
		t.Errorf("have %+v, want the bounds", far)
	}
}
