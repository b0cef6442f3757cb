package b2bua

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Register is a binding that we keep at a trunk's registrar (RFC 3261, section
// 10), so that calls come to us without an address of ours being configured
// there.
type Register struct {
	// User is the user part of our address of record and of our Contact. Empty
	// means the trunk's user name. A call to it is one to the number that its
	// To field names: the registrar has replaced the Request-URI.
	User string
	// Expires is how long a binding is asked for; the registrar's answer wins.
	// Zero means 1 h; less than 60 s is an error.
	Expires time.Duration
	// Retry is the pause after the first failure; it doubles with each that
	// follows, up to half an hour (RFC 5626, section 4.5). Zero means 30 s.
	Retry time.Duration
}

// Bounds on a binding.
const (
	defaultExpires = time.Hour
	leastExpires   = time.Minute
	defaultRetry   = 30 * time.Second
	longestRetry   = 30 * time.Minute
)

// checkPeer judges what says who the peer is and who we are to it.
func (t *Trunk) checkPeer() error {
	if t.Password != "" && t.Realm == "" {
		return errors.New("password without realm: set realm to what the peer's challenges name, so that nobody else is answered")
	}
	if t.Host != "" {
		host, port, err := splitHost(t.Host)
		if err != nil {
			return fmt.Errorf("host %q: write a domain name, optionally with a port", t.Host)
		}
		if len(t.Addrs) == 0 {
			if t.TrustIdentity && t.Transport != "tls" {
				return errors.New("trust_identity with addresses from DNS needs tls: without a certificate whoever answers DNS could assert callers")
			}
			t.named = &located{host: host, port: port, transport: t.Transport}
		}
	}
	if t.Proxy && (len(t.Addrs) == 0 || t.Host == "") {
		return errors.New("proxy: set addrs to the proxy's addresses and host to the domain behind it")
	}
	return t.checkRegister()
}

func (t *Trunk) checkRegister() error {
	if t.Register == nil {
		return nil
	}
	r := *t.Register
	t.Register = &r
	if r.User == "" {
		r.User = t.Username
	}
	if r.Expires == 0 {
		r.Expires = defaultExpires
	}
	if r.Retry == 0 {
		r.Retry = defaultRetry
	}
	*t.Register = r
	switch {
	case !isUser(r.User):
		return fmt.Errorf("register: user %q: use digits, or letters, dots and dashes", r.User)
	case r.Expires < leastExpires:
		return fmt.Errorf("register: expires %v: use %v or more", r.Expires, leastExpires)
	case r.Retry < 0 || r.Retry > longestRetry:
		return fmt.Errorf("register: retry after %v: use at most %v", r.Retry, longestRetry)
	case len(t.Addrs) == 0 && t.Host == "":
		return errors.New("register: no registrar: set host, or addrs")
	}
	return nil
}

// splitHost reads a domain name with or without a port; 0 is none.
func splitHost(s string) (host string, port uint16, err error) {
	host = s
	if h, p, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, errBadHost
		}
		host, port = h, uint16(n)
	}
	if !isHostName(host) {
		return "", 0, errBadHost
	}
	return strings.ToLower(strings.TrimSuffix(host, ".")), port, nil
}

var errBadHost = errors.New("sip: not a domain name")

// isHostName is hostname of RFC 3261, section 25.1, without addresses.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// targets are the addresses of the trunk, best first.
func (t *Trunk) targets() []netip.AddrPort {
	if t.named != nil {
		return t.named.addrs()
	}
	return t.addrs
}

// serverName is what the peer's certificate must carry (RFC 5922, section 4): the
// domain, never a name that came out of DNS.
func (t *Trunk) serverName(at netip.Addr) string {
	if t.Host != "" {
		host, _, _ := splitHost(t.Host)
		return host
	}
	return at.String()
}

// host is what stands behind the @ of the trunk's addresses, and its port or 0.
func (t *Trunk) host(at netip.AddrPort) (string, int) {
	if t.Host != "" {
		host, port, _ := splitHost(t.Host)
		return host, int(port)
	}
	return at.Addr().String(), int(at.Port())
}
