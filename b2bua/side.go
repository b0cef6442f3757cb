package b2bua

import (
	"context"
	"crypto/tls"
	"errors"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/emiago/diago"
	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// side is one listener with the SIP stack behind it.
type side struct {
	u       *UA
	l       Listener
	addr    netip.AddrPort // bound
	ext     netip.AddrPort // as peers see it
	trunks  []*Trunk
	f       *fence
	pc      *packetConn     // UDP
	ln      *streamListener // TCP and TLS
	ua      *sipgo.UserAgent
	dg      *diago.Diago    // of dialogs that we begin
	dialogs *sipgo.DialogUA // of those that come
	dialMu  sync.Mutex
}

// transportID is the only diago transport of a side.
const transportID = "side"

// open binds l and starts its stack.
func (u *UA) open(l Listener) (*side, error) {
	s := &side{u: u, l: l}
	for i := range u.cfg.Trunks {
		t := &u.cfg.Trunks[i]
		if t.Transport == l.Transport && (len(l.Trunks) == 0 || slices.Contains(l.Trunks, t.Name)) {
			s.trunks = append(s.trunks, t)
		}
	}
	s.f = &fence{limits: u.cfg.Limits, strangers: u.cfg.Strangers, transport: l.Transport, trunks: s.trunks, rates: &u.rates, strange: &u.strange,
		seed: maphash.MakeSeed(), wire: s.wire(), gate: u, sentBy: func() (string, uint16) { return bracketed(s.ext.Addr()), s.ext.Port() }}
	at := netip.MustParseAddrPort(l.Addr)
	switch l.Transport {
	case "udp":
		c, err := net.ListenUDP("udp"+family(at), net.UDPAddrFromAddrPort(at))
		if err != nil {
			return nil, err
		}
		_ = c.SetReadBuffer(4 << 20)
		mark(c, at.Addr(), u.cfg.DSCP)
		s.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
		s.pc = &packetConn{UDPConn: c, f: s.f}
	default:
		ln, err := net.ListenTCP("tcp"+family(at), net.TCPAddrFromAddrPort(at))
		if err != nil {
			return nil, err
		}
		s.addr = ln.Addr().(*net.TCPAddr).AddrPort()
		s.ln = newStreamListener(ln, s.f, serverTLS(l.TLS), connOwner{busy: u.busy, gone: u.unbound, dscp: u.cfg.DSCP})
	}
	s.addr = netip.AddrPortFrom(s.addr.Addr().Unmap(), s.addr.Port())
	s.ext = s.addr
	if l.External != "" {
		s.ext, _ = addrPort(l.External, s.addr.Port())
	}
	if err := s.start(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// family is what net wants after udp or tcp, so that a wildcard is of one family.
func family(a netip.AddrPort) string {
	if a.Addr().Unmap().Is4() {
		return "4"
	}
	return "6"
}

// serverTLS raises conf to what we accept: TLS 1.2 with AEAD suites.
func serverTLS(conf *tls.Config) *tls.Config {
	if conf == nil {
		return nil
	}
	conf = conf.Clone()
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	if conf.CipherSuites == nil {
		conf.CipherSuites = aeadSuites
	}
	return conf
}

var aeadSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

var errNoDial = errors.New("sip: the stack may not open sockets of its own")

// start builds the stack on the bound socket and serves it.
func (s *side) start() error {
	// The stack must never dial or resolve: what it opened would stand outside
	// the fence.
	dialer := func(net.Addr) net.Dialer {
		return net.Dialer{Control: func(string, string, syscall.RawConn) error { return errNoDial }}
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errNoDial }}
	ua, err := sipgo.NewUA(
		sipgo.WithUserAgent(s.u.cfg.Name),
		sipgo.WithUserAgentHostname(s.ext.Addr().String()),
		sipgo.WithUserAgentDNSResolver(resolver),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerTerminateOnConnClose(),
			sip.WithTransactionLayerUnhandledResponseHandler(s.stray)),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerTransports(sip.TransportsConfig{
			TCP: &sip.TransportTCP{DialerCreate: dialer},
			TLS: &sip.TransportTLS{TransportTCP: &sip.TransportTCP{DialerCreate: dialer}},
		})))
	if err != nil {
		return err
	}
	s.ua = ua
	srv, err := sipgo.NewServer(ua)
	if err != nil {
		return err
	}
	client, err := sipgo.NewClient(ua, sipgo.WithClientNAT(), sipgo.WithClientHostname(s.ext.Addr().String()),
		sipgo.WithClientPort(int(s.ext.Port())))
	if err != nil {
		return err
	}
	client.TxRequester = (*egress)(s)
	s.dg = diago.NewDiago(ua, diago.WithServer(srv), diago.WithClient(client),
		diago.WithServerRequestMiddleware(s.middleware),
		diago.WithTransport(diago.Transport{ID: transportID, Transport: s.l.Transport, BindHost: s.addr.Addr().String(),
			BindPort: int(s.addr.Port()), ExternalHost: s.ext.Addr().String(), ExternalPort: int(s.ext.Port()), RewriteContact: true}))
	s.dialogs = &sipgo.DialogUA{Client: client, ContactHDR: *s.contact(), RewriteContact: true}
	ours := s.middleware(nil)
	srv.OnInvite(ours) // diago's handler returns, and hangs up, with the call only
	srv.OnUpdate(ours)
	srv.OnNoRoute(ours)
	if s.pc != nil {
		s.u.goOwned("udp listener", func() { _ = srv.ServeUDP(s.pc) })
		return s.awaitPool()
	}
	serve := srv.ServeTCP
	if s.l.Transport == "tls" {
		serve = srv.ServeTLS
	}
	s.u.goOwned("stream listener", func() { _ = serve(s.ln) })
	return nil
}

// awaitPool waits until the stack knows its own socket, without which the first
// request out would open another.
func (s *side) awaitPool() error {
	return poll(func() bool {
		c, err := s.ua.TransportLayer().GetConnection("udp", s.addr.String())
		if err == nil {
			_, _ = c.TryClose()
		}
		return err == nil
	})
}

// close ends the stack and its sockets.
func (s *side) close() {
	if s.ua != nil {
		s.ua.TransactionLayer().Close()
	}
	if s.pc != nil {
		_ = s.pc.Close()
	}
	if s.ln != nil {
		_ = s.ln.Close()
	}
	if s.ua != nil {
		_ = s.ua.Close()
	}
}

// trunkOf returns the trunk that a message from source belongs to.
func (s *side) trunkOf(source netip.AddrPort) *Trunk {
	if s.ln != nil {
		if t := s.ln.trunkOf(source); t != nil {
			return t
		}
	}
	return s.f.trunkOf(source.Addr(), nil)
}

// uri is one of our own, as Contact or From has it.
func (s *side) uri(user string) sip.Uri {
	u := sip.Uri{Scheme: "sip", User: user, Host: s.ext.Addr().String(), Port: int(s.ext.Port())}
	if s.l.Transport != "udp" {
		u.UriParams = sip.NewParams()
		u.UriParams.Add("transport", s.l.Transport)
	}
	return u
}

// contact is our Contact header field.
func (s *side) contact() *sip.ContactHeader {
	return &sip.ContactHeader{Address: s.uri(s.u.cfg.Name)}
}

// source reads the address that the stack noted for a message.
func source(req *sip.Request) netip.AddrPort {
	a, _ := netip.ParseAddrPort(req.Source())
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// values returns every value of a header field.
func values(m interface{ GetHeaders(string) []sip.Header }, name string) []string {
	var out []string
	for _, h := range m.GetHeaders(name) {
		out = append(out, h.Value())
	}
	return out
}

func value(m interface{ GetHeaders(string) []sip.Header }, name string) string {
	if v := values(m, name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// hasToken reports whether a comma-separated field lists token.
func hasToken(m interface{ GetHeaders(string) []sip.Header }, name, token string) bool {
	for _, v := range values(m, name) {
		for _, t := range strings.Split(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
