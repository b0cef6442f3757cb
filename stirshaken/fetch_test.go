package stirshaken_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
	"github.com/ringfence/ringfence/stirshaken/stirtest"
)

// fetching is a bench whose certificates come from a loopback server.
func fetching(t testing.TB, handler http.Handler, c stirshaken.Config, tls bool) (*bench, *httptest.Server) {
	t.Helper()
	ca, err := stirtest.New(now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(opts{})
	if err != nil {
		t.Fatal(err)
	}
	if handler == nil {
		handler = ca.Handler()
	}
	srv := httptest.NewUnstartedServer(handler)
	if tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	c.Trust = ca.Trust()
	v, err := stirshaken.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return &bench{ca: ca, leaf: leaf, v: v}, srv
}

// at moves a shot's x5u.
func (s *shot) at(url string) {
	s.header = strings.Replace(s.header, x5u, url, 1)
	s.params = strings.Replace(s.params, x5u, url, 1)
}

// lab makes a verifier that may fetch from the server.
func lab(t testing.TB, b *bench, srv *httptest.Server, c stirshaken.Config) {
	t.Helper()
	c.Trust = b.ca.Trust()
	c.Fetch.LabCertificateHosts = []string{strings.TrimPrefix(strings.TrimPrefix(srv.URL, "http://"), "https://")}
	v, err := stirshaken.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	b.v = v
}

// TestNoFetchFromLoopback: an x5u that leads to loopback reaches no listener,
// under any notation.
func TestNoFetchFromLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:8443")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("port 8443, one of the two that x5u may name, is taken")
	}
	if err != nil {
		t.Fatal(err)
	}
	var reached atomic.Int32
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.NotFoundHandler(),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				reached.Add(1)
			}
		}}}
	srv.StartTLS()
	defer srv.Close()
	b, _ := fetching(t, nil, stirshaken.Config{}, false)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "127.1", "0.0.0.0", "[::1]"} {
		s := newShot(b)
		s.at("https://" + host + ":8443/c.pem")
		v := s.fire(t, b)
		if v.Code != 436 || reached.Load() != 0 {
			t.Errorf("%s: %s, reached %d times", host, v.Reason, reached.Load())
		}
	}
}

func TestFetch(t *testing.T) {
	b, _ := fetching(t, nil, stirshaken.Config{}, false)
	send := func(h func(http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { h(w) }
	}
	body := func(p []byte) http.HandlerFunc { return send(func(w http.ResponseWriter) { _, _ = w.Write(p) }) }
	stop := make(chan struct{})
	defer close(stop)
	for _, k := range []struct {
		name    string
		handler http.Handler
		want    stirshaken.Reason
	}{
		{"PEM", body(b.leaf.Bundle), stirshaken.ReasonValid},
		{"PEM with text around", body(append([]byte("a chain\n"), append(b.leaf.Bundle, "end\n"...)...)), stirshaken.ReasonValid},
		{"leaf without intermediate", body(bytes.SplitAfter(b.leaf.Bundle, []byte("-----END CERTIFICATE-----\n"))[0]), stirshaken.ReasonUntrusted},
		{"root added", body(append(append([]byte{}, b.leaf.Bundle...), b.ca.RootPEM()...)), stirshaken.ReasonValid},
		{"intermediate first", body(swap(b.leaf.Bundle)), stirshaken.ReasonLeafCA},
		{"not found", http.NotFoundHandler(), stirshaken.ReasonFetchStatus},
		{"server error", send(func(w http.ResponseWriter) { w.WriteHeader(500) }), stirshaken.ReasonFetchStatus},
		{"no content", send(func(w http.ResponseWriter) { w.WriteHeader(204) }), stirshaken.ReasonFetchStatus},
		{"redirect", http.RedirectHandler("/other.pem", 302), stirshaken.ReasonRedirect},
		{"empty", body(nil), stirshaken.ReasonBundleEmpty},
		{"a web page", body([]byte("<html>no</html>")), stirshaken.ReasonBundleSyntax},
		{"a private key", body([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")), stirshaken.ReasonBundleSyntax},
		{"broken certificate", body([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), stirshaken.ReasonBundleSyntax},
		{"eleven certificates", body(bytes.Repeat(b.ca.RootPEM(), 11)), stirshaken.ReasonBundleMany},
		{"65 KiB", body(make([]byte, 65<<10)), stirshaken.ReasonFetchSize},
		{"without an end", send(func(w http.ResponseWriter) {
			for range 100 {
				_, _ = w.Write(make([]byte, 1<<10))
				w.(http.Flusher).Flush()
			}
		}), stirshaken.ReasonFetchSize},
		{"compressed", send(func(w http.ResponseWriter) { w.Header().Set("Content-Encoding", "gzip"); _, _ = w.Write([]byte("x")) }), stirshaken.ReasonFetchCoding},
		{"silent", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}), stirshaken.ReasonFetchTimeout},
	} {
		t.Run(k.name, func(t *testing.T) {
			srv := httptest.NewServer(k.handler)
			defer srv.Close()
			lab(t, b, srv, stirshaken.Config{Fetch: stirshaken.FetchConfig{Timeout: 200 * time.Millisecond}})
			s := newShot(b)
			s.at(srv.URL + "/c.pem")
			v := s.fire(t, b)
			if v.Reason != k.want {
				t.Errorf("have %s (%s), want %s", v.Reason, v.Detail, k.want)
			}
			if v.Verified() && !v.Lab {
				t.Error("the verdict does not say that a lab host was used")
			}
			checkVerdict(t, v)
		})
	}
}

func swap(bundle []byte) []byte {
	p := bytes.SplitAfter(bundle, []byte("-----END CERTIFICATE-----\n"))
	return append(append([]byte{}, p[1]...), p[0]...)
}

// TestTLSTrustIsApart: the STI root does not vouch for https servers, and
// TLS roots not for signers.
func TestTLSTrustIsApart(t *testing.T) {
	b, srv := fetching(t, nil, stirshaken.Config{}, true)
	lab(t, b, srv, stirshaken.Config{})
	s := newShot(b)
	s.at(srv.URL + "/1234.pem")
	if v := s.fire(t, b); v.Reason != stirshaken.ReasonFetchTLS {
		t.Errorf("unknown server certificate: %s (%s)", v.Reason, v.Detail)
	}
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	lab(t, b, srv, stirshaken.Config{Fetch: stirshaken.FetchConfig{TLSRoots: pool}})
	if v := s.fire(t, b); !v.Verified() {
		t.Errorf("%s (%s)", v.Reason, v.Detail)
	}
}

// TestSingleFlight: callers with the same certificate share one fetch, its
// failure too, until it is time to ask again.
func TestSingleFlight(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	b, _ := fetching(t, nil, stirshaken.Config{}, false)
	var broken atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		if broken.Load() {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write(b.leaf.Bundle)
	}))
	defer srv.Close()
	lab(t, b, srv, stirshaken.Config{Freshness: 2 * time.Minute, Skew: 2 * time.Minute})
	fire := func(at time.Time) stirshaken.Reason {
		s := newShot(b)
		s.now = at
		s.at(srv.URL + "/c.pem")
		return s.fire(t, b).Reason
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if r := fire(now); r != stirshaken.ReasonValid {
				t.Error(r)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if fire(now.Add(59 * time.Second)); asked.Load() != 1 {
		t.Error("asked before its time")
	}
	broken.Store(true)
	if r := fire(now.Add(61 * time.Second)); r != stirshaken.ReasonFetchStatus || asked.Load() != 2 {
		t.Errorf("%s after %d", r, asked.Load())
	}
	if r := fire(now.Add(80 * time.Second)); r != stirshaken.ReasonFetchStatus || asked.Load() != 2 {
		t.Errorf("failure not remembered: %s after %d", r, asked.Load())
	}
	broken.Store(false)
	if r := fire(now.Add(95 * time.Second)); r != stirshaken.ReasonValid || asked.Load() != 3 {
		t.Errorf("%s after %d", r, asked.Load())
	}
}

// TestCallerGivesUp: a call that cannot wait does not end the fetch.
func TestCallerGivesUp(t *testing.T) {
	release := make(chan struct{})
	b, _ := fetching(t, nil, stirshaken.Config{}, false)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write(b.leaf.Bundle)
	}))
	defer srv.Close()
	lab(t, b, srv, stirshaken.Config{})
	s := newShot(b)
	s.at(srv.URL + "/c.pem")
	s.token = signToken(t, s.key, s.header, s.claims, nil)
	s.req.Identity = []string{s.token + s.params}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if v := b.v.Verify(ctx, s.req, stirshaken.Peer{}, now); v.Reason != stirshaken.ReasonDeadline {
		t.Error(v.Reason)
	}
	close(release)
	if v := b.v.Verify(context.Background(), s.req, stirshaken.Peer{}, now); !v.Verified() {
		t.Error(v.Reason)
	}
}

// TestCacheIsBounded: many x5u do not grow the cache, and none is fetched for
// a header that fails a cheap check.
func TestCacheIsBounded(t *testing.T) {
	var asked atomic.Int32
	b, _ := fetching(t, nil, stirshaken.Config{}, false)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(b.leaf.Bundle)
	}))
	defer srv.Close()
	lab(t, b, srv, stirshaken.Config{CacheEntries: 2})
	for _, path := range []string{"/a", "/b", "/c", "/c", "/b", "/a"} {
		s := newShot(b)
		s.at(srv.URL + path)
		s.fire(t, b)
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("asked %d times: a, b, c, and a again are four", n)
	}
	s := newShot(b)
	s.at(srv.URL + "/new")
	s.iat(-time.Hour)
	if s.fire(t, b); asked.Load() != 4 {
		t.Error("fetched for a stale PASSporT")
	}
}

// TestTrustListSwap: a chain in the cache is judged anew under another list.
func TestTrustListSwap(t *testing.T) {
	b := newBench(t, stirshaken.Config{}, opts{})
	if v := newShot(b).fire(t, b); !v.Verified() {
		t.Fatal(v.Reason)
	}
	b.v.SetTrust(strangers(t))
	if v := newShot(b).fire(t, b); v.Reason != stirshaken.ReasonUntrusted {
		t.Error(v.Reason)
	}
	b.v.SetTrust(b.ca.Trust())
	if v := newShot(b).fire(t, b); !v.Verified() {
		t.Error(v.Reason)
	}
}
