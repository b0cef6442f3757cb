package rtp

import (
	"net/netip"
	"time"
)

// Passing is one RTP packet on its way, without what it carries.
type Passing struct {
	At   time.Time
	Sent bool           // by us
	Peer netip.AddrPort // where it came from or goes to
	// Header is the fixed part of the header (RFC 3550, section 5.1); with SRTP
	// it is in clear on the wire too.
	Header [headerLen]byte
	Size   int // of the whole packet in octets, before it is encrypted
}

// Show lets f see every RTP packet that passes, but none that passes while the
// session is cut or shortly after: how many keys a secret has is nobody's
// business. f must not wait. nil ends it.
func (s *Session) Show(f func(Passing)) {
	if f == nil {
		s.shown.Store(nil)
		return
	}
	s.shown.Store(&f)
}

// show shows a packet to whoever looks.
func (s *Session) show(b []byte, sent bool, peer netip.AddrPort) {
	f := s.shown.Load()
	if f == nil || len(b) < headerLen || b[0]>>6 != 2 {
		return
	}
	now := time.Now()
	if s.cut.Load() || s.pool.clock(now) < s.reopen.Load() {
		return
	}
	(*f)(Passing{At: now, Sent: sent, Peer: peer, Header: [headerLen]byte(b), Size: len(b)})
}
