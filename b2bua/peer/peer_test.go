package peer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

func open(t *testing.T, cfg peer.Config) *peer.Peer {
	t.Helper()
	p, err := peer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		serve func(context.Context, *peer.Call)
		want  peer.Refused
	}{
		"nobody serves": {nil, peer.Refused{Cause: ringfence.EndNoAnswer, Code: 480}},
		"busy":          {func(ctx context.Context, c *peer.Call) { _ = c.Busy(ctx) }, peer.Refused{Cause: ringfence.EndBusy, Code: 486}},
		"decline":       {func(ctx context.Context, c *peer.Call) { _ = c.Decline(ctx) }, peer.Refused{Cause: ringfence.EndDeclined, Code: 603}},
		"redirect": {func(ctx context.Context, c *peer.Call) { _ = c.Redirect(ctx, "sip:2@127.0.0.1") },
			peer.Refused{Cause: ringfence.EndDiverted, Code: 302}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t, peer.Config{}), open(t, peer.Config{})
			if tt.serve != nil {
				b.Serve(tt.serve)
			}
			_, err := a.Call(within(t), peer.Invite{To: b.URI("1")})
			var got *peer.Refused
			if !errors.As(err, &got) || *got != tt.want {
				t.Errorf("Call = %v, want %+v", err, tt.want)
			}
		})
	}
	t.Run("outside its networks", func(t *testing.T) {
		if _, err := open(t, peer.Config{}).Call(within(t), peer.Invite{To: "sip:1@192.0.2.1"}); err == nil {
			t.Error("a loopback phone called another address")
		}
	})
}

// TestInvite: what a carrier says arrives as it was said, value by value.
func TestInvite(t *testing.T) {
	a, b := open(t, peer.Config{}), open(t, peer.Config{})
	infos := make(chan ringfence.LegInfo, 1)
	b.Serve(func(ctx context.Context, c *peer.Call) {
		infos <- c.Info()
		_ = c.Answer(ctx)
		<-ctx.Done()
	})
	date := "Sat, 21 Nov 2026 20:00:00 GMT"
	call, err := a.Call(within(t), peer.Invite{To: b.URI("4400"), FromTN: "441632960000", Name: "A, B", PAI: "<sip:+441632960000@x.example>, <tel:+441632960000>",
		Identity: []string{"h.c.s;info=<https://a.example/1,2>;alg=ES256;ppt=shaken", "i.d.t;info=<https://b.example>"}, Date: date,
		Headers: [][2]string{{"Diversion", "<sip:4411@x.example>;reason=no-answer"}, {"User-to-User", "abc;encoding=hex"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer call.Hangup()
	got := <-infos
	if got.Called != "4400" || got.Date != date || got.UUI != "abc;encoding=hex" || len(got.Diversion) != 1 {
		t.Errorf("info = %+v", got)
	}
	if len(got.Identity) != 2 || got.Identity[0] != "h.c.s;info=<https://a.example/1,2>;alg=ES256;ppt=shaken" {
		t.Errorf("Identity = %q", got.Identity)
	}
	if len(got.PAI) != 2 || got.PAI[1] != "<tel:+441632960000>" {
		t.Errorf("PAI = %q", got.PAI)
	}
}

// TestTalk: a clip is heard, and keys arrive once each and in order.
func TestTalk(t *testing.T) {
	for name, cfg := range map[string]peer.Config{"PCMU": {}, "PCMA": {Codecs: []string{"PCMA"}}, "SRTP": {SRTP: "required"}} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t, cfg), open(t, cfg)
			digits, loud := make(chan string, 1), make(chan bool, 1)
			b.Serve(func(ctx context.Context, c *peer.Call) {
				audio := c.Audio()
				if c.Answer(ctx) != nil {
					return
				}
				heard := false
				for f := range audio {
					for _, v := range f.PCM {
						heard = heard || f.Way == rtp.Received && v > 8000
					}
					if heard {
						break
					}
				}
				loud <- heard
				got := ""
				for len(got) < 6 {
					select {
					case d := <-c.Digits():
						got += string(d)
					case <-ctx.Done():
						digits <- got
						return
					}
				}
				digits <- got
			})
			ctx := within(t)
			call, err := a.Call(ctx, peer.Invite{To: b.URI("1")})
			if err != nil {
				t.Fatal(err)
			}
			clip := make(ringfence.Clip, 1600)
			for i := range clip {
				clip[i] = 12000 * int16(1-2*(i/8%2))
			}
			if err := call.Say(ctx, clip); err != nil {
				t.Errorf("Say: %v", err)
			}
			if !<-loud {
				t.Error("the clip was not heard")
			}
			if err := call.Press("12*#0A"); err != nil {
				t.Fatal(err)
			}
			if got := <-digits; got != "12*#0A" {
				t.Errorf("digits %q", got)
			}
			<-call.Done() // b hangs up when its function returns
			if cause, _ := call.Ended(); cause != ringfence.EndBye {
				t.Errorf("ended by %s", cause)
			}
		})
	}
}
