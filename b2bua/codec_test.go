package b2bua_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// bridge answers each caller with a prompt of 500 Hz until a key is pressed,
// and then joins it to agent. It closes over when a call is over.
func bridge(t *testing.T, ua **b2bua.UA, agent *peer.Peer, over chan<- struct{}) b2bua.HandlerFunc {
	return func(ctx context.Context, leg *b2bua.Leg) {
		defer close(over)
		if err := leg.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
			return
		}
		leg.Loop(tone(500, time.Second))
		await(t, leg, ringfence.LegDigit)
		out, err := (*ua).Place(ctx, ringfence.Placement{To: agent.URI("agent"), Purpose: "agent"})
		if err != nil {
			t.Errorf("Place: %v", err)
			return
		}
		await(t, out, ringfence.LegAnswered)
		if err := leg.Join(out.ID()); err != nil {
			t.Errorf("Join: %v", err)
		}
		await(t, leg, ringfence.LegEnded)
		out.Hangup(ringfence.EndHangup)
		await(t, out, ringfence.LegEnded)
	}
}

// TestCodecs: a caller and an agent with different codecs, addresses of either
// family; each hears the prompt or the other.
func TestCodecs(t *testing.T) {
	for _, tt := range []struct{ caller, agent, host string }{
		{"G722", "G722", "127.0.0.1"}, {"G722", "PCMA", "127.0.0.1"}, {"PCMU", "G722", "127.0.0.1"}, {"PCMA", "PCMU", "[::1]"},
	} {
		t.Run(tt.caller+" "+tt.agent+" "+tt.host, func(t *testing.T) {
			t.Parallel()
			caller := phone(t, peer.Config{Addr: tt.host + ":0", Codecs: []string{tt.caller}})
			agent := phone(t, peer.Config{Addr: tt.host + ":0", Codecs: []string{tt.agent}})
			var ua *b2bua.UA
			over := make(chan struct{})
			ua = gateway(t, "udp", bridge(t, &ua, agent, over), func(c *b2bua.Config) {
				c.Listeners[0].Addr = tt.host + ":0"
				c.Trunks[0].Codecs = []string{"PCMU", "PCMA", "G722"}
				if tt.host == "[::1]" {
					c.Trunks[0].Sources = loopback6
				}
			})
			agents := make(chan *peer.Call, 1)
			agent.Serve(func(ctx context.Context, c *peer.Call) {
				_ = c.Answer(ctx)
				agents <- c
				<-c.Done()
			})
			call, err := caller.Call(within(t), peer.Invite{To: "sip:4400@" + ua.Addrs()["main"].String()})
			if err != nil {
				t.Fatal(err)
			}
			hears(t, call, 500)
			if err := call.Press("1"); err != nil {
				t.Fatal(err)
			}
			var other *peer.Call
			select {
			case other = <-agents:
			case <-within(t).Done():
				t.Fatal("the agent was not called")
			}
			call.Leg().Loop(tone(900, time.Second))
			other.Leg().Loop(tone(1300, time.Second))
			hears(t, other, 900)
			hears(t, call, 1300)
			call.Hangup()
			done(t, "the end of the call", over)
		})
	}
}

// TestInbandDigits: a far end that has neither telephone-events nor INFO is
// listened to.
func TestInbandDigits(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	f := newFar(t, gateway(t, "udp", answering(legs)))
	media, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	ok := f.invite("", fmt.Sprintf("v=0\no=- 5 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio %d RTP/AVP 0\na=ptime:60\n", media.LocalAddr().(*net.UDPAddr).Port))
	if !strings.Contains(ok, "a=ptime:60") {
		t.Errorf("ptime 60 was not kept to:\n%s", ok)
	}
	leg := answered(t, legs)
	var port int
	for _, l := range strings.Split(ok, "\r\n") {
		_, _ = fmt.Sscanf(l, "m=audio %d RTP", &port)
	}
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	pressed := make(chan byte, 1)
	go func() { pressed <- await(t, leg, ringfence.LegDigit).Digit }()
	for seq := 0; ; seq++ { // half a second of a key, half a second of nothing
		packet := []byte{0x80, 0, byte(seq >> 8), byte(seq), 0, 0, 0, 0, 1, 2, 3, 4}
		ts := seq * 480
		packet[4], packet[5], packet[6], packet[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
		for i := range 480 {
			at, v := 2*math.Pi*float64(ts+i)/8000, 0.0
			if seq%16 < 8 {
				v = 8000 * (math.Sin(770*at) + math.Sin(1336*at))
			}
			packet = append(packet, g711.EncodeUlawFrame(int16(v)))
		}
		if _, err := media.WriteToUDP(packet, to); err != nil {
			t.Fatal(err)
		}
		select {
		case d := <-pressed:
			if d != '5' {
				t.Errorf("heard %q, want 5", d)
			}
			return
		case <-time.After(60 * time.Millisecond): // the pace of the stream
		}
	}
}
