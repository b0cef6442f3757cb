package rtp

import "encoding/binary"

// Sizes of RFC 3550, section 5.1.
const (
	headerLen   = 12
	maxDatagram = 1500 // what a reader takes; a longer one is dropped, never cut short
	maxPayload  = 1400
)

// comfortNoiseType is the static payload type of RFC 3389.
const comfortNoiseType = 13

// packet is one RTP packet. Its payload is a part of the datagram.
type packet struct {
	marker  bool
	pt      uint8
	seq     uint16
	ts      uint32
	ssrc    uint32
	payload []byte
}

// parsePacket reads an RTP packet, RFC 3550, section 5.1. Every length in it
// is checked against the datagram; it reports false for anything else.
// Contributing sources and header extensions are skipped: nothing of ours
// reads them and nothing of them is relayed.
func parsePacket(b []byte, p *packet) bool {
	n, ok := packetHeader(b, p)
	if !ok {
		return false
	}
	end := len(b)
	if b[0]&0x20 != 0 { // padding: its last byte counts all of it, itself included
		pad := int(b[end-1])
		if pad == 0 || pad > end-n {
			return false
		}
		end -= pad
	}
	if end-n > maxPayload {
		return false
	}
	p.payload = b[n:end:end]
	return true
}

// packetHeader reads the header only and returns its length with contributing
// sources and extension. Padding is not judged: in an SRTP packet it is still
// encrypted.
func packetHeader(b []byte, p *packet) (int, bool) {
	if len(b) < headerLen || len(b) > maxDatagram || b[0]>>6 != 2 {
		return 0, false
	}
	n := headerLen + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if n+4 > len(b) {
			return 0, false
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(b[n+2:]))
	}
	if n > len(b) {
		return 0, false
	}
	p.marker = b[1]&0x80 != 0
	p.pt = b[1] & 0x7f
	p.seq = binary.BigEndian.Uint16(b[2:])
	p.ts = binary.BigEndian.Uint32(b[4:])
	p.ssrc = binary.BigEndian.Uint32(b[8:])
	return n, true
}

// putHeader writes a plain 12-byte header into b.
func putHeader(b []byte, p *packet) {
	b[0] = 2 << 6
	b[1] = p.pt & 0x7f
	if p.marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], p.seq)
	binary.BigEndian.PutUint32(b[4:], p.ts)
	binary.BigEndian.PutUint32(b[8:], p.ssrc)
}

// isRTCP tells RTCP from RTP on one port by the second byte (RFC 5761,
// section 4).
func isRTCP(b []byte) bool { return len(b) >= 2 && b[1] >= 192 && b[1] <= 223 }
