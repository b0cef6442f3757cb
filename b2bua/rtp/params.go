package rtp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Codec is an audio encoding. The zero value is none.
type Codec uint8

// The codecs. Opus is relayed between two sessions that both have it and
// decoded for all others; we never encode it, so that a session which has it
// has another codec too, in which prompts are sent.
const (
	NoCodec Codec = 0
	PCMU    Codec = 1 // G.711 µ-law
	PCMA    Codec = 2 // G.711 A-law
	G722    Codec = 3 // 64 kbit/s; its RTP clock is 8000 Hz (RFC 3551, section 4.5.2)
	Opus    Codec = 4 // RFC 7587
)

// String returns the encoding name as SDP writes it.
func (c Codec) String() string {
	switch c {
	case PCMU:
		return "PCMU"
	case PCMA:
		return "PCMA"
	case G722:
		return "G722"
	case Opus:
		return "opus"
	default:
		return "none"
	}
}

// clock returns the RTP clock rate in Hz.
func (c Codec) clock() uint32 {
	if c == Opus {
		return 48000
	}
	return 8000
}

// Payload binds an RTP payload type number (0–127) to a codec.
type Payload struct {
	Type  uint8
	Codec Codec
}

// Direction says which way audio may go, seen from us (RFC 3264, section 5.1).
type Direction uint8

// The directions. The zero value is both ways.
const (
	SendRecv Direction = 0
	SendOnly Direction = 1 // the far end put us on media hold and listens
	RecvOnly Direction = 2
	Inactive Direction = 3
)

func (d Direction) sends() bool    { return d == SendRecv || d == SendOnly }
func (d Direction) receives() bool { return d == SendRecv || d == RecvOnly }

// DigitSource is the one way by which a leg's digits come, fixed when the
// session is negotiated so that no key counts twice.
type DigitSource uint8

// The digit sources.
const (
	DigitsEvent  DigitSource = 0 // telephone-events (RFC 4733); none when EventType is 0
	DigitsInfo   DigitSource = 1 // SIP INFO, handed over with InjectDigit
	DigitsInband DigitSource = 2 // tones in the audio
)

// Params is what offer and answer agreed for one session.
type Params struct {
	// Remote is the far end's RTP address from its SDP. The zero value, or port
	// 0, means that it takes no packets: nothing is sent.
	Remote netip.AddrPort
	// RemoteRTCP is its RTCP address (RFC 3605). Zero means the port after
	// Remote's. Ignored with RTCPMux.
	RemoteRTCP netip.AddrPort
	// RTCPMux says that RTCP shares the RTP port (RFC 5761).
	RTCPMux bool
	// Payloads are the agreed codecs, between 1 and 8. What is ours is sent in
	// the first, which cannot be Opus; any of them is heard and relayed.
	Payloads []Payload
	// EventType is the payload type of telephone-event at 8000 Hz (RFC 4733),
	// 96–127. 0 means none.
	EventType uint8
	// ComfortNoise says that payload type 13 was agreed (RFC 3389). Comfort
	// noise that was not agreed is counted and not relayed.
	ComfortNoise bool
	// Ptime is the length of the packets we send: a multiple of 10 ms from 10
	// to 60 ms. Zero means 20 ms. What the far end sends may have any length.
	Ptime time.Duration
	// Digits is where this leg's digits come from.
	Digits DigitSource
	// Direction is the agreed direction, seen from us.
	Direction Direction
	// SRTP holds the keys of RFC 4568. Nil means plain RTP, which a session
	// that once had keys refuses.
	SRTP *SRTP
	// Allow lists networks from which the far end's media may come although its
	// SDP names another address: those of its trunk. The /24 (IPv6: /64) of
	// Remote is always among them. See the latch.
	Allow []netip.Prefix
}

// ErrDowngrade is returned by Negotiated when a session that had SRTP keys is
// given none.
var ErrDowngrade = errors.New("rtp: session has SRTP and may not go back to plain RTP")

// maxPayloads bounds Params.Payloads.
const maxPayloads = 8

// validate refuses what cannot work and fills zeros.
func (p Params) validate() (Params, error) {
	if len(p.Payloads) == 0 || len(p.Payloads) > maxPayloads {
		return p, fmt.Errorf("rtp: %d payloads, want 1 to %d", len(p.Payloads), maxPayloads)
	}
	var seen [128]bool
	for _, pl := range p.Payloads {
		if pl.Codec == NoCodec || pl.Codec > Opus {
			return p, fmt.Errorf("rtp: payload type %d has no known codec", pl.Type)
		}
		if err := p.claim(&seen, pl.Type); err != nil {
			return p, err
		}
	}
	if p.Payloads[0].Codec == Opus {
		return p, errors.New("rtp: the first payload is Opus, which is not encoded here")
	}
	if p.EventType != 0 {
		if p.EventType < 96 {
			return p, fmt.Errorf("rtp: telephone-event on payload type %d, want 96 to 127", p.EventType)
		}
		if err := p.claim(&seen, p.EventType); err != nil {
			return p, err
		}
	}
	if p.Ptime == 0 {
		p.Ptime = 20 * time.Millisecond
	}
	if p.Ptime < 10*time.Millisecond || p.Ptime > 60*time.Millisecond || p.Ptime%(10*time.Millisecond) != 0 {
		return p, fmt.Errorf("rtp: ptime %v, want 10 to 60 ms by tens", p.Ptime)
	}
	if p.Direction > Inactive || p.Digits > DigitsInband {
		return p, errors.New("rtp: unknown direction or digit source")
	}
	if err := p.addresses(); err != nil {
		return p, err
	}
	if p.SRTP != nil {
		if err := p.SRTP.validate(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// claim takes one payload type number.
func (p Params) claim(seen *[128]bool, pt uint8) error {
	switch {
	case pt > 127:
		return fmt.Errorf("rtp: payload type %d is over 127", pt)
	case pt >= 64 && pt < 96:
		return fmt.Errorf("rtp: payload type %d collides with RTCP (RFC 5761, section 4)", pt)
	case pt == comfortNoiseType:
		return errors.New("rtp: payload type 13 is comfort noise")
	case seen[pt]:
		return fmt.Errorf("rtp: payload type %d twice", pt)
	}
	seen[pt] = true
	return nil
}

// addresses refuses targets to which no telephone sends its caller.
func (p *Params) addresses() error {
	for _, a := range []*netip.AddrPort{&p.Remote, &p.RemoteRTCP} {
		if !a.IsValid() {
			continue
		}
		*a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		ip := a.Addr()
		if ip.IsMulticast() || (ip.Is4() && ip.As4() == [4]byte{255, 255, 255, 255}) {
			return errors.New("rtp: remote address is multicast or broadcast")
		}
		if ip.IsUnspecified() { // the hold of RFC 2543: takes no packets
			*a = netip.AddrPort{}
		}
	}
	if p.Remote.Port() == 0 {
		p.Remote = netip.AddrPort{}
	}
	if p.RTCPMux {
		p.RemoteRTCP = p.Remote
	} else if !p.RemoteRTCP.IsValid() && p.Remote.IsValid() && p.Remote.Port() < 65535 {
		p.RemoteRTCP = netip.AddrPortFrom(p.Remote.Addr(), p.Remote.Port()+1)
	}
	return nil
}
