package rtp

import (
	"net/netip"
	"time"
)

// aside takes what is not RTP from a session's socket: STUN and DTLS share the
// port with the media of a browser (RFC 7983).
type aside func(b []byte, from netip.AddrPort, now time.Time)

// firstRTP is the least first byte of RTP and RTCP (RFC 7983, section 7); what
// is below belongs to STUN, DTLS and their kin.
const firstRTP = 128

// Aside hands every datagram whose first byte is below 128 to h, or to nobody
// when h is nil. h runs on a reader of the pool: it must not wait, and b is its
// own only until it returns. It may call Negotiated and Inject.
func (s *Session) Aside(h func(b []byte, from netip.AddrPort, now time.Time)) {
	if h == nil {
		s.aside.Store(nil)
		return
	}
	a := aside(h)
	s.aside.Store(&a)
}

// Inject sends one datagram of another protocol from the session's socket and
// reports whether the system took it. It is no part of the stream: nothing is
// encrypted and nothing is counted.
func (s *Session) Inject(b []byte, to netip.AddrPort) bool {
	s.out.mu.Lock()
	closed := s.out.closed
	s.out.mu.Unlock()
	return !closed && len(b) > 0 && len(b) <= maxDatagram && s.media.write(b, to)
}

// SSRC returns the source identifier of everything that the session sends.
func (s *Session) SSRC() uint32 { return s.ssrc }
