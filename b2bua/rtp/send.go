package rtp

import "time"

// tick sends what is due and returns the ptime until the next tick, 0 when
// the session is closed. Called by the pacing goroutine only.
func (s *Session) tick(due time.Time, sc *scratch) (ptime time.Duration) {
	defer s.pool.caught()
	ptime = 20 * time.Millisecond // also after a panic, perhaps of a Source
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return 0
	case o.params.Ptime == 0: // not negotiated yet
		return ptime
	case !o.ready:
		return o.params.Ptime // on media hold a clip waits
	}
	codec := o.params.Payloads[0].Codec
	n := int(o.params.Ptime / (time.Second / 8000))
	switch {
	case o.digits.busy() && o.params.EventType != 0:
		s.sendDigit(n, due, sc)
	case o.play != nil:
		s.sendPlay(n, due, sc)
	case o.loop != nil:
		s.sendFrom(o.loop, n, due, sc)
	case len(o.mixes) > 0 && !s.cut.Load():
		s.sendMix(n, due, sc)
	case s.relaying(due):
	default:
		s.sendPCM(nil, n, codec, due, sc)
	}
	return o.params.Ptime
}

// relaying reports whether another session's packets fill this stream just
// now. out.mu is held.
func (s *Session) relaying(now time.Time) bool {
	o := &s.out
	if len(o.hear) != 1 || s.cut.Load() || o.hear[0].cut.Load() || !o.stream.live || !o.stream.relay.on {
		return false
	}
	return now.Sub(o.stream.at) < relayQuiet
}

// sendPlay sends the next frame of the clip and reports its end.
func (s *Session) sendPlay(n int, due time.Time, sc *scratch) {
	if !s.sendFrom(s.out.play, n, due, sc) {
		s.endPlay(true, due)
	}
}

// sendFrom sends a frame of src and reports whether more may follow.
func (s *Session) sendFrom(src Source, n int, due time.Time, sc *scratch) bool {
	sc.pcmOut = sc.pcmOut[:n]
	k, more := src.Read(sc.pcmOut)
	clear(sc.pcmOut[max(0, min(k, n)):])
	s.sendPCM(sc.pcmOut, n, s.out.params.Payloads[0].Codec, due, sc)
	return more
}

// sendPCM sends one packet of n samples, silence when pcm is nil.
func (s *Session) sendPCM(pcm []int16, n int, codec Codec, due time.Time, sc *scratch) {
	o := &s.out
	buf := sc.plain[:headerLen]
	var ok bool
	if pcm == nil {
		buf, ok = o.encoder.silence(buf, codec, n)
	} else {
		buf, ok = o.encoder.encode(buf, codec, pcm)
	}
	if !ok {
		return
	}
	p := packet{pt: o.params.Payloads[0].Type}
	o.stream.paced(&p, uint32(n), due, codec.clock())
	putHeader(buf, &p)
	s.write(buf, sc)
	s.tapSent(pcm, n, due, sc)
}

// write seals and sends a packet whose header is in place. out.mu is held.
func (s *Session) write(buf []byte, sc *scratch) {
	o := &s.out
	s.show(buf, true, o.target)
	o.stream.packets++
	o.stream.octets += uint32(len(buf) - headerLen)
	if o.srtp != nil {
		sealed, ok := o.srtp.seal(sc.sealed[:], buf, &sc.header)
		if !ok {
			o.failed++
			return
		}
		buf = sealed
	}
	if !s.media.write(buf, o.target) {
		o.failed++
	}
}

// tapSent shows the taps what was sent; nothing during a cut.
func (s *Session) tapSent(pcm []int16, n int, at time.Time, sc *scratch) {
	taps := s.taps.Load()
	if taps == nil || s.cut.Load() || s.pool.clock(at) < s.reopen.Load() {
		return
	}
	if pcm == nil {
		sc.pcmOut = sc.pcmOut[:n]
		clear(sc.pcmOut)
		pcm = sc.pcmOut
	}
	feedTaps(*taps, Sent, pcm, at)
}
