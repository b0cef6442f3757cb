package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/trace"
	"github.com/ringfence/ringfence/flows"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// The ladder and the quality of a call are there while it lasts and afterwards,
// for who may see them, and a capture server gets masked copies.
func TestHowACallWent(t *testing.T) {
	t.Parallel()
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents, func(c *config.Config) { c.Telemetry.HEP.Addr = server.LocalAddr().String() })
	sup := signedIn(t, a, ringfence.Person{Name: "Sue", Email: "sue@example.com", Roles: []ringfence.Role{ringfence.RoleSupervisor}})
	call := dial(t, a)
	agent := <-ringing
	if err := call.Say(t.Context(), tone()); err != nil {
		t.Fatal(err)
	}
	id := a.runner.Live(ringfence.DefaultTenant)[0].Traversal
	ask := func() (out web.CallTrace) {
		t.Helper()
		if err := sup.Ask(t.Context(), "GET", "/v1/traversals/"+string(id)+"/trace", nil, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if live := ask(); len(live.Legs) != 2 || len(live.Legs[0].Ladder) < 3 {
		t.Errorf("live: %+v", live)
	}
	agent.Hangup()
	<-call.Done()
	waitFor(t, "the trace was kept", func() bool { return len(ask().Legs) == 2 && ask().Legs[0].Cause != "" && ask().Legs[1].Cause != "" })
	ended := ask()
	var what []string
	for _, m := range ended.Legs[0].Ladder {
		what = append(what, m.What)
	}
	if text := strings.Join(what, " "); !strings.HasPrefix(text, "INVITE 100") || !strings.Contains(text, "BYE") || ended.Legs[0].Ladder[0].Received != true {
		t.Errorf("ladder %v", what)
	}
	if q := ended.Legs[0]; q.Whole.Packets < 40 || q.Whole.MOS < 3 || q.Cause == "" || len(q.Quality) == 0 {
		t.Errorf("quality %+v", q.Whole)
	}
	buf := make([]byte, 65536)
	_ = server.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := server.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "HEP3") || strings.Contains(string(buf[:n]), "7700900") {
		t.Errorf("the capture server gets %q, %v", buf[:n], err)
	}
	var found struct {
		Calls []struct {
			web.PastCall
			Live bool
		}
	}
	waitFor(t, "the call is found by its number", func() bool {
		err := sup.Ask(t.Context(), "GET", "/v1/history?text=%2B447700900123", nil, &found)
		if p, ok := problemIn(err); err != nil && (!ok || p.Status != 429) { // searches are few a minute
			t.Fatal(err)
		}
		return err == nil && len(found.Calls) == 1 && !found.Calls[0].Ended.IsZero()
	})
	if c := found.Calls[0]; c.Traversal != id || strings.Contains(c.Caller, "7700") || c.Line == "" {
		t.Errorf("%+v", c)
	}
	var way struct {
		Runs []struct {
			Map   *flows.Map
			Steps []struct{ Line int }
		}
	}
	if err := sup.Ask(t.Context(), "GET", "/v1/history/"+string(id)+"/flow", nil, &way); err != nil || len(way.Runs) == 0 || way.Runs[0].Map == nil || len(way.Runs[0].Steps) == 0 || way.Runs[0].Steps[0].Line == 0 {
		t.Errorf("the way through the flow: %+v %v", way, err)
	}
	if err := a.sweepTraces(t.Context(), ringfence.DefaultTenant, time.Now().Add(traceLife+time.Minute)); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesAreCountedByKind(t *testing.T) {
	m := newMetrics(func() int { return 0 })
	for _, raw := range []string{"INVITE sip:a SIP/2.0\r\n", "SIP/2.0 486 Busy\r\n", "\r\n", "DROP table", "SIP/2.0 999 x", ""} {
		m.message(trace.Message{Received: true, Raw: []byte(raw)})
	}
	have, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range have {
		if f.GetName() == "ringfence_sip_messages_total" {
			n = len(f.GetMetric())
		}
	}
	if n != 3 { // invite, 4xx, and a status that is none
		t.Errorf("%d kinds, want 3", n)
	}
}
