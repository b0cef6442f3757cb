package b2bua

import (
	"errors"
	"net"
	"net/netip"
)

// packetConn is the UDP socket as the SIP stack sees it: only messages that
// passed the fence come out of it, and it sends to trunks only. It never returns
// a read error but net.ErrClosed, because any other would end the stack's loop.
type packetConn struct {
	*net.UDPConn
	f   *fence
	buf [65536]byte // owned by ReadFrom, which the stack calls from one goroutine
}

var errEgress = errors.New("sip: destination is no trunk")

func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, source, err := c.ReadFromUDPAddrPort(c.buf[:])
		if errors.Is(err, net.ErrClosed) {
			return 0, nil, err
		}
		if err != nil {
			continue // an ICMP error of an earlier write, or a passing lack of memory
		}
		source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
		res := c.f.datagram(c.buf[:n], source)
		if res.answer != nil {
			c.f.seen(false, res.to, res.answer)
			_, _ = c.WriteToUDPAddrPort(res.answer, res.to)
		}
		if res.forward != nil {
			return copy(p, res.forward), net.UDPAddrFromAddrPort(source), nil
		}
	}
}

func (c *packetConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	a, ok := addr.(*net.UDPAddr)
	if !ok || c.f.trunkOf(a.AddrPort().Addr(), nil) == nil {
		c.f.dropped.Add(1)
		return 0, errEgress
	}
	c.f.seen(false, a.AddrPort(), p)
	return c.UDPConn.WriteTo(p, addr)
}
