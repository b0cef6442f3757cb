package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
)

// TestDiskFull: while nothing can be written, callers reach a person and nothing
// is released; when there is room again, all is as before, and the ledger whole.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	needs(t, "prlimit", "util-linux")
	ctx := within(t, time.Minute)
	desk, err := peer.New(peer.Config{Name: "desk"})
	must(t, err)
	t.Cleanup(func() { must(t, desk.Close()) })
	picked := make(chan *peer.Call, 4)
	desk.Serve(func(ctx context.Context, c *peer.Call) {
		if c.Answer(ctx) == nil {
			picked <- c
			<-c.Done()
		}
	})
	g := newGateway(t, settings{Queue: desk.URI("desk")})
	d := g.seed(ctx)
	g.start(ctx)
	phone, err := peer.New(peer.Config{})
	must(t, err)
	t.Cleanup(func() { must(t, phone.Close()) })
	orders := 0
	type opened struct {
		ID     string
		Digest string
	}
	order := func() (o opened, err error) {
		orders++
		err = d.opener.do(ctx, "POST", "/v1/actions", fmt.Sprintf("full-order-%d", orders), map[string]any{"type": "brochure", "subject": d.subject,
			"fields": map[string]string{"title": "brochure " + strconv.Itoa(orders)}}, &o)
		return o, err
	}
	release := func(o opened) error {
		return d.opener.do(ctx, "POST", "/v1/releases/"+o.ID+"/release", "full-release-"+o.ID, map[string]any{"digest": o.Digest}, nil)
	}
	before, err := order()
	must(t, err)

	limit := func(octets string) {
		t.Helper()
		if out, err := exec.Command("prlimit", "--pid", strconv.Itoa(g.cmd.Process.Pid), "--fsize="+octets+":").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	limit("0")
	if _, err := order(); err == nil {
		t.Error("an order was taken that is written nowhere")
	}
	if err := release(before); err == nil {
		t.Error("a release was given that is written nowhere")
	}
	call, err := phone.Call(ctx, peer.Invite{To: "sip:442079460001@" + g.sip(), FromTN: mobile})
	if err != nil {
		t.Fatalf("%v", err)
	}
	var agent *peer.Call
	select {
	case agent = <-picked:
	case <-ctx.Done():
		t.Fatal("nobody was rung")
	}
	must(t, call.Say(ctx, beep()))
	for heard := false; !heard; {
		select {
		case f := <-agent.Audio():
			heard = f.Way == rtp.Received && loud(f.PCM)
		case <-ctx.Done():
			t.Fatal("the desk does not hear the caller")
		}
	}
	call.Hangup()

	limit("unlimited")
	until(ctx, t, "the store writes again", func() bool { return release(before) == nil })
	_, err = order()
	must(t, err)
	g.stop(ctx)
	if out, code := g.run("ledger", "verify", "--name", "e2e", "data"); code != 0 {
		t.Errorf("ledger verify: %d\n%s", code, out)
	}
}

// beep is half a second that survives G.711.
func beep() ringfence.Clip {
	c := make(ringfence.Clip, 4000)
	for i := range c {
		c[i] = 8000
		if i/10%2 == 0 {
			c[i] = -8000
		}
	}
	return c
}

func loud(pcm []int16) bool {
	return slices.ContainsFunc(pcm, func(v int16) bool { return v > 4000 })
}
