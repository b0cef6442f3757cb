package rtp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// plainNetwork has one goroutine for each socket and works on every system.
// It is what the others are measured against.
type plainNetwork struct {
	wg sync.WaitGroup
}

func (n *plainNetwork) close() { n.wg.Wait() }

func (n *plainNetwork) open(at netip.AddrPort, h handler) (socket, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	n.wg.Go(func() { // ends when the socket is closed; close waits
		sc := newScratch()
		buf := make([]byte, maxDatagram+1)
		for {
			k, from, err := c.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil { // others are ICMP errors of packets we sent
				h(buf[:k], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), time.Now(), sc)
			}
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
