package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// A service listens to a call whose caller was told; what it says is a Signal
// of that call with where it came from, and of no other call.
func TestAServiceListensAndScores(t *testing.T) {
	t.Parallel()
	heard := make(chan bool, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		said := false
		for {
			raw, _, err := wsutil.ReadClientData(conn)
			if err != nil {
				return
			}
			var m struct{ Event string }
			if json.Unmarshal(raw, &m) == nil && m.Event == "media" && !said {
				said = true
				heard <- true
				_ = wsutil.WriteServerText(conn, []byte(`{"event":"score","name":"synthetic_voice","value":"yes","score":0.9}`))
			}
		}
	}))
	defer srv.Close()
	agents := newPeer(t, "agents")
	ringing := answering(t, agents)
	a := started(t, agents, func(c *config.Config) {
		c.Lines[0].Record = config.LineRecord{Notice: "This call is recorded."}
		c.Media.Forks = []config.Fork{{Name: "ears", URL: "ws" + strings.TrimPrefix(srv.URL, "http"), Lines: []string{"accounts"}, Signals: []string{"synthetic_voice"}}}
	})
	call := dial(t, a)
	agent := <-ringing
	<-heard
	id := a.runner.Live(ringfence.DefaultTenant)[0].Traversal
	waitFor(t, "the score is a signal", func() bool {
		return valuesOf(a.signals(t.Context(), gate.Release{Tenant: ringfence.DefaultTenant, Traversal: id}))["synthetic_voice"] == ringfence.Yes
	})
	if s := a.signals(t.Context(), gate.Release{Tenant: ringfence.DefaultTenant, Traversal: "trv_other"}); len(s) != 0 {
		t.Errorf("another call: %v", s)
	}
	// another service pushes over the API what it makes of the call
	for _, name := range config.ForkSignals {
		err := heardSignals{a}.Observe(t.Context(), ringfence.DefaultTenant, web.SignalReport{Traversal: id, Client: "cli_1", Name: name, Value: ringfence.No, Score: -1})
		if err != nil {
			t.Fatal(err)
		}
	}
	if s := valuesOf(a.signals(t.Context(), gate.Release{Tenant: ringfence.DefaultTenant, Traversal: id})); s["synthetic_voice"] != ringfence.Yes || s["voice_match"] != ringfence.No {
		t.Errorf("two services: %v", s)
	}
	if r := a.recordingsOf(t); len(r) != 0 {
		t.Errorf("recorded too: %+v", r)
	}
	call.Hangup()
	<-agent.Done()
	wentOut(t, a, id, "fork/ears")
}

// valuesOf joins signals by name as the gate does.
func valuesOf(list []ringfence.Signal) map[string]ringfence.Tri {
	out := map[string]ringfence.Tri{}
	for _, s := range list {
		if old, twice := out[s.Name]; twice {
			s.Value = ringfence.JoinSignals(s.Name, old, s.Value)
		}
		out[s.Name] = s.Value
	}
	return out
}
