package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/internal/config"
)

// TestCallCommand: a test call tells a line that speaks from one that is silent
// and from one that refuses.
func TestCallCommand(t *testing.T) {
	t.Parallel()
	hum := make(ringfence.Clip, 8000)
	for i := range hum {
		hum[i] = 8000 * int16(1-2*(i/8%2))
	}
	for name, tt := range map[string]struct {
		serve func(context.Context, *peer.Call)
		want  callResult
	}{
		"speaks": {func(ctx context.Context, c *peer.Call) {
			_ = c.Answer(ctx)
			c.Leg().Loop(hum)
			<-ctx.Done()
		}, callResult{Heard: true}},
		"silent": {func(ctx context.Context, c *peer.Call) {
			_ = c.Answer(ctx)
			<-ctx.Done()
		}, callResult{}},
		"refuses": {func(ctx context.Context, c *peer.Call) { _ = c.Busy(ctx) }, callResult{Status: 486, Cause: "busy"}},
	} {
		t.Run(name, func(t *testing.T) {
			far, err := peer.New(peer.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			far.Serve(tt.serve)
			cmd := callCmd{To: far.URI("1"), From: "anonymous", Listen: "127.0.0.1:0", Talk: time.Second, Ring: 30 * time.Second}
			phone, err := cmd.phone()
			if err != nil {
				t.Fatal(err)
			}
			defer phone.Close()
			r := cmd.once(t.Context(), phone)
			if r.Heard != tt.want.Heard || r.Status != tt.want.Status || r.Cause != tt.want.Cause || r.OK && !r.Heard {
				t.Errorf("got %+v, want %+v", r, tt.want)
			}
			if (r.AnswerMS > 0) != (tt.want.Status == 0) {
				t.Errorf("answered in %v ms", r.AnswerMS)
			}
		})
	}
	var exit *exitError
	if _, err := (&callCmd{To: "sip:1@carrier.example"}).phone(); !errors.As(err, &exit) || exit.code != 2 {
		t.Errorf("a host name gives %v", err)
	}
}

func TestQuality(t *testing.T) {
	for want, st := range map[string]rtp.Stats{
		"":                                   {Received: 1000, MOS: 4.3},
		"no audio came":                      {},
		"more than 2 % of packets were lost": {Received: 970, Lost: 30, MOS: 4},
		"jitter is more than 30 ms":          {Received: 1000, Jitter: 40 * time.Millisecond, MOS: 4},
		"MOS is less than 3.5":               {Received: 1000, MOS: 3},
	} {
		if got := quality(st); got != want {
			t.Errorf("%+v is %q, want %q", st, got, want)
		}
	}
}

// TestSilentListeners: a listener that no trunk can use is named.
func TestSilentListeners(t *testing.T) {
	cfg := config.Config{SIP: config.SIP{
		Listeners: []config.Listener{{Name: "a", Transport: "udp"}, {Name: "b", Transport: "tcp"}, {Name: "c", Transport: "udp", Trunks: []string{"other"}}},
		Trunks:    []config.Trunk{{Name: "carrier"}}}}
	if got := silentListeners(cfg); len(got) != 2 {
		t.Errorf("got %q, want b and c", got)
	}
}
