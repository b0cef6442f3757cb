package b2bua_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// world is a gateway with a caller and an agent of one transport.
type world struct {
	ua            *b2bua.UA
	caller, agent *peer.Peer
}

func newWorld(t *testing.T, transport string, h b2bua.HandlerFunc) world {
	t.Helper()
	pc := peer.Config{Transport: transport}
	var change []func(*b2bua.Config)
	if transport == "tls" {
		server, client := testTLS(t)
		pc.TLS, pc.Client, pc.SRTP = server, client, "required"
		change = append(change, func(c *b2bua.Config) {
			c.Listeners[0].TLS, c.Trunks[0].TLS, c.Trunks[0].SRTP = server, client, ""
		})
	}
	return world{gateway(t, transport, h, change...), phone(t, pc), phone(t, pc)}
}

// line is the gateway's SIP URI.
func (w world) line(transport, user string) string {
	uri := "sip:" + user + "@" + w.ua.Addrs()["main"].String()
	if transport != "udp" {
		uri += ";transport=" + transport
	}
	return uri
}

// TestCall is the whole path: a prompt, digits, an agent's leg, audio both ways,
// and BYE from either side.
func TestCall(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		for _, byCaller := range []bool{true, false} {
			name := transport + ", agent hangs up"
			if byCaller {
				name = transport + ", caller hangs up"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				wholeCall(t, transport, byCaller)
			})
		}
	}
}

func wholeCall(t *testing.T, transport string, byCaller bool) {
	var w world
	started := make(chan struct{})
	ended := make(chan ringfence.LegEvent, 2)
	agentCall := make(chan *peer.Call, 1)
	agentGo := make(chan struct{})
	w = newWorld(t, transport, func(ctx context.Context, leg *b2bua.Leg) {
		if err := leg.Ring(ctx); err != nil {
			t.Errorf("Ring: %v", err)
		}
		if err := leg.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
			return
		}
		leg.Play(tone(500, 10*time.Second))
		digits := ""
		for len(digits) < 4 {
			digits += string(await(t, leg, ringfence.LegDigit).Digit)
		}
		if digits != "12#9" {
			t.Errorf("digits %q, want 12#9", digits)
		}
		leg.Stop()
		if e := await(t, leg, ringfence.LegPlayed); e.Whole {
			t.Error("a clip that was stopped is reported whole")
		}
		<-started
		out, err := w.ua.Place(ctx, ringfence.Placement{To: w.agent.URI("agent"), From: "4420", Name: "Desk \"1\"\r\n", Purpose: "agent"})
		if err != nil {
			t.Errorf("Place: %v", err)
			return
		}
		await(t, out, ringfence.LegAnswered) // the stack may lose a 180 that a 200 follows at once
		if err := leg.Join(out.ID()); err != nil {
			t.Errorf("Join: %v", err)
		}
		close(agentGo)
		first, second := leg, out
		if !byCaller {
			first, second = out, leg
		}
		ended <- await(t, first, ringfence.LegEnded)
		second.Hangup(ringfence.EndHangup)
		ended <- await(t, second, ringfence.LegEnded)
	})
	close(started)
	w.agent.Serve(func(ctx context.Context, c *peer.Call) {
		if got := c.Info().From; !contains(got, "4420") || contains(got, "\r") {
			t.Errorf("From %q", got)
		}
		_ = c.Ring(ctx)
		if err := c.Answer(ctx); err != nil {
			t.Errorf("agent: %v", err)
		}
		agentCall <- c
		<-c.Done()
	})
	ctx := within(t)
	call, err := w.caller.Call(ctx, peer.Invite{To: w.line(transport, "4400"), FromTN: "441632960000"})
	if err != nil {
		t.Fatal(err)
	}
	hears(t, call, 500)
	if err := call.Press("12#9"); err != nil {
		t.Fatal(err)
	}
	var agent *peer.Call
	select {
	case agent = <-agentCall:
	case <-ctx.Done():
		t.Fatal("the agent was not called")
	}
	done(t, "join", agentGo)
	call.Leg().Loop(tone(700, time.Second))
	agent.Leg().Loop(tone(1100, time.Second))
	hears(t, agent, 700)
	hears(t, call, 1100)
	if byCaller {
		call.Hangup()
	} else {
		agent.Hangup()
	}
	done(t, "end at the caller", call.Done())
	done(t, "end at the agent", agent.Done())
	if e := <-ended; e.Cause != ringfence.EndBye {
		t.Errorf("first leg ended by %s, want bye", e.Cause)
	}
	if e := <-ended; e.Cause != ringfence.EndHangup {
		t.Errorf("second leg ended by %s, want hangup", e.Cause)
	}
}

func contains(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i:i+len(sub)] == sub {
			return true
		}
	}
	return false
}

// TestOutcomes is every way in which a placed leg may come to nothing.
func TestOutcomes(t *testing.T) {
	tests := []struct {
		name  string
		serve func(context.Context, *peer.Call)
		want  ringfence.EndCause
		code  int
	}{
		{"busy", func(ctx context.Context, c *peer.Call) { _ = c.Busy(ctx) }, ringfence.EndBusy, 486},
		{"decline", func(ctx context.Context, c *peer.Call) { _ = c.Decline(ctx) }, ringfence.EndDeclined, 603},
		{"redirect", func(ctx context.Context, c *peer.Call) { _ = c.Redirect(ctx, "sip:other@127.0.0.1") }, ringfence.EndDiverted, 302},
		{"nobody there", nil, ringfence.EndNoAnswer, 480},
		{"handler returns", func(context.Context, *peer.Call) {}, ringfence.EndNoAnswer, 480},
		{"rings for too long", func(ctx context.Context, c *peer.Call) { _ = c.Ring(ctx); <-c.Done() }, ringfence.EndNoAnswer, 0},
		{"panics", func(context.Context, *peer.Call) { panic("a bug of the called side") }, ringfence.EndNoAnswer, 480},
	}
	for _, transport := range []string{"udp", "tcp"} {
		for _, tt := range tests {
			t.Run(transport+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				ua := gateway(t, transport, nil)
				called := phone(t, peer.Config{Transport: transport})
				if tt.serve != nil {
					called.Serve(tt.serve)
				}
				ring := patience
				if tt.code == 0 {
					ring = 300 * time.Millisecond
				}
				leg, err := ua.Place(context.Background(), ringfence.Placement{To: called.URI("7"), Contact: true, Ring: ring})
				if err != nil {
					t.Fatal(err)
				}
				e := await(t, leg, ringfence.LegEnded)
				if e.Cause != tt.want || e.Code != tt.code {
					t.Errorf("ended by %s %d, want %s %d", e.Cause, e.Code, tt.want, tt.code)
				}
			})
		}
	}
}

// TestRefuse is the caller's view of a refusal, header fields included.
func TestRefuse(t *testing.T) {
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		if err := leg.Refuse(ctx, 404, "Not Found", [2]string{"X\r\nEvil", "1"}); err == nil {
			t.Error("a header field name with a line break was taken")
		}
		if err := leg.Refuse(ctx, 404, "Not Found"); err != nil {
			t.Errorf("Refuse: %v", err)
		}
		if err := leg.Answer(ctx); !errors.Is(err, b2bua.ErrEnded) {
			t.Errorf("Answer after Refuse = %v, want ErrEnded", err)
		}
	})
	_, err := phone(t, peer.Config{}).Call(within(t), peer.Invite{To: "sip:1@" + ua.Addrs()["main"].String()})
	var refused *peer.Refused
	if !errors.As(err, &refused) || refused.Code != 404 {
		t.Errorf("Call = %v, want 404", err)
	}
}

// TestCallerGivesUp is CANCEL before the answer.
func TestCallerGivesUp(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ends := make(chan ringfence.LegEvent, 1)
			ua := gateway(t, transport, func(ctx context.Context, leg *b2bua.Leg) {
				_ = leg.Ring(ctx)
				ends <- await(t, leg, ringfence.LegEnded)
				if err := leg.Answer(context.Background()); !errors.Is(err, b2bua.ErrEnded) {
					t.Errorf("Answer after CANCEL = %v", err)
				}
			})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			p := phone(t, peer.Config{Transport: transport})
			uri := "sip:1@" + ua.Addrs()["main"].String()
			if transport != "udp" {
				uri += ";transport=" + transport
			}
			_, err := p.Call(ctx, peer.Invite{To: uri, OnPlaced: func(c *peer.Call) {
				<-c.Ringing()
				cancel()
			}})
			var refused *peer.Refused
			if !errors.As(err, &refused) || refused.Cause != ringfence.EndHangup {
				t.Errorf("Call = %v", err)
			}
			if e := <-ends; e.Cause != ringfence.EndCancel {
				t.Errorf("leg ended by %s, want cancel", e.Cause)
			}
		})
	}
}

// TestPlaceRefuses is what never becomes an INVITE.
func TestPlaceRefuses(t *testing.T) {
	ua := gateway(t, "udp", nil, func(c *b2bua.Config) {
		c.Trunks = append(c.Trunks, b2bua.Trunk{Name: "inward", Sources: loopback[:1]})
	})
	for name, p := range map[string]ringfence.Placement{
		"nothing":                  {},
		"unknown trunk":            {Trunk: "x", To: "441632960000"},
		"trunk without outbound":   {Trunk: "inward", To: "441632960000"},
		"number without a trunk":   {To: "441632960000"},
		"trunk without an address": {Trunk: "loop", To: "441632960000"},
		"address of no trunk":      {To: "sip:1@192.0.2.1"},
		"name instead of address":  {To: "sip:1@host.example.com"},
		"metadata address":         {To: "sip:1@169.254.169.254"},
		"line break":               {To: "sip:1@127.0.0.1\r\nX: y"},
		"headers in the URI":       {To: "sip:1@127.0.0.1?Route=x"},
		"another scheme":           {To: "tel:+441632960000"},
		"ring for an hour":         {To: "sip:1@127.0.0.1", Ring: time.Hour},
		"line break in Identity":   {To: "sip:1@127.0.0.1", Identity: []string{"a\r\nX: y"}},
		"line break in UUI":        {To: "sip:1@127.0.0.1", UUI: "a\nX: y"},
		"verstat of no standard":   {To: "sip:1@127.0.0.1", From: "441632960000", Verstat: "TN-Validation-Passed@evil"},
	} {
		t.Run(name, func(t *testing.T) {
			if leg, err := ua.Place(context.Background(), p); err == nil {
				t.Errorf("Place took it: %v", leg.Info())
			}
		})
	}
}

// TestDrain is 503 for new calls while one goes on.
func TestDrain(t *testing.T) {
	in := make(chan struct{})
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		_ = leg.Answer(ctx)
		close(in)
		<-ctx.Done()
	})
	p := phone(t, peer.Config{})
	uri := "sip:1@" + ua.Addrs()["main"].String()
	call, err := p.Call(within(t), peer.Invite{To: uri})
	if err != nil {
		t.Fatal(err)
	}
	done(t, "call", in)
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := ua.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain with a call = %v", err)
	}
	var refused *peer.Refused
	if _, err := p.Call(within(t), peer.Invite{To: uri}); !errors.As(err, &refused) || refused.Code != 503 {
		t.Errorf("Call while draining = %v, want 503", err)
	}
	if _, err := ua.Place(context.Background(), ringfence.Placement{To: "sip:1@127.0.0.1"}); !errors.Is(err, b2bua.ErrDraining) {
		t.Errorf("Place while draining = %v", err)
	}
	call.Hangup()
	if err := ua.Drain(within(t)); err != nil {
		t.Errorf("Drain = %v", err)
	}
}
