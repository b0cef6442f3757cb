package b2bua_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/b2bua/peer"
)

// page is a browser with a microphone that hears 700 Hz. Its WebRTC is pion's.
type page struct {
	t   *testing.T
	pc  *webrtc.PeerConnection
	mic *webrtc.TrackLocalStaticRTP

	mu    sync.Mutex // guards everything below
	heard []int16    // the newest 100 ms of G.711
	opus  [][]byte   // packets of Opus
	count int        // packets received
}

func openPage(t *testing.T) *page {
	t.Helper()
	return openPageThatSends(t, webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000})
}

func openPageThatSends(t *testing.T, mic webrtc.RTPCodecCapability) *page {
	t.Helper()
	media := &webrtc.MediaEngine{}
	for _, c := range []webrtc.RTPCodecParameters{
		{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}},
		{PayloadType: 0, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}},
		{PayloadType: 8, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMA, ClockRate: 8000}},
		{PayloadType: 126, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: 8000}}} {
		if err := media.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			t.Fatal(err)
		}
	}
	setting := webrtc.SettingEngine{}
	setting.SetIncludeLoopbackCandidate(true)
	setting.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(setting)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	p := &page{t: t, pc: pc}
	if p.mic, err = webrtc.NewTrackLocalStaticRTP(mic, "mic", "page"); err != nil {
		t.Fatal(err)
	}
	if _, err = pc.AddTrack(p.mic); err != nil {
		t.Fatal(err)
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.count++
			if packet.PayloadType == 111 {
				p.opus = append(p.opus, packet.Payload)
				p.mu.Unlock()
				continue
			}
			for _, b := range packet.Payload {
				p.heard = append(p.heard, linear(b))
			}
			p.heard = p.heard[max(0, len(p.heard)-800):]
			p.mu.Unlock()
		}
	})
	return p
}

// linear decodes one sample of G.711 µ-law.
func linear(b byte) int16 {
	b = ^b
	v := int16(b&15)<<3 + 132
	v = v<<(b>>4&7) - 132
	if b&128 != 0 {
		return -v
	}
	return v
}

// compress encodes one sample of G.711 µ-law.
func compress(v int16) byte {
	best, at := 1<<20, byte(0)
	for b := range 256 {
		if d := int(linear(byte(b))) - int(v); max(d, -d) < best {
			best, at = max(d, -d), byte(b)
		}
	}
	return at
}

// offer is the page's description.
func (p *page) offer() string {
	p.t.Helper()
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		p.t.Fatal(err)
	}
	<-gathered
	return p.pc.LocalDescription().SDP
}

func (p *page) accept(answer string) {
	p.t.Helper()
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		p.t.Fatalf("answer refused: %v\n%s", err, answer)
	}
}

// speak sends 700 Hz until ctx ends.
func (p *page) speak(ctx context.Context) {
	clip := tone(700, 20*time.Millisecond*50)
	coded := make([]byte, len(clip))
	for i, v := range clip {
		coded[i] = compress(v)
	}
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for seq := uint16(1); ; seq++ {
		at := int(seq) % 50 * 160
		_ = p.mic.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * 160}, Payload: coded[at : at+160]})
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// hears waits until the page receives a tone.
func (p *page) hears(hz float64) {
	p.t.Helper()
	poll(p.t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.heard) == 800 && has(p.heard, hz)
	}, "the page never heard it")
}

// poll asks until it holds.
func poll(t *testing.T, ok func() bool, failure string) {
	t.Helper()
	ctx := within(t)
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for !ok() {
		select {
		case <-every.C:
		case <-ctx.Done():
			t.Fatal(failure)
		}
	}
}

// softCall is a caller who was put through to a softphone that still rings.
type softCall struct {
	ua     *b2bua.UA
	caller *peer.Call
	in     *b2bua.Leg // the caller's
	leg    *b2bua.Leg // the agent's
	events chan ringfence.LegEvent
}

// ringPage calls and places a leg to the browser of ada.
func ringPage(t *testing.T, change ...func(*b2bua.Config)) *softCall {
	t.Helper()
	s := &softCall{events: make(chan ringfence.LegEvent, 64)}
	started, ready := make(chan struct{}), make(chan struct{})
	s.ua = gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		<-started
		if err := leg.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
			return
		}
		s.in = leg
		out, err := s.ua.Place(ctx, ringfence.Placement{To: "browser:default/ada", From: "441632960000", UUI: "ABCD2345", Purpose: "agent"})
		if err != nil {
			t.Errorf("Place: %v", err)
			return
		}
		s.leg = out
		close(ready)
		for e := range out.Events() {
			if e.Kind == ringfence.LegAnswered {
				if err := leg.Join(out.ID()); err != nil {
					t.Errorf("Join: %v", err)
				}
			}
			s.events <- e
		}
		leg.Hangup(ringfence.EndHangup)
	}, change...)
	close(started)
	caller := phone(t, peer.Config{Transport: "udp"})
	var err error
	if s.caller, err = caller.Call(within(t), peer.Invite{To: "sip:4400@" + s.ua.Addrs()["main"].String(), FromTN: "441632960000"}); err != nil {
		t.Fatal(err)
	}
	done(t, "the agent's leg", ready)
	return s
}

// wait waits for an event of the agent's leg.
func (s *softCall) wait(t *testing.T, kind ringfence.LegEventKind) ringfence.LegEvent {
	t.Helper()
	ctx := within(t)
	for {
		select {
		case e := <-s.events:
			if e.Kind == kind {
				return e
			}
			if e.Kind == ringfence.LegEnded {
				t.Fatalf("ended (%s) before %s", e.Cause, kind)
			}
		case <-ctx.Done():
			t.Fatalf("no %s", kind)
		}
	}
}

// link connects the page to the call that rings for ada.
func (s *softCall) link(t *testing.T, p *page) {
	t.Helper()
	answer, err := s.ua.Softphones().Link("default/ada", s.leg.ID(), p.offer())
	if err != nil {
		t.Fatal(err)
	}
	p.accept(answer)
}

// A call to a browser rings, is answered when the browser's media is up, carries
// audio both ways, can be put on hold and outlives a page that is loaded again.
func TestSoftphoneCall(t *testing.T) {
	s := ringPage(t)
	s.wait(t, ringfence.LegRinging)
	calls := s.ua.Softphones().Calls("default/ada")
	if len(calls) != 1 || calls[0].Live || calls[0].From != "441632960000" || calls[0].Reference != "ABCD2345" {
		t.Fatalf("calls %+v", calls)
	}
	first := openPage(t)
	s.link(t, first)
	s.wait(t, ringfence.LegAnswered)
	if c := s.ua.Softphones().Calls("default/ada"); len(c) != 1 || !c[0].Live || !c[0].Linked {
		t.Fatalf("after the answer: %+v", c)
	}
	speaking, stop := context.WithCancel(within(t))
	defer stop()
	go first.speak(speaking)
	s.caller.Leg().Loop(tone(500, time.Second))
	first.hears(500)
	hears(t, s.caller, 700)

	// The page is loaded again: another browser of the same user takes over.
	again := openPage(t)
	s.link(t, again)
	stop()
	_ = first.pc.Close()
	speaking2, stop2 := context.WithCancel(within(t))
	defer stop2()
	go again.speak(speaking2)
	again.hears(500)
	hears(t, s.caller, 700)

	if err := s.ua.Softphones().Hold("default/ada", s.leg.ID(), true); err != nil {
		t.Fatal(err)
	}
	if e := s.wait(t, ringfence.LegHeld); e.Whole {
		t.Error("taken back, want held")
	}
	if !s.ua.Softphones().Calls("default/ada")[0].Held {
		t.Error("not shown as held")
	}
	if err := s.ua.Softphones().HangUp("default/ada", s.leg.ID()); err != nil {
		t.Fatal(err)
	}
	if e := s.wait(t, ringfence.LegEnded); e.Cause != ringfence.EndBye {
		t.Errorf("ended by %s", e.Cause)
	}
	if c := s.ua.Softphones().Calls("default/ada"); len(c) != 0 {
		t.Errorf("still %+v", c)
	}
}

// While a secret is asked the caller's leg is cut from the browser too.
func TestSoftphoneHearsNoSecret(t *testing.T) {
	s := ringPage(t)
	p := openPage(t)
	s.link(t, p)
	s.wait(t, ringfence.LegAnswered)
	s.caller.Leg().Loop(tone(500, time.Second))
	p.hears(500)
	s.in.Cut(true)
	s.leg.Loop(tone(900, time.Second))
	p.hears(900)
	if err := s.caller.Press("4711"); err != nil {
		t.Fatal(err)
	}
	for want := range "4711" {
		if e := await(t, s.in, ringfence.LegDigit); e.Digit != "4711"[want] {
			t.Fatalf("digit %c", e.Digit)
		}
	}
	p.mu.Lock()
	if has(p.heard, 500) {
		t.Error("the caller is heard in a cut")
	}
	p.mu.Unlock()
}

// Only the user whose call it is finds it, and an offer must be one.
func TestSoftphoneRefuses(t *testing.T) {
	s := ringPage(t)
	soft := s.ua.Softphones()
	p := openPage(t)
	offer := p.offer()
	for name, user := range map[string]string{"a colleague": "default/bo", "another tenant": "other/ada", "nobody": ""} {
		if _, err := soft.Link(user, s.leg.ID(), offer); !errors.Is(err, b2bua.ErrNoBrowserCall) {
			t.Errorf("%s: %v", name, err)
		}
		if err := soft.HangUp(user, s.leg.ID()); !errors.Is(err, b2bua.ErrNoBrowserCall) {
			t.Errorf("%s hangs up: %v", name, err)
		}
	}
	if err := soft.Hold("default/ada", s.leg.ID(), true); !errors.Is(err, b2bua.ErrNoBrowserCall) {
		t.Errorf("hold before the answer: %v", err)
	}
	if _, err := soft.Link("default/ada", s.leg.ID(), "v=0\r\n"); !errors.Is(err, b2bua.ErrOffer) {
		t.Errorf("bad offer: %v", err)
	}
	if _, err := soft.Link("default/ada", s.in.ID(), offer); !errors.Is(err, b2bua.ErrNoBrowserCall) {
		t.Errorf("a SIP leg: %v", err)
	}
	if err := soft.HangUp("default/ada", s.leg.ID()); err != nil {
		t.Fatal(err)
	}
	if e := s.wait(t, ringfence.LegEnded); e.Cause != ringfence.EndDeclined {
		t.Errorf("declined as %s", e.Cause)
	}
}

// A browser whose certificate is not the one that its offer named gets no audio,
// and the call goes on ringing.
func TestSoftphoneFingerprintMismatch(t *testing.T) {
	s := ringPage(t)
	p := openPage(t)
	offer := p.offer()
	at := strings.Index(offer, "a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
	other := "00"
	if offer[at:at+2] == other {
		other = "11"
	}
	answer, err := s.ua.Softphones().Link("default/ada", s.leg.ID(), offer[:at]+other+offer[at+2:])
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{})
	var once sync.Once
	p.pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		if st == webrtc.PeerConnectionStateFailed || st == webrtc.PeerConnectionStateClosed {
			once.Do(func() { close(failed) })
		}
	})
	p.accept(answer)
	done(t, "the refusal of the handshake", failed)
	if c := s.ua.Softphones().Calls("default/ada"); len(c) != 1 || c[0].Live || c[0].Linked {
		t.Fatalf("after the refusal: %+v", c)
	}
	right := openPage(t)
	s.link(t, right)
	s.wait(t, ringfence.LegAnswered)
}
