package trace

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence"
)

// Bounds of a Capture.
const (
	maxCapture = 16 << 20 // octets in the file
	maxRecent  = 256      // messages kept for legs that are added later
)

// Packet is one datagram of a capture. What travelled over TCP or TLS is shown
// as a datagram too.
type Packet struct {
	At       time.Time
	From, To netip.AddrPort
	Data     []byte
	Size     int // of the whole, of which Data is the beginning
}

// Capture gathers the packets of one call for a file that any network tool
// reads. It holds masked messages, and of media the headers only. It is safe for
// concurrent use and never waits.
type Capture struct {
	mu     sync.Mutex // guards everything below
	calls  []string   // Call-IDs
	recent []recent
	buf    []byte // records of the file
	count  int
	lost   int
	over   bool
}

// recent is a message of a dialog that may turn out to be of the call.
type recent struct {
	callID string
	m      Message
}

// Follow shows a capture the messages that pass from now on.
func (b *Book) Follow(c *Capture) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.captures = append(b.captures, c)
}

// Unfollow ends Follow and the capture.
func (b *Book) Unfollow(c *Capture) {
	b.mu.Lock()
	b.captures = slices.DeleteFunc(b.captures, func(x *Capture) bool { return x == c })
	b.mu.Unlock()
	c.end()
}

// Add makes a leg part of a capture, with what passed of it since Follow. It
// reports false for a leg that the book does not know.
func (b *Book) Add(c *Capture, id ringfence.LegID) bool {
	b.mu.Lock()
	l := b.legs[id]
	b.mu.Unlock()
	if l == nil {
		return false
	}
	c.add(l.callID)
	return true
}

func (c *Capture) add(callID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.calls, callID) {
		return
	}
	c.calls = append(c.calls, callID)
	for _, r := range c.recent {
		if r.callID == callID {
			c.messageLocked(r.m)
		}
	}
}

// message takes a message of the wire, whose octets are the sender's.
func (c *Capture) message(callID string, m Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if slices.Contains(c.calls, callID) {
		c.messageLocked(m)
		return
	}
	m.Raw = slices.Clone(m.Raw)
	if len(c.recent) == maxRecent {
		c.recent = c.recent[1:]
	}
	c.recent = append(c.recent, recent{callID, m})
}

func (c *Capture) messageLocked(m Message) {
	p := Packet{At: m.At, From: m.Local, To: m.Peer, Data: Mask(m.Raw)}
	if m.Received {
		p.From, p.To = m.Peer, m.Local
	}
	p.Size = len(p.Data)
	c.packetLocked(p)
}

// Packet takes a packet of the media.
func (c *Capture) Packet(p Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.packetLocked(p)
	}
}

func (c *Capture) packetLocked(p Packet) {
	rec := record(p)
	if len(c.buf)+len(rec) > maxCapture {
		c.lost++
		return
	}
	c.count++
	c.buf = append(c.buf, rec...)
}

func (c *Capture) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over, c.recent = true, nil
}

// Count is how many packets there are, and how many had no room.
func (c *Capture) Count() (packets, lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count, c.lost
}

// fileHeader is that of a pcap file with times in nanoseconds and packets that
// begin with an IP header (LINKTYPE_RAW).
var fileHeader = func() []byte {
	h := make([]byte, 24)
	binary.LittleEndian.PutUint32(h, 0xa1b23c4d)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], 65535)
	binary.LittleEndian.PutUint32(h[20:], 101)
	return h
}()

// WriteTo writes the file as it is now.
func (c *Capture) WriteTo(w io.Writer) (int64, error) {
	c.mu.Lock()
	buf := c.buf[:len(c.buf):len(c.buf)]
	c.mu.Unlock()
	n, err := w.Write(fileHeader)
	m, err2 := w.Write(buf)
	return int64(n + m), errors.Join(err, err2)
}

// record is one packet of the file.
func record(p Packet) []byte {
	const most = 65000 // less than an IP packet holds
	p.Data = p.Data[:min(len(p.Data), most)]
	p.Size = min(max(p.Size, len(p.Data)), most)
	out := make([]byte, 16, 16+40+8+len(p.Data))
	from, to := p.From.Addr().Unmap(), p.To.Addr().Unmap()
	if from.Is4() && to.Is4() {
		out = appendIP4(out, from, to, p.Size+8)
	} else {
		out = appendIP6(out, from, to, p.Size+8)
	}
	head := len(out) - 16
	out = binary.BigEndian.AppendUint16(out, p.From.Port())
	out = binary.BigEndian.AppendUint16(out, p.To.Port())
	out = binary.BigEndian.AppendUint16(out, uint16(p.Size+8))
	out = append(out, 0, 0) // no checksum: of what is cut off there could be none
	out = append(out, p.Data...)
	binary.LittleEndian.PutUint32(out, uint32(p.At.Unix()))
	binary.LittleEndian.PutUint32(out[4:], uint32(p.At.Nanosecond()))
	binary.LittleEndian.PutUint32(out[8:], uint32(len(out)-16))
	binary.LittleEndian.PutUint32(out[12:], uint32(head+8+p.Size))
	return out
}

const udp = 17

// appendIP4 appends an IPv4 header (RFC 791) before n octets.
func appendIP4(out []byte, from, to netip.Addr, n int) []byte {
	at := len(out)
	out = append(out, 0x45, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(20+n))
	out = append(out, 0, 0, 0, 0, 64, udp, 0, 0)
	out = append(append(out, from.AsSlice()...), to.AsSlice()...)
	sum := uint32(0)
	for i := at; i < at+20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(out[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(out[at+10:], ^uint16(sum))
	return out
}

// appendIP6 appends an IPv6 header (RFC 8200) before n octets.
func appendIP6(out []byte, from, to netip.Addr, n int) []byte {
	out = append(out, 0x60, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(n))
	out = append(out, udp, 64)
	a, b := as16(from), as16(to)
	return append(append(out, a[:]...), b[:]...)
}

// as16 is an address in the form of IPv6; an unknown one is the unspecified.
func as16(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}
