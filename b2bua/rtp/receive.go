package rtp

import (
	"net/netip"
	"time"
)

// cutTail is how long the end of a cut stays closed, so that packets on their
// way and the rest of a pressed key do not slip out behind it.
const cutTail = 200 * time.Millisecond

// receive handles one datagram of the RTP socket. It is the only way in.
func (s *Session) receive(b []byte, from netip.AddrPort, now time.Time, sc *scratch) {
	defer s.pool.caught()
	if len(b) > 0 && b[0] < firstRTP {
		if h := s.aside.Load(); h != nil {
			(*h)(b, from, now)
			return
		}
	}
	if isRTCP(b) {
		s.receiveMuxed(b, from, now)
		return
	}
	s.show(b, false, from)
	in := &s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	var p packet
	if !s.admit(b, from, now, sc, &p) {
		return
	}
	s.heard.Store(s.pool.clock(now))
	s.revive(now)
	if !in.params.Direction.receives() {
		in.stats.held++
		return
	}
	secret := s.secret(&p, now)
	switch {
	case p.pt == in.params.EventType && p.pt != 0:
		s.receiveEvent(&p, secret, now, sc)
	case p.pt == comfortNoiseType:
		in.stats.noise++
		if in.params.ComfortNoise && !secret {
			s.spread(&p, NoCodec, now, sc)
		}
	case in.codecs[p.pt] != NoCodec:
		s.receiveAudio(&p, in.codecs[p.pt], secret, now, sc)
	default:
		in.stats.unknown++
	}
}

// admit parses, latches and authenticates. in.mu is held.
func (s *Session) admit(b []byte, from netip.AddrPort, now time.Time, sc *scratch, p *packet) bool {
	in := &s.in
	if in.closed || !in.negotiated {
		in.stats.early++
		return false
	}
	if _, ok := packetHeader(b, p); !ok {
		in.stats.malformed++
		return false
	}
	v := in.latch.judge(from, p.ssrc, now)
	if v == latchRefuse {
		in.stats.foreign++
		return false
	}
	if in.srtp != nil {
		open, ok := in.srtp.open(sc.opened[:], b, &sc.header, in.latch.locked)
		if !ok {
			in.stats.unauthentic++
			return false
		}
		b = open
	}
	if !parsePacket(b, p) {
		in.stats.malformed++
		return false
	}
	moved := v == latchNewSSRC
	in.latch.take(v, from, p.ssrc, now)
	if v == latchProbe {
		in.stats.probes++
		return false
	}
	if moved {
		s.begin()
	}
	in.stats.count(p, now, in.codecs[p.pt])
	return true
}

// begin starts the state of a new stream of the far end. in.mu is held.
func (s *Session) begin() {
	in := &s.in
	in.stats.restart()
	in.keys, in.muteKey = eventReceiver{}, false
	in.decoder = decoder{}
	if in.tones != nil {
		in.tones = newToneDetector()
	}
	s.out.mu.Lock()
	s.aim()
	s.out.mu.Unlock()
}

// secret reports whether what came now may go to nobody else: during a cut,
// shortly after it, and until the key that was pressed when it ended is let
// go. in.mu is held.
func (s *Session) secret(p *packet, now time.Time) bool {
	if s.cut.Load() || s.pool.clock(now) < s.reopen.Load() {
		return true
	}
	in := &s.in
	if !in.muteKey {
		return false
	}
	if in.keys.started && in.keys.ts == in.muteKeyTS && in.keys.active(now) {
		return true // audio beside the event may carry its tone
	}
	if p.pt == in.params.EventType && int32(p.ts-in.muteKeyTS) <= 0 {
		return true // a late packet of that key or of one before
	}
	return false
}

func (s *Session) receiveEvent(p *packet, secret bool, now time.Time, sc *scratch) {
	in := &s.in
	e, ok := parseTelephoneEvent(p.payload)
	if !ok || int(e.code) >= len(digitNames) {
		in.stats.malformed++
		return
	}
	in.stats.events++
	digit, fresh := in.keys.receive(p.ts, e, now)
	if fresh && in.params.Digits == DigitsEvent {
		s.emit(Event{Kind: EventDigit, Digit: digit, At: now})
	}
	if secret {
		in.muteKey, in.muteKeyTS = true, in.keys.ts
		return
	}
	p.payload = p.payload[:4]
	s.spreadEvent(p, now, sc)
}

func (s *Session) receiveAudio(p *packet, c Codec, secret bool, now time.Time, sc *scratch) {
	in := &s.in
	if len(p.payload) == 0 {
		return // keeps a NAT open, carries nothing
	}
	if c == Opus {
		if _, ok := opusLength(p.payload); !ok {
			in.stats.malformed++
			return
		}
	}
	taps := s.taps.Load()
	wanted := in.tones != nil || in.tail != nil || !secret && (taps != nil || s.mixed())
	sc.pcm = sc.pcm[:0]
	if wanted {
		sc.pcm, _ = in.decoder.decode(sc.pcm, c, p.payload)
	}
	if in.tones != nil {
		for _, digit := range in.tones.feed(sc.pcm) {
			s.emit(Event{Kind: EventDigit, Digit: digit, At: now})
		}
	}
	if s.tailOfTone(sc.pcm) || secret {
		return
	}
	if taps != nil {
		feedTaps(*taps, Received, sc.pcm, now)
	}
	s.spread(p, c, now, sc)
}

// tailOfTone reports whether a key's tone that began in a cut still sounds
// after it. in.mu is held.
func (s *Session) tailOfTone(pcm []int16) bool {
	t := s.in.tail
	if t == nil || len(pcm) == 0 {
		return false
	}
	t.feed(pcm)
	if t.quiet() {
		s.in.tail = nil
	}
	return s.in.tail != nil
}

// InjectDigit reports a key that came by SIP INFO. It reports false, and no
// event follows, unless Params.Digits is DigitsInfo and digit is one of
// 0–9 * # A–D.
func (s *Session) InjectDigit(digit byte, now time.Time) bool {
	s.in.mu.Lock()
	ok := !s.in.closed && s.in.negotiated && s.in.params.Digits == DigitsInfo
	s.in.mu.Unlock()
	if !ok || eventCode(digit) < 0 {
		return false
	}
	s.emit(Event{Kind: EventDigit, Digit: digit, At: now})
	return true
}

// checkDead reports a far end that fell silent.
func (s *Session) checkDead(now time.Time) {
	defer s.pool.caught()
	after := s.pool.cfg.DeadAfter
	if after < 0 {
		return
	}
	in := &s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || !in.negotiated || in.dead || !in.params.Direction.receives() || !in.params.Remote.IsValid() {
		return
	}
	quiet := min(now.Sub(in.since), time.Duration(s.pool.clock(now)-s.heard.Load()))
	if quiet >= after {
		in.dead = true
		s.emit(Event{Kind: EventDead, At: now})
	}
}

// revive ends EventDead. in.mu is held.
func (s *Session) revive(now time.Time) {
	if s.in.dead {
		s.in.dead = false
		s.emit(Event{Kind: EventAlive, At: now})
	}
}
