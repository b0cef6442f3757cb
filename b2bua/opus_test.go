package b2bua_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// opusTone is a packet of 20 ms (its first octet: CELT, full band, one frame).
var opusTone = []byte{0xf8, 0x41, 0x9b, 0x7f, 0x03, 0x44, 0x10, 0x55, 0x21, 0x09}

func withOpus(c *b2bua.Config) { c.Trunks[0].Codecs = []string{"opus", "PCMU"} }

func opusBody(version, port int, formats string) string {
	body := fmt.Sprintf("v=0\no=- 5 %d IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio %d RTP/AVP %s\n", version, port, formats)
	if strings.Contains(formats, "111") {
		body += "a=rtpmap:111 opus/48000/2\n"
	}
	return body
}

// mediaSocket is where a far end hears.
func mediaSocket(t *testing.T) (*net.UDPConn, int) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).Port
}

// audioPort is the port of the media line.
func audioPort(t *testing.T, text string) int {
	t.Helper()
	_, rest, _ := strings.Cut(text, "m=audio ")
	var port int
	if _, err := fmt.Sscanf(rest, "%d", &port); err != nil {
		t.Fatalf("no media line in\n%s", text)
	}
	return port
}

// speakOpus sends packets until ctx ends.
func speakOpus(ctx context.Context, from *net.UDPConn, port int) {
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for seq := uint16(1); ; seq++ {
		b := binary.BigEndian.AppendUint16([]byte{0x80, 111}, seq)
		b = binary.BigEndian.AppendUint32(b, uint32(seq)*960)
		b = append(binary.BigEndian.AppendUint32(b, 77), opusTone...)
		_, _ = from.WriteToUDP(b, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// hearsOpus waits for packets of Opus exactly as they were sent.
func hearsOpus(t *testing.T, who string, at *net.UDPConn) {
	t.Helper()
	_ = at.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 2048)
	for heard := 0; heard < 10; {
		n, _, err := at.ReadFromUDP(buf)
		if err != nil {
			t.Fatalf("%s heard %d packets of Opus: %v", who, heard, err)
		}
		if n == 12+len(opusTone) && buf[1]&0x7f == 111 && bytes.Equal(buf[12:n], opusTone) {
			heard++
		}
	}
}

// TestOpusBetweenTwoWhoHaveIt: each hears the other's packets as they were sent,
// and the caller heard a prompt before, in G.711.
func TestOpusBetweenTwoWhoHaveIt(t *testing.T) {
	var ua *b2bua.UA
	desk := newFar(t, nil)
	started := make(chan struct{})
	ua = gateway(t, "udp", func(ctx context.Context, leg *b2bua.Leg) {
		<-started
		if err := leg.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
			return
		}
		leg.Loop(tone(500, time.Second))
		out, err := ua.Place(ctx, ringfence.Placement{To: "sip:7@" + desk.addr().String(), Beside: leg.ID()})
		if err != nil {
			t.Errorf("Place: %v", err)
			return
		}
		await(t, out, ringfence.LegAnswered)
		leg.Stop()
		if err := leg.Join(out.ID()); err != nil {
			t.Errorf("Join: %v", err)
		}
		<-leg.Context().Done()
	}, withOpus)
	close(started)
	callerMedia, callerPort := mediaSocket(t)
	deskMedia, deskPort := mediaSocket(t)
	caller := newFar(t, ua)
	ok := caller.invite("", opusBody(1, callerPort, "111 0"))
	if !strings.Contains(ok, " RTP/AVP 111 0\r\n") || !strings.Contains(ok, "a=rtpmap:111 opus/48000/2\r\n") {
		t.Fatalf("answered with\n%s", ok)
	}
	_ = callerMedia.SetReadDeadline(time.Now().Add(patience))
	prompt := make([]byte, 2048)
	if n, _, err := callerMedia.ReadFromUDP(prompt); err != nil || prompt[1]&0x7f != 0 || n != 172 {
		t.Fatalf("prompt: %d bytes of type %d, %v", n, prompt[1]&0x7f, err)
	}
	inv := desk.next("INVITE")
	if !strings.Contains(inv, " RTP/AVP 111 0 101\r\n") {
		t.Fatalf("offered\n%s", inv)
	}
	desk.answer(inv, "200 OK", "one", sdpType, opusBody(1, deskPort, "111 0"))
	desk.next("ACK")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go speakOpus(ctx, callerMedia, audioPort(t, ok))
	go speakOpus(ctx, deskMedia, audioPort(t, inv))
	hearsOpus(t, "the agent", deskMedia)
	hearsOpus(t, "the caller", callerMedia)
}

// TestOpusBetweenCallerAndBrowser: a browser gets Opus where the caller has it.
func TestOpusBetweenCallerAndBrowser(t *testing.T) {
	legs := make(chan *b2bua.Leg, 1)
	ua := gateway(t, "udp", answering(legs), withOpus)
	media, port := mediaSocket(t)
	ok := newFar(t, ua).invite("", opusBody(1, port, "111 0"))
	caller := answered(t, legs)
	leg, err := ua.Place(t.Context(), ringfence.Placement{To: "browser:default/ada", Beside: caller.ID()})
	if err != nil {
		t.Fatal(err)
	}
	p := openPageThatSends(t, webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2})
	answer, err := ua.Softphones().Link("default/ada", leg.ID(), p.offer())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(answer, "SAVPF 111 0 8 126\r\n") {
		t.Errorf("answered with\n%s", answer)
	}
	p.accept(answer)
	await(t, leg, ringfence.LegAnswered)
	if err := caller.Join(leg.ID()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go speakOpus(ctx, media, audioPort(t, ok))
	go p.speakOpus(ctx)
	hearsOpus(t, "the caller", media)
	poll(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.opus) > 10 && bytes.Equal(p.opus[len(p.opus)-1], opusTone)
	}, "the browser heard no Opus")
}

// speakOpus sends packets until ctx ends.
func (p *page) speakOpus(ctx context.Context) {
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for seq := uint16(1); ctx.Err() == nil; seq++ {
		_ = p.mic.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * 960}, Payload: opusTone})
		select {
		case <-ctx.Done():
		case <-every.C:
		}
	}
}

// TestOpusIsOfferedOnlyBesideOpus: nobody could hear it untouched.
func TestOpusIsOfferedOnlyBesideOpus(t *testing.T) {
	_, f, leg := placed(t, ringfence.Placement{}, withOpus)
	if inv := f.next("INVITE"); strings.Contains(inv, "opus") || !strings.Contains(inv, "RTP/AVP 0 101\r\n") {
		t.Errorf("offered\n%s", inv)
	}
	leg.Hangup(ringfence.EndHangup)
}

// besideOpus is a leg placed beside a caller who has Opus.
func besideOpus(t *testing.T) (*far, *b2bua.Leg) {
	t.Helper()
	legs := make(chan *b2bua.Leg, 1)
	ua := gateway(t, "udp", answering(legs), withOpus)
	newFar(t, ua).invite("", opusBody(1, 40400, "111 0"))
	f := newFar(t, nil)
	leg, err := ua.Place(t.Context(), ringfence.Placement{To: "sip:7@" + f.addr().String(), Beside: answered(t, legs).ID()})
	if err != nil {
		t.Fatal(err)
	}
	return f, leg
}

// TestOpusAloneIsAskedAgain: an answer of Opus alone leaves no codec in which a
// code could be spoken; the far end is asked for one before it counts as
// answered.
func TestOpusAloneIsAskedAgain(t *testing.T) {
	t.Run("taken", func(t *testing.T) {
		f, leg := besideOpus(t)
		f.answer(f.next("INVITE"), "200 OK", "one", sdpType, opusBody(1, 40402, "111"))
		f.next("ACK")
		re := f.next("INVITE")
		if strings.Contains(re, "opus") || !strings.Contains(re, "RTP/AVP 0 101\r\n") || !strings.Contains(line(re, "To"), "tag=one") {
			t.Errorf("asked again with\n%s", re)
		}
		f.answer(re, "200 OK", "", sdpType, opusBody(2, 40402, "0"))
		f.next("ACK")
		await(t, leg, ringfence.LegAnswered)
		leg.Hangup(ringfence.EndHangup)
		f.answer(f.next("BYE"), "200 OK", "", "", "")
	})
	t.Run("refused", func(t *testing.T) {
		f, leg := besideOpus(t)
		f.answer(f.next("INVITE"), "200 OK", "one", sdpType, opusBody(1, 40402, "111"))
		f.next("ACK")
		f.answer(f.next("INVITE"), "488 Not Acceptable Here", "", "", "")
		f.next("ACK")
		f.answer(f.next("BYE"), "200 OK", "", "", "")
		if e := await(t, leg, ringfence.LegEnded); e.Code != 488 {
			t.Errorf("ended with %d", e.Code)
		}
	})
}

// TestOpusAloneIsRefused: as a caller's only codec, and as a trunk's.
func TestOpusAloneIsRefused(t *testing.T) {
	f := newFar(t, gateway(t, "udp", answering(make(chan *b2bua.Leg, 1)), withOpus))
	f.request("INVITE", 1, "", "", opusBody(1, 40400, "111"))
	f.next("SIP/2.0 488")
	_, err := b2bua.New(b2bua.Config{Listeners: []b2bua.Listener{{Name: "main", Transport: "udp", Addr: "127.0.0.1:0"}},
		Trunks: []b2bua.Trunk{{Name: "loop", Transport: "udp", Sources: loopback, SRTP: "off", Codecs: []string{"opus"}}}}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "opus alone") {
		t.Errorf("New = %v", err)
	}
}
