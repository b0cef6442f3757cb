package stirshaken_test

import (
	"context"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// now is the time of every test: certificates and claims are made around it.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	caller = "12155551212"
	callee = "12155550100"
	x5u    = "https://cert.example.org/1234.pem"
)

func tn(s string) stirshaken.Party { return stirshaken.Party{TN: ringfence.TN(s)} }

// bench is an authority, a leaf, a signer and a verifier that knows them.
type bench struct {
	ca   *stirtest.Authority
	leaf *stirtest.Leaf
	sign *stirshaken.Signer
	v    *stirshaken.Verifier
}

func newBench(t testing.TB, c stirshaken.Config, o stirtest.Options) *bench {
	t.Helper()
	ca, err := stirtest.New(now)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{ca: ca}
	if b.leaf, err = ca.Leaf(o); err != nil {
		t.Fatal(err)
	}
	b.sign = new(stirshaken.Signer)
	_ = b.sign.SetKey(b.leaf.Key, b.leaf.Bundle, x5u) // a bad leaf cannot sign; such cases sign by hand
	if c.Trust == nil {
		c.Trust = ca.Trust()
	}
	c.Fetch.Off = true
	if b.v, err = stirshaken.NewVerifier(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.v.Close)
	if r := b.v.Preload(x5u, b.leaf.Bundle); r != nil {
		t.Fatal(r)
	}
	return b
}

func (b *bench) identity(t testing.TB, req stirshaken.SigningRequest) string {
	t.Helper()
	if req.Orig.Zero() {
		req.Orig = tn(caller)
	}
	if req.Dest == nil {
		req.Dest = []stirshaken.Party{tn(callee)}
	}
	if req.Attest == "" && (req.PPT == "" || req.PPT == stirshaken.PPTShaken) {
		req.Attest = ringfence.AttestFull
	}
	s, refusal, err := b.sign.Sign(req, now)
	if err != nil || refusal != "" {
		t.Fatalf("sign: %v %v", refusal, err)
	}
	return s.Identity
}

func request(identity ...string) stirshaken.Request {
	return stirshaken.Request{Identity: identity, From: "<sip:+" + caller + "@a.example;user=phone>;tag=x",
		To: "<sip:+" + callee + "@b.example>", RequestURI: "sip:+" + callee + "@b.example", CallID: "c1"}
}

func TestVerifyGood(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, stirtest.Options{})
	for _, attest := range []ringfence.Attest{"A", "B", "C"} {
		v := b.v.Verify(context.Background(), request(b.identity(t, stirshaken.SigningRequest{Attest: attest})), stirshaken.Peer{}, now)
		if !v.Verified() || v.Attest != attest || v.Code != 0 {
			t.Errorf("attest %s: %+v", attest, v)
		}
		t.Log(v.Sentence())
	}
}
