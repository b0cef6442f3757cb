package b2bua

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// TestMark: what is sent carries the mark, over IPv4 and IPv6.
func TestMark(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		c, err := net.Dial("udp", net.JoinHostPort(host, "9"))
		if err != nil {
			t.Logf("%s: %v", host, err) // a machine without IPv6
			continue
		}
		defer c.Close()
		at := netip.MustParseAddr(host)
		mark(c, at, 0)
		read := func() (int, error) {
			if at.Is4() {
				return ipv4.NewConn(c).TOS()
			}
			return ipv6.NewConn(c).TrafficClass()
		}
		if got, err := read(); err != nil || got != 0 {
			t.Errorf("%s: unmarked is %d, %v", host, got, err)
		}
		mark(c, at, 24)
		if got, err := read(); err != nil || got != 24<<2 {
			t.Errorf("%s: marked is %d, %v; want %d", host, got, err, 24<<2)
		}
	}
}
