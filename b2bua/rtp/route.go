package rtp

import (
	"slices"
	"time"
)

// Hear says whose far ends this session's far end hears: nobody, one session,
// whose packets are relayed as they come, or up to 7, which are mixed. It
// replaces what was set before. Play and Loop take precedence and do not
// change it. A session cannot hear itself; doubles, nils, closed sessions and
// those past the 7th are left out.
func (s *Session) Hear(sources ...*Session) {
	p := s.pool
	p.hearMu.Lock()
	defer p.hearMu.Unlock()
	var hear []*Session
	for _, src := range sources {
		if src != nil && src != s && src.pool == p && len(hear) < maxHear && !slices.Contains(hear, src) && !src.isClosed() {
			hear = append(hear, src)
		}
	}
	s.out.mu.Lock()
	before := s.out.hear
	if s.out.closed {
		hear = nil
	}
	s.out.hear = hear
	s.out.stream.relay.on = false
	s.out.mixes = newMixes(hear)
	s.mixing.Store(s.out.mixes != nil)
	s.out.mu.Unlock()
	for _, src := range before {
		if !slices.Contains(hear, src) {
			src.setHearer(s, false)
		}
	}
	for _, src := range hear {
		src.setHearer(s, true)
	}
}

// maxHear bounds what is mixed into one session.
const maxHear = 7

// setHearer adds or takes one hearer. pool.hearMu is held.
func (s *Session) setHearer(d *Session, on bool) {
	var list []*Session
	if old := s.hearers.Load(); old != nil {
		list = slices.DeleteFunc(slices.Clone(*old), func(x *Session) bool { return x == d })
	}
	if on {
		list = append(list, d)
	}
	if len(list) == 0 {
		s.hearers.Store(nil)
		return
	}
	s.hearers.Store(&list)
}

func (s *Session) isClosed() bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.closed
}

// Join relays both ways between two sessions; each hears only the other.
func (s *Session) Join(other *Session) {
	s.Hear(other)
	other.Hear(s)
}

// Part ends every relay from this session and to it. Others that heard it
// among several go on with the rest.
func (s *Session) Part() {
	s.Hear()
	list := s.hearers.Load()
	if list == nil {
		return
	}
	for _, d := range *list {
		d.unhear(s)
	}
}

// unhear takes one source away.
func (s *Session) unhear(src *Session) {
	s.out.mu.Lock()
	rest := slices.DeleteFunc(slices.Clone(s.out.hear), func(x *Session) bool { return x == src })
	s.out.mu.Unlock()
	s.Hear(rest...)
}

// Cut closes this session off from every other session and every tap, both
// ways, or opens it again; Play, Loop and digits go on between us and its far
// end. When Cut(true) returns, no packet that arrives later and none being
// handled reaches a peer or a tap; taps get a marked gap. After Cut(false) the
// far end stays unheard for 200 ms more, and until a key it is still pressing
// is let go.
func (s *Session) Cut(on bool) {
	if !s.setCut(on) {
		return
	}
	if list := s.hearers.Load(); list != nil {
		for _, d := range *list {
			d.forgetMix(s)
		}
	}
}

// setCut reports whether anything changed.
func (s *Session) setCut(on bool) bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if s.in.closed || s.cut.Load() == on {
		return false
	}
	now := time.Now()
	if !on {
		s.reopen.Store(s.pool.clock(now.Add(cutTail)))
		s.in.tail = newToneDetector()
		s.in.muteKey, s.in.muteKeyTS = s.in.keys.started, s.in.keys.ts
	}
	s.cut.Store(on)
	s.out.stream.relay.on = false
	for _, m := range s.out.mixes {
		m.clear()
	}
	s.markTaps(on, now)
	return true
}

// forgetMix drops what of src waits to be mixed here.
func (s *Session) forgetMix(src *Session) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	for i, m := range s.out.mixes {
		if s.out.hear[i] == src {
			m.clear()
		}
	}
}

// spread hands a packet to the sessions that hear this one. in.mu is held.
func (s *Session) spread(p *packet, c Codec, now time.Time, sc *scratch) {
	list := s.hearers.Load()
	if list == nil {
		return
	}
	for _, d := range *list {
		d.relay(s, *p, c, now, sc)
	}
}

// relay sends a packet of src's far end, or keeps it for the mix. in.mu of src
// is held. c is NoCodec for comfort noise.
func (s *Session) relay(src *Session, p packet, c Codec, now time.Time, sc *scratch) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !s.hearsNow(src) {
		return
	}
	if len(o.mixes) > 0 {
		if c != NoCodec {
			o.mixes[slices.Index(o.hear, src)].write(sc.pcm)
		}
		return
	}
	if o.play != nil || o.loop != nil || o.digits.busy() {
		return
	}
	buf, sent, ok := s.translate(&p, c, src, sc)
	if !ok {
		o.untranslated++
		return
	}
	n := uint32(len(buf) - headerLen)
	switch sent {
	case Opus:
		n, _ = opusLength(buf[headerLen:])
	case NoCodec:
		n = 160
	}
	if !o.stream.relayed(&p, n, now, sent.clock()) {
		return
	}
	putHeader(buf, &p)
	s.write(buf, sc)
	if s.taps.Load() != nil {
		s.tapRelayed(p, buf[headerLen:], now, sc)
	}
}

// hearsNow reports whether src may be heard here now. out.mu is held.
func (s *Session) hearsNow(src *Session) bool {
	return s.out.ready && !s.cut.Load() && slices.Contains(s.out.hear, src)
}

// translate puts the packet's payload behind room for a header, in a codec of
// this session, which it returns, and sets the payload type. in.mu of src is
// held.
func (s *Session) translate(p *packet, c Codec, src *Session, sc *scratch) ([]byte, Codec, bool) {
	buf := sc.plain[:headerLen]
	if c == NoCodec {
		if !s.out.params.ComfortNoise {
			return nil, c, false
		}
		return append(buf, p.payload...), c, true
	}
	for _, pl := range s.out.params.Payloads {
		if pl.Codec == c {
			p.pt = pl.Type
			return append(buf, p.payload...), c, true
		}
	}
	to := s.out.params.Payloads[0]
	p.pt = to.Type
	if table := crossG711(c, to.Codec); table != nil {
		for _, b := range p.payload {
			buf = append(buf, table[b])
		}
		return buf, to.Codec, true
	}
	if len(sc.pcm) == 0 {
		var ok bool
		if sc.pcm, ok = src.in.decoder.decode(sc.pcm, c, p.payload); !ok {
			return nil, to.Codec, false
		}
	}
	if len(sc.pcm) > maxPayload {
		return nil, to.Codec, false
	}
	buf, ok := s.out.encoder.encode(buf, to.Codec, sc.pcm)
	return buf, to.Codec, ok
}

// spreadEvent relays a telephone-event to the one-to-one hearers that have
// negotiated them. in.mu is held.
func (s *Session) spreadEvent(p *packet, now time.Time, sc *scratch) {
	list := s.hearers.Load()
	if list == nil {
		return
	}
	for _, d := range *list {
		d.relayEvent(s, *p, now, sc)
	}
}

func (s *Session) relayEvent(src *Session, p packet, now time.Time, sc *scratch) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !s.hearsNow(src) || len(o.mixes) > 0 || o.params.EventType == 0 ||
		o.play != nil || o.loop != nil || o.digits.busy() {
		return
	}
	marked := p.marker
	if !o.stream.relayed(&p, 0, now, eventClock) {
		return
	}
	p.pt = o.params.EventType
	p.marker = marked // RFC 4733, section 2.3.1: it marks the beginning of a key
	buf := append(sc.plain[:headerLen], p.payload...)
	putHeader(buf, &p)
	s.write(buf, sc)
}

// tapRelayed shows the taps what was relayed. out.mu is held.
func (s *Session) tapRelayed(p packet, payload []byte, now time.Time, sc *scratch) {
	if p.pt == comfortNoiseType {
		return
	}
	for _, pl := range s.out.params.Payloads {
		if pl.Type != p.pt {
			continue
		}
		sc.pcmOut, _ = s.out.tapDecoder.decode(sc.pcmOut[:0], pl.Codec, payload)
		s.tapSent(sc.pcmOut, 0, now, sc)
	}
}
