package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
)

// seen is a packet as a reader of the file finds it.
type seen struct {
	at       time.Time
	from, to netip.AddrPort
	data     []byte
	size     int // of the UDP payload on the wire
}

// readPcap reads a pcap file as its format says, by nothing of ours.
func readPcap(t *testing.T, b []byte) (out []seen) {
	t.Helper()
	le := binary.LittleEndian
	if len(b) < 24 || le.Uint32(b) != 0xa1b23c4d || le.Uint16(b[4:]) != 2 || le.Uint16(b[6:]) != 4 || le.Uint32(b[20:]) != 101 {
		t.Fatalf("no pcap of raw IP: % x", b[:min(24, len(b))])
	}
	for b = b[24:]; len(b) > 0; {
		if len(b) < 16 || len(b) < 16+int(le.Uint32(b[8:])) || le.Uint32(b[8:]) > le.Uint32(b[12:]) {
			t.Fatal("a record is cut short")
		}
		s := seen{at: time.Unix(int64(le.Uint32(b)), int64(le.Uint32(b[4:])))}
		ip, whole := b[16:16+le.Uint32(b[8:])], int(le.Uint32(b[12:]))
		b = b[16+len(ip):]
		var from, to netip.Addr
		n := 20
		switch ip[0] >> 4 {
		case 4:
			sum := uint32(0)
			for i := 0; i < 20; i += 2 {
				sum += uint32(binary.BigEndian.Uint16(ip[i:]))
			}
			if sum = sum&0xffff + sum>>16; sum != 0xffff || ip[9] != 17 || int(binary.BigEndian.Uint16(ip[2:])) != whole {
				t.Fatalf("IPv4 header % x", ip[:20])
			}
			from, to = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
		case 6:
			if n = 40; ip[6] != 17 || int(binary.BigEndian.Uint16(ip[4:]))+40 != whole {
				t.Fatalf("IPv6 header % x", ip[:40])
			}
			from, to = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
		default:
			t.Fatalf("neither IPv4 nor IPv6: % x", ip)
		}
		udp := ip[n:]
		s.from, s.to = netip.AddrPortFrom(from, binary.BigEndian.Uint16(udp)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(udp[2:]))
		s.size, s.data = int(binary.BigEndian.Uint16(udp[4:]))-8, udp[8:]
		if n+8+s.size != whole {
			t.Fatalf("UDP length %d of %d", s.size, whole)
		}
		out = append(out, s)
	}
	return out
}

func fileOf(t *testing.T, c *Capture) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const secretInvite = "INVITE sip:442079460001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.9;branch=z9hG4bK1\r\nFrom: \"Ann Planted\" <sip:447700900123@192.0.2.9>;tag=a\r\nTo: <sip:442079460001@192.0.2.1>\r\n" +
	"Call-ID: %s\r\nCSeq: 1 INVITE\r\nAuthorization: Digest response=\"plantedplanted\"\r\nIdentity: eyPlanted.eyPlanted\r\nX-Pin: 482137\r\nContent-Type: application/sdp\r\nContent-Length: 99\r\n\r\n" +
	"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=Planted\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AEAD_AES_256_GCM inline:PlantedPlantedPlanted\r\n"

var planted = []string{"447700900123", "442079460001", "Planted", "planted", "482137", "Ann"}

func TestCaptureOfOneCall(t *testing.T) {
	b, c := NewBook(), &Capture{}
	us, them := netip.MustParseAddrPort("192.0.2.1:5061"), netip.MustParseAddrPort("192.0.2.9:40000")
	say := func(call string, received bool, local, peer netip.AddrPort) {
		b.Message(Message{At: time.Unix(1700000000, 5), Received: received, Transport: "tls", Local: local, Peer: peer, Raw: fmt.Appendf(nil, secretInvite, call)})
	}
	say("mine", true, us, them) // before anybody asked
	b.Follow(c)
	say("later", true, us, them) // of a leg that is added in a moment
	say("other", true, us, them)
	b.Begin(ringfence.LegInfo{ID: "leg_mine", CallID: "mine"})
	b.Begin(ringfence.LegInfo{ID: "leg_later", CallID: "later"})
	if b.Add(c, "leg_none") {
		t.Error("a leg that nobody knows was added")
	}
	for range 2 { // twice is once
		if !b.Add(c, "leg_mine") || !b.Add(c, "leg_later") {
			t.Fatal("not added")
		}
	}
	say("mine", false, us, them)
	say("mine", true, netip.MustParseAddrPort("[2001:db8::1]:5061"), netip.MustParseAddrPort("[2001:db8::9]:5061"))
	c.Packet(Packet{At: time.Unix(1700000001, 0), From: them, To: us, Data: make([]byte, 12), Size: 172})
	b.Unfollow(c)
	say("mine", true, us, them)
	c.Packet(Packet{From: them, To: us, Data: make([]byte, 12), Size: 172})
	file := fileOf(t, c)
	for _, word := range planted {
		if bytes.Contains(file, []byte(word)) {
			t.Errorf("%q stands in the file", word)
		}
	}
	got := readPcap(t, file)
	if len(got) != 4 {
		t.Fatalf("%d packets, want 4", len(got))
	}
	for i, want := range []struct {
		from, to netip.AddrPort
		call     string
	}{{them, us, "later"}, {us, them, "mine"}, {netip.MustParseAddrPort("[2001:db8::9]:5061"), netip.MustParseAddrPort("[2001:db8::1]:5061"), "mine"}} {
		if p := got[i]; p.from != want.from || p.to != want.to || p.size != len(p.data) || !strings.Contains(string(p.data), "Call-ID: "+want.call+"\r\n") || !p.at.Equal(time.Unix(1700000000, 5)) {
			t.Errorf("packet %d: %v to %v at %v, %d of %d\n%s", i, p.from, p.to, p.at, len(p.data), p.size, p.data)
		}
	}
	if p := got[3]; p.size != 172 || len(p.data) != 12 {
		t.Errorf("media: %d of %d octets", len(p.data), p.size)
	}
}

func TestCaptureIsBounded(t *testing.T) {
	c := &Capture{}
	at := netip.MustParseAddrPort("192.0.2.1:5060")
	big := make([]byte, 70000)
	for range 300 {
		c.Packet(Packet{From: at, To: at, Data: big, Size: len(big)})
	}
	packets, lost := c.Count()
	if n := len(fileOf(t, c)); n > maxCapture+24 || lost == 0 || packets+lost != 300 {
		t.Errorf("%d octets, %d packets, %d lost", n, packets, lost)
	}
	readPcap(t, fileOf(t, c))
	b := NewBook()
	b.Follow(c)
	for i := range 3 * maxRecent {
		b.Message(Message{Local: at, Peer: at, Raw: fmt.Appendf(nil, secretInvite, fmt.Sprint(i))})
	}
	if n := len(c.recent); n != maxRecent {
		t.Errorf("%d messages of others are kept, want %d", n, maxRecent)
	}
}
