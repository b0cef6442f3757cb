package e2e

import (
	"fmt"
	"testing"
	"time"
)

// The octets by which each side's audio is told apart: two low tones of µ-law
// that no recording contains packet-long.
const (
	callerOctet = 0x2a
	agentOctet  = 0x55
)

// TestSIPpKeysItsPINAndIsBridged is a customer on a foreign phone: it hears
// the prompts, keys account and PIN by RFC 4733, and is put through to a
// foreign PBX; each side counts the other's audio.
func TestSIPpKeysItsPINAndIsBridged(t *testing.T) {
	t.Parallel()
	needs(t, "sipp", "sip-tester")
	ctx := within(t, 3*time.Minute)
	deskAudio, callerAudio := newMedia(t, agentOctet), newMedia(t, callerOctet)
	desk := runSIPp(ctx, t, "agent.xml", scenario{Media: deskAudio.port()}, "")
	g := newGateway(t, settings{Queue: fmt.Sprintf("sip:desk@127.0.0.1:%d", desk.port)})
	g.seed(ctx)
	g.start(ctx)

	caller := runSIPp(ctx, t, "caller.xml", scenario{Called: customers, Caller: mobile, Media: callerAudio.port()}, g.sip())
	callerAudio.hear(caller.ctx, "Please enter your eight digit customer number")
	callerAudio.press(account)
	callerAudio.hear(caller.ctx, "Please enter your telephone PIN")
	callerAudio.press(rightPIN)
	callerAudio.hear(caller.ctx, "To speak to someone, press 0")
	callerAudio.press("0")
	deskAudio.count(caller.ctx, callerOctet, 100)
	callerAudio.count(caller.ctx, agentOctet, 100)
	caller.poke("u1")
	caller.wait(ctx)
	desk.wait(ctx)
	g.stop(ctx)

	for event, want := range map[string]int{"traversal.began": 1, "challenge.satisfied": 1, "traversal.ended": 1} {
		if have := g.count(ctx, event); have != want {
			t.Errorf("the ledger has %d entries %s, want %d", have, event, want)
		}
	}
	if g.log.contains(rightPIN) || g.log.contains(account) {
		t.Error("the log has the PIN or the account of the caller")
	}
	if out, code := g.run("ledger", "verify", "--name", "e2e", "data"); code != 0 {
		t.Errorf("ledger verify: %d\n%s", code, out)
	}
}
