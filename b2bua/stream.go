package b2bua

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// writeTime bounds one write to a connection whose peer does not read.
const writeTime = 5 * time.Second

// streamListener is a TCP or TLS listener as the SIP stack sees it. It hands
// out connections whose reads are judged messages: those that peers opened, and
// those that we opened to place a call (inject), so that the stack never dials.
type streamListener struct {
	net.Listener
	f   *fence
	tls *tls.Config // nil for TCP
	connOwner
	ready   chan net.Conn
	done    chan struct{}
	wg      sync.WaitGroup
	closing sync.Once

	mu       sync.Mutex
	open     map[netip.AddrPort]*streamConn // by the far end's address
	count    map[netip.Addr]int             // by address, of strangers by SourceOf
	stranger int                            // connections from addresses that no trunk owns
}

// connOwner is what a listener must know of the UA.
type connOwner struct {
	busy func(netip.AddrPort) bool // a call or a binding needs the connection
	gone func(netip.AddrPort)      // told when a connection is closed
	dscp int                       // of what is sent
}

func newStreamListener(ln net.Listener, f *fence, conf *tls.Config, owner connOwner) *streamListener {
	l := &streamListener{Listener: ln, f: f, tls: conf, connOwner: owner, ready: make(chan net.Conn), done: make(chan struct{}),
		open: map[netip.AddrPort]*streamConn{}, count: map[netip.Addr]int{}}
	l.wg.Add(1)
	go l.acceptLoop() // ends with Close, which waits for it
	return l
}

// Accept returns the next connection that is ready to be read.
func (l *streamListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close closes the listener and every connection, and waits for both.
func (l *streamListener) Close() error {
	var err error
	l.closing.Do(func() {
		close(l.done)
		err = l.Listener.Close()
		l.mu.Lock()
		open := make([]*streamConn, 0, len(l.open))
		for _, c := range l.open {
			open = append(open, c)
		}
		l.mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
	})
	l.wg.Wait()
	return err
}

func (l *streamListener) acceptLoop() {
	defer l.wg.Done()
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, or a peer that left at once
			select {
			case <-l.done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		sc := l.register(c)
		if sc == nil {
			_ = c.Close()
			continue
		}
		l.wg.Add(1)
		go l.admit(sc) // ends after the handshake's deadline at the latest
	}
}

// register counts a connection, or returns nil when its source or all of them
// have too many. Strangers get a quarter of all connections, so that they leave
// room for trunks, and none where they are owed no answer.
func (l *streamListener) register(c net.Conn) *streamConn {
	remote := remoteOf(c)
	sc := &streamConn{Conn: c, l: l, remote: remote, counted: remote.Addr()}
	if !l.f.ownedBySome(remote.Addr()) {
		sc.stranger, sc.counted = true, SourceOf(remote.Addr())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return nil
	default:
	}
	if l.open[remote] != nil || len(l.open) >= l.f.limits.Connections || l.count[sc.counted] >= l.f.limits.PerSource {
		return nil
	}
	if sc.stranger {
		if l.f.strangers == StrangersDrop || l.stranger >= max(1, l.f.limits.Connections/4) {
			return nil
		}
		l.stranger++
	}
	mark(c, remote.Addr(), l.dscp)
	l.open[remote] = sc
	l.count[sc.counted]++
	return sc
}

// admit shakes hands and offers the connection to Accept.
func (l *streamListener) admit(c *streamConn) {
	defer l.wg.Done()
	defer func() {
		if recover() != nil {
			_ = c.Close()
		}
	}()
	if l.tls != nil {
		t := tls.Server(c.Conn, l.tls)
		ctx, cancel := context.WithTimeout(context.Background(), l.f.limits.HandshakeTime)
		err := t.HandshakeContext(ctx)
		cancel()
		if err != nil {
			_ = c.Close()
			return
		}
		c.secure(t)
	}
	l.offer(c)
}

func (l *streamListener) offer(c *streamConn) {
	select {
	case l.ready <- c:
	case <-l.done:
		_ = c.Close()
	}
}

// inject makes the stack read from a connection that we opened.
func (l *streamListener) inject(c net.Conn) error {
	sc := l.register(c)
	if sc == nil {
		_ = c.Close()
		return errors.New("sip: too many connections")
	}
	if t, ok := c.(*tls.Conn); ok {
		sc.secure(t)
	}
	sc.ours = true
	l.offer(sc)
	return nil
}

func remoteOf(c net.Conn) netip.AddrPort {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// streamConn is one connection. Read is called by one goroutine of the stack;
// Write by many.
type streamConn struct {
	net.Conn
	l      *streamListener
	remote netip.AddrPort

	counted  netip.Addr // under what it is counted
	stranger bool       // no trunk owns its address
	names    []string   // of a verified client certificate
	ours     bool       // we opened it
	trunk    *Trunk     // nil = a stranger; owned by Read
	buf      []byte     // read, not yet framed; owned by Read
	out      []byte     // judged, not yet handed over; owned by Read
	breaks   int        // line breaks since the last message; owned by Read
	since    time.Time  // when the first byte of buf came; owned by Read
	once     sync.Once
}

func (c *streamConn) secure(t *tls.Conn) {
	c.Conn = t
	for _, chain := range t.ConnectionState().VerifiedChains {
		if len(chain) > 0 {
			c.names = append(c.names, chain[0].DNSNames...)
		}
	}
}

// Close closes the connection once and takes it off the count.
func (c *streamConn) Close() error {
	var err error
	c.once.Do(func() {
		err = c.Conn.Close()
		defer c.l.gone(c.remote)
		c.l.mu.Lock()
		defer c.l.mu.Unlock()
		delete(c.l.open, c.remote)
		if n := c.l.count[c.counted] - 1; n > 0 {
			c.l.count[c.counted] = n
		} else {
			delete(c.l.count, c.counted)
		}
		if c.stranger {
			c.l.stranger--
		}
	})
	return err
}

func (c *streamConn) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTime))
	c.l.f.seen(false, c.remote, p)
	return c.Conn.Write(p)
}

// Read returns judged messages. Whatever ends the connection reads as io.EOF:
// the stack logs every other error.
func (c *streamConn) Read(p []byte) (int, error) {
	if c.trunk == nil {
		c.trunk = c.l.f.trunkOf(c.remote.Addr(), c.trunkNames())
	}
	for len(c.out) == 0 {
		if err := c.next(); err != nil {
			_ = c.Close()
			return 0, io.EOF
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

var errHangUp = errors.New("sip: connection ended by the fence")

// next frames and judges one message, reading as much as it needs.
func (c *streamConn) next() error {
	c.keepAlive()
	end := bytes.Index(c.buf, []byte("\r\n\r\n"))
	if end < 0 {
		if len(c.buf) > maxMessageBytes {
			m, _ := parseMessage(append(bytes.Clone(c.buf[:bytes.LastIndex(c.buf, []byte("\r\n"))+2]), "\r\n"...))
			return c.lost(m, refuse(413, "Request Entity Too Large"))
		}
		return c.fill(nil)
	}
	m, r := parseMessage(c.buf[:end+4])
	n, bad := m.contentLength()
	if bad == nil && n < 0 {
		bad = refuse(400, "No Content-Length") // RFC 3261, section 18.3
	}
	if bad != nil {
		return c.lost(m, bad)
	}
	if r != nil && m.method == "" && m.status == 0 {
		return c.lost(m, r)
	}
	if end+4+n > maxMessageBytes {
		return c.lost(m, refuse(413, "Request Entity Too Large"))
	}
	if len(c.buf) < end+4+n {
		return c.fill(m)
	}
	m.body = bytes.Clone(c.buf[end+4 : end+4+n])
	c.buf = append(c.buf[:0], c.buf[end+4+n:]...)
	c.since = time.Time{}
	if !c.l.f.welcome(c.trunk, c.remote.Addr(), time.Now()) {
		return errHangUp // a stream has no retransmission: better no connection than a lost message
	}
	res := c.l.f.message(m, r, c.remote, c.trunk, c.names)
	c.out = res.forward
	if res.answer != nil {
		if _, err := c.Write(res.answer); err != nil {
			return err
		}
	}
	if res.hangUp {
		return errHangUp
	}
	return nil
}

// trunkNames are the names by which a peer is known: a connection that we opened
// was checked by our own client configuration.
func (c *streamConn) trunkNames() []string {
	if !c.ours {
		return c.names
	}
	names := append([]string(nil), c.names...)
	for _, t := range c.l.f.trunks {
		if t.PeerName != "" && t.owns(c.remote.Addr()) {
			names = append(names, t.PeerName)
		}
	}
	return names
}

// lost answers a message after which nobody knows where the next begins.
func (c *streamConn) lost(m *message, r *refusal) error {
	if !c.l.f.welcome(c.trunk, c.remote.Addr(), time.Now()) {
		return errHangUp
	}
	if res := c.l.f.message(m, r, c.remote, c.trunk, c.names); res.answer != nil {
		_, _ = c.Write(res.answer)
	}
	return errHangUp
}

// keepAlive takes CRLF between messages away and answers a ping (RFC 5626,
// section 3.5.1).
func (c *streamConn) keepAlive() {
	for len(c.buf) >= 2 && c.buf[0] == '\r' && c.buf[1] == '\n' {
		c.buf = c.buf[2:]
		if c.breaks++; c.breaks == 2 {
			_, _ = c.Write([]byte("\r\n"))
			c.breaks = 0
		}
	}
	if len(c.buf) > 0 && c.buf[0] != '\r' {
		c.breaks = 0
	}
	if len(c.buf) == 0 {
		c.since = time.Time{}
	}
}

// fill reads once, under the deadline that the state of the buffer sets. m is
// the message whose body is awaited, or nil.
func (c *streamConn) fill(m *message) error {
	now := time.Now()
	deadline := now.Add(c.l.f.limits.Idle)
	if len(c.buf) > 0 {
		if c.since.IsZero() {
			c.since = now
		}
		deadline = c.since.Add(c.l.f.limits.HeaderTime)
	}
	_ = c.SetReadDeadline(deadline)
	var chunk [8192]byte
	n, err := c.Conn.Read(chunk[:])
	c.buf = append(c.buf, chunk[:n]...)
	if n > 0 {
		return nil
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		if len(c.buf) == 0 && c.l.busy(c.remote) {
			return nil
		}
		if m != nil {
			return c.lost(m, refuse(400, "Body Shorter Than Content-Length"))
		}
		if len(c.buf) > 0 {
			m, r := parseMessage(c.buf)
			return c.lost(m, r)
		}
	}
	return err
}

// trunkOf returns the trunk of an open connection, or nil.
func (l *streamListener) trunkOf(remote netip.AddrPort) *Trunk {
	l.mu.Lock()
	c := l.open[remote]
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	return l.f.trunkOf(remote.Addr(), c.trunkNames())
}
