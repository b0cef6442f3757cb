package rtp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	pionrtp "github.com/pion/rtp"
)

// ErrClosed is returned by the methods of a Session or Pool that was closed.
var ErrClosed = errors.New("rtp: closed")

// Session is the media of one leg. Its methods may be called from any
// goroutine; none of them waits for the network.
//
// Two mutexes guard it: in for what is received, out for what is sent. A
// goroutine that holds a session's in may take the out of any session, never
// the other way round, and never two of the same kind.
type Session struct {
	pool  *Pool
	port  uint16
	media socket // RTP, and RTCP when muxed
	ctl   socket // RTCP
	local netip.AddrPort
	ssrc  uint32 // ours, for the life of the session

	heard   atomic.Int64               // when the last packet was accepted, in nanoseconds of the pool's clock
	hearers atomic.Pointer[[]*Session] // sessions that hear this one
	cut     atomic.Bool                // set and cleared under in and out both
	mixing  atomic.Bool                // it hears several; set under out
	reopen  atomic.Int64               // until then a session that is no longer cut stays unheard
	taps    atomic.Pointer[[]*Tap]
	aside   atomic.Pointer[aside] // nil: nobody
	shown   atomic.Pointer[func(Passing)]

	in  receiver
	out sender

	events events
}

// receiver is the receiving half of a session.
type receiver struct {
	mu         sync.Mutex // guards everything below
	closed     bool
	negotiated bool
	params     Params
	codecs     [128]Codec // by payload type
	latch      latch
	srtp       *cipher
	decoder    decoder
	keys       eventReceiver
	tones      *toneDetector
	muteKey    bool          // the key pressed when a cut ended is still secret
	muteKeyTS  uint32        // its timestamp
	tail       *toneDetector // listens for the end of a tone after a cut; nil when it was heard
	stats      receiveStats
	dead       bool
	since      time.Time // when the dead-media time began to count
}

// sender is the sending half of a session.
type sender struct {
	mu           sync.Mutex // guards everything below
	closed       bool
	params       Params
	hushed       bool // see Hush
	ready        bool // negotiated, with an address and a direction that sends
	target       netip.AddrPort
	control      netip.AddrPort
	srtp         *cipher
	stream       outStream
	encoder      encoder
	digits       digitSender
	nextReport   time.Time
	keyTS        uint32 // timestamp of the key being sent
	play         Source
	playID       uint64
	playSeq      uint64
	loop         Source
	hear         []*Session
	mixes        []*mixBuffer // one for each of hear when there are several
	failed       uint64       // packets the socket or the cipher refused
	untranslated uint64       // packets for which there is no common codec
	tapDecoder   decoder
}

// scratch is the work space of one goroutine that handles packets.
type scratch struct {
	plain  [maxDatagram + 64]byte
	sealed [maxDatagram + 64]byte
	opened [maxDatagram + 64]byte
	header pionrtp.Header
	pcm    []int16
	pcmOut []int16
}

func newScratch() *scratch {
	return &scratch{pcm: make([]int16, 0, maxPayload*2), pcmOut: make([]int16, 0, maxPayload*2)}
}

// LocalAddr returns the address of the session's RTP socket. RTCP is one port
// above it. With a wildcard Config.Bind the address is the wildcard.
func (s *Session) LocalAddr() netip.AddrPort { return s.local }

// Negotiated sets what offer and answer agreed, and again at each re-INVITE.
// The stream that is sent goes on without a break. A new Remote opens the
// latch; the same one keeps the source that was learned. It returns an error
// for params that cannot work, ErrDowngrade, and ErrClosed, and then changes
// nothing.
func (s *Session) Negotiated(p Params) error {
	p, err := p.validate()
	if err != nil {
		return err
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if s.in.closed {
		return ErrClosed
	}
	if p.SRTP == nil && s.in.srtp != nil {
		return ErrDowngrade
	}
	if p.SRTP != nil {
		in, err := newCipher(s.in.srtp, p.SRTP.Suite, p.SRTP.In)
		if err != nil {
			return err
		}
		out, err := newCipher(s.out.srtp, p.SRTP.Suite, p.SRTP.Out)
		if err != nil {
			return err
		}
		s.in.srtp, s.out.srtp = in, out
		p.SRTP = nil // the ciphers hold copies; params keep no keys
	}
	s.receiveAs(p)
	s.sendAs(p)
	return nil
}

// receiveAs applies p to the receiving half. Both mutexes are held.
func (s *Session) receiveAs(p Params) {
	in := &s.in
	now := time.Now()
	in.params, in.negotiated = p, true
	in.codecs = [128]Codec{}
	for _, pl := range p.Payloads {
		in.codecs[pl.Type] = pl.Codec
	}
	in.latch.reset(p.Remote, p.Allow, s.pool.cfg.SSRCGap, now)
	in.tones = nil
	if p.Digits == DigitsInband {
		in.tones = newToneDetector()
	}
	in.since = now
}

// sendAs applies p to the sending half. Both mutexes are held.
func (s *Session) sendAs(p Params) {
	o := &s.out
	o.params = p
	s.aim()
	o.ready = !o.hushed && p.Direction.sends() && p.Remote.IsValid()
}

// Hush keeps the session from sending until Speak: nobody listens to a call
// that is neither answered nor has early media. What comes is heard all the
// same.
func (s *Session) Hush() { s.hush(true) }

// Speak ends Hush.
func (s *Session) Speak() { s.hush(false) }

func (s *Session) hush(on bool) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hushed = on; !o.closed {
		o.ready = !on && o.params.Direction.sends() && o.params.Remote.IsValid()
	}
}

// aim points the sending half at what the latch says. A far end behind a NAT
// gets its RTCP at the address its media comes from. Both mutexes are held.
func (s *Session) aim() {
	o := &s.out
	o.target, o.control = s.in.latch.target(), o.params.RemoteRTCP
	if o.params.RTCPMux {
		o.control = o.target
	} else if o.control.IsValid() && o.target.Addr() != o.params.Remote.Addr() {
		o.control = netip.AddrPortFrom(o.target.Addr(), o.control.Port())
	}
}

// newStream returns a stream with the random start that RFC 3550, section 5.1
// asks for.
func newStream() (outStream, error) {
	var raw [10]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return outStream{}, err
	}
	return outStream{
		ssrc: binary.BigEndian.Uint32(raw[0:]),
		ts:   binary.BigEndian.Uint32(raw[4:]),
		seq:  binary.BigEndian.Uint16(raw[8:]) & 0x7fff, // RFC 3711, section 3.3.1: room before the first roll-over
	}, nil
}

// Close ends the session: nothing is sent or received any more, its ports are
// free and Next reports the end. A clip that was playing is reported as cut.
// Closing twice is harmless.
func (s *Session) Close() {
	s.in.mu.Lock()
	s.out.mu.Lock()
	was := s.in.closed
	s.in.closed, s.out.closed, s.out.ready = true, true, false
	s.out.mu.Unlock()
	s.in.mu.Unlock()
	if was {
		return
	}
	s.Part()
	s.Stop()
	s.media.close()
	s.ctl.close()
	s.pool.forget(s)
	s.closeTaps()
	s.closeEvents()
}
