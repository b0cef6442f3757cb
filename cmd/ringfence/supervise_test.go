package main

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/internal/lab"
)

// pitch is a clip of one tone.
func pitch(freq float64) ringfence.Clip {
	c := make(ringfence.Clip, 4000)
	for i := range c {
		c[i] = int16(6000 * math.Sin(2*math.Pi*freq*float64(i)/8000))
	}
	return c
}

// pitched reports whether a frame holds a tone, by Goertzel.
func pitched(pcm []int16, freq float64) bool {
	k := 2 * math.Cos(2*math.Pi*freq/8000)
	var s1, s2 float64
	for _, v := range pcm {
		s1, s2 = float64(v)+k*s1-s2, s1
	}
	return math.Sqrt(max(0, s1*s1+s2*s2-k*s1*s2))/float64(len(pcm)) > 800
}

// speaks lets one phone say a tone and reports who of the others hears it.
func speaks(t *testing.T, freq float64, speaker *peer.Call, others ...*peer.Call) []bool {
	t.Helper()
	for _, o := range others { // what was said before
		for len(o.Audio()) > 0 {
			<-o.Audio()
		}
	}
	if err := speaker.Say(t.Context(), pitch(freq)); err != nil {
		t.Fatal(err)
	}
	heard := make([]bool, len(others))
	for i, o := range others {
		end := time.After(1500 * time.Millisecond)
		n := 0
	listen:
		for n < 5 {
			select {
			case f := <-o.Audio():
				if f.Way == rtp.Received && len(f.PCM) > 0 && pitched(f.PCM, freq) {
					n++
				}
			case <-end:
				break listen
			}
		}
		heard[i] = n >= 5
	}
	return heard
}

// A supervisor listens, whispers and barges in, each as an entry; the agent is
// told; nobody else gets in.
func TestASupervisorInACall(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents)
	sup := signedIn(t, a, ringfence.Person{Name: "Sue", Email: "sue@example.com", Roles: []ringfence.Role{ringfence.RoleSupervisor}, Place: agents.URI("sue")})
	caller := dial(t, a)
	agent := <-ringing
	ctx := t.Context()
	var call ringfence.LiveCall
	waitFor(t, "the call talks", func() bool {
		all, err := sup.Calls(ctx)
		if err != nil || len(all) != 1 {
			return false
		}
		call = all[0]
		return call.State == "talking"
	})
	path := "/v1/traversals/" + string(call.Traversal) + "/supervise"
	ask := func(how string) error { return sup.Ask(ctx, "POST", path, map[string]any{"how": how}, nil) }
	var p *lab.Problem
	if err := ask("leave"); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("left without being in: %v", err)
	}
	if err := ask("listen"); err != nil {
		t.Fatal(err)
	}
	phone := <-ringing
	shown := func(how string) {
		t.Helper()
		waitFor(t, "the agent sees: "+how, func() bool {
			all := a.runner.Live(ringfence.DefaultTenant)
			return len(all) == 1 && all[0].Supervised == how
		})
	}
	shown("listen")
	for _, c := range []*peer.Call{caller, agent, phone} {
		c.Audio()
	}
	for _, tt := range []struct {
		how           string
		agent, caller bool // who hears the supervisor
	}{{"listen", false, false}, {"whisper", true, false}, {"barge", true, true}} {
		if tt.how != "listen" {
			if err := ask(tt.how); err != nil {
				t.Fatal(err)
			}
			shown(tt.how)
		}
		if h := speaks(t, 500, caller, agent, phone); !h[0] || !h[1] {
			t.Errorf("%s: the caller is heard by agent %v, supervisor %v", tt.how, h[0], h[1])
		}
		if h := speaks(t, 900, agent, caller, phone); !h[0] || !h[1] {
			t.Errorf("%s: the agent is heard by caller %v, supervisor %v", tt.how, h[0], h[1])
		}
		if h := speaks(t, 1300, phone, agent, caller); h[0] != tt.agent || h[1] != tt.caller {
			t.Errorf("%s: the supervisor is heard by agent %v, caller %v", tt.how, h[0], h[1])
		}
	}
	if err := ask("leave"); err != nil {
		t.Fatal(err)
	}
	<-phone.Done()
	shown("")
	if h := speaks(t, 500, caller, agent); !h[0] {
		t.Error("the agent no longer hears the caller")
	}
	caller.Hangup()
	<-agent.Done()
}

func TestASupervisorLeavesWithTheCall(t *testing.T) {
	t.Parallel()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents)
	sup := signedIn(t, a, ringfence.Person{Name: "Sue", Email: "sue@example.com", Roles: []ringfence.Role{ringfence.RoleSupervisor}, Place: agents.URI("sue")})
	caller := dial(t, a)
	<-ringing
	var live []ringfence.LiveCall
	waitFor(t, "the call talks", func() bool {
		live, _ = sup.Calls(t.Context())
		return len(live) == 1 && live[0].State == "talking"
	})
	if err := sup.Ask(t.Context(), "POST", "/v1/traversals/"+string(live[0].Traversal)+"/supervise", map[string]any{"how": "barge"}, nil); err != nil {
		t.Fatal(err)
	}
	phone := <-ringing
	caller.Hangup()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-phone.Done():
	case <-ctx.Done():
		t.Fatal("the supervisor stays in a call that is over")
	}
}
