package stirshaken

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// FetchConfig says how certificates and revocation lists are fetched. The zero
// value fetches https from public addresses only.
type FetchConfig struct {
	// Off fetches nothing: only what Preload gave is used.
	Off bool
	// Timeout bounds a whole fetch. Zero means DefaultFetchTimeout.
	Timeout time.Duration
	// InFlight bounds the fetches under way at once. Zero means 32.
	InFlight int
	// TLSRoots are the roots for the https server's own certificate; nil means
	// the system's. They are apart from the trust list.
	TLSRoots *x509.CertPool
	// LabCertificateHosts are the host:port pairs, as written in x5u, that may
	// be fetched although their address is not public, also by http. None by
	// default. A verdict that used one is marked Lab; a caller must refuse to
	// start with it unless every listener is on loopback.
	LabCertificateHosts []string
}

// CheckX5U says whether a URL may be fetched at all (ATIS-1000074, section
// 5.3.1; RFC 8224, section 14.2): https, port 443 or 8443, no userinfo, query
// or fragment. The address behind the name is checked later, when dialled.
func (f FetchConfig) CheckX5U(raw string) *Refusal {
	_, _, r := f.parse(raw)
	return r
}

func (f FetchConfig) parse(raw string) (u *url.URL, lab bool, r *Refusal) {
	if len(raw) > MaxURIBytes || badByte(raw) >= 0 || strings.ContainsAny(raw, " \t\\") {
		return nil, false, refuse(ReasonX5UForm, "")
	}
	if strings.IndexByte(raw, '#') >= 0 {
		return nil, false, refuse(ReasonX5UFragment, "")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return nil, false, refuse(ReasonX5UForm, "")
	}
	if u.User != nil {
		return nil, false, refuse(ReasonX5UUserinfo, "")
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, false, refuse(ReasonX5UQuery, "")
	}
	for _, h := range f.LabCertificateHosts {
		lab = lab || strings.EqualFold(h, u.Host)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !lab) {
		return nil, false, refuse(ReasonX5UScheme, strconv.Quote(clip(u.Scheme)))
	}
	if u.Hostname() == "" || u.Path == "" {
		return nil, false, refuse(ReasonX5UForm, "")
	}
	if p := u.Port(); !lab && p != "" && p != "443" && p != "8443" || strings.HasSuffix(u.Host, ":") {
		return nil, false, refuse(ReasonX5UPort, strconv.Quote(clip(p)))
	}
	return u, lab, nil
}

// forbiddenNets are the prefixes that netip's own predicates leave out and
// that no certificate server may stand in (IANA special-purpose registries).
var forbiddenNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),   // shared address space
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("::/96"),           // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4, which carries an IPv4 address
	netip.MustParsePrefix("3fff::/20"),       // documentation
	netip.MustParsePrefix("5f00::/16"),       // segment routing
	netip.MustParsePrefix("fec0::/10"),       // site-local
}

// public reports whether an address may be dialled for a certificate: global
// unicast and in no special-purpose block. The metadata services of clouds
// (169.254.169.254, fd00:ec2::254) are link-local or private.
func public(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range forbiddenNets {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

var errForbidden = errors.New("forbidden address")

// fetcher gets bytes over https under the guards of FetchConfig. The address
// is checked in the dialler's Control, on the IP that is dialled, so that no
// name, number notation or second answer of a resolver gets round it.
type fetcher struct {
	config FetchConfig
	open   *http.Client // public addresses only
	lab    *http.Client
	slots  chan struct{}
}

func newFetcher(c FetchConfig) (*fetcher, error) {
	if c.Timeout < 0 || c.InFlight < 0 {
		return nil, errors.New("stirshaken: negative fetch bound")
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultFetchTimeout
	}
	if c.InFlight == 0 {
		c.InFlight = 32
	}
	for _, h := range c.LabCertificateHosts {
		if host, port, err := net.SplitHostPort(h); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("stirshaken: lab certificate host %q: want host:port", h)
		}
	}
	f := &fetcher{config: c, slots: make(chan struct{}, c.InFlight)}
	f.open = f.client(checkDial)
	f.lab = f.client(nil)
	return f, nil
}

// checkDial refuses addresses that are not public.
func checkDial(network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") || !public(ap.Addr()) {
		return errForbidden
	}
	return nil
}

func (f *fetcher) client(control func(string, string, syscall.RawConn) error) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            (&net.Dialer{Timeout: f.config.Timeout, Control: control}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.config.TLSRoots},
			TLSHandshakeTimeout:    f.config.Timeout,
			DisableCompression:     true,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 16 << 10,
			ForceAttemptHTTP2:      false,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Client is an HTTP client under the same guards as certificate fetches: https
// to public addresses checked when dialled, lab hosts as listed, no proxy, no
// redirects, a bounded time. The caller bounds the body and calls CheckX5U, or
// checks its own URL, first.
func (f FetchConfig) Client() (*http.Client, error) {
	g, err := newFetcher(f)
	if err != nil {
		return nil, err
	}
	c := g.client(checkDial)
	t := c.Transport.(*http.Transport)
	guarded, open := t.DialContext, (&net.Dialer{Timeout: g.config.Timeout}).DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		for _, h := range f.LabCertificateHosts {
			if strings.EqualFold(h, address) {
				return open(ctx, network, address)
			}
		}
		return guarded(ctx, network, address)
	}
	c.Timeout = g.config.Timeout
	return c, nil
}

// fetched is an answer and how long it may be used.
type fetched struct {
	body []byte
	ttl  time.Duration
	lab  bool
}

// get fetches raw. accept is the Accept header; most bounds the body.
func (f *fetcher) get(ctx context.Context, raw, accept string, most int) (fetched, *Refusal) {
	u, lab, r := f.config.parse(raw)
	if r != nil {
		return fetched{}, r
	}
	if f.config.Off {
		return fetched{}, refuse(ReasonFetchOff, "")
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return fetched{}, refuse(ReasonFetchBusy, "")
	}
	ctx, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fetched{}, refuse(ReasonX5UForm, "")
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "ringfence-stirshaken")
	client := f.open
	if lab {
		client = f.lab
	}
	resp, err := client.Do(req)
	if err != nil {
		return fetched{}, fetchRefusal(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fetched{}, refuse(ReasonRedirect, strconv.Itoa(resp.StatusCode))
	case resp.StatusCode != http.StatusOK:
		return fetched{}, refuse(ReasonFetchStatus, strconv.Itoa(resp.StatusCode))
	case resp.Header.Get("Content-Encoding") != "" && !strings.EqualFold(resp.Header.Get("Content-Encoding"), "identity"):
		return fetched{}, refuse(ReasonFetchCoding, strconv.Quote(clip(resp.Header.Get("Content-Encoding"))))
	case resp.ContentLength > int64(most):
		return fetched{}, refuse(ReasonFetchSize, strconv.FormatInt(resp.ContentLength, 10)+" bytes announced")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	if err != nil {
		return fetched{}, fetchRefusal(err)
	}
	if len(body) > most {
		return fetched{}, refuse(ReasonFetchSize, "more than "+strconv.Itoa(most)+" bytes")
	}
	return fetched{body: body, ttl: cacheTTL(resp.Header), lab: lab}, nil
}

func fetchRefusal(err error) *Refusal {
	var dns *net.DNSError
	var op *net.OpError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.Is(err, errForbidden):
		return refuse(ReasonForbidden, "")
	case errors.As(err, &timeout) && timeout.Timeout():
		return refuse(ReasonFetchTimeout, "")
	case errors.As(err, &dns):
		return refuse(ReasonFetchName, "")
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return refuse(ReasonFetchTLS, "")
	case errors.As(err, &op) && op.Op == "dial":
		return refuse(ReasonFetchConnect, "")
	default:
		return refuse(ReasonFetchFailed, clip(err.Error()))
	}
}

// cacheTTL reads Cache-Control and Expires (RFC 9111, sections 4.2 and 5.2),
// within MinCacheTTL and MaxCacheTTL.
func cacheTTL(h http.Header) time.Duration {
	ttl, said := DefaultCacheTTL, false
	for _, d := range strings.Split(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
		switch name {
		case "no-store", "no-cache":
			return MinCacheTTL
		case "max-age":
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				ttl, said = time.Duration(n)*time.Second, true
			}
		}
	}
	if e := h.Get("Expires"); e != "" && !said {
		ttl = 0
		expires, err1 := http.ParseTime(e)
		date, err2 := http.ParseTime(h.Get("Date"))
		if err1 == nil && err2 == nil {
			ttl = expires.Sub(date)
		}
	}
	return min(max(ttl, MinCacheTTL), MaxCacheTTL)
}
