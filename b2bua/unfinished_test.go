package b2bua_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// TestUnfinishedCallsHoldNothing: whatever half-finished calls come and go, over
// datagrams and connections, every slot, port and table entry comes back. The
// timers of SIP are the stack's package variables, so this runs in a process of
// its own, with T1 of 20 ms.
func TestUnfinishedCallsHoldNothing(t *testing.T) {
	if os.Getenv("UNFINISHED_CALLS") != "" {
		unfinishedCalls(t)
		return
	}
	cmd := exec.CommandContext(within(t), os.Args[0], "-test.run=^TestUnfinishedCallsHoldNothing$", "-test.v")
	cmd.Env = append(os.Environ(), "UNFINISHED_CALLS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func unfinishedCalls(t *testing.T) {
	sip.SetTimers(20*time.Millisecond, 80*time.Millisecond, 80*time.Millisecond)
	callee := flakyCallee(t)
	var ua *b2bua.UA
	ua = gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) { half(ctx, ua, leg, callee.LocalAddr().String()) }, func(c *b2bua.Config) {
		c.Listeners = append(c.Listeners, b2bua.Listener{Name: "stream", Transport: "tcp", Addr: "127.0.0.1:0"})
		c.Trunks[0].Calls = 30
		c.Trunks = append(c.Trunks, b2bua.Trunk{Name: "stream", Transport: "tcp", Sources: loopback, Calls: 20, SRTP: "off"})
		c.Limits.Calls, c.Limits.TrunkRate = 40, 1e6 // some calls meet a cap
	})
	before := ua.Held()
	var wg sync.WaitGroup
	for n := range 25 {
		wg.Go(func() {
			for i := range 12 {
				halfCall(t, ua, n*1000+i)
			}
		})
	}
	wg.Wait()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience/2) // before the process is killed
	defer cancel()
	for !maps.Equal(ua.Held(), before) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("held after all is over: %v, before: %v", ua.Held(), before)
		}
	}
	if handled.Load() < 50 {
		t.Errorf("only %d calls came through", handled.Load())
	}
}

// handled counts the calls that got as far as a handler.
var handled atomic.Int64

// half handles a call in one of many ways, not all of them good: on the handler's
// goroutine or, the leg told to stay, on another.
func half(ctx context.Context, ua *b2bua.UA, leg *b2bua.Leg, callee string) {
	handled.Add(1)
	if rand.N(2) == 0 {
		halfway(ctx, ua, leg, callee)
		return
	}
	leg.Stay()
	go func() {
		halfway(ctx, ua, leg, callee)
		leg.Hangup(ringfence.EndHangup)
	}()
}

func halfway(ctx context.Context, ua *b2bua.UA, leg *b2bua.Leg, callee string) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.N(150))*time.Millisecond)
	defer cancel()
	switch rand.N(7) {
	case 0:
		_ = leg.Refuse(ctx, 486, "Busy Here")
		return
	case 1:
		return // neither answered nor refused
	case 2:
		_ = leg.Ring(ctx)
	case 3:
		_ = leg.Progress(ctx)
	case 4:
		if out, err := ua.Place(ctx, ringfence.Placement{To: "sip:x@" + callee, Trunk: "loop", Beside: leg.ID(), Ring: time.Second}); err == nil {
			defer out.Hangup(ringfence.EndHangup)
		}
	case 5: // the leg outlives its handler's wish
		if out, err := ua.Place(context.WithoutCancel(ctx), ringfence.Placement{To: "sip:x@" + callee, Trunk: "loop", Ring: 200 * time.Millisecond}); err == nil {
			_ = leg.Join(out.ID())
			go func() {
				time.AfterFunc(300*time.Millisecond, func() { out.Hangup(ringfence.EndHangup) })
				for range out.Events() {
				}
			}()
		}
	}
	if rand.N(3) > 0 {
		_ = leg.Answer(ctx)
	}
	<-ctx.Done()
}

// halfCall is one call of a caller who does not keep to the rules: n names it.
func halfCall(t *testing.T, ua *b2bua.UA, n int) {
	network, listener := "udp", "main"
	if n%2 == 1 {
		network, listener = "tcp", "stream"
	}
	c, err := net.Dial(network, ua.Addrs()[listener].String())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	to, me := "<sip:4400@127.0.0.1>", c.LocalAddr().String()
	send := func(method, branch string, cseq int, body string) {
		kind := ""
		if body != "" {
			kind = sdpType
		}
		text := fmt.Sprintf("%s sip:4400@127.0.0.1 SIP/2.0\nVia: SIP/2.0/%s %s;branch=z9hG4bK%s%d;rport\nMax-Forwards: 70\nFrom: <sip:far@127.0.0.1>;tag=f1\nTo: %s\n"+
			"Call-ID: half-%d\nCSeq: %d %s\nContact: <sip:far@%s>\n%sContent-Length: %d\n\n%s", method, strings.ToUpper(network), me, branch, n, to, n, cseq, method, me, kind,
			len(strings.ReplaceAll(body, "\n", "\r\n")), body)
		_, _ = io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n"))
	}
	answers := make(chan string, 64)
	go listen(c, answers) // ends with the connection
	body := sdpBody(1, "")
	if n%5 == 0 {
		body = "" // a delayed offer that is never answered
	}
	send("INVITE", "a", 1, body)
	for range rand.N(6) {
		var got string
		select {
		case got = <-answers:
		case <-time.After(time.Duration(rand.N(60)) * time.Millisecond):
		}
		if v := line(got, "To"); v != "" {
			to = v
		}
		switch rand.N(9) {
		case 0:
			to = "<sip:4400@127.0.0.1>"
			send("CANCEL", "a", 1, "")
		case 1, 2:
			send("ACK", "ack", 1, "")
		case 3:
			send("BYE", "bye", 2, "")
		case 4:
			send("INVITE", "re", 3, sdpBody(2, "a=inactive\n")) // whose ACK may never come
		case 5:
			to = "<sip:4400@127.0.0.1>"
			send("INVITE", "merged", 1, body)
		case 6:
			send("UPDATE", "up", 4, sdpBody(3, ""))
		case 7:
			_, _ = io.WriteString(c, "INVITE sip:4400@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP x") // and the rest never comes
			return
		case 8:
			return // gone, without a word
		}
	}
}

// listen gives the messages that come, framed by what a datagram or a header is.
func listen(c net.Conn, out chan<- string) {
	r := bufio.NewReaderSize(c, 65536)
	for {
		var text strings.Builder
		for l := ""; l != "\r\n"; {
			var err error
			if l, err = r.ReadString('\n'); err != nil {
				return
			}
			text.WriteString(l)
		}
		if got := text.String(); strings.HasPrefix(got, "SIP/2.0") {
			select {
			case out <- got:
			default:
			}
		}
	}
}

// flakyCallee is a telephone, or several behind a proxy that forks, which answers
// in one of many ways, once or twice, or never.
func flakyCallee(t *testing.T) *net.UDPConn {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() { // ends with its socket
		buf := make([]byte, 65536)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			req := string(buf[:n])
			for _, status := range flakyAnswers(req) {
				status, tag, _ := strings.Cut(status, "#")
				to, body, kind := line(req, "To"), "", ""
				if tag != "" && !strings.Contains(to, "tag=") {
					to += ";tag=" + tag
				}
				if strings.HasPrefix(status, "2") && strings.HasPrefix(req, "INVITE") {
					body, kind = strings.ReplaceAll(sdpBody(1, ""), "\n", "\r\n"), "Content-Type: application/sdp\r\n"
				}
				_, _ = c.WriteToUDPAddrPort(fmt.Appendf(nil, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:x@%s>\r\n%sContent-Length: %d\r\n\r\n%s",
					status, line(req, "Via"), line(req, "From"), to, line(req, "Call-ID"), line(req, "CSeq"), c.LocalAddr(), kind, len(body), body), from)
			}
		}
	}()
	return c
}

// flakyAnswers are the statuses, with the To tag behind a #, of one request.
func flakyAnswers(req string) []string {
	if method, _, _ := strings.Cut(req, " "); method != "INVITE" {
		return [][]string{nil, {"200 OK#a"}, {"200 OK#a"}, {"481 Gone#a"}}[rand.N(4)]
	}
	return [][]string{
		nil, {"100 Trying"}, {"180 Ringing#a"}, {"180 Ringing#a", "183 Progress#b"}, {"486 Busy#a"}, {"503 Full#a"},
		{"200 OK#a"}, {"180 Ringing#a", "200 OK#a"}, {"200 OK#a", "200 OK#b"}, {"180 Ringing#a", "200 OK#b", "200 OK#c", "200 OK#b"}, {"302 Moved#a"},
	}[rand.N(11)]
}
