package e2e

import (
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
