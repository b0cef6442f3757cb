package rtp

import (
	"encoding/binary"
	"time"
)

// digitNames are the DTMF events of RFC 4733, table 3: event code is index.
const digitNames = "0123456789*#ABCD"

// eventClock is the clock of telephone-events in Hz, whatever the audio beside
// them has.
const eventClock = 8000

// telephoneEvent is the payload of RFC 4733, section 2.3.
type telephoneEvent struct {
	code     uint8
	end      bool
	volume   uint8
	duration uint16
}

// parseTelephoneEvent reads the first event of a payload. The payload must
// hold whole events of four octets; events after the first belong to the past
// of another packet and are not used.
func parseTelephoneEvent(b []byte) (telephoneEvent, bool) {
	if len(b) < 4 || len(b)%4 != 0 {
		return telephoneEvent{}, false
	}
	return telephoneEvent{
		code:     b[0],
		end:      b[1]&0x80 != 0,
		volume:   b[1] & 0x3f,
		duration: binary.BigEndian.Uint16(b[2:]),
	}, true
}

func (e telephoneEvent) append(b []byte) []byte {
	flags := e.volume & 0x3f
	if e.end {
		flags |= 0x80
	}
	b = append(b, e.code, flags)
	return binary.BigEndian.AppendUint16(b, e.duration)
}

// eventEndTimeout is how long after its last packet an event without END
// counts as over: RFC 4733, section 2.5.2.2 asks for about three packet
// intervals.
const eventEndTimeout = 150 * time.Millisecond

// eventReceiver makes each key count once. A key is its RTP timestamp
// (RFC 4733, section 2.2.1), and counts with the first of its packets that
// arrives, so that no loss of END packets loses or doubles it. Owned by the
// session's receiving side.
type eventReceiver struct {
	started  bool
	ts       uint32
	event    telephoneEvent
	lastSeen time.Time
}

// receive takes one packet and returns a digit when a new key began.
func (r *eventReceiver) receive(ts uint32, e telephoneEvent, now time.Time) (byte, bool) {
	if int(e.code) >= len(digitNames) {
		return 0, false
	}
	if r.started {
		switch age := int32(ts - r.ts); {
		case age < 0: // late packet of an earlier key
			return 0, false
		case age == 0:
			r.update(ts, e, now)
			return 0, false
		case r.continues(uint32(age), e):
			r.update(ts, e, now)
			return 0, false
		}
	}
	r.started, r.ts, r.event, r.lastSeen = true, ts, e, now
	return digitNames[e.code], true
}

// update keeps END and the greatest duration of the key.
func (r *eventReceiver) update(ts uint32, e telephoneEvent, now time.Time) {
	if ts == r.ts {
		e.end = e.end || r.event.end
		e.duration = max(e.duration, r.event.duration)
		e.code = r.event.code
	}
	r.ts, r.event, r.lastSeen = ts, e, now
}

// continues tells a key that goes on under a new timestamp from a new key: a
// next segment of a long event (RFC 4733, section 2.5.1.3), and senders that
// wrongly move the timestamp with each packet by as much as the duration. A
// new press of the same key is further away than its own duration.
func (r *eventReceiver) continues(age uint32, e telephoneEvent) bool {
	if e.code != r.event.code || r.event.end {
		return false
	}
	return age == 0xffff || e.duration > r.event.duration && age == uint32(e.duration-r.event.duration)
}

// active reports whether a key is still pressed.
func (r *eventReceiver) active(now time.Time) bool {
	return r.started && !r.event.end && now.Sub(r.lastSeen) < eventEndTimeout
}
