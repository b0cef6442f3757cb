package b2bua_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// patience bounds every wait of a test; nothing is expected to take it.
const patience = 30 * time.Second

var (
	loopback  = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	loopback6 = []netip.Prefix{netip.MustParsePrefix("::1/128")}
)

// testTLS is a certificate for 127.0.0.1 and a client that trusts it.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"trunk.example"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return &tls.Config{Certificates: []tls.Certificate{cert}},
		&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}
}

// gateway starts a UA with one listener of transport and one trunk, loopback.
func gateway(t testing.TB, transport string, h b2bua.HandlerFunc, change ...func(*b2bua.Config)) *b2bua.UA {
	t.Helper()
	l := b2bua.Listener{Name: "main", Transport: transport, Addr: "127.0.0.1:0"}
	tr := b2bua.Trunk{Name: "loop", Transport: transport, Sources: loopback, Outbound: true, TrustIdentity: true, SRTP: "off"}
	cfg := b2bua.Config{Listeners: []b2bua.Listener{l}, Trunks: []b2bua.Trunk{tr}, Media: rtp.Config{PortMin: 20000, PortMax: 29999},
		Limits: b2bua.Limits{PerSource: 500, Calls: 500}}
	for _, f := range change {
		f(&cfg)
	}
	ua, err := b2bua.New(cfg, h, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := ua.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ua.Close() })
	return ua
}

// phone opens a peer of transport.
func phone(t testing.TB, cfg peer.Config) *peer.Peer {
	t.Helper()
	p, err := peer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// within is a context that ends the test's waiting.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// tone is a clip of hz, loud enough to find.
func tone(hz float64, long time.Duration) ringfence.Clip {
	c := make(ringfence.Clip, int(long.Seconds()*8000))
	for i := range c {
		c[i] = int16(12000 * math.Sin(2*math.Pi*hz*float64(i)/8000))
	}
	return c
}

// has reports whether most of pcm's energy is at hz (Goertzel).
func has(pcm []int16, hz float64) bool {
	if len(pcm) == 0 {
		return false
	}
	coeff, s1, s2, energy := 2*math.Cos(2*math.Pi*hz/8000), 0.0, 0.0, 0.0
	for _, v := range pcm {
		s1, s2 = float64(v)+coeff*s1-s2, s1
		energy += float64(v) * float64(v)
	}
	power := (s1*s1 + s2*s2 - coeff*s1*s2) / float64(len(pcm)) * 2
	return energy > 1e6 && power > energy/2
}

// hears waits until c receives a tone of hz.
func hears(t *testing.T, c *peer.Call, hz float64) {
	t.Helper()
	ctx := within(t)
	var window []int16
	for {
		select {
		case f, ok := <-c.Audio():
			if !ok {
				t.Fatalf("call ended before %v Hz was heard", hz)
			}
			if f.Way != rtp.Received {
				continue
			}
			if window = append(window, f.PCM...); len(window) > 800 {
				window = window[len(window)-800:]
			}
			if len(window) == 800 && has(window, hz) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("%v Hz was never heard", hz)
		}
	}
}

// await waits for an event of a kind on a leg's channel.
func await(t *testing.T, leg *b2bua.Leg, kind ringfence.LegEventKind) ringfence.LegEvent {
	t.Helper()
	ctx := within(t)
	for {
		select {
		case e, ok := <-leg.Events():
			if !ok {
				t.Fatalf("leg ended before %s", kind)
			}
			if e.Kind == kind {
				return e
			}
		case <-ctx.Done():
			t.Fatalf("no %s", kind)
		}
	}
}

// done waits for a channel to be closed.
func done(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-within(t).Done():
		t.Fatalf("%s never came", what)
	}
}
