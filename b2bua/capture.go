package b2bua

import (
	"net/netip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/trace"
)

// Capture adds the packets of a leg's media to a capture until stop is called:
// the fixed part of their headers, nothing that they carry, and none while a
// secret is asked or spoken. It reports false for a leg that is not live.
func (u *UA) Capture(id ringfence.LegID, c *trace.Capture) (stop func(), ok bool) {
	l := u.leg(id)
	if l == nil {
		return nil, false
	}
	local := l.local.Addr
	l.media.Show(func(p rtp.Passing) { c.Packet(passing(p, local)) })
	return func() { l.media.Show(nil) }, true
}

// passing is a packet without the list of sources and the extensions that its
// header announces and the capture does not hold.
func passing(p rtp.Passing, local netip.AddrPort) trace.Packet {
	p.Header[0] &^= 0x3f
	out := trace.Packet{At: p.At, From: p.Peer, To: local, Data: p.Header[:], Size: p.Size}
	if p.Sent {
		out.From, out.To = local, p.Peer
	}
	return out
}
