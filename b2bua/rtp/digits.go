package rtp

import (
	"strings"
	"time"
)

// Lengths of the keys we send, in samples: RFC 4733, section 2.6 and ITU-T
// Q.24 ask for at least 40 ms on and 40 ms off.
const (
	keySamples   = 800 // 100 ms
	pauseSamples = 640 // 80 ms
	endRepeats   = 3   // RFC 4733, section 2.5.1.4
	keyVolume    = 10  // −10 dBm0
)

// eventCode returns the event of a digit, −1 for none.
func eventCode(digit byte) int {
	if digit >= 'a' && digit <= 'd' {
		digit -= 'a' - 'A'
	}
	return strings.IndexByte(digitNames, digit)
}

// digitSender turns a queue of keys into telephone-events, one packet each
// tick. Owned by the session's sending side.
type digitSender struct {
	queue []byte // event codes
	on    bool   // a key is being sent
	sent  int    // samples of the key so far
	ends  int    // END packets sent
	pause int    // samples of pause left
}

func (d *digitSender) busy() bool { return len(d.queue) > 0 || d.pause > 0 }

func (d *digitSender) stop() { *d = digitSender{} }

// next returns the event to send for a tick of n samples, and false in a pause.
func (d *digitSender) next(n int) (e telephoneEvent, ok bool) {
	if d.pause > 0 {
		d.pause -= n
		return e, false
	}
	d.on = true
	d.sent = min(d.sent+n, keySamples)
	e = telephoneEvent{code: d.queue[0], volume: keyVolume, duration: uint16(d.sent)}
	if d.sent >= keySamples {
		e.end = true
		d.ends++
	}
	if d.ends >= endRepeats {
		*d = digitSender{queue: d.queue[1:], pause: pauseSamples}
	}
	return e, true
}

// SendDigits keys digits to the far end as telephone-events, each 100 ms with
// 80 ms pause, in place of audio. It reports false, and sends nothing, for
// anything but 0–9 * # A–D, over 64 digits waiting, or a session without
// negotiated telephone-events.
func (s *Session) SendDigits(digits string) bool {
	codes := make([]byte, 0, len(digits))
	for i := range len(digits) {
		c := eventCode(digits[i])
		if c < 0 {
			return false
		}
		codes = append(codes, byte(c))
	}
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	o := &s.out
	if o.closed || o.params.EventType == 0 || len(o.digits.queue)+len(codes) > 64 {
		return false
	}
	o.digits.queue = append(o.digits.queue, codes...)
	return true
}

// sendDigit sends the next packet of the key. out.mu is held.
func (s *Session) sendDigit(n int, due time.Time, sc *scratch) {
	o := &s.out
	codec := o.params.Payloads[0].Codec
	first := !o.digits.on
	e, ok := o.digits.next(n)
	if !ok {
		s.sendPCM(nil, n, codec, due, sc)
		return
	}
	p := packet{pt: o.params.EventType}
	o.stream.paced(&p, uint32(n), due, eventClock)
	if first {
		o.keyTS = p.ts
	}
	p.marker, p.ts = first, o.keyTS
	buf := e.append(sc.plain[:headerLen])
	putHeader(buf, &p)
	s.write(buf, sc)
}
