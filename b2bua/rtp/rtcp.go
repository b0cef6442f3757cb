package rtp

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// RTCP packet types of RFC 3550, section 12.1.
const (
	typeSR   = 200
	typeRR   = 201
	typeSDES = 202
)

// report is what is used of one compound RTCP packet.
type report struct {
	ssrc uint32 // of its sender
	ntp  uint32 // middle 32 bits of a sender report's time; 0 = no sender report

	about    bool // a block about our stream was in it
	fraction uint8
	lsr      uint32
	dlsr     uint32
}

// parseReport reads a compound RTCP packet as RFC 3550, appendix A.2 demands:
// version 2 throughout, a report first, padding in the last packet only,
// lengths that add up. Anything but reports is skipped, BYE too: signalling
// ends calls, packets do not. own is our SSRC.
func parseReport(b []byte, own uint32, r *report) bool {
	*r = report{}
	if len(b) < 8 || len(b) > maxDatagram {
		return false
	}
	for first := true; len(b) > 0; first = false {
		if len(b) < 4 || b[0]>>6 != 2 || first && b[1] != typeSR && b[1] != typeRR {
			return false
		}
		n := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if n > len(b) {
			return false
		}
		body := b[:n]
		if b[0]&0x20 != 0 {
			pad := int(body[n-1])
			if n < len(b) || pad == 0 || pad%4 != 0 || pad > n-4 {
				return false
			}
			body = body[:n-pad]
		}
		if (b[1] == typeSR || b[1] == typeRR) && !r.read(body, own, first) {
			return false
		}
		b = b[n:]
	}
	return true
}

// read takes one sender or receiver report.
func (r *report) read(b []byte, own uint32, first bool) bool {
	blocks := 8
	if b[1] == typeSR {
		blocks = 28
	}
	count := int(b[0] & 0x1f)
	if len(b) < blocks+24*count {
		return false
	}
	ssrc := binary.BigEndian.Uint32(b[4:])
	if first {
		r.ssrc = ssrc
	} else if ssrc != r.ssrc {
		return true // a mixer's second source: nothing for us
	}
	if b[1] == typeSR {
		r.ntp = binary.BigEndian.Uint32(b[10:])
	}
	for i := range count {
		block := b[blocks+24*i:]
		if binary.BigEndian.Uint32(block) == own {
			r.about, r.fraction = true, block[4]
			r.lsr, r.dlsr = binary.BigEndian.Uint32(block[16:]), binary.BigEndian.Uint32(block[20:])
		}
	}
	return true
}

// roundTrip computes RFC 3550, section 6.4.1: A − LSR − DLSR, in units of
// 1/65536 s. It reports false for what cannot be: negative, or over 10 s.
func (r *report) roundTrip(now time.Time) (time.Duration, bool) {
	if !r.about || r.lsr == 0 {
		return 0, false
	}
	units := int32(uint32(ntpTime(now)>>16) - r.lsr - r.dlsr)
	if units < 0 || units > 10<<16 {
		return 0, false
	}
	return time.Duration(units) * time.Second >> 16, true
}

// ntpTime is t as a 64-bit NTP timestamp (RFC 3550, section 4).
func ntpTime(t time.Time) uint64 {
	const epochs = 2208988800 // seconds from 1900 to 1970
	return uint64(t.Unix()+epochs)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// receiveMuxed handles RTCP that came to the RTP port.
func (s *Session) receiveMuxed(b []byte, from netip.AddrPort, now time.Time) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if !s.in.negotiated || !s.in.params.RTCPMux || !s.in.latch.locked || from != s.in.latch.source {
		s.in.stats.foreign++
		return
	}
	s.takeReport(b, now)
}

// receiveControl handles one datagram of the RTCP socket.
func (s *Session) receiveControl(b []byte, from netip.AddrPort, now time.Time, _ *scratch) {
	defer s.pool.caught()
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	// The port is not judged: NATs change it, and a report moves nothing but
	// statistics.
	if !s.in.negotiated || s.in.params.RTCPMux || !s.in.latch.locked || from.Addr() != s.in.latch.source.Addr() {
		s.in.stats.foreign++
		return
	}
	s.takeReport(b, now)
}

// takeReport applies a report to the statistics. in.mu is held.
func (s *Session) takeReport(b []byte, now time.Time) {
	in := &s.in
	if in.closed || len(b) < 8 || len(b) > maxDatagram {
		in.stats.malformed++
		return
	}
	if binary.BigEndian.Uint32(b[4:]) != in.latch.ssrc { // in the clear with SRTCP too
		in.stats.foreign++
		return
	}
	if in.srtp != nil {
		var h rtcp.Header
		open, err := in.srtp.ctx.DecryptRTCP(nil, b, &h)
		if err != nil {
			in.stats.unauthentic++
			return
		}
		b = open
	}
	var r report
	if !parseReport(b, s.ssrc, &r) || r.ssrc != in.latch.ssrc {
		in.stats.malformed++
		return
	}
	in.stats.reports++
	if r.ntp != 0 {
		in.stats.lastSR, in.stats.lastSRAt = r.ntp, now
	}
	if r.about {
		in.stats.remote = float64(r.fraction) / 256
	}
	if rtt, ok := r.roundTrip(now); ok {
		in.stats.rtt = rtt
	}
}

// report sends a report when one is due: about every 5 s, spread over half to
// one and a half of it (RFC 3550, section 6.3.1).
func (s *Session) report(now time.Time) {
	defer s.pool.caught()
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	o := &s.out
	if o.closed || o.hushed || !o.control.IsValid() || now.Before(o.nextReport) {
		return
	}
	first := o.nextReport.IsZero()
	o.nextReport = now.Add(reportGap/2 + rand.N(reportGap))
	if first || !o.stream.live && !s.in.latch.locked {
		return
	}
	b := s.compose(make([]byte, 0, 128), now)
	if o.srtp != nil {
		sealed, err := o.srtp.ctx.EncryptRTCP(nil, b, nil)
		if err != nil {
			o.failed++
			return
		}
		b = sealed
	}
	port := s.ctl
	if o.params.RTCPMux {
		port = s.media
	}
	port.write(b, o.control)
}

// compose writes a report and the SDES with a CNAME that every compound packet
// must have (RFC 3550, section 6.1). Both mutexes are held.
func (s *Session) compose(b []byte, now time.Time) []byte {
	in, o := &s.in, &s.out
	kind, blocks := byte(typeRR), byte(0)
	if o.stream.live {
		kind = typeSR
	}
	if in.latch.locked && in.stats.begun {
		blocks = 1
	}
	words := uint16(1 + 6*uint16(blocks))
	if kind == typeSR {
		words += 5
	}
	b = append(b, 2<<6|blocks, kind)
	b = binary.BigEndian.AppendUint16(b, words)
	b = binary.BigEndian.AppendUint32(b, s.ssrc)
	if kind == typeSR {
		b = binary.BigEndian.AppendUint64(b, ntpTime(now))
		b = binary.BigEndian.AppendUint32(b, o.stream.next(now, o.stream.rate))
		b = binary.BigEndian.AppendUint32(b, o.stream.packets)
		b = binary.BigEndian.AppendUint32(b, o.stream.octets)
	}
	if blocks == 1 {
		b = in.stats.block(b, in.latch.ssrc, now)
	}
	// One chunk: SSRC, CNAME item, null octets up to the next word. The name is
	// random for each session (RFC 7022), here its SSRC.
	b = append(b, 2<<6|1, typeSDES, 0, 4)
	b = binary.BigEndian.AppendUint32(b, s.ssrc)
	const hex = "0123456789abcdef"
	b = append(b, 1, 8)
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, hex[s.ssrc>>shift&15])
	}
	return append(b, 0, 0)
}

// block appends a report block (RFC 3550, section 6.4.1) about the far end.
func (r *receiveStats) block(b []byte, ssrc uint32, now time.Time) []byte {
	expected := r.high - r.base + 1
	lost := max(-0x800000, min(0x7fffff, int64(expected)-int64(r.got)))
	var fraction uint32
	if span := expected - r.priorExpected; span > 0 {
		if missing := int64(span) - int64(r.got-r.priorGot); missing > 0 {
			fraction = uint32(min(255, missing*256/int64(span)))
		}
	}
	r.priorExpected, r.priorGot = expected, r.got
	var since uint32
	if !r.lastSRAt.IsZero() {
		since = uint32(now.Sub(r.lastSRAt) * 65536 / time.Second)
	}
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = binary.BigEndian.AppendUint32(b, fraction<<24|uint32(lost)&0xffffff)
	b = binary.BigEndian.AppendUint32(b, r.high)
	b = binary.BigEndian.AppendUint32(b, uint32(r.jitter))
	b = binary.BigEndian.AppendUint32(b, r.lastSR)
	return binary.BigEndian.AppendUint32(b, since)
}
