// Package peer is a small telephone on the same wall as the gateway: a caller, a
// carrier, a person's phone, an agent's phone. The demo, ringfence call, the
// drills and the tests use it, so that what they show is real SIP and RTP.
//
//   - A Peer is an address with a phone behind it. It calls (Call) and is called
//     (Serve).
//   - A Call is one dialog, either way: Say, Press, Audio, Hangup.
//
// It is no part of the gateway and verifies nothing; it says what it is told to,
// a forged number included. It serves and calls addresses on Networks only,
// which is loopback unless set.
package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// Config describes a phone.
type Config struct {
	Name      string // user part of its Contact; empty means "peer"
	Addr      string // IP address and port; empty means 127.0.0.1:0
	Transport string // udp, tcp or tls; empty means udp
	// TLS is our certificate with tls; Client is how the far end's is checked.
	TLS, Client *tls.Config
	// Networks are who may call and be called; empty means loopback.
	Networks []netip.Prefix
	SRTP     string   // required, optional or off; empty means off
	Codecs   []string // PCMU, PCMA, G722; empty means the first two, PCMU first
	// Username and Password answer a digest challenge of Realm.
	Username, Password, Realm string
	Log                       *slog.Logger // nil means none
}

// Peer is a phone. Close waits for its calls.
type Peer struct {
	ua   *b2bua.UA
	addr netip.AddrPort
	cfg  Config
	wg   sync.WaitGroup // readers of calls

	mu     sync.Mutex // guards answer
	answer func(context.Context, *Call)
}

const listener, trunk = "phone", "line"

// New opens a phone. It refuses calls with 480 until Serve.
func New(cfg Config) (*Peer, error) {
	if cfg.Name == "" {
		cfg.Name = "peer"
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Transport == "" {
		cfg.Transport = "udp"
	}
	if cfg.SRTP == "" {
		cfg.SRTP = "off"
	}
	if len(cfg.Networks) == 0 {
		cfg.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	p := &Peer{cfg: cfg}
	ua, err := b2bua.New(b2bua.Config{
		Name:      cfg.Name,
		Listeners: []b2bua.Listener{{Name: listener, Transport: cfg.Transport, Addr: cfg.Addr, TLS: cfg.TLS}},
		Trunks: []b2bua.Trunk{{Name: trunk, Transport: cfg.Transport, Sources: cfg.Networks, SRTP: cfg.SRTP, Codecs: cfg.Codecs,
			Username: cfg.Username, Password: cfg.Password, Realm: cfg.Realm, TLS: cfg.Client, Outbound: true}},
		Media:  rtp.Config{PortMin: 30000, PortMax: 49999},
		Limits: b2bua.Limits{PerSource: 1000, TrunkRate: 100000},
	}, b2bua.HandlerFunc(p.handle), cfg.Log)
	if err != nil {
		return nil, err
	}
	if err := ua.Start(context.Background()); err != nil {
		return nil, err
	}
	p.ua, p.addr = ua, ua.Addrs()[listener]
	return p, nil
}

// Addr is where the phone listens.
func (p *Peer) Addr() netip.AddrPort { return p.addr }

// URI is the phone's SIP URI with a user part of the caller's choice.
func (p *Peer) URI(user string) string {
	uri := fmt.Sprintf("sip:%s@%s", user, p.addr)
	if p.cfg.Transport != "udp" {
		uri += ";transport=" + p.cfg.Transport
	}
	return uri
}

// Close hangs up and returns when nothing of the phone runs any more.
func (p *Peer) Close() error {
	err := p.ua.Close()
	p.wg.Wait()
	return err
}

// Serve takes calls with f from now on, each on a goroutine of its own. The call
// is hung up when f returns; ctx ends when the call does.
func (p *Peer) Serve(f func(ctx context.Context, c *Call)) {
	p.mu.Lock()
	p.answer = f
	p.mu.Unlock()
}

func (p *Peer) handle(ctx context.Context, leg *b2bua.Leg) {
	p.mu.Lock()
	f := p.answer
	p.mu.Unlock()
	if f == nil {
		_ = leg.Refuse(ctx, 480, "Temporarily Unavailable")
		return
	}
	c := p.newCall(leg)
	defer c.wait()
	defer c.Hangup()
	f(ctx, c)
}

// Invite is what a caller sends.
type Invite struct {
	To       string // SIP URI with an IP address
	FromTN   string // the number shown; anything goes
	Name     string // display name
	PAI      string // P-Asserted-Identity value, or empty
	Identity []string
	Date     string // empty means now
	Headers  [][2]string
	Ring     time.Duration // zero means 30 s
	// OnPlaced, if set, is called with the call before anybody answers.
	OnPlaced func(*Call)
}

// Refused is the error of Call when the called side did not take the call.
type Refused struct {
	Cause ringfence.EndCause
	Code  int // SIP status; 0 if none came
}

func (r *Refused) Error() string { return fmt.Sprintf("call refused: %s, status %d", r.Cause, r.Code) }

// Call calls and returns when the call was answered. A refusal is a *Refused. The
// end of ctx gives up and, later, hangs up.
func (p *Peer) Call(ctx context.Context, in Invite) (*Call, error) {
	var headers [][2]string
	if in.PAI != "" {
		headers = append(headers, [2]string{"P-Asserted-Identity", in.PAI})
	}
	if in.Date != "" {
		headers = append(headers, [2]string{"Date", in.Date})
	}
	headers = append(headers, in.Headers...)
	leg, err := p.ua.PlaceWith(ctx, ringfence.Placement{To: in.To, From: in.FromTN, Name: in.Name, Identity: in.Identity, Ring: in.Ring}, headers...)
	if err != nil {
		return nil, err
	}
	c := p.newCall(leg)
	if in.OnPlaced != nil {
		in.OnPlaced(c)
	}
	select {
	case <-c.answered:
		return c, nil
	case <-c.done:
	}
	select {
	case <-c.answered: // and hung up at once
		return c, nil
	default:
		return nil, c.refusal()
	}
}

// ErrNoDigits says that the far end takes no telephone-events.
var ErrNoDigits = errors.New("peer: digits were not sent")
