package rtp

import (
	"math"
	"time"
)

// Stats are the figures of one session so far. Counters are of packets.
type Stats struct {
	Received   uint64        // accepted from the far end
	Lost       uint64        // expected and missing (RFC 3550, appendix A.3), never under 0
	Jitter     time.Duration // interarrival jitter (RFC 3550, section 6.4.1)
	Sent       uint64
	SendFailed uint64        // refused by the socket or the cipher
	RemoteLost float64       // share of our packets the far end says it lost lately, 0–1
	RTT        time.Duration // round trip from RTCP; zero = not known
	MOS        float64       // estimate for what we hear, 1–4.5 (E-model, ITU-T G.107, simplified); 0 = nothing heard

	Foreign      uint64 // from a source the latch does not know
	Probes       uint64 // of a candidate source, not heard
	Malformed    uint64
	Unauthentic  uint64 // failed SRTP authentication, or replayed
	Unknown      uint64 // of a payload type that was not negotiated
	Early        uint64 // before Negotiated
	Held         uint64 // while the direction does not receive
	Noise        uint64 // comfort noise
	Reports      uint64 // RTCP packets that were used
	Events       uint64 // telephone-event packets
	Untranslated uint64 // not relayed to here for want of a common codec
}

// receiveStats counts what is received. Guarded by the session's in.
type receiveStats struct {
	received, foreign, probes, malformed, unauthentic uint64
	unknown, early, held, noise, events               uint64

	begun   bool
	base    uint32 // extended sequence number of the first packet of this stream
	high    uint32 // highest extended sequence number
	got     uint32 // packets of this stream
	lost    uint64 // of the streams before
	clock   uint32 // of jitter and transit in Hz; 0 = no audio yet
	jitter  float64
	transit float64
	rtt     time.Duration
	reports uint64

	lastSR   uint32 // middle of the NTP time of the far end's last sender report
	lastSRAt time.Time
	remote   float64

	priorExpected, priorGot uint32 // at the last report
}

// restart begins a new stream of the far end.
func (r *receiveStats) restart() {
	r.lost += r.missing()
	r.begun, r.got = false, 0
	r.priorExpected, r.priorGot = 0, 0
	r.lastSR, r.lastSRAt = 0, time.Time{}
}

// missing returns the packets of this stream that did not come.
func (r *receiveStats) missing() uint64 {
	if !r.begun {
		return 0
	}
	if m := int64(r.high-r.base) + 1 - int64(r.got); m > 0 {
		return uint64(m)
	}
	return 0
}

// count takes one accepted packet. c is NoCodec for one that carries no audio.
func (r *receiveStats) count(p *packet, now time.Time, c Codec) {
	r.received++
	r.got++
	if !r.begun {
		r.begun, r.clock, r.base, r.high = true, 0, 1<<16|uint32(p.seq), 1<<16|uint32(p.seq)
	} else if d := int32(int16(p.seq - uint16(r.high))); d > 0 {
		r.high += uint32(d)
	}
	if c != NoCodec { // the timestamp of a key stands still
		r.measure(p.ts, now, c.clock())
	}
}

// measure follows the jitter (RFC 3550, appendix A.8), over a change of clock
// too.
func (r *receiveStats) measure(ts uint32, now time.Time, clock uint32) {
	transit := float64(now.UnixNano())/1e9*float64(clock) - float64(ts)
	d := math.Abs(transit - r.transit)
	was := r.clock
	r.clock, r.transit = clock, transit
	switch {
	case was == 0:
	case was != clock:
		r.jitter *= float64(clock) / float64(was)
	case d < 5*float64(clock): // a jump of the clock is no jitter
		r.jitter += (d - r.jitter) / 16
	}
}

// Stats returns the session's figures.
func (s *Session) Stats() Stats {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	r, o := &s.in.stats, &s.out
	st := Stats{
		Received: r.received, Lost: r.lost + r.missing(), Sent: uint64(o.stream.packets), SendFailed: o.failed,
		RemoteLost: r.remote, RTT: r.rtt, Reports: r.reports,
		Foreign: r.foreign, Probes: r.probes, Malformed: r.malformed, Unauthentic: r.unauthentic,
		Unknown: r.unknown, Early: r.early, Held: r.held, Noise: r.noise, Events: r.events,
		Untranslated: o.untranslated,
	}
	if r.clock != 0 {
		st.Jitter = time.Duration(r.jitter / float64(r.clock) * float64(time.Second))
	}
	if st.Received > 0 {
		loss := float64(st.Lost) / float64(st.Received+st.Lost)
		st.MOS = estimateMOS(loss, st.RTT/2+2*st.Jitter+20*time.Millisecond)
	}
	return st
}

// estimateMOS is the E-model of ITU-T G.107 with its defaults: delay after
// G.107, section 7.4 in the usual straight-line form, loss for G.711 with
// concealment (G.113, Ie 0, Bpl 25.1).
func estimateMOS(loss float64, oneWay time.Duration) float64 {
	ms := float64(oneWay) / float64(time.Millisecond)
	r := 93.2 - 0.024*ms
	if ms > 177.3 {
		r -= 0.11 * (ms - 177.3)
	}
	r -= 95 * loss * 100 / (loss*100 + 25.1)
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
