package postgres

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a store and its database and breaks what it is told to
// at the next COMMIT.
type proxy struct {
	t  testing.TB
	ln net.Listener
	to string

	mu     sync.Mutex
	commit func(client, server net.Conn, msg []byte) // guarded by mu
	cut    int                                       // messages until one is cut off; guarded by mu
}

// between starts a proxy and returns it and the address that leads through it.
func between(t testing.TB, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, ln: ln, to: u.Host}
	t.Cleanup(func() { ln.Close() })
	go p.serve()
	u.Host = ln.Addr().String()
	return p, u.String()
}

func (p *proxy) serve() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		go func() { io.Copy(client, server); client.Close() }()
		go p.pump(client, server)
	}
}

// atCommit says what to do with the next COMMIT, once.
func (p *proxy) atCommit(do func(client, server net.Conn, msg []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commit = do
}

// cutAt cuts the connection that sends the n-th message from now on, once.
func (p *proxy) cutAt(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = n
}

// cuts reports whether this message is the one.
func (p *proxy) cuts() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut--
	return p.cut == 0
}

func (p *proxy) pump(client, server net.Conn) {
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if n > 0 {
			p.pass(client, server, buf[:n])
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) pass(client, server net.Conn, msg []byte) {
	if p.cuts() {
		client.Close()
		server.Close()
		return
	}
	var do func(client, server net.Conn, msg []byte)
	if bytes.Contains(msg, []byte("COMMIT\x00")) {
		p.mu.Lock()
		do, p.commit = p.commit, nil
		p.mu.Unlock()
	}
	if do != nil {
		do(client, server, msg)
		return
	}
	server.Write(msg)
}
