package e2e

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/test/port"
)

// startRedis returns one that takes connections.
func startRedis(ctx context.Context, t testing.TB, at string) *exec.Cmd {
	t.Helper()
	_, p, _ := net.SplitHostPort(at)
	cmd := exec.Command("redis-server", "--port", p, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", t.TempDir())
	must(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	until(ctx, t, "Redis listens", func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return cmd
}

// TestRedisGone: when Redis stops answering in the middle of a call, or dies, that
// call goes on, further callers reach a person, their signatures count as not
// checked, and what needs a proof stays closed.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server", "redis-server")
	ctx := within(t, 2*time.Minute)
	at := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	shared, signer := startRedis(ctx, t, at), newCarrier(t)
	leaf := signer.leaf(signer.ca, "good")
	desk, err := peer.New(peer.Config{Name: "desk"})
	must(t, err)
	t.Cleanup(func() { must(t, desk.Close()) })
	picked := make(chan *peer.Call, 8)
	desk.Serve(func(ctx context.Context, c *peer.Call) {
		if c.Answer(ctx) == nil {
			picked <- c
			<-c.Done()
		}
	})
	g := newGateway(t, settings{Queue: desk.URI("desk"), Redis: "redis://" + at + "/0", Roots: signer.roots, LabHost: signer.host})
	d := g.seed(ctx)
	g.start(ctx)
	phone, err := peer.New(peer.Config{})
	must(t, err)
	t.Cleanup(func() { must(t, phone.Close()) })
	calls := func() *peer.Call {
		t.Helper()
		began := time.Now()
		call, err := phone.Call(ctx, peer.Invite{To: "sip:" + accounts + "@" + g.sip(), FromTN: mobile,
			Identity: []string{signer.sign(leaf, "A", mobile, accounts, time.Now())}})
		must(t, err)
		t.Logf("answered after %v", time.Since(began))
		return call
	}
	begins := func() (call, agent *peer.Call) {
		t.Helper()
		call = calls()
		select {
		case agent = <-picked:
			return call, agent
		case <-ctx.Done():
			t.Fatal("nobody was rung")
			return nil, nil
		}
	}
	talk := func(call, agent *peer.Call) {
		t.Helper()
		must(t, call.Say(ctx, beep()))
		for {
			select {
			case f, ok := <-agent.Audio():
				if !ok {
					t.Fatal("the agent's leg is over")
				}
				if f.Way == rtp.Received && loud(f.PCM) {
					return
				}
			case <-ctx.Done():
				t.Fatal("the desk does not hear the caller")
			}
		}
	}
	closed := func(when string) {
		t.Helper()
		var o struct{ ID, Digest, State string }
		must(t, d.opener.do(ctx, "POST", "/v1/actions", "open-"+when, map[string]any{"type": "payment", "subject": d.subject,
			"fields": map[string]string{"payee": "Hart Plumbing " + when, "amount": "125 GBP", "account": payeeAccount}}, &o))
		_ = d.opener.do(ctx, "POST", "/v1/releases/"+o.ID+"/release", "release-"+when, map[string]any{"digest": o.Digest}, nil)
		must(t, d.opener.do(ctx, "GET", "/v1/releases/"+o.ID, "", nil, &o))
		if o.State != string(gate.StatePendingEvidence) {
			t.Errorf("%s: without a proof the release is %s", when, o.State)
		}
	}
	first, agent := begins()
	talk(first, agent)
	must(t, shared.Process.Signal(syscall.SIGSTOP))
	talk(first, agent)
	second, other := begins()
	talk(second, other)
	closed("stopped")
	must(t, shared.Process.Kill())
	_ = shared.Wait()
	third := calls()
	closed("dead")
	talk(first, agent)
	for _, c := range []*peer.Call{first, second, third} {
		c.Hangup()
	}
	g.stop(ctx)

	var valid []string
	for _, e := range g.entries(ctx) {
		if e.Event == "stir.verified" {
			valid = append(valid, e.Data["valid"])
		}
	}
	if len(valid) != 3 || valid[0] != ringfence.Yes.String() || valid[1] != ringfence.Unknown.String() || valid[2] != ringfence.Unknown.String() {
		t.Errorf("signatures counted as %v", valid)
	}
	if n := g.count(ctx, "release.permitted") + g.count(ctx, "challenge.satisfied"); n != 0 {
		t.Errorf("%d permits or proofs", n)
	}
	if out, code := g.run("ledger", "verify", "--name", "e2e", "data"); code != 0 {
		t.Errorf("ledger verify: %d\n%s", code, out)
	}
}
