package rtp

import (
	"net/netip"
	"time"
)

// The window in which a source that the SDP does not name may be taken.
const (
	latchPackets = 5
	latchWindow  = 500 * time.Millisecond
	ssrcFreeFor  = 2 * time.Second // after a re-INVITE
	maxSSRCTurns = 32              // changes of SSRC in one negotiation, so that no stranger grows our tables
)

// verdict is what the latch says about a packet.
type verdict uint8

// The verdicts. The zero value refuses.
const (
	latchRefuse  verdict = iota // a stranger, or too late
	latchProbe                  // may become the source; not heard yet
	latchAccept                 // heard
	latchNewSSRC                // heard; the stream starts anew
)

// latch decides from which one address a session hears. The address of the
// SDP comes first and is taken at once. Another address is taken only within
// the first 5 packets or 500 ms, only if nothing came from the SDP's address,
// and only if it is in the same /24 (IPv6: /64) or in a network of the trunk;
// until then it is not heard. Afterwards address and SSRC are locked and no
// other address is ever taken, until the SDP names a new one.
//
// judge and take are apart so that SRTP can authenticate between them: what
// fails authentication never moves the latch. Owned by its session.
type latch struct {
	sdp     netip.AddrPort
	allow   []netip.Prefix
	ssrcGap time.Duration

	locked   bool
	source   netip.AddrPort
	ssrc     uint32
	lastSeen time.Time
	turns    int
	freeTill time.Time // until then the SSRC may change at once

	candidate     netip.AddrPort
	candidateSSRC uint32
	candidateFrom time.Time
	candidateN    int
}

// reset points the latch at the address of a new SDP. The same address keeps
// what was learned and lets the SSRC change once, as it may in a re-INVITE.
func (l *latch) reset(sdp netip.AddrPort, allow []netip.Prefix, ssrcGap time.Duration, now time.Time) {
	if l.sdp == sdp && l.sdp.IsValid() {
		l.allow, l.turns, l.freeTill = allow, 0, now.Add(ssrcFreeFor)
		return
	}
	*l = latch{sdp: sdp, allow: allow, ssrcGap: ssrcGap}
}

// judge says what a packet from src would be, and changes nothing.
func (l *latch) judge(src netip.AddrPort, ssrc uint32, now time.Time) verdict {
	if l.locked {
		return l.judgeLocked(src, ssrc, now)
	}
	if !l.sdp.IsValid() {
		return latchRefuse
	}
	if src == l.sdp {
		return latchNewSSRC
	}
	if !l.near(src.Addr()) {
		return latchRefuse
	}
	if l.candidateN == 0 {
		return latchProbe
	}
	if src != l.candidate || ssrc != l.candidateSSRC {
		return latchRefuse
	}
	if l.candidateN+1 >= latchPackets || now.Sub(l.candidateFrom) >= latchWindow {
		return latchNewSSRC
	}
	return latchProbe
}

func (l *latch) judgeLocked(src netip.AddrPort, ssrc uint32, now time.Time) verdict {
	switch {
	case src != l.source:
		return latchRefuse
	case ssrc == l.ssrc:
		return latchAccept
	case now.Before(l.freeTill):
		return latchNewSSRC
	case l.ssrcGap < 0 || l.turns >= maxSSRCTurns || now.Sub(l.lastSeen) < l.ssrcGap:
		return latchRefuse
	default:
		return latchNewSSRC
	}
}

// take applies a verdict of judge after the packet proved authentic.
func (l *latch) take(v verdict, src netip.AddrPort, ssrc uint32, now time.Time) {
	switch v {
	case latchProbe:
		if l.candidateN == 0 {
			l.candidate, l.candidateSSRC, l.candidateFrom = src, ssrc, now
		}
		l.candidateN++
	case latchNewSSRC:
		if l.locked {
			l.turns++
		}
		l.locked, l.source, l.ssrc, l.freeTill = true, src, ssrc, time.Time{}
		l.lastSeen = now
	case latchAccept:
		l.lastSeen = now
	}
}

// target is where packets are sent: the locked source, else the SDP's address.
func (l *latch) target() netip.AddrPort {
	if l.locked {
		return l.source
	}
	return l.sdp
}

// near reports whether the far end's media may come from ip.
func (l *latch) near(ip netip.Addr) bool {
	bits := 24
	if l.sdp.Addr().Is6() {
		bits = 64
	}
	if net, err := l.sdp.Addr().Prefix(bits); err == nil && net.Contains(ip) {
		return true
	}
	for _, net := range l.allow {
		if net.Contains(ip) {
			return true
		}
	}
	return false
}
