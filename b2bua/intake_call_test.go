package b2bua_test

import (
	"context"
	"testing"

	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// TestSetupsAtOnce: a call counts until it is answered, not until its end.
func TestSetupsAtOnce(t *testing.T) {
	ua := gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		_ = leg.Answer(ctx)
		<-ctx.Done()
	}, func(c *b2bua.Config) { c.Limits.Setups = 1 })
	p := phone(t, peer.Config{})
	for n := range 3 {
		c, err := p.Call(within(t), peer.Invite{To: "sip:1@" + ua.Addrs()["main"].String()})
		if err != nil {
			t.Fatalf("call %d beside those that are answered: %v", n+1, err)
		}
		defer c.Hangup()
	}
	if most, refused := ua.Setups(); most != 1 || refused != 0 {
		t.Errorf("%d at once, %d refused; want 1 and none", most, refused)
	}
}
