package b2bua

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"
)

// dialTime bounds opening a connection to a trunk.
const dialTime = 5 * time.Second

// egress is the one door for requests out of a side: the stack's client hands
// every one of them to Request. It sees to it that a request goes to a trunk and
// nowhere else, whatever Contact or Record-Route the far end named, and leaves
// through our own socket.
type egress side

// Request implements sipgo.ClientTransactionRequester.
func (e *egress) Request(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	s := (*side)(e)
	leg := s.u.dialog(text(req.CallID()), req.From().Params.GetOr("tag", ""))
	if req.Method == sip.BYE && leg != nil && leg.byes.Swap(true) && !proven(req) {
		return nil, ErrEnded // one is enough, whoever of the stack sends another
	}
	if leg != nil {
		leg.shifted(req)
	}
	to, err := s.destination(leg, req)
	if err != nil {
		return nil, err
	}
	if s.ln != nil {
		if to, err = s.connect(ctx, leg, to); err != nil {
			return nil, err
		}
	} else {
		req.Laddr = sip.Addr{IP: net.IP(s.addr.Addr().AsSlice()), Port: int(s.addr.Port())}
	}
	req.SetDestination(to.String())
	req.SetTransport(sip.NetworkToUpper(s.l.Transport))
	if req.IsAck() {
		return nil, s.ua.TransportLayer().WriteMsg(req)
	}
	tx, err := s.ua.TransactionLayer().Request(ctx, req)
	if err != nil {
		return nil, err // a nil *ClientTx in the interface would not be nil
	}
	if req.IsInvite() && leg != nil {
		leg.sent(req, tx)
	}
	return tx, nil
}

func text(id *sip.CallIDHeader) string {
	if id == nil {
		return ""
	}
	return id.Value()
}

// destination chooses the address of a request: for a new INVITE what the
// placement chose; inside a dialog the route or contact if the leg's own trunk
// owns it, else where the far end's messages come from.
func (s *side) destination(leg *Leg, req *sip.Request) (netip.AddrPort, error) {
	if leg == nil {
		a, err := netip.ParseAddrPort(req.Destination())
		if err != nil || s.f.trunkOf(a.Addr(), nil) == nil && !s.f.ownedBySome(a.Addr()) {
			return netip.AddrPort{}, errEgress
		}
		return a, nil
	}
	if req.IsCancel() || req.IsInvite() && !leg.established() {
		return leg.peer, nil
	}
	if s.ln != nil && s.pooled(leg.peer) {
		return leg.peer, nil
	}
	uri := req.Recipient
	if r := req.Route(); r != nil {
		uri = r.Address
	}
	if a, err := netip.ParseAddr(trimBrackets(uri.Host)); err == nil && leg.trunk.owns(a.Unmap()) {
		port := uint16(uri.Port)
		if port == 0 {
			port = defaultPort(s.l.Transport)
		}
		return netip.AddrPortFrom(a.Unmap(), port), nil
	}
	return leg.peer, nil
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' {
		return host[1 : len(host)-1]
	}
	return host
}

// pooled reports whether the stack has a connection to a.
func (s *side) pooled(a netip.AddrPort) bool {
	c, err := s.ua.TransportLayer().GetConnection(s.l.Transport, a.String())
	if err != nil {
		return false
	}
	_, _ = c.TryClose()
	return true
}

// connect makes sure that there is a connection to to, or to another address of
// the leg's trunk when the far end's own connection is gone.
func (s *side) connect(ctx context.Context, leg *Leg, to netip.AddrPort) (netip.AddrPort, error) {
	s.dialMu.Lock()
	defer s.dialMu.Unlock()
	if s.pooled(to) {
		return to, nil
	}
	var trunk *Trunk
	if leg != nil {
		trunk = leg.trunk
		if leg.info.Direction == "inbound" && len(trunk.targets()) > 0 && to == leg.peer {
			to = s.u.healthy(trunk.targets())[0]
		}
	} else {
		for _, t := range s.trunks {
			if t.owns(to.Addr()) {
				trunk = t
				break
			}
		}
	}
	if trunk == nil {
		return to, errEgress
	}
	if s.pooled(to) {
		return to, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTime)
	defer cancel()
	var d net.Dialer
	if !s.addr.Addr().IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.addr.Addr(), 0))
	}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return to, fmt.Errorf("sip: trunk %s: %w", trunk.Name, err)
	}
	if s.l.Transport == "tls" {
		t := tls.Client(c, clientTLS(trunk.TLS, trunk.serverName(to.Addr())))
		if err := t.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return to, fmt.Errorf("sip: trunk %s: %w", trunk.Name, err)
		}
		c = t
	}
	if err := s.ln.inject(c); err != nil {
		return to, err
	}
	return to, poll(func() bool { return s.pooled(to) })
}

func clientTLS(conf *tls.Config, name string) *tls.Config {
	if conf == nil {
		conf = &tls.Config{}
	}
	conf = conf.Clone()
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	if conf.CipherSuites == nil {
		conf.CipherSuites = aeadSuites
	}
	if conf.ServerName == "" {
		conf.ServerName = name
	}
	return conf
}

var errStack = errors.New("sip: the stack did not take a connection")

// poll waits for something that the stack does on a goroutine of its own and
// tells nobody about. It takes microseconds; the bound is for a stack that stopped.
func poll(done func() bool) error {
	for wait := 20 * time.Microsecond; wait < time.Second; wait *= 2 {
		if done() {
			return nil
		}
		time.Sleep(wait)
	}
	return errStack
}
