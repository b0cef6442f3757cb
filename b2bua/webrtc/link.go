package webrtc

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Port is the media of the leg that a browser takes. *rtp.Session is one.
type Port interface {
	// Aside hands over what comes to the port and is not RTP.
	Aside(func(b []byte, from netip.AddrPort, now time.Time))
	// Inject sends what is not RTP.
	Inject(b []byte, to netip.AddrPort) bool
	Negotiated(rtp.Params) error
	SSRC() uint32
}

var _ Port = (*rtp.Session)(nil)

// connectTime is how long a browser has for ICE and DTLS.
const connectTime = 15 * time.Second

// ErrClosed is the reason of a link that was closed by us.
var ErrClosed = errors.New("webrtc: closed")

// errLate says that the browser did not come in time.
var errLate = errors.New("webrtc: no connection in time")

// errGone says that the browser said goodbye.
var errGone = errors.New("webrtc: the browser has gone")

// Link is one browser on one port: from its offer until it leaves. A page that
// is loaded again makes a new one on the same port; the stream that is sent
// goes on.
type Link struct {
	port   Port
	offer  Offer
	wire   *wire
	cancel context.CancelCauseFunc
	ctx    context.Context
	up     chan struct{} // closed when media flows
	ran    sync.WaitGroup

	mu     sync.Mutex // guards everything below; no lock of the port is held when it is taken
	ice    agent
	remote netip.AddrPort
	params rtp.Params // what was negotiated; Payloads is empty before
	closed bool
}

// Open answers an offer on a port; clear Opus of an offer for a call that does
// not have it. addrs are the addresses under which browsers
// reach the port, at least one. The link ends with ctx, with Close, when the
// browser says goodbye, and when it does not come within 15 s; Close must be
// called in any case.
func Open(ctx context.Context, port Port, offer Offer, addrs []netip.AddrPort) (*Link, string, error) {
	if len(addrs) == 0 || len(offer.Codecs) == 0 {
		return nil, "", errors.New("webrtc: no address or no codec")
	}
	cert, sum, err := newCertificate()
	if err != nil {
		return nil, "", err
	}
	l := &Link{port: port, offer: offer, up: make(chan struct{})}
	l.ice = agent{ufrag: rand.Text()[:8], pwd: rand.Text(), theirs: offer.Ufrag}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.wire = newWire(l.send)
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	a := answer{offer: offer, ufrag: l.ice.ufrag, pwd: l.ice.pwd, fingerprint: sum, addrs: addrs, ssrc: port.SSRC(),
		session: binary.BigEndian.Uint64(id[:]) >> 2}
	port.Aside(l.datagram)
	l.ran.Go(func() { l.run(cert) }) // ends with l.ctx; Close waits
	return l, a.text(), nil
}

// Up is closed when the handshake is done and media flows.
func (l *Link) Up() <-chan struct{} { return l.up }

// Done is closed when the link is over; Err says why.
func (l *Link) Done() <-chan struct{} { return l.ctx.Done() }

// Err is why the link is over, nil before.
func (l *Link) Err() error { return context.Cause(l.ctx) }

// Close ends the link and returns when nothing of it runs any more. The port
// keeps what was negotiated and waits for another link. Closing twice is
// harmless.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel(ErrClosed)
	l.ran.Wait()
	_ = l.wire.Close()
}

// run makes the connection and waits for the browser's goodbye.
func (l *Link) run(cert tls.Certificate) {
	ctx, stop := context.WithTimeoutCause(l.ctx, connectTime, errLate)
	conn, keys, err := secure(ctx, l.wire, cert, l.offer.Fingerprint)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop()
	if err != nil {
		l.cancel(err)
		return
	}
	defer func() { _ = conn.Close() }()
	if err := l.begin(keys); err != nil {
		l.cancel(err)
		return
	}
	close(l.up)
	stopRead := context.AfterFunc(l.ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stopRead()
	l.cancel(goodbye(conn))
}

// goodbye reads until the connection ends. Browsers send no data on it.
func goodbye(conn *dtls.Conn) error {
	b := make([]byte, 2048)
	for {
		if _, err := conn.Read(b); err != nil {
			return errGone
		}
	}
}

// begin gives the port its keys.
func (l *Link) begin(keys *rtp.SRTP) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	p := rtp.Params{Remote: l.remote, RTCPMux: true, EventType: l.offer.Event, SRTP: keys, Digits: rtp.DigitsEvent}
	for _, c := range l.offer.Codecs {
		codec := rtp.PCMU
		if c.Name == "PCMA" {
			codec = rtp.PCMA
		}
		p.Payloads = append(p.Payloads, rtp.Payload{Type: c.PT, Codec: codec})
	}
	if l.offer.Opus != 0 {
		p.Payloads = append(p.Payloads, rtp.Payload{Type: l.offer.Opus, Codec: rtp.Opus})
	}
	if err := l.port.Negotiated(p); err != nil {
		return err
	}
	l.params = p
	return nil
}

// datagram takes what came to the port and is no RTP: STUN begins with 0 to 3,
// DTLS with 20 to 63 (RFC 7983, section 7).
func (l *Link) datagram(b []byte, from netip.AddrPort, _ time.Time) {
	if len(b) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case b[0] < 4:
		response, chosen := l.ice.check(b, from)
		if response == nil {
			return
		}
		l.port.Inject(response, from)
		if chosen || !l.remote.IsValid() {
			l.moveTo(from)
		}
	case b[0] >= 20 && b[0] < 64 && slices.Contains(l.ice.valid, from):
		l.wire.take(b)
	}
}

// moveTo sends to another address of the browser from now on. mu is held.
func (l *Link) moveTo(at netip.AddrPort) {
	if at == l.remote {
		return
	}
	l.remote = at
	if len(l.params.Payloads) > 0 {
		l.params.Remote = at
		_ = l.port.Negotiated(l.params) // the port is closed: nothing is left to move
	}
}

// send sends one DTLS record.
func (l *Link) send(b []byte) bool {
	l.mu.Lock()
	to := l.remote
	l.mu.Unlock()
	return to.IsValid() && l.port.Inject(b, to)
}
