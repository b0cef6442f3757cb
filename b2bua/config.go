package b2bua

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/b2bua/sdp"
	"github.com/ringfence/ringfence/b2bua/trace"
)

// Config is everything a UA is made of. The zero value takes and places no
// call: it has no listener and no trunk.
type Config struct {
	// Name is the user part of our Contact and the Server header. Empty means
	// "ringfence".
	Name      string
	Listeners []Listener
	Trunks    []Trunk
	// Media says where RTP is received; see rtp.Config. Its zero value binds
	// the address of each leg's listener.
	Media  rtp.Config
	Limits Limits
	// Strangers says what a message owes that comes from no trunk.
	Strangers Strangers
	// Banned is told which stranger is ignored from now on, so that other nodes
	// can ignore it too (Ban); nil = nobody. It may not wait.
	Banned func(source netip.Addr, until time.Time)
	// Book remembers messages and quality of the legs; nil = nobody does. Watch
	// is shown every message that passes, as it is, and Measured the counters of
	// each leg at its end (with a Book only); nil = nobody. Neither may wait.
	Book     *trace.Book
	Watch    func(trace.Message)
	Measured func(trace.Totals)
	// BrowserAddrs are the addresses under which browsers reach our media when
	// they differ from the bound one, as behind NAT. They are told beside it.
	BrowserAddrs []netip.Addr
	// DSCP marks the signalling that leaves. Zero means 24, negative none; media
	// has its own mark.
	DSCP int
	// Tenant says whose call one to called over a trunk is, and how many of its
	// callers there may be at once; more are told that it is busy. Zero means no
	// cap, an empty tenant nobody's call. Nil means that there are no tenants. It
	// must not block.
	Tenant func(trunk, called string) (tenant ringfence.TenantID, most int)
	// Emergency are the numbers that Phones may call at any time, digits only.
	Emergency []string
	// CDR is given the record of each leg when it is over. Nil means nobody is.
	// It must not block.
	CDR func(CDR)
	// Late tells how long what a call needs of others in this process waits at
	// present, as for a commit. When it is long, fewer calls are set up at once.
	// Nil means nobody knows. It must not block.
	Late func() time.Duration
	// Resolver answers for trunks that are named by Host alone. Nil means
	// SystemDNS.
	Resolver Resolver
}

// Strangers is the treatment of sources that are no trunk.
type Strangers string

// The treatments. Either way a stranger reaches nothing.
const (
	StrangersRefuse Strangers = ""     // 403, a few a second for each source
	StrangersDrop   Strangers = "drop" // silence
)

// Listener is one local address with one protocol. Each has its own SIP stack,
// so that an answer leaves by the address its call came to.
type Listener struct {
	Name      string
	Transport string // udp, tcp or tls
	Addr      string // IP address and port; port 0 takes a free one
	// External is the host and port that peers see, when it is not Addr: behind
	// NAT. It stands in Contact, Via and, its host, in SDP. It must be an
	// IP address, optionally with a port; no port means the bound one.
	External string
	// TLS is required with tls and refused without. The minimum version is
	// raised to 1.2. Its certificate functions are called for each handshake, so
	// certificates can be renewed without a restart.
	TLS *tls.Config
	// Trunks names the trunks that may use this listener. Empty means all that
	// have its transport.
	Trunks []string
}

// Trunk is a configured peer.
type Trunk struct {
	Name string
	// Addrs are where its calls are placed to: IP address, optionally with
	// port, tried in order. Empty, with Host set, means those that DNS names
	// (RFC 3263).
	Addrs     []string
	Transport string // udp, tcp or tls; empty means udp
	// Host is the trunk's SIP domain: it stands in the Request-URI, in From and
	// in To of what we send there, and over TLS the peer's certificate must
	// carry it unless TLS says another name. Empty means IP addresses. It is a
	// host name, optionally with a port, by which no SRV record is asked for.
	Host string
	// Proxy says that Addrs are an outbound proxy: what opens a dialog there
	// carries it as its route (RFC 3261, section 8.1.2).
	Proxy bool
	// Sources are the networks its messages may come from, beside Addrs. A
	// SIP URI inside them may be placed to.
	Sources []netip.Prefix
	// Username and Password answer digest challenges (RFC 3261, section 22)
	// of Realm and of no other. A password without a realm is an error.
	Username, Password string
	Realm              string
	// Register, if set, keeps a binding at the trunk's registrar.
	Register *Register
	// TLS is the client configuration towards Addrs; nil means the system's
	// roots. ServerName empty means the address itself.
	TLS *tls.Config
	// PeerName, if set, is a DNS name that the peer's verified client
	// certificate must carry before anything it sends over TLS is read.
	PeerName string
	// TrustIdentity says that what the trunk asserts about a caller
	// (P-Asserted-Identity, verstat) may be believed.
	TrustIdentity bool
	SRTP          string   // required, optional or off; empty means required with tls, else off
	Codecs        []string // PCMU, PCMA, G722, and opus beside one of them, best first; empty means the first two
	// From is the number or user part shown when a placement names none.
	From string
	// ConnectedAs are numbers that the trunk writes into answers as that of whoever
	// answers, beside From: they say nothing about who did.
	ConnectedAs []string
	// Outbound allows placing calls through this trunk.
	Outbound bool
	// Calls caps the calls in progress with this trunk, both directions. Zero
	// means the cap of all.
	Calls int
	// Kept is how many of Calls are kept for legs that calls in progress wait for,
	// as call-backs, where the trunk is Outbound. Zero means a tenth, at least one
	// of four or more; negative means none.
	Kept int
	// CallsPerSource caps the calls in progress that came from one address of the
	// trunk, of IPv6 from one /64. Zero means no cap of its own.
	CallsPerSource int
	// Bare sends numbers without the leading plus.
	Bare bool
	// Ping is how often each of Addrs is asked with OPTIONS whether it takes
	// calls; those that do not answer, or with 503, are tried last. Zero means
	// never; less than 1 s is an error.
	Ping time.Duration

	// Phones says that the trunk is one of our own phones: an INVITE to an
	// emergency number is taken whatever the caps say.
	Phones bool
	// DelayedOffer leaves the description out of our INVITE; the peer's answer
	// has the offer and our ACK the answer (RFC 3264, section 4).
	DelayedOffer bool

	addrs []netip.AddrPort // of Addrs
	named *located         // of Host, when Addrs is empty; else nil
}

// Limits are the bounds on what the outside may ask for. Zeros mean the
// defaults written beside them.
type Limits struct {
	Calls         int           // calls in progress, both directions: 1000
	Reserve       int           // legs past Calls that calls in progress wait for, half of it for recorders: a tenth of Calls, at least 8
	CallRate      int           // new calls a second that come in, past which they get 503: no bound
	Setups        int           // calls being set up at once, past which new ones get 503; fewer while the process is late: 400
	TrunkRate     int           // messages a second from one trunk address: 2000, or 20 for each of CallRate if that is more
	StrangerRate  int           // answers a second to one stranger: 5
	Connections   int           // open stream connections: 1000
	PerSource     int           // open stream connections of one address: 20
	HeaderTime    time.Duration // from a message's first byte to its last: 5 s
	HandshakeTime time.Duration // of TLS: 10 s
	Idle          time.Duration // of a connection without a call: 60 s
	CallTime      time.Duration // greatest duration of a leg: 4 h
	RetryAfter    time.Duration // told with 503: 10 s
	Session       time.Duration // session interval that we propose (RFC 4028): 30 min
	MinSession    time.Duration // the least that is taken: 90 s
}

func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	dur := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.Calls, 1000)
	set(&l.Reserve, max(8, l.Calls/10))
	set(&l.Setups, 400)
	// A bridged call is six messages of one address, twice that with provisional
	// answers and copies; below that a trunk's burst would meet silence, not 503.
	set(&l.TrunkRate, max(2000, 20*l.CallRate))
	set(&l.StrangerRate, 5)
	set(&l.Connections, 1000)
	set(&l.PerSource, 20)
	dur(&l.HeaderTime, 5*time.Second)
	dur(&l.HandshakeTime, 10*time.Second)
	dur(&l.Idle, time.Minute)
	dur(&l.CallTime, 4*time.Hour)
	dur(&l.RetryAfter, 10*time.Second)
	dur(&l.Session, 30*time.Minute)
	dur(&l.MinSession, 90*time.Second)
	return l
}

var transports = []string{"udp", "tcp", "tls"}

// defaultPort is the port of a SIP address that states none (RFC 3261,
// section 19.1.2).
func defaultPort(transport string) uint16 {
	if transport == "tls" {
		return 5061
	}
	return 5060
}

// check judges c and returns a copy with every default filled in. Its errors
// are one line that says what to change.
func (c Config) check() (Config, error) {
	if c.Name == "" {
		c.Name = "ringfence"
	}
	if !isToken(c.Name) {
		return c, fmt.Errorf("sip: name %q: use letters, digits, dots and dashes", c.Name)
	}
	if c.Strangers != StrangersRefuse && c.Strangers != StrangersDrop {
		return c, fmt.Errorf("sip: strangers %q: use drop, or leave it empty to refuse them", c.Strangers)
	}
	if len(c.Listeners) == 0 {
		return c, errors.New("sip: no listener: add one to sip.listeners")
	}
	c.Limits = c.Limits.withDefaults()
	if c.DSCP == 0 {
		c.DSCP = 24 // class selector 3 (RFC 4594, section 3.2: signalling)
	}
	if c.Resolver == nil {
		c.Resolver = SystemDNS{}
	}
	c.Trunks = slices.Clone(c.Trunks)
	names := map[string]bool{}
	for i := range c.Trunks {
		t := &c.Trunks[i]
		if t.Name == "" || names[t.Name] {
			return c, fmt.Errorf("sip: trunk %d: give it a name of its own", i+1)
		}
		names[t.Name] = true
		if err := t.check(); err != nil {
			return c, fmt.Errorf("sip: trunk %s: %v", t.Name, err)
		}
	}
	c.Listeners = slices.Clone(c.Listeners)
	seen := map[string]bool{}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.Name == "" {
			l.Name = l.Transport + " " + l.Addr
		}
		if seen[l.Name] {
			return c, fmt.Errorf("sip: two listeners are called %q", l.Name)
		}
		seen[l.Name] = true
		if err := l.check(); err != nil {
			return c, fmt.Errorf("sip: listener %s: %v", l.Name, err)
		}
		for _, t := range l.Trunks {
			if !names[t] {
				return c, fmt.Errorf("sip: listener %s: no trunk is called %q", l.Name, t)
			}
		}
	}
	for i := range c.Trunks {
		if t := &c.Trunks[i]; t.named != nil {
			t.named.local = t.named.host == "localhost" || c.onlyLocal(t)
		}
	}
	return c, nil
}

// onlyLocal reports whether a trunk is reached by listeners on loopback alone.
func (c *Config) onlyLocal(t *Trunk) bool {
	return !slices.ContainsFunc(c.Listeners, func(l Listener) bool {
		serves := l.Transport == t.Transport && (len(l.Trunks) == 0 || slices.Contains(l.Trunks, t.Name))
		return serves && !netip.MustParseAddrPort(l.Addr).Addr().IsLoopback()
	})
}

func (l *Listener) check() error {
	if !slices.Contains(transports, l.Transport) {
		return fmt.Errorf("transport %q: use udp, tcp or tls", l.Transport)
	}
	a, err := netip.ParseAddrPort(l.Addr)
	if err != nil {
		return fmt.Errorf("address %q: write an IP address and a port, such as 192.0.2.1:5060", l.Addr)
	}
	if a.Addr().IsMulticast() {
		return errors.New("address is multicast")
	}
	if (l.Transport == "tls") != (l.TLS != nil) {
		return errors.New("a tls listener needs a certificate, and only a tls listener has one")
	}
	if l.External == "" && a.Addr().IsUnspecified() {
		return errors.New("listens on every address: set external to the address that peers see")
	}
	if l.External != "" {
		if _, err := addrPort(l.External, 0); err != nil {
			return fmt.Errorf("external %q: write an IP address, optionally with a port", l.External)
		}
	}
	return nil
}

func (t *Trunk) check() error {
	if t.Transport == "" {
		t.Transport = "udp"
	}
	if !slices.Contains(transports, t.Transport) {
		return fmt.Errorf("transport %q: use udp, tcp or tls", t.Transport)
	}
	switch t.SRTP {
	case "":
		t.SRTP = "off"
		if t.Transport == "tls" {
			t.SRTP = "required"
		}
	case string(sdp.SRTPRequired), string(sdp.SRTPOptional), string(sdp.SRTPOff):
	default:
		return fmt.Errorf("srtp %q: use required, optional or off", t.SRTP)
	}
	if t.PeerName != "" && t.Transport != "tls" {
		return errors.New("peer name without tls: only a certificate carries a name")
	}
	if len(t.Addrs) == 0 && len(t.Sources) == 0 && t.Host == "" {
		return errors.New("no address and no source network: it could neither call nor be called")
	}
	for _, s := range t.Addrs {
		a, err := addrPort(s, defaultPort(t.Transport))
		if err != nil {
			return fmt.Errorf("address %q: write an IP address, optionally with a port", s)
		}
		t.addrs = append(t.addrs, a)
	}
	for _, p := range t.Sources {
		if !p.IsValid() {
			return errors.New("a source network is not valid")
		}
	}
	if err := checkCodecs(t.Codecs); err != nil {
		return err
	}
	if t.Ping != 0 && t.Ping < time.Second {
		return fmt.Errorf("ping every %v: use 1s or more, or 0 for never", t.Ping)
	}
	if t.From != "" && !isUser(t.From) {
		return fmt.Errorf("from %q: use digits, or letters, dots and dashes", t.From)
	}
	if err := t.checkCaps(); err != nil {
		return err
	}
	return t.checkPeer()
}

// owns reports whether messages from a are this trunk's.
func (t *Trunk) owns(a netip.Addr) bool {
	for _, p := range t.targets() {
		if p.Addr() == a {
			return true
		}
	}
	for _, p := range t.Sources {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// addrPort reads an IP address with or without a port.
func addrPort(s string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port), nil
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), err
}

// isUser allows what may stand unescaped before the @ of our own URIs.
func isUser(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_.*#") == ""
}
