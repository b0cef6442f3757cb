package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua/rtp"
	"github.com/ringfence/ringfence/internal/lab"
)

// What the agent's microphone and the caller's telephone hear.
const agentHz, callerHz = 700.0, 500.0

// keepConnections lets a test look at the connections that a page makes.
const keepConnections = `window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection { constructor(...a) { super(...a); connections.push(this); } };`

// loudest is the frequency that a page hears most of, through its newest
// connection; 0 while it hears nothing.
const loudest = `(async () => {
	const pc = window.connections?.at(-1), track = pc?.getReceivers()[0]?.track;
	if (!track || pc.connectionState !== "connected") return 0;
	const ctx = window.ears ??= new AudioContext(), ear = ctx.createAnalyser();
	ear.fftSize = 2048;
	ctx.createMediaStreamSource(new MediaStream([track])).connect(ear);
	await new Promise(done => setTimeout(done, 150));
	const bins = new Uint8Array(ear.frequencyBinCount);
	ear.getByteFrequencyData(bins);
	const at = bins.indexOf(Math.max(...bins));
	return bins[at] > 100 ? at * ctx.sampleRate / ear.fftSize : 0;
})()`

// packets counts what the newest connection of a page sent and received.
const packets = `(async () => {
	const n = {sent: 0, got: 0};
	(await connections.at(-1).getStats()).forEach(s => { if (s.type === "inbound-rtp") n.got = s.packetsReceived; if (s.type === "outbound-rtp") n.sent = s.packetsSent; });
	return n;
})()`

// TestSoftphone is an agent without a telephone: a customer calls over SIP, the
// console rings in a real browser, and audio goes both ways over WebRTC. The
// call outlives a reload of the page, and on hold the caller does not hear the
// agent.
func TestSoftphone(t *testing.T) {
	t.Parallel()
	ctx := within(t, 5*time.Minute)
	outside := exchange(t, "carrier", nil)
	g := newGateway(t, settings{Carrier: outside.Addr().String()})
	invitation, code := g.run("user", "invite", "--email", "alice@acme.example", "--name", "Alice Reed", "--role", "agent")
	if code != 0 {
		t.Fatal(invitation)
	}
	g.seed(ctx)
	g.start(ctx)
	outside.Connect(netip.MustParseAddrPort(g.sip()))
	caller := outside.Person("Ada at home", "442079460555")

	alice := openBrowser(ctx, t, g.staff(), chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-audio-capture", microphone(t)), chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("allow-loopback-in-peer-connection", true))
	alice.do(chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: keepConnections})
		return err
	}))
	alice.visit(strings.TrimSpace(invitation))
	alice.press("Make a passkey")
	alice.press("Sign in with a passkey")
	alice.see("Phone off")
	alice.press("Turn phone on")
	alice.see("Phone on.")

	line, err := caller.Call(ctx, lab.Dial{To: customers})
	must(t, err)
	must(t, hearAndKey(ctx, line, "Please enter your eight digit customer number", account))
	must(t, hearAndKey(ctx, line, "Please enter your telephone PIN", rightPIN))
	must(t, hearAndKey(ctx, line, "To speak to someone, press 0", "0"))
	alice.see("Incoming call")
	alice.until(`document.title.includes("Incoming call")`, "the title of the tab never rings")
	tap := line.Call().Leg().Tap()
	defer tap.Close()
	line.Call().Leg().Loop(sine(callerHz))
	alice.press("Answer")
	alice.see("Claims to be")
	alice.talks(ctx, tap)

	alice.visit(g.staff() + "/console") // the page is loaded again
	alice.see("Talking")
	alice.talks(ctx, tap)

	alice.press("Hold")
	alice.see("On hold")
	until(ctx, t, "the caller hears no agent on hold", func() bool { return !tonal(listen(ctx, t, tap, 2000), agentHz) })
	alice.press("Hold")
	alice.talks(ctx, tap)

	alice.press("End call")
	alice.see("Phone on.")
	select {
	case <-line.Done():
	case <-ctx.Done():
		t.Fatal("the caller is still on the line")
	}
	g.stop(ctx)
	if n := g.count(ctx, "leg.answered"); n != 1 {
		t.Errorf("%d legs were answered by agents, want 1", n)
	}
}

// talks wants the page and the caller to hear each other, and packets to be
// counted both ways.
func (b *tab) talks(ctx context.Context, tap *rtp.Tap) {
	b.t.Helper()
	until(ctx, b.t, "the page hears the caller", func() bool {
		hz, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](loudest, chromedp.EvalAwaitPromise))
		return err == nil && math.Abs(hz-callerHz) < 40
	})
	until(ctx, b.t, "the caller hears the microphone", func() bool { return tonal(listen(ctx, b.t, tap, 2000), agentHz) })
	until(ctx, b.t, "packets both ways", func() bool {
		n, err := chromedp.Run(b.ctx, chromedp.Evaluate[map[string]int](packets, chromedp.EvalAwaitPromise))
		return err == nil && n["sent"] > 25 && n["got"] > 25
	})
}

// listen returns the next n samples that the caller receives.
func listen(ctx context.Context, t testing.TB, tap *rtp.Tap, n int) []int16 {
	t.Helper()
	var pcm []int16
	for len(pcm) < n {
		select {
		case f, ok := <-tap.Frames():
			if !ok {
				t.Fatal("the call ended")
			}
			if f.Way == rtp.Received {
				pcm = append(pcm, f.PCM...)
			}
		case <-ctx.Done():
			t.Fatal("the caller receives nothing")
		}
	}
	return pcm
}

// tonal reports whether a fair share of the energy is at hz (Goertzel). A
// browser's microphone passes through noise suppression and a loudness control.
func tonal(pcm []int16, hz float64) bool {
	coeff, s1, s2, energy := 2*math.Cos(2*math.Pi*hz/8000), 0.0, 0.0, 0.0
	for _, v := range pcm {
		s1, s2 = float64(v)+coeff*s1-s2, s1
		energy += float64(v) * float64(v)
	}
	power := (s1*s1 + s2*s2 - coeff*s1*s2) / float64(len(pcm)) * 2
	return energy/float64(len(pcm)) > 1e3 && power > energy/4
}

// sine is a second of a tone.
func sine(hz float64) ringfence.Clip {
	c := make(ringfence.Clip, 8000)
	for i := range c {
		c[i] = int16(12000 * math.Sin(2*math.Pi*hz*float64(i)/8000))
	}
	return c
}

// microphone is a file from which Chromium hears the agent: 48 kHz, one channel.
func microphone(t *testing.T) string {
	t.Helper()
	const rate, seconds = 48000, 2
	var b bytes.Buffer
	head := []any{[4]byte([]byte("RIFF")), uint32(36 + 2*rate*seconds), [8]byte([]byte("WAVEfmt ")), uint32(16), uint16(1), uint16(1),
		uint32(rate), uint32(2 * rate), uint16(2), uint16(16), [4]byte([]byte("data")), uint32(2 * rate * seconds)}
	for _, v := range head {
		must(t, binary.Write(&b, binary.LittleEndian, v))
	}
	for i := range rate * seconds {
		must(t, binary.Write(&b, binary.LittleEndian, int16(16000*math.Sin(2*math.Pi*agentHz*float64(i)/rate))))
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("tone-%.0f.wav", agentHz))
	must(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}
