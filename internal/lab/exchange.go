package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/voice"
)

// Exchange is a switch with people behind it: a carrier with its subscribers,
// or a company's own exchange with its desks. It is one SIP address.
type Exchange struct {
	phone *peer.Peer
	lib   *voice.Library
	sign  func(attest ringfence.Attest, orig, dest string) ([]string, error)
	log   Log

	mu      sync.Mutex // guards everything below
	gateway netip.AddrPort
	people  map[string]*Person
}

// ExchangeConfig describes an exchange. Library is what its people understand.
type ExchangeConfig struct {
	Name    string
	Library *voice.Library
	// Sign makes the Identity values of calls; nil leaves all unsigned.
	Sign func(attest ringfence.Attest, orig, dest string) ([]string, error)
	Log  Log
}

// NewExchange opens an exchange on a free loopback port.
func NewExchange(cfg ExchangeConfig) (*Exchange, error) {
	phone, err := peer.New(peer.Config{Name: cfg.Name})
	if err != nil {
		return nil, err
	}
	x := &Exchange{phone: phone, lib: cfg.Library, sign: cfg.Sign, log: cfg.Log, people: map[string]*Person{}}
	phone.Serve(x.serve)
	return x, nil
}

// Addr is where the exchange takes calls.
func (x *Exchange) Addr() netip.AddrPort { return x.phone.Addr() }

// URI is the SIP URI of a desk or number behind the exchange.
func (x *Exchange) URI(user string) string { return x.phone.URI(user) }

// Connect says where the gateway takes the exchange's calls.
func (x *Exchange) Connect(gateway netip.AddrPort) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gateway = gateway
}

// Close hangs up and waits for all that runs.
func (x *Exchange) Close() error { return x.phone.Close() }

// Person adds a person with a number or desk behind the exchange.
func (x *Exchange) Person(name, number string) *Person {
	p := &Person{x: x, Name: name, Number: number, rings: make(chan *Line, 8)}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.people[number] = p
	return p
}

// serve hands a call to whom it is for; it lasts until one side hangs up.
func (x *Exchange) serve(ctx context.Context, c *peer.Call) {
	number := strings.TrimPrefix(c.Info().Called, "+")
	x.mu.Lock()
	p := x.people[number]
	x.mu.Unlock()
	if p == nil {
		_ = c.Decline(ctx)
		return
	}
	line, err := p.line(c)
	if err != nil {
		_ = c.Decline(ctx)
		return
	}
	defer line.ear.wait()
	defer c.Hangup()
	if c.Ring(ctx) != nil {
		return
	}
	x.log.tell(p.Name, "telephone rings", "")
	select {
	case p.rings <- line:
	default: // nobody looks after the telephone
		_ = c.Busy(ctx)
		return
	}
	select {
	case <-c.Done():
	case <-ctx.Done():
	}
}

// Person is somebody with a telephone.
type Person struct {
	x            *Exchange
	Name, Number string
	rings        chan *Line
}

// Dial is how a person calls. Show is the number that is shown; empty means
// their own. Attest is what the carrier vouches.
type Dial struct {
	To, Show string
	Attest   ringfence.Attest
	// SignedFor, when set, is the called number that is signed instead of To.
	SignedFor string
	// Identity, when set, is sent instead of what the carrier would sign.
	Identity []string
}

// Call calls through the gateway and returns when it has answered.
func (p *Person) Call(ctx context.Context, d Dial) (*Line, error) {
	show := d.Show
	if show == "" {
		show = p.Number
	}
	dest := d.SignedFor
	if dest == "" {
		dest = d.To
	}
	identity := d.Identity
	if p.x.sign != nil && identity == nil {
		var err error
		if identity, err = p.x.sign(d.Attest, show, dest); err != nil {
			return nil, err
		}
	}
	p.x.mu.Lock()
	gateway := p.x.gateway
	p.x.mu.Unlock()
	if !gateway.IsValid() {
		return nil, fmt.Errorf("lab: %s is connected to no gateway", p.Name)
	}
	p.x.log.tell(p.Name, "calls", "+"+d.To)
	var line *Line
	var heard error
	call, err := p.x.phone.Call(ctx, peer.Invite{To: fmt.Sprintf("sip:+%s@%s", d.To, gateway), FromTN: "+" + show,
		Identity: identity, OnPlaced: func(c *peer.Call) { line, heard = p.line(c) }})
	if err != nil {
		return nil, fmt.Errorf("lab: %s calls +%s: %w", p.Name, d.To, err)
	}
	if heard != nil {
		call.Hangup()
		return nil, heard
	}
	return line, nil
}

// Rings returns the next call that comes in and rings still.
func (p *Person) Rings(ctx context.Context) (*Line, error) {
	for {
		select {
		case l := <-p.rings:
			select {
			case <-l.Done():
				continue // the caller gave up before anybody looked
			default:
				return l, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("lab: the telephone of %s did not ring: %w", p.Name, context.Cause(ctx))
		}
	}
}

func (p *Person) line(c *peer.Call) (*Line, error) {
	ear, err := listen(c, p.x.lib)
	if err != nil {
		return nil, err
	}
	return &Line{call: c, who: p.Name, ear: ear, log: p.x.log, lib: p.x.lib}, nil
}
