package stirshaken_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// TestSharedIssuer: a remembered intermediate vouches for its own leaves only,
// under its own trust list only, and for no certificate that has its name.
func TestSharedIssuer(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	fire := func(leaf *stirtest.Leaf, bundle []byte) stirshaken.Reason {
		t.Helper()
		if r := b.v.Preload(x5u, bundle); r != nil {
			t.Fatal(r)
		}
		s := newShot(b)
		s.key = leaf.Key
		return s.fire(t, b).Reason
	}
	want := func(name string, got, want stirshaken.Reason) {
		t.Helper()
		if got != want {
			t.Errorf("%s: have %s, want %s", name, got, want)
		}
	}
	want("first", fire(b.leaf, b.leaf.Bundle), stirshaken.ReasonValid)
	two, _ := b.ca.Leaf(opts{Name: "two"})
	want("second of the same issuer", fire(two, two.Bundle), stirshaken.ReasonValid)
	expired, _ := b.ca.Leaf(opts{Name: "expired", NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})
	want("expired leaf", fire(expired, expired.Bundle), stirshaken.ReasonExpired)

	// A stranger with the same names, alone and with the real intermediate.
	other, _ := stirtest.New(now)
	forged, _ := other.Leaf(opts{})
	want("namesake", fire(forged, forged.Bundle), stirshaken.ReasonUntrusted)
	leafOnly := forged.Bundle[:indexEnd(forged.Bundle)]
	intermediate := b.leaf.Bundle[indexEnd(b.leaf.Bundle):]
	want("namesake's leaf under the real issuer", fire(forged, append(append([]byte{}, leafOnly...), intermediate...)), stirshaken.ReasonUntrusted)

	b.v.SetTrust(strangers(t))
	want("another trust list", fire(two, two.Bundle), stirshaken.ReasonUntrusted)
	b.v.SetTrust(b.ca.Trust())
	want("an equal trust list", fire(two, two.Bundle), stirshaken.ReasonValid)

	// An authority's certificate below the remembered one may still not sign.
	sub, _ := b.ca.Leaf(opts{Name: "sub", CA: true, Mutate: func(c *x509.Certificate) { c.MaxPathLenZero = true }})
	want("an authority's certificate", fire(sub, sub.Bundle), stirshaken.ReasonLeafCA)
}

// indexEnd is where the second certificate of a PEM bundle begins.
func indexEnd(bundle []byte) int {
	const end = "-----END CERTIFICATE-----\n"
	for i := range bundle {
		if i+len(end) <= len(bundle) && string(bundle[i:i+len(end)]) == end {
			return i + len(end)
		}
	}
	return len(bundle)
}
