package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
)

// wire is a capture of the loopback interface, as a stranger on the line would
// make one: the TCP and UDP payloads that go from or to chosen ports.
type wire struct {
	ports map[int]bool
	fd    int

	mu  sync.Mutex // guards what follows
	tcp []byte
	udp [][]byte
	out map[uint8]int // RTP packets from the chosen ports, by payload type
	in  map[uint8]int // and to them
}

// rtcpBye is a packet type of RFC 3550, section 12.1.
const rtcpBye = 203

// listenIn starts a capture. It needs the right to open raw sockets.
func listenIn(t testing.TB, ports ...int) *wire {
	t.Helper()
	const everything = 0x0300 // ETH_P_ALL in network order
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, everything)
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") != "true" {
		t.Skip("a capture needs the right to open raw sockets")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 100_000}); err != nil {
		t.Fatal(err)
	}
	w := &wire{ports: map[int]bool{}, fd: fd, out: map[uint8]int{}, in: map[uint8]int{}}
	for _, p := range ports {
		w.ports[p] = true
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { w.read(stop) })
	t.Cleanup(func() {
		close(stop)
		reader.Wait()
		syscall.Close(fd)
	})
	return w
}

func (w *wire) read(stop <-chan struct{}) {
	buf := make([]byte, 1<<16)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, _, err := syscall.Recvfrom(w.fd, buf, 0)
		if err != nil || n < 20 || buf[0]>>4 != 4 {
			continue // nothing came, or no IPv4
		}
		if head := int(buf[0]&15) * 4; n > head+8 {
			w.take(buf[9], buf[head:n])
		}
	}
}

func (w *wire) take(protocol byte, segment []byte) {
	from, to := int(binary.BigEndian.Uint16(segment)), int(binary.BigEndian.Uint16(segment[2:]))
	if !w.ports[from] && !w.ports[to] {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch protocol {
	case syscall.IPPROTO_TCP:
		if len(segment) >= 20 {
			w.tcp = append(w.tcp, segment[min(int(segment[12]>>4)*4, len(segment)):]...)
		}
	case syscall.IPPROTO_UDP:
		if w.ports[from] && len(segment) > 9 && segment[9] == rtcpBye {
			return // baresip 1.0.0 says goodbye in plain RTCP, keys or no keys
		}
		w.udp = append(w.udp, bytes.Clone(segment[8:]))
		if len(segment) > 9 && w.ports[from] {
			w.out[segment[9]&0x7f]++
		} else if len(segment) > 9 {
			w.in[segment[9]&0x7f]++
		}
	}
}

// opus counts the packets of dynamic payload types each way, of which a call
// without keys pressed has one.
func (w *wire) opus() (out, in int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for pt := uint8(96); pt < 128; pt++ {
		out, in = out+w.out[pt], in+w.in[pt]
	}
	return out, in
}

// unreadable wants traffic of both kinds, and nothing in it that a stranger
// could read or hear.
func (w *wire) unreadable(t testing.TB, secrets ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tcp) < 2000 || len(w.udp) < 200 {
		t.Fatalf("the capture has %d octets of signalling and %d packets of media: too little to judge", len(w.tcp), len(w.udp))
	}
	for _, s := range append(secrets, "SIP/2.0", "INVITE", "sip:", "application/sdp") {
		if bytes.Contains(w.tcp, []byte(s)) {
			t.Errorf("the signalling shows %q", s)
		}
		for _, p := range w.udp {
			if bytes.Contains(p, []byte(s)) {
				t.Errorf("a packet shows %q: %q", s, p)
			}
		}
	}
	for _, p := range w.udp {
		if len(p) < 12+packetBytes {
			continue
		}
		for _, octet := range []byte{callerOctet, agentOctet, 0xff, 0x7f} { // 0xff and 0x7f are silence
			if bytes.Contains(p, bytes.Repeat([]byte{octet}, 16)) {
				t.Fatalf("a packet carries plain audio: % x", p[:min(len(p), 40)])
			}
		}
	}
}
