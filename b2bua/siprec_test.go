package b2bua_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
)

// hum is a source of one tone.
type hum struct {
	clip ringfence.Clip
	at   int
}

func (h *hum) Read(frame []int16) (int, bool) {
	for i := range frame {
		frame[i] = h.clip[h.at%len(h.clip)]
		h.at++
	}
	return len(frame), true
}

// ear is a recorder's socket for one stream.
func ear(t *testing.T) (*net.UDPConn, int) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).Port
}

// gets waits for a tone in the packets of a stream.
func gets(t *testing.T, c *net.UDPConn, hz float64) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var window []int16
	buf := make([]byte, 2048)
	for {
		n, _, err := c.ReadFromUDP(buf)
		if err != nil {
			t.Fatalf("%v Hz was never recorded: %v", hz, err)
		}
		if n != 172 || buf[1]&0x7f != 0 {
			continue
		}
		for _, b := range buf[12:n] {
			window = append(window, g711.DecodeUlawFrame(b))
		}
		if window = window[max(0, len(window)-800):]; len(window) == 800 && has(window, hz) {
			return
		}
	}
}

func recording(t *testing.T) (*far, *b2bua.Leg) {
	t.Helper()
	ua, f := gateway(t, "udp", nil), newFar(t, nil)
	leg, err := ua.PlaceRecording(context.Background(), ringfence.Placement{To: "sip:rec@" + f.addr().String(), UUI: "ABCD2345"},
		b2bua.Recorder{Metadata: []byte("<recording>one</recording>"), Streams: [2]b2bua.Source{&hum{clip: tone(500, time.Second)}, &hum{clip: tone(900, time.Second)}}})
	if err != nil {
		t.Fatal(err)
	}
	return f, leg
}

const twoLines = "v=0\no=- 5 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio %d RTP/AVP 0\na=recvonly\na=label:1\nm=audio %d RTP/AVP 0\na=recvonly\na=label:2\n"

// TestRecordingSession: the INVITE of RFC 7866, both streams apart, and new
// metadata in the same dialog.
func TestRecordingSession(t *testing.T) {
	f, leg := recording(t)
	inv := f.next("INVITE")
	for _, want := range []string{"Require: siprec\r\n", ";+sip.src\r\n", "multipart/mixed;boundary=", "Content-Disposition: recording-session\r\n", "<recording>one</recording>",
		"a=label:1\r\n", "a=label:2\r\n", "User-to-User: "} {
		if !strings.Contains(inv, want) {
			t.Errorf("INVITE lacks %q:\n%s", want, inv)
		}
	}
	if strings.Count(inv, "m=audio ") != 2 || strings.Count(inv, "a=sendonly") != 2 {
		t.Errorf("streams:\n%s", inv)
	}
	one, onePort := ear(t)
	two, twoPort := ear(t)
	f.answer(inv, "200 OK", "srs", sdpType, fmt.Sprintf(twoLines, onePort, twoPort))
	f.next("ACK")
	await(t, leg, ringfence.LegAnswered)
	gets(t, one, 500)
	gets(t, two, 900)
	told := make(chan error, 1)
	go func() { told <- leg.Describe(within(t), []byte("<recording>two</recording>"), false) }()
	re := f.next("INVITE")
	if !strings.Contains(re, "<recording>two</recording>") || !strings.Contains(re, "Require: siprec") || strings.Count(re, "a=sendonly") != 2 || !strings.Contains(line(re, "To"), "tag=srs") {
		t.Errorf("new metadata:\n%s", re)
	}
	f.answer(re, "200 OK", "", sdpType, strings.Replace(fmt.Sprintf(twoLines, onePort, twoPort), "5 1 IN", "5 2 IN", 1))
	f.next("ACK")
	if err := <-told; err != nil {
		t.Error(err)
	}
	gets(t, one, 500)
	leg.Hangup(ringfence.EndHangup)
	f.next("BYE")
}

// TestRecorderRefused: a recorder that takes half, or nothing, has no session.
func TestRecorderRefused(t *testing.T) {
	for name, body := range map[string]string{
		"one line":             "v=0\no=- 5 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40400 RTP/AVP 0\na=recvonly\n",
		"second stream off":    fmt.Sprintf(twoLines, 40400, 0),
		"three lines":          fmt.Sprintf(twoLines, 40400, 40402) + "m=audio 40404 RTP/AVP 0\n",
		"to a multicast group": strings.Replace(fmt.Sprintf(twoLines, 40400, 40402), "c=IN IP4 127.0.0.1", "c=IN IP4 224.0.0.5/1", 1),
		"nothing":              "",
		"second is a picture":  fmt.Sprintf(strings.Replace(twoLines, "a=label:1\nm=audio", "a=label:1\nm=video", 1), 40400, 40402),
		"both streams off":     fmt.Sprintf(twoLines, 0, 0),
		"to the metadata host": strings.Replace(fmt.Sprintf(twoLines, 40400, 40402), "c=IN IP4 127.0.0.1", "c=IN IP4 169.254.169.254", 1),
		"encrypted, unasked":   strings.Replace(fmt.Sprintf(twoLines, 40400, 40402), "m=audio 40402 RTP/AVP 0", "m=audio 40402 RTP/SAVP 0", 1),
		"a codec unasked":      strings.Replace(fmt.Sprintf(twoLines, 40400, 40402), "m=audio 40402 RTP/AVP 0", "m=audio 40402 RTP/AVP 18", 1),
		"no description":       "hello\n",
		"ten thousand lines":   fmt.Sprintf(twoLines, 40400, 40402) + strings.Repeat("a=x\n", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, leg := recording(t)
			inv := f.next("INVITE")
			kind := sdpType
			if body == "" {
				kind = ""
			}
			f.answer(inv, "200 OK", "srs", kind, body)
			f.next("ACK")
			f.next("BYE")
			await(t, leg, ringfence.LegEnded)
		})
	}
	f, leg := recording(t)
	if err := leg.Describe(within(t), []byte("early"), true); err == nil {
		t.Error("described before the answer")
	}
	f.answer(f.next("INVITE"), "420 Bad Extension", "srs", "Unsupported: siprec\n", "")
	if e := await(t, leg, ringfence.LegEnded); e.Code != 420 {
		t.Errorf("ended with %+v", e)
	}
	ua := gateway(t, "udp", nil)
	if _, err := ua.PlaceRecording(t.Context(), ringfence.Placement{To: "sip:rec@127.0.0.1:9"}, b2bua.Recorder{}); err == nil {
		t.Error("a session of nothing")
	}
}

// TestRecordingPaused: a pause makes both streams inactive, and nothing is sent
// until the recorder hears that it goes on. One that refuses keeps its session.
func TestRecordingPaused(t *testing.T) {
	f, leg := recording(t)
	inv := f.next("INVITE")
	one, onePort := ear(t)
	two, twoPort := ear(t)
	body, version := fmt.Sprintf(twoLines, onePort, twoPort), 1
	f.answer(inv, "200 OK", "srs", sdpType, body)
	f.next("ACK")
	await(t, leg, ringfence.LegAnswered)
	gets(t, one, 500)
	tell := func(paused bool, way, status string) error {
		t.Helper()
		told := make(chan error, 1)
		go func() { told <- leg.Describe(within(t), []byte("<recording>two</recording>"), paused) }()
		re := f.next("INVITE")
		if strings.Count(re, "a="+way+"\r\n") != 2 || !strings.Contains(re, "<recording>two</recording>") {
			t.Errorf("want %s twice:\n%s", way, re)
		}
		version++
		answer := strings.Replace(body, "5 1 IN", fmt.Sprintf("5 %d IN", version), 1)
		if way == "inactive" {
			answer = strings.ReplaceAll(answer, "recvonly", "inactive")
		}
		if status != "200 OK" {
			f.answer(re, status, "", "", "")
			f.next("ACK")
			return <-told
		}
		f.answer(re, status, "", sdpType, answer)
		f.next("ACK")
		return <-told
	}
	if err := tell(true, "inactive", "488 Not Acceptable Here"); err == nil {
		t.Error("a refused pause passed for one")
	}
	gets(t, one, 500) // the session is as it was
	if err := tell(true, "inactive", "200 OK"); err != nil {
		t.Fatal(err)
	}
	sent := leg.Stats().Sent
	for range 3 { // further descriptions of a paused session begin nothing
		if err := tell(true, "inactive", "200 OK"); err != nil {
			t.Fatal(err)
		}
	}
	if now := leg.Stats().Sent; now != sent {
		t.Errorf("%d packets went out in a pause", now-sent)
	}
	if err := tell(false, "sendonly", "200 OK"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*net.UDPConn{one, two} {
		drain(c)
	}
	gets(t, one, 500)
	gets(t, two, 900)
	leg.Hangup(ringfence.EndHangup)
	f.next("BYE")
}

// drain throws away what waits in a socket.
func drain(c *net.UDPConn) {
	_ = c.SetReadDeadline(time.Now())
	for buf := make([]byte, 2048); ; {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}
