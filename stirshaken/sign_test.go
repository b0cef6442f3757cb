package stirshaken_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// What must not be signed is refused, each with its own reason.
func TestSignRefuses(t *testing.T) {
	good := stirshaken.SigningRequest{Orig: tn(caller), Dest: []stirshaken.Party{tn(callee)}, Attest: "A"}
	for _, k := range []struct {
		name string
		want stirshaken.SigningRefusal
		leaf opts
		do   func(*stirshaken.SigningRequest)
	}{
		{"zero request", stirshaken.SignOrig, opts{}, func(r *stirshaken.SigningRequest) { *r = stirshaken.SigningRequest{} }},
		{"no attest", stirshaken.SignAttest, opts{}, func(r *stirshaken.SigningRequest) { r.Attest = "" }},
		{"attest D", stirshaken.SignAttest, opts{}, func(r *stirshaken.SigningRequest) { r.Attest = "D" }},
		{"attest in lower case", stirshaken.SignAttest, opts{}, func(r *stirshaken.SigningRequest) { r.Attest = "a" }},
		{"orig with a plus", stirshaken.SignOrig, opts{}, func(r *stirshaken.SigningRequest) { r.Orig = tn("+1") }},
		{"orig with a letter", stirshaken.SignOrig, opts{}, func(r *stirshaken.SigningRequest) { r.Orig = tn("1a") }},
		{"orig a uri", stirshaken.SignOrig, opts{}, func(r *stirshaken.SigningRequest) { r.Orig = stirshaken.Party{URI: "sip:a@b"} }},
		{"orig both", stirshaken.SignOrig, opts{}, func(r *stirshaken.SigningRequest) { r.Orig.URI = "sip:a@b" }},
		{"no dest", stirshaken.SignDest, opts{}, func(r *stirshaken.SigningRequest) { r.Dest = nil }},
		{"dest empty", stirshaken.SignDest, opts{}, func(r *stirshaken.SigningRequest) { r.Dest = []stirshaken.Party{{}} }},
		{"dest with control bytes", stirshaken.SignDest, opts{}, func(r *stirshaken.SigningRequest) { r.Dest = []stirshaken.Party{{URI: "sip:a@b\r\nX: y"}} }},
		{"65 dests", stirshaken.SignDest, opts{}, func(r *stirshaken.SigningRequest) {
			for range 64 {
				r.Dest = append(r.Dest, tn("1"))
			}
		}},
		{"stale", stirshaken.SignIat, opts{}, func(r *stirshaken.SigningRequest) { r.Iat = now.Add(-2 * time.Minute) }},
		{"future", stirshaken.SignIat, opts{}, func(r *stirshaken.SigningRequest) { r.Iat = now.Add(2 * time.Minute) }},
		{"origid", stirshaken.SignOrigID, opts{}, func(r *stirshaken.SigningRequest) { r.OrigID = "x" }},
		{"ppt", stirshaken.SignPPT, opts{}, func(r *stirshaken.SigningRequest) { r.PPT = "bench" }},
		{"div without div", stirshaken.SignDiv, opts{}, func(r *stirshaken.SigningRequest) { r.PPT = "div" }},
		{"rcd without name", stirshaken.SignName, opts{}, func(r *stirshaken.SigningRequest) { r.PPT = "rcd" }},
		{"name with a line break", stirshaken.SignControl, opts{}, func(r *stirshaken.SigningRequest) { r.PPT, r.Name = "rcd", "a\nb" }},
		{"reason not UTF-8", stirshaken.SignControl, opts{}, func(r *stirshaken.SigningRequest) { r.CRN = "\xff" }},
		{"reason too long", stirshaken.SignControl, opts{}, func(r *stirshaken.SigningRequest) { r.CRN = strings.Repeat("x", 257) }},
		{"out of scope", stirshaken.SignScope, opts{Scope: &stirshaken.Scope{Numbers: []ringfence.TN{"1"}}}, func(*stirshaken.SigningRequest) {}},
		{"div out of scope", stirshaken.SignScope, opts{Scope: &stirshaken.Scope{Numbers: []ringfence.TN{caller}}},
			func(r *stirshaken.SigningRequest) { r.PPT, r.Div = "div", tn(first) }},
		{"expired", stirshaken.SignExpired, opts{NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Hour)}, func(*stirshaken.SigningRequest) {}},
		{"not permitted", stirshaken.SignClaims, opts{Constraints: &stirshaken.Constraints{Permitted: []stirshaken.PermittedValues{{Claim: "attest", Values: []string{"B"}}}}},
			func(*stirshaken.SigningRequest) {}},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t, stirshaken.Config{}, k.leaf)
			req := good
			k.do(&req)
			s, refusal, err := b.sign.Sign(req, now)
			if err != nil || refusal != k.want || s.Identity != "" {
				t.Errorf("have %q %v, want %q", refusal, err, k.want)
			}
		})
	}
}

// inventory proves one number for one tenant.
type inventory struct {
	source string
	since  time.Time
	err    error
}

func (i inventory) Proves(_ context.Context, tenant ringfence.TenantID, n ringfence.TN) (string, time.Time, bool, error) {
	return i.source, i.since, tenant == "ten_a" && n == caller, i.err
}

// A is given only for numbers that the inventory proves, from a source and a
// date; everything else is B or C.
func TestSignForAttestsNoMoreThanIsTrue(t *testing.T) {
	proven := inventory{source: "contract", since: now.AddDate(-1, 0, 0)}
	for _, k := range []struct {
		name    string
		inv     stirshaken.Inventory
		tenant  ringfence.TenantID
		known   bool
		ask     ringfence.Attest
		want    ringfence.Attest
		refusal stirshaken.SigningRefusal
	}{
		{"proven", proven, "ten_a", true, "", "A", ""},
		{"proven, asked for less", proven, "ten_a", true, "B", "B", ""},
		{"another tenant", proven, "ten_b", true, "", "B", ""},
		{"another tenant asks for A", proven, "ten_b", true, "A", "", stirshaken.SignInventory},
		{"unknown customer", proven, "ten_a", false, "", "C", ""},
		{"unknown customer asks for B", proven, "ten_a", false, "B", "", stirshaken.SignInventory},
		{"no inventory", nil, "ten_a", true, "", "B", ""},
		{"no source", inventory{since: now}, "ten_a", true, "", "B", ""},
		{"no date", inventory{source: "x"}, "ten_a", true, "", "B", ""},
		{"date in the future", inventory{source: "x", since: now.Add(time.Hour)}, "ten_a", true, "", "B", ""},
		{"inventory down", inventory{source: "x", since: now, err: errors.New("down")}, "ten_a", true, "A", "", stirshaken.SignInventory},
		{"nonsense asked", proven, "ten_a", true, "Z", "", stirshaken.SignAttest},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t, stirshaken.Config{}, opts{})
			b.sign.Inventory = k.inv
			s, refusal, err := b.sign.SignFor(context.Background(), k.tenant, k.known, stirshaken.SigningRequest{Orig: tn(caller), Dest: []stirshaken.Party{tn(callee)}, Attest: k.ask}, now)
			if err != nil || refusal != k.refusal {
				t.Fatalf("have %q %v, want %q", refusal, err, k.refusal)
			}
			if refusal != "" {
				return
			}
			if v := b.v.Verify(context.Background(), request(s.Identity), stirshaken.Peer{}, now); v.Attest != k.want {
				t.Errorf("have %q (%s), want %q", v.Attest, v.Reason, k.want)
			}
		})
	}
}

// TestSignedVerifies: each type that is signed verifies, with text that other
// encoders would escape kept as it is.
func TestSignedVerifies(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	shaken := b.identity(t, stirshaken.SigningRequest{Dest: []stirshaken.Party{tn(first), {URI: "sip:x@y"}}, CRN: "<Delivery> & more"})
	div := b.identity(t, stirshaken.SigningRequest{PPT: "div", Div: tn(first)})
	rcd := b.identity(t, stirshaken.SigningRequest{PPT: "rcd", Name: "Ünal & Söhne <GmbH>"})
	v := b.v.Verify(context.Background(), request(shaken, div, rcd), stirshaken.Peer{}, now)
	if !v.Verified() || len(v.Diverted) != 1 || v.RCD == nil || v.RCD.Name != "Ünal & Söhne <GmbH>" {
		t.Errorf("%+v", v)
	}
	claims, _ := base64.RawURLEncoding.DecodeString(strings.Split(shaken, ".")[1])
	if !strings.Contains(string(claims), `"crn":"<Delivery> & more"`) {
		t.Errorf("escaped: %s", claims)
	}
}

func TestKeys(t *testing.T) {
	ca, err := stirtest.New(now)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := ca.Leaf(opts{Name: "one"})
	two, _ := ca.Leaf(opts{Name: "two"})
	bare, _ := ca.Leaf(opts{Name: "bare", NoTNAuth: true})
	authority, _ := ca.Leaf(opts{Name: "ca", CA: true})
	s := new(stirshaken.Signer)
	for _, k := range []struct {
		name   string
		err    error
		bundle []byte
		leaf   *stirtest.Leaf
		x5u    string
	}{
		{"key of another", stirshaken.ErrNoKey, two.Bundle, one, x5u},
		{"no certificate", nil, nil, one, x5u},
		{"http", nil, one.Bundle, one, "http://cert.example.org/c.pem"},
		{"no scope", nil, bare.Bundle, bare, x5u},
		{"authority", nil, authority.Bundle, authority, x5u},
	} {
		if err := s.SetKey(k.leaf.Key, k.bundle, k.x5u); err == nil || k.err != nil && !errors.Is(err, k.err) {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if err := s.SetKey(nil, one.Bundle, x5u); err == nil {
		t.Error("no key")
	}
	dir := t.TempDir()
	write := func(l *stirtest.Leaf) {
		key, _ := l.KeyPEM()
		if os.WriteFile(filepath.Join(dir, "key"), key, 0o600) != nil || os.WriteFile(filepath.Join(dir, "cert"), l.Bundle, 0o600) != nil {
			t.Fatal("write")
		}
	}
	use := func() string {
		if err := s.LoadKey(filepath.Join(dir, "key"), filepath.Join(dir, "cert"), x5u); err != nil {
			t.Fatal(err)
		}
		signed, refusal, err := s.Sign(stirshaken.SigningRequest{Orig: tn(caller), Dest: []stirshaken.Party{tn(callee)}, Attest: "B"}, now)
		if err != nil || refusal != "" {
			t.Fatal(refusal, err)
		}
		return signed.Identity
	}
	write(one)
	before := use()
	write(two) // rotated
	after := use()
	for _, k := range []struct {
		leaf     *stirtest.Leaf
		identity string
		want     stirshaken.Reason
	}{{one, before, stirshaken.ReasonValid}, {two, after, stirshaken.ReasonValid}, {one, after, stirshaken.ReasonSignature}} {
		v, err := stirshaken.NewVerifier(stirshaken.Config{Trust: ca.Trust()})
		if err != nil {
			t.Fatal(err)
		}
		v.Preload(x5u, k.leaf.Bundle)
		if got := v.Verify(context.Background(), request(k.identity), stirshaken.Peer{}, now).Reason; got != k.want {
			t.Errorf("%s: have %s, want %s", k.leaf.Name, got, k.want)
		}
		v.Close()
	}
}

func TestTrustListRefuses(t *testing.T) {
	ca, _ := stirtest.New(now)
	leaf, _ := ca.Leaf(opts{})
	for name, b := range map[string][]byte{"empty": nil, "text": []byte("x"), "leaf": leaf.Bundle, "cut": ca.RootPEM()[:200],
		"rubbish after": append(ca.RootPEM(), "x"...)} {
		if l, err := stirshaken.ParseTrustList(b); err == nil {
			t.Errorf("%s: %d roots", name, l.Len())
		}
	}
	if l, err := stirshaken.ParseTrustList(ca.RootPEM()); err != nil || l.Len() != 1 {
		t.Error(err)
	}
	if _, err := stirshaken.NewTrustList(&x509.Certificate{}); err == nil {
		t.Error("the zero certificate is a root")
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, c := range map[string]stirshaken.Config{
		"negative freshness": {Freshness: -1},
		"negative skew":      {Skew: -1},
		"negative cache":     {CacheEntries: -1},
		"long freshness":     {Freshness: time.Hour},
		"lab host":           {Fetch: stirshaken.FetchConfig{LabCertificateHosts: []string{"127.0.0.1"}}},
		"negative timeout":   {Fetch: stirshaken.FetchConfig{Timeout: -1}},
	} {
		if _, err := stirshaken.NewVerifier(c); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
}
