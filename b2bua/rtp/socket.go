package rtp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// handler takes one datagram. b belongs to the reader again when it returns.
type handler func(b []byte, from netip.AddrPort, now time.Time, sc *scratch)

// socket is one bound UDP socket.
type socket interface {
	// write sends one datagram without waiting; a full buffer drops it.
	write(b []byte, to netip.AddrPort) bool
	// close ends it. Its handler may still run once more afterwards.
	close()
}

// network opens sockets and reads them.
type network interface {
	open(at netip.AddrPort, h handler) (socket, error)
	// close returns when no handler runs any more.
	close()
}

// plainNetwork has one goroutine for each socket and works everywhere.
type plainNetwork struct {
	wg sync.WaitGroup
}

func (n *plainNetwork) close() { n.wg.Wait() }

func (n *plainNetwork) open(at netip.AddrPort, h handler) (socket, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	n.wg.Go(func() {
		sc := newScratch()
		buf := make([]byte, maxDatagram+1)
		for {
			k, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			h(buf[:k], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), time.Now(), sc)
		}
	})
	return &plainSocket{c}, nil
}

type plainSocket struct{ c *net.UDPConn }

func (s *plainSocket) write(b []byte, to netip.AddrPort) bool {
	_, err := s.c.WriteToUDPAddrPort(b, to)
	return err == nil
}

func (s *plainSocket) close() { _ = s.c.Close() }

func newNetwork(Config) (network, error) { return &plainNetwork{}, nil }
