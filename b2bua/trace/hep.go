package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// HEPConfig says where masked copies of the signalling go.
type HEPConfig struct {
	Addr     string // host:port of the capture server, UDP
	Agent    uint32 // capture agent id
	Password string // of the capture server; empty = none
}

// hepQueue is how many messages wait to be sent.
const hepQueue = 1024

// HEP sends masked copies of SIP messages to a capture server, such as Homer,
// in HEP version 3. What the server or the network is too slow for is dropped
// and counted.
type HEP struct {
	cfg     HEPConfig
	conn    net.Conn
	queue   chan hepItem
	done    chan struct{}
	dropped atomic.Int64
	sent    atomic.Int64
	closed  atomic.Bool
}

type hepItem struct {
	m   Message
	end bool
}

// NewHEP opens the socket. Nothing is asked of the server.
func NewHEP(ctx context.Context, cfg HEPConfig) (*HEP, error) {
	if cfg.Addr == "" {
		return nil, errors.New("hep: no address of a capture server")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	h := &HEP{cfg: cfg, conn: conn, queue: make(chan hepItem, hepQueue), done: make(chan struct{})}
	go h.run() // ends by Close, which waits
	return h, nil
}

// Message queues a copy.
func (h *HEP) Message(m Message) {
	if h.closed.Load() {
		return
	}
	m.Raw = append([]byte(nil), m.Raw[:min(len(m.Raw), maxMask)]...)
	select {
	case h.queue <- hepItem{m: m}:
	default:
		h.dropped.Add(1)
	}
}

// Counts returns how many messages were sent and dropped.
func (h *HEP) Counts() (sent, dropped int64) { return h.sent.Load(), h.dropped.Load() }

// Close sends what is queued and ends.
func (h *HEP) Close() {
	if !h.closed.Swap(true) {
		h.queue <- hepItem{end: true}
	}
	<-h.done
}

func (h *HEP) run() {
	defer close(h.done)
	defer h.conn.Close()
	for i := range h.queue {
		if i.end {
			return
		}
		if _, err := h.conn.Write(h.packet(i.m)); err != nil {
			h.dropped.Add(1)
			continue
		}
		h.sent.Add(1)
	}
}

// The chunks of HEP version 3 (vendor 0) that are sent.
const (
	hepFamily      = 1
	hepProtocol    = 2
	hepSource4     = 3
	hepDest4       = 4
	hepSource6     = 5
	hepDest6       = 6
	hepSourcePort  = 7
	hepDestPort    = 8
	hepSeconds     = 9
	hepMicros      = 10
	hepType        = 11
	hepAgent       = 12
	hepKey         = 14
	hepPayload     = 15
	hepCorrelation = 17
)

// packet encodes a masked copy of a message.
func (h *HEP) packet(m Message) []byte {
	src, dst := m.Local, m.Peer
	if m.Received {
		src, dst = dst, src
	}
	out := append(make([]byte, 0, len(m.Raw)+128), "HEP3\x00\x00"...)
	protocol := byte(17)
	if m.Transport != "udp" {
		protocol = 6
	}
	four := src.Addr().Unmap().Is4() && dst.Addr().Unmap().Is4()
	if four {
		out = chunk(out, hepFamily, []byte{2})
	} else {
		out = chunk(out, hepFamily, []byte{10})
	}
	out = chunk(out, hepProtocol, []byte{protocol})
	out = address(out, src, four, hepSource4, hepSource6)
	out = address(out, dst, four, hepDest4, hepDest6)
	out = chunk(out, hepSourcePort, binary.BigEndian.AppendUint16(nil, src.Port()))
	out = chunk(out, hepDestPort, binary.BigEndian.AppendUint16(nil, dst.Port()))
	out = chunk(out, hepSeconds, binary.BigEndian.AppendUint32(nil, uint32(m.At.Unix())))
	out = chunk(out, hepMicros, binary.BigEndian.AppendUint32(nil, uint32(m.At.Nanosecond()/int(time.Microsecond))))
	out = chunk(out, hepType, []byte{1}) // SIP
	out = chunk(out, hepAgent, binary.BigEndian.AppendUint32(nil, h.cfg.Agent))
	if h.cfg.Password != "" {
		out = chunk(out, hepKey, []byte(h.cfg.Password))
	}
	if s, ok := summarise(m.Raw); ok {
		out = chunk(out, hepCorrelation, []byte(s.callID))
	}
	masked := Mask(m.Raw)
	masked = masked[:min(len(masked), 65000-len(out))] // one datagram
	out = chunk(out, hepPayload, masked)
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)))
	return out
}

func address(out []byte, a netip.AddrPort, four bool, v4, v6 uint16) []byte {
	if four {
		b := a.Addr().Unmap().As4()
		return chunk(out, v4, b[:])
	}
	b := a.Addr().As16()
	return chunk(out, v6, b[:])
}

// chunk appends one: vendor, type, length with its head, value.
func chunk(out []byte, kind uint16, value []byte) []byte {
	out = append(out, 0, 0)
	out = binary.BigEndian.AppendUint16(out, kind)
	out = binary.BigEndian.AppendUint16(out, uint16(6+len(value)))
	return append(out, value...)
}
