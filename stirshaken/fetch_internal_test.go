package stirshaken

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// TestDialControl walks every range that a certificate's host must not lie
// in, as the dialler sees it: an address, whatever name or notation led there.
func TestDialControl(t *testing.T) {
	for _, k := range []struct {
		name, address string
		ok            bool
	}{
		{"loopback", "127.0.0.1:443", false},
		{"loopback, other", "127.8.9.10:443", false},
		{"loopback v6", "[::1]:443", false},
		{"loopback mapped", "[::ffff:127.0.0.1]:443", false},
		{"loopback compatible", "[::127.0.0.1]:443", false},
		{"unspecified", "0.0.0.0:443", false},
		{"this network", "0.1.2.3:443", false},
		{"unspecified v6", "[::]:443", false},
		{"private 10", "10.0.0.1:443", false},
		{"private 172.16", "172.16.0.1:443", false},
		{"private 172.31", "172.31.255.255:443", false},
		{"private 192.168", "192.168.1.1:443", false},
		{"private mapped", "[::ffff:10.0.0.1]:443", false},
		{"shared", "100.64.0.1:443", false},
		{"link-local", "169.254.1.1:443", false},
		{"metadata", "169.254.169.254:443", false},
		{"metadata v6", "[fd00:ec2::254]:443", false},
		{"link-local v6", "[fe80::1]:443", false},
		{"link-local v6 with zone", "[fe80::1%eth0]:443", false},
		{"site-local", "[fec0::1]:443", false},
		{"unique local", "[fd12::1]:443", false},
		{"multicast", "224.0.0.1:443", false},
		{"multicast v6", "[ff02::1]:443", false},
		{"broadcast", "255.255.255.255:443", false},
		{"reserved", "240.0.0.1:443", false},
		{"benchmark", "198.18.0.1:443", false},
		{"documentation 1", "192.0.2.1:443", false},
		{"documentation 2", "198.51.100.1:443", false},
		{"documentation 3", "203.0.113.1:443", false},
		{"documentation v6", "[2001:db8::1]:443", false},
		{"protocol assignments", "192.0.0.8:443", false},
		{"6to4 relay", "192.88.99.1:443", false},
		{"NAT64 of a private address", "[64:ff9b::a00:1]:443", false},
		{"local NAT64", "[64:ff9b:1::1]:443", false},
		{"6to4 of loopback", "[2002:7f00:1::]:443", false},
		{"Teredo", "[2001:0:1::1]:443", false},
		{"discard", "[100::1]:443", false},
		{"no address", "cert.example.org:443", false},
		{"public", "8.8.8.8:443", true},
		{"public v6", "[2606:4700::1111]:443", true},
		{"just outside 172.16/12", "172.32.0.1:443", true},
		{"just outside 100.64/10", "100.128.0.1:443", true},
	} {
		if err := checkDial("tcp4", k.address, nil); (err == nil) != k.ok {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if !errors.Is(checkDial("udp4", "8.8.8.8:443", nil), errForbidden) {
		t.Error("udp")
	}
}

func TestCheckX5U(t *testing.T) {
	f := FetchConfig{LabCertificateHosts: []string{"127.0.0.1:8080"}}
	for _, k := range []struct {
		url  string
		want Reason // "" is none
	}{
		{"https://a.example/c.pem", ""},
		{"https://a.example:443/c.pem", ""},
		{"https://a.example:8443/c.pem", ""},
		{"http://127.0.0.1:8080/c.pem", ""},
		{"https://127.0.0.1:8080/c.pem", ""},
		{"http://a.example/c.pem", ReasonX5UScheme},
		{"http://127.0.0.1:8081/c.pem", ReasonX5UScheme},
		{"HTTP://a.example/c.pem", ReasonX5UScheme},
		{"ftp://a.example/c.pem", ReasonX5UScheme},
		{"file:///etc/passwd", ReasonX5UScheme},
		{"data:text/plain,x", ReasonX5UForm},
		{"//a.example/c.pem", ReasonX5UScheme},
		{"https:///c.pem", ReasonX5UForm},
		{"https://a.example", ReasonX5UForm},
		{"https://a.example:444/c.pem", ReasonX5UPort},
		{"https://a.example:80/c.pem", ReasonX5UPort},
		{"https://a.example:/c.pem", ReasonX5UPort},
		{"https://u@a.example/c.pem", ReasonX5UUserinfo},
		{"https://u:p@a.example/c.pem", ReasonX5UUserinfo},
		{"https://a.example/c.pem?x=1", ReasonX5UQuery},
		{"https://a.example/c.pem?", ReasonX5UQuery},
		{"https://a.example/c.pem#x", ReasonX5UFragment},
		{"https://a.example/c.pem#", ReasonX5UFragment},
		{"https://a.example\\@b/c.pem", ReasonX5UForm},
		{"https://a b/c.pem", ReasonX5UForm},
		{"https://a.example/\r\nX: y", ReasonX5UForm},
		{"", ReasonX5UScheme},
	} {
		var got Reason
		if r := f.CheckX5U(k.url); r != nil {
			got = r.Reason
		}
		if got != k.want {
			t.Errorf("%q: have %q, want %q", k.url, got, k.want)
		}
	}
}

func TestCacheTTL(t *testing.T) {
	for _, k := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"silent", http.Header{}, DefaultCacheTTL},
		{"max-age", http.Header{"Cache-Control": {"public, max-age=300"}}, 300 * time.Second},
		{"max-age below the floor", http.Header{"Cache-Control": {"max-age=0"}}, MinCacheTTL},
		{"max-age above the ceiling", http.Header{"Cache-Control": {"max-age=99999999"}}, MaxCacheTTL},
		{"max-age malformed", http.Header{"Cache-Control": {"max-age=-1"}}, DefaultCacheTTL},
		{"no-store", http.Header{"Cache-Control": {"max-age=300, no-store"}}, MinCacheTTL},
		{"Expires", http.Header{"Expires": {"Sun, 01 Mar 2026 12:10:00 GMT"}, "Date": {"Sun, 01 Mar 2026 12:00:00 GMT"}}, 10 * time.Minute},
		{"Expires malformed", http.Header{"Expires": {"0"}}, MinCacheTTL},
		{"max-age before Expires", http.Header{"Cache-Control": {"max-age=60"}, "Expires": {"0"}}, time.Minute},
	} {
		if got := cacheTTL(k.header); got != k.want {
			t.Errorf("%s: have %s, want %s", k.name, got, k.want)
		}
	}
}

// TestReasonTable walks every reason: each has a code, a phrase for it and a
// sentence, and none but the good ones says Yes.
func TestReasonTable(t *testing.T) {
	seen := map[string]Reason{}
	for r, row := range reasons {
		good := r == ReasonValid || r == ReasonVerstatPassed
		if (row.code == 0) != good || row.sentence == "" || !good && Phrase(row.code) == "" {
			t.Errorf("%s: %+v", r, row)
		}
		if (row.tri.String() == "yes") != good {
			t.Errorf("%s says %s", r, row.tri)
		}
		if other, ok := seen[row.sentence]; ok {
			t.Errorf("%s and %s have the same sentence", r, other)
		}
		seen[row.sentence] = r
	}
}

func TestLowS(t *testing.T) {
	s := order
	s[31]-- // n-1 is the twin of 1
	lowS(s[:])
	if want := [32]byte{31: 1}; s != want {
		t.Errorf("%x", s)
	}
	lowS(s[:])
	if want := [32]byte{31: 1}; s != want {
		t.Errorf("1 became %x", s)
	}
}
