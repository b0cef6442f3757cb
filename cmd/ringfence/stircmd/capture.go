package stircmd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/ringfence/ringfence/stirshaken"
)

// maxCapture bounds what is read of a capture.
const maxCapture = 256 << 20

// invite is an INVITE as it was captured.
type invite struct {
	req stirshaken.Request
	at  time.Time // of the packet; zero in a text file
}

// readInvites finds the INVITEs in a text file, a pcap or a pcapng.
func readInvites(b []byte) ([]invite, error) {
	if len(b) >= 4 {
		switch magic := binary.LittleEndian.Uint32(b); magic {
		case 0xa1b2c3d4, 0xa1b23c4d:
			return pcap(b, binary.LittleEndian, magic == 0xa1b23c4d)
		case 0xd4c3b2a1, 0x4d3cb2a1:
			return pcap(b, binary.BigEndian, magic == 0x4d3cb2a1)
		case 0x0a0d0d0a:
			return pcapng(b)
		}
	}
	one, ok := parseSIP(b)
	if !ok {
		return nil, errors.New("the file is neither a SIP request nor a pcap or pcapng capture")
	}
	return []invite{{req: one}}, nil
}

// parseSIP reads the header fields of a request (RFC 3261, section 7) that a
// verification service looks at. Line ends may be bare, as in a saved file.
func parseSIP(b []byte) (stirshaken.Request, bool) {
	var r stirshaken.Request
	text := strings.TrimLeft(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	line, rest, _ := strings.Cut(text, "\n")
	words := strings.Fields(line)
	if len(words) != 3 || words[2] != "SIP/2.0" {
		return r, false
	}
	r.RequestURI = words[1]
	head, _, _ := strings.Cut(rest, "\n\n")
	var fields []string
	for l := range strings.SplitSeq(head, "\n") {
		if n := len(fields); n > 0 && l != "" && (l[0] == ' ' || l[0] == '\t') {
			fields[n-1] += "\r\n" + l
			continue
		}
		fields = append(fields, l)
	}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "identity", "y":
			r.Identity = append(r.Identity, value)
		case "from", "f":
			r.From = value
		case "to", "t":
			r.To = value
		case "p-asserted-identity":
			r.PAI = append(r.PAI, value)
		case "call-id", "i":
			r.CallID = value
		case "date":
			r.Date = value
		case "privacy":
			r.Privacy = value
		case "p-attestation-indicator":
			r.PAttestation = value
		}
	}
	return r, true
}

// finder gathers INVITEs from packets.
type finder struct {
	out   []invite
	parts map[string][]fragment
	flows map[string]*flow
	bytes int
}

type fragment struct {
	offset int
	more   bool
	data   []byte
}

// flow is one direction of a TCP connection, in order only: a capture with
// lost or reordered segments shows its later messages no more.
type flow struct {
	next uint32
	buf  []byte
}

// pcap reads the classic format, of microseconds or nanoseconds.
func pcap(b []byte, order binary.ByteOrder, nano bool) ([]invite, error) {
	if len(b) < 24 {
		return nil, errors.New("pcap: cut short")
	}
	link := order.Uint32(b[20:]) & 0xffff
	f := &finder{parts: map[string][]fragment{}, flows: map[string]*flow{}}
	for b = b[24:]; len(b) >= 16; {
		sec, frac, n := order.Uint32(b), order.Uint32(b[4:]), int(order.Uint32(b[8:]))
		if n < 0 || n > len(b)-16 {
			return f.out, errors.New("pcap: a packet is cut short")
		}
		at := time.Unix(int64(sec), int64(frac)*1000)
		if nano {
			at = time.Unix(int64(sec), int64(frac))
		}
		f.frame(link, b[16:16+n], at)
		b = b[16+n:]
	}
	return f.out, nil
}

// pcapng reads sections, interfaces and enhanced packets; the rest is skipped.
func pcapng(b []byte) ([]invite, error) {
	type iface struct {
		link uint32
		tick time.Duration
	}
	var order binary.ByteOrder = binary.LittleEndian
	var ifaces []iface
	f := &finder{parts: map[string][]fragment{}, flows: map[string]*flow{}}
	for len(b) >= 12 {
		kind := order.Uint32(b)
		if kind == 0x0a0d0d0a {
			ifaces = nil
			order = binary.LittleEndian
			if binary.BigEndian.Uint32(b[8:]) == 0x1a2b3c4d {
				order = binary.BigEndian
			}
		}
		n := int(order.Uint32(b[4:]))
		if n < 12 || n > len(b) || n%4 != 0 {
			return f.out, errors.New("pcapng: a block is cut short")
		}
		body := b[8 : n-4]
		switch {
		case kind == 1 && len(body) >= 8:
			ifaces = append(ifaces, iface{uint32(order.Uint16(body)), tickOf(body[8:], order)})
		case kind == 6 && len(body) >= 20:
			id, caught := order.Uint32(body), int(order.Uint32(body[12:]))
			if int(id) >= len(ifaces) || caught < 0 || caught > len(body)-20 {
				return f.out, errors.New("pcapng: a packet is cut short")
			}
			stamp := uint64(order.Uint32(body[4:]))<<32 | uint64(order.Uint32(body[8:]))
			tick := ifaces[id].tick
			per := uint64(time.Second / tick)
			at := time.Unix(int64(stamp/per), int64(stamp%per)*int64(tick))
			f.frame(ifaces[id].link, body[20:20+caught], at)
		}
		b = b[n:]
	}
	return f.out, nil
}

// tickOf reads if_tsresol (option 9) when it is a power of ten; else 1 µs.
func tickOf(opts []byte, order binary.ByteOrder) time.Duration {
	for len(opts) >= 4 {
		code, n := order.Uint16(opts), int(order.Uint16(opts[2:]))
		if code == 0 || n > len(opts)-4 {
			break
		}
		if code == 9 && n == 1 && opts[4] <= 9 {
			tick := time.Second
			for range opts[4] {
				tick /= 10
			}
			return tick
		}
		opts = opts[min(len(opts), 4+(n+3)&^3):]
	}
	return time.Microsecond
}

// frame strips the link layer.
func (f *finder) frame(link uint32, p []byte, at time.Time) {
	skip, kind := 0, -1 // kind: where the EtherType stands
	switch link {
	case 1:
		skip, kind = 14, 12
	case 113:
		skip, kind = 16, 14
	case 276:
		skip, kind = 20, 0
	case 0, 108:
		skip = 4
	case 12, 14, 101, 228, 229:
	default:
		return
	}
	if len(p) < skip {
		return
	}
	if kind >= 0 {
		t := binary.BigEndian.Uint16(p[kind:])
		for link == 1 && (t == 0x8100 || t == 0x88a8) && len(p) >= skip+4 {
			t = binary.BigEndian.Uint16(p[skip+2:])
			skip += 4
		}
		if t != 0x0800 && t != 0x86dd {
			return
		}
	}
	f.packet(p[skip:], at)
}

// packet reads IPv4 or IPv6, fragments put together.
func (f *finder) packet(p []byte, at time.Time) {
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		head, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
		if head < 20 || total < head || total > len(p) {
			return
		}
		body, word := p[head:total], binary.BigEndian.Uint16(p[6:])
		if offset, more := int(word&0x1fff)*8, word&0x2000 != 0; offset > 0 || more {
			key := "4" + string(p[12:20]) + string(p[4:6]) + string(p[9:10])
			if body = f.join(key, fragment{offset, more, body}); body == nil {
				return
			}
		}
		f.transport(p[9], body, string(p[12:20]), at)
	case len(p) >= 40 && p[0]>>4 == 6:
		next, body := p[6], p[40:]
		if n := int(binary.BigEndian.Uint16(p[4:])); n < len(body) {
			body = body[:n]
		}
		for range 8 {
			switch next {
			case 0, 43, 60:
				if len(body) < 8 || len(body) < 8+int(body[1])*8 {
					return
				}
				next, body = body[0], body[8+int(body[1])*8:]
				continue
			case 44:
				if len(body) < 8 {
					return
				}
				word := binary.BigEndian.Uint16(body[2:])
				key := "6" + string(p[8:40]) + string(body[4:8])
				next = body[0]
				if body = f.join(key, fragment{int(word &^ 7), word&1 != 0, body[8:]}); body == nil {
					return
				}
				continue
			}
			break
		}
		f.transport(next, body, string(p[8:40]), at)
	}
}

// join keeps a fragment and returns the whole once it is there.
func (f *finder) join(key string, one fragment) []byte {
	if f.bytes += len(one.data); f.bytes > maxCapture || len(f.parts[key]) > 64 {
		return nil
	}
	f.parts[key] = append(f.parts[key], one)
	var whole []byte
	for {
		found := false
		for _, p := range f.parts[key] {
			if p.offset == len(whole) && len(p.data) > 0 {
				whole, found = append(whole, p.data...), true
				if !p.more {
					delete(f.parts, key)
					return whole
				}
			}
		}
		if !found || len(whole) > 1<<16 {
			return nil
		}
	}
}

func (f *finder) transport(proto byte, p []byte, addrs string, at time.Time) {
	switch {
	case proto == 17 && len(p) > 8:
		f.message(p[8:], at)
	case proto == 6 && len(p) >= 20:
		head := int(p[12]>>4) * 4
		if head < 20 || head > len(p) {
			return
		}
		f.segment(addrs+string(p[:4]), binary.BigEndian.Uint32(p[4:]), p[13]&2 != 0, p[head:], at)
	}
}

// segment follows one direction of a TCP connection.
func (f *finder) segment(key string, seq uint32, syn bool, data []byte, at time.Time) {
	fl := f.flows[key]
	if fl == nil || syn {
		if len(f.flows) > 4096 {
			return
		}
		fl = &flow{next: seq}
		if syn {
			fl.next++
		}
		f.flows[key] = fl
	}
	if len(data) == 0 || seq != fl.next {
		return
	}
	fl.next += uint32(len(data))
	if fl.buf = append(fl.buf, data...); len(fl.buf) > 1<<17 {
		fl.buf = nil
		return
	}
	if i := bytes.Index(fl.buf, []byte("INVITE ")); i >= 0 && bytes.Contains(fl.buf[i:], []byte("\r\n\r\n")) {
		f.message(fl.buf[i:], at)
		fl.buf = nil
	}
}

// message keeps what is an INVITE.
func (f *finder) message(p []byte, at time.Time) {
	if !bytes.HasPrefix(p, []byte("INVITE ")) {
		return
	}
	if req, ok := parseSIP(p); ok {
		f.out = append(f.out, invite{req, at})
	}
}
