package rtp

import "time"

// Bounds between which a relayed stream counts as the same one.
const (
	maxLate     = 64                     // packets that may arrive after a newer one
	maxDropout  = 3000                   // RFC 3550, appendix A.1
	maxForward  = 20 * time.Second       // a jump of the timestamp over this starts anew
	maxBackward = 1 * time.Second        // so does one back by more than this
	relayQuiet  = 200 * time.Millisecond // after this without a relayed packet silence is sent
)

// outStream numbers everything a session sends, so that switching between
// prompt, hold music, silence and a relayed peer leaves no hole in the
// sequence and never moves the timestamp back. Owned by the session's sending
// side.
type outStream struct {
	ssrc uint32
	seq  uint16    // highest sent
	ts   uint32    // timestamp of the newest audio sent
	dur  uint32    // its length in timestamp units
	at   time.Time // when it was sent
	rate uint32    // clock of ts and dur in Hz
	live bool      // something was sent

	relay relayMap

	packets, octets uint32 // RFC 3550, section 6.4.1
}

// relayMap carries a source's numbers over to ours. It is void (on is false)
// whenever something else was sent in between.
type relayMap struct {
	on     bool
	ssrc   uint32
	rate   uint32 // clock of its audio in Hz
	seq    uint16 // highest of the source
	ts     uint32 // timestamp of its newest audio
	seqOff uint16
	tsOff  uint32
	since  int // packets since the map was made, up to maxLate

	keyFrom, keyTo uint32    // timestamps of the newest key where events have another clock than the audio
	keyAt          time.Time // when it began; zero = none
}

// next returns the timestamp for audio sent now: the end of what was sent
// before, or later when there was a pause. Where the clock changes, what was
// sent last is measured by the new one (RFC 7160, section 4.1).
func (o *outStream) next(now time.Time, clock uint32) uint32 {
	if !o.live {
		return o.ts
	}
	step := o.dur
	if o.rate != clock {
		step = uint32(uint64(step) * uint64(clock) / uint64(o.rate))
	}
	if pause := now.Sub(o.at); pause > 0 {
		step = max(step, uint32(pause.Microseconds()*int64(clock)/1_000_000))
	}
	return o.ts + step
}

// paced numbers one packet of our own of n timestamp units. at is when it was
// due, not when the pacing goroutine got round to it.
func (o *outStream) paced(p *packet, n uint32, at time.Time, clock uint32) {
	if !o.live || o.relay.on || o.rate != clock || at.Sub(o.at) > relayQuiet {
		p.marker = true
		o.ts = o.next(at, clock)
	} else {
		o.ts += o.dur
	}
	o.relay.on = false
	o.seq++
	o.dur, o.at, o.rate, o.live = n, at, clock, true
	p.ssrc, p.seq, p.ts = o.ssrc, o.seq, o.ts
}

// relayed renumbers a packet of another session's far end. n is its length in
// timestamp units, 0 for a telephone-event, whose timestamp is the start of
// its key. It reports false for a packet too old to send.
func (o *outStream) relayed(p *packet, n uint32, now time.Time, clock uint32) bool {
	m := &o.relay
	if !m.on || m.ssrc != p.ssrc || n > 0 && m.rate != clock || m.restarted(p, n, clock) {
		*m = relayMap{on: true, ssrc: p.ssrc, rate: clock, seq: p.seq, ts: p.ts,
			seqOff: o.seq + 1 - p.seq, tsOff: o.next(now, clock) - p.ts}
		p.marker = true
	} else if d := int(int16(p.seq - m.seq)); d < 0 {
		if -d > m.since {
			return false
		}
	} else {
		m.seq = p.seq
		m.since = min(m.since+d, maxLate)
	}
	ts := p.ts + m.tsOff
	if m.rate != clock {
		ts = o.key(p.ts, now)
	}
	p.ssrc, p.seq, p.ts = o.ssrc, p.seq+m.seqOff, ts
	if int16(p.seq-o.seq) > 0 {
		o.seq = p.seq
	}
	if n > 0 && (!o.live || int32(p.ts-o.ts) >= 0) {
		o.ts, o.dur, o.rate = p.ts, n, clock
		m.ts = p.ts - m.tsOff
	}
	if o.rate == 0 {
		o.rate = clock // a key came before any audio
	}
	o.at, o.live = now, true
	return true
}

// key returns the timestamp of a key whose clock is not that of the audio around
// it: that of the moment it began, the same for all its packets.
func (o *outStream) key(from uint32, now time.Time) uint32 {
	m := &o.relay
	if !m.keyAt.IsZero() && m.keyFrom == from {
		return m.keyTo
	}
	to := o.next(now, o.rate)
	if later := m.keyTo + uint32(now.Sub(m.keyAt).Microseconds()*int64(o.rate)/1_000_000); !m.keyAt.IsZero() && int32(later-to) > 0 {
		to = later // of two keys in a row
	}
	m.keyFrom, m.keyTo, m.keyAt = from, to, now
	return to
}

// restarted reports whether a packet cannot belong to the stream mapped so far.
func (m *relayMap) restarted(p *packet, n, clock uint32) bool {
	if d := int(int16(p.seq - m.seq)); d > maxDropout || d < -maxLate {
		return true
	}
	if n == 0 {
		return false
	}
	d := int64(int32(p.ts - m.ts))
	return d > int64(maxForward.Seconds())*int64(clock) || d < -int64(maxBackward.Seconds())*int64(clock)
}
