package e2e

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/b2bua/voice"
	"github.com/ringfence/ringfence/scripts"
)

// media is the audio side of a foreign telephone: a socket that sends one
// known pattern as PCMU, presses keys by RFC 4733, counts what comes and
// understands the shipped recordings. It shares no code with the gateway's
// own media. SIPp does the signalling beside it.
type media struct {
	t    testing.TB
	conn *net.UDPConn
	mine byte // payload octet that this side sends

	mu     sync.Mutex     // guards everything below
	to     netip.AddrPort // where packets came from first
	keys   []byte         // still to be pressed
	octets map[byte]int   // packets of one octet only, by octet
	heard  map[string]int // recordings, by text
	ear    *voice.Recogniser
}

const (
	packetBytes = 160 // 20 ms of PCMU
	eventType   = 101
)

// newMedia opens a socket. It sends octet once somebody sends to it.
func newMedia(t testing.TB, octet byte) *media {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	library, err := voice.Open(scripts.Audio())
	if err != nil {
		t.Fatal(err)
	}
	m := &media{t: t, conn: conn, mine: octet, octets: map[byte]int{}, heard: map[string]int{}}
	if m.ear, err = voice.NewRecogniser(library, "en"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(m.receive)
	wg.Go(func() { m.send(stop) })
	t.Cleanup(func() {
		close(stop)
		conn.Close()
		wg.Wait()
	})
	return m
}

func (m *media) port() int { return m.conn.LocalAddr().(*net.UDPAddr).Port }

// press keys digits, one after the other.
func (m *media) press(digits string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = append(m.keys, digits...)
}

// hear waits until a recording was heard.
func (m *media) hear(ctx context.Context, text string) {
	m.t.Helper()
	until(ctx, m.t, "hearing "+text, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.heard[text] > 0
	})
}

// count waits for n packets of the other side's octet.
func (m *media) count(ctx context.Context, octet byte, n int) {
	m.t.Helper()
	until(ctx, m.t, "audio of the other side", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.octets[octet] >= n
	})
}

func (m *media) receive() {
	buf := make([]byte, 2048)
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n != 12+packetBytes || buf[0] != 0x80 || buf[1]&0x7f != 0 {
			continue // RTCP, events
		}
		m.take(from, buf[12:n])
	}
}

func (m *media) take(from netip.AddrPort, payload []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to = from
	one := true
	pcm := make([]int16, len(payload))
	for i, b := range payload {
		one = one && b == payload[0]
		pcm[i] = linear(b)
	}
	if one {
		m.octets[payload[0]]++
	}
	for _, h := range m.ear.Write(pcm) {
		m.heard[h.Text]++
	}
}

// linear expands one octet of µ-law (ITU-T G.711).
func linear(b byte) int16 {
	b = ^b
	v := (int16(b&0x0f)<<3 + 0x84) << (b >> 4 & 7)
	if b&0x80 != 0 {
		return 0x84 - v
	}
	return v - 0x84
}

// send keeps a packet every 20 ms on its way: keys first, else the pattern.
func (m *media) send(stop <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var event []byte // payloads of the key being pressed
	var began uint32
	for seq, stamp := uint16(1), uint32(0); ; seq, stamp = seq+1, stamp+packetBytes {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if len(event) == 0 {
			event, began = m.nextKey(), stamp
		}
		to, head := m.target(), make([]byte, 12, 12+packetBytes)
		head[0] = 0x80
		binary.BigEndian.PutUint16(head[2:], seq)
		binary.BigEndian.PutUint32(head[4:], stamp)
		binary.BigEndian.PutUint32(head[8:], 0x0e2e0000|uint32(m.mine))
		switch {
		case len(event) >= 4:
			head[1] = eventType
			binary.BigEndian.PutUint32(head[4:], began)
			head, event = append(head, event[:4]...), event[4:]
		default:
			for range packetBytes {
				head = append(head, m.mine)
			}
		}
		if to.IsValid() {
			m.conn.WriteToUDPAddrPort(head, to)
		}
	}
}

func (m *media) target() netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.to
}

// nextKey returns the event payloads of the next key: five while it is held
// and three that end it (RFC 4733, section 2.5).
func (m *media) nextKey() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.keys) == 0 {
		return nil
	}
	code := m.keys[0] - '0'
	switch m.keys[0] {
	case '*':
		code = 10
	case '#':
		code = 11
	}
	m.keys = m.keys[1:]
	var out []byte
	for i := range 8 {
		held, end := uint16(min(i+1, 6)*packetBytes), byte(10)
		if i >= 5 {
			end |= 0x80
		}
		out = binary.BigEndian.AppendUint16(append(out, code, end), held)
	}
	return out
}
