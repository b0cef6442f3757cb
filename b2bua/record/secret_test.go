package record

import (
	"context"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

func sine(freq float64, millis int) ringfence.Clip {
	c := make(ringfence.Clip, 8*millis)
	for i := range c {
		c[i] = int16(9000 * math.Sin(2*math.Pi*freq*float64(i)/8000))
	}
	return c
}

// sweep goes through the telephone's band but for the neighbourhood of keep.
func sweep(keep float64, millis int) (c ringfence.Clip) {
	for f := 300.0; f < 3400; f += 50 {
		if math.Abs(f-keep) > 200 {
			c = append(c, sine(f, 20)...)
		}
	}
	for len(c) < 8*millis {
		c = append(c, c...)
	}
	return c[:8*millis]
}

// power is the share of one frequency in a stretch, by Goertzel.
func power(pcm []int16, freq float64) float64 {
	k := 2 * math.Cos(2*math.Pi*freq/8000)
	var s1, s2, all float64
	for _, v := range pcm {
		s1, s2 = float64(v)+k*s1-s2, s1
		all += float64(v) * float64(v)
	}
	if all == 0 {
		return 0
	}
	return (s1*s1 + s2*s2 - k*s1*s2) / (all * float64(len(pcm)) / 2)
}

// The secret is planted: while the caller's leg is cut, the caller keys and
// speaks the whole band and hears a code in tones. The decoded recording,
// searched frequency by frequency, holds the conversation and nothing of it.
func TestTheToneSweepOfASecretIsNotInTheRecording(t *testing.T) {
	const callers, agents = 1000.0, 600.0
	w := newWorld(t, nil)
	legs := make(chan *b2bua.Leg, 1)
	over := make(chan struct{})
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	ua, err := b2bua.New(b2bua.Config{Listeners: []b2bua.Listener{{Name: "l", Transport: "udp", Addr: "127.0.0.1:0"}},
		Trunks: []b2bua.Trunk{{Name: "t", Sources: loopback, Outbound: true}}}, b2bua.HandlerFunc(func(ctx context.Context, l *b2bua.Leg) {
		if err := l.Answer(ctx); err != nil {
			t.Error(err)
		}
		legs <- l
		for range l.Events() {
			continue
		}
		close(over)
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ua.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer ua.Close()
	phone := func() *peer.Peer {
		p, err := peer.New(peer.Config{Codecs: []string{"PCMU"}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	agent, caller := phone(), phone()
	defer agent.Close()
	defer caller.Close()
	answered := make(chan *peer.Call, 1)
	agent.Serve(func(ctx context.Context, c *peer.Call) {
		if c.Answer(ctx) == nil {
			answered <- c
			<-c.Done()
		}
	})
	call, err := caller.Call(t.Context(), peer.Invite{To: "sip:1@" + ua.Addrs()["l"].String(), FromTN: "447700900123"})
	if err != nil {
		t.Fatal(err)
	}
	leg := <-legs
	behind, err := ua.Place(t.Context(), ringfence.Placement{To: agent.URI("a")})
	if err != nil {
		t.Fatal(err)
	}
	for e := range behind.Events() {
		if e.Kind == ringfence.LegAnswered {
			break
		}
	}
	there := <-answered
	if err := leg.Join(behind.ID()); err != nil {
		t.Fatal(err)
	}
	s := w.Start(t.Context(), newCall(), func() Tap { return leg.Tap() })
	talk := func() {
		done := make(chan error, 1)
		go func() { done <- there.Say(t.Context(), sine(agents, 600)) }()
		if err := call.Say(t.Context(), sine(callers, 600)); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	talk()
	leg.Cut(true)
	leg.Play(sweep(agents, 1200))
	said := make(chan struct{})
	go func() { defer close(said); _ = there.Say(t.Context(), sweep(agents, 1000)) }()
	if err := call.Say(t.Context(), sweep(callers, 1000)); err != nil {
		t.Error(err)
	}
	<-said     // what the agent says after the cut is no secret
	leg.Stop() // as the runner does: what is secret ends before others hear the leg
	leg.Cut(false)
	time.AfterFunc(500*time.Millisecond, func() { call.Hangup() })
	talkAfter := make(chan struct{})
	go func() { defer close(talkAfter); _ = call.Say(t.Context(), sine(callers, 400)) }()
	<-over
	<-talkAfter
	<-s.Done()
	rec := w.index(s.ID())
	secret := 0
	for _, g := range rec.Gaps {
		if g.Why == "secret" {
			secret++
		}
	}
	if secret != 1 {
		t.Fatalf("gaps %+v", rec.Gaps)
	}
	left, right := w.hear(s.ID())
	for name, side := range map[string]struct {
		pcm  []int16
		keep float64
	}{"caller": {left, callers}, "agent": {right, agents}} {
		heard := 0
		for i := 0; i+160 <= len(side.pcm); i += 160 {
			frame := side.pcm[i : i+160]
			if power(frame, side.keep) > 0.5 {
				heard++
			}
			for f := 300.0; f < 3400; f += 50 {
				if math.Abs(f-side.keep) > 200 && power(frame, f) > 0.5 && loud(frame) {
					t.Fatalf("the %s's side holds %v Hz at %d ms", name, f, i/8)
				}
			}
		}
		if heard < 15 {
			t.Errorf("the %s's side holds %d frames of the conversation", name, heard)
		}
	}
}

func loud(pcm []int16) bool {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return sum/float64(len(pcm)) > 200*200
}
