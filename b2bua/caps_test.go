package b2bua_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// TestCallsInProgressReachAPerson: who fills the cap with calls, or a drain,
// keeps nobody who is here already from an agent; nothing else passes the cap.
func TestCallsInProgressReachAPerson(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	ua := gateway(t, "udp", answering(legs), func(c *b2bua.Config) { c.Limits.Calls = 1 })
	p, agent := phone(t, peer.Config{}), newFar(t, nil)
	call, err := p.Call(within(t), peer.Invite{To: "sip:1@" + ua.Addrs()["main"].String()})
	if err != nil {
		t.Fatal(err)
	}
	caller := answered(t, legs)
	place := func(beside ringfence.LegID) (*b2bua.Leg, error) {
		return ua.Place(t.Context(), ringfence.Placement{To: "sip:ada@" + agent.addr().String(), Beside: beside})
	}
	for _, draining := range []bool{false, true} {
		want := b2bua.ErrFull
		if draining {
			want = b2bua.ErrDraining
			short, cancel := context.WithCancel(t.Context())
			cancel()
			_ = ua.Drain(short)
		}
		for _, beside := range []ringfence.LegID{"", "leg_of_nobody"} {
			if _, err := place(beside); !errors.Is(err, want) {
				t.Errorf("draining %v: beside %q: %v, want %v", draining, beside, err, want)
			}
		}
		leg, err := place(caller.ID())
		if err != nil {
			t.Fatalf("draining %v: beside the call: %v", draining, err)
		}
		if _, err := place(caller.ID()); !errors.Is(err, b2bua.ErrFull) {
			t.Errorf("draining %v: two over the cap: %v", draining, err)
		}
		agent.next("INVITE")
		leg.Hangup(ringfence.EndHangup)
		await(t, leg, ringfence.LegEnded)
	}
	call.Hangup()
	await(t, caller, ringfence.LegEnded)
	if _, err := place(caller.ID()); !errors.Is(err, b2bua.ErrDraining) {
		t.Errorf("beside a call that is over: %v", err)
	}
}

// TestOptionsOfAFullTrunk: a trunk that has as many calls as it may is told so
// before it tries one more, and another trunk is not.
func TestOptionsOfAFullTrunk(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	ua := gateway(t, "udp", answering(legs), func(c *b2bua.Config) {
		c.Trunks[0].Calls, c.Trunks[0].Sources = 1, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.Trunks = append(c.Trunks, b2bua.Trunk{Name: "other", Transport: "udp", Sources: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, SRTP: "off"})
	})
	f := newFar(t, ua)
	other, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, net.UDPAddrFromAddrPort(f.gw))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ask := func() (string, string) {
		t.Helper()
		f.request("OPTIONS", 9, "", "", "")
		req := strings.ReplaceAll("OPTIONS sip:1@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKo;rport\nMax-Forwards: 70\nFrom: <sip:o@127.0.0.2>;tag=o\nTo: <sip:1@127.0.0.1>\nCall-ID: o\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n", "\n", "\r\n")
		if _, err := other.Write([]byte(req)); err != nil {
			t.Fatal(err)
		}
		_ = other.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 4096)
		n, err := other.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return f.next("SIP/2.0 "), string(buf[:n])
	}
	if mine, theirs := ask(); !strings.HasPrefix(mine, "SIP/2.0 200") || !strings.HasPrefix(theirs, "SIP/2.0 200") {
		t.Errorf("before: %s\n%s", mine, theirs)
	}
	f.invite("", sdpBody(1, ""))
	answered(t, legs)
	if mine, theirs := ask(); !strings.HasPrefix(mine, "SIP/2.0 503") || line(mine, "Retry-After") == "" || !strings.HasPrefix(theirs, "SIP/2.0 200") {
		t.Errorf("full: %s\n%s", mine, theirs)
	}
}

// TestStrangersFillNoConnections: who is no trunk leaves room for trunks, however
// many addresses it has, and gets nothing where it is owed no answer.
func TestStrangersFillNoConnections(t *testing.T) {
	for _, strangers := range []b2bua.Strangers{b2bua.StrangersRefuse, b2bua.StrangersDrop} {
		t.Run("strangers "+string(strangers), func(t *testing.T) {
			ua := gateway(t, "tcp", nil, func(c *b2bua.Config) {
				c.Strangers, c.Limits.Connections, c.Limits.PerSource = strangers, 8, 2
				c.Trunks[0].Sources = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			})
			for n := range 20 {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n))}}
				c, err := d.DialContext(t.Context(), "tcp", ua.Addrs()["main"].String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if n >= 2 || strangers == b2bua.StrangersDrop {
					closed(t, c)
				}
			}
			w := dial(t, ua, "tcp", nil)
			w.canary()
			if r, err := w.final(); err != nil || r.code != 200 {
				t.Errorf("a trunk behind the strangers got %d, %v", r.code, err)
			}
		})
	}
}

var mediaPort = regexp.MustCompile(`m=audio (\d+) `)

// portIn is the media port of a description, at the gateway.
func portIn(t *testing.T, text string) *net.UDPAddr {
	t.Helper()
	m := mediaPort.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no media:\n%s", text)
	}
	n, _ := strconv.Atoi(m[1])
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n}
}

// TestOverloadLosesNoPacket: while calls past the cap are refused as fast as they
// come, a bridged call has every packet of both sides, whole and in order. It is
// counted by packets: each is sent when the one before has arrived.
func TestOverloadLosesNoPacket(t *testing.T) {
	callee := newFar(t, nil)
	var ua *b2bua.UA
	ua = gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		out, err := ua.Place(ctx, ringfence.Placement{To: "sip:ada@" + callee.addr().String(), Beside: leg.ID()})
		if err != nil || leg.Answer(ctx) != nil {
			t.Errorf("place: %v", err)
			return
		}
		await(t, out, ringfence.LegAnswered)
		if err := leg.Join(out.ID()); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
	}, func(c *b2bua.Config) { c.Limits.Calls, c.Limits.TrunkRate = 2, 1e6 })
	near, nearPort := ear(t)
	far, farPort := ear(t)
	f := newFar(t, ua)
	f.request("INVITE", 1, "", "", strings.Replace(sdpBody(1, ""), "40400", strconv.Itoa(nearPort), 1))
	inv := callee.next("INVITE")
	callee.answer(inv, "200 OK", "ada", sdpType, strings.Replace(sdpBody(1, ""), "40400", strconv.Itoa(farPort), 1))
	ok := f.next("SIP/2.0 200")
	f.request("ACK", 1, line(ok, "To"), "", "")
	callee.next("ACK")
	var refused atomic.Int64
	stop, over := make(chan struct{}), make(chan struct{})
	go func() { defer close(over); overload(t, ua, stop, &refused) }()
	for _, way := range []struct {
		from, to *net.UDPConn
		at       *net.UDPAddr
	}{{near, far, portIn(t, ok)}, {far, near, portIn(t, inv)}} {
		for n := 0; n < 100 || refused.Load() < 500; n++ {
			relayed(t, way.from, way.to, way.at, uint16(n))
		}
	}
	close(stop)
	<-over
}

// relayed sends one packet and waits for it at the other end. The first may be
// sent again: the gateway may not have joined the two yet.
func relayed(t *testing.T, from, to *net.UDPConn, at *net.UDPAddr, seq uint16) {
	t.Helper()
	p := make([]byte, 172)
	p[0], p[1] = 0x80, 0
	binary.BigEndian.PutUint16(p[2:], seq)
	binary.BigEndian.PutUint32(p[4:], uint32(seq)*160)
	binary.BigEndian.PutUint32(p[8:], 77)
	for i := range p[12:] {
		p[12+i] = byte(seq) + byte(i) | 0x80
	}
	buf := make([]byte, 2048)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := from.WriteToUDP(p, at); err != nil {
			t.Fatal(err)
		}
		wait := patience
		if seq == 0 {
			wait = 20 * time.Millisecond
		}
		_ = to.SetReadDeadline(time.Now().Add(wait))
		for {
			n, err := to.Read(buf)
			if err != nil {
				break
			}
			if n == 172 && string(buf[12:n]) == string(p[12:]) {
				return
			}
		}
		if seq > 0 {
			break
		}
	}
	t.Fatalf("packet %d was lost", seq)
}

// overload sends INVITEs as fast as the socket takes them and counts what is
// refused.
func overload(t *testing.T, ua *b2bua.UA, stop <-chan struct{}, refused *atomic.Int64) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(ua.Addrs()["main"]))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	go func() { // ends with the socket
		buf := make([]byte, 65536)
		for {
			n, err := c.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if strings.HasPrefix(string(buf[:n]), "SIP/2.0 503") {
				refused.Add(1)
			}
		}
	}()
	body := strings.ReplaceAll(sdpBody(1, ""), "\n", "\r\n")
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		_, _ = c.Write(fmt.Appendf(nil, "INVITE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK%d;rport\r\nMax-Forwards: 70\r\nFrom: <sip:o@127.0.0.1>;tag=o\r\nTo: <sip:1@127.0.0.1>\r\n"+
			"Call-ID: over-%d\r\nCSeq: 1 INVITE\r\nContact: <sip:o@127.0.0.1>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", n, n, len(body), body))
	}
}
