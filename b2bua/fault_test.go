package b2bua_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// TestDeadMediaEndsTheCall: a far end whose packets stay away while its SIP goes
// on is hung up, and the record says why.
func TestDeadMediaEndsTheCall(t *testing.T) {
	t.Parallel()
	legs, records := make(chan *b2bua.Leg, 1), make(chan b2bua.CDR, 1)
	f := newFar(t, gateway(t, "udp", answering(legs), func(c *b2bua.Config) {
		c.Media.DeadAfter, c.CDR = time.Second, func(r b2bua.CDR) { records <- r }
	}))
	ok := f.invite("", sdpBody(1, ""))
	leg := answered(t, legs)
	f.request("UPDATE", 2, line(ok, "To"), "", "")
	f.next("SIP/2.0 200")
	f.answer(f.next("BYE"), "200 OK", "", "", "")
	if e := await(t, leg, ringfence.LegEnded); e.Cause != ringfence.EndMedia {
		t.Errorf("ended by %s", e.Cause)
	}
	if r := <-records; r.Cause != ringfence.EndMedia || r.Answered.IsZero() {
		t.Errorf("record %+v", r)
	}
}

// TestTelephonesThatCannotBeReached: a port that refuses, a host that says
// nothing, and one that has no room end the placement by a cause of its own, in
// the time that it may ring at the latest.
func TestTelephonesThatCannotBeReached(t *testing.T) {
	closed := func(t *testing.T, transport string) string {
		if transport == "udp" { // the answer is ICMP
			c, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			return c.LocalAddr().String()
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String() + ";transport=tcp"
	}
	says := func(status string) func(*testing.T) string {
		return func(t *testing.T) string {
			f := newFar(t, nil)
			if status == "" {
				return f.addr().String()
			}
			go func() {
				buf := make([]byte, 65536)
				n, from, err := f.conn.ReadFromUDPAddrPort(buf)
				if err == nil {
					f.gw = from
					f.answer(string(buf[:n]), status, "one", "", "")
				}
			}()
			return f.addr().String()
		}
	}
	for name, tt := range map[string]struct {
		transport string
		at        func(*testing.T) string
		want      ringfence.EndCause
		code      int
	}{
		"a closed port":       {"udp", func(t *testing.T) string { return closed(t, "udp") }, ringfence.EndNoAnswer, 0},
		"a closed TCP port":   {"tcp", func(t *testing.T) string { return closed(t, "tcp") }, ringfence.EndFailed, 408},
		"nothing is said":     {"udp", says(""), ringfence.EndNoAnswer, 0},
		"480":                 {"udp", says("480 Temporarily Unavailable"), ringfence.EndNoAnswer, 480},
		"503":                 {"udp", says("503 Service Unavailable"), ringfence.EndFailed, 503},
		"404, nobody's place": {"udp", says("404 Not Found"), ringfence.EndDeclined, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring := patience
			if tt.code == 0 {
				ring = 300 * time.Millisecond
			}
			leg, err := gateway(t, tt.transport, nil).Place(context.Background(), ringfence.Placement{To: "sip:ada@" + tt.at(t), Ring: ring, Purpose: "agent"})
			if err != nil {
				t.Fatal(err)
			}
			if e := await(t, leg, ringfence.LegEnded); e.Cause != tt.want || e.Code != tt.code {
				t.Errorf("ended by %s %d, want %s %d", e.Cause, e.Code, tt.want, tt.code)
			}
		})
	}
}
