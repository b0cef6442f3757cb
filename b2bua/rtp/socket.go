package rtp

import (
	"net/netip"
	"time"
)

// handler takes one datagram. b belongs to the reader again when it returns.
type handler func(b []byte, from netip.AddrPort, now time.Time, sc *scratch)

// socket is one bound UDP socket.
type socket interface {
	// write sends one datagram without waiting and reports whether the system
	// took it; a full buffer drops it.
	write(b []byte, to netip.AddrPort) bool
	// close ends it. Its handler may still run once more afterwards.
	close()
}

// network opens sockets and reads them.
type network interface {
	open(at netip.AddrPort, h handler) (socket, error)
	// close returns when no handler runs any more. Every socket must have been
	// closed, and open must not be called again.
	close()
}
