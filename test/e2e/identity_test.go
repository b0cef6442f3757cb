package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// carrier signs calls as an originating provider does, and serves its
// certificate over HTTP on loopback.
type carrier struct {
	t     testing.TB
	ca    *stirtest.Authority
	host  string
	roots string
}

func newCarrier(t testing.TB) *carrier {
	t.Helper()
	ca, err := stirtest.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: ca.Handler()}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	c := &carrier{t: t, ca: ca, host: l.Addr().String(), roots: filepath.Join(t.TempDir(), "roots.pem")}
	if err := os.WriteFile(c.roots, ca.RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// sign makes an Identity value with the certificate of leaf, at a time.
func (c *carrier) sign(leaf *stirtest.Leaf, attest ringfence.Attest, orig, dest string, at time.Time) string {
	c.t.Helper()
	s, err := leaf.Signer("http://" + c.host + "/" + leaf.Name + ".pem")
	if err != nil {
		c.t.Fatal(err)
	}
	signed, refused, err := s.Sign(stirshaken.SigningRequest{Orig: stirshaken.Party{TN: ringfence.TN(orig)},
		Dest: []stirshaken.Party{{TN: ringfence.TN(dest)}}, Attest: attest, Iat: at}, at)
	if err != nil || refused != "" {
		c.t.Fatalf("the carrier does not sign: %v %s", err, refused)
	}
	return signed.Identity
}

func (c *carrier) leaf(ca *stirtest.Authority, name string) *stirtest.Leaf {
	c.t.Helper()
	l, err := ca.Leaf(stirtest.Options{Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

const (
	customers = "442079460000"
	accounts  = "442079460001"
	mobile    = "447700900123"
)

// TestIdentity calls in with good, bad and missing signatures, over every
// transport; where the operator rejects, each gets the status that RFC 8224
// owes.
func TestIdentity(t *testing.T) {
	t.Parallel()
	needs(t, "sipp", "sip-tester")
	ctx := within(t, 2*time.Minute)
	c := newCarrier(t)
	good := c.leaf(c.ca, "good")
	stranger, err := stirtest.New(time.Now()) // nobody trusts its root
	if err != nil {
		t.Fatal(err)
	}
	foreign := c.leaf(stranger, "foreign")
	c.ca.Serve("foreign.pem", foreign.Bundle)
	g := newGateway(t, settings{Mode: "reject", Roots: c.roots, LabHost: c.host})
	g.seed(ctx)
	g.start(ctx)

	nowhere := *good
	nowhere.Name = "nowhere"
	broken := func(id string) string { // one bit of the signature
		head, rest, _ := strings.Cut(id, ";")
		last := strings.LastIndexByte(head, '.') + 10
		flipped := byte('A')
		if head[last] == 'A' {
			flipped = 'B'
		}
		return head[:last] + string(flipped) + head[last+1:] + ";" + rest
	}
	sign := func(leaf *stirtest.Leaf, attest ringfence.Attest, dest string, age time.Duration) func() []string {
		return func() []string { return []string{c.sign(leaf, attest, mobile, dest, time.Now().Add(-age))} }
	}
	for _, k := range []struct {
		name     string
		identity func() []string
		want     int
	}{
		{"attested A", sign(good, "A", customers, 0), 200},
		{"attested C", sign(good, "C", customers, 0), 200},
		{"missing", func() []string { return nil }, 428},
		{"certificate that is not there", sign(&nowhere, "A", customers, 0), 436},
		{"authority that nobody trusts", sign(foreign, "A", customers, 0), 437},
		{"signature broken", func() []string { return []string{broken(sign(good, "A", customers, 0)()[0])} }, 438},
		{"signed for another number", sign(good, "A", "447700900999", 0), 438},
		{"stale", sign(good, "A", customers, time.Hour), 403},
	} {
		t.Run(k.name, func(t *testing.T) {
			overTLS := scenario{Called: customers, Caller: mobile, Identity: k.identity(), Want: k.want, Media: newMedia(t, callerOctet).port(), Crypto: srtpKey()}
			runSIPp(ctx, t, "refused.xml", overTLS, tlsShim(t, g), "-t", "t1").wait(ctx)
			for _, transport := range []string{"u1", "t1"} {
				audio := newMedia(t, callerOctet)
				s := scenario{Called: customers, Caller: mobile, Identity: k.identity(), Want: k.want, Media: audio.port()}
				if k.want != 200 {
					runSIPp(ctx, t, "refused.xml", s, g.sip(), "-t", transport).wait(ctx)
					continue
				}
				p := runSIPp(ctx, t, "caller.xml", s, g.sip(), "-t", transport)
				audio.hear(p.ctx, "Welcome to Acme")
				p.poke(transport)
				p.wait(ctx)
				s.Want = 438 // the same signature again is for no other call
				runSIPp(ctx, t, "refused.xml", s, g.sip(), "-t", transport).wait(ctx)
			}
		})
	}
	g.alive()
	g.stop(ctx)
}

// TestIdentityMarked lets a call go on whose signature failed, and tells the
// network why in the answer (RFC 9410).
func TestIdentityMarked(t *testing.T) {
	t.Parallel()
	needs(t, "sipp", "sip-tester")
	ctx := within(t, time.Minute)
	c := newCarrier(t)
	good := c.leaf(c.ca, "good")
	g := newGateway(t, settings{Mode: "mark", Reason: "stir", Roots: c.roots, LabHost: c.host})
	g.seed(ctx)
	g.start(ctx)
	s := scenario{Called: customers, Caller: mobile, Want: 200, Media: newMedia(t, callerOctet).port(), Reason: "STIR;cause=438",
		Identity: []string{c.sign(good, "A", mobile, "447700900999", time.Now())}}
	for _, transport := range []string{"u1", "t1"} {
		runSIPp(ctx, t, "refused.xml", s, g.sip(), "-t", transport).wait(ctx)
	}
	g.alive()
	g.stop(ctx)
}

// srtpKey is key and salt of one SRTP stream (RFC 4568).
func srtpKey() string {
	var raw [30]byte
	rand.Read(raw[:]) // never fails
	return base64.StdEncoding.EncodeToString(raw[:])
}

// tlsShim carries SIP over TCP on to the gateway's TLS listener, for a SIPp
// that was built without TLS. It names the transport as it is on each side.
func tlsShim(t testing.TB, g *gateway) string {
	t.Helper()
	raw, err := os.ReadFile(g.set.Cert)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			plain, err := l.Accept()
			if err != nil {
				return
			}
			secure, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", g.set.TLS), &tls.Config{RootCAs: roots})
			if err != nil {
				plain.Close()
				continue
			}
			carry := func(to, from net.Conn, old, now string) {
				defer to.Close()
				words := strings.NewReplacer("SIP/2.0/"+old, "SIP/2.0/"+now, "transport="+old, "transport="+now,
					"transport="+strings.ToLower(old), "transport="+strings.ToLower(now))
				buf := make([]byte, 64<<10)
				for {
					n, err := from.Read(buf)
					if n > 0 {
						if _, err := words.WriteString(to, string(buf[:n])); err != nil {
							return
						}
					}
					if err != nil {
						return
					}
				}
			}
			go carry(secure, plain, "TCP", "TLS")
			go carry(plain, secure, "TLS", "TCP")
		}
	}()
	return l.Addr().String()
}
