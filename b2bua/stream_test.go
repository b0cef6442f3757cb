package b2bua_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// closed waits until the far end closes c, reading whatever comes before.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("connection was not closed: %v", err)
	}
}

// short makes every time limit of a stream short.
func short(c *b2bua.Config) {
	c.Limits.HeaderTime, c.Limits.Idle, c.Limits.HandshakeTime = 100*time.Millisecond, 150*time.Millisecond, 100*time.Millisecond
	c.Limits.PerSource = 5
}

func TestSlowConnections(t *testing.T) {
	server, client := testTLS(t)
	tcp := gateway(t, "tcp", nil, short)
	secure := gateway(t, "tls", nil, short, func(c *b2bua.Config) { c.Listeners[0].TLS = server })
	open := func(ua *b2bua.UA) net.Conn {
		c, err := net.Dial("tcp", ua.Addrs()["main"].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	t.Run("idle", func(t *testing.T) { closed(t, open(tcp)) })
	t.Run("half a header", func(t *testing.T) {
		c := open(tcp)
		_, _ = c.Write([]byte("INVITE sip:1@x SIP/2.0\r\nVia: SIP/2.0/TCP x"))
		closed(t, c)
	})
	t.Run("a byte at a time", func(t *testing.T) {
		c := open(tcp)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		ctx := within(t)
		for {
			select {
			case <-tick.C:
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			case <-ctx.Done():
				t.Fatal("a connection that sends a byte at a time is kept")
			}
		}
	})
	t.Run("no handshake", func(t *testing.T) { closed(t, open(secure)) })
	t.Run("idle after the handshake", func(t *testing.T) {
		conf := client.Clone()
		conf.ServerName = "127.0.0.1"
		closed(t, tls.Client(open(secure), conf))
	})
	t.Run("plain text to TLS", func(t *testing.T) {
		c := open(secure)
		_, _ = c.Write([]byte("OPTIONS sip:1@x SIP/2.0\r\n\r\n"))
		closed(t, c)
	})
	t.Run("endless header", func(t *testing.T) {
		c := open(tcp)
		_, _ = c.Write([]byte("INVITE sip:1@x SIP/2.0\r\n" + strings.Repeat("X-A: b\r\n", 10000)))
		closed(t, c)
	})
	t.Run("too many of one source", func(t *testing.T) {
		tcp := gateway(t, "tcp", nil, func(c *b2bua.Config) { c.Limits.PerSource = 5 })
		for range 5 {
			w := dial(t, tcp, "tcp", nil)
			w.canary()
			if r, err := w.final(); err != nil || r.code != 200 {
				t.Fatalf("got %d, %v", r.code, err)
			}
		}
		closed(t, open(tcp))
	})
}

// TestStreamFraming: whatever way a stream is cut, its messages are the same.
func TestStreamFraming(t *testing.T) {
	ua := gateway(t, "tcp", nil)
	msg := func(id string) string {
		return "OPTIONS sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK" + id + "\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\n" +
			"To: <sip:1@127.0.0.1>\r\nCall-ID: " + id + "\r\nCSeq: 1 OPTIONS\r\nContent-Length: 5\r\n\r\nhello"
	}
	all := msg("one") + "\r\n\r\n" + msg("two") + msg("three")
	for _, size := range []int{1, 2, 3, 7, 50, 200, len(all)} {
		w := dial(t, ua, "tcp", nil)
		for rest := all; rest != ""; {
			n := min(size, len(rest))
			w.send([]byte(rest[:n]))
			rest = rest[n:]
		}
		for _, id := range []string{"one", "two", "three"} {
			r, err := w.read()
			if err != nil || r.code != 200 || r.header("Call-ID") != id {
				t.Fatalf("cut at %d: got %d of %q, want 200 of %q (%v)", size, r.code, r.header("Call-ID"), id, err)
			}
			if id == "one" {
				if b, _ := w.r.Peek(2); string(b) != "\r\n" {
					t.Fatalf("cut at %d: a ping is answered with %q", size, b)
				}
				_, _ = w.r.Discard(2)
			}
		}
	}
}

// TestPeerName: over TLS a trunk may be known by its certificate.
func TestPeerName(t *testing.T) {
	server, client := testTLS(t)
	_, other := testTLS(t)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificates[0].Leaf)
	server.ClientCAs, server.ClientAuth = pool, tls.VerifyClientCertIfGiven
	other.RootCAs = pool
	bare := &tls.Config{RootCAs: pool}
	for name, tt := range map[string]struct {
		client *tls.Config
		trunk  string
		want   int
	}{"its certificate": {client, "trunk.example", 200}, "another name": {client, "carrier.example", 403}, "none": {bare, "trunk.example", 403}} {
		t.Run(name, func(t *testing.T) {
			ua := gateway(t, "tls", nil, func(c *b2bua.Config) { c.Listeners[0].TLS, c.Trunks[0].PeerName = server, tt.trunk })
			w := dial(t, ua, "tls", tt.client)
			w.canary()
			if r, err := w.final(); err != nil || r.code != tt.want {
				t.Errorf("got %d (%v), want %d", r.code, err, tt.want)
			}
		})
	}
	t.Run("of another authority", func(t *testing.T) {
		ua := gateway(t, "tls", nil, func(c *b2bua.Config) { c.Listeners[0].TLS, c.Trunks[0].PeerName = server, "trunk.example" })
		w := dial(t, ua, "tls", other)
		w.canary()
		if r, err := w.final(); err == nil {
			t.Errorf("got %d, want a closed connection", r.code)
		}
	})
}

// TestNoTrunk: a source that no trunk owns reaches no handler.
func TestNoTrunk(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			ua := gateway(t, transport, func(context.Context, *b2bua.Leg) { t.Error("a stranger's call was handled") },
				func(c *b2bua.Config) { c.Trunks[0].Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
			w := dial(t, ua, transport, nil)
			w.send([]byte("INVITE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\n" +
				"To: <sip:1@127.0.0.1>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"))
			if r, err := w.final(); err != nil || r.code != 403 {
				t.Errorf("got %d (%v), want 403", r.code, err)
			}
		})
	}
}

// TestFailover: an address that cannot be reached, or has no room, is passed over.
func TestFailover(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	deadAddr := dead.Addr().String()
	_ = dead.Close()
	full, good := phone(t, peer.Config{Transport: "tcp"}), phone(t, peer.Config{Transport: "tcp"})
	full.Serve(func(ctx context.Context, c *peer.Call) { _ = c.Leg().Refuse(ctx, 503, "Service Unavailable") })
	good.Serve(func(ctx context.Context, c *peer.Call) {
		_ = c.Answer(ctx)
		<-c.Done()
	})
	ua := gateway(t, "tcp", nil, func(c *b2bua.Config) {
		c.Trunks[0].Addrs = []string{deadAddr, full.Addr().String(), good.Addr().String()}
	})
	leg, err := ua.Place(context.Background(), ringfence.Placement{Trunk: "loop", To: "441632960000"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, leg, ringfence.LegAnswered)
}

// TestHealth: an address that is draining is found out by OPTIONS and tried last.
func TestHealth(t *testing.T) {
	drained := gateway(t, "udp", nil)
	if err := drained.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	good := phone(t, peer.Config{})
	good.Serve(func(ctx context.Context, c *peer.Call) {
		_ = c.Answer(ctx)
		<-c.Done()
	})
	ua := gateway(t, "udp", nil, func(c *b2bua.Config) {
		c.Trunks[0].Addrs = []string{drained.Addrs()["main"].String(), good.Addr().String()}
		c.Trunks[0].Ping = time.Second
	})
	for ctx := within(t); ; {
		leg, err := ua.Place(ctx, ringfence.Placement{Trunk: "loop", To: "441632960000"})
		if err != nil {
			t.Fatal(err)
		}
		await(t, leg, ringfence.LegAnswered) // by the second address, whichever is tried first
		leg.Hangup(ringfence.EndHangup)
		if leg.Info().Source == good.Addr() {
			return
		}
	}
}

// TestConfigRefuses: each mistake is one line that names it.
func TestConfigRefuses(t *testing.T) {
	l := b2bua.Listener{Transport: "udp", Addr: "127.0.0.1:0"}
	tr := b2bua.Trunk{Name: "a", Sources: loopback}
	for name, tt := range map[string]struct {
		cfg  b2bua.Config
		want string
	}{
		"nothing":               {b2bua.Config{}, "no listener"},
		"transport":             {b2bua.Config{Listeners: []b2bua.Listener{{Transport: "sctp", Addr: "127.0.0.1:0"}}}, "use udp, tcp or tls"},
		"address":               {b2bua.Config{Listeners: []b2bua.Listener{{Transport: "udp", Addr: "localhost:5060"}}}, "IP address and a port"},
		"every address":         {b2bua.Config{Listeners: []b2bua.Listener{{Transport: "udp", Addr: "0.0.0.0:0"}}}, "external"},
		"tls without one":       {b2bua.Config{Listeners: []b2bua.Listener{{Transport: "tls", Addr: "127.0.0.1:0"}}}, "certificate"},
		"unknown trunk":         {b2bua.Config{Listeners: []b2bua.Listener{{Transport: "udp", Addr: "127.0.0.1:0", Trunks: []string{"x"}}}}, "no trunk is called"},
		"two trunks of a name":  {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{tr, tr}}, "a name of its own"},
		"trunk of nowhere":      {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a"}}}, "no address"},
		"host name":             {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Addrs: []string{"sip.example"}}}}, "IP address"},
		"srtp":                  {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Sources: loopback, SRTP: "maybe"}}}, "required, optional or off"},
		"codec":                 {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Sources: loopback, Codecs: []string{"G729"}}}}, "PCMU, PCMA, G722 or opus"},
		"peer name on udp":      {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Sources: loopback, PeerName: "x"}}}, "without tls"},
		"password of any realm": {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Sources: loopback, Password: "x"}}}, "without realm"},
		"host that is none":     {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Host: "a b"}}}, "domain name"},
		"trust by DNS alone":    {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Host: "a.example", TrustIdentity: true}}}, "needs tls"},
		"proxy of nothing":      {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Sources: loopback, Proxy: true}}}, "proxy"},
		"register nobody":       {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Sources: loopback, Register: &b2bua.Register{}}}}, "user"},
		"register nowhere":      {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Sources: loopback, Register: &b2bua.Register{User: "a"}}}}, "no registrar"},
		"register for seconds":  {b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{{Name: "a", Host: "a.example", Register: &b2bua.Register{User: "a", Expires: 1}}}}, "expires"},
		"strangers":             {b2bua.Config{Listeners: []b2bua.Listener{l}, Strangers: "welcome"}, "use drop"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b2bua.New(tt.cfg, nil, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("New = %v, want one line with %q", err, tt.want)
			}
		})
	}
}
