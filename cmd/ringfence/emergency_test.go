package main

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/peer"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
)

// mailbox keeps what would be sent.
type mailbox chan verify.Message

func (m mailbox) Deliver(_ context.Context, msg verify.Message) (verify.Receipt, error) {
	m <- msg
	return verify.Receipt{Delivery: verify.DeliveryAccepted}, nil
}

// An agent's phone reaches the emergency service, the people named are told, and
// both legs and an alert stand in the ledger; any other call of the phone is
// refused.
func TestEmergencyCall(t *testing.T) {
	agents, psap := newPeer(t, "agents"), newPeer(t, "psap")
	rung := make(chan ringfence.LegInfo, 1)
	psap.Serve(func(ctx context.Context, c *peer.Call) {
		rung <- c.Info()
		if c.Ring(ctx) != nil || c.Answer(ctx) != nil {
			return
		}
		_ = c.Say(ctx, pitch(700))
		<-ctx.Done()
	})
	a := started(t, agents, func(c *config.Config) {
		loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.SIP.Listeners = append(c.SIP.Listeners, config.Listener{Name: "services", Transport: "udp", Addr: "127.0.0.1:0", Trunks: []string{"services"}})
		c.SIP.Trunks = append(c.SIP.Trunks, config.Trunk{Name: "services", Sources: loopback, Addrs: []string{psap.Addr().String()}, Outbound: true, From: "442079460000"})
		c.SIP.Emergency = config.Emergency{Numbers: []string{"112"}, Trunk: "services", Notify: []string{"front-desk@example.com"}}
	})
	mail := make(mailbox, 4)
	a.verify.carrier = mail
	to := func(user string) string { return "sip:" + user + "@" + a.ua.Addrs()["phones"].String() }
	if _, err := agents.Call(t.Context(), peer.Invite{To: to("442079460999"), FromTN: "201"}); err == nil {
		t.Error("an agent's phone placed an ordinary call")
	}
	call, err := agents.Call(t.Context(), peer.Invite{To: to("112"), FromTN: "201"})
	if err != nil {
		t.Fatal(err)
	}
	if info := <-rung; info.Called != "112" || !strings.Contains(info.From, "442079460000") {
		t.Errorf("the service was called as %q from %q", info.Called, info.From)
	}
	heard := false
	for f := range call.Audio() {
		if heard = len(f.PCM) > 0 && pitched(f.PCM, 700); heard {
			break
		}
	}
	if !heard {
		t.Error("the phone does not hear the service")
	}
	select {
	case m := <-mail:
		if m.To != "front-desk@example.com" || m.Kind != verify.MessageNotice || !strings.Contains(string(m.Text), "called 112. The number to ring back is 442079460000.") {
			t.Errorf("told %s: %s", m.To, []byte(m.Text))
		}
	case <-time.After(30 * time.Second):
		t.Error("nobody was told")
	}
	call.Hangup()
	<-call.Done()
	deadline, tick := time.After(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		placed, alerts := emergencyEntries(t, a)
		if placed == 1 && alerts == 1 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d legs and %d alerts in the ledger", placed, alerts)
		}
	}
}

// emergencyEntries counts what the ledger says of emergency calls.
func emergencyEntries(t *testing.T, a *app) (placed, alerts int) {
	t.Helper()
	if err := a.store.View(t.Context(), ringfence.DefaultTenant, func(tx ledger.Tx) error {
		entries, err := tx.Entries(t.Context(), ledger.EntryQuery{Limit: 200})
		placed, alerts = 0, 0
		for _, e := range entries {
			switch {
			case e.Event == "leg.placed" && e.Data["purpose"] == "emergency":
				placed++
			case e.Event == "alert.raised" && e.Data["says"] == "an emergency call was made":
				alerts++
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return placed, alerts
}
