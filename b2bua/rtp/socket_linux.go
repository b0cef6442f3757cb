package rtp

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of a reader.
const (
	maxReaders  = 4
	readyEvents = 128 // sockets taken from epoll at once
)

// epollNetwork reads all sockets with a few goroutines, each with an epoll of
// its own. A leg then costs no goroutine, and a packet no wake-up of one:
// docs/decisions has the figures.
type epollNetwork struct {
	dscp    int
	readers []*epollReader
	wg      sync.WaitGroup

	mu   sync.Mutex // guards next
	next int
}

func newNetwork(cfg Config) (network, error) {
	n := &epollNetwork{dscp: cfg.DSCP}
	for range min(runtime.GOMAXPROCS(0), maxReaders) {
		r, err := newEpollReader()
		if err != nil {
			n.close()
			return nil, err
		}
		n.readers = append(n.readers, r)
		n.wg.Go(r.run) // ends when close wakes it; close waits
	}
	return n, nil
}

func (n *epollNetwork) close() {
	for _, r := range n.readers {
		r.stop()
	}
	n.wg.Wait()
	for _, r := range n.readers {
		_ = unix.Close(r.wake)
		_ = unix.Close(r.epoll)
	}
	n.readers = nil
}

func (n *epollNetwork) open(at netip.AddrPort, h handler) (socket, error) {
	fd, err := bindUDP(at, n.dscp)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	r := n.readers[n.next]
	n.next = (n.next + 1) % len(n.readers)
	n.mu.Unlock()
	s := &epollSocket{reader: r, fd: fd, six: !at.Addr().Is4(), handle: h}
	if err := r.add(s); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// bindUDP makes a socket that never blocks.
func bindUDP(at netip.AddrPort, dscp int) (int, error) {
	family := unix.AF_INET6
	if at.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, fmt.Errorf("rtp: socket: %v", err)
	}
	if err := setUp(fd, at, dscp); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("rtp: bind %v: %v", at, err)
	}
	return fd, nil
}

func setUp(fd int, at netip.AddrPort, dscp int) error {
	if at.Addr().Is4() {
		if dscp > 0 {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, dscp<<2); err != nil {
				return err
			}
		}
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return err
	}
	if dscp > 0 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, dscp<<2); err != nil {
			return err
		}
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
}

// epollReader is one goroutine and the sockets it reads.
type epollReader struct {
	epoll, wake int

	mu      sync.Mutex // guards everything below
	stopped bool
	serial  int32
	sockets map[int32]*epollSocket // by serial, never by descriptor: those are used again
}

func newEpollReader() (*epollReader, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("rtp: epoll: %v", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("rtp: eventfd: %v", err)
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		_ = unix.Close(wake)
		_ = unix.Close(ep)
		return nil, fmt.Errorf("rtp: epoll: %v", err)
	}
	return &epollReader{epoll: ep, wake: wake, sockets: make(map[int32]*epollSocket)}, nil
}

func (r *epollReader) add(s *epollSocket) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		r.serial = (r.serial + 1) & 0x7fffffff
		if _, taken := r.sockets[r.serial]; !taken {
			break
		}
	}
	s.serial = r.serial
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: s.serial}); err != nil {
		return fmt.Errorf("rtp: epoll: %v", err)
	}
	r.sockets[s.serial] = s
	return nil
}

func (r *epollReader) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	one := [8]byte{7: 1}
	_, _ = unix.Write(r.wake, one[:])
}

// run reads until stop.
func (r *epollReader) run() {
	var (
		events [readyEvents]unix.EpollEvent
		ready  [readyEvents]*epollSocket
		buf    [maxDatagram + 1]byte
		sc     = newScratch()
	)
	for {
		n, err := unix.EpollWait(r.epoll, events[:], -1)
		if err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			panic("rtp: epoll wait: " + err.Error()) // only a bug of ours closes the descriptor
		}
		if !r.resolve(events[:n], &ready) {
			return
		}
		now := time.Now()
		for i := range n {
			if ready[i] != nil {
				ready[i].readOne(buf[:], now, sc)
			}
		}
	}
}

// resolve finds the sockets of the events; false means stop.
func (r *epollReader) resolve(events []unix.EpollEvent, ready *[readyEvents]*epollSocket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range events {
		ready[i] = r.sockets[events[i].Fd]
	}
	return !r.stopped
}

// epollSocket is a UDP socket in a reader.
type epollSocket struct {
	reader *epollReader
	serial int32
	six    bool
	handle handler

	// mu is held for reading while fd is in use, so that a descriptor that was
	// closed and belongs to another leg by now is never read or written.
	mu     sync.RWMutex
	fd     int
	closed bool
}

func (s *epollSocket) close() {
	s.reader.mu.Lock()
	delete(s.reader.sockets, s.serial)
	s.reader.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		_ = unix.Close(s.fd) // leaves the epoll by itself
	}
}

// readOne hands over one datagram; epoll reports the socket again while more
// wait. So a flooded leg takes its turn with the others, and the usual leg,
// with one packet every 20 ms, costs no second call that finds nothing.
func (s *epollSocket) readOne(buf []byte, now time.Time, sc *scratch) {
	if n, from, ok := s.read(buf); ok {
		s.handle(buf[:n], from, now, sc)
	}
}

func (s *epollSocket) read(buf []byte) (int, netip.AddrPort, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, netip.AddrPort{}, false
	}
	var name unix.RawSockaddrInet6
	size := uint32(unsafe.Sizeof(name))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		0, uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		// EAGAIN: nothing waits. Anything else is an ICMP error of a packet we
		// sent, which the call has just cleared.
		return 0, netip.AddrPort{}, false
	}
	return int(n), fromSockaddr(&name), true
}

func (s *epollSocket) write(b []byte, to netip.AddrPort) bool {
	var name unix.RawSockaddrInet6
	size, ok := toSockaddr(&name, to, s.six)
	if !ok || len(b) == 0 {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&name)), uintptr(size))
	return errno == 0
}

// fromSockaddr reads the address of either family; the kernel says which.
func fromSockaddr(name *unix.RawSockaddrInet6) netip.AddrPort {
	if name.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), swapPort(four.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), swapPort(name.Port))
}

// toSockaddr writes to in the family of the socket; false when it has none.
func toSockaddr(name *unix.RawSockaddrInet6, to netip.AddrPort, six bool) (uint32, bool) {
	ip := to.Addr()
	switch {
	case !six && ip.Is4():
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		*four = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swapPort(to.Port()), Addr: ip.As4()}
		return unix.SizeofSockaddrInet4, true
	case six && ip.Is6():
		*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swapPort(to.Port()), Addr: ip.As16()}
		return unix.SizeofSockaddrInet6, true
	default:
		return 0, false
	}
}

// swapPort turns a port between host and network order, either way.
func swapPort(p uint16) uint16 {
	b := [2]byte{byte(p >> 8), byte(p)}
	return *(*uint16)(unsafe.Pointer(&b))
}
