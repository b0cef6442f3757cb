package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence/test/port"
)

// accountsLine connects to the clerk without a question.
const accountsLine = "442079460001"

// TestBaresipCalls is a foreign telephone that calls over each transport, and
// hears what the clerk says.
func TestBaresipCalls(t *testing.T) {
	for name, c := range map[string]struct {
		s  phoneSettings
		to func(*gateway) string
	}{
		"UDP, PCMU": {phoneSettings{Codec: "PCMU/8000/1"}, func(g *gateway) string { return fmt.Sprintf("sip:%s@%s", accountsLine, g.sip()) }},
		"TCP, PCMA": {phoneSettings{Codec: "PCMA/8000/1"}, func(g *gateway) string { return fmt.Sprintf("sip:%s@%s;transport=tcp", accountsLine, g.sip()) }},
		"TLS, SRTP": {phoneSettings{Codec: "PCMU/8000/1", Security: "srtp-mand"}, func(g *gateway) string {
			return fmt.Sprintf("sip:%s@127.0.0.1:%d;transport=tls", accountsLine, g.set.TLS)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs(t, "sipp", "sip-tester")
			ctx := within(t, 2*time.Minute)
			deskAudio := newMedia(t, agentOctet)
			desk := runSIPp(ctx, t, "agent.xml", scenario{Media: deskAudio.port()}, "")
			g := newGateway(t, settings{Queue: fmt.Sprintf("sip:desk@127.0.0.1:%d", desk.port)})
			g.start(ctx)
			c.s.User, c.s.CA = "+"+mobile, g.set.Cert
			var line *wire
			if c.s.Security != "" {
				c.s.Media = port.Row(t, 10)
				ports := []int{g.set.TLS}
				for i := range 10 {
					ports = append(ports, c.s.Media+i)
				}
				line = listenIn(t, ports...)
			}
			phone := startBaresip(ctx, t, c.s)
			phone.command("dial " + c.to(g))
			deskAudio.count(ctx, agentOctet, 100)
			phone.command("hangup")
			desk.wait(ctx)
			g.stop(ctx)
			if line != nil {
				line.unreadable(t, accountsLine, mobile)
			}
		})
	}
}

// TestBaresipSpeaksOpus is a foreign telephone at either end: what they say to
// each other goes over in Opus.
func TestBaresipSpeaksOpus(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	const both = "opus/48000/2,PCMU/8000/1"
	desk := startBaresip(ctx, t, phoneSettings{User: "desk", Codec: both, Sine: true})
	g := newGateway(t, settings{Queue: desk.uri(), Codecs: "opus, PCMU"})
	g.start(ctx)
	media := port.Row(t, 10)
	ports := make([]int, 10)
	for i := range ports {
		ports[i] = media + i
	}
	line := listenIn(t, ports...)
	phone := startBaresip(ctx, t, phoneSettings{User: "+" + mobile, Codec: both, Media: media, Sine: true})
	phone.command("dial " + fmt.Sprintf("sip:%s@%s", accountsLine, g.sip()))
	until(ctx, t, "Opus both ways", func() bool {
		out, back := line.opus()
		return out > 100 && back > 100
	})
	phone.command("hangup")
	g.stop(ctx)
}

// TestBaresipAnswers is a foreign telephone as the clerk's.
func TestBaresipAnswers(t *testing.T) {
	t.Parallel()
	needs(t, "sipp", "sip-tester")
	ctx := within(t, 2*time.Minute)
	desk := startBaresip(ctx, t, phoneSettings{User: "desk", Codec: "PCMU/8000/1,PCMA/8000/1"})
	g := newGateway(t, settings{Queue: desk.uri()})
	g.start(ctx)
	audio := newMedia(t, callerOctet)
	caller := runSIPp(ctx, t, "caller.xml", scenario{Called: accountsLine, Caller: mobile, Media: audio.port()}, g.sip())
	audio.count(caller.ctx, callerOctet, 100)
	caller.poke("u1")
	caller.wait(ctx)
	g.stop(ctx)
}

// TestKamailioAndRTPEngineInFront is the usual edge of a carrier: a proxy that
// records its route and relays the media.
func TestKamailioAndRTPEngineInFront(t *testing.T) {
	t.Parallel()
	needs(t, "sipp", "sip-tester")
	ctx := within(t, 2*time.Minute)
	deskAudio, audio := newMedia(t, agentOctet), newMedia(t, callerOctet)
	desk := runSIPp(ctx, t, "agent.xml", scenario{Media: deskAudio.port()}, "")
	proxy := port.Free(t)
	g := newGateway(t, settings{Queue: fmt.Sprintf("sip:desk@127.0.0.1:%d", desk.port), Carrier: fmt.Sprintf("127.0.0.1:%d", proxy)})
	g.start(ctx)
	startEdge(ctx, t, proxy, g.sip())
	caller := runSIPp(ctx, t, "caller.xml", scenario{Called: accountsLine, Caller: mobile, Media: audio.port()}, fmt.Sprintf("127.0.0.1:%d", proxy))
	deskAudio.count(caller.ctx, callerOctet, 100)
	audio.count(caller.ctx, agentOctet, 100)
	caller.poke("u1")
	caller.wait(ctx)
	desk.wait(ctx)
	g.stop(ctx)
}
