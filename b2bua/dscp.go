package b2bua

import (
	"crypto/tls"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// mark sets the DSCP of what is sent on a connection (RFC 4594, section 3). A
// system that does not take it sends unmarked: a call matters more.
func mark(c net.Conn, local netip.Addr, dscp int) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	switch {
	case dscp <= 0:
	case local.Unmap().Is4():
		_ = ipv4.NewConn(c).SetTOS(dscp << 2)
	default:
		_ = ipv6.NewConn(c).SetTrafficClass(dscp << 2)
	}
}
