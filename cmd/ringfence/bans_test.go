package main

import (
	"net"
	"testing"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// Who goes on after many refusals is ignored, shown, and listened to again when
// somebody says so.
func TestAScannerIsIgnoredShownAndForgiven(t *testing.T) {
	agents := newPeer(t, "agents")
	a := started(t, agents, func(c *config.Config) { // the scanner is on loopback too: nobody on this listener's trunk is
		c.SIP.Listeners = append(c.SIP.Listeners, config.Listener{Name: "quiet", Transport: "udp", Addr: "127.0.0.1:0", Trunks: []string{"far"}})
		c.SIP.Trunks = append(c.SIP.Trunks, config.Trunk{Name: "far", Addrs: []string{"192.0.2.1"}, TrunkPeer: config.TrunkPeer{Ping: -1}})
		c.SIP.Limits.AnswerStranger = true
	})
	ops := signedIn(t, a, ringfence.Person{Name: "Olga", Email: "olga@example.com", Roles: []ringfence.Role{ringfence.RoleOps}})
	scan, err := net.Dial("udp4", a.ua.Addrs()["quiet"].String())
	if err != nil {
		t.Fatal(err)
	}
	defer scan.Close()
	var have struct{ Bans []web.Ban }
	ask := func() int {
		if err := ops.Ask(t.Context(), "GET", "/v1/bans", nil, &have); err != nil {
			t.Fatal(err)
		}
		return len(have.Bans)
	}
	if ask() != 0 {
		t.Fatalf("before: %+v", have.Bans)
	}
	waitFor(t, "the scanner is ignored", func() bool {
		for range 300 {
			_, _ = scan.Write([]byte("OPTIONS sip:100@127.0.0.1 SIP/2.0\r\n\r\n"))
		}
		return ask() == 1 && have.Bans[0].Source == "127.0.0.1"
	})
	call := dial(t, a) // the carrier has the same address: a trunk is never ignored
	call.Hangup()
	lift := func(source string) error {
		return ops.Ask(t.Context(), "POST", "/v1/bans/lift", map[string]string{"source": source, "why": "our own scanner"}, nil)
	}
	for source, status := range map[string]int{"127.0.0.2": 404, "here": 422} {
		if p, ok := problemIn(lift(source)); !ok || p.Status != status {
			t.Errorf("%s: %+v, want %d", source, p, status)
		}
	}
	if err := lift("127.0.0.1"); err != nil || ask() != 0 {
		t.Errorf("still ignored: %v, %+v", err, have.Bans)
	}
}
