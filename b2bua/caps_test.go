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
	started := make(chan struct{})
	ua = gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		<-started
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
	close(started)
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

// TestCapsOfATenantAndASource: who is one too many is told when to come again,
// by 486 where only the called tenant is busy; the call in progress goes on, and
// the place is free when it is over.
func TestCapsOfATenantAndASource(t *testing.T) {
	for _, tt := range []struct {
		of      b2bua.Cap
		change  func(*b2bua.Config)
		status  string
		options string // an OPTIONS of the same source meanwhile
	}{
		{b2bua.CapSource, func(c *b2bua.Config) { c.Trunks[0].CallsPerSource = 1 }, "SIP/2.0 503 Service Unavailable", "SIP/2.0 503"},
		{b2bua.CapTrunk, func(c *b2bua.Config) { c.Trunks[0].Calls = 1 }, "SIP/2.0 503 Service Unavailable", "SIP/2.0 503"},
		{b2bua.CapTenant, func(c *b2bua.Config) {
			c.Tenant = func(trunk, called string) (ringfence.TenantID, int) {
				if trunk != "loop" || called != "4400" {
					return "", 0
				}
				return "a", 1
			}
		}, "SIP/2.0 486 Busy Here", "SIP/2.0 200"},
	} {
		t.Run(string(tt.of), func(t *testing.T) {
			legs := make(chan *b2bua.Leg, 1)
			ua := gateway(t, "udp", answering(legs), tt.change)
			before := ua.Held()
			f := newFar(t, ua)
			ok := f.invite("", sdpBody(1, ""))
			caller := answered(t, legs)
			sends := func(method, callID, called, to, body string) {
				f.send("%s sip:%s@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s;rport\nMax-Forwards: 70\nFrom: <sip:far@127.0.0.1>;tag=f2\nTo: %s\n"+
					"Call-ID: %s\nCSeq: 1 %s\nContact: <sip:far@%s>\nContent-Type: application/sdp\nContent-Length: %d\n\n%s", method, called, f.addr(), method, callID, to, callID, method, f.addr(),
					len(strings.ReplaceAll(body, "\n", "\r\n")), body)
			}
			again := func(callID, called string) string {
				sends("INVITE", callID, called, "<sip:4400@127.0.0.1>", sdpBody(1, ""))
				for {
					res := f.next("SIP/2.0 ")
					if line(res, "Call-ID") != callID || strings.HasPrefix(res, "SIP/2.0 100") {
						continue
					}
					sends("ACK", callID, called, line(res, "To"), "")
					return res
				}
			}
			ends := func(leg *b2bua.Leg) {
				leg.Hangup(ringfence.EndHangup)
				f.answer(f.next("BYE"), "200 OK", "", "", "")
			}
			if res := again("c2", "4400"); !strings.HasPrefix(res, tt.status) || line(res, "Retry-After") == "" {
				t.Errorf("one more: %s", res)
			}
			if got := ua.Refused(); got[tt.of] != 1 || len(got) != 1 {
				t.Errorf("refused: %v", got)
			}
			f.request("OPTIONS", 9, "", "", "")
			if res := f.next("SIP/2.0 "); !strings.HasPrefix(res, tt.options) {
				t.Errorf("OPTIONS: %s", res)
			}
			if tt.of == b2bua.CapTenant {
				if res := again("c3", "4401"); !strings.HasPrefix(res, "SIP/2.0 200") {
					t.Errorf("a call of nobody's: %s", res)
				}
				ends(answered(t, legs))
			}
			f.request("INFO", 20, line(ok, "To"), "", "") // the call is still there
			if res := f.next("SIP/2.0 "); !strings.HasPrefix(res, "SIP/2.0 200") || line(res, "CSeq") != "20 INFO" {
				t.Errorf("in the call: %s", res)
			}
			f.request("BYE", 21, line(ok, "To"), "", "")
			await(t, caller, ringfence.LegEnded)
			if res := again("c4", "4400"); !strings.HasPrefix(res, "SIP/2.0 200") {
				t.Errorf("after it: %s", res)
			}
			ends(answered(t, legs))
			settles(t, "callers or tenants", before["callers"]+before["tenants"], func() int { h := ua.Held(); return h["callers"] + h["tenants"] })
		})
	}
}

// TestACallBackHasAReserve: strangers who fill the cap with calls, or a drain,
// keep no caller from the call-back by which they prove who they are, nor a call
// from its recorder; and the reserve is no way round the cap.
func TestACallBackHasAReserve(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	ua := gateway(t, "udp", answering(legs), func(c *b2bua.Config) { c.Limits.Calls, c.Limits.Reserve = 1, 2 })
	f, customer := newFar(t, ua), newFar(t, nil)
	ok := f.invite("", sdpBody(1, ""))
	caller := answered(t, legs)
	callBack := func(during ringfence.LegID) (*b2bua.Leg, error) {
		return ua.Place(t.Context(), ringfence.Placement{To: "sip:7@" + customer.addr().String(), During: during, Contact: true})
	}
	record := func() (*b2bua.Leg, error) {
		return ua.PlaceRecording(t.Context(), ringfence.Placement{To: "sip:r@" + customer.addr().String(), During: caller.ID()},
			b2bua.Recorder{Metadata: []byte("<x/>"), Streams: [2]b2bua.Source{&hum{clip: tone(500, time.Second)}, &hum{clip: tone(900, time.Second)}}})
	}
	want := b2bua.ErrFull
	for _, draining := range []bool{false, true} {
		if draining {
			want = b2bua.ErrDraining
			short, cancel := context.WithCancel(t.Context())
			cancel()
			_ = ua.Drain(short)
		}
		var placed []*b2bua.Leg
		for _, nobody := range []ringfence.LegID{"", "leg_of_nobody"} {
			if _, err := callBack(nobody); !errors.Is(err, want) {
				t.Errorf("draining %v: for %q: %v, want %v", draining, nobody, err, want)
			}
		}
		for _, place := range []func() (*b2bua.Leg, error){record, func() (*b2bua.Leg, error) { return callBack(caller.ID()) }} {
			leg, err := place()
			if err != nil {
				t.Fatalf("draining %v: %v", draining, err)
			}
			placed = append(placed, leg)
			if _, err := record(); !errors.Is(err, b2bua.ErrFull) {
				t.Errorf("draining %v: a second recorder: %v", draining, err)
			}
		}
		if _, err := callBack(caller.ID()); !errors.Is(err, b2bua.ErrFull) {
			t.Errorf("draining %v: past the reserve: %v", draining, err)
		}
		for seen := map[string]bool{}; len(seen) < len(placed); {
			if inv := customer.next("INVITE"); !seen[line(inv, "Call-ID")] { // not a copy
				seen[line(inv, "Call-ID")] = true
				customer.answer(inv, "486 Busy Here", "t", "", "")
			}
		}
		for _, leg := range placed {
			await(t, leg, ringfence.LegEnded)
		}
	}
	f.request("BYE", 21, line(ok, "To"), "", "")
	await(t, caller, ringfence.LegEnded)
	if held := ua.Held(); held["reserved"] != 0 || held["recording"] != 0 {
		t.Errorf("held after it: %v", held)
	}
}
