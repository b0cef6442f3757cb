package webrtc

import (
	"fmt"
	"net/netip"
	"strings"
)

// answer is our side of one offer.
type answer struct {
	offer       Offer
	ufrag, pwd  string
	fingerprint [32]byte
	addrs       []netip.AddrPort // where we listen, the best first
	ssrc        uint32
	session     uint64 // o= session id
}

// text writes the answer (RFC 8829, section 5.3): ICE-lite, DTLS server, the
// codecs of the offer that are ours.
func (a *answer) text() string {
	var b strings.Builder
	line := func(format string, v ...any) { fmt.Fprintf(&b, format+"\r\n", v...) }
	at := a.addrs[0]
	line("v=0")
	line("o=- %d 1 IN %s %s", a.session, family(at.Addr()), at.Addr())
	line("s=-")
	line("t=0 0")
	line("a=ice-lite")
	line("a=group:BUNDLE %s", a.offer.Mid)
	formats := ""
	if a.offer.Opus != 0 {
		formats += fmt.Sprintf(" %d", a.offer.Opus)
	}
	for _, c := range a.offer.Codecs {
		formats += fmt.Sprintf(" %d", c.PT)
	}
	if a.offer.Event != 0 {
		formats += fmt.Sprintf(" %d", a.offer.Event)
	}
	line("m=audio %d UDP/TLS/RTP/SAVPF%s", at.Port(), formats)
	line("c=IN %s %s", family(at.Addr()), at.Addr())
	line("a=mid:%s", a.offer.Mid)
	line("a=sendrecv")
	line("a=rtcp-mux")
	line("a=ice-ufrag:%s", a.ufrag)
	line("a=ice-pwd:%s", a.pwd)
	line("a=fingerprint:sha-256 %s", formatted(a.fingerprint))
	line("a=setup:passive")
	if a.offer.Opus != 0 {
		line("a=rtpmap:%d opus/48000/2", a.offer.Opus)
		line("a=fmtp:%d minptime=10;useinbandfec=1", a.offer.Opus)
	}
	for _, c := range a.offer.Codecs {
		line("a=rtpmap:%d %s/8000", c.PT, c.Name)
	}
	if a.offer.Event != 0 {
		line("a=rtpmap:%d telephone-event/8000", a.offer.Event)
		line("a=fmtp:%d 0-15", a.offer.Event)
	}
	line("a=ptime:20")
	line("a=msid:ringfence call")
	line("a=ssrc:%d cname:%08x", a.ssrc, a.ssrc)
	for i, at := range a.addrs {
		// RFC 8445, section 5.1.2.1: type preference of a host candidate, then ours.
		line("a=candidate:%d 1 udp %d %s %d typ host", i+1, 126<<24|(65535-i)<<8|255, at.Addr(), at.Port())
	}
	line("a=end-of-candidates")
	return b.String()
}

func family(a netip.Addr) string {
	if a.Is6() {
		return "IP6"
	}
	return "IP4"
}
